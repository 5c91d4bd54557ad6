//! Requests of bad form, and requests that two readers might see differently.

use crate::server::Server;

const NAME: &str = "BadRequestException";

/// Sends one request of bad form; the answer comes, then the end of the connection. What follows
/// the request must never be taken for a second one.
async fn refused(request: &str, status: u16) -> crate::client::Answer {
    let server = Server::start().await;
    let mut client = server.client().await;
    let second = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    client.send(format!("{request}{second}")).await;
    let answer = client.answer().await;
    assert_eq!(answer.status, status, "{request:?}\n{}", answer.head);
    client.closed().await;
    answer
}

#[tokio::test]
async fn both_a_length_and_an_encoding_are_refused_and_the_connection_closed() {
    for headers in [
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
        "transfer-encoding: CHUNKED\r\ncontent-length: 0\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
    ] {
        let request = format!("POST / HTTP/1.1\r\nHost: x\r\n{headers}\r\n0\r\n\r\n");
        let answer = refused(&request, 400).await;
        assert!(answer.exception(400, NAME).contains("Content-Length"));
        answer.has("Connection: close");
    }
}

#[tokio::test]
async fn encodings_that_do_not_end_in_chunked_are_refused() {
    for headers in [
        "Transfer-Encoding: gzip\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: \x0bchunked\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\nContent-Length: 4\r\n",
    ] {
        let request = format!("POST / HTTP/1.1\r\nHost: x\r\n{headers}\r\n0\r\n\r\n");
        refused(&request, 400).await;
    }
    refused(
        "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    )
    .await;
}

#[tokio::test]
async fn lengths_that_are_not_one_number_are_refused() {
    for headers in [
        "Content-Length: 4\r\nContent-Length: 5\r\n",
        "Content-Length: 4, 4\r\n",
        "Content-Length: +4\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: 0x4\r\n",
        "Content-Length: \r\n",
        "Content-Length: 99999999999999999999999\r\n",
        "Content-Length: 4\r\n Content-Length: 5\r\n",
        "Content-Length : 4\r\n",
    ] {
        let request = format!("POST / HTTP/1.1\r\nHost: x\r\n{headers}\r\nabcd");
        refused(&request, 400).await;
    }
}

#[tokio::test]
async fn what_is_not_http_is_refused() {
    for request in [
        "\x16\x03\x01\x02\x00\x01\x00\x01\x7c\x03\x03\r\n\r\n",
        "GET  /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /healthz\r\n\r\n",
        "GET /healthz HTTP/3.0\r\nHost: x\r\n\r\n",
        "G\u{e4}T /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /health z HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHo st: x\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost: x\r\nbare\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n",
    ] {
        refused(request, 400).await;
    }
}

#[tokio::test]
async fn the_host_must_be_one() {
    for (request, words) in [
        ("GET /healthz HTTP/1.1\r\n\r\n", "needs a 'host'"),
        (
            "GET /healthz HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
            "twice",
        ),
        (
            "GET http://b/healthz HTTP/1.1\r\nHost: a\r\n\r\n",
            "another host",
        ),
        ("CONNECT b:80 HTTP/1.1\r\nHost: a\r\n\r\n", "another host"),
    ] {
        let message = refused(request, 400).await.exception(400, NAME);
        assert!(message.contains(words), "{request:?}: {message}");
    }
}

#[tokio::test]
async fn the_absolute_form_of_the_same_host_is_the_same_request() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let answer = client
        .ask("GET http://a:1/healthz HTTP/1.1\r\nHost: a:1\r\n\r\n")
        .await;
    assert_eq!((answer.status, answer.text()), (200, "ok\n"));
}

