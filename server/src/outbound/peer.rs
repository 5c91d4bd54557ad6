//! One address that is asked again and again, over connections that are kept open.
//!
//! There are never more connections than the bound says; who finds none free waits, within its
//! own time. A request is sent again only if nothing of it left this server.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HOST, HeaderMap, USER_AGENT};
use hyper::{Request, Response};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::address::Address;
use super::connection::{self, Connection};
use super::{Bounds, OutboundError};

/// How long an unused connection is kept. Less than the 5 seconds after which the common servers
/// for functions close theirs, so that a request seldom meets a closing one.
const IDLE_TIME: Duration = Duration::from_secs(4);

/// An address, and the connections to it. Clones share them.
#[derive(Clone)]
pub struct Peer {
    address: Arc<Address>,
    /// As many as there may be connections.
    room: Arc<Semaphore>,
    pool: Arc<Mutex<Pool>>,
}

/// Connections that wait for their next request.
#[derive(Default)]
struct Pool {
    /// In the order in which they were used last.
    idle: Vec<Idle>,
    /// Whether a task looks after them.
    swept: bool,
}

/// What is posted.
#[derive(Debug, Clone, Default)]
pub struct Post {
    /// Path and query; empty: those of the peer's own address.
    pub path: String,
    /// Headers beside `host`, `user-agent`, `content-length` and, unless it is among them,
    /// `content-type: application/json`.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Bytes,
}

/// What came back, whatever its status; a redirection is one like any other.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// All headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl Post {
    /// Where it goes at an address with this path.
    pub(super) fn path_or<'a>(&'a self, own: &'a str) -> &'a str {
        if self.path.is_empty() {
            own
        } else {
            &self.path
        }
    }

    /// The request, with the header `host` where the protocol has one.
    pub(super) fn request(
        self,
        target: &str,
        host: Option<&str>,
    ) -> Result<Request<Full<Bytes>>, OutboundError> {
        let mut builder = Request::post(target).header(USER_AGENT, "syncline");
        if let Some(host) = host {
            builder = builder.header(HOST, host);
        }
        let is_type = |(name, _): &(&str, String)| name.eq_ignore_ascii_case("content-type");
        if !self.headers.iter().any(is_type) {
            builder = builder.header(CONTENT_TYPE, "application/json");
        }
        for (name, value) in self.headers {
            builder = builder.header(name, value);
        }
        let request = builder.body(Full::new(self.body));
        request.map_err(|error| OutboundError::Exchange(error.into()))
    }
}

impl Answer {
    /// Reads what came back, and whether that is all of it: what is too long is cut or an error.
    pub(super) async fn read(
        response: Response<Incoming>,
        bytes_max: usize,
        cuts: bool,
    ) -> Result<(Self, bool), OutboundError> {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let (body, is_whole) = match cuts {
            true => connection::beginning(response, bytes_max).await?,
            false => (connection::body(response, bytes_max).await?, true),
        };
        let answer = Self {
            status,
            headers,
            body,
        };
        Ok((answer, is_whole))
    }

    /// The text of a header, if it is there once or more and is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Whether the status is of the 200s.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// A connection, and since when it waits.
struct Idle {
    connection: Connection,
    since: Instant,
}

impl Peer {
    /// An address that at most so many connections go to at once, at least one.
    ///
    /// # Errors
    /// [`OutboundError::Address`] unless it begins with `http://` or `https://` and has a host.
    pub fn new(url: &str, connections_max: usize) -> Result<Self, OutboundError> {
        Ok(Self {
            address: Arc::new(Address::parse(url)?),
            room: Arc::new(Semaphore::new(connections_max.max(1))),
            pool: Arc::default(),
        })
    }

    /// What the header `host` says, for those who sign it.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.address.authority
    }

    /// Path and query of the address.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.address.path
    }

    /// Posts and reads the answer.
    ///
    /// # Errors
    /// Unless a whole answer within the bounds came in time. Whether the peer has seen the
    /// request is then unknown, but for [`OutboundError::Connect`] and [`OutboundError::Tls`].
    pub async fn post(&self, post: Post, bounds: Bounds) -> Result<Answer, OutboundError> {
        self.post_within(post, bounds, false).await
    }

    /// Posts for the status above all: an answer that is too long is cut, and its connection given
    /// up.
    ///
    /// # Errors
    /// Those of [`Peer::post`], but for the length of the answer.
    pub async fn post_and_cut(&self, post: Post, bounds: Bounds) -> Result<Answer, OutboundError> {
        self.post_within(post, bounds, true).await
    }

    async fn post_within(
        &self,
        post: Post,
        bounds: Bounds,
        cuts: bool,
    ) -> Result<Answer, OutboundError> {
        tokio::time::timeout(bounds.timeout, self.exchange(post, bounds.bytes_max, cuts))
            .await
            .unwrap_or(Err(OutboundError::Late(bounds.timeout)))
    }

    async fn exchange(
        &self,
        post: Post,
        bytes_max: usize,
        cuts: bool,
    ) -> Result<Answer, OutboundError> {
        let _room = self
            .room
            .acquire()
            .await
            .expect("the semaphore is never closed");
        let path = post.path_or(&self.address.path).to_owned();
        let mut request = post.request(&path, Some(self.authority()))?;
        while let Some(mut idle) = self.take() {
            if idle.ready().await.is_err() {
                continue;
            }
            match idle.try_send_request(request).await {
                Ok(response) => return self.answer(idle, response, bytes_max, cuts).await,
                Err(mut failed) => match failed.take_message() {
                    // It closed while nothing was sent on it yet.
                    Some(unsent) => request = unsent,
                    None => return Err(OutboundError::Exchange(failed.into_error().into())),
                },
            }
        }
        let mut fresh = connection::connect(&self.address).await?;
        let response = connection::send(&mut fresh, request).await?;
        self.answer(fresh, response, bytes_max, cuts).await
    }

    async fn answer(
        &self,
        connection: Connection,
        response: Response<Incoming>,
        bytes_max: usize,
        cuts: bool,
    ) -> Result<Answer, OutboundError> {
        let (answer, is_whole) = Answer::read(response, bytes_max, cuts).await?;
        if is_whole {
            self.keep(connection);
        }
        Ok(answer)
    }

    /// The connection that was used last: so those that are not needed any more grow old.
    fn take(&self) -> Option<Connection> {
        let mut pool = lock(&self.pool);
        while let Some(found) = pool.idle.pop() {
            if found.since.elapsed() < IDLE_TIME && !found.connection.is_closed() {
                return Some(found.connection);
            }
        }
        None
    }

    fn keep(&self, connection: Connection) {
        if connection.is_closed() {
            return;
        }
        let since = Instant::now();
        let mut pool = lock(&self.pool);
        pool.idle.push(Idle { connection, since });
        if !std::mem::replace(&mut pool.swept, true) {
            tokio::spawn(sweep(Arc::downgrade(&self.pool)));
        }
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// Closes connections that nobody uses, for as long as there are any.
async fn sweep(pool: Weak<Mutex<Pool>>) {
    loop {
        tokio::time::sleep(IDLE_TIME).await;
        let Some(pool) = pool.upgrade() else {
            return;
        };
        let mut pool = lock(&pool);
        pool.idle.retain(|idle| idle.since.elapsed() < IDLE_TIME);
        if pool.idle.is_empty() {
            pool.swept = false;
            return;
        }
    }
}

fn lock(pool: &Mutex<Pool>) -> MutexGuard<'_, Pool> {
    pool.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
