//! SNS, played by a service that answers as it does.

use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

/// An SNS that makes endpoints named after their tokens, and refuses some of them.
fn as_sns(seen: &Seen) -> Told {
    let xml = |text: String| Told::Now(200, Vec::new(), text);
    let refuse = |said: &str| {
        let text = format!("<E><Code>InvalidParameter</Code><Message>{said}</Message></E>");
        Told::Now(400, Vec::new(), text)
    };
    match member(seen, "Action").as_str() {
        "CreatePlatformEndpoint" if member(seen, "Token") == "moved" => refuse(
            "Invalid parameter: Token Reason: Endpoint arn:of-before already exists with the \
             same Token, but different attributes.",
        ),
        "CreatePlatformEndpoint" if member(seen, "Token") == "malformed" => {
            refuse("Invalid parameter: Token Reason: must be no more than 400 digits")
        }
        "SetEndpointAttributes" => xml("<R/>".to_owned()),
        "CreatePlatformEndpoint" => {
            let token = member(seen, "Token");
            xml(format!("<R><EndpointArn>arn:{token}</EndpointArn></R>"))
        }
        _ if member(seen, "TargetArn") == "arn:dead" => {
            let text = "<E><Code>EndpointDisabled</Code><Message>off</Message></E>";
            Told::Now(400, Vec::new(), text.to_owned())
        }
        _ if member(seen, "TargetArn") == "arn:failing" => Told::status(500),
        _ => xml("<R><MessageId>1</MessageId></R>".to_owned()),
    }
}

#[tokio::test]
async fn sns_gets_an_endpoint_for_each_device_and_a_silent_message() {
    let service = WebService::start().await;
    service.answers(as_sns);
    let server = server(&service).await;
    let mut scene = Scene::new(server.client().await).await;
    scene.follower("APNS", "alive").await;
    let dead = scene.follower("APNS", "dead").await;
    scene.write(None, false).await;
    scene.counted(APNS, "delivered", 1).await;
    scene.counted(APNS, "dead", 1).await;
    scene
        .subscribe(&dead)
        .await
        .exception(404, "ResourceNotFoundException");
    let of_dead = service.seen().into_iter().filter(|seen| {
        form(seen)
            .iter()
            .any(|(_, value)| value == "dead" || value == "arn:dead")
    });
    let asked: Vec<String> = of_dead.map(|seen| member(&seen, "Action")).collect();
    let (create, set) = ("CreatePlatformEndpoint", "SetEndpointAttributes");
    // It may only have been disabled, which is tried once.
    assert_eq!(asked, [create, "Publish", set, "Publish"]);
    scene.write(None, false).await;
    scene.counted(APNS, "delivered", 2).await;
    let seen = service.seen();
    // The second message needed no endpoint of its own.
    assert_eq!(seen.len(), 7);
    let last = &seen[6];
    assert_eq!(member(last, "Action"), "Publish");
    assert_eq!(member(last, "TargetArn"), "arn:alive");
    assert_eq!(member(last, "MessageStructure"), "json");
    let attribute = "MessageAttributes.entry.1.Value.StringValue";
    assert_eq!(member(last, attribute), "background");
    let outer: Value = serde_json::from_str(&member(last, "Message")).unwrap();
    let inner: Value = serde_json::from_str(outer["APNS"].as_str().unwrap()).unwrap();
    let fields = json!({
        "source": "cognito-sync",
        "identityPoolId": scene.guest.pool,
        "identityId": scene.guest.identity,
        "datasetName": "game",
        "syncCount": "3",
    });
    let expected = json!({ "aps": { "content-available": 1 }, "data": fields });
    assert_eq!((&outer["default"], inner), (&json!(""), expected));
    assert_eq!(last.signed_by("sns", "s3cret"), "AKIAS");
}

