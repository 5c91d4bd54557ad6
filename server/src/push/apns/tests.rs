use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Mutex as StdMutex;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, KeyPair as _, UnparsedPublicKey};
use base64::engine::general_purpose::STANDARD;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use syncline_engine::{DatasetId, DatasetName, IdentityId, PoolId};
use tokio::net::TcpListener;

use super::super::message::Message;
use super::*;
use crate::site::stored::{DeviceRecord, Platform};

const NOW: u64 = 1_700_000_000;

/// What is answered to a token and a bearer: a status and a body.
type Answering = fn(&str, &str) -> (u16, Value);

/// Apple, which keeps the bearers that it saw.
struct Apple {
    address: SocketAddr,
    bearers: Arc<StdMutex<Vec<String>>>,
    directory: tempfile::TempDir,
    pair: EcdsaKeyPair,
}

impl Apple {
    async fn start(answering: Answering) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let bearers: Arc<StdMutex<Vec<String>>> = Arc::default();
        let seen = Arc::clone(&bearers);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let seen = Arc::clone(&seen);
                let service = service_fn(move |request: Request<Incoming>| {
                    let bearer = request.headers()["authorization"].to_str().unwrap();
                    seen.lock().unwrap().push(bearer.to_owned());
                    let token = request.uri().path().strip_prefix("/3/device/").unwrap();
                    let (status, body) = answering(token, bearer);
                    let answer = Response::builder().status(status);
                    let answer = answer.body(Full::new(Bytes::from(body.to_string())));
                    async { Ok::<_, Infallible>(answer.unwrap()) }
                });
                let builder = http2::Builder::new(TokioExecutor::new());
                tokio::spawn(builder.serve_connection(TokioIo::new(stream), service));
            }
        });
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let der = pair.to_pkcs8v1().unwrap();
        let text = STANDARD.encode(der.as_ref());
        let key = format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n");
        std::fs::write(directory.path().join("key.p8"), key).unwrap();
        Self {
            address,
            bearers,
            directory,
            pair,
        }
    }

    fn sender(&self) -> Apns {
        let line = Line::new(&format!("http://{}", self.address), 10).unwrap();
        let config = ApnsConfig {
            key_file: self.directory.path().join("key.p8"),
            key_id: "ABC123DEFG".to_owned(),
            team_id: "DEF123GHIJ".to_owned(),
            topic: "com.example.game".to_owned(),
            endpoint_url: None,
        };
        Apns::new("application", line, config)
    }

    fn bearers(&self) -> Vec<String> {
        self.bearers.lock().unwrap().clone()
    }

    /// What the claims of a bearer are, which is signed with the key.
    fn claims(&self, bearer: &str) -> Value {
        let (text, signature) = bearer["bearer ".len()..].rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let public = self.pair.public_key().as_ref();
        let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, public);
        public.verify(text.as_bytes(), &signature).unwrap();
        let claims = URL_SAFE_NO_PAD.decode(text.split_once('.').unwrap().1);
        serde_json::from_slice(&claims.unwrap()).unwrap()
    }
}

fn parcel(token: &str) -> Parcel {
    Parcel {
        message: Message {
            dataset: DatasetId {
                pool: PoolId::parse("r:1").unwrap(),
                identity: IdentityId::parse("r:2").unwrap(),
                name: DatasetName::parse("game").unwrap(),
            },
            device: Uuid::from_u128(1),
        },
        sync_count: 7,
        device: DeviceRecord {
            platform: Platform::Apns,
            token: token.to_owned(),
            registered_ms: 1000,
        },
    }
}

/// A token is the status and the reason that it gets.
fn as_told(token: &str, _bearer: &str) -> (u16, Value) {
    let (status, reason) = token.split_once('-').unwrap();
    let mut body = json!({ "reason": reason });
    if let Some((reason, timestamp)) = reason.split_once('-') {
        body = json!({ "reason": reason, "timestamp": timestamp.parse::<u64>().unwrap() });
    }
    (status.parse().unwrap(), body)
}

