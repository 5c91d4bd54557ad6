//! Every operation with every kind of credentials: what each cell answers is in one table, and an
//! operation without a row fails.

mod streams;
mod table;

use serde_json::{Value, json};
use syncline_server::access;
use syncline_server::config::Config;
use syncline_server::keyring::{Keyring, NewKey};
use syncline_server::routes::{IdentityOperation, OwnOperation, SyncOperation};
use syncline_server::seal::Keys;

use crate::client::{Answer, Client};
use crate::server::{ROOT, Server};
use crate::signed::{developer, now};
use crate::signer::Signer;
use table::{COLUMNS, Column, IDENTITY, OWN, SYNC};

const PROVIDER: &str = "login.game";
const OWN_PROVIDER: &str = "cognito-identity.amazonaws.com";

/// What requests are signed with.
#[derive(Clone, Default)]
struct Credentials {
    id: String,
    secret: String,
    token: Option<String>,
}

impl Credentials {
    fn signer(&self, service: &'static str) -> Signer<'_> {
        Signer {
            access_key_id: &self.id,
            secret: &self.secret,
            security_token: self.token.as_deref(),
            service,
            now: now(),
            sends_hash: false,
        }
    }
}

/// A user who signed in.
#[derive(Default)]
struct User {
    identity: String,
    credentials: Credentials,
}

/// Everything that the cells name.
#[derive(Default)]
struct Town {
    pool: String,
    doomed_pool: String,
    doomed: [String; 2],
    ann: User,
    ben: User,
    guest: User,
    gone: User,
    foreigner: User,
    expired: Credentials,
    within: Credentials,
    beyond: Credentials,
    reader: Credentials,
    disabled: Credentials,
    deleted: Credentials,
}

fn text(value: &Value, member: &str) -> String {
    let found = value[member].as_str();
    found
        .unwrap_or_else(|| panic!("no {member} in {value}"))
        .to_owned()
}

async fn call(client: &mut Client, operation: &str, body: Value) -> Value {
    let root = developer("cognito-identity");
    let answer = client.identity(&root, operation, &body).await;
    assert_eq!(answer.status, 200, "{operation}: {}", answer.text());
    answer.json()
}

async fn pool(client: &mut Client, name: &str) -> String {
    let body = json!({
        "IdentityPoolName": name,
        "AllowUnauthenticatedIdentities": true,
        "DeveloperProviderName": PROVIDER,
    });
    text(
        &call(client, "CreateIdentityPool", body).await,
        "IdentityPoolId",
    )
}

/// A user of the developer's login system; without a name, a guest.
async fn user(client: &mut Client, pool: &str, name: Option<&str>) -> User {
    let mut wish = json!({});
    match name {
        Some(name) => {
            let body = json!({ "IdentityPoolId": pool, "Logins": { PROVIDER: name } });
            let given = call(client, "GetOpenIdTokenForDeveloperIdentity", body).await;
            wish["IdentityId"] = given["IdentityId"].clone();
            wish["Logins"] = json!({ OWN_PROVIDER: given["Token"] });
        }
        None => {
            let given = call(client, "GetId", json!({ "IdentityPoolId": pool })).await;
            wish["IdentityId"] = given["IdentityId"].clone();
        }
    }
    let given = call(client, "GetCredentialsForIdentity", wish).await;
    let keys = &given["Credentials"];
    User {
        identity: text(&given, "IdentityId"),
        credentials: Credentials {
            id: text(keys, "AccessKeyId"),
            secret: text(keys, "SecretKey"),
            token: Some(text(keys, "SessionToken")),
        },
    }
}

impl Town {
    /// Builds the town, with keys that can only be made while the server is stopped.
    async fn build() -> (Self, Server) {
        let server = Server::start().await;
        let mut client = server.client().await;
        let client_ = &mut client;
        let own = pool(client_, "own").await;
        let (other, doomed_pool) = (pool(client_, "other").await, pool(client_, "doomed").await);
        let mut town = Self {
            ann: user(client_, &own, Some("ann")).await,
            ben: user(client_, &own, Some("ben")).await,
            guest: user(client_, &own, None).await,
            gone: user(client_, &own, Some("gus")).await,
            foreigner: user(client_, &other, Some("ann")).await,
            doomed: [
                user(client_, &doomed_pool, None).await.identity,
                user(client_, &doomed_pool, None).await.identity,
            ],
            pool: own,
            doomed_pool,
            ..Self::default()
        };
        let body = json!({ "IdentityIdsToDelete": [town.gone.identity] });
        call(client_, "DeleteIdentities", body).await;
        drop(client);
        let server = server
            .restart(|config| town.make_keys(config, &other))
            .await;
        (town, server)
    }

