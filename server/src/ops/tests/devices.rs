//! Devices, and the datasets that they follow.

use serde_json::{Value, json};
use syncline_engine::MetadataKey;

use super::*;
use crate::error::ErrorKind;
use crate::site::stored::SubscribersRecord;

async fn set_push(fixture: &Fixture, pool: &str, platforms: &[&str]) {
    let application = |platform| format!("arn:aws:sns:us-east-1:1:app/{platform}/game");
    let arns: Vec<_> = platforms.iter().map(application).collect();
    let body = json!({ "PushSync": { "ApplicationArns": arns } });
    let set = fixture.sync("SetIdentityPoolConfiguration", pool, body);
    set.await.unwrap();
}

async fn register(user: &User<'_>, platform: &str, token: &str) -> Result<String, ApiError> {
    let body = json!({ "Platform": platform, "Token": token });
    let answer = user.call("RegisterDevice", "", "", body).await?;
    assert_eq!(answer.as_object().unwrap().len(), 1);
    Ok(text(&answer, "DeviceId"))
}

async fn follow(
    user: &User<'_>,
    operation: &str,
    dataset: &str,
    device: &str,
) -> Result<(), ApiError> {
    let labels = Labels {
        device: device.to_owned(),
        ..user.labels(dataset)
    };
    let call = user.call_as(&user.caller, operation, &labels, "", Value::Null);
    assert_eq!(call.await?, json!({}));
    Ok(())
}

fn subscribers_key(user: &User<'_>, dataset: &str) -> MetadataKey {
    let uuid = |id: &str| stored::Id::parse(id).unwrap().uuid;
    let name = DatasetName::parse(dataset).unwrap();
    stored::subscribers_key(uuid(&user.pool), uuid(&user.identity), &name)
}

async fn subscribers(user: &User<'_>, dataset: &str) -> Vec<String> {
    let key = subscribers_key(user, dataset);
    let found = user.fixture.site.load::<SubscribersRecord>(key).await;
    let devices = found
        .unwrap()
        .map(|(record, _)| record.devices)
        .unwrap_or_default();
    let id = |bytes: &[u8; 16]| uuid::Uuid::from_bytes(*bytes).to_string();
    devices.iter().map(id).collect()
}

#[tokio::test]
async fn the_same_device_has_one_id() {
    let fixture = Fixture::new();
    let pool = fixture.pool().await;
    set_push(&fixture, &pool, &["APNS", "GCM"]).await;
    let (user, other) = (fixture.guest(&pool).await, fixture.guest(&pool).await);
    let device = register(&user, "APNS", "AB01").await.unwrap();
    assert_eq!(uuid::Uuid::parse_str(&device).unwrap().to_string(), device);
    assert_eq!(register(&user, "APNS", "AB01").await.unwrap(), device);
    for (user, platform, token) in [
        (&user, "GCM", "AB01"),
        (&user, "APNS", "AB02"),
        (&other, "APNS", "AB01"),
    ] {
        assert_ne!(register(user, platform, token).await.unwrap(), device);
    }
}

#[tokio::test]
async fn push_that_is_not_configured_says_what_to_set() {
    let fixture = Fixture::new();
    let pool = fixture.pool().await;
    let user = fixture.guest(&pool).await;
    let error = register(&user, "GCM", "t").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidConfiguration);
    assert!(
        error
            .message
            .contains("arn:aws:sns:<region>:<account>:app/GCM/<name>")
    );
    set_push(&fixture, &pool, &["GCM"]).await;
    let error = register(&user, "APNS", "t").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidConfiguration);
    user.update("d", json!([replace("k", "v", 0)]))
        .await
        .unwrap();
    let device = register(&user, "GCM", "t").await.unwrap();
    set_push(&fixture, &pool, &["APNS"]).await;
    let error = follow(&user, "SubscribeToDataset", "d", &device)
        .await
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidConfiguration);
    for (body, reason) in [
        (
            Value::Null,
            "2 validation errors detected: Value null at 'platform'",
        ),
        (
            json!({ "Platform": "SDM", "Token": "t" }),
            "[APNS, APNS_SANDBOX, GCM, ADM]",
        ),
        (json!({ "Platform": "", "Token": "t" }), "at 'platform'"),
        (json!({ "Platform": "APNS", "Token": "" }), "at 'token'"),
        (
            json!({ "Platform": "APNS", "Token": "t".repeat(4097) }),
            "at 'token'",
        ),
    ] {
        let error = user.call("RegisterDevice", "", "", body).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidParameter);
        assert!(error.message.contains(reason), "{}", error.message);
    }
}

