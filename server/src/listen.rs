//! Accepts connections and serves each until it ends, is idle too long, or the server stops.
//!
//! A place is taken before a connection is accepted, so that the limit holds for sockets too;
//! further clients wait in the kernel's queue.

mod descriptors;
mod pace;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, watch};

use crate::config::{Config, TimeoutsConfig};
use crate::service::Service;
use pace::{Pace, Paced};

/// A header block: a URL of 8 KiB, a session token of 4 KiB, and as much again to spare.
const HEADER_BYTES_MAX: usize = 32 << 10;
/// What is read ahead of a connection; the header block must fit. Beside it the library takes at
/// most 100 headers.
const BUFFER_BYTES_MAX: usize = 64 << 10;
/// First and longest pause after a failed accept.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(1));

const _: () = assert!(HEADER_BYTES_MAX < BUFFER_BYTES_MAX);

/// Clients that may wait in the kernel to be accepted.
const BACKLOG: u32 = 1024;

/// A taken address. Nobody can connect yet, so whoever waits for the server sees it refuse until
/// it is ready.
pub struct Bound {
    socket: TcpSocket,
    address: SocketAddr,
}

/// A socket to which clients can connect.
pub struct Listener {
    socket: TcpListener,
}

/// What every connection of a listener shares.
struct Serving {
    service: Arc<Service>,
    http: http1::Builder,
    timeouts: TimeoutsConfig,
    stopping: watch::Receiver<bool>,
}

impl Bound {
    /// Takes an address; port 0 takes a free port.
    ///
    /// # Errors
    /// What the system says.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        // Else a restart would have to wait for the last connections to be forgotten.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let address = socket.local_addr()?;
        Ok(Self { socket, address })
    }

    /// The address with the real port.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on clients can connect; they are served as soon as somebody accepts them.
    ///
    /// # Errors
    /// What the system says.
    pub fn listen(self) -> io::Result<Listener> {
        Ok(Listener {
            socket: self.socket.listen(BACKLOG)?,
        })
    }
}

impl Listener {
    /// Serves until `stop` resolves, then lets what runs finish for as long as is configured.
    /// Returns how many connections had to be cut off.
    pub async fn serve(
        self,
        service: Arc<Service>,
        config: &Config,
        stop: impl Future<Output = ()>,
    ) -> usize {
        let (stopping_sender, stopping) = watch::channel(false);
        let timeouts = config.timeouts;
        let serving = Arc::new(Serving {
            service,
            http: http(),
            timeouts,
            stopping,
        });
        let connections = descriptors::reserve(config.limits.connections);
        let places = Arc::new(Semaphore::new(connections));
        let mut tasks = tokio::task::JoinSet::new();
        let mut stop = pin!(stop);
        loop {
            let accepted = tokio::select! {
                accepted = self.accept(&places) => accepted,
                // Ended tasks leave the set, so that it does not grow.
                Some(_) = tasks.join_next() => continue,
                () = &mut stop => break,
            };
            let (stream, place) = accepted;
            let serving = Arc::clone(&serving);
            tasks.spawn(async move {
                serving.connection(stream).await;
                drop(place);
            });
        }
        drop(self.socket);
        serving.service.end_waits();
        serving.service.end_streams();
        // Fails only when no connection is left to hear it.
        let _ = stopping_sender.send(true);
        let all_ended = async { while tasks.join_next().await.is_some() {} };
        // Either way what is left is counted below.
        let _ = tokio::time::timeout(timeouts.shutdown(), all_ended).await;
        let left = tasks.len();
        tasks.shutdown().await;
        left
    }

    async fn accept(
        &self,
        places: &Arc<Semaphore>,
    ) -> (TcpStream, Option<tokio::sync::OwnedSemaphorePermit>) {
        // The semaphore is never closed.
        let place = Arc::clone(places).acquire_owned().await.ok();
        let mut pause = BACK_OFF.0;
        loop {
            match self.socket.accept().await {
                Ok((stream, _)) => return (stream, place),
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::warn!("cannot accept a connection: {error}");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(BACK_OFF.1);
                }
            }
        }
    }
}

impl Serving {
    async fn connection(&self, stream: TcpStream) {
        let _open = self.service.connected();
        // An answer is one write; waiting for more would only delay it.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!("cannot set TCP_NODELAY: {error}");
        }
        let pace = Arc::new(Pace::new());
        let stream = Paced::new(stream, Arc::clone(&pace), self.timeouts);
        let service = service_fn(|request| {
            pace.request_came();
            async {
                let response = self.service.handle(request).await;
                pace.request_done();
                Ok::<_, Infallible>(response)
            }
        });
        let mut connection = self.http.serve_connection(TokioIo::new(stream), service);
        let ended = tokio::select! {
            result = &mut connection => Some(result),
            () = self.is_stopping() => None,
        };
        let result = match ended {
            Some(result) => result,
            None => {
                Pin::new(&mut connection).graceful_shutdown();
                (&mut connection).await
            }
        };
        if let Err(error) = result {
            tracing::debug!("a connection ended: {}", crate::error::Chain(&error));
        }
        let stream = connection.into_parts().io.into_inner().into_inner();
        linger(stream, self.timeouts.linger()).await;
    }

    async fn is_stopping(&self) {
        // An error means that the sender is gone, which stops the server as well.
        let _ = self.stopping.clone().wait_for(|stopping| *stopping).await;
    }
}

fn http() -> http1::Builder {
    let mut http = http1::Builder::new();
    http.preserve_header_case(true)
        .max_header_size(HEADER_BYTES_MAX)
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

/// Errors that only tell of a client gone before it was accepted.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    )
}