    fn make_keys(&mut self, config: &Config, other: &String) {
        let keyring = Keyring::open(config).unwrap();
        let make = |pools: &[&String], read_only| {
            let (key, secret) = keyring
                .create(NewKey {
                    name: String::new(),
                    pools: pools.iter().map(|pool| (*pool).clone()).collect(),
                    read_only,
                })
                .unwrap();
            Credentials {
                id: key.id,
                secret: secret.expose().to_owned(),
                token: None,
            }
        };
        self.within = make(&[&self.pool, &self.doomed_pool], false);
        self.beyond = make(&[other], false);
        self.reader = make(&[], true);
        self.disabled = make(&[], false);
        self.deleted = make(&[], false);
        keyring.enable(&self.disabled.id, false).unwrap();
        keyring.delete(&self.deleted.id).unwrap();
        keyring.close().unwrap();
        let keys = Keys::obtain(&config.data).unwrap();
        let given_ms = (now() - 7200) * 1000;
        let given = access::give(&keys, &self.pool, &self.ann.identity, true, given_ms);
        self.expired = Credentials {
            id: given.access_key_id,
            secret: given.secret.expose().to_owned(),
            token: Some(given.session_token),
        };
    }

    /// What a column signs with; `None`: nothing.
    fn credentials(&self, column: Column) -> Option<Credentials> {
        let root = Credentials {
            id: ROOT.0.to_owned(),
            secret: ROOT.1.to_owned(),
            token: None,
        };
        let found = match column {
            Column::Nothing => return None,
            Column::WrongSignature => Credentials {
                secret: "another".to_owned(),
                ..root
            },
            Column::Root => root,
            Column::HeldWithin => self.within.clone(),
            Column::HeldBeyond => self.beyond.clone(),
            Column::ReadOnly => self.reader.clone(),
            Column::DisabledKey => self.disabled.clone(),
            Column::DeletedKey => self.deleted.clone(),
            Column::Own => self.ann.credentials.clone(),
            Column::OtherIdentity => self.ben.credentials.clone(),
            Column::OtherPool => self.foreigner.credentials.clone(),
            Column::Guest => self.guest.credentials.clone(),
            Column::DeletedIdentity => self.gone.credentials.clone(),
            Column::Expired => self.expired.clone(),
        };
        Some(found)
    }

    /// Whom a column asks about: an identity about itself where its name says nothing else.
    fn identity(&self, column: Column) -> &str {
        match column {
            Column::Guest => &self.guest.identity,
            Column::DeletedIdentity => &self.gone.identity,
            _ => &self.ann.identity,
        }
    }

    async fn ask_sync(
        &self,
        client: &mut Client,
        operation: SyncOperation,
        column: Column,
    ) -> Answer {
        let (method, template) = operation.route().unwrap();
        let target = self.target(template, column);
        self.ask(client, method, &target, column).await
    }

    fn target(&self, template: &str, column: Column) -> String {
        template
            .replace("{IdentityPoolId}", &self.pool.replace(':', "%3A"))
            .replace("{IdentityId}", &self.identity(column).replace(':', "%3A"))
            .replace("{DatasetName}", "game")
            .replace("{DeviceId}", "phone")
    }

    async fn ask(&self, client: &mut Client, method: &str, target: &str, column: Column) -> Answer {
        let body: &[u8] = if method == "POST" { b"{}" } else { b"" };
        match self.credentials(column) {
            Some(credentials) => {
                let signer = credentials.signer("cognito-sync");
                client.signed(&signer, method, target, &[], body).await
            }
            None => unsigned(client, method, target, "", body).await,
        }
    }

    async fn ask_identity(
        &self,
        client: &mut Client,
        operation: IdentityOperation,
        column: Column,
    ) -> Answer {
        let body = self.body(operation, column);
        match self.credentials(column) {
            Some(credentials) => {
                let signer = credentials.signer("cognito-identity");
                client.identity(&signer, operation.name(), &body).await
            }
            None => {
                let name = operation.name();
                let header = format!("X-Amz-Target: AWSCognitoIdentityService.{name}\r\n");
                unsigned(client, "POST", "/", &header, body.to_string().as_bytes()).await
            }
        }
    }

