//! The operations on a real store, from the JSON that comes to the JSON that goes.

mod limits;
mod lookups;
mod merges;
mod public;
mod removal;
mod settings;
mod sts;

use serde_json::{Value, json};
use syncline_engine::{Expected, Proposal, Wish};

use super::*;
use crate::config::Config;
use crate::fixture::{Fixture, text};

/// The identity of a developer's user and a token for it.
async fn developer_token(fixture: &Fixture, pool: &str, user: &str) -> (String, String) {
    let body = json!({ "IdentityPoolId": pool, "Logins": { "login.game": user } });
    let answer = fixture
        .identity("GetOpenIdTokenForDeveloperIdentity", body)
        .await
        .unwrap();
    (text(&answer, "IdentityId"), text(&answer, "Token"))
}

fn logins(token: &str) -> Value {
    json!({ "cognito-identity.amazonaws.com": token })
}

#[tokio::test]
async fn a_pool_is_made_described_and_listed() {
    let fixture = Fixture::new();
    let body = json!({
        "IdentityPoolName": "My game", "AllowUnauthenticatedIdentities": false,
        "AllowClassicFlow": true, "DeveloperProviderName": "login.game",
        "SupportedLoginProviders": { "graph.facebook.com": "123" },
        "OpenIdConnectProviderARNs": ["arn:aws:iam::000000000000:oidc-provider/example.org"],
        "CognitoIdentityProviders": [{ "ProviderName": "p", "ClientId": "c",
            "ServerSideTokenCheck": false }],
        "IdentityPoolTags": { "stage": "test" },
    });
    let made = fixture
        .identity("CreateIdentityPool", body.clone())
        .await
        .unwrap();
    let pool = text(&made, "IdentityPoolId");
    assert!(pool.starts_with("us-east-1:") && pool.len() == 46);
    for (member, value) in body.as_object().unwrap() {
        assert_eq!(made[member], *value, "{member}");
    }
    let described = fixture.identity("DescribeIdentityPool", json!({ "IdentityPoolId": pool }));
    assert_eq!(described.await.unwrap(), made);
    let mut pools = vec![pool];
    for _ in 0..4 {
        pools.push(fixture.pool().await);
    }
    pools.sort();
    let (mut found, mut body) = (Vec::new(), json!({ "MaxResults": 2 }));
    loop {
        let page = fixture
            .identity("ListIdentityPools", body.clone())
            .await
            .unwrap();
        let list = page["IdentityPools"].as_array().unwrap();
        found.extend(list.iter().map(|pool| text(pool, "IdentityPoolId")));
        let Some(next) = page.get("NextToken") else {
            break;
        };
        body["NextToken"] = next.clone();
    }
    assert_eq!(found, pools);
    body["NextToken"] = json!("x");
    let error = fixture
        .identity("ListIdentityPools", body)
        .await
        .unwrap_err();
    assert_eq!(error.message, "NextToken not valid for these inputs");
}

