//! What anybody may ask for, and what every answer carries.

use crate::client::Answer;
use crate::server::Server;

const DATASET: &str = "/identitypools/us-east-1%3Aa/identities/us-east-1%3Ab/datasets/c";

async fn ask(request: &str) -> Answer {
    let server = Server::start().await;
    server.client().await.ask(request).await
}

/// What the service sends on every answer, in its spelling.
fn is_dressed(answer: &Answer) {
    answer.has("Access-Control-Allow-Origin: *");
    answer.has(
        "Access-Control-Expose-Headers: x-amzn-RequestId,x-amzn-ErrorType,x-amzn-ErrorMessage,Date",
    );
    assert!(answer.head.contains("\r\nDate: "), "{}", answer.head);
    let id = answer
        .head
        .split("\r\nx-amzn-RequestId: ")
        .nth(1)
        .expect("a request id");
    let id = uuid::Uuid::parse_str(&id[..36]).unwrap();
    assert_eq!(id.get_version_num(), 4);
}

#[tokio::test]
async fn errors_are_spelled_as_old_clients_look_for_them() {
    let answer = ask("GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n").await;
    is_dressed(&answer);
    assert_eq!(
        answer.exception(404, "UnknownOperationException"),
        "No operation has this path."
    );
    answer.has("x-amzn-ErrorMessage: No operation has this path.");
    answer.has("Content-Type: application/json");
    answer.has(&format!("Content-Length: {}", answer.body.len()));
}

#[tokio::test]
async fn spellings_do_not_follow_the_request() {
    let answer = ask(
        "GET /nowhere HTTP/1.1\r\nHOST: x\r\nX-AMZN-ERRORTYPE: y\r\nDATE: z\r\n\
         CONTENT-TYPE: a\r\n\r\n",
    )
    .await;
    is_dressed(&answer);
    answer.exception(404, "UnknownOperationException");
}

#[tokio::test]
async fn a_health_check_needs_no_signature() {
    let answer = ask("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!((answer.status, answer.text()), (200, "ok\n"));
    is_dressed(&answer);
    let answer = ask("GET /healthz HTTP/1.0\r\n\r\n").await;
    assert_eq!((answer.status, answer.text()), (200, "ok\n"));
}

#[tokio::test]
async fn a_preflight_allows_what_sdks_send() {
    for target in ["/", DATASET, "*"] {
        let answer = ask(&format!(
            "OPTIONS {target} HTTP/1.1\r\nHost: x\r\nOrigin: https://app.example\r\n\
             Access-Control-Request-Method: POST\r\n\
             Access-Control-Request-Headers: authorization,content-type,x-amz-date\r\n\r\n"
        ))
        .await;
        assert_eq!(answer.status, 204, "{target}");
        is_dressed(&answer);
        assert_eq!(answer.header("content-length"), None);
        let allowed = answer.header("Access-Control-Allow-Headers").unwrap();
        for name in [
            "authorization",
            "content-type",
            "x-amz-date",
            "x-amz-security-token",
            "x-amz-user-agent",
            "x-amz-content-sha256",
            "x-amz-target",
            "amz-sdk-invocation-id",
            "amz-sdk-request",
        ] {
            assert!(
                allowed.split(',').any(|found| found == name),
                "{name} not in {allowed}"
            );
        }
        answer.has("Access-Control-Allow-Methods: GET,POST,DELETE,OPTIONS");
        answer.has("Access-Control-Max-Age: 86400");
    }
}

#[tokio::test]
async fn the_metrics_count_what_was_asked() {
    let server = Server::start().await;
    let mut client = server.client().await;
    for _ in 0..2 {
        client.ask("GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n").await;
    }
    client
        .ask(format!("GET {DATASET} HTTP/1.1\r\nHost: x\r\n\r\n"))
        .await;
    let answer = client.ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(answer.status, 200);
    for line in [
        r#"syncline_requests_total{operation="unknown",status="404"} 2"#,
        r#"syncline_requests_total{operation="DescribeDataset",status="403"} 1"#,
        r#"syncline_request_seconds_count{operation="unknown"} 2"#,
        "syncline_connections 1",
        "syncline_store_halted 0",
    ] {
        assert!(
            answer.text().lines().any(|found| found == line),
            "{line}\n{}",
            answer.text()
        );
    }
}

#[tokio::test]
async fn unknown_routes_and_methods_are_refused_specifically() {
    let server = Server::start().await;
    let mut client = server.client().await;
    for (line, status, name) in [
        ("GET /", 404, "UnknownOperationException"),
        ("GET /identitypools/", 404, "UnknownOperationException"),
        ("GET /%69dentitypools", 404, "UnknownOperationException"),
        (
            "GET /identitypools/../identitypools",
            404,
            "UnknownOperationException",
        ),
        ("GET //identitypools", 404, "UnknownOperationException"),
        ("PUT /identitypools", 405, "MethodNotAllowedException"),
        ("POST /healthz", 404, "UnknownOperationException"),
        ("GET /identitypools/%ff", 400, "SerializationException"),
        (
            "GET /identitypools",
            403,
            "MissingAuthenticationTokenException",
        ),
    ] {
        let answer = client
            .ask(format!("{line} HTTP/1.1\r\nHost: x\r\n\r\n"))
            .await;
        answer.exception(status, name);
        is_dressed(&answer);
    }
}

#[tokio::test]
async fn the_identity_api_answers_in_its_own_form() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let target = "AWSCognitoIdentityService";
    for (target, name) in [
        ("", "UnknownOperationException"),
        ("X-Amz-Target: Other.GetId\r\n", "UnknownOperationException"),
        (
            &format!("X-Amz-Target: {target}.CreateIdentityPool\r\n"),
            "MissingAuthenticationTokenException",
        ),
    ] {
        let request =
            format!("POST / HTTP/1.1\r\nHost: x\r\n{target}Content-Length: 2\r\n\r\n{{}}");
        let answer = client.ask(request).await;
        answer.exception(400, name);
        answer.has("Content-Type: application/x-amz-json-1.1");
        is_dressed(&answer);
    }
}

#[tokio::test]
async fn requests_have_ids_of_their_own() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let request = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    let one = client.ask(request).await;
    let two = client.ask(request).await;
    assert_ne!(
        one.header("x-amzn-RequestId"),
        two.header("x-amzn-RequestId")
    );
}
