use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use http_body_util::BodyExt;
use hyper::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::*;

/// A server that tells which connection a request came on, and the request.
struct Echo {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

const BOUNDS: Bounds = Bounds {
    bytes_max: 1 << 16,
    timeout: Duration::from_secs(60),
};

impl Echo {
    /// `keep_alive`: whether it leaves connections open behind an answer.
    async fn start(keep_alive: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&connections);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let number = counter.fetch_add(1, Ordering::Relaxed);
                let service = service_fn(move |request| echo(number, request));
                let mut builder = http1::Builder::new();
                builder.keep_alive(keep_alive);
                tokio::spawn(builder.serve_connection(TokioIo::new(stream), service));
            }
        });
        Self {
            address,
            connections,
        }
    }

    fn peer(&self, connections_max: usize) -> Peer {
        Peer::new(&format!("http://{}/own?a=b", self.address), connections_max).unwrap()
    }
}

async fn echo(
    number: usize,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let told = format!("{number} {} {} {:?} ", head.method, head.uri, head.headers);
    let answer = Response::builder()
        .status(302)
        .header("location", "/elsewhere");
    let body = Bytes::from([told.as_bytes(), &body].concat());
    Ok(answer.body(Full::new(body)).unwrap())
}

fn post(body: &'static [u8]) -> Post {
    Post {
        headers: vec![("x-of-ours", "1".to_owned())],
        body: Bytes::from_static(body),
        ..Post::default()
    }
}

#[tokio::test]
async fn a_request_arrives_as_it_was_meant_and_connections_are_used_again() {
    let echo = Echo::start(true).await;
    let peer = echo.peer(3);
    for _ in 0..5 {
        let answer = peer.post(post(b"{}"), BOUNDS).await.unwrap();
        // A redirection is told, not followed.
        assert_eq!((answer.status, answer.is_success()), (302, false));
        assert_eq!(answer.header("location"), Some("/elsewhere"));
        let told = String::from_utf8(answer.body.to_vec()).unwrap();
        assert!(told.starts_with("0 POST /own?a=b"), "{told}");
        assert!(told.ends_with(" {}"), "{told}");
        let host = format!(r#""host": "{}""#, echo.address);
        for header in [
            host.as_str(),
            r#""x-of-ours": "1""#,
            r#""content-length": "2""#,
        ] {
            assert!(told.contains(header), "no {header} in {told}");
        }
        assert!(
            told.contains(r#""content-type": "application/json""#),
            "{told}"
        );
    }
    let elsewhere = Post {
        path: "/there".to_owned(),
        headers: vec![("content-type", "text/plain".to_owned())],
        ..Post::default()
    };
    let answer = peer.post(elsewhere, BOUNDS).await.unwrap();
    let told = String::from_utf8(answer.body.to_vec()).unwrap();
    assert!(told.starts_with("0 POST /there "), "{told}");
    assert!(!told.contains("application/json"), "{told}");
}

#[tokio::test]
async fn a_connection_that_the_peer_closed_is_replaced() {
    let echo = Echo::start(false).await;
    let peer = echo.peer(1);
    for _ in 0..20 {
        peer.post(post(b"{}"), BOUNDS).await.unwrap();
    }
    assert_eq!(echo.connections.load(Ordering::Relaxed), 20);
}

#[tokio::test]
async fn there_are_no_more_connections_than_the_bound() {
    let echo = Echo::start(true).await;
    let peer = echo.peer(2);
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let peer = peer.clone();
            tokio::spawn(async move { peer.post(post(b"{}"), BOUNDS).await.map(|a| a.status) })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap().unwrap(), 302);
    }
    assert!(echo.connections.load(Ordering::Relaxed) <= 2);
}

#[tokio::test]
async fn an_answer_is_bounded_in_size_and_time() {
    let echo = Echo::start(true).await;
    let bounds = Bounds {
        bytes_max: 10,
        ..BOUNDS
    };
    let error = echo.peer(1).post(post(b"{}"), bounds).await.unwrap_err();
    assert!(matches!(error, OutboundError::TooLarge(10)), "{error}");
    let answer = echo.peer(1).post_and_cut(post(b"{}"), bounds).await;
    let answer = answer.unwrap();
    assert_eq!((answer.status, answer.body.len()), (302, 10));
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let bounds = Bounds {
        timeout: Duration::from_millis(50),
        ..BOUNDS
    };
    let peer = Peer::new(&format!("http://{address}"), 1).unwrap();
    let error = peer.post(post(b"{}"), bounds).await.unwrap_err();
    assert!(matches!(error, OutboundError::Late(_)), "{error}");
    drop(silent);
    let error = peer.post(post(b"{}"), BOUNDS).await.unwrap_err();
    assert!(matches!(error, OutboundError::Connect(_)), "{error}");
}
