//! What a developer sets for a pool, and bulk publishing.

use serde_json::{Value, json};
use syncline_engine::{Proposal, Wish};

use super::*;
use crate::error::ErrorKind;
use crate::ops::change::{Change, Unchanged};
use crate::site::stored::{BulkPublishRecord, BulkPublishStatus};
use crate::site::stored::{ConfigurationRecord, PublishingRecord};

const DAY_MS: u64 = 24 * 3600 * 1000;
const ROLE: &str = "arn:aws:iam::123456789012:role/sync";

async fn call(
    fixture: &Fixture,
    pool: &str,
    operation: &str,
    body: Value,
) -> Result<Value, ApiError> {
    fixture.sync(operation, pool, body).await
}

/// A pool that was deleted after the request had found it.
async fn doomed(fixture: &Fixture) -> Target {
    let pool = fixture.pool().await;
    let labels = Labels {
        pool: pool.clone(),
        ..Labels::default()
    };
    let target = Target::find(&fixture.site, &labels).unwrap();
    let wish = Wish::DeleteMetadata {
        key: stored::pool_key(&stored::Id::parse(&pool).unwrap()),
        expected: Expected::Something,
    };
    fixture.site.store.commit(wish.into()).await.unwrap();
    target
}

#[tokio::test]
async fn a_configuration_is_kept_as_it_was_written() {
    let fixture = Fixture::new();
    let pool = fixture.pool().await;
    let set = "SetIdentityPoolConfiguration";
    let get = "GetIdentityPoolConfiguration";
    let empty = json!({ "IdentityPoolId": pool });
    assert_eq!(
        call(&fixture, &pool, get, Value::Null).await.unwrap(),
        empty
    );
    assert_eq!(
        call(&fixture, &pool, set, Value::Null).await.unwrap(),
        empty
    );
    let push = json!({ "ApplicationArns": ["arn:aws:sns:us-east-1:1:app/GCM/game"] });
    let body = json!({ "IdentityPoolId": "ignored", "PushSync": push });
    let expected = json!({ "IdentityPoolId": pool, "PushSync": push });
    assert_eq!(call(&fixture, &pool, set, body).await.unwrap(), expected);
    let streams = json!({
        "StreamName": "changes", "RoleArn": ROLE, "StreamingStatus": "ENABLED",
    });
    let mut sent = streams.clone();
    sent["DisabledReason"] = json!("nobody may say so");
    let body = json!({ "CognitoStreams": sent, "PushSync": null });
    let expected = json!({ "IdentityPoolId": pool, "PushSync": push, "CognitoStreams": streams });
    assert_eq!(call(&fixture, &pool, set, body).await.unwrap(), expected);
    let fixture = fixture.restart().await;
    assert_eq!(
        call(&fixture, &pool, get, Value::Null).await.unwrap(),
        expected
    );
    let cleared = call(&fixture, &pool, set, json!({ "PushSync": {} }))
        .await
        .unwrap();
    assert_eq!(cleared.get("PushSync"), None);
    let body = json!({ "CognitoStreams": {}, "PushSync": { "ApplicationArns": [] } });
    assert_eq!(call(&fixture, &pool, set, body).await.unwrap(), empty);
    let uuid = stored::Id::parse(&pool).unwrap().uuid;
    let key = stored::configuration_key(uuid);
    let reader = fixture.site.store.engine().resident_reader();
    assert_eq!(
        reader.metadata_version(&key),
        None,
        "nothing is left of an empty one"
    );
}

