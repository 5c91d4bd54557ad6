//! Firebase Cloud Messaging, played by a service that answers as its documentation says.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use super::*;

/// The file of a service account that gets its tokens at a service.
fn account(pair: &KeyPair, service: &WebService) -> String {
    let der: Pkcs8V1Der<'static> = pair.as_der().unwrap();
    let text = STANDARD.encode(der.as_ref());
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    let key = format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        lines.join("\n")
    );
    json!({
        "type": "service_account",
        "project_id": "game-1",
        "client_email": "push@game-1.example",
        "private_key": key,
        "token_uri": service.url(),
    })
    .to_string()
}

/// Gives out tokens, and refuses the first; knows one device that is gone.
fn as_fcm(seen: &Seen) -> Told {
    if seen.path == "/called" {
        return Told::json(&json!({ "access_token": "bearer-1", "expires_in": 3599 }));
    }
    let error = |status: u16, code: &str| {
        let details = json!([{ "@type": "type.googleapis.com/x.FcmError", "errorCode": code }]);
        let body = json!({ "error": { "code": status, "details": details } });
        Told::Now(status, Vec::new(), body.to_string())
    };
    match seen.json()["message"]["token"].as_str().unwrap() {
        "dead" => error(404, "UNREGISTERED"),
        "busy" => error(429, "QUOTA_EXCEEDED"),
        _ => Told::json(&json!({ "name": "projects/game-1/messages/1" })),
    }
}

/// A server that pushes by a service, with the account in a file.
async fn pushing(file: &Path, service: &WebService) -> Server {
    let push = PushConfig::Fcm {
        service_account: file.to_owned(),
        endpoint_url: Some(format!("http://{}", service.address)),
    };
    Server::start_with(|config| {
        config.push.insert(GCM.to_owned(), push);
    })
    .await
}

#[tokio::test]
async fn firebase_gets_a_message_with_a_token_of_its_own_and_tells_who_is_gone() {
    let service = WebService::start().await;
    service.answers(as_fcm);
    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("account.json");
    std::fs::write(&file, account(&pair, &service)).unwrap();
    let server = pushing(&file, &service).await;
    let mut scene = Scene::new(server.client().await).await;
    scene.follower("GCM", "alive").await;
    let dead = scene.follower("GCM", "dead").await;
    scene.follower("GCM", "busy").await;
    scene.write(None, false).await;
    scene.counted(GCM, "delivered", 1).await;
    scene.counted(GCM, "dead", 1).await;
    // Who was told to come later does, and is told to once more.
    scene.counted(GCM, "retried", 2).await;
    let answer = scene.subscribe(&dead).await;
    answer.exception(404, "ResourceNotFoundException");
    let seen = service.seen();
    let (asked, sent): (Vec<_>, Vec<_>) = seen.iter().partition(|seen| seen.path == "/called");
    // One token for all messages.
    assert_eq!(asked.len(), 1);
    let assertion = member(asked[0], "assertion");
    let (text, signature) = assertion.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key());
    public.verify(text.as_bytes(), &signature).unwrap();
    let claims = URL_SAFE_NO_PAD.decode(text.split_once('.').unwrap().1);
    let claims: Value = serde_json::from_slice(&claims.unwrap()).unwrap();
    assert_eq!(claims["iss"], "push@game-1.example");
    assert_eq!(claims["aud"], service.url());
    let alive = |seen: &&&Seen| seen.json()["message"]["token"] == "alive";
    let message = sent.iter().find(alive).unwrap();
    assert_eq!(message.path, "/v1/projects/game-1/messages:send");
    assert_eq!(message.header("authorization"), Some("Bearer bearer-1"));
    let expected = json!({
        "source": "cognito-sync",
        "identityPoolId": scene.guest.pool,
        "identityId": scene.guest.identity,
        "datasetName": "game",
        "syncCount": "2",
    });
    assert_eq!(message.json()["message"]["data"], expected);
}

#[tokio::test]
async fn an_account_that_cannot_be_read_only_delays() {
    let service = WebService::start().await;
    service.answers(as_fcm);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("account.json");
    let server = pushing(&file, &service).await;
    let mut scene = Scene::new(server.client().await).await;
    scene.follower("GCM", "alive").await;
    scene.write(None, false).await;
    scene.counted(GCM, "retried", 1).await;
    assert!(service.seen().is_empty());
    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    std::fs::write(&file, account(&pair, &service)).unwrap();
    scene.counted(GCM, "delivered", 1).await;
}
