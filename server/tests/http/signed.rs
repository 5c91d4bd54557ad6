//! Signed requests through the whole server: who is believed, and what comes back.

use std::time::{SystemTime, UNIX_EPOCH};

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use crate::client::{Answer, Client};
use crate::server::{ROOT, Server};
use crate::signer::Signer;

pub(crate) fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

/// The developer.
pub(crate) fn developer(service: &'static str) -> Signer<'static> {
    Signer {
        access_key_id: ROOT.0,
        secret: ROOT.1,
        security_token: None,
        service,
        now: now(),
        sends_hash: false,
    }
}

/// A guest of a new pool, with credentials.
pub(crate) struct Guest {
    pub(crate) pool: String,
    pub(crate) identity: String,
    access_key_id: String,
    secret: String,
    security_token: String,
}

impl Guest {
    /// Makes a pool as the developer and signs in to it.
    pub(crate) async fn new(client: &mut Client) -> Self {
        let root = developer("cognito-identity");
        let wish = json!({ "IdentityPoolName": "p", "AllowUnauthenticatedIdentities": true });
        let pool = client
            .identity(&root, "CreateIdentityPool", &wish)
            .await
            .json();
        Self::another(client, &text(&pool["IdentityPoolId"])).await
    }

    /// Signs in to a pool that is there.
    pub(crate) async fn another(client: &mut Client, pool: &str) -> Self {
        let root = developer("cognito-identity");
        let id = client
            .identity(&root, "GetId", &json!({ "IdentityPoolId": pool }))
            .await
            .json();
        let identity = text(&id["IdentityId"]);
        let wish = json!({ "IdentityId": identity });
        let given = client
            .identity(&root, "GetCredentialsForIdentity", &wish)
            .await
            .json();
        let given = &given["Credentials"];
        let (access_key_id, secret) = (text(&given["AccessKeyId"]), text(&given["SecretKey"]));
        Self {
            pool: pool.to_owned(),
            identity,
            access_key_id,
            secret,
            security_token: text(&given["SessionToken"]),
        }
    }

    pub(crate) fn signer(&self) -> Signer<'_> {
        Signer {
            access_key_id: &self.access_key_id,
            secret: &self.secret,
            security_token: Some(&self.security_token),
            service: "cognito-sync",
            now: now(),
            sends_hash: true,
        }
    }

    /// The path of a dataset, encoded as botocore does.
    pub(crate) fn dataset(&self, name: &str) -> String {
        let (pool, identity) = (
            self.pool.replace(':', "%3A"),
            self.identity.replace(':', "%3A"),
        );
        format!("/identitypools/{pool}/identities/{identity}/datasets/{name}")
    }

    /// Writes one value with a fresh session.
    pub(crate) async fn put(
        &self,
        client: &mut Client,
        key: &str,
        value: &str,
        count: u64,
    ) -> Answer {
        let path = self.dataset("game");
        let records = format!("{path}/records");
        let listed = client
            .signed(&self.signer(), "GET", &records, &[], b"")
            .await
            .json();
        let patch = json!({ "Op": "replace", "Key": key, "Value": value, "SyncCount": count });
        let body = json!({
            "SyncSessionToken": listed["SyncSessionToken"],
            "RecordPatches": [patch],
        });
        let body = body.to_string();
        client
            .signed(&self.signer(), "POST", &path, &[], body.as_bytes())
            .await
    }

    pub(crate) async fn list(&self, client: &mut Client) -> Value {
        let path = format!("{}/records?lastSyncCount=0", self.dataset("game"));
        client
            .signed(&self.signer(), "GET", &path, &[], b"")
            .await
            .json()
    }
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("no text: {value}"))
        .to_owned()
}

