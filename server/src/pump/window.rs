//! The newest part of the feed, read once for all pools that stream.
//!
//! One reader follows the log and keeps the events of the last few MiB. Whoever is near the head
//! takes them from here and is woken only when there is something of its pool; whoever is further
//! behind reads the log itself, a few at a time.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use syncline_engine::{Cursor, Engine, Error, Fault, Feed, FeedCommit, PoolId, Refusal, Sequence};
use tokio::sync::Notify;

use super::phase::Phases;
use crate::error::Chain;
use crate::stream::{Event, Told, events};

/// Bytes of events that are kept, about: some thousand commits, a fraction of a second at full
/// speed.
const BYTES_MAX: usize = 8 << 20;
/// What an event takes beside its records, about.
const EVENT_BYTES: usize = 256;
/// Events that are taken at a time, about, and their bytes.
const TAKEN_EVENTS: usize = 1000;
const TAKEN_BYTES: usize = 1 << 20;
/// Commits that feeds do not tell of are gone over when there are so many, so that the log is not
/// kept for them: far more than those that store how far streams are.
const QUIET_COMMITS: u64 = 10_000;
/// How often it is looked whether there are.
const LOOKING_PERIOD: Duration = Duration::from_secs(10);
/// How long after a failed read the next one is tried.
const AGAIN: Duration = Duration::from_secs(5);

/// See the module.
pub(super) struct Window {
    engine: Engine,
    /// Commits that were read.
    commits: Counter,
    inner: Mutex<Inner>,
    /// Rings when somebody wants to read and nobody did.
    wanted: Notify,
}

#[derive(Default)]
struct Inner {
    chunks: VecDeque<Chunk>,
    bytes: usize,
    /// Everything behind this that was ever here is still here.
    start: Sequence,
    /// Up to where the reader is.
    end: Sequence,
    pools: HashMap<PoolId, Watched>,
}

/// What was read at a time of the pools that stream.
struct Chunk {
    from: Sequence,
    to: Sequence,
    bytes: usize,
    events: HashMap<PoolId, Vec<Arc<Event>>>,
}

/// A pool that streams.
struct Watched {
    /// Its events are here from this on.
    since: Sequence,
    /// It has no events behind `quiet` and up to `news`, or up to the end.
    quiet: Sequence,
    news: Option<Sequence>,
    bell: Arc<Notify>,
}

/// What there is behind a place.
pub(super) enum Next {
    /// Events.
    News(Taken),
    /// Nothing up to there, which is the present.
    Quiet(Sequence),
    /// Perhaps something; the log tells.
    Behind,
}

/// Events of one pool, in order.
pub(super) struct Taken {
    /// The events.
    pub(super) events: Vec<Arc<Event>>,
    /// Up to where they are all there are.
    pub(super) to: Sequence,
}

