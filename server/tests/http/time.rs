//! Time and number: slow peers are cut off, connections are limited, stopping is graceful. The
//! short times here make a test quick; none asserts how long something took.

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::client::Client;
use crate::server::Server;

const HEALTH: &str = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
/// Long beyond any test.
const NEVER_MS: u64 = 3_600_000;

async fn with_times(header_ms: u64, body_ms: u64, idle_ms: u64) -> Server {
    Server::start_with(|config| {
        config.timeouts.header_ms = header_ms;
        config.timeouts.body_ms = body_ms;
        config.timeouts.idle_ms = idle_ms;
    })
    .await
}

#[tokio::test]
async fn a_slow_header_is_cut_off() {
    let server = with_times(50, NEVER_MS, NEVER_MS).await;
    let mut client = server.client().await;
    client.send("GET /healthz HT").await;
    client.closed().await;
    // Also the second one of a connection, and after an answer at once to the first.
    let mut client = server.client().await;
    assert_eq!(client.ask(HEALTH).await.status, 200);
    client.send("GET /healthz HTTP/1.1\r\nHost").await;
    client.closed().await;
    // Bytes that keep coming do not buy time.
    let mut client = server.client().await;
    client.send("GET /healthz HTTP/1.1\r\n").await;
    while client.stream.write_all(b"a: b\r\n").await.is_ok() {
        tokio::task::yield_now().await;
        // The block is bounded too; go slowly enough that the clock is what ends this.
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_slow_body_is_told_so_and_cut_off() {
    let server = with_times(NEVER_MS, 50, NEVER_MS).await;
    let mut client = server.client().await;
    client
        .send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc")
        .await;
    let answer = client.answer().await;
    answer.exception(408, "RequestTimeoutException");
    answer.has("Connection: close");
    client.closed().await;
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let server = with_times(NEVER_MS, NEVER_MS, 50).await;
    server.client().await.closed().await;
    let mut client = server.client().await;
    assert_eq!(client.ask(HEALTH).await.status, 200);
    client.closed().await;
}

#[tokio::test]
async fn a_client_that_takes_no_answers_is_cut_off() {
    let server = with_times(NEVER_MS, NEVER_MS, 100).await;
    let mut client = server.client().await;
    // Answers pile up until the server cannot write, then requests until we cannot; then the
    // server gives up, and so does this loop.
    while client.stream.write_all(HEALTH.as_bytes()).await.is_ok() {}
}

#[tokio::test]
async fn a_body_that_ends_early_does_not_harm_the_server() {
    let server = Server::start().await;
    for _ in 0..10 {
        let mut client = server.client().await;
        client
            .send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc")
            .await;
    }
    assert_eq!(server.client().await.ask(HEALTH).await.status, 200);
}

#[tokio::test]
async fn more_connections_than_allowed_wait_their_turn() {
    let server = Server::start_with(|config| config.limits.connections = 1).await;
    let mut first = server.client().await;
    assert_eq!(first.ask(HEALTH).await.status, 200);
    let mut second = server.client().await;
    second.send(HEALTH).await;
    for _ in 0..100 {
        let page = first.ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert!(
            page.text().contains("\nsyncline_connections 1\n"),
            "{}",
            page.text()
        );
    }
    drop(first);
    assert_eq!(second.answer().await.status, 200);
}

/// A request that is certainly being served: the server said that it wants the body.
async fn half_sent(server: &Server) -> Client {
    let mut client = server.client().await;
    let head = "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 6\r\n\r\n";
    client.send(head).await;
    assert_eq!(client.answer().await.status, 100);
    client.send("abc").await;
    client
}

/// Waits until nobody accepts any more.
async fn until_refused(server: &Server) {
    while TcpStream::connect(server.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn stopping_finishes_what_runs_and_closes_what_is_idle() {
    let mut server = Server::start_with(|config| config.timeouts.idle_ms = NEVER_MS).await;
    let mut fresh = server.client().await;
    let mut idle = server.client().await;
    assert_eq!(idle.ask(HEALTH).await.status, 200);
    let mut running = half_sent(&server).await;
    server.stop();
    until_refused(&server).await;
    fresh.closed().await;
    idle.closed().await;
    running.send("def").await;
    let answer = running.answer().await;
    answer.exception(400, "UnknownOperationException");
    answer.has("Connection: close");
    running.closed().await;
    assert_eq!(server.ended().await, 0);
}

#[tokio::test]
async fn stopping_cuts_off_what_does_not_finish() {
    let mut server = Server::start_with(|config| {
        config.timeouts.shutdown_ms = 50;
        config.timeouts.body_ms = NEVER_MS;
    })
    .await;
    let mut running = half_sent(&server).await;
    server.stop();
    assert_eq!(server.ended().await, 1);
    running.closed().await;
}
