//! What is set for a pool and shown again.

use serde_json::{Value, json};

use super::*;

const ROLE: &str = "arn:aws:iam::000000000000:role/r";

fn arn(pool: &str) -> String {
    format!("arn:aws:cognito-identity:us-east-1:000000000000:identitypool/{pool}")
}

#[tokio::test]
async fn a_pool_is_set_up_anew() {
    let fixture = Fixture::new();
    let pool = fixture.pool().await;
    let tags = json!({ "ResourceArn": arn(&pool), "Tags": { "stage": "test" } });
    fixture.identity("TagResource", tags).await.unwrap();
    let mut body = json!({
        "IdentityPoolId": pool, "IdentityPoolName": "new", "AllowClassicFlow": true,
        "AllowUnauthenticatedIdentities": false,
        "SupportedLoginProviders": { "graph.facebook.com": "1" },
    });
    let updated = fixture
        .identity("UpdateIdentityPool", body.clone())
        .await
        .unwrap();
    for (member, value) in body.as_object().unwrap() {
        assert_eq!(updated[member], *value, "{member}");
    }
    assert_eq!(
        updated["DeveloperProviderName"], "login.game",
        "users are known by it"
    );
    assert_eq!(updated["IdentityPoolTags"], json!({ "stage": "test" }));
    let describe = json!({ "IdentityPoolId": pool });
    let described = fixture
        .identity("DescribeIdentityPool", describe)
        .await
        .unwrap();
    assert_eq!(described, updated);
    body["DeveloperProviderName"] = json!("other");
    let error = fixture
        .identity("UpdateIdentityPool", body.clone())
        .await
        .unwrap_err();
    assert_eq!(error.kind.name(), "InvalidParameterException");
    body["DeveloperProviderName"] = json!("login.game");
    body["SupportedLoginProviders"] = json!({ "login.game": "1" });
    let error = fixture
        .identity("UpdateIdentityPool", body.clone())
        .await
        .unwrap_err();
    assert!(error.message.contains("that of another provider"));
    body["IdentityPoolId"] = json!("us-east-1:aaaabbbb-cccc-4ddd-8eee-ffff00001111");
    let error = fixture
        .identity("UpdateIdentityPool", body)
        .await
        .unwrap_err();
    assert_eq!(error.kind.name(), "ResourceNotFoundException");
    let error = fixture
        .identity("UpdateIdentityPool", json!({}))
        .await
        .unwrap_err();
    assert!(error.message.starts_with("3 validation errors detected"));
}

#[tokio::test]
async fn tags_come_and_go() {
    let fixture = Fixture::new();
    let pool = fixture.pool().await;
    let arn = arn(&pool);
    let tag = json!({ "ResourceArn": arn, "Tags": { "a": "1", "b": "2" } });
    assert_eq!(
        fixture.identity("TagResource", tag).await.unwrap(),
        json!({})
    );
    let tag = json!({ "ResourceArn": arn, "Tags": { "b": "3" } });
    fixture.identity("TagResource", tag).await.unwrap();
    let untag = json!({ "ResourceArn": arn, "TagKeys": ["a", "none"] });
    fixture.identity("UntagResource", untag).await.unwrap();
    let list = json!({ "ResourceArn": arn });
    let listed = fixture.identity("ListTagsForResource", list).await.unwrap();
    assert_eq!(listed, json!({ "Tags": { "b": "3" } }));
    let many: serde_json::Map<String, Value> =
        (0..50).map(|n| (format!("t{n}"), json!(""))).collect();
    let tag = json!({ "ResourceArn": arn, "Tags": many });
    let error = fixture.identity("TagResource", tag).await.unwrap_err();
    assert_eq!(error.kind.name(), "InvalidParameterException");
    for (arn, kind) in [
        (
            arn.replace("000000000000", "111111111111"),
            "ResourceNotFoundException",
        ),
        (
            arn.replace("us-east-1:0", "eu-west-1:0"),
            "ResourceNotFoundException",
        ),
        (
            arn.replace("cognito-identity", "s3"),
            "ResourceNotFoundException",
        ),
        (
            arn.replace("identitypool", "userpool"),
            "ResourceNotFoundException",
        ),
        ("a".repeat(20), "InvalidParameterException"),
        ("short".to_owned(), "InvalidParameterException"),
    ] {
        let list = json!({ "ResourceArn": arn });
        let error = fixture
            .identity("ListTagsForResource", list)
            .await
            .unwrap_err();
        assert_eq!(error.kind.name(), kind, "{arn}");
    }
}

