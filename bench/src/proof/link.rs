//! One client's connection: requests that a developer's key may make, and what can come of them.

use std::fmt;
use std::net::SocketAddr;

use serde_json::{Value, json};

use super::known::{Known, Listing, Patch};
use crate::failure::Failure;
use crate::load::Connection;
use crate::load::account::{ACCESS_KEY, IDENTITY_TYPE, SECRET, SYNC_TYPE};
use crate::load::signature::{Request, Signer};

/// What came instead of the answer that was due.
#[derive(Debug)]
pub enum Trouble {
    /// The connection broke: nobody knows what became of the request.
    Gone(Failure),
    /// The server said no.
    Refused { status: u16, text: String },
    /// The server said something that is not true.
    Wrong(String),
}

/// What comes of a request.
pub type Outcome<T> = std::result::Result<T, Trouble>;

/// A connection that signs both APIs.
pub struct Link {
    connection: Connection,
    sync: Signer,
    identity: Signer,
}

/// Where the datasets of one identity are.
pub struct Place<'a> {
    pub pool: &'a str,
    pub identity: &'a str,
}

impl Trouble {
    /// Something that an answer should have had.
    pub fn wrong(what: impl Into<String>) -> Self {
        Self::Wrong(what.into())
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone(failure) => write!(out, "the connection broke: {failure}"),
            Self::Refused { status, text } => write!(out, "the server answered {status}: {text}"),
            Self::Wrong(what) => out.write_str(what),
        }
    }
}

impl std::error::Error for Trouble {}

impl Place<'_> {
    fn path(&self, rest: &str) -> String {
        format!(
            "{}/identities/{}{rest}",
            pool_path(self.pool),
            encoded(self.identity)
        )
    }

    fn dataset(&self, name: &str) -> String {
        self.path(&format!("/datasets/{name}"))
    }
}

fn encoded(id: &str) -> String {
    id.replace(':', "%3A")
}

fn pool_path(pool: &str) -> String {
    format!("/identitypools/{}", encoded(pool))
}

impl Link {
    pub async fn open(address: SocketAddr) -> Outcome<Self> {
        Ok(Self {
            connection: Connection::open(address).await.map_err(Trouble::Gone)?,
            sync: Signer::new(ACCESS_KEY, SECRET, "cognito-sync"),
            identity: Signer::new(ACCESS_KEY, SECRET, "cognito-identity"),
        })
    }

    /// ListRecords: what is there since a count, and a session token.
    pub async fn list(
        &mut self,
        place: &Place<'_>,
        name: &str,
        since: u64,
    ) -> Outcome<(Listing, String)> {
        let path = place.dataset(name) + "/records";
        let query = format!("lastSyncCount={since}");
        let answer = self.sync("GET", &path, &query, b"").await?;
        let listing = Listing::read(&answer)
            .map_err(|failure| Trouble::Wrong(format!("a listing: {failure}")))?;
        Ok((listing, text(&answer, "SyncSessionToken")?))
    }

    /// UpdateRecords on what is known: the counts of the records in the answer.
    pub async fn update(
        &mut self,
        place: &Place<'_>,
        name: &str,
        known: &Known,
        patches: &[Patch],
        token: &str,
    ) -> Outcome<Vec<u64>> {
        let patches: Vec<Value> = patches
            .iter()
            .map(|Patch { key, value }| {
                let count = known.count_of(key);
                match value {
                    Some(value) => {
                        json!({"Op": "replace", "Key": key, "Value": value, "SyncCount": count})
                    }
                    None => json!({"Op": "remove", "Key": key, "SyncCount": count}),
                }
            })
            .collect();
        let body = json!({"RecordPatches": patches, "SyncSessionToken": token}).to_string();
        let answer = self
            .sync("POST", &place.dataset(name), "", body.as_bytes())
            .await?;
        let records = answer["Records"].as_array();
        let counts = records.and_then(|records| {
            let counts = records.iter().map(|record| record["SyncCount"].as_u64());
            counts.collect()
        });
        counts.ok_or_else(|| Trouble::wrong("an update's answer lacks counts"))
    }

    /// DeleteDataset.
    pub async fn delete_dataset(&mut self, place: &Place<'_>, name: &str) -> Outcome<()> {
        let path = place.dataset(name);
        self.sync("DELETE", &path, "", b"").await.map(|_| ())
    }