#[tokio::test]
async fn what_breaks_a_rule_is_named() {
    let fixture = Fixture::new();
    for (operation, body, reason) in [
        (
            "CreateIdentityPool",
            json!({}),
            "2 validation errors detected: Value null at 'identityPoolName'",
        ),
        (
            "CreateIdentityPool",
            json!({ "IdentityPoolName": "a/b",
            "AllowUnauthenticatedIdentities": true }),
            r"pattern: [\w\s+=,.@-]+",
        ),
        (
            "CreateIdentityPool",
            json!({ "IdentityPoolName": "a", "AllowUnauthenticatedIdentities":
            true, "DeveloperProviderName": "a b" }),
            "'developerProviderName'",
        ),
        ("ListIdentityPools", json!({}), "Value null at 'maxResults'"),
        (
            "ListIdentityPools",
            json!({ "MaxResults": 61 }),
            "less than or equal to 60",
        ),
        (
            "DescribeIdentityPool",
            json!({ "IdentityPoolId": "x" }),
            "'identityPoolId'",
        ),
        ("GetId", json!({}), "Value null at 'identityPoolId'"),
        (
            "GetCredentialsForIdentity",
            json!({ "IdentityId": "" }),
            "greater than or equal to 1",
        ),
        (
            "GetOpenIdTokenForDeveloperIdentity",
            json!({ "IdentityPoolId": "r:1", "Logins": {},
            "TokenDuration": 86_401 }),
            "less than or equal to 86400",
        ),
    ] {
        let error = fixture.identity(operation, body).await.unwrap_err();
        assert_eq!(error.kind.name(), "InvalidParameterException");
        assert!(error.message.contains(reason), "{}", error.message);
    }
    let nowhere = "us-east-1:aaaabbbb-cccc-4ddd-8eee-ffff00001111";
    for (operation, member, kind) in [
        ("DescribeIdentityPool", "IdentityPoolId", "IdentityPool"),
        ("GetId", "IdentityPoolId", "IdentityPool"),
    ] {
        let error = fixture
            .identity(operation, json!({ member: nowhere }))
            .await
            .unwrap_err();
        assert_eq!(
            error,
            ApiError::not_found(format!("{kind} '{nowhere}' not found"))
        );
    }
}

#[tokio::test]
async fn a_guest_signs_in() {
    let fixture = Fixture::new();
    let pool = fixture.pool().await;
    let one = fixture.guest(&pool).await;
    let two = fixture.guest(&pool).await;
    assert_ne!(one.identity, two.identity);
    let (identity, authenticated) = (one.identity.clone(), false);
    let caller = Caller::Identity {
        pool: pool.clone(),
        identity,
        authenticated,
    };
    assert_eq!(one.caller, caller);
    let body = json!({ "IdentityId": one.identity });
    let answer = fixture.identity("GetOpenIdToken", body).await.unwrap();
    let token = text(&answer, "Token");
    let claims = open_id::verify(&fixture.site.keys, &token, fixture.site.now().get()).unwrap();
    assert_eq!(
        (claims.sub, claims.exp - claims.iat),
        (one.identity.clone(), 600)
    );
    assert_eq!(claims.iss, fixture.site.config.public_url());
    let body = json!({ "IdentityId": one.identity, "Logins": logins(&token) });
    let error = fixture
        .identity("GetCredentialsForIdentity", body)
        .await
        .unwrap_err();
    assert_eq!(error, logins::no_match());
    let closed = json!({ "IdentityPoolName": "c", "AllowUnauthenticatedIdentities": false });
    let closed = fixture
        .identity("CreateIdentityPool", closed)
        .await
        .unwrap();
    let body = json!({ "IdentityPoolId": closed["IdentityPoolId"] });
    assert_eq!(
        fixture.identity("GetId", body).await.unwrap_err(),
        logins::no_guests()
    );
    let body = json!({ "IdentityPoolId": pool, "Logins": { "graph.facebook.com": "t" } });
    let message = fixture.identity("GetId", body).await.unwrap_err().message;
    assert_eq!(
        message,
        "Token is not from a supported provider of this identity pool."
    );
}

