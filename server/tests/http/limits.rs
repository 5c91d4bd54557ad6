//! Rate limits over the wire.

use serde_json::json;

use crate::client::{Answer, Client};
use crate::server::Server;
use crate::signed::{Guest, developer};
use crate::signer::Signer;

/// Asks until the answer is another one than at first; a second brings one token, so that the
/// hundred are never all admitted.
async fn until_throttled(client: &mut Client, signer: &Signer<'_>, path: &str) -> Answer {
    for _ in 0..100 {
        let answer = client.signed(signer, "GET", path, &[], b"").await;
        if answer.status != 200 {
            return answer;
        }
    }
    panic!("never throttled");
}

#[tokio::test]
async fn an_identity_that_asks_too_often_waits_and_nobody_else_does() {
    let server = Server::start_with(|config| {
        config.limits.requests_per_second_per_identity = 1;
        config.limits.request_burst_per_identity = 2;
    })
    .await;
    let mut client = server.client().await;
    let (guest, other) = (Guest::new(&mut client).await, Guest::new(&mut client).await);
    let path = format!("{}/records", guest.dataset("game"));
    let answer = until_throttled(&mut client, &guest.signer(), &path).await;
    answer.exception(429, "TooManyRequestsException");
    answer.has("Retry-After: 1");
    let path = format!("{}/records", other.dataset("game"));
    let answer = client.signed(&other.signer(), "GET", &path, &[], b"").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let root = developer("cognito-sync");
    for _ in 0..20 {
        let answer = client
            .signed(&root, "GET", "/identitypools", &[], b"")
            .await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    // A wrong signature takes nothing from anybody's bucket.
    let wrong = Signer {
        secret: "another",
        ..other.signer()
    };
    for _ in 0..20 {
        let answer = client.signed(&wrong, "GET", &path, &[], b"").await;
        answer.exception(403, "InvalidSignatureException");
    }
}

#[tokio::test]
async fn a_key_that_asks_too_often_waits_in_both_apis() {
    let server = Server::start_with(|config| {
        config.limits.requests_per_second_per_key = 1;
        config.limits.request_burst_per_key = 3;
    })
    .await;
    let mut client = server.client().await;
    let guest = Guest::new(&mut client).await;
    let root = developer("cognito-sync");
    let answer = until_throttled(&mut client, &root, "/identitypools").await;
    answer.exception(429, "TooManyRequestsException");
    assert!(answer.header("retry-after").is_some());
    let root = developer("cognito-identity");
    let wish = json!({ "MaxResults": 1 });
    let mut answers = Vec::new();
    for _ in 0..100 {
        let answer = client.identity(&root, "ListIdentityPools", &wish).await;
        if answer.status != 200 {
            answers.push(answer);
            break;
        }
    }
    let answer = answers.pop().expect("throttled in the end");
    answer.exception(400, "TooManyRequestsException");
    answer.has("Retry-After: 1");
    let path = format!("{}/records", guest.dataset("game"));
    for _ in 0..20 {
        let answer = client.signed(&guest.signer(), "GET", &path, &[], b"").await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}
