//! Merging identities: who wins, what becomes of the data, and who is refused.

use serde_json::{Value, json};

use super::*;
use crate::fixture::{User, replace};

/// A developer's user, signed in.
pub(super) async fn user<'a>(fixture: &'a Fixture, pool: &str, name: &str) -> User<'a> {
    let (identity, token) = developer_token(fixture, pool, name).await;
    let body = json!({ "IdentityId": identity, "Logins": logins(&token) });
    let answer = fixture
        .identity("GetCredentialsForIdentity", body)
        .await
        .unwrap();
    let caller = fixture.caller(&answer).unwrap();
    User {
        fixture,
        pool: pool.to_owned(),
        identity: text(&answer, "IdentityId"),
        caller,
    }
}

async fn merge(fixture: &Fixture, pool: &str, from: &str, to: &str) -> Result<Value, ApiError> {
    let body = json!({
        "IdentityPoolId": pool, "DeveloperProviderName": "login.game",
        "SourceUserIdentifier": from, "DestinationUserIdentifier": to,
    });
    fixture.identity("MergeDeveloperIdentities", body).await
}

#[tokio::test]
async fn the_destination_gets_logins_and_data_and_the_source_ends_at_once() {
    let fixture = Fixture::new();
    let pool = fixture.pool().await;
    let (ann, bob) = (
        user(&fixture, &pool, "ann").await,
        user(&fixture, &pool, "bob").await,
    );
    ann.update("saves", json!([replace("level", "7", 0)]))
        .await
        .unwrap();
    for count in 0..3 {
        bob.update("saves", json!([replace("level", "9", count)]))
            .await
            .unwrap();
    }
    bob.update("only", json!([replace("k", "v", 0)]))
        .await
        .unwrap();
    let merged = merge(&fixture, &pool, "bob", "ann").await.unwrap();
    assert_eq!(merged["IdentityId"], *ann.identity);
    let pool_uuid = Id::parse(&pool).unwrap().uuid;
    assert_eq!(fixture.site.guests.identities(pool_uuid), 1);

    for (root, value) in [("saves", "9"), ("only", "v")] {
        let name = format!("{root}.{}", bob.identity);
        let listed = ann.list(root, "").await.unwrap();
        assert_eq!(listed["MergedDatasetNames"], json!([name]), "{root}");
        let copy = ann.list(&name, "").await.unwrap();
        assert_eq!(copy["DatasetSyncCount"], 1);
        assert_eq!(copy["Records"][0]["Value"], value);
        assert_eq!(copy["Records"][0]["SyncCount"], 1);
        assert_eq!(copy["Records"][0]["LastModifiedBy"], *bob.identity);
    }
    assert_eq!(
        ann.list("saves", "").await.unwrap()["Records"][0]["Value"],
        "7"
    );
    let error = bob.list("saves", "").await.unwrap_err();
    assert_eq!(error, access::forbidden(&bob.identity));
    let (identity, token) = developer_token(&fixture, &pool, "bob").await;
    assert_eq!(identity, ann.identity);
    let body = json!({ "IdentityId": bob.identity, "Logins": logins(&token) });
    let answer = fixture
        .identity("GetCredentialsForIdentity", body)
        .await
        .unwrap();
    assert_eq!(
        answer["IdentityId"], *ann.identity,
        "whoever names the loser is led on"
    );
    assert_eq!(merge(&fixture, &pool, "bob", "ann").await.unwrap(), merged);

    let fixture = fixture.restart().await;
    assert_eq!(developer_token(&fixture, &pool, "bob").await.0, identity);
    assert_eq!(fixture.site.guests.identities(pool_uuid), 1);
}

