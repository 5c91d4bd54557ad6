//! Request bodies: bounded one by one, all together, and in the time they may take.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::reply::Failure;
use crate::error::ApiError;

/// Bytes of bodies held at once, all connections together, if that is room for at least four of
/// the largest.
const TOGETHER_BYTES: usize = 256 << 20;
/// A buffer is not made larger than this before bytes have come: announcing costs nothing.
const FIRST_BYTES: usize = 64 << 10;
/// Bodies of at most this size are bounded by the number of connections alone, so that large ones
/// that stall keep nobody else out.
const SMALL_BYTES: usize = 16 << 10;
/// How long a large body may take before it has to come at [`RATE`].
const GRACE: Duration = Duration::from_secs(5);
/// Bytes a second of a large body.
const RATE: u64 = 32 << 10;

/// The bounds, and what of them is used.
pub(super) struct Bodies {
    bytes_max: usize,
    timeout: Duration,
    free: Semaphore,
}

/// A whole body. While it lives its bytes count.
pub(super) struct Body<'a> {
    bytes: Bytes,
    _held: Option<SemaphorePermit<'a>>,
}

impl AsRef<[u8]> for Body<'_> {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Bodies {
    pub(super) fn new(bytes_max: usize, timeout: Duration) -> Self {
        let together = TOGETHER_BYTES
            .max(4 * bytes_max)
            .min(Semaphore::MAX_PERMITS);
        Self {
            bytes_max,
            timeout,
            free: Semaphore::new(together),
        }
    }

    /// Receives a body to its end.
    ///
    /// Where none is wanted, a small one is received all the same, since some clients send one; a
    /// large one would be held for nothing, and as long as the request waits.
    ///
    /// Every failure closes the connection, since the rest of the body may still be coming.
    pub(super) async fn read(&self, body: Incoming, wanted: bool) -> Result<Body<'_>, Failure> {
        // The framing check left bodies with a length only, or none.
        let announced = body.size_hint().exact().unwrap_or(u64::MAX);
        let Some(length) = usize::try_from(announced)
            .ok()
            .filter(|l| *l <= self.bytes_max)
        else {
            return Err(Failure::closing(ApiError::request_too_large(format!(
                "The body must have at most {} bytes.",
                self.bytes_max
            ))));
        };
        if !wanted && length > SMALL_BYTES {
            let message =
                format!("Only requests by POST may have a body of more than {SMALL_BYTES} bytes.");
            return Err(Failure::closing(ApiError::bad_request(message)));
        }
        if length == 0 {
            return Ok(Body {
                bytes: Bytes::new(),
                _held: None,
            });
        }
        tokio::time::timeout(self.timeout, self.receive(body, length))
            .await
            .unwrap_or_else(|_| Err(late()))
    }

    async fn receive(&self, mut body: Incoming, length: usize) -> Result<Body<'_>, Failure> {
        let mut held: Option<SemaphorePermit<'_>> = None;
        let mut whole = BytesMut::new();
        let began = Instant::now();
        loop {
            let due = GRACE + Duration::from_secs(whole.len() as u64 / RATE);
            let frame = match held {
                Some(_) => tokio::time::timeout_at(began + due, body.frame()).await,
                None => Ok(body.frame().await),
            };
            let Some(frame) = frame.map_err(|_| late())? else {
                break;
            };
            let Ok(frame) = frame else {
                let error = ApiError::bad_request("The body ended before its length.");
                return Err(Failure::closing(error));
            };
            let Ok(data) = frame.into_data() else {
                continue;
            };
            if length > SMALL_BYTES {
                let permit = self.hold(data.len())?;
                match &mut held {
                    Some(held) => held.merge(permit),
                    None => held = Some(permit),
                }
            }
            if data.len() == length {
                return Ok(Body {
                    bytes: data,
                    _held: held,
                });
            }
            if whole.capacity() == 0 {
                whole.reserve(length.min(FIRST_BYTES).max(data.len()));
            }
            whole.extend_from_slice(&data);
        }
        Ok(Body {
            bytes: whole.freeze(),
            _held: held,
        })
    }

    /// Counts bytes as they come and not as they are announced, so that slow senders hold only
    /// what they sent.
    fn hold(&self, bytes: usize) -> Result<SemaphorePermit<'_>, Failure> {
        let permits = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.free.try_acquire_many(permits).map_err(|_| {
            let message = "Too many large requests at once; try again soon.";
            Failure::closing(ApiError::too_many_requests(message))
        })
    }
}

fn late() -> Failure {
    Failure::closing(ApiError::request_timeout(
        "The body did not arrive in time.",
    ))
}
