//! Accepts connections and serves each until it ends, is idle too long, or the server stops.
//!
//! A place is taken before a connection is accepted, so that the limit holds for sockets too;
//! further clients wait in the kernel's queue.

mod descriptors;
mod pace;
mod serving;

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, watch};

use crate::config::Config;
use crate::service::Service;
use serving::Serving;

/// First and longest pause after a failed accept.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(1));

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
        let serving = Arc::new(Serving::new(Arc::clone(&service), timeouts, stopping));
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
        service.end_waits();
        service.end_streams();
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

/// Errors that only tell of a client gone before it was accepted.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    )
}