#[tokio::test]
async fn a_guest_signs_in_writes_conflicts_and_reads() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let guest = Guest::new(&mut client).await;
    let answer = guest.put(&mut client, "level", "7", 0).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.has("Content-Type: application/json");
    assert_eq!(answer.json()["Records"][0]["SyncCount"], 1);
    let answer = guest.put(&mut client, "level", "8", 0).await;
    let message = answer.exception(409, "ResourceConflictException");
    assert_eq!(message, "Current SyncCount for: level is: 1 not: 0");
    answer.has("x-amzn-ErrorMessage: Current SyncCount for: level is: 1 not: 0");
    let listed = guest.list(&mut client).await;
    assert_eq!(listed["Records"][0]["Value"], "7");
    assert_eq!(listed["DatasetSyncCount"], 1);
}

#[tokio::test]
async fn an_unknown_key_and_a_wrong_secret_answer_alike() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let guest = Guest::new(&mut client).await;
    let root = developer("cognito-sync");
    let wrong_secret = Signer {
        secret: "another",
        ..root
    };
    let unknown_key = Signer {
        access_key_id: "AKIANOBODY",
        ..root
    };
    let near_key = Signer {
        access_key_id: "AKIAROOS",
        ..root
    };
    let mut answers = Vec::new();
    for signer in [wrong_secret, unknown_key, near_key] {
        answers.push(
            client
                .signed(&signer, "GET", "/identitypools", &[], b"")
                .await,
        );
    }
    for answer in &answers {
        answer.exception(403, "InvalidSignatureException");
        assert_eq!(answer.text(), answers[0].text());
        assert_eq!(
            answer.header("x-amzn-ErrorMessage"),
            answers[0].header("x-amzn-ErrorMessage")
        );
    }
    // The same with temporary credentials, whose token is in the canonical request.
    let good = guest.signer();
    let other = Signer {
        secret: "another",
        ..good
    };
    let path = guest.dataset("game");
    let one = client.signed(&other, "GET", &path, &[], b"").await;
    let other = Signer {
        access_key_id: "ASIAAAAAAAAAAAAAAAAA",
        ..good
    };
    let two = client.signed(&other, "GET", &path, &[], b"").await;
    one.exception(403, "InvalidSignatureException");
    assert_eq!(one.text(), two.text());
    // And a token that is none, or none at all.
    for token in [Some("bad"), None] {
        let other = Signer {
            security_token: token,
            ..good
        };
        let answer = client.signed(&other, "GET", &path, &[], b"").await;
        answer.exception(403, "InvalidSignatureException");
    }
}

#[tokio::test]
async fn each_api_wants_its_own_service_name() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let answer = client
        .signed(
            &developer("cognito-identity"),
            "GET",
            "/identitypools",
            &[],
            b"",
        )
        .await;
    answer.exception(403, "InvalidSignatureException");
    let wish = json!({ "MaxResults": 1 });
    let answer = client
        .identity(&developer("cognito-sync"), "ListIdentityPools", &wish)
        .await;
    answer.exception(400, "InvalidSignatureException");
    let answer = client
        .identity(&developer("cognito-identity"), "ListIdentityPools", &wish)
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.has("Content-Type: application/x-amz-json-1.1");
}

#[tokio::test]
async fn only_configured_regions_and_recent_signatures_are_believed() {
    let server = Server::start_with(|config| config.regions = vec!["us-east-1".to_owned()]).await;
    let mut client = server.client().await;
    let root = developer("cognito-sync");
    let answer = client
        .signed(&root, "GET", "/identitypools", &[], b"")
        .await;
    let message = answer.exception(403, "InvalidSignatureException");
    assert!(message.contains("valid region"), "{message}");

    let server = Server::start().await;
    let mut client = server.client().await;
    let late = Signer {
        now: root.now - 310,
        ..root
    };
    let answer = client
        .signed(&late, "GET", "/identitypools", &[], b"")
        .await;
    let message = answer.exception(403, "InvalidSignatureException");
    assert!(message.starts_with("Signature expired: "), "{message}");
}

