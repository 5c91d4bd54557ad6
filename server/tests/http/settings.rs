//! Configuration, functions, bulk publishing and devices, byte for byte as old clients read them.

use serde_json::json;

use crate::client::{Answer, Client};
use crate::server::Server;
use crate::signed::{Guest, developer};

async fn post(client: &mut Client, path: &str, body: &str) -> Answer {
    let headers = [("Content-Type", "application/json")];
    let root = developer("cognito-sync");
    client
        .signed(&root, "POST", path, &headers, body.as_bytes())
        .await
}

async fn get(client: &mut Client, path: &str) -> Answer {
    let root = developer("cognito-sync");
    client.signed(&root, "GET", path, &[], b"").await
}

fn is(answer: &Answer, text: &str) {
    assert_eq!((answer.status, answer.text()), (200, text));
}

#[tokio::test]
async fn settings_of_a_pool_in_raw_json() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let pool = Guest::new(&mut client).await.pool;
    let path = format!("/identitypools/{}", pool.replace(':', "%3A"));
    let (configuration, events) = (format!("{path}/configuration"), format!("{path}/events"));
    let none = format!(r#"{{"IdentityPoolId":"{pool}"}}"#);
    is(&get(&mut client, &configuration).await, &none);
    let push = r#""PushSync":{"ApplicationArns":["arn:aws:sns:us-east-1:1:app/GCM/game"]}"#;
    let streams = r#""CognitoStreams":{"StreamName":"s","StreamingStatus":"ENABLED"}"#;
    let both = format!("{{{push},{streams}}}");
    let expected = format!(r#"{{"IdentityPoolId":"{pool}",{push},{streams}}}"#);
    is(&post(&mut client, &configuration, &both).await, &expected);
    is(&get(&mut client, &configuration).await, &expected);

    let function = r#"{"Events":{"SyncTrigger":"arn:aws:lambda:us-east-1:1:function:f"}}"#;
    is(&get(&mut client, &events).await, r#"{"Events":{}}"#);
    is(&post(&mut client, &events, function).await, "{}");
    is(&get(&mut client, &events).await, function);
    let remove = r#"{"Events":{"SyncTrigger":""}}"#;
    is(&post(&mut client, &events, remove).await, "{}");

    let details = format!("{path}/getBulkPublishDetails");
    let never = format!(r#"{{"IdentityPoolId":"{pool}","BulkPublishStatus":"NOT_STARTED"}}"#);
    is(&post(&mut client, &details, "").await, &never);
    is(
        &post(&mut client, &format!("{path}/bulkpublish"), "{}").await,
        &none,
    );
    let begun = post(&mut client, &details, "").await;
    assert_eq!(begun.json()["BulkPublishStatus"], "IN_PROGRESS");
    let other = get(&mut client, &format!("{path}/getBulkPublishDetails")).await;
    other.exception(405, "MethodNotAllowedException");
    let off = r#"{"CognitoStreams":{}}"#;
    assert_eq!(post(&mut client, &configuration, off).await.status, 200);
    let refused = post(&mut client, &format!("{path}/bulkpublish"), "").await;
    refused.exception(400, "InvalidParameterException");
}

#[tokio::test]
async fn a_device_from_registration_to_unsubscription() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let guest = Guest::new(&mut client).await;
    let pool = guest.pool.replace(':', "%3A");
    // "identity", not "identities": the service's own spelling.
    let register = format!("/identitypools/{pool}/identity/{}/device", guest.identity);
    let body = json!({ "Platform": "GCM", "Token": "t" }).to_string();
    let (signer, body) = (guest.signer(), body.as_bytes());
    let answer = client.signed(&signer, "POST", &register, &[], body).await;
    answer.exception(400, "InvalidConfigurationException");
    let push = r#"{"PushSync":{"ApplicationArns":["arn:aws:sns:us-east-1:1:app/GCM/game"]}}"#;
    let configuration = format!("/identitypools/{pool}/configuration");
    assert_eq!(post(&mut client, &configuration, push).await.status, 200);
    let answer = client.signed(&signer, "POST", &register, &[], body).await;
    let device = answer.json()["DeviceId"].as_str().unwrap().to_owned();
    is(&answer, &format!(r#"{{"DeviceId":"{device}"}}"#));
    let subscription = format!("{}/subscriptions/{device}", guest.dataset("game"));
    let early = client
        .signed(&signer, "POST", &subscription, &[], b"")
        .await;
    early.exception(404, "ResourceNotFoundException");
    assert_eq!(guest.put(&mut client, "k", "v", 0).await.status, 200);
    is(
        &client
            .signed(&signer, "POST", &subscription, &[], b"")
            .await,
        "{}",
    );
    is(
        &client
            .signed(&signer, "DELETE", &subscription, &[], b"")
            .await,
        "{}",
    );
    let again = client
        .signed(&signer, "DELETE", &subscription, &[], b"")
        .await;
    again.exception(404, "ResourceNotFoundException");
    let root = developer("cognito-sync");
    let answer = client.signed(&root, "POST", &register, &[], body).await;
    let message = answer.exception(403, "NotAuthorizedException");
    assert_eq!(
        message,
        "These credentials are not valid for accessing this resource"
    );
}
