//! The basic flow: an OpenID token for credentials, by STS.

use serde_json::json;

use super::*;
use crate::identity::sts::{self, Answer};

const ROLE: &str = "arn:aws:iam::000000000000:role/path/Role";

fn form(token: &str) -> String {
    format!(
        "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn={}&RoleSessionName=me+1\
         &WebIdentityToken={token}",
        ROLE.replace('/', "%2F")
    )
    .replace("me+1", "me%2B1")
}

async fn ask(fixture: &Fixture, form: &str) -> Answer {
    sts::answer(&fixture.site, form.as_bytes(), "request-1").await
}

fn element<'a>(xml: &'a str, name: &str) -> &'a str {
    let (_, rest) = xml.split_once(&format!("<{name}>")).unwrap();
    rest.split_once(&format!("</{name}>")).unwrap().0
}

fn refused(answer: &Answer, status: u16, code: &str) {
    assert_eq!(
        (answer.status, answer.error),
        (status, Some(code)),
        "{}",
        answer.xml
    );
    assert_eq!(element(&answer.xml, "Code"), code);
    assert_eq!(element(&answer.xml, "Type"), "Sender");
    assert_eq!(element(&answer.xml, "RequestId"), "request-1");
}

#[tokio::test]
async fn a_token_is_exchanged_for_the_credentials_of_its_identity() {
    let fixture = Fixture::new();
    let pool = fixture.pool().await;
    let guest = fixture.guest(&pool).await.identity;
    let body = json!({ "IdentityId": guest });
    let token = text(
        &fixture.identity("GetOpenIdToken", body).await.unwrap(),
        "Token",
    );
    let (ann, login) = developer_token(&fixture, &pool, "ann").await;
    let body = json!({ "IdentityId": ann, "Logins": logins(&login) });
    let web = text(
        &fixture.identity("GetOpenIdToken", body).await.unwrap(),
        "Token",
    );
    for (token, identity, authenticated) in [
        (token, guest, false),
        (login, ann.clone(), true),
        (web, ann, true),
    ] {
        let answer = ask(&fixture, &form(&token)).await;
        assert_eq!((answer.status, answer.error), (200, None), "{}", answer.xml);
        let xml = &answer.xml;
        assert_eq!(element(xml, "SubjectFromWebIdentityToken"), identity);
        assert_eq!(element(xml, "Audience"), pool);
        assert_eq!(
            element(xml, "Arn"),
            "arn:aws:sts::000000000000:assumed-role/Role/me+1"
        );
        assert_eq!(element(xml, "Expiration"), "2023-11-14T23:13:20Z");
        let given = json!({ "Credentials": {
            "AccessKeyId": element(xml, "AccessKeyId"),
            "SecretKey": element(xml, "SecretAccessKey"),
            "SessionToken": element(xml, "SessionToken"),
        } });
        let caller = Caller::Identity {
            pool: pool.clone(),
            identity,
            authenticated,
        };
        assert_eq!(fixture.caller(&given).unwrap(), caller);
    }
}

#[tokio::test]
async fn what_is_not_right_is_refused_in_xml() {
    let fixture = Fixture::new();
    let pool = fixture.pool().await;
    let (_, token) = developer_token(&fixture, &pool, "ann").await;
    let good = form(&token);
    for (from, to, code) in [
        (
            "Action=AssumeRoleWithWebIdentity",
            "Action=GetCallerIdentity",
            "InvalidAction",
        ),
        ("2011-06-15", "2010-01-01", "InvalidAction"),
        ("RoleArn=", "Role=", "ValidationError"),
        ("me%2B1", "m", "ValidationError"),
        ("me%2B1", "a%3Cb%3E", "ValidationError"),
        (
            "RoleSessionName",
            "DurationSeconds=899&RoleSessionName",
            "ValidationError",
        ),
        (
            "RoleSessionName",
            "Policy=%7B%7D&RoleSessionName",
            "ValidationError",
        ),
        (
            "RoleSessionName",
            "Action=x&RoleSessionName",
            "MalformedQueryString",
        ),
        (
            "WebIdentityToken=",
            "WebIdentityToken=x",
            "InvalidIdentityToken",
        ),
        ("WebIdentityToken=", "Other=", "ValidationError"),
    ] {
        let bad = good.replace(from, to);
        assert_ne!(bad, good);
        refused(&ask(&fixture, &bad).await, 400, code);
    }
    let shown = ask(&fixture, &good.replace("me%2B1", "a%3Cb%3E")).await;
    assert!(
        element(&shown.xml, "Message").contains("'a&lt;b&gt;'"),
        "{}",
        shown.xml
    );
    fixture.pass_ms(900_000);
    refused(&ask(&fixture, &good).await, 400, "ExpiredTokenException");
}

#[tokio::test]
async fn a_token_of_something_that_changed_gets_nothing() {
    let fixture = Fixture::new();
    let pool = fixture.pool().await;
    // A guest that has become a user since.
    let guest = fixture.guest(&pool).await.identity;
    let body = json!({ "IdentityId": guest });
    let of_guest = text(
        &fixture.identity("GetOpenIdToken", body).await.unwrap(),
        "Token",
    );
    let body = json!({
        "IdentityPoolId": pool, "IdentityId": guest, "Logins": { "login.game": "ann" },
    });
    let call = fixture.identity("GetOpenIdTokenForDeveloperIdentity", body);
    let of_ann = text(&call.await.unwrap(), "Token");
    refused(&ask(&fixture, &form(&of_guest)).await, 403, "AccessDenied");
    assert_eq!(ask(&fixture, &form(&of_ann)).await.status, 200);
    // A user that was taken away.
    let body = json!({
        "IdentityPoolId": pool, "IdentityId": guest,
        "DeveloperProviderName": "login.game", "DeveloperUserIdentifier": "ann",
    });
    fixture
        .identity("UnlinkDeveloperIdentity", body)
        .await
        .unwrap();
    for token in [&of_guest, &of_ann] {
        refused(&ask(&fixture, &form(token)).await, 403, "AccessDenied");
    }
    // A pool that does not want the basic flow, and one that is gone.
    let (_, token) = developer_token(&fixture, &pool, "bob").await;
    let mut body = json!({
        "IdentityPoolId": pool, "IdentityPoolName": "p",
        "AllowUnauthenticatedIdentities": true, "AllowClassicFlow": false,
    });
    fixture
        .identity("UpdateIdentityPool", body.clone())
        .await
        .unwrap();
    refused(&ask(&fixture, &form(&token)).await, 403, "AccessDenied");
    body["AllowClassicFlow"] = json!(true);
    fixture.identity("UpdateIdentityPool", body).await.unwrap();
    assert_eq!(ask(&fixture, &form(&token)).await.status, 200);
    let body = json!({ "IdentityPoolId": pool });
    fixture.identity("DeleteIdentityPool", body).await.unwrap();
    refused(&ask(&fixture, &form(&token)).await, 403, "AccessDenied");
}