#[tokio::test]
async fn what_breaks_the_model_is_refused_member_by_member() {
    let fixture = Fixture::new();
    let pool = fixture.pool().await;
    let many = vec!["arn:aws:sns:us-east-1:1:app/GCM/game"; 65];
    for (body, reason) in [
        (
            json!({ "PushSync": { "RoleArn": "arn:aws:iam::1:role" } }),
            "at 'pushSync.roleArn'",
        ),
        (
            json!({ "PushSync": { "RoleArn": "arn:aws:iam::123456789012:user/x" } }),
            r"arn:aws:iam::\d+:role/.*",
        ),
        (
            json!({ "PushSync": { "ApplicationArns": ["arn:aws:sns:us-east-1:1:app/GCM/"] } }),
            "at 'pushSync.applicationArns.1.member'",
        ),
        (
            json!({ "PushSync": { "ApplicationArns": many } }),
            "less than or equal to 64",
        ),
        (
            json!({ "CognitoStreams": { "StreamName": "" } }),
            "at 'cognitoStreams.streamName'",
        ),
        (
            json!({ "CognitoStreams": { "StreamName": "n".repeat(129) } }),
            "equal to 128",
        ),
        (
            json!({ "CognitoStreams": { "StreamingStatus": "enabled" } }),
            "enum value set: [ENABLED, DISABLED]",
        ),
    ] {
        let answer = call(
            &fixture,
            &pool,
            "SetIdentityPoolConfiguration",
            body.clone(),
        )
        .await;
        let error = answer.unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidParameter, "{body}");
        assert!(error.message.contains(reason), "{body}: {}", error.message);
    }
    let body = json!({ "PushSync": { "ApplicationArns": "one" } });
    let error = call(&fixture, &pool, "SetIdentityPoolConfiguration", body)
        .await
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Serialization);
}

