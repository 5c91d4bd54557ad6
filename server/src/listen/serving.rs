//! One connection, from when it is accepted to its last words.
//!
//! Most connections of most servers ask for nothing most of the time. What the HTTP library takes
//! for one, some 20 KiB of buffers, is there only from the first byte of a request until the
//! connection was quiet for a while; before and after, a connection is a socket and a clock.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::pace::{Pace, Paced};
use crate::config::TimeoutsConfig;
use crate::service::Service;

/// A header block: a URL of 8 KiB, a session token of 4 KiB, and as much again to spare.
const HEADER_BYTES_MAX: usize = 32 << 10;
/// What is read ahead of a connection; the header block must fit. Beside it the library takes at
/// most 100 headers.
const BUFFER_BYTES_MAX: usize = 64 << 10;
/// A connection without a request for so long gives its buffers back: long enough that one under
/// load never does, short enough that few hold more than they need.
const QUIET: Duration = Duration::from_millis(100);

const _: () = assert!(HEADER_BYTES_MAX < BUFFER_BYTES_MAX);

/// What every connection of a listener shares.
pub(super) struct Serving {
    service: Arc<Service>,
    http: http1::Builder,
    timeouts: TimeoutsConfig,
    stopping: watch::Receiver<bool>,
}

/// How serving came to an end.
enum Ended {
    Over(hyper::Result<()>),
    Quiet,
    Stopping,
}

impl Serving {
    /// Connections end soon once `stopping` is true, or its sender gone.
    pub(super) fn new(
        service: Arc<Service>,
        timeouts: TimeoutsConfig,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        let http = http();
        Self {
            service,
            http,
            timeouts,
            stopping,
        }
    }

    /// Serves a connection to its end.
    pub(super) async fn connection(&self, mut stream: TcpStream) {
        let _open = self.service.connected();
        // An answer is one write; waiting for more would only delay it.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!("cannot set TCP_NODELAY: {error}");
        }
        let (mut idle, mut ahead) = (self.timeouts.idle(), Bytes::new());
        while !ahead.is_empty() || self.asks(&stream, idle).await {
            let quiet;
            // In a box, so that it takes its room only while it runs.
            (stream, quiet) = Box::pin(self.serve(stream, ahead)).await;
            let Some(left) = quiet else {
                break;
            };
            ahead = left;
            idle = self.timeouts.idle().saturating_sub(QUIET);
        }
        linger(stream, self.timeouts.linger()).await;
    }

    /// Waits for the first byte of a request, or for the peer's end, which is read like one.
    async fn asks(&self, stream: &TcpStream, idle: Duration) -> bool {
        tokio::select! {
            // What has come before the stop is still answered.
            biased;
            readable = tokio::time::timeout(idle, stream.readable()) => {
                matches!(readable, Ok(Ok(())))
            }
            () = self.is_stopping() => false,
        }
    }

    /// Serves requests until the connection is over, or quiet: then what was read of the next
    /// request, mostly nothing, comes back with the stream. `ahead` is what was read before.
    async fn serve(&self, stream: TcpStream, ahead: Bytes) -> (TcpStream, Option<Bytes>) {
        let pace = Arc::new(Pace::new());
        let stream = Paced::new(stream, ahead, Arc::clone(&pace), self.timeouts, QUIET);
        let (pace, service) = (&*pace, &*self.service);
        let service = service_fn(move |request| {
            pace.request_came();
            // In a box, since the library moves it, and it is large.
            Box::pin(async move {
                let response = service.handle(request).await;
                pace.request_done(response.body().is_whole());
                Ok::<_, Infallible>(response)
            })
        });
        let mut connection = self.http.serve_connection(TokioIo::new(stream), service);
        let served = poll_fn(|task| match Pin::new(&mut connection).poll(task) {
            Poll::Ready(result) => Poll::Ready(Ended::Over(result)),
            Poll::Pending if pace.is_quiet() => Poll::Ready(Ended::Quiet),
            Poll::Pending => Poll::Pending,
        });
        let ended = tokio::select! {
            biased;
            ended = served => ended,
            () = self.is_stopping() => Ended::Stopping,
        };
        let mut is_quiet = false;
        let result = match ended {
            Ended::Over(result) => result,
            Ended::Stopping => {
                Pin::new(&mut connection).graceful_shutdown();
                (&mut connection).await
            }
            Ended::Quiet => {
                Pin::new(&mut connection).graceful_shutdown();
                // Nothing is under way, so that it lets go at once and leaves the socket open.
                let done = poll_fn(|task| Poll::Ready(connection.poll_without_shutdown(task)));
                match done.await {
                    Poll::Ready(result) => {
                        is_quiet = result.is_ok();
                        result
                    }
                    Poll::Pending => Ok(()),
                }
            }
        };
        if let Err(error) = result {
            tracing::debug!("a connection ended: {}", crate::error::Chain(&error));
        }
        let parts = connection.into_parts();
        // The beginning of a request can have come along with the one before; a copy, since the
        // buffer is large. Empty lines between requests mean nothing.
        let read = &parts.read_buf[..];
        let start = read.iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
        let left = &read[start.count()..];
        let left = is_quiet.then(|| Bytes::copy_from_slice(left));
        (parts.io.into_inner().into_inner(), left)
    }

    async fn is_stopping(&self) {
        // An error means that the sender is gone, which stops the server as well.
        let _ = self.stopping.clone().wait_for(|stopping| *stopping).await;
    }
}

