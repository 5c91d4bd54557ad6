//! A pool with identities on a server, each with one dataset of one record, and the requests
//! about them that a developer's key may make.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::connection::Connection;
use super::signature::{Request, Signer};
use super::{Update, update_body};
use crate::failure::{Result, fail};
use crate::progress;

/// The developer's key that the server is started with.
pub const ACCESS_KEY: &str = "AKIDBENCHMARK0000000";
pub const SECRET: &str = "benchmark-secret-that-guards-nothing";

/// The content type of Cognito Sync.
pub const SYNC_TYPE: &str = "application/json";
/// The content type of Cognito Identity.
pub const IDENTITY_TYPE: &str = "application/x-amz-json-1.1";

/// The pool and its datasets.
pub struct Account {
    pub address: SocketAddr,
    pub pool: String,
    pub datasets: Vec<Place>,
}

/// Where a dataset is, as requests name it.
pub struct Place {
    pub identity: String,
    events: Path,
    update: Path,
    list: Path,
}

struct Path {
    sent: String,
    canonical: String,
}

/// What a listing is read for.
pub struct Listed {
    pub sync_count: u64,
    pub token: String,
    /// Of the only record, if there is one.
    pub value: Option<String>,
}

impl Account {
    /// Makes a pool and so many identities, and writes each one's record once.
    pub async fn make(address: SocketAddr, identities: usize) -> Result<Self> {
        let mut connection = Connection::open(address).await?;
        let pool = json!({
            "IdentityPoolName": "benchmark",
            "AllowUnauthenticatedIdentities": true,
        });
        let pool = identity_call(&mut connection, "CreateIdentityPool", true, &pool).await?;
        let pool = text(&pool, "IdentityPoolId")?;
        let mut account = Self {
            address,
            pool: pool.clone(),
            datasets: Vec::with_capacity(identities),
        };
        let mut signer = account.signer();
        let bar = progress::bar("identities", identities);
        for dataset in 0..identities {
            let guest = json!({ "IdentityPoolId": pool });
            let guest = identity_call(&mut connection, "GetId", false, &guest).await?;
            account
                .datasets
                .push(Place::new(&pool, &text(&guest, "IdentityId")?));
            let Listed {
                sync_count, token, ..
            } = account.list(&mut connection, &mut signer, dataset).await?;
            let body = update_body(&Update {
                dataset,
                sync_count,
                token,
            });
            let request = account.update(dataset, body.as_bytes());
            let answer = connection.call(&request, &mut signer).await?;
            answer.json()?;
            bar.inc(1);
        }
        bar.finish_and_clear();
        Ok(account)
    }

    /// Signs as the developer.
    pub fn signer(&self) -> Signer {
        Signer::new(ACCESS_KEY, SECRET, "cognito-sync")
    }

    /// Signs as the identity of a dataset.
    pub async fn signer_of(&self, connection: &mut Connection, dataset: usize) -> Result<Signer> {
        let asked = json!({ "IdentityId": self.datasets[dataset].identity });
        let operation = "GetCredentialsForIdentity";
        let answer = identity_call(connection, operation, false, &asked).await?;
        let part = |name: &str| text(&answer["Credentials"], name);
        let signer = Signer::new(&part("AccessKeyId")?, &part("SecretKey")?, "cognito-sync");
        Ok(signer.with_session(&part("SessionToken")?))
    }

    /// UpdateRecords on a dataset.
    pub fn update<'a>(&'a self, dataset: usize, body: &'a [u8]) -> Request<'a> {
        let path = &self.datasets[dataset].update;
        Request {
            method: "POST",
            body,
            ..path.request()
        }
    }

    /// ListRecords of what is new in a dataset.
    pub fn list_since<'a>(&'a self, dataset: usize, query: &'a str) -> Request<'a> {
        Request {
            query,
            ..self.datasets[dataset].list.request()
        }
    }

    /// A stream of events of a dataset.
    pub fn events(&self, dataset: usize) -> Request<'_> {
        Request {
            query: "datasets=progress",
            ..self.datasets[dataset].events.request()
        }
    }

    /// ListRecords of a dataset.
    pub async fn list(
        &self,
        connection: &mut Connection,
        signer: &mut Signer,
        dataset: usize,
    ) -> Result<Listed> {
        let request = self.datasets[dataset].list.request();
        let listed = connection.call(&request, signer).await?.json()?;
        let sync_count = listed["DatasetSyncCount"].as_u64();
        Ok(Listed {
            sync_count: sync_count.ok_or("a listing has no DatasetSyncCount")?,
            token: text(&listed, "SyncSessionToken")?,
            value: listed["Records"][0]["Value"].as_str().map(str::to_owned),
        })
    }
}

impl Place {
    /// With colons encoded, as most SDKs send them.
    fn new(pool: &str, identity: &str) -> Self {
        let own = identity.to_owned();
        let encoded = |id: &str| id.replace(':', "%3A");
        let (pool, identity) = (encoded(pool), encoded(identity));
        let sent = format!("/identitypools/{pool}/identities/{identity}/datasets/progress");
        let events = format!("/syncline/v1/pools/{pool}/identities/{identity}/events");
        Self {
            identity: own,
            events: Path::new(events),
            list: Path::new(format!("{sent}/records")),
            update: Path::new(sent),
        }
    }
}

impl Path {
    fn new(sent: String) -> Self {
        Self {
            canonical: sent.replace('%', "%25"),
            sent,
        }
    }

    fn request(&self) -> Request<'_> {
        Request {
            method: "GET",
            path: &self.sent,
            canonical_path: &self.canonical,
            query: "",
            target: None,
            content_type: SYNC_TYPE,
            body: b"",
            signed: true,
        }
    }
}

async fn identity_call(
    connection: &mut Connection,
    operation: &str,
    signed: bool,
    input: &Value,
) -> Result<Value> {
    let (target, body) = (
        format!("AWSCognitoIdentityService.{operation}"),
        input.to_string(),
    );
    let request = Request {
        method: "POST",
        path: "/",
        canonical_path: "/",
        query: "",
        target: Some(&target),
        content_type: IDENTITY_TYPE,
        body: body.as_bytes(),
        signed,
    };
    let mut signer = Signer::new(ACCESS_KEY, SECRET, "cognito-identity");
    let answer = connection.call(&request, &mut signer).await?;
    answer
        .json()
        .map_err(|failure| format!("{operation}: {failure}").into())
}

fn text(value: &Value, member: &str) -> Result<String> {
    match value[member].as_str() {
        Some(text) => Ok(text.to_owned()),
        None => fail(format!("an answer has no {member}")),
    }
}