#[tokio::test]
async fn the_largest_configuration_fits() {
    let fixture = Fixture::new();
    let pool = fixture.pool().await;
    let prefix = "arn:aws:sns:us-east-1:1:app/GCM/";
    let application = format!("{prefix}{}", "n".repeat(512 - prefix.len()));
    let prefix = "arn:aws:iam::1:role/";
    let role = format!("{prefix}{}", "\u{1f600}".repeat(2048 - prefix.len()));
    let body = json!({
        "PushSync": { "ApplicationArns": vec![application; 64], "RoleArn": role },
        "CognitoStreams": { "StreamName": "\u{1f600}".repeat(128), "RoleArn": role },
    });
    let answer = call(
        &fixture,
        &pool,
        "SetIdentityPoolConfiguration",
        body.clone(),
    )
    .await
    .unwrap();
    assert_eq!(answer["PushSync"], body["PushSync"]);
    assert_eq!(answer["CognitoStreams"], body["CognitoStreams"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_writers_of_one_configuration_lose_nothing() {
    let fixture = Fixture::new();
    let pool = fixture.pool().await;
    let labels = Labels {
        pool: pool.clone(),
        ..Labels::default()
    };
    let bodies = [
        json!({ "PushSync": { "RoleArn": ROLE } }),
        json!({ "CognitoStreams": { "StreamName": "changes" } }),
    ];
    let tasks = bodies.map(|body| {
        let (site, labels) = (fixture.site.clone(), labels.clone());
        tokio::spawn(async move {
            let operation = SyncOperation::SetIdentityPoolConfiguration;
            let (caller, body) = (Caller::root("AKIAROOT"), body.to_string());
            answer(&site, &caller, operation, &labels, "", body.as_bytes()).await
        })
    });
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    let answer = call(&fixture, &pool, "GetIdentityPoolConfiguration", Value::Null)
        .await
        .unwrap();
    assert_eq!(answer["PushSync"]["RoleArn"], ROLE);
    assert_eq!(answer["CognitoStreams"]["StreamName"], "changes");
}

#[tokio::test]
async fn a_write_on_an_old_version_is_lost_and_told() {
    let fixture = Fixture::new();
    let pool = stored::Id::parse(&fixture.pool().await).unwrap();
    let key = stored::configuration_key(pool.uuid);
    let change = Change {
        site: &fixture.site,
        key: key.clone(),
        expect: vec![(stored::pool_key(&pool), Expected::Something)],
    };
    let record = ConfigurationRecord::default();
    change
        .write(Some(&record), Expected::Nothing, Vec::new())
        .await
        .unwrap();
    let late = change
        .write(Some(&record), Expected::Nothing, Vec::new())
        .await;
    assert!(matches!(late, Err(Unchanged::Raced)));
    // Each time that it decides another one is faster.
    let faster = |decided: ConfigurationRecord| {
        let engine = fixture.site.store.engine();
        let value = stored::encode(&record).unwrap();
        let expected = Expected::Anything;
        let wish = Wish::PutMetadata {
            key: key.clone(),
            value,
            expected,
        };
        engine.commit(Proposal::from(wish)).unwrap();
        decided
    };
    let streams = Some(stored::Streams::default());
    let decided = ConfigurationRecord {
        push: None,
        streams,
    };
    let made = change
        .make(|_| Ok((Some(faster(decided.clone())), ())))
        .await;
    assert!(matches!(made, Err(Unchanged::Raced)));
}

#[tokio::test]
async fn a_pool_that_is_gone_keeps_nothing() {
    let fixture = Fixture::new();
    let target = doomed(&fixture).await;
    let missing = no_pool(target.pool().unwrap().0.as_str());
    let (site, before) = (&fixture.site, fixture.site.store.engine().stats().metadata);
    let body = br#"{"CognitoStreams":{"StreamingStatus":"ENABLED"}}"#;
    let error = configuration::set(site, &target, body).await.unwrap_err();
    assert_eq!(error, missing);
    let body = br#"{"Events":{"SyncTrigger":"arn:aws:lambda:us-east-1:1:function:f"}}"#;
    let error = events::set(site, &target, body).await.err().unwrap();
    assert_eq!(error, missing);
    assert_eq!(site.store.engine().stats().metadata, before);
}

#[tokio::test]
async fn one_function_is_set_and_removed() {
    let fixture = Fixture::new();
    let pool = fixture.pool().await;
    let none = json!({ "Events": {} });
    let get = || call(&fixture, &pool, "GetCognitoEvents", Value::Null);
    let set = |body| call(&fixture, &pool, "SetCognitoEvents", body);
    assert_eq!(get().await.unwrap(), none);
    let function = json!({ "Events": { "SyncTrigger": "arn:aws:lambda:us-east-1:1:function:f" } });
    assert_eq!(set(function.clone()).await.unwrap(), json!({}));
    assert_eq!(set(none.clone()).await.unwrap(), json!({}));
    assert_eq!(get().await.unwrap(), function, "what does not come stays");
    set(json!({ "Events": { "SyncTrigger": "" } }))
        .await
        .unwrap();
    assert_eq!(get().await.unwrap(), none);
    set(json!({ "Events": { "SyncTrigger": "" } }))
        .await
        .unwrap();
    let arn = "arn:aws:lambda:us-east-1:1:function:f";
    for (body, reason) in [
        (Value::Null, "Value null at 'events'"),
        (
            json!({ "Events": { "SyncTrigger": arn, "Other": arn } }),
            "less than or equal to 1",
        ),
        (
            json!({ "Events": { "Other": arn } }),
            "enum value set: [SyncTrigger]",
        ),
        (
            json!({ "Events": { "SyncTrigger": "http://elsewhere" } }),
            "at 'events.SyncTrigger'",
        ),
    ] {
        let error = set(body).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidParameter);
        assert!(error.message.contains(reason), "{}", error.message);
    }
    assert_eq!(get().await.unwrap(), none);
}

async fn last_publish(fixture: &Fixture, pool: &str, record: &BulkPublishRecord) {
    let key = stored::bulk_publish_key(stored::Id::parse(pool).unwrap().uuid);
    let value = stored::encode(record).unwrap();
    let expected = Expected::Anything;
    let wish = Wish::PutMetadata {
        key,
        value,
        expected,
    };
    fixture.site.store.commit(wish.into()).await.unwrap();
}

#[tokio::test]
async fn a_bulk_publish_begins_only_where_there_is_a_stream() {
    let fixture = Fixture::new();
    let pool = fixture.pool().await;
    let start = || call(&fixture, &pool, "BulkPublish", Value::Null);
    let details = || call(&fixture, &pool, "GetBulkPublishDetails", Value::Null);
    let never = json!({ "IdentityPoolId": pool, "BulkPublishStatus": "NOT_STARTED" });
    assert_eq!(details().await.unwrap(), never);
    for (streams, words) in [
        (json!({}), "StreamingStatus of ENABLED"),
        (
            json!({ "StreamingStatus": "DISABLED" }),
            "StreamingStatus of ENABLED",
        ),
        (json!({ "StreamName": "s" }), "StreamingStatus of ENABLED"),
        (json!({ "StreamingStatus": "ENABLED" }), "has no StreamName"),
    ] {
        let body = json!({ "CognitoStreams": streams });
        call(&fixture, &pool, "SetIdentityPoolConfiguration", body)
            .await
            .unwrap();
        let error = start().await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidParameter);
        assert!(error.message.contains(words), "{}", error.message);
        assert_eq!(details().await.unwrap(), never);
    }
    let body = json!({ "CognitoStreams": { "StreamName": "s", "StreamingStatus": "ENABLED" } });
    call(&fixture, &pool, "SetIdentityPoolConfiguration", body)
        .await
        .unwrap();
    fixture.pass_ms(250);
    assert_eq!(start().await.unwrap(), json!({ "IdentityPoolId": pool }));
    let begun = json!({
        "IdentityPoolId": pool, "BulkPublishStatus": "IN_PROGRESS",
        "BulkPublishStartTime": (START_MS + 250) as f64 / 1000.0,
    });
    assert_eq!(details().await.unwrap(), begun);
    assert_eq!(start().await.unwrap_err().kind, ErrorKind::DuplicateRequest);
    // Whoever delivers streams finds it, also after a restart.
    let key = stored::publishing_key(stored::Id::parse(&pool).unwrap().uuid);
    let reader = fixture.site.store.engine().reader();
    let found = reader.metadata(&key).unwrap().unwrap();
    let record: PublishingRecord = stored::decode(&found).unwrap();
    assert_eq!(record.stream, "s");
}

#[tokio::test]
async fn a_bulk_publish_waits_for_the_last_one_and_a_day_after_its_success() {
    let fixture = Fixture::new();
    let pool = fixture.pool().await;
    let body = json!({ "CognitoStreams": { "StreamName": "s", "StreamingStatus": "ENABLED" } });
    call(&fixture, &pool, "SetIdentityPoolConfiguration", body)
        .await
        .unwrap();
    let start = || call(&fixture, &pool, "BulkPublish", Value::Null);
    let details = || call(&fixture, &pool, "GetBulkPublishDetails", Value::Null);
    let mut record = BulkPublishRecord {
        status: BulkPublishStatus::InProgress,
        started_ms: START_MS,
        ended_ms: None,
        failure: None,
    };
    last_publish(&fixture, &pool, &record).await;
    let running = json!({
        "IdentityPoolId": pool, "BulkPublishStatus": "IN_PROGRESS",
        "BulkPublishStartTime": (START_MS / 1000) as f64,
    });
    assert_eq!(details().await.unwrap(), running);
    fixture.pass_ms(2 * DAY_MS);
    assert_eq!(start().await.unwrap_err().kind, ErrorKind::DuplicateRequest);
    record.status = BulkPublishStatus::Failed;
    last_publish(&fixture, &pool, &record).await;
    start()
        .await
        .expect("one that failed may be repeated at once");
    record.status = BulkPublishStatus::Succeeded;
    record.ended_ms = Some(START_MS + 2 * DAY_MS);
    last_publish(&fixture, &pool, &record).await;
    let mut done = running;
    done["BulkPublishStatus"] = json!("SUCCEEDED");
    done["BulkPublishCompleteTime"] = json!(((START_MS + 2 * DAY_MS) / 1000) as f64);
    assert_eq!(details().await.unwrap(), done);
    fixture.pass_ms(DAY_MS - 1);
    assert_eq!(start().await.unwrap_err().kind, ErrorKind::AlreadyStreamed);
    assert_eq!(
        details().await.unwrap(),
        done,
        "a refused start changes nothing"
    );
    fixture.pass_ms(1);
    start().await.unwrap();
}