#[tokio::test]
async fn header_blocks_are_bounded_in_bytes_number_and_address() {
    let server = Server::start().await;
    let many: String = (0..101).map(|at| format!("x-{at}: 1\r\n")).collect();
    for (request, status) in [
        (
            format!(
                "GET /healthz HTTP/1.1\r\nHost: x\r\nx: {}\r\n\r\n",
                "y".repeat(33 << 10)
            ),
            431,
        ),
        (
            format!("GET /healthz HTTP/1.1\r\nHost: x\r\n{many}\r\n"),
            431,
        ),
        (
            format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "y".repeat(33 << 10)),
            431,
        ),
        // Never ends: cut off when the buffer is full.
        (
            format!(
                "GET /healthz HTTP/1.1\r\nHost: x\r\nx: {}",
                "y".repeat(80 << 10)
            ),
            431,
        ),
    ] {
        let mut client = server.client().await;
        let answer = client.ask(&request).await;
        assert_eq!(answer.status, status, "{}", answer.head);
        client.closed().await;
    }
    // What fits does pass.
    let fits = format!(
        "GET /healthz HTTP/1.1\r\nHost: x\r\nx: {}\r\n\r\n",
        "y".repeat(30 << 10)
    );
    assert_eq!(server.client().await.ask(fits).await.status, 200);
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused_before_it_is_sent() {
    let server = Server::start().await;
    let largest = server.config.body_bytes_max();
    assert_eq!(largest, 8 << 20);
    let head = |length| format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n");
    let mut client = server.client().await;
    let answer = client.ask(head(largest + 1)).await;
    let message = answer.exception(413, "RequestEntityTooLargeException");
    assert_eq!(message, "The body must have at most 8388608 bytes.");
    answer.has("Connection: close");
    client.closed().await;
    // The largest one is read, and then has no target.
    let mut client = server.client().await;
    client.send(head(largest)).await;
    let answer = client.ask(vec![b' '; largest]).await;
    answer.exception(400, "UnknownOperationException");
}

#[tokio::test]
async fn a_body_that_nobody_wants_is_not_held() {
    let server = Server::start().await;
    for method in ["GET", "DELETE"] {
        let head = |length| {
            format!("{method} /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n")
        };
        let mut client = server.client().await;
        let answer = client.ask(head((16 << 10) + 1)).await;
        assert_eq!(answer.status, 400, "{}", answer.text());
        assert!(
            answer
                .text()
                .contains("may have a body of more than 16384 bytes"),
            "{}",
            answer.text()
        );
        client.closed().await;
        // A small one comes with some clients.
        let mut client = server.client().await;
        client.send(head(2)).await;
        let answer = client.ask("{}").await;
        assert!(
            !answer.text().contains("Only requests by POST"),
            "{}",
            answer.text()
        );
    }
}

#[tokio::test]
async fn a_client_that_sends_on_after_a_refusal_is_not_reset() {
    let server = Server::start_with(|config| config.timeouts.linger_ms = 3_600_000).await;
    let mut client = server.client().await;
    let head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n";
    client
        .ask(head)
        .await
        .exception(413, "RequestEntityTooLargeException");
    // Had the socket gone, the first of these would be answered by a reset and the others fail;
    // more than all buffers hold makes sure that somebody reads.
    for _ in 0..1000 {
        client.send([b' '; 32 << 10]).await;
    }
    client.closed().await;
}

#[tokio::test]
async fn refusals_of_whole_requests_keep_the_connection() {
    let server = Server::start().await;
    let mut client = server.client().await;
    for _ in 0..3 {
        let request = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n";
        client.send(request).await;
        let answer = client.ask(vec![b'x'; 100_000]).await;
        answer.exception(400, "UnknownOperationException");
        assert_eq!(answer.header("connection"), None);
    }
    assert_eq!(
        client
            .ask("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let one = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    let two = "POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc";
    client.send(format!("{one}{two}{one}")).await;
    assert_eq!(client.answer().await.status, 200);
    client
        .answer()
        .await
        .exception(404, "UnknownOperationException");
    assert_eq!(client.answer().await.status, 200);
}