#[tokio::test]
async fn every_reason_has_the_consequence_that_apple_documents() {
    let apple = Apple::start(as_told).await;
    let sender = apple.sender();
    for (told, expected) in [
        ("200-", Verdict::Delivered),
        ("410-Unregistered-2000", Verdict::Dead),
        ("410-ExpiredToken-2000", Verdict::Dead),
        // It was of nobody before the device registered it again.
        ("410-Unregistered-999", Verdict::Failed),
        ("400-BadDeviceToken", Verdict::Dead),
        ("400-DeviceTokenNotForTopic", Verdict::Dead),
        ("400-BadTopic", Verdict::Away),
        ("400-TopicDisallowed", Verdict::Away),
        ("400-BadCollapseId", Verdict::Refused),
        ("403-InvalidProviderToken", Verdict::Away),
        ("413-PayloadTooLarge", Verdict::Refused),
        ("429-TooManyRequests", Verdict::Failed),
        ("429-TooManyProviderTokenUpdates", Verdict::Away),
        ("500-InternalServerError", Verdict::Failed),
        ("503-ServiceUnavailable", Verdict::Away),
        ("503-Shutdown", Verdict::Away),
    ] {
        let verdicts = sender.send(&[parcel(told)], NOW).await;
        assert_eq!(verdicts, [expected], "{told}");
    }
    // One token for all, whatever was refused: Apple would not take another so soon.
    let bearers = apple.bearers();
    assert!(bearers.iter().all(|bearer| *bearer == bearers[0]));
    let claims = json!({ "iss": "DEF123GHIJ", "iat": NOW });
    assert_eq!(apple.claims(&bearers[0]), claims);
}

#[tokio::test]
async fn a_token_is_used_for_forty_minutes() {
    let apple = Apple::start(as_told).await;
    let sender = apple.sender();
    let parcels = [parcel("200-"), parcel("200-")];
    for (minutes, tokens) in [(0, 1), (39, 1), (40, 2), (79, 2), (300, 3)] {
        let sent = sender.send(&parcels, NOW + minutes * 60).await;
        assert_eq!(sent, [Verdict::Delivered; 2]);
        let mut bearers = apple.bearers();
        bearers.dedup();
        assert_eq!(bearers.len(), tokens, "after {minutes} minutes");
    }
    let last = apple.bearers().pop().unwrap();
    assert_eq!(apple.claims(&last)["iat"], NOW + 300 * 60);
}

/// Takes tokens that were made at that time, in the claims of `bearer`.
fn as_forgetful(_token: &str, bearer: &str) -> (u16, Value) {
    let claims = bearer.split('.').nth(1).unwrap();
    let claims = URL_SAFE_NO_PAD.decode(claims).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    match claims["iat"] == NOW {
        true => (403, json!({ "reason": "ExpiredProviderToken" })),
        false => (200, json!({})),
    }
}

#[tokio::test]
async fn an_expired_token_is_renewed_once_and_not_too_soon() {
    let apple = Apple::start(as_forgetful).await;
    let sender = apple.sender();
    let parcels = [parcel("a"), parcel("b")];
    // A second one within 20 minutes would be refused, too.
    for minutes in [0, 19] {
        let sent = sender.send(&parcels, NOW + minutes * 60).await;
        assert_eq!(sent, [Verdict::Away; 2]);
    }
    assert_eq!(apple.bearers().len(), 4);
    let sent = sender.send(&parcels, NOW + 20 * 60).await;
    assert_eq!(sent, [Verdict::Delivered; 2]);
    let mut bearers = apple.bearers();
    bearers.sort();
    bearers.dedup();
    assert_eq!(bearers.len(), 2);
}

#[tokio::test]
async fn a_key_that_cannot_be_used_only_delays() {
    let apple = Apple::start(as_told).await;
    let sender = apple.sender();
    let file = apple.directory.path().join("key.p8");
    let key = std::fs::read(&file).unwrap();
    let short: &[u8] = b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    for bad in [short, b"", b"\xff"] {
        std::fs::write(&file, bad).unwrap();
        assert_eq!(sender.send(&[parcel("200-")], NOW).await, [Verdict::Away]);
    }
    assert!(apple.bearers().is_empty());
    std::fs::write(&file, key).unwrap();
    let sent = sender.send(&[parcel("200-")], NOW).await;
    assert_eq!(sent, [Verdict::Delivered]);
}
