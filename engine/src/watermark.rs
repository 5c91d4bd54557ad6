//! The watermark: the last commit that is durable and applied, and where it ends. Whoever follows
//! the feed waits here.

mod news;

use crate::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::collections::HashMap;
use std::task::Waker;
use std::time::Duration;

use crate::log::{End, Position};
use crate::types::{Sequence, Timestamp};

pub(crate) use news::News;
use news::Times;

/// What everyone may read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Durable {
    pub(crate) sequence: Sequence,
    /// Behind the last durable frame.
    pub(crate) position: Position,
    /// The checksum of its header.
    pub(crate) chain: u32,
    /// The last commit that the feed tells of; others wake nobody.
    pub(crate) news: Sequence,
}

/// The watermark and those who wait for it to move.
pub(crate) struct Watermark {
    inner: Mutex<Inner>,
    moved: Condvar,
}

struct Inner {
    durable: Durable,
    times: Times,
    /// By the number of who waits.
    wakers: HashMap<u64, Waker>,
    next: u64,
    /// Threads that wait, so that nobody pays for waking none.
    threads: usize,
    closed: bool,
}

impl Watermark {
    pub(crate) fn new(durable: Durable) -> Self {
        let inner = Inner {
            durable,
            times: Times::new(durable.news),
            wakers: HashMap::new(),
            next: 0,
            threads: 0,
            closed: false,
        };
        Self {
            inner: Mutex::new(inner),
            moved: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get(&self) -> Durable {
        self.lock().durable
    }

    /// Moves forward; wakes those who wait if there is news.
    pub(crate) fn advance(&self, sequence: Sequence, end: End, news: Option<News>) {
        let mut inner = self.lock();
        assert!(
            sequence >= inner.durable.sequence,
            "the watermark only rises"
        );
        inner.durable.sequence = sequence;
        inner.durable.position = end.position;
        inner.durable.chain = end.chain;
        if let Some(news) = news {
            inner.durable.news = news.last;
            inner.times.push(news);
            self.wake(inner);
        }
    }

    /// When the first commit behind another one was made that the feed tells of, or up to a second
    /// before; `None` if there is none or it was too long ago.
    pub(crate) fn news_behind(&self, sequence: Sequence) -> Option<Timestamp> {
        self.lock().times.behind(sequence)
    }

    /// Takes note of a mark behind the last commit.
    pub(crate) fn marked(&self, end: End) {
        let mut inner = self.lock();
        inner.durable.position = end.position;
        inner.durable.chain = end.chain;
    }

    /// Tells those who wait that nothing more will come.
    pub(crate) fn close(&self) {
        let mut inner = self.lock();
        inner.closed = true;
        self.wake(inner);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    fn wake(&self, mut inner: MutexGuard<'_, Inner>) {
        let wakers = std::mem::take(&mut inner.wakers);
        let threads = inner.threads;
        drop(inner);
        if threads > 0 {
            self.moved.notify_all();
        }
        for waker in wakers.into_values() {
            waker.wake();
        }
    }

    /// Blocks until there is news after a sequence; false if the time is over or the store closed.
    pub(crate) fn wait(&self, after: Sequence, timeout: Duration) -> bool {
        let mut inner = self.lock();
        inner.threads += 1;
        let (mut inner, _) = self
            .moved
            .wait_timeout_while(inner, timeout, |inner| {
                inner.durable.news <= after && !inner.closed
            })
            .unwrap_or_else(PoisonError::into_inner);
        inner.threads -= 1;
        inner.durable.news > after
    }

    /// True if there is news after a sequence or the store is closed; else wakes the task then.
    /// `place` is who waits, and is set by the first call.
    pub(crate) fn poll(&self, after: Sequence, place: &mut Option<u64>, waker: &Waker) -> bool {
        let mut inner = self.lock();
        if inner.durable.news > after || inner.closed {
            return true;
        }
        inner.next += 1;
        let place = *place.get_or_insert(inner.next);
        inner.wakers.insert(place, waker.clone());
        false
    }

    /// Forgets one who waits no longer.
    pub(crate) fn leave(&self, place: u64) {
        self.lock().wakers.remove(&place);
    }
}
