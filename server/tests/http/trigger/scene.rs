//! A pool with a function, and what a guest of it does.

use serde_json::{Value, json};
use syncline_server::config::FunctionConfig;

use crate::client::{Answer, Client};
use crate::server::Server;
use crate::signed::{Guest, developer};
use crate::webservice::WebService;

pub(super) const ARN: &str = "arn:aws:lambda:us-east-1:000000000000:function:check";
pub(super) const UNUSABLE: &str = "InvalidLambdaFunctionOutputException";

/// A server whose pool has the function, and a guest of that pool.
pub(super) struct Scene {
    pub(super) server: Server,
    pub(super) client: Client,
    pub(super) guest: Guest,
    pub(super) function: WebService,
}

impl Scene {
    pub(super) async fn new() -> Self {
        Self::with(|function| format!("url = \"{}\"", function.url())).await
    }

    pub(super) async fn with(section: impl Fn(&WebService) -> String) -> Self {
        let function = WebService::start().await;
        let section: FunctionConfig = toml::from_str(&section(&function)).unwrap();
        let server = Server::start_with(|config| {
            config.functions.insert(ARN.to_owned(), section);
        })
        .await;
        let mut client = server.client().await;
        let guest = Guest::new(&mut client).await;
        let mut scene = Self {
            server,
            client,
            guest,
            function,
        };
        scene.set(ARN).await;
        scene
    }

    pub(super) async fn set(&mut self, arn: &str) {
        let path = format!(
            "/identitypools/{}/events",
            self.guest.pool.replace(':', "%3A")
        );
        let body = json!({ "Events": { "SyncTrigger": arn } }).to_string();
        let root = developer("cognito-sync");
        let answer = self
            .client
            .signed(&root, "POST", &path, &[], body.as_bytes());
        assert_eq!(answer.await.status, 200);
    }

    pub(super) async fn token(&mut self) -> String {
        let listed = self.guest.list(&mut self.client).await;
        listed["SyncSessionToken"].as_str().unwrap().to_owned()
    }

    pub(super) async fn update(&mut self, patches: &Value) -> Answer {
        let token = self.token().await;
        send(&self.guest, &mut self.client, &token, patches, false).await
    }

    /// The same by the developer, whom no function hinders.
    pub(super) async fn behind(&mut self, patches: &Value) {
        let token = self.token().await;
        let answer = send(&self.guest, &mut self.client, &token, patches, true).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    /// Keys and values that are stored, and the count.
    pub(super) async fn stored(&mut self) -> (Value, u64) {
        let listed = self.guest.list(&mut self.client).await;
        let records = listed["Records"].as_array().unwrap().iter();
        let pairs = records.map(|record| {
            let key = record["Key"].as_str().unwrap().to_owned();
            (key, record["Value"].clone())
        });
        let count = listed["DatasetSyncCount"].as_u64().unwrap();
        (Value::Object(pairs.collect()), count)
    }
}

pub(super) async fn send(
    guest: &Guest,
    client: &mut Client,
    token: &str,
    patches: &Value,
    as_developer: bool,
) -> Answer {
    let body = json!({ "SyncSessionToken": token, "RecordPatches": patches }).to_string();
    let signer = if as_developer {
        developer("cognito-sync")
    } else {
        guest.signer()
    };
    let path = guest.dataset("game");
    client
        .signed(&signer, "POST", &path, &[], body.as_bytes())
        .await
}

pub(super) fn write(key: &str, value: &str, count: u64) -> Value {
    json!({ "Op": "replace", "Key": key, "Value": value, "SyncCount": count })
}

pub(super) fn remove(key: &str, count: u64) -> Value {
    json!({ "Op": "remove", "Key": key, "SyncCount": count })
}

/// Keys, values and counts of an answer, in its order.
pub(super) fn told(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let body = answer.json();
    let records = body["Records"].as_array().unwrap().iter();
    records
        .map(|record| json!([record["Key"], record["Value"], record["SyncCount"]]))
        .collect()
}