    /// ListDatasets: name, records and bytes of each, in the order of the answer.
    pub async fn datasets(&mut self, place: &Place<'_>) -> Outcome<Vec<(String, u64, u64)>> {
        let path = place.path("/datasets");
        let answer = self.sync("GET", &path, "maxResults=64", b"").await?;
        let listed = answer["Datasets"].as_array();
        let listed = listed.ok_or_else(|| Trouble::wrong("no Datasets"))?.iter();
        let read = |dataset| {
            let (records, bytes) = (
                number(dataset, "NumRecords")?,
                number(dataset, "DataStorage")?,
            );
            Ok((text(dataset, "DatasetName")?, records, bytes))
        };
        listed.map(read).collect()
    }

    /// DescribeIdentityUsage: datasets and bytes.
    pub async fn usage(&mut self, place: &Place<'_>) -> Outcome<(u64, u64)> {
        let answer = self.sync("GET", &place.path(""), "", b"").await?;
        let usage = &answer["IdentityUsage"];
        Ok((
            number(usage, "DatasetCount")?,
            number(usage, "DataStorage")?,
        ))
    }

    /// DescribeIdentityPoolUsage: bytes.
    pub async fn pool_bytes(&mut self, pool: &str) -> Outcome<u64> {
        let answer = self.sync("GET", &pool_path(pool), "", b"").await?;
        number(&answer["IdentityPoolUsage"], "DataStorage")
    }

    /// CreateIdentityPool: its id.
    pub async fn make_pool(&mut self) -> Outcome<String> {
        let input = json!({"IdentityPoolName": "proof", "AllowUnauthenticatedIdentities": true});
        let answer = self.identity("CreateIdentityPool", true, &input).await?;
        text(&answer, "IdentityPoolId")
    }

    /// GetId: a new guest.
    pub async fn make_identity(&mut self, pool: &str) -> Outcome<String> {
        let input = json!({"IdentityPoolId": pool});
        let answer = self.identity("GetId", false, &input).await?;
        text(&answer, "IdentityId")
    }

    /// DeleteIdentities, of one.
    pub async fn delete_identity(&mut self, identity: &str) -> Outcome<()> {
        let input = json!({"IdentityIdsToDelete": [identity]});
        let answer = self.identity("DeleteIdentities", true, &input).await?;
        match answer["UnprocessedIdentityIds"].as_array() {
            Some(left) if !left.is_empty() => Err(Trouble::Refused {
                status: 200,
                text: format!("{left:?}"),
            }),
            _ => Ok(()),
        }
    }

    /// ListIdentities: all ids of a pool.
    pub async fn identities(&mut self, pool: &str) -> Outcome<Vec<String>> {
        let mut found = Vec::new();
        let mut next = Value::Null;
        loop {
            let mut input = json!({"IdentityPoolId": pool, "MaxResults": 60});
            if next.is_string() {
                input["NextToken"] = next;
            }
            let answer = self.identity("ListIdentities", true, &input).await?;
            let page = answer["Identities"].as_array();
            for listed in page.ok_or_else(|| Trouble::wrong("no Identities"))? {
                found.push(text(listed, "IdentityId")?);
            }
            next = answer["NextToken"].clone();
            if !next.is_string() {
                return Ok(found);
            }
        }
    }

    async fn sync(&mut self, method: &str, path: &str, query: &str, body: &[u8]) -> Outcome<Value> {
        let request = Request {
            method,
            path,
            canonical_path: &path.replace('%', "%25"),
            query,
            target: None,
            content_type: SYNC_TYPE,
            body,
            signed: true,
        };
        answer(&mut self.connection, &request, &mut self.sync).await
    }

    async fn identity(&mut self, operation: &str, signed: bool, input: &Value) -> Outcome<Value> {
        let body = input.to_string();
        let request = Request {
            method: "POST",
            path: "/",
            canonical_path: "/",
            query: "",
            target: Some(&format!("AWSCognitoIdentityService.{operation}")),
            content_type: IDENTITY_TYPE,
            body: body.as_bytes(),
            signed,
        };
        answer(&mut self.connection, &request, &mut self.identity).await
    }
}

async fn answer(
    connection: &mut Connection,
    request: &Request<'_>,
    signer: &mut Signer,
) -> Outcome<Value> {
    let answer = connection
        .call(request, signer)
        .await
        .map_err(Trouble::Gone)?;
    if answer.status != 200 {
        let (status, text) = (answer.status, answer.text());
        return Err(Trouble::Refused { status, text });
    }
    serde_json::from_slice(&answer.body)
        .map_err(|error| Trouble::Wrong(format!("an answer is not JSON: {error}")))
}

fn text(value: &Value, member: &str) -> Outcome<String> {
    let text = value[member].as_str().map(str::to_owned);
    text.ok_or_else(|| Trouble::wrong(format!("an answer has no {member}")))
}

fn number(value: &Value, member: &str) -> Outcome<u64> {
    let number = value[member].as_u64();
    number.ok_or_else(|| Trouble::wrong(format!("an answer has no {member}")))
}