fn http() -> http1::Builder {
    let mut http = http1::Builder::new();
    http.max_header_size(HEADER_BYTES_MAX)
        .max_buf_size(BUFFER_BYTES_MAX)
        // The stream keeps the time: the library's own clock runs while a connection is idle too.
        .header_read_timeout(None);
    http
}

/// Reads what the peer still sends until it has read our last words or time is over.
async fn linger(mut stream: TcpStream, time: Duration) {
    if stream.shutdown().await.is_err() {
        return;
    }
    let mut scrap = vec![0; 4096];
    let until_end = async { while matches!(stream.read(&mut scrap).await, Ok(1..)) {} };
    // Over either way.
    let _ = tokio::time::timeout(time, until_end).await;
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;
    use crate::fixture::Fixture;

    const REQUEST: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";

    /// One connection, at both ends.
    struct Scene {
        serving: Serving,
        client: TcpStream,
        stream: TcpStream,
        _fixture: Fixture,
        _stop: watch::Sender<bool>,
    }

    impl Scene {
        async fn new() -> Self {
            let fixture = Fixture::new();
            let service = Service::new(Arc::clone(&fixture.site)).await.unwrap();
            let (stop, stopping) = watch::channel(false);
            let timeouts = fixture.site.config.timeouts;
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let client = TcpStream::connect(address).await.unwrap();
            let (stream, _) = listener.accept().await.unwrap();
            Self {
                serving: Serving::new(Arc::new(service), timeouts, stopping),
                client,
                stream,
                _fixture: fixture,
                _stop: stop,
            }
        }
    }

    #[tokio::test]
    async fn a_quiet_connection_stays_open_and_is_served_again() {
        let Scene {
            serving,
            mut client,
            mut stream,
            _fixture,
            _stop,
        } = Scene::new().await;
        for _ in 0..2 {
            client.write_all(REQUEST).await.unwrap();
            let quiet;
            (stream, quiet) = serving.serve(stream, Bytes::new()).await;
            // Not even an empty part of a large buffer, which could be had back.
            let nothing = quiet.unwrap().try_into_mut();
            assert!(nothing.is_err_and(|nothing| nothing.is_empty()));
            let mut answer = vec![0; 1024];
            let length = client.read(&mut answer).await.unwrap();
            let answer = String::from_utf8_lossy(&answer[..length]);
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
            assert!(!answer.contains("close"), "{answer}");
            assert!(answer.ends_with("ok\n"), "{answer}");
        }
        drop(client);
        assert!(serving.serve(stream, Bytes::new()).await.1.is_none());
    }

    #[tokio::test]
    async fn a_request_that_begins_with_the_one_before_may_take_its_time() {
        let Scene {
            serving,
            mut client,
            stream,
            _fixture,
            _stop,
        } = Scene::new().await;
        let (begun, rest) = REQUEST.split_at(10);
        let both = [REQUEST, b"\r\n", begun].concat();
        client.write_all(&both).await.unwrap();
        let (stream, quiet) = serving.serve(stream, Bytes::new()).await;
        assert_eq!(quiet.as_deref(), Some(begun));
        client.write_all(rest).await.unwrap();
        let (_stream, quiet) = serving.serve(stream, quiet.unwrap()).await;
        assert!(quiet.unwrap().is_empty());
        let mut answers = vec![0; 4096];
        let mut length = 0;
        while String::from_utf8_lossy(&answers[..length])
            .matches("200 OK")
            .count()
            < 2
        {
            length += client.read(&mut answers[length..]).await.unwrap();
        }
    }
}
