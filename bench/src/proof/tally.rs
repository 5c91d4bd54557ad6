//! What all clients of a run did together: for whoever waits for a number of changes, and for
//! whoever draws the latencies.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::failure::Result;
use crate::figure::Latencies;

/// Counts of all clients.
pub struct Tally {
    inner: Mutex<Inner>,
    changed: Condvar,
}

struct Inner {
    counts: Counts,
    latencies: Latencies,
    /// Someone waits for so many changes; nobody is woken for fewer, since that would cost the
    /// processor that the server needs.
    awaited: u64,
    /// Clients that ended.
    ended: usize,
}

/// So far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Changes of any kind that were acknowledged.
    pub acknowledged: u64,
    /// UpdateRecords among them.
    pub updates: u64,
    /// Listings that were compared with what their client knows.
    pub checks: u64,
    /// Bytes of keys and values that are there by what was acknowledged.
    pub live_bytes: u64,
}

impl Tally {
    pub fn new() -> Result<Self> {
        let inner = Inner {
            counts: Counts::default(),
            latencies: Latencies::new()?,
            awaited: u64::MAX,
            ended: 0,
        };
        Ok(Self {
            inner: Mutex::new(inner),
            changed: Condvar::new(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn counts(&self) -> Counts {
        self.lock().counts
    }

    /// A change was acknowledged that made so many bytes of so many others.
    pub fn acknowledge(&self, before: u64, after: u64) {
        let mut inner = self.lock();
        inner.counts.acknowledged += 1;
        inner.counts.live_bytes = (inner.counts.live_bytes + after).saturating_sub(before);
        if inner.counts.acknowledged == inner.awaited {
            drop(inner);
            self.changed.notify_all();
        }
    }

    pub fn check(&self) {
        self.lock().counts.checks += 1;
    }

    pub fn note_update(&self, latency: Duration) {
        let mut inner = self.lock();
        inner.counts.updates += 1;
        inner.latencies.note(latency);
    }

    /// A client's walk is over.
    pub fn end(&self) {
        self.lock().ended += 1;
        self.changed.notify_all();
    }

    /// Latencies of updates since this was asked last.
    pub fn take_latencies(&self) -> Result<Latencies> {
        let fresh = Latencies::new()?;
        Ok(std::mem::replace(&mut self.lock().latencies, fresh))
    }

    /// Forgets who ended before; so many bytes are there.
    pub fn begin(&self, live_bytes: u64) {
        let mut inner = self.lock();
        inner.ended = 0;
        inner.counts.live_bytes = live_bytes;
    }

    /// Blocks until so many changes were acknowledged; false if a client ended before that.
    pub fn wait_for(&self, acknowledged: u64) -> bool {
        let done = |inner: &Inner| inner.counts.acknowledged >= acknowledged;
        let mut inner = self.lock();
        inner.awaited = acknowledged;
        let inner = self
            .changed
            .wait_while(inner, |inner| !done(inner) && inner.ended == 0)
            .unwrap_or_else(PoisonError::into_inner);
        done(&inner)
    }

    /// Blocks until the time is over; false if a client ended before that.
    pub fn wait(&self, time: Duration) -> bool {
        let (inner, _) = self
            .changed
            .wait_timeout_while(self.lock(), time, |inner| inner.ended == 0)
            .unwrap_or_else(PoisonError::into_inner);
        inner.ended == 0
    }
}
