//! Which user is which identity, and taking users away.

use serde_json::{Value, json};

use super::*;

async fn lookup(fixture: &Fixture, body: Value) -> Result<Value, ApiError> {
    fixture.identity("LookupDeveloperIdentity", body).await
}

#[tokio::test]
async fn users_and_identities_are_found_by_each_other() {
    let fixture = Fixture::new();
    let pool = fixture.pool().await;
    let (identity, _) = developer_token(&fixture, &pool, "user0").await;
    let (other, _) = developer_token(&fixture, &pool, "other").await;
    for number in 1..5 {
        let body = json!({
            "IdentityPoolId": pool, "IdentityId": identity,
            "Logins": { "login.game": format!("user{number}") },
        });
        fixture
            .identity("GetOpenIdTokenForDeveloperIdentity", body)
            .await
            .unwrap();
    }
    let mut body = json!({
        "IdentityPoolId": pool, "DeveloperUserIdentifier": "user3", "MaxResults": 2,
    });
    let mut users = Vec::new();
    loop {
        let page = lookup(&fixture, body.clone()).await.unwrap();
        assert_eq!(page["IdentityId"], *identity);
        users.extend(
            page["DeveloperUserIdentifierList"]
                .as_array()
                .unwrap()
                .clone(),
        );
        let Some(next) = page.get("NextToken") else {
            break;
        };
        body["NextToken"] = next.clone();
    }
    assert_eq!(
        json!(users),
        json!(["user0", "user1", "user2", "user3", "user4"])
    );
    let both = |identity: &str, user: &str| {
        json!({
            "IdentityPoolId": pool, "IdentityId": identity, "DeveloperUserIdentifier": user,
        })
    };
    let found = lookup(&fixture, both(&identity, "user1")).await.unwrap();
    assert_eq!(found["DeveloperUserIdentifierList"], json!(["user1"]));
    let by_id = json!({ "IdentityPoolId": pool, "IdentityId": other });
    let found = lookup(&fixture, by_id).await.unwrap();
    assert_eq!(found["DeveloperUserIdentifierList"], json!(["other"]));
}

#[tokio::test]
async fn what_a_lookup_names_must_be_there_and_fit() {
    let fixture = Fixture::new();
    let pool = fixture.pool().await;
    let (identity, _) = developer_token(&fixture, &pool, "user1").await;
    let (other, _) = developer_token(&fixture, &pool, "other").await;
    let both = |identity: &str, user: &str| {
        json!({
            "IdentityPoolId": pool, "IdentityId": identity, "DeveloperUserIdentifier": user,
        })
    };
    let nobody = "us-east-1:aaaabbbb-cccc-4ddd-8eee-ffff00001111";
    for (body, kind) in [
        (both(&other, "user1"), "ResourceConflictException"),
        (both(&identity, "nobody"), "ResourceNotFoundException"),
        (both(nobody, "user1"), "ResourceNotFoundException"),
        (
            json!({ "IdentityPoolId": pool }),
            "InvalidParameterException",
        ),
        (
            json!({ "IdentityId": identity }),
            "InvalidParameterException",
        ),
        (
            json!({ "IdentityPoolId": pool, "IdentityId": identity, "MaxResults": 61 }),
            "InvalidParameterException",
        ),
        (
            json!({ "IdentityPoolId": pool, "IdentityId": identity, "NextToken": "x" }),
            "InvalidParameterException",
        ),
    ] {
        let error = lookup(&fixture, body.clone()).await.unwrap_err();
        assert_eq!(error.kind.name(), kind, "{body}: {}", error.message);
    }
}

