//! Many at once, and no more than are allowed.

use serde_json::{Value, json};

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_calls_at_once_make_one_identity() {
    let fixture = Fixture::new();
    let pool = fixture.pool().await;
    let body = json!({ "IdentityPoolId": pool, "Logins": { "login.game": "ann" } }).to_string();
    let calls = (0..24).map(|_| {
        let (site, body) = (fixture.site.clone(), body.clone());
        tokio::spawn(async move {
            let operation = IdentityOperation::GetOpenIdTokenForDeveloperIdentity;
            answer(
                &site,
                Some(&Caller::root("AKIAROOT")),
                operation,
                body.as_bytes(),
            )
            .await
        })
    });
    let mut identities = std::collections::HashSet::new();
    for call in calls.collect::<Vec<_>>() {
        let answer: Value = serde_json::from_slice(&call.await.unwrap().unwrap()).unwrap();
        identities.insert(text(&answer, "IdentityId"));
    }
    assert_eq!(identities.len(), 1);
    let pool = Id::parse(&pool).unwrap();
    assert_eq!(fixture.site.guests.identities(pool.uuid), 1);
}

#[tokio::test]
async fn guests_and_identities_are_limited() {
    let mut config = Config::default();
    config.limits.identities_per_pool = 252;
    let fixture = Fixture::with(config, 1 << 20);
    let pool = fixture.pool().await;
    let body = json!({ "IdentityPoolId": pool });
    for _ in 0..250 {
        fixture.identity("GetId", body.clone()).await.unwrap();
    }
    let error = fixture.identity("GetId", body.clone()).await.unwrap_err();
    assert_eq!(error.kind.name(), "TooManyRequestsException");
    fixture.pass_ms(40);
    fixture.identity("GetId", body.clone()).await.unwrap();
    developer_token(&fixture, &pool, "ann").await;
    let fixture = fixture.restart().await;
    let error = fixture.identity("GetId", body).await.unwrap_err();
    assert_eq!(error.kind.name(), "LimitExceededException");
    developer_token(&fixture, &pool, "ann").await;
    let body = json!({ "IdentityPoolId": pool, "Logins": { "login.game": "bob" } });
    let call = fixture.identity("GetOpenIdTokenForDeveloperIdentity", body);
    assert_eq!(
        call.await.unwrap_err().kind.name(),
        "LimitExceededException"
    );
}
