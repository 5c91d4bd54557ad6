//! One address that is asked over a single HTTP/2 connection, many requests at once.
//!
//! The connection is kept for as long as the service keeps it. A request is sent again only if the
//! connection was over before anything of it went out.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, Semaphore};

use super::address::Address;
use super::connection::{self, Multiplexed};
use super::{Answer, Bounds, OutboundError, Post};
use crate::error::Chain;

/// After no connection came about, none is tried for so long: many may wait for the same one.
const PAUSE: Duration = Duration::from_millis(500);

/// An address, and the connection to it. Clones share it.
#[derive(Clone)]
pub struct Line {
    address: Arc<Address>,
    /// As many as there may be requests at once.
    room: Arc<Semaphore>,
    open: Arc<Mutex<Open>>,
    pause: Duration,
}

/// The connection, and the number of it: the first is 1.
#[derive(Default)]
struct Open {
    connection: Option<Multiplexed>,
    number: u64,
    /// When none came about last, and why, unless one has since.
    failed: Option<(Instant, String)>,
}

impl Line {
    /// An address that at most so many requests are under way to at once, at least one. With
    /// `https://` the service must agree to HTTP/2; with `http://` it must know that we speak it.
    ///
    /// # Errors
    /// [`OutboundError::Address`] unless it begins with `http://` or `https://` and has a host.
    pub fn new(url: &str, requests_max: usize) -> Result<Self, OutboundError> {
        Ok(Self {
            address: Arc::new(Address::parse(url)?),
            room: Arc::new(Semaphore::new(requests_max.max(1))),
            open: Arc::default(),
            pause: PAUSE,
        })
    }

    /// Posts and reads the answer.
    ///
    /// # Errors
    /// Unless a whole answer within the bounds came in time. Whether the service has seen the
    /// request is then unknown, but for [`OutboundError::Connect`], [`OutboundError::Tls`],
    /// [`OutboundError::Protocol`] and [`OutboundError::Lately`].
    pub async fn post(&self, post: Post, bounds: Bounds) -> Result<Answer, OutboundError> {
        let used = AtomicU64::new(0);
        let posted = self.exchange(post, bounds.bytes_max, &used);
        let posted = tokio::time::timeout(bounds.timeout, posted).await;
        if posted.is_err() {
            // Who does not answer may be gone without a word: the next request finds out.
            self.forget(used.load(Ordering::Relaxed));
        }
        posted.unwrap_or(Err(OutboundError::Late(bounds.timeout)))
    }

    /// Tells which connection it used.
    async fn exchange(
        &self,
        post: Post,
        bytes_max: usize,
        used: &AtomicU64,
    ) -> Result<Answer, OutboundError> {
        let _room = self
            .room
            .acquire()
            .await
            .expect("the semaphore is never closed");
        let scheme = if self.address.secure { "https" } else { "http" };
        let path = post.path_or(&self.address.path);
        let target = format!("{scheme}://{}{path}", self.address.authority);
        let mut request = post.request(&target, None)?;
        let mut is_again = false;
        loop {
            let (mut connection, number) = self.connection().await?;
            used.store(number, Ordering::Relaxed);
            let mut failed = match connection.try_send_request(request).await {
                Ok(response) => return Ok(Answer::read(response, bytes_max, false).await?.0),
                Err(failed) => failed,
            };
            match failed.take_message() {
                Some(unsent) if !is_again => request = unsent,
                _ => return Err(OutboundError::Exchange(failed.into_error().into())),
            }
            self.forget(number);
            is_again = true;
        }
    }

    /// The open connection, or a new one: one for all who ask meanwhile, and one try for all.
    async fn connection(&self) -> Result<(Multiplexed, u64), OutboundError> {
        let mut open = self.open.lock().await;
        let known = open.connection.as_ref();
        if let Some(connection) = known.filter(|known| !known.is_closed()) {
            return Ok((connection.clone(), open.number));
        }
        if let Some((when, why)) = &open.failed
            && when.elapsed() < self.pause
        {
            return Err(OutboundError::Lately(why.clone()));
        }
        match connection::connect_multiplexed(&self.address).await {
            Ok(fresh) => {
                open.connection = Some(fresh.clone());
                open.number += 1;
                open.failed = None;
                Ok((fresh, open.number))
            }
            Err(error) => {
                open.failed = Some((Instant::now(), Chain(&error).to_string()));
                Err(error)
            }
        }
    }

    /// No request goes out on that connection any more.
    fn forget(&self, number: u64) {
        // Whoever holds the lock makes a new one already.
        if let Ok(mut open) = self.open.try_lock()
            && open.number == number
        {
            open.connection = None;
        }
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