#[tokio::test]
async fn a_user_that_was_taken_away_is_new_and_its_identity_out_of_reach() {
    let fixture = Fixture::new();
    let pool = fixture.pool().await;
    let (identity, token) = developer_token(&fixture, &pool, "ann").await;
    let (other, _) = developer_token(&fixture, &pool, "bob").await;
    let body = |identity: &str, user: &str| {
        json!({
            "IdentityPoolId": pool, "IdentityId": identity,
            "DeveloperProviderName": "login.game", "DeveloperUserIdentifier": user,
        })
    };
    let unlink = |body| fixture.identity("UnlinkDeveloperIdentity", body);
    let error = unlink(body(&other, "ann")).await.unwrap_err();
    assert_eq!(error.kind.name(), "ResourceConflictException");
    let error = unlink(body(&identity, "nobody")).await.unwrap_err();
    assert_eq!(error.kind.name(), "ResourceNotFoundException");
    assert_eq!(unlink(body(&identity, "ann")).await.unwrap(), json!({}));

    // Nobody comes back to it: not as a guest, not with the token of before.
    for proof in [json!(null), logins(&token)] {
        for operation in ["GetCredentialsForIdentity", "GetOpenIdToken"] {
            let body = json!({ "IdentityId": identity, "Logins": proof });
            let error = fixture.identity(operation, body).await.unwrap_err();
            assert_eq!(error.kind.name(), "NotAuthorizedException");
        }
    }
    let get_id = json!({ "IdentityPoolId": pool, "Logins": logins(&token) });
    let error = fixture.identity("GetId", get_id).await.unwrap_err();
    assert_eq!(error, crate::identity::logins::no_match());
    assert_ne!(developer_token(&fixture, &pool, "ann").await.0, identity);
    // But the developer may give it another user.
    let body = json!({
        "IdentityPoolId": pool, "IdentityId": identity, "Logins": { "login.game": "cid" },
    });
    let call = fixture.identity("GetOpenIdTokenForDeveloperIdentity", body);
    assert_eq!(call.await.unwrap()["IdentityId"], *identity);
    assert_eq!(developer_token(&fixture, &pool, "cid").await.0, identity);
}

/// A token once named every user of its identity, so that one who was unlinked lived on in it.
#[tokio::test]
async fn a_token_ends_with_the_user_that_it_was_made_for() {
    let fixture = Fixture::new();
    let pool = fixture.pool().await;
    let (identity, stolen) = developer_token(&fixture, &pool, "ann").await;
    let body = json!({
        "IdentityPoolId": pool, "IdentityId": identity, "Logins": { "login.game": "bob" },
    });
    let linked = fixture.identity("GetOpenIdTokenForDeveloperIdentity", body);
    assert_eq!(linked.await.unwrap()["IdentityId"], *identity);
    let (_, stolen_later) = developer_token(&fixture, &pool, "ann").await;
    let (_, own) = developer_token(&fixture, &pool, "bob").await;
    let body = json!({
        "IdentityPoolId": pool, "IdentityId": identity,
        "DeveloperProviderName": "login.game", "DeveloperUserIdentifier": "ann",
    });
    fixture
        .identity("UnlinkDeveloperIdentity", body)
        .await
        .unwrap();
    let credentials = |token: &str| {
        let body = json!({ "IdentityId": identity, "Logins": logins(token) });
        fixture.identity("GetCredentialsForIdentity", body)
    };
    for token in [&stolen, &stolen_later] {
        let error = credentials(token).await.unwrap_err();
        assert_eq!(error.kind.name(), "NotAuthorizedException");
    }
    credentials(&own).await.unwrap();
}

#[tokio::test]
async fn a_user_unlinks_itself_and_nobody_else_can() {
    let fixture = Fixture::new();
    let pool = fixture.pool().await;
    let (identity, token) = developer_token(&fixture, &pool, "ann").await;
    let (_, stranger) = developer_token(&fixture, &pool, "bob").await;
    let body = |token: &str| {
        json!({
            "IdentityId": identity, "Logins": logins(token), "LoginsToRemove": ["login.game"],
        })
    };
    let call = |body| fixture.identity_as(None, "UnlinkIdentity", body);
    let error = call(body(&stranger)).await.unwrap_err();
    assert_eq!(error, crate::identity::logins::no_match());
    let without = json!({
        "IdentityId": identity, "Logins": {}, "LoginsToRemove": ["login.game"],
    });
    let error = call(without).await.unwrap_err();
    assert_eq!(error, crate::identity::logins::no_match());
    let mut others = body(&token);
    others["LoginsToRemove"] = json!(["elsewhere"]);
    call(others).await.unwrap();
    assert_eq!(developer_token(&fixture, &pool, "ann").await.0, identity);
    assert_eq!(call(body(&token)).await.unwrap(), json!({}));
    assert_ne!(developer_token(&fixture, &pool, "ann").await.0, identity);
    let error = call(body(&token)).await.unwrap_err();
    assert_eq!(error, crate::identity::logins::no_match());
}