/// Roles and mappings of every kind.
fn roles(pool: &str) -> Value {
    json!({
        "IdentityPoolId": pool,
        "Roles": { "authenticated": ROLE, "unauthenticated": ROLE },
        "RoleMappings": {
            "graph.facebook.com": { "Type": "Token", "AmbiguousRoleResolution": "Deny" },
            "accounts.example": {
                "Type": "Rules", "AmbiguousRoleResolution": "AuthenticatedRole",
                "RulesConfiguration": { "Rules": [{
                    "Claim": "c", "MatchType": "Equals", "Value": "v", "RoleARN": ROLE,
                }] },
            },
        },
    })
}

#[tokio::test]
async fn roles_are_kept_as_they_came() {
    let fixture = Fixture::new();
    let pool = fixture.pool().await;
    let get = json!({ "IdentityPoolId": pool });
    let none = fixture
        .identity("GetIdentityPoolRoles", get.clone())
        .await
        .unwrap();
    assert_eq!(none, json!({ "IdentityPoolId": pool, "Roles": {} }));
    let roles = roles(&pool);
    let set = fixture
        .identity("SetIdentityPoolRoles", roles.clone())
        .await
        .unwrap();
    assert_eq!(set, json!({}));
    let fixture = fixture.restart().await;
    let found = fixture
        .identity("GetIdentityPoolRoles", get.clone())
        .await
        .unwrap();
    assert_eq!(found, roles);
    let fewer = json!({ "IdentityPoolId": pool, "Roles": {} });
    fixture
        .identity("SetIdentityPoolRoles", fewer.clone())
        .await
        .unwrap();
    assert_eq!(
        fixture.identity("GetIdentityPoolRoles", get).await.unwrap(),
        fewer
    );
    for (pointer, value) in [
        ("/Roles/authenticated", json!("short")),
        ("/Roles", json!({ "other": ROLE })),
        ("/Roles", json!(null)),
        ("/RoleMappings/accounts.example/Type", json!("Other")),
        ("/RoleMappings/accounts.example/Type", json!(null)),
        (
            "/RoleMappings/accounts.example/AmbiguousRoleResolution",
            json!("x"),
        ),
        (
            "/RoleMappings/accounts.example/RulesConfiguration/Rules",
            json!([]),
        ),
        (
            "/RoleMappings/accounts.example/RulesConfiguration/Rules/0/MatchType",
            json!("x"),
        ),
        (
            "/RoleMappings/accounts.example/RulesConfiguration/Rules/0/Claim",
            json!(null),
        ),
    ] {
        let mut bad = roles.clone();
        *bad.pointer_mut(pointer).unwrap() = value;
        let error = fixture
            .identity("SetIdentityPoolRoles", bad)
            .await
            .unwrap_err();
        assert_eq!(error.kind.name(), "InvalidParameterException", "{pointer}");
    }
}

#[tokio::test]
async fn principal_tags_are_kept_by_provider() {
    let fixture = Fixture::new();
    let pool = fixture.pool().await;
    let get = json!({ "IdentityPoolId": pool, "IdentityProviderName": "p" });
    let call = fixture.identity("GetPrincipalTagAttributeMap", get.clone());
    assert_eq!(
        call.await.unwrap_err().kind.name(),
        "ResourceNotFoundException"
    );
    let set = json!({
        "IdentityPoolId": pool, "IdentityProviderName": "p", "UseDefaults": false,
        "PrincipalTags": { "team": "t" },
    });
    let call = fixture.identity("SetPrincipalTagAttributeMap", set.clone());
    assert_eq!(call.await.unwrap(), set);
    let call = fixture.identity("GetPrincipalTagAttributeMap", get);
    assert_eq!(call.await.unwrap(), set);
    for number in 1..=50 {
        let mut other = set.clone();
        other["IdentityProviderName"] = json!(format!("p{number}"));
        let answer = fixture.identity("SetPrincipalTagAttributeMap", other).await;
        assert_eq!(answer.is_ok(), number < 50, "{number}");
    }
    fixture
        .identity("SetPrincipalTagAttributeMap", set)
        .await
        .unwrap();
}