impl Window {
    /// A window at the present.
    pub(super) fn new(engine: Engine, commits: Counter) -> Self {
        Self {
            engine,
            commits,
            inner: Mutex::default(),
            wanted: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps events of a pool from now on; rings the bell when there are some.
    pub(super) fn watch(&self, pool: PoolId) -> Arc<Notify> {
        let bell = Arc::new(Notify::new());
        let mut inner = self.lock();
        if inner.pools.is_empty() {
            inner.restart(self.engine.head().sequence);
        }
        let end = inner.end;
        inner.pools.insert(
            pool,
            Watched {
                since: end,
                quiet: end,
                news: None,
                bell: Arc::clone(&bell),
            },
        );
        self.wanted.notify_one();
        bell
    }

    /// Ends it.
    pub(super) fn forget(&self, pool: &PoolId) {
        let mut inner = self.lock();
        inner.pools.remove(pool);
        if inner.pools.is_empty() {
            let end = inner.end;
            inner.restart(end);
        }
    }

    /// What a pool has behind a place.
    pub(super) fn next(&self, pool: &PoolId, at: Sequence) -> Next {
        let mut inner = self.lock();
        let Inner {
            chunks,
            start,
            end,
            pools,
            ..
        } = &mut *inner;
        let Some(watched) = pools.get_mut(pool) else {
            return Next::Behind;
        };
        let mut at = at;
        if at >= watched.quiet {
            at = at.max(watched.news.unwrap_or(*end));
        }
        if at < *end && at < watched.since.max(*start) {
            return Next::Behind;
        }
        let mut taken = Taken {
            events: Vec::new(),
            to: at.max(*end),
        };
        let mut bytes = 0;
        for chunk in chunks.iter().filter(|chunk| chunk.to > at) {
            let events = chunk.events.get(pool).into_iter().flatten();
            for event in events.filter(|event| event.id.sequence > at) {
                bytes += bytes_of(event);
                taken.events.push(Arc::clone(event));
            }
            if taken.events.len() >= TAKEN_EVENTS || bytes >= TAKEN_BYTES {
                taken.to = chunk.to;
                break;
            }
        }
        if taken.events.is_empty() {
            watched.quiet = taken.to;
            watched.news = None;
            return Next::Quiet(taken.to);
        }
        Next::News(taken)
    }

    /// Reads until it is told to stop or the store is closed.
    pub(super) async fn run(&self, mut phases: Phases) {
        let mut feed = None;
        loop {
            let (wanted, end) = {
                let inner = self.lock();
                (!inner.pools.is_empty(), inner.end)
            };
            if !wanted {
                feed = None;
                tokio::select! {
                    () = self.wanted.notified() => continue,
                    () = phases.stopped() => return,
                }
            }
            let following = match feed.take() {
                Some(feed) if Feed::cursor(&feed).sequence == end => feed,
                _ => match self.engine.feed(self.cursor(end)) {
                    Ok(feed) => feed,
                    Err(error) => {
                        tracing::error!("following the log: {}", Chain(&error));
                        self.jump();
                        tokio::select! {
                            () = tokio::time::sleep(AGAIN) => continue,
                            () = phases.stopped() => return,
                        }
                    }
                },
            };
            tokio::select! {
                () = following.changed() => {}
                () = phases.stopped() => return,
                () = tokio::time::sleep(LOOKING_PERIOD) => {
                    let behind = self.engine.head().sequence.get() - end.get();
                    if behind < QUIET_COMMITS {
                        feed = Some(following);
                        continue;
                    }
                }
            }
            match self.read(following).await {
                Ok(read) => feed = Some(read),
                Err(Error::Fault(Fault::Closed)) => return,
                Err(Error::Refusal(Refusal::CursorTooOld { .. })) => self.jump(),
                Err(error) => {
                    tracing::error!("reading the log for streams: {}", Chain(&error));
                    tokio::select! {
                        () = tokio::time::sleep(AGAIN) => {}
                        () = phases.stopped() => return,
                    }
                }
            }
        }
    }

    fn cursor(&self, sequence: Sequence) -> Cursor {
        Cursor {
            sequence,
            ..self.engine.head()
        }
    }

    /// Reads what comes next, where that may block.
    async fn read(&self, mut feed: Feed) -> Result<Feed, Error> {
        let watched: HashSet<PoolId> = self.lock().pools.keys().copied().collect();
        let from = feed.cursor().sequence;
        let reading = tokio::task::spawn_blocking(move || {
            let commits = feed.read()?;
            Ok::<_, Error>((feed, commits))
        });
        let (feed, commits) = match reading.await {
            Ok(read) => read?,
            Err(failed) => std::panic::resume_unwind(failed.into_panic()),
        };
        self.commits.inc_by(commits.len() as u64);
        let chunk = Chunk::new(from, feed.cursor().sequence, commits, &watched);
        self.lock().push(chunk, &watched);
        Ok(feed)
    }

    /// The log went on without this reader: those that it read for find out by themselves what that
    /// means for them.
    pub(super) fn jump(&self) {
        let head = self.engine.head().sequence;
        let mut inner = self.lock();
        inner.restart(head);
        for watched in inner.pools.values_mut() {
            watched.since = head;
            watched.quiet = head;
            watched.news = None;
            watched.bell.notify_one();
        }
    }
}

impl Inner {
    fn restart(&mut self, at: Sequence) {
        self.chunks.clear();
        self.bytes = 0;
        (self.start, self.end) = (at, at);
    }

    fn push(&mut self, chunk: Chunk, known: &HashSet<PoolId>) {
        // Begun anew while it was read.
        if chunk.from != self.end {
            return;
        }
        self.end = chunk.to;
        for (pool, watched) in &mut self.pools {
            if !known.contains(pool) {
                // It came while this was read, so the chunk may lack its events.
                watched.since = chunk.to;
                watched.quiet = chunk.to;
                watched.news = None;
                watched.bell.notify_one();
            } else if chunk.events.contains_key(pool) {
                watched.news.get_or_insert(chunk.from);
                watched.bell.notify_one();
            }
        }
        if chunk.events.is_empty() {
            return;
        }
        self.bytes += chunk.bytes;
        self.chunks.push_back(chunk);
        while self.bytes > BYTES_MAX
            && self.chunks.len() > 1
            && let Some(gone) = self.chunks.pop_front()
        {
            self.bytes -= gone.bytes;
            self.start = gone.to;
        }
    }
}

impl Chunk {
    fn new(
        from: Sequence,
        to: Sequence,
        commits: Vec<FeedCommit>,
        watched: &HashSet<PoolId>,
    ) -> Self {
        let mut chunk = Self {
            from,
            to,
            bytes: 0,
            events: HashMap::new(),
        };
        for event in commits.into_iter().flat_map(events) {
            let pool = event.dataset.pool;
            if watched.contains(&pool) {
                chunk.bytes += bytes_of(&event);
                chunk.events.entry(pool).or_default().push(Arc::new(event));
            }
        }
        chunk
    }
}

/// The events of one pool in commits, in order.
pub(super) fn of_pool(commits: Vec<FeedCommit>, pool: &PoolId) -> Vec<Arc<Event>> {
    let events = commits.into_iter().flat_map(events);
    let own = events.filter(|event| event.dataset.pool == *pool);
    own.map(Arc::new).collect()
}

fn bytes_of(event: &Event) -> usize {
    let records = match &event.told {
        Told::Changed(records) | Told::Whole(records) => records.memory(),
        Told::Deleted => 0,
    };
    EVENT_BYTES + records
}

#[cfg(test)]
mod tests;