#[tokio::test]
async fn a_merge_of_full_identities_passes_the_limit_of_datasets() {
    let fixture = Fixture::new();
    let pool = fixture.pool().await;
    let (ann, bob) = (
        user(&fixture, &pool, "ann").await,
        user(&fixture, &pool, "bob").await,
    );
    for number in 0..20 {
        let name = format!("set{number}");
        let patches = json!([replace("k", &name, 0)]);
        ann.update(&name, patches.clone()).await.unwrap();
        bob.update(&name, patches).await.unwrap();
    }
    // A name that the winner used before, and then deleted.
    let taken = format!("set0.{}", bob.identity);
    ann.call("DeleteDataset", "set1", "", Value::Null)
        .await
        .unwrap();
    ann.update(&taken, json!([replace("k", "v", 0)]))
        .await
        .unwrap();
    ann.call("DeleteDataset", &taken, "", Value::Null)
        .await
        .unwrap();
    ann.update("set1", json!([replace("k", "again", 0)]))
        .await
        .unwrap();
    merge(&fixture, &pool, "bob", "ann").await.unwrap();
    let listed = ann.call("ListDatasets", "", "", Value::Null).await.unwrap();
    assert_eq!(listed["Count"], 40);
    let report = ann.list("set0", "").await.unwrap();
    let name = format!("{taken}.2");
    assert_eq!(report["MergedDatasetNames"], json!([name]));
    let copy = ann.list(&name, "").await.unwrap();
    assert_eq!(copy["Records"][0]["Value"], "set0");
    let error = ann
        .update("new", json!([replace("k", "v", 0)]))
        .await
        .unwrap_err();
    assert_eq!(error.kind.name(), "LimitExceededException");
    ann.update(&name, json!([replace("k", "v", 1)]))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_merged_identity_can_be_merged_on() {
    let fixture = Fixture::new();
    let pool = fixture.pool().await;
    let mut ids = Vec::new();
    for name in ["ann", "bob", "cid"] {
        let user = user(&fixture, &pool, name).await;
        user.update("saves", json!([replace("k", name, 0)]))
            .await
            .unwrap();
        ids.push(user.identity);
    }
    merge(&fixture, &pool, "ann", "bob").await.unwrap();
    merge(&fixture, &pool, "bob", "cid").await.unwrap();
    let cid = user(&fixture, &pool, "cid").await;
    let report = cid.list("saves", "").await.unwrap();
    assert_eq!(report["MergedDatasetNames"].as_array().unwrap().len(), 2);
    for name in ["ann", "bob", "cid"] {
        assert_eq!(developer_token(&fixture, &pool, name).await.0, cid.identity);
    }
    let body = json!({ "IdentityPoolId": pool, "MaxResults": 2 });
    let page = fixture
        .identity("ListIdentities", body.clone())
        .await
        .unwrap();
    assert_eq!(page["Identities"][0]["IdentityId"], *cid.identity);
    assert_eq!(page["Identities"][0]["Logins"], json!(["login.game"]));
    let mut rest = body.clone();
    rest["NextToken"] = page["NextToken"].clone();
    let last = fixture.identity("ListIdentities", rest).await.unwrap();
    assert_eq!(last["Identities"].as_array().unwrap().len(), 1);
    assert!(last.get("NextToken").is_none());
    let mut hidden = body;
    hidden["HideDisabled"] = json!(true);
    let page = fixture.identity("ListIdentities", hidden).await.unwrap();
    assert_eq!(page["Identities"].as_array().unwrap().len(), 1);
    let body = json!({ "IdentityId": ids[0] });
    let former = fixture.identity("DescribeIdentity", body).await.unwrap();
    assert!(former.get("Logins").is_none());
}

#[tokio::test]
async fn only_users_that_exist_are_merged() {
    let fixture = Fixture::new();
    let pool = fixture.pool().await;
    developer_token(&fixture, &pool, "ann").await;
    for (from, to) in [("ann", "nobody"), ("nobody", "ann")] {
        let error = merge(&fixture, &pool, from, to).await.unwrap_err();
        assert_eq!(error.kind.name(), "ResourceNotFoundException");
    }
    let body = json!({
        "IdentityPoolId": pool, "DeveloperProviderName": "other",
        "SourceUserIdentifier": "ann", "DestinationUserIdentifier": "ann",
    });
    let error = fixture
        .identity("MergeDeveloperIdentities", body)
        .await
        .unwrap_err();
    assert_eq!(error.kind.name(), "InvalidParameterException");
    let other = fixture.pool().await;
    let error = merge(&fixture, &other, "ann", "ann").await.unwrap_err();
    assert_eq!(
        error.kind.name(),
        "ResourceNotFoundException",
        "pools are apart"
    );
}

#[tokio::test]
async fn a_guest_is_merged_into_the_user_that_signs_in_with_its_id() {
    let fixture = Fixture::new();
    let pool = fixture.pool().await;
    let guest = fixture.guest(&pool).await;
    guest
        .update("saves", json!([replace("k", "guest", 0)]))
        .await
        .unwrap();
    let (ann, token) = developer_token(&fixture, &pool, "ann").await;
    assert_ne!(ann, guest.identity);
    let body = json!({ "IdentityId": guest.identity, "Logins": logins(&token) });
    let answer = fixture.identity("GetOpenIdToken", body).await.unwrap();
    assert_eq!(
        answer["IdentityId"], *ann,
        "the present owner of the login wins"
    );
    let error = guest.list("saves", "").await.unwrap_err();
    assert_eq!(error, access::forbidden(&guest.identity));
    let ann = user(&fixture, &pool, "ann").await;
    let report = ann.list("saves", "").await.unwrap();
    let name = format!("saves.{}", guest.identity);
    assert_eq!(report["MergedDatasetNames"], json!([name]));
    assert_eq!(report["DatasetExists"], false);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writes_during_a_merge_are_merged_or_refused_and_never_lost() {
    let fixture = Fixture::new();
    let pool = fixture.pool().await;
    user(&fixture, &pool, "ann").await;
    let bob = user(&fixture, &pool, "bob").await;
    // The sessions are opened before, so that writing and merging begin together.
    let mut writes = Vec::new();
    for number in 0..20 {
        let name = format!("set{number}");
        let token = bob.token(&name).await;
        let labels = bob.labels(&name);
        let (site, caller) = (fixture.site.clone(), bob.caller.clone());
        writes.push(tokio::spawn(async move {
            let body = json!({
                "SyncSessionToken": token, "RecordPatches": [replace("k", "v", 0)],
            });
            let operation = crate::routes::SyncOperation::UpdateRecords;
            let body = body.to_string();
            crate::ops::answer(&site, &caller, operation, &labels, "", body.as_bytes()).await
        }));
    }
    merge(&fixture, &pool, "bob", "ann").await.unwrap();
    let mut written = Vec::new();
    for (number, write) in writes.into_iter().enumerate() {
        match write.await.unwrap() {
            Ok(_) => written.push(number),
            Err(error) => assert_eq!(error, access::forbidden(&bob.identity)),
        }
    }
    let ann = user(&fixture, &pool, "ann").await;
    let listed = ann.call("ListDatasets", "", "", Value::Null).await.unwrap();
    assert_eq!(listed["Count"], written.len());
    for number in written {
        let name = format!("set{number}.{}", bob.identity);
        let copy = ann.list(&name, "").await.unwrap();
        assert_eq!(copy["Records"][0]["Value"], "v");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn merges_both_ways_at_once_leave_one_identity_with_everything() {
    let fixture = Fixture::new();
    let pool = fixture.pool().await;
    let (ann, bob) = (
        user(&fixture, &pool, "ann").await,
        user(&fixture, &pool, "bob").await,
    );
    ann.update("a", json!([replace("k", "v", 0)]))
        .await
        .unwrap();
    bob.update("b", json!([replace("k", "v", 0)]))
        .await
        .unwrap();
    let mut calls = Vec::new();
    for number in 0..8 {
        let (from, to) = if number % 2 == 0 {
            ("ann", "bob")
        } else {
            ("bob", "ann")
        };
        let body = json!({
            "IdentityPoolId": pool, "DeveloperProviderName": "login.game",
            "SourceUserIdentifier": from, "DestinationUserIdentifier": to,
        });
        let (site, body) = (fixture.site.clone(), body.to_string());
        calls.push(tokio::spawn(async move {
            let operation = IdentityOperation::MergeDeveloperIdentities;
            answer(
                &site,
                Some(&Caller::root("AKIAROOT")),
                operation,
                body.as_bytes(),
            )
            .await
        }));
    }
    let mut winners = std::collections::HashSet::new();
    for call in calls {
        let answer: Value = serde_json::from_slice(&call.await.unwrap().unwrap()).unwrap();
        winners.insert(text(&answer, "IdentityId"));
    }
    assert_eq!(winners.len(), 1);
    let winner = user(&fixture, &pool, "ann").await;
    assert!(winners.contains(&winner.identity));
    let listed = winner
        .call("ListDatasets", "", "", Value::Null)
        .await
        .unwrap();
    assert_eq!(listed["Count"], 2);
    let pool = Id::parse(&pool).unwrap();
    assert_eq!(fixture.site.guests.identities(pool.uuid), 1);
}