#[tokio::test]
async fn a_developers_user_signs_in_with_the_token() {
    let fixture = Fixture::new();
    let pool = fixture.pool().await;
    let (identity, token) = developer_token(&fixture, &pool, "ann").await;
    assert_eq!(developer_token(&fixture, &pool, "ann").await.0, identity);
    assert_ne!(developer_token(&fixture, &pool, "bob").await.0, identity);
    let body = json!({ "IdentityId": identity, "Logins": logins(&token) });
    let answer = fixture
        .identity("GetCredentialsForIdentity", body.clone())
        .await
        .unwrap();
    let authenticated = true;
    let caller = Caller::Identity {
        pool: pool.clone(),
        identity: identity.clone(),
        authenticated,
    };
    assert_eq!(fixture.caller(&answer).unwrap(), caller);
    let get_id = json!({ "IdentityPoolId": pool, "Logins": logins(&token) });
    assert_eq!(
        fixture.identity("GetId", get_id).await.unwrap()["IdentityId"],
        *identity
    );
    let other = fixture.pool().await;
    let get_id = json!({ "IdentityPoolId": other, "Logins": logins(&token) });
    assert_eq!(
        fixture.identity("GetId", get_id).await.unwrap_err(),
        logins::no_match()
    );
    fixture.pass_ms(900_000);
    let error = fixture
        .identity("GetCredentialsForIdentity", body)
        .await
        .unwrap_err();
    assert!(
        error
            .message
            .starts_with("Invalid login token. Token expired: ")
    );
    fixture.pass_ms(3_600_000);
    assert_eq!(
        fixture.caller(&answer).unwrap_err().kind.name(),
        "ExpiredTokenException"
    );
}

#[tokio::test]
async fn a_user_without_its_own_token_is_refused() {
    let fixture = Fixture::new();
    let pool = fixture.pool().await;
    let (identity, token) = developer_token(&fixture, &pool, "ann").await;
    let (_, bobs_token) = developer_token(&fixture, &pool, "bob").await;
    let body = json!({ "IdentityId": identity, "Logins": logins(&token) });
    let without = json!({ "IdentityId": identity });
    let bobs = json!({ "IdentityId": identity, "Logins": logins(&bobs_token) });
    for operation in ["GetCredentialsForIdentity", "GetOpenIdToken"] {
        let error = fixture
            .identity(operation, without.clone())
            .await
            .unwrap_err();
        assert_eq!(error, access::forbidden(&identity));
        let error = fixture.identity(operation, bobs.clone()).await.unwrap_err();
        assert_eq!(error, logins::no_match());
    }
    let web = text(
        &fixture
            .identity("GetOpenIdToken", body.clone())
            .await
            .unwrap(),
        "Token",
    );
    let exchanged = json!({ "IdentityId": identity, "Logins": logins(&web) });
    let error = fixture
        .identity("GetCredentialsForIdentity", exchanged)
        .await
        .unwrap_err();
    assert_eq!(
        error,
        logins::no_match(),
        "only the developer vouches for a user"
    );
}

#[tokio::test]
async fn a_stranger_cannot_tell_whether_an_identity_exists() {
    let fixture = Fixture::new();
    let pool = fixture.pool().await;
    let (exists, _) = developer_token(&fixture, &pool, "ann").await;
    let (_, token) = developer_token(&fixture, &pool, "stranger").await;
    let nobody = "us-east-1:aaaabbbb-cccc-4ddd-8eee-ffff00001111".to_owned();
    for operation in ["GetCredentialsForIdentity", "GetOpenIdToken"] {
        for proof in [
            json!(null),
            logins(&token),
            logins("x"),
            json!({ "other": "x" }),
        ] {
            let ask = async |identity: &str| {
                let body = json!({ "IdentityId": identity, "Logins": proof });
                let error = fixture.identity(operation, body).await.unwrap_err();
                (error.kind, error.message.replace(identity, "<id>"))
            };
            assert_eq!(ask(&exists).await, ask(&nobody).await, "{proof}");
        }
    }
}

