//! Writing, removing and deleting, and what is read of it afterwards.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use syncline_engine::Listing;
use tokio::net::TcpListener;

use super::*;

#[tokio::test]
async fn a_dataset_comes_to_be_and_is_read_since_a_count() {
    let fixture = Fixture::new();
    let pool = fixture.pool().await;
    let user = fixture.guest(&pool).await;
    let empty = user.list("saves", "").await.unwrap();
    let expected = json!({
        "Records": [], "Count": 0, "DatasetSyncCount": 0, "DatasetExists": false,
        "DatasetDeletedAfterRequestedSyncCount": false,
        "SyncSessionToken": empty["SyncSessionToken"],
    });
    assert_eq!(empty, expected);
    let written = user
        .update("saves", json!([replace("a", "1", 0), replace("b", "", 0)]))
        .await;
    let second = START_MS / 1000;
    let record = |key: &str, value: &str| {
        json!({
            "Key": key, "Value": value, "SyncCount": 1, "LastModifiedBy": user.identity,
            "LastModifiedDate": second as f64, "DeviceLastModifiedDate": second as f64,
        })
    };
    assert_eq!(
        written.unwrap(),
        json!({ "Records": [record("a", "1"), record("b", "")] })
    );
    let body = json!({
        "SyncSessionToken": user.token("saves").await, "DeviceId": "phone",
        "RecordPatches": [{
            "Op": "replace", "Key": "a", "Value": "2", "SyncCount": 1,
            "DeviceLastModifiedDate": 1_600_000_000.125,
        }],
    });
    fixture.pass_ms(1500);
    user.call("UpdateRecords", "saves", "", body).await.unwrap();
    let since = user.list("saves", "lastSyncCount=1").await.unwrap();
    assert_eq!(since["DatasetSyncCount"], 2);
    assert_eq!(since["LastModifiedBy"], "phone");
    assert_eq!(since["Count"], 1);
    assert_eq!(
        since["Records"][0],
        json!({
            "Key": "a", "Value": "2", "SyncCount": 2, "LastModifiedBy": "phone",
            "LastModifiedDate": second as f64 + 1.5, "DeviceLastModifiedDate": 1_600_000_000.125,
        })
    );
}

#[tokio::test]
async fn a_stale_count_is_a_conflict_that_changes_nothing_and_spends_nothing() {
    let fixture = Fixture::new();
    let pool = fixture.pool().await;
    let user = fixture.guest(&pool).await;
    user.update("d", json!([replace("a", "1", 0)]))
        .await
        .unwrap();
    let token = user.token("d").await;
    let stale = json!([replace("new", "x", 0), replace("a", "2", 0)]);
    let error = user.update_with("d", &token, stale).await.unwrap_err();
    assert_eq!(
        error,
        ApiError::conflict("Current SyncCount for: a is: 1 not: 0")
    );
    assert_eq!(user.list("d", "").await.unwrap()["Count"], 1);
    user.list("d", &format!("syncSessionToken={token}"))
        .await
        .unwrap();
    user.update_with("d", &token, json!([replace("a", "2", 1)]))
        .await
        .unwrap();
    let spent = ApiError::invalid_parameter("SyncSessionToken not valid for these inputs");
    let again = user
        .update_with("d", &token, json!([replace("a", "3", 2)]))
        .await;
    assert_eq!(again.unwrap_err(), spent);
    let list = user.list("d", &format!("syncSessionToken={token}")).await;
    assert_eq!(list.unwrap_err(), spent);
    for wrong in ["", "x", &user.token("other").await] {
        let answer = user
            .update_with("d", wrong, json!([replace("a", "3", 2)]))
            .await;
        assert_eq!(answer.unwrap_err(), spent);
    }
    let old = user.token("d").await;
    fixture.pass_ms(LIFE_MS);
    let answer = user
        .update_with("d", &old, json!([replace("a", "3", 2)]))
        .await;
    assert_eq!(answer.unwrap_err(), spent);
}