#[tokio::test]
async fn devices_follow_datasets_that_exist() {
    let fixture = Fixture::new();
    let pool = fixture.pool().await;
    set_push(&fixture, &pool, &["GCM"]).await;
    let (user, other) = (fixture.guest(&pool).await, fixture.guest(&pool).await);
    let device = register(&user, "GCM", "t").await.unwrap();
    let second = register(&user, "GCM", "u").await.unwrap();
    let foreign = register(&other, "GCM", "t").await.unwrap();
    let subscribe = async |device: &str| follow(&user, "SubscribeToDataset", "d", device).await;
    let missing = ApiError::not_found("Dataset 'd' not found");
    assert_eq!(subscribe(&device).await.unwrap_err(), missing);
    user.update("d", json!([replace("k", "v", 0)]))
        .await
        .unwrap();
    for unknown in [foreign.as_str(), &device.to_uppercase(), "phone"] {
        let missing = ApiError::not_found(format!("Device '{unknown}' not found"));
        assert_eq!(subscribe(unknown).await.unwrap_err(), missing);
    }
    assert!(subscribers(&user, "d").await.is_empty());
    for device in [&device, &second, &device] {
        subscribe(device).await.unwrap();
    }
    let mut both = vec![device.clone(), second.clone()];
    both.sort_unstable();
    assert_eq!(subscribers(&user, "d").await, both);
    follow(&user, "UnsubscribeFromDataset", "d", &device)
        .await
        .unwrap();
    assert_eq!(subscribers(&user, "d").await, std::slice::from_ref(&second));
    let again = follow(&user, "UnsubscribeFromDataset", "d", &device).await;
    let none = format!("Device '{device}' is not subscribed to Dataset 'd'");
    assert_eq!(again.unwrap_err(), ApiError::not_found(none));
    let never = follow(&user, "UnsubscribeFromDataset", "e", &second).await;
    assert_eq!(never.unwrap_err().kind, ErrorKind::ResourceNotFound);
    follow(&user, "UnsubscribeFromDataset", "d", &second)
        .await
        .unwrap();
    let reader = fixture.site.store.engine().resident_reader();
    assert_eq!(reader.metadata_version(&subscribers_key(&user, "d")), None);
}

#[tokio::test]
async fn subscriptions_go_with_their_dataset_and_only_with_it() {
    let fixture = Fixture::new();
    let pool = fixture.pool().await;
    set_push(&fixture, &pool, &["GCM"]).await;
    let user = fixture.guest(&pool).await;
    let device = register(&user, "GCM", "t").await.unwrap();
    for dataset in ["d", "d.e"] {
        user.update(dataset, json!([replace("k", "v", 0)]))
            .await
            .unwrap();
        follow(&user, "SubscribeToDataset", dataset, &device)
            .await
            .unwrap();
    }
    user.call("DeleteDataset", "d", "", Value::Null)
        .await
        .unwrap();
    assert!(subscribers(&user, "d").await.is_empty());
    assert_eq!(subscribers(&user, "d.e").await, [device]);
    let again = user.call("DeleteDataset", "d", "", Value::Null).await;
    assert_eq!(again.unwrap_err().kind, ErrorKind::ResourceNotFound);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_subscription_never_outlives_its_dataset() {
    let fixture = Fixture::new();
    let pool = fixture.pool().await;
    set_push(&fixture, &pool, &["GCM"]).await;
    let user = fixture.guest(&pool).await;
    let device = register(&user, "GCM", "t").await.unwrap();
    for round in 0..50 {
        user.update("d", json!([replace("k", "v", 0)]))
            .await
            .unwrap();
        let labels = Labels {
            device: device.clone(),
            ..user.labels("d")
        };
        let race = [
            SyncOperation::SubscribeToDataset,
            SyncOperation::DeleteDataset,
        ];
        let tasks = race.map(|operation| {
            let (site, caller) = (fixture.site.clone(), user.caller.clone());
            let labels = labels.clone();
            tokio::spawn(async move { answer(&site, &caller, operation, &labels, "", b"").await })
        });
        let [subscribed, deleted] = tasks;
        if let Err(error) = subscribed.await.unwrap() {
            assert_eq!(error.kind, ErrorKind::ResourceNotFound, "{error}");
        }
        deleted.await.unwrap().unwrap();
        assert!(subscribers(&user, "d").await.is_empty(), "round {round}");
    }
}

#[tokio::test]
async fn the_oldest_device_makes_room() {
    let fixture = Fixture::new();
    let pool = fixture.pool().await;
    set_push(&fixture, &pool, &["GCM"]).await;
    let user = fixture.guest(&pool).await;
    user.update("d", json!([replace("k", "v", 0)]))
        .await
        .unwrap();
    let first = register(&user, "GCM", "first").await.unwrap();
    let second = register(&user, "GCM", "second").await.unwrap();
    for device in [&first, &second] {
        follow(&user, "SubscribeToDataset", "d", device)
            .await
            .unwrap();
    }
    for number in 2..100 {
        register(&user, "GCM", &format!("t{number}")).await.unwrap();
    }
    register(&user, "GCM", "first").await.unwrap();
    let last = register(&user, "GCM", "one more").await.unwrap();
    let gone = follow(&user, "SubscribeToDataset", "d", &second)
        .await
        .unwrap_err();
    assert_eq!(
        gone,
        ApiError::not_found(format!("Device '{second}' not found"))
    );
    follow(&user, "SubscribeToDataset", "d", &last)
        .await
        .unwrap();
    let mut left = vec![first, last];
    left.sort_unstable();
    assert_eq!(subscribers(&user, "d").await, left);
}