#[tokio::test]
async fn an_endpoint_of_before_is_used_and_enabled() {
    let service = WebService::start().await;
    service.answers(as_sns);
    let server = server(&service).await;
    let mut scene = Scene::new(server.client().await).await;
    scene.follower("APNS", "moved").await;
    scene.write(None, false).await;
    scene.counted(APNS, "delivered", 1).await;
    scene.write(None, false).await;
    scene.counted(APNS, "delivered", 2).await;
    let seen = service.seen();
    let asked: Vec<String> = seen.iter().map(|seen| member(seen, "Action")).collect();
    let (create, set) = ("CreatePlatformEndpoint", "SetEndpointAttributes");
    assert_eq!(asked, [create, set, "Publish", "Publish"]);
    for (name, value) in [
        ("EndpointArn", "arn:of-before"),
        ("Attributes.entry.1.key", "Enabled"),
        ("Attributes.entry.1.value", "true"),
        ("Attributes.entry.2.key", "Token"),
        ("Attributes.entry.2.value", "moved"),
    ] {
        assert_eq!(member(&seen[1], name), value);
    }
    assert_eq!(member(&seen[3], "TargetArn"), "arn:of-before");
    // What is no token at all is dropped as before.
    scene.follower("APNS", "malformed").await;
    scene.write(None, false).await;
    scene.counted(APNS, "dead", 1).await;
}

#[tokio::test]
async fn a_message_that_fails_by_itself_holds_up_no_other() {
    let service = WebService::start().await;
    service.answers(as_sns);
    let server = server(&service).await;
    let mut scene = Scene::new(server.client().await).await;
    scene.follower("APNS", "failing").await;
    scene.follower("APNS", "alive").await;
    scene.write(None, false).await;
    // Long before the pauses of the one that fails have grown to their longest.
    for count in 1..=20 {
        scene.counted(APNS, "delivered", count).await;
        scene.write(None, false).await;
    }
    scene.counted(APNS, "retried", 1).await;
}

#[tokio::test]
async fn who_is_throttled_comes_later() {
    let service = WebService::start().await;
    service.answers(|seen| match member(seen, "Action").as_str() {
        "Publish" => {
            let text = "<E><Code>Throttled</Code><Message>Rate exceeded</Message></E>";
            Told::Now(429, Vec::new(), text.to_owned())
        }
        _ => as_sns(seen),
    });
    let server = server(&service).await;
    let mut scene = Scene::new(server.client().await).await;
    let device = scene.follower("APNS", "alive").await;
    scene.write(None, false).await;
    scene.counted(APNS, "retried", 2).await;
    service.answers(as_sns);
    scene.counted(APNS, "delivered", 1).await;
    assert_eq!(scene.subscribe(&device).await.status, 200);
    // The endpoint is not to blame.
    let seen = service.seen().into_iter();
    let made = seen.filter(|seen| member(seen, "Action") == "CreatePlatformEndpoint");
    assert_eq!(made.count(), 1);
}

#[tokio::test]
async fn an_endpoint_that_is_not_there_any_more_is_made_again() {
    let service = WebService::start().await;
    let published = AtomicU32::new(0);
    service.answers(move |seen| {
        if member(seen, "Action") != "Publish" {
            return as_sns(seen);
        }
        // The service has two ways to say it.
        let (status, code, said) = match published.fetch_add(1, Ordering::Relaxed) {
            0 => (404, "NotFound", "Endpoint does not exist"),
            1 => (
                400,
                "InvalidParameter",
                "Invalid parameter: TargetArn Reason: No endpoint found for the target arn \
                 specified",
            ),
            _ => return as_sns(seen),
        };
        let text = format!("<E><Code>{code}</Code><Message>{said}</Message></E>");
        Told::Now(status, Vec::new(), text)
    });
    let server = server(&service).await;
    let mut scene = Scene::new(server.client().await).await;
    scene.follower("APNS", "alive").await;
    scene.write(None, false).await;
    scene.counted(APNS, "delivered", 1).await;
    let asked: Vec<String> = service
        .seen()
        .iter()
        .map(|seen| member(seen, "Action"))
        .collect();
    let create = "CreatePlatformEndpoint";
    let again = [create, "Publish"];
    assert_eq!(asked, [again; 3].concat());
}