#[tokio::test]
async fn no_patches_change_nothing() {
    let fixture = Fixture::new();
    let pool = fixture.pool().await;
    let user = fixture.guest(&pool).await;
    let token = user.token("d").await;
    for patches in [json!([]), Value::Null] {
        let answer = user.update_with("d", &token, patches).await.unwrap();
        assert_eq!(answer, json!({ "Records": [] }));
    }
    assert_eq!(user.list("d", "").await.unwrap()["DatasetExists"], false);
    user.update_with("d", &token, json!([replace("a", "1", 0)]))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_removed_record_stays_as_a_tombstone() {
    let fixture = Fixture::new();
    let pool = fixture.pool().await;
    let user = fixture.guest(&pool).await;
    user.update("d", json!([replace("a", "12", 0), replace("b", "1", 0)]))
        .await
        .unwrap();
    let answer = user
        .update("d", json!([remove("a", 1), remove("never", 0)]))
        .await
        .unwrap();
    assert_eq!(answer["Records"][0]["SyncCount"], 2);
    assert_eq!(answer["Records"][0].get("Value"), None);
    let list = user.list("d", "").await.unwrap();
    assert_eq!(list["Count"], 3);
    let dataset = user
        .call("DescribeDataset", "d", "", Value::Null)
        .await
        .unwrap();
    assert_eq!(dataset["Dataset"]["NumRecords"], 1);
    assert_eq!(dataset["Dataset"]["DataStorage"], 2);
    let error = user
        .update("d", json!([replace("a", "x", 0)]))
        .await
        .unwrap_err();
    assert_eq!(error.message, "Current SyncCount for: a is: 2 not: 0");
    user.update("d", json!([replace("a", "x", 2)]))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_deleted_dataset_is_told_to_those_who_knew_it() {
    let fixture = Fixture::new();
    let pool = fixture.pool().await;
    let user = fixture.guest(&pool).await;
    let missing = ApiError::not_found("Dataset 'd' not found");
    for operation in ["DescribeDataset", "DeleteDataset"] {
        let answer = user.call(operation, "d", "", Value::Null).await;
        assert_eq!(answer.unwrap_err(), missing);
    }
    let token = user.token("d").await;
    user.update("d", json!([replace("a", "1", 0)]))
        .await
        .unwrap();
    let deleted = user
        .call("DeleteDataset", "d", "", Value::Null)
        .await
        .unwrap();
    assert_eq!(deleted["Dataset"]["NumRecords"], 1);
    assert_eq!(deleted["Dataset"]["IdentityId"], user.identity);
    let gone = user.list("d", "lastSyncCount=1").await.unwrap();
    assert_eq!(gone["DatasetExists"], false);
    assert_eq!(gone["DatasetDeletedAfterRequestedSyncCount"], true);
    assert_eq!(gone["DatasetSyncCount"], 2);
    assert_eq!(gone.get("LastModifiedBy"), None);
    let fresh = user.list("d", "").await.unwrap();
    assert_eq!(fresh["DatasetDeletedAfterRequestedSyncCount"], false);
    user.update_with("d", &token, json!([replace("b", "1", 2)]))
        .await
        .unwrap();
    let back = user.list("d", "lastSyncCount=1").await.unwrap();
    assert_eq!(back["DatasetDeletedAfterRequestedSyncCount"], true);
    assert_eq!(back["DatasetSyncCount"], 3);
    assert_eq!(back["Records"][0]["Key"], "b");
}

#[tokio::test]
async fn a_full_dataset_comes_in_one_answer() {
    let fixture = Fixture::with(Config::default(), 0);
    let pool = fixture.pool().await;
    let user = fixture.guest(&pool).await;
    let value = "v".repeat(900);
    let patches: Vec<_> = (0..1024)
        .map(|n| replace(&format!("key{n:04}"), &value, 0))
        .collect();
    user.update("d", Value::Array(patches)).await.unwrap();
    let removed: Vec<_> = (0..1024)
        .map(|n| remove(&format!("none{n:04}"), 0))
        .collect();
    user.update("d", Value::Array(removed)).await.unwrap();
    let target = Target::find(&fixture.site, &user.labels("d")).unwrap();
    let resident = fixture.site.store.engine().resident_reader();
    let cold = resident.list(&target.dataset().unwrap(), &Listing::default());
    assert!(
        matches!(cold, Err(Error::NotResident)),
        "what follows reads the disk"
    );
    let list = user.list("d", "").await.unwrap();
    assert_eq!(list["Count"], 2048);
    assert_eq!(list.get("NextToken"), None);
    let error = user
        .update("d", json!([replace("more", "", 0)]))
        .await
        .unwrap_err();
    assert_eq!(error.kind.name(), "LimitExceededException");
}

#[tokio::test]
async fn more_patches_than_a_commit_may_have_are_refused() {
    let fixture = Fixture::new();
    let pool = fixture.pool().await;
    let user = fixture.guest(&pool).await;
    let patches: Vec<_> = (0..70_000).map(|n| remove(&format!("{n}"), 0)).collect();
    let error = user.update("d", Value::Array(patches)).await.unwrap_err();
    assert_eq!(error.kind.status(crate::error::Api::Sync), 400, "{error}");
    assert_eq!(user.list("d", "").await.unwrap()["DatasetExists"], false);
}

/// A body that tells when it is dropped.
struct Held(Vec<u8>, Arc<AtomicBool>);

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.1.store(true, Ordering::Release);
    }
}

#[tokio::test]
async fn a_body_is_not_held_while_a_function_is_asked() {
    let arn = "arn:aws:lambda:us-east-1:000000000000:function:check";
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("url = \"http://{}\"", listener.local_addr().unwrap());
    let mut config = Config::default();
    let function = toml::from_str(&url).unwrap();
    config.functions.insert(arn.to_owned(), function);
    let fixture = Fixture::with(config, 1 << 20);
    let pool = fixture.pool().await;
    let events = json!({ "Events": { "SyncTrigger": arn } });
    fixture
        .sync("SetCognitoEvents", &pool, events)
        .await
        .unwrap();
    let user = fixture.guest(&pool).await;
    let body = json!({
        "SyncSessionToken": user.token("d").await,
        "RecordPatches": [replace("k", "v", 0)],
    });
    let is_dropped = Arc::new(AtomicBool::new(false));
    let body = Held(body.to_string().into_bytes(), Arc::clone(&is_dropped));
    let labels = user.labels("d");
    let update = SyncOperation::UpdateRecords;
    let asking = answer(&fixture.site, &user.caller, update, &labels, "", body);
    let mut asking = std::pin::pin!(asking);
    tokio::select! {
        // It is asked, and thinks.
        asked = listener.accept() => assert!(asked.is_ok()),
        answer = &mut asking => panic!("{answer:?} before the function was asked"),
    }
    assert!(is_dropped.load(Ordering::Acquire));
}
