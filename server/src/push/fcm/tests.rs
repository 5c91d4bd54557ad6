use std::time::Duration;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::super::fixture::{Answered, Came, NOW, Service, nobody, parcel};
use super::*;
use crate::site::stored::Platform;

/// A sender to that address, whose account gets its tokens at a service.
struct Sender {
    fcm: Fcm,
    _directory: tempfile::TempDir,
}

impl Sender {
    fn new(address: std::net::SocketAddr, tokens: &Service) -> Self {
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let der: Pkcs8V1Der<'static> = pair.as_der().unwrap();
        let text = STANDARD.encode(der.as_ref());
        let account = json!({
            "project_id": "game-1",
            "client_email": "push@game-1.example",
            "private_key": format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END-----\n"),
            "token_uri": format!("http://{}/token", tokens.address),
        });
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("account.json");
        std::fs::write(&file, account.to_string()).unwrap();
        let peer = Peer::new(&format!("http://{address}"), 16).unwrap();
        Self {
            fcm: Fcm::new("application", peer, file),
            _directory: directory,
        }
    }

    async fn send(&self, told: &str) -> Verdict {
        let parcel = parcel(Platform::Gcm, told);
        let verdicts = self.fcm.send(&[parcel], NOW).await;
        verdicts[0]
    }
}

fn token_of(came: &Came) -> String {
    let message: Value = serde_json::from_str(&came.body).unwrap();
    message["message"]["token"].as_str().unwrap().to_owned()
}

/// Gives out a token, always the same. A device's token is the status, the code and what else
/// there is to the answer that it gets.
fn as_told(came: &Came) -> Answered {
    if came.path == "/token" {
        return Some((200, None, json!({ "access_token": "bearer" }).to_string()));
    }
    let token = token_of(came);
    let mut parts = token.split('-');
    let mut next = || parts.next().unwrap_or_default().to_owned();
    let (status, code, more) = (next(), next(), next());
    let status = status.parse().ok()?;
    let mut error = json!({ "code": status, "status": code, "message": more, "details": [] });
    let details = error["details"].as_array_mut().unwrap();
    if more == "field" {
        let fields = [json!({ "field": "message.token", "description": "Invalid" })];
        let kind = "type.googleapis.com/google.rpc.BadRequest";
        details.push(json!({ "@type": kind, "fieldViolations": fields }));
    }
    if !code.is_empty() && more != "bare" {
        let kind = "type.googleapis.com/google.firebase.fcm.v1.FcmError";
        details.push(json!({ "@type": kind, "errorCode": code }));
    }
    let body = json!({ "error": error }).to_string();
    Some((status, more.parse().ok(), body))
}

#[tokio::test]
async fn every_code_has_the_consequence_that_google_documents() {
    let service = Service::start(as_told).await;
    let sender = Sender::new(service.address, &service);
    let wait = Duration::from_secs(60);
    for (told, expected) in [
        ("200", Verdict::Delivered),
        ("404-UNREGISTERED", Verdict::Dead),
        ("403-SENDER_ID_MISMATCH", Verdict::Dead),
        ("400-INVALID_ARGUMENT-field", Verdict::Dead),
        (
            "400-INVALID_ARGUMENT-The registration token is not a valid FCM registration token",
            Verdict::Dead,
        ),
        ("400-INVALID_ARGUMENT-Message too big", Verdict::Refused),
        ("429-QUOTA_EXCEEDED", Verdict::Failed),
        ("429-QUOTA_EXCEEDED-60", Verdict::FailedFor(wait)),
        ("500-INTERNAL", Verdict::Failed),
        ("503-UNAVAILABLE", Verdict::Away),
        ("503-UNAVAILABLE-60", Verdict::AwayFor(wait)),
        ("401-THIRD_PARTY_AUTH_ERROR", Verdict::Failed),
        // Of the account or the project, which may be put right.
        ("401-UNAUTHENTICATED-bare", Verdict::Away),
        ("403-PERMISSION_DENIED-bare", Verdict::Away),
        ("404-NOT_FOUND-bare", Verdict::Away),
    ] {
        assert_eq!(sender.send(told).await, expected, "{told}");
    }
}

#[tokio::test]
async fn no_device_is_dropped_for_what_may_be_the_wrong_account() {
    let service = Service::start(as_told).await;
    let sender = Sender::new(service.address, &service);
    for (told, expected) in [
        ("403-SENDER_ID_MISMATCH", Verdict::Away),
        ("404-UNREGISTERED", Verdict::Dead),
        ("403-SENDER_ID_MISMATCH", Verdict::Away),
        ("200", Verdict::Delivered),
        ("403-SENDER_ID_MISMATCH", Verdict::Dead),
    ] {
        assert_eq!(sender.send(told).await, expected, "{told}");
    }
}

#[tokio::test]
async fn a_message_that_ends_its_connection_fails_by_itself() {
    let service = Service::start(as_told).await;
    let sender = Sender::new(service.address, &service);
    assert_eq!(sender.send("hang up").await, Verdict::Failed);
    assert_eq!(sender.send("200").await, Verdict::Delivered);
    // Where nothing listens that is nobody's fault.
    let sender = Sender::new(nobody().await, &service);
    assert_eq!(sender.send("200").await, Verdict::Away);
}

/// Gives out one bearer after the other by what was asked with; the first two are refused.
fn as_forgetful(came: &Came) -> Answered {
    static GIVEN: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    if came.path == "/token" {
        let number = GIVEN.fetch_add(1, Ordering::Relaxed);
        let token = json!({ "access_token": number.to_string(), "expires_in": 3599 });
        return Some((200, None, token.to_string()));
    }
    match came.authorization.as_str() {
        "Bearer 0" | "Bearer 1" => Some((401, None, String::new())),
        _ => Some((200, None, "{}".to_owned())),
    }
}

#[tokio::test]
async fn a_bearer_that_is_refused_is_replaced_before_the_next_try() {
    let service = Service::start(as_forgetful).await;
    let sender = Sender::new(service.address, &service);
    for expected in [
        Verdict::Away,
        Verdict::Away,
        Verdict::Delivered,
        Verdict::Delivered,
    ] {
        assert_eq!(sender.send("device").await, expected);
    }
    let asked = |came: &Came| came.path == "/token";
    assert_eq!(service.came().iter().filter(|came| asked(came)).count(), 3);
    // Who is told late that one of before was refused does not throw away the newest.
    sender.fcm.shared.forget("0").await;
    assert_eq!(sender.send("device").await, Verdict::Delivered);
    assert_eq!(service.came().iter().filter(|came| asked(came)).count(), 3);
}

#[tokio::test]
async fn a_token_that_cannot_be_had_is_asked_for_once_for_all_messages() {
    let service = Service::start(|_| Some((400, None, "{}".to_owned()))).await;
    let mut sender = Sender::new(service.address, &service);
    let batch = vec![parcel(Platform::Gcm, "device"); 100];
    for (pause, asked) in [(Duration::from_secs(3600), 1), (Duration::ZERO, 101)] {
        Arc::get_mut(&mut sender.fcm.shared).unwrap().pause = pause;
        let verdicts = sender.fcm.send(&batch, NOW).await;
        assert_eq!(verdicts, vec![Verdict::Away; 100]);
        // Whoever comes when the failure is believed no more asks again.
        assert_eq!(service.came().len(), asked);
    }
}
