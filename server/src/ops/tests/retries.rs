//! An update whose answer was lost comes again.

use serde_json::json;

use super::*;

fn spent() -> ApiError {
    list_records::session_not_valid()
}

/// Not in the order of their keys, and with a removal among them.
fn patches() -> serde_json::Value {
    json!([replace("z", "1", 0), remove("m", 0), replace("a", "", 0)])
}

#[tokio::test]
async fn the_same_request_gets_the_same_answer() {
    let fixture = Fixture::new();
    let pool = fixture.pool().await;
    let user = fixture.guest(&pool).await;
    let token = user.token("d").await;
    let body = json!({
        "SyncSessionToken": token, "RecordPatches": patches(), "DeviceId": "phone",
    });
    let update = |body| user.call("UpdateRecords", "d", "", body);
    let first = update(body.clone()).await.unwrap();
    assert_eq!(first["Records"][0]["Key"], "z");
    fixture.pass_ms(1000);
    user.update("d", json!([replace("z", "2", 1)]))
        .await
        .unwrap();
    assert_eq!(update(body.clone()).await.unwrap(), first);
    user.call("DeleteDataset", "d", "", serde_json::Value::Null)
        .await
        .unwrap();
    assert_eq!(update(body.clone()).await.unwrap(), first);
    let list = user.list("d", "").await.unwrap();
    assert_eq!(list["DatasetSyncCount"], 3, "nothing is written again");
    for (member, value) in [
        ("DeviceId", json!("tablet")),
        ("RecordPatches", json!([replace("z", "1", 0)])),
        ("RecordPatches", json!([])),
    ] {
        let mut other = body.clone();
        other[member] = value;
        assert_eq!(update(other).await.unwrap_err(), spent());
    }
    let list = user.list("d", &format!("syncSessionToken={token}")).await;
    assert_eq!(list.unwrap_err(), spent());
    fixture.pass_ms(LIFE_MS);
    assert_eq!(update(body).await.unwrap_err(), spent());
}

#[tokio::test]
async fn the_answer_survives_a_restart() {
    let fixture = Fixture::new();
    let pool = fixture.pool().await;
    let (identity, caller, token, first) = {
        let user = fixture.guest(&pool).await;
        let token = user.token("d").await;
        let first = user.update_with("d", &token, patches()).await.unwrap();
        user.update("d", json!([replace("z", "2", 1)]))
            .await
            .unwrap();
        (user.identity.clone(), user.caller.clone(), token, first)
    };
    let fixture = fixture.restart().await;
    fixture.pass_ms(LIFE_MS / 2);
    let user = User {
        fixture: &fixture,
        pool,
        identity,
        caller,
    };
    let again = user.update_with("d", &token, patches()).await;
    assert_eq!(again.unwrap(), first);
    let other = user
        .update_with("d", &token, json!([replace("z", "3", 2)]))
        .await;
    assert_eq!(other.unwrap_err(), spent());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_retry_that_races_its_first_try_gets_its_answer() {
    let fixture = Fixture::new();
    let pool = fixture.pool().await;
    let user = fixture.guest(&pool).await;
    for round in 0..20 {
        let dataset = format!("d{}", round % 10);
        let token = user.token(&dataset).await;
        let key = format!("k{round}");
        let patches = json!([replace(&key, "v", 0)]);
        let body = json!({ "SyncSessionToken": token, "RecordPatches": patches }).to_string();
        let tries = (0..4).map(|_| {
            let (site, caller) = (fixture.site.clone(), user.caller.clone());
            let (labels, body) = (user.labels(&dataset), body.clone());
            tokio::spawn(async move {
                let operation = SyncOperation::UpdateRecords;
                answer(&site, &caller, operation, &labels, "", body.as_bytes()).await
            })
        });
        let mut answers = Vec::new();
        for tried in tries.collect::<Vec<_>>() {
            answers.push(tried.await.unwrap().unwrap());
        }
        answers.dedup();
        assert_eq!(answers.len(), 1);
        let list = user.list(&dataset, "").await.unwrap();
        assert_eq!(list["DatasetSyncCount"], round / 10 + 1);
    }
}

#[tokio::test]
async fn a_refused_update_may_be_tried_again_for_good() {
    let fixture = Fixture::new();
    let pool = fixture.pool().await;
    let user = fixture.guest(&pool).await;
    let token = user.token("d").await;
    let stale = || user.update_with("d", &token, json!([replace("a", "1", 1)]));
    let refused = stale().await.unwrap_err();
    assert_eq!(stale().await.unwrap_err(), refused);
    user.update("d", json!([replace("b", "1", 0)]))
        .await
        .unwrap();
    // What was refused for a count that the dataset had not reached is accepted now.
    stale().await.unwrap();
}