    /// One body for all operations: each takes the members that it knows.
    fn body(&self, operation: IdentityOperation, column: Column) -> Value {
        let pool = match operation {
            IdentityOperation::DeleteIdentityPool => &self.doomed_pool,
            _ => &self.pool,
        };
        // Where nobody's signature counts, all ask the same.
        let identity = if operation.is_signed() {
            self.identity(column)
        } else {
            &self.ann.identity
        };
        let doomed = &self.doomed[usize::from(column != Column::Root)];
        json!({
            "IdentityPoolId": pool,
            "IdentityId": identity,
            "IdentityIdsToDelete": [doomed],
            "ResourceArn":
                format!("arn:aws:cognito-identity:us-east-1:000000000000:identitypool/{pool}"),
            "IdentityPoolName": "own",
            "AllowUnauthenticatedIdentities": true,
            "DeveloperProviderName": PROVIDER,
            "DeveloperUserIdentifier": "nobody",
            "SourceUserIdentifier": "nobody",
            "DestinationUserIdentifier": "no one",
            "IdentityProviderName": PROVIDER,
            "Roles": {},
            "Tags": { "a": "b" },
            "TagKeys": ["c"],
            "LoginsToRemove": [PROVIDER],
            "MaxResults": 1,
        })
    }
}

async fn unsigned(
    client: &mut Client,
    method: &str,
    target: &str,
    header: &str,
    body: &[u8],
) -> Answer {
    let length = body.len();
    let head = format!(
        "{method} {target} HTTP/1.1\r\nHost: syncline.test\r\n{header}\
         Content-Length: {length}\r\n\r\n"
    );
    client.ask([head.as_bytes(), body].concat()).await
}

/// How an answer is written in the table.
fn symbol(answer: &Answer) -> char {
    if answer.status == 200 {
        return '.';
    }
    let body = answer.json();
    let message = body["message"].as_str().unwrap();
    match body["__type"].as_str().unwrap() {
        "MissingAuthenticationTokenException" => 'm',
        "InvalidSignatureException" => 's',
        "AccessDeniedException" => 'a',
        "ExpiredTokenException" => 'x',
        "NotAuthorizedException" if message.starts_with("These credentials are not") => 'n',
        "NotAuthorizedException" if message.starts_with("Access to Identity") => 'f',
        // Refused for what it says and not for who says it.
        _ if answer.status < 500 => '.',
        name => panic!("{name}: {message}"),
    }
}

fn row<'a>(table: &[(&str, &'a str)], name: &str) -> &'a str {
    let mut rows = table.iter().filter(|(row, _)| *row == name);
    let found = rows.next().unwrap_or_else(|| panic!("{name} has no row"));
    assert_eq!(rows.next(), None, "{name} has two rows");
    assert_eq!(found.1.len(), COLUMNS.len(), "{name}");
    found.1
}

#[tokio::test]
async fn every_cell_answers_as_the_table_says() {
    let (town, server) = Town::build().await;
    let mut client = server.client().await;
    let mut wrong = Vec::new();
    for operation in SyncOperation::ALL {
        let name = operation.name();
        for (column, expected) in COLUMNS.into_iter().zip(row(&SYNC, name).chars()) {
            let answer = town.ask_sync(&mut client, *operation, column).await;
            let found = symbol(&answer);
            if found != expected {
                wrong.push(format!("{name} {column:?}: {found} {}", answer.text()));
            }
        }
    }
    for operation in OwnOperation::ALL {
        let ((method, path), name) = (operation.route(), operation.name());
        for (column, expected) in COLUMNS.into_iter().zip(row(&OWN, name).chars()) {
            let target = town.target(path, column);
            // A stream of events takes its connection.
            let mut client = server.client().await;
            let answer = town.ask(&mut client, method, &target, column).await;
            let found = symbol(&answer);
            if found != expected {
                wrong.push(format!("{name} {column:?}: {found} {}", answer.text()));
            }
        }
    }
    for operation in IdentityOperation::ALL {
        let name = operation.name();
        let mut first: Option<(u16, Value)> = None;
        for (column, expected) in COLUMNS.into_iter().zip(row(&IDENTITY, name).chars()) {
            let answer = town.ask_identity(&mut client, *operation, column).await;
            let found = match expected {
                // Nobody's signature is looked at.
                '=' => {
                    let this = (answer.status, answer.json()["__type"].clone());
                    let same = *first.get_or_insert_with(|| this.clone()) == this;
                    if same { '=' } else { symbol(&answer) }
                }
                _ => symbol(&answer),
            };
            if found != expected {
                wrong.push(format!("{name} {column:?}: {found} {}", answer.text()));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "not as the table says:\n{}",
        wrong.join("\n")
    );
    let rows = SyncOperation::ALL.len() + IdentityOperation::ALL.len() + OwnOperation::ALL.len();
    assert_eq!(
        SYNC.len() + IDENTITY.len() + OWN.len(),
        rows,
        "a row without an operation"
    );
}
