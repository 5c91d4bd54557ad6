use std::convert::Infallible;
use std::future::pending;
use std::net::SocketAddr;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::sync::{Barrier, watch};

use super::*;

const BOUNDS: Bounds = Bounds {
    bytes_max: 1 << 16,
    timeout: Duration::from_secs(60),
};

/// A server that tells which connection a request came on, and the request; its connections are
/// told to end with each change of `ends`.
struct Echo {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    ends: watch::Sender<()>,
}

impl Echo {
    /// Answers when so many requests are there; with none never on the first connection.
    async fn start(together: usize) -> Self {
        Self::with_streams(together, 200).await
    }

    /// The same on connections that take at most so many requests at once.
    async fn with_streams(together: usize, streams_max: u32) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (ends, ended) = watch::channel(());
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&connections);
        let barrier = Arc::new(Barrier::new(together.max(1)));
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let number = counter.fetch_add(1, Ordering::Relaxed);
                let (mut ended, barrier) = (ended.clone(), Arc::clone(&barrier));
                ended.mark_unchanged();
                let service = service_fn(move |request| {
                    let barrier = Arc::clone(&barrier);
                    async move {
                        if together == 0 && number == 0 {
                            pending::<()>().await;
                        }
                        barrier.wait().await;
                        echo(number, request).await
                    }
                });
                tokio::spawn(async move {
                    let mut builder = http2::Builder::new(TokioExecutor::new());
                    builder.max_concurrent_streams(streams_max);
                    let serving = builder.serve_connection(TokioIo::new(stream), service);
                    let mut serving = std::pin::pin!(serving);
                    tokio::select! {
                        _ = &mut serving => {}
                        _ = ended.changed() => {
                            serving.as_mut().graceful_shutdown();
                            let _ = serving.await;
                        }
                    }
                });
            }
        });
        Self {
            address,
            connections,
            ends,
        }
    }

    fn line(&self) -> Line {
        Line::new(&format!("http://{}/own", self.address), 100).unwrap()
    }
}

async fn echo(
    number: usize,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    assert_eq!(head.version, Version::HTTP_2);
    let body = body.collect().await.unwrap().to_bytes();
    let told = format!("{number} {} {:?} ", head.uri, head.headers.get("x-of-ours"));
    let body = Bytes::from([told.as_bytes(), &body].concat());
    let answer = Response::builder().status(400).header("x-theirs", "2");
    Ok(answer.body(Full::new(body)).unwrap())
}

fn post(path: &str) -> Post {
    Post {
        path: path.to_owned(),
        headers: vec![("x-of-ours", "1".to_owned())],
        body: Bytes::from_static(b"body"),
    }
}

#[tokio::test]
async fn many_requests_go_over_one_connection_at_once() {
    let echo = Echo::start(50).await;
    let line = echo.line();
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let line = line.clone();
        asking.spawn(async move { line.post(post("/a%20b"), BOUNDS).await });
    }
    while let Some(answer) = asking.join_next().await {
        let answer = answer.unwrap().unwrap();
        let expected = format!("0 http://{}/a%20b Some(\"1\") body", echo.address);
        assert_eq!(String::from_utf8_lossy(&answer.body), expected);
        assert_eq!((answer.status, answer.header("x-theirs")), (400, Some("2")));
    }
    assert_eq!(echo.connections.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_service_that_takes_one_at_a_time_gets_one_at_a_time() {
    let echo = Echo::with_streams(1, 1).await;
    let line = echo.line();
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let line = line.clone();
        asking.spawn(async move { line.post(post(""), BOUNDS).await });
    }
    while let Some(answer) = asking.join_next().await {
        assert_eq!(answer.unwrap().unwrap().status, 400);
    }
    assert_eq!(echo.connections.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn those_who_wait_for_a_connection_share_its_failure() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let accepted = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&accepted);
    tokio::spawn(async move {
        loop {
            let accepted = listener.accept().await.unwrap();
            counter.fetch_add(1, Ordering::Relaxed);
            // Gone before anything is said of TLS.
            drop(accepted);
        }
    });
    let line = Line {
        pause: Duration::MAX,
        ..Line::new(&format!("https://{address}"), 50).unwrap()
    };
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let line = line.clone();
        asking.spawn(async move { line.post(post(""), BOUNDS).await.unwrap_err() });
    }
    let mut first = 0;
    while let Some(error) = asking.join_next().await {
        match error.unwrap() {
            OutboundError::Tls(_) => first += 1,
            error => assert!(matches!(error, OutboundError::Lately(_)), "{error}"),
        }
    }
    assert_eq!((first, accepted.load(Ordering::Relaxed)), (1, 1));
    // When the pause is over it is tried again.
    let line = Line {
        pause: Duration::ZERO,
        ..line
    };
    let error = line.post(post(""), BOUNDS).await.unwrap_err();
    assert!(matches!(error, OutboundError::Tls(_)), "{error}");
}

#[tokio::test]
async fn a_connection_that_ended_is_followed_by_another() {
    let echo = Echo::start(1).await;
    let line = echo.line();
    for number in 0..5 {
        let answer = line.post(post(""), BOUNDS).await.unwrap();
        let expected = format!("{number} http://{}/own ", echo.address);
        assert!(answer.body.starts_with(expected.as_bytes()), "{answer:?}");
        echo.ends.send(()).unwrap();
        // Until that is known here, an answer may come from the old one.
        let is_closed = async || {
            let open = line.open.lock().await;
            open.connection.as_ref().is_none_or(Multiplexed::is_closed)
        };
        while !is_closed().await {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn who_does_not_answer_is_left_for_a_new_connection() {
    let echo = Echo::start(0).await;
    let line = echo.line();
    let short = Bounds {
        timeout: Duration::from_millis(20),
        ..BOUNDS
    };
    let late = loop {
        let late = line.post(post(""), short).await.unwrap_err();
        // On a busy machine even connecting may take longer.
        if echo.connections.load(Ordering::Relaxed) > 0 {
            break late;
        }
    };
    assert!(matches!(late, OutboundError::Late(_)), "{late}");
    let answer = line.post(post(""), BOUNDS).await.unwrap();
    assert!(!answer.body.starts_with(b"0 "), "{answer:?}");
}

#[tokio::test]
async fn a_service_of_before_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let service = service_fn(|_| async { Ok::<_, Infallible>(Response::new(String::new())) });
        let _ = http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service)
            .await;
    });
    let line = Line::new(&format!("http://{address}"), 1).unwrap();
    let error = line.post(post(""), BOUNDS).await.unwrap_err();
    assert!(matches!(error, OutboundError::Exchange(_)), "{error}");
}
