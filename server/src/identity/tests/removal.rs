//! Deleting identities and pools.

use serde_json::{Value, json};

use super::merges::user;
use super::*;
use crate::fixture::replace;

/// Metadata keys that are stored.
fn keys(fixture: &Fixture) -> usize {
    let reader = fixture.site.store.engine().reader();
    reader.scan_keys(&[], None, 10_000).len()
}

#[tokio::test]
async fn a_deleted_identity_leaves_nothing_behind() {
    let fixture = Fixture::new();
    let pool = fixture.pool().await;
    let before = keys(&fixture);
    let ann = user(&fixture, &pool, "ann").await;
    let guest = fixture.guest(&pool).await;
    ann.update("saves", json!([replace("k", "v", 0)]))
        .await
        .unwrap();
    let nobody = "us-east-1:aaaabbbb-cccc-4ddd-8eee-ffff00001111";
    let body = json!({ "IdentityIdsToDelete": [ann.identity, guest.identity, nobody] });
    let answer = fixture
        .identity("DeleteIdentities", body.clone())
        .await
        .unwrap();
    assert_eq!(answer, json!({ "UnprocessedIdentityIds": [] }));
    assert_eq!(
        ann.list("saves", "").await.unwrap_err(),
        access::forbidden(&ann.identity)
    );
    fixture.site.store_counts().await;
    assert_eq!(keys(&fixture), before + 1, "but the count of sessions");
    let pool_uuid = Id::parse(&pool).unwrap().uuid;
    assert_eq!(fixture.site.guests.identities(pool_uuid), 0);
    assert_eq!(fixture.site.store.engine().stats().bytes, 0);
    let again = fixture.identity("DeleteIdentities", body).await.unwrap();
    assert_eq!(again, answer);
    assert_ne!(
        developer_token(&fixture, &pool, "ann").await.0,
        ann.identity
    );
    for ids in [
        json!([]),
        json!(null),
        json!(["x"]),
        json!(vec![nobody; 61]),
    ] {
        let body = json!({ "IdentityIdsToDelete": ids });
        let error = fixture
            .identity("DeleteIdentities", body)
            .await
            .unwrap_err();
        assert_eq!(error.kind.name(), "InvalidParameterException");
    }
}

#[tokio::test]
async fn what_was_merged_is_deleted_on_both_sides() {
    let fixture = Fixture::new();
    let pool = fixture.pool().await;
    let before = keys(&fixture);
    let (ann, bob) = (
        user(&fixture, &pool, "ann").await,
        user(&fixture, &pool, "bob").await,
    );
    bob.update("saves", json!([replace("k", "v", 0)]))
        .await
        .unwrap();
    let body = json!({
        "IdentityPoolId": pool, "DeveloperProviderName": "login.game",
        "SourceUserIdentifier": "bob", "DestinationUserIdentifier": "ann",
    });
    fixture
        .identity("MergeDeveloperIdentities", body)
        .await
        .unwrap();
    let body = json!({ "IdentityIdsToDelete": [ann.identity, bob.identity] });
    fixture.identity("DeleteIdentities", body).await.unwrap();
    assert_eq!(keys(&fixture), before);
    let pool_uuid = Id::parse(&pool).unwrap().uuid;
    assert_eq!(fixture.site.guests.identities(pool_uuid), 0);
}

#[tokio::test]
async fn a_deleted_pool_is_gone_at_once_and_swept_after_a_restart() {
    let fixture = Fixture::new();
    let stays = fixture.pool().await;
    let survivor = fixture.guest(&stays).await.identity;
    let before = keys(&fixture);
    let pool = fixture.pool().await;
    let ann = user(&fixture, &pool, "ann").await;
    ann.update("saves", json!([replace("k", "v", 0)]))
        .await
        .unwrap();
    for _ in 0..50 {
        fixture.guest(&pool).await;
    }
    let role = "arn:aws:iam::000000000000:role/r";
    let roles = json!({ "IdentityPoolId": pool, "Roles": { "authenticated": role } });
    fixture
        .identity("SetIdentityPoolRoles", roles)
        .await
        .unwrap();
    let body = json!({ "IdentityPoolId": pool });
    let answer = fixture
        .identity("DeleteIdentityPool", body.clone())
        .await
        .unwrap();
    assert_eq!(answer, json!({}));
    assert_eq!(
        ann.list("saves", "").await.unwrap_err(),
        access::forbidden(&ann.identity)
    );
    for operation in ["DeleteIdentityPool", "DescribeIdentityPool", "GetId"] {
        let error = fixture.identity(operation, body.clone()).await.unwrap_err();
        assert_eq!(error.kind.name(), "ResourceNotFoundException");
    }
    let identity = ann.identity.clone();
    drop(ann);
    let fixture = fixture.restart().await;
    assert!(keys(&fixture) > before);
    fixture.site.finish_deletions(|| true).await;
    assert!(keys(&fixture) > before, "told to stop");
    fixture.site.finish_deletions(|| false).await;
    assert_eq!(keys(&fixture), before);
    let body = json!({ "IdentityId": identity });
    let error = fixture
        .identity("DescribeIdentity", body)
        .await
        .unwrap_err();
    assert_eq!(error.kind.name(), "ResourceNotFoundException");
    let body = json!({ "IdentityId": survivor });
    let found = fixture.identity("DescribeIdentity", body).await.unwrap();
    assert_eq!(found["IdentityId"], Value::String(survivor));
}
