use std::convert::Infallible;
use std::future::pending;
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
use tokio::net::TcpListener;
use tokio::sync::Notify;

use super::super::fixture::{self, NOW, nobody};
use super::*;
use crate::site::stored::Platform;

/// What is answered to a token and a bearer: a status and a body.
type Answering = fn(&str, &str) -> (u16, Value);
/// The status of no answer: the connection ends instead.
const BREAK: u16 = 0;

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
                let broken = Arc::new(Notify::new());
                let breaking = Arc::clone(&broken);
                let service = service_fn(move |request: Request<Incoming>| {
                    let bearer = request.headers()["authorization"].to_str().unwrap();
                    seen.lock().unwrap().push(bearer.to_owned());
                    let token = request.uri().path().strip_prefix("/3/device/").unwrap();
                    let (status, body) = answering(token, bearer);
                    let breaking = Arc::clone(&breaking);
                    async move {
                        if status == BREAK {
                            breaking.notify_one();
                            pending::<()>().await;
                        }
                        let answer = Response::builder().status(status);
                        let answer = answer.body(Full::new(Bytes::from(body.to_string())));
                        Ok::<_, Infallible>(answer.unwrap())
                    }
                });
                let builder = http2::Builder::new(TokioExecutor::new());
                let serving = builder.serve_connection(TokioIo::new(stream), service);
                tokio::spawn(async move {
                    tokio::select! {
                        _ = serving => {}
                        () = broken.notified() => {}
                    }
                });
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
    fixture::parcel(Platform::Apns, token)
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

/// One message ends the connection, the others arrive.
fn as_breaking(token: &str, _bearer: &str) -> (u16, Value) {
    (if token == "break" { BREAK } else { 200 }, json!({}))
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
        ("410-Unregistered-999", Verdict::Refused),
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
async fn no_device_is_dropped_for_what_may_be_wrong_for_all() {
    let apple = Apple::start(as_told).await;
    let sender = apple.sender();
    for (told, expected) in [
        ("400-BadDeviceToken", Verdict::Away),
        ("400-DeviceTokenNotForTopic", Verdict::Away),
        // Says that the token was once good here.
        ("410-Unregistered-2000", Verdict::Dead),
        ("400-BadDeviceToken", Verdict::Away),
        ("200-", Verdict::Delivered),
        ("400-BadDeviceToken", Verdict::Dead),
        ("400-DeviceTokenNotForTopic", Verdict::Dead),
    ] {
        let verdicts = sender.send(&[parcel(told)], NOW).await;
        assert_eq!(verdicts, [expected], "{told}");
    }
}

#[tokio::test]
async fn what_is_no_token_of_apples_is_not_sent() {
    let apple = Apple::start(as_told).await;
    let sender = apple.sender();
    let long = format!("200-{}", "a".repeat(396));
    assert_eq!(
        sender.send(&[parcel(&long)], NOW).await,
        [Verdict::Delivered]
    );
    let longer = parcel(&format!("{long}a"));
    assert_eq!(sender.send(&[longer], NOW).await, [Verdict::Dead]);
    assert_eq!(apple.bearers().len(), 1);
}

#[tokio::test]
async fn a_message_that_ends_the_connection_fails_by_itself() {
    let apple = Apple::start(as_breaking).await;
    let sender = apple.sender();
    assert_eq!(
        sender.send(&[parcel("break")], NOW).await,
        [Verdict::Failed]
    );
    assert_eq!(sender.send(&[parcel("a")], NOW).await, [Verdict::Delivered]);
    // Where nothing listens that is nobody's fault.
    let sender = Apple {
        address: nobody().await,
        ..apple
    };
    let sender = sender.sender();
    assert_eq!(sender.send(&[parcel("a")], NOW).await, [Verdict::Away]);
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

#[tokio::test]
async fn a_token_of_a_time_to_come_is_replaced() {
    let apple = Apple::start(as_told).await;
    let sender = apple.sender();
    // Clocks that are set little by little may go back a little.
    for (seconds, tokens) in [(NOW, 1), (NOW - 60, 1), (NOW - 61, 2), (NOW, 2)] {
        let sent = sender.send(&[parcel("200-")], seconds).await;
        assert_eq!(sent, [Verdict::Delivered]);
        let mut bearers = apple.bearers();
        bearers.dedup();
        assert_eq!(bearers.len(), tokens, "at {seconds}");
    }
    let last = apple.bearers().pop().unwrap();
    assert_eq!(apple.claims(&last)["iat"], NOW - 61);
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