#[tokio::test]
async fn a_user_is_linked_to_an_identity_once() {
    let fixture = Fixture::new();
    let pool = fixture.pool().await;
    let guest = fixture.guest(&pool).await.identity;
    let call = |user: String, identity: String| {
        let body = json!({
            "IdentityPoolId": pool, "IdentityId": identity, "Logins": { "login.game": user },
        });
        fixture.identity("GetOpenIdTokenForDeveloperIdentity", body)
    };
    let linked = call("ann".to_owned(), guest.clone()).await.unwrap();
    assert_eq!(linked["IdentityId"], *guest);
    call("ann".to_owned(), guest.clone()).await.unwrap();
    assert_eq!(developer_token(&fixture, &pool, "ann").await.0, guest);
    let body = json!({ "IdentityId": guest });
    let error = fixture
        .identity("GetCredentialsForIdentity", body)
        .await
        .unwrap_err();
    assert_eq!(error, access::forbidden(&guest), "it is no guest any more");
    let (bob, _) = developer_token(&fixture, &pool, "bob").await;
    let error = call("ann".to_owned(), bob.clone()).await.unwrap_err();
    assert_eq!(error.kind.name(), "DeveloperUserAlreadyRegisteredException");
    let nobody = "us-east-1:aaaabbbb-cccc-4ddd-8eee-ffff00001111".to_owned();
    let error = call("new".to_owned(), nobody).await.unwrap_err();
    assert_eq!(error.kind.name(), "ResourceNotFoundException");
    for number in 0..19 {
        call(format!("user{number}"), bob.clone()).await.unwrap();
    }
    let error = call("user19".to_owned(), bob).await.unwrap_err();
    assert_eq!(error.kind.name(), "LimitExceededException");
    let body = json!({ "IdentityPoolId": pool, "Logins": { "other.game": "ann" } });
    let call = fixture.identity("GetOpenIdTokenForDeveloperIdentity", body);
    assert_eq!(
        call.await.unwrap_err().kind.name(),
        "NotAuthorizedException"
    );
}

#[tokio::test]
async fn a_pool_that_is_gone_takes_its_identities_along() {
    let fixture = Fixture::new();
    let pool = fixture.pool().await;
    let guest = fixture.guest(&pool).await;
    let key = stored::pool_key(&Id::parse(&pool).unwrap());
    let wishes = vec![Wish::DeleteMetadata {
        key,
        expected: Expected::Something,
    }];
    fixture
        .site
        .store
        .commit(Proposal {
            wishes,
            ..Proposal::default()
        })
        .await
        .unwrap();
    let body = json!({ "IdentityId": guest.identity });
    let error = fixture
        .identity("GetCredentialsForIdentity", body)
        .await
        .unwrap_err();
    assert_eq!(error, access::forbidden(&guest.identity));
    assert_eq!(
        guest.list("d", "").await.unwrap_err(),
        access::forbidden(&guest.identity)
    );
    fixture.site.store_counts().await;
    let uuid = Id::parse(&pool).unwrap().uuid;
    let engine = fixture.site.store.engine();
    assert_eq!(
        engine
            .reader()
            .metadata_version(&stored::sessions_key(uuid)),
        None
    );
}

#[tokio::test]
async fn who_may_call_is_checked_before_the_body() {
    let fixture = Fixture::new();
    let pool = fixture.pool().await;
    let guest = fixture.guest(&pool).await;
    let call = fixture.identity_as(None, "CreateIdentityPool", json!([]));
    assert_eq!(
        call.await.unwrap_err().kind.name(),
        "MissingAuthenticationTokenException"
    );
    let call = fixture.identity_as(Some(&guest.caller), "CreateIdentityPool", json!([]));
    assert_eq!(call.await.unwrap_err().kind.name(), "AccessDeniedException");
    let call = fixture.identity_as(None, "GetId", json!([]));
    assert_eq!(
        call.await.unwrap_err().kind.name(),
        "SerializationException"
    );
}

#[tokio::test]
async fn tokens_can_be_verified_by_the_published_keys() {
    let fixture = Fixture::new();
    let keys = well_known(&fixture.site, "/.well-known/jwks.json").unwrap();
    let keys: Value = serde_json::from_str(&keys).unwrap();
    assert_eq!(keys["keys"][0]["alg"], "RS512");
    assert!(well_known(&fixture.site, "/.well-known/openid-configuration").is_some());
    assert!(well_known(&fixture.site, "/.well-known/other").is_none());
}