#[tokio::test]
async fn the_key_set_is_published() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let answer = client
        .ask("GET /.well-known/jwks.json HTTP/1.1\r\nHost: x\r\n\r\n")
        .await;
    assert_eq!(answer.json()["keys"][0]["kty"], "RSA");
    let page = "GET /.well-known/openid-configuration HTTP/1.1\r\nHost: x\r\n\r\n";
    let issuer = format!("http://{}", server.address);
    assert_eq!(client.ask(page).await.json()["issuer"], issuer);
}

/// Bodies that are nearly right: whatever they are, the answer is a success or a specific
/// refusal, never our fault, and what was there before is still there after all of them.
#[tokio::test]
async fn damaged_bodies_are_refused_and_change_nothing() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let guest = Guest::new(&mut client).await;
    guest.put(&mut client, "kept", "as it is", 0).await;
    let path = guest.dataset("other");
    let body = json!({
        "SyncSessionToken": "dG9rZW4",
        "DeviceId": "a-device",
        "RecordPatches": [
            { "Op": "replace", "Key": "a", "Value": "1\u{e4}", "SyncCount": 0,
              "DeviceLastModifiedDate": 1_700_574_873.059 },
            { "Op": "remove", "Key": "b", "SyncCount": 12 },
        ],
    })
    .to_string();
    let damage = proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..4);
    let mut runner = TestRunner::deterministic();
    for _ in 0..400 {
        let mut damaged = body.clone().into_bytes();
        for (at, byte) in damage.new_tree(&mut runner).unwrap().current() {
            let at = at.index(damaged.len());
            match byte % 4 {
                0 => drop(damaged.remove(at)),
                1 => damaged.insert(at, byte),
                2 => damaged.truncate(at.max(1)),
                _ => damaged[at] = byte,
            }
        }
        let answer = client
            .signed(&guest.signer(), "POST", &path, &[], &damaged)
            .await;
        let shown = String::from_utf8_lossy(&damaged);
        assert!(
            (400..500).contains(&answer.status),
            "{shown}\n{}",
            answer.text()
        );
        let kind = answer.json()["__type"].as_str().unwrap().to_owned();
        let specific = ["SerializationException", "InvalidParameterException"];
        assert!(specific.contains(&kind.as_str()), "{kind}: {shown}");
    }
    let listed = guest.list(&mut client).await;
    assert_eq!(listed["Records"][0]["Value"], "as it is");
    let usage = format!("{}/records", guest.dataset("other"));
    let other = client
        .signed(&guest.signer(), "GET", &usage, &[], b"")
        .await
        .json();
    assert_eq!(other["DatasetExists"], false);
}

#[tokio::test]
async fn whatever_bytes_come_the_server_stays() {
    // Where damage makes the server wait for more, it must not wait long.
    let server = Server::start_with(|config| {
        config.timeouts.header_ms = 30;
        config.timeouts.body_ms = 30;
        config.timeouts.idle_ms = 30;
    })
    .await;
    let request = "POST /identitypools/a?b=c HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\
                   Authorization: AWS4-HMAC-SHA256 Credential=a/20261122/b/cognito-sync/\
                   aws4_request, SignedHeaders=host, Signature=00\r\nX-Amz-Date: \
                   20261122T000000Z\r\n\r\nbody";
    let damage = proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..9);
    let mut runner = TestRunner::deterministic();
    for _ in 0..300 {
        let mut damaged = request.as_bytes().to_vec();
        for (at, byte) in damage.new_tree(&mut runner).unwrap().current() {
            let at = at.index(damaged.len());
            damaged[at] = byte;
        }
        let mut client = server.client().await;
        client.send(&damaged).await;
        // What it answers, if anything, is not the point here; that it ends is.
        client.drain().await;
    }
    let mut client = server.client().await;
    let page = client.ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(!page.text().contains("status=\"500\""), "{}", page.text());
}
