//! Who reads the built-in stream and the list of changes: each is a named reader of the log as long
//! as it comes back, so that the log is kept for it, and bulk publishes wait for it.
//!
//! A consumer is known by what it reads, the key that it signs with, and where it goes on: where it
//! read last, or behind that, but not beyond what it was told. Two of one key that do so at the
//! same place are taken for one.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use syncline_engine::{Cursor, Engine, Feed};

/// How long a consumer is known without a call: as long as an iterator is good.
const LIFE_MS: u64 = 300_000;
/// How long one may stay where it is before it is taken for one that does not read.
const STALLED_MS: u64 = 60_000;
/// Consumers that are known; of more the one that was silent for longest is forgotten.
const CONSUMERS_MAX: usize = 1000;
/// What the names of their readers begin with.
const PREFIX: &str = "consumer ";

/// What is read, and by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reads {
    /// The stream, or the pool.
    pub what: String,
    /// The access key.
    pub key: String,
}

/// The number of a consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number(u64);

/// See the module.
#[derive(Default)]
pub struct Consumers {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// Consumers that ever came.
    came: u64,
    known: Vec<Consumer>,
}

struct Consumer {
    number: u64,
    reads: Reads,
    /// Where it read last.
    from: Cursor,
    /// Up to where it was told.
    to: Cursor,
    /// When it called last, in milliseconds since 1970.
    called_ms: u64,
    /// When it came to where it reads.
    moved_ms: u64,
    /// Keeps the log from there on.
    _feed: Feed,
}

impl Consumers {
    /// Somebody reads from a place on, and the log is kept from there; `None` if the store never
    /// was there.
    pub fn read(
        &self,
        engine: &Engine,
        reads: &Reads,
        from: Cursor,
        now_ms: u64,
    ) -> Option<Number> {
        let feed = engine.feed(from).ok()?;
        let mut inner = self.lock();
        let same = inner.known.iter().position(|known| {
            known.reads == *reads
                && (known.from.sequence..=known.to.sequence).contains(&from.sequence)
        });
        let old = same.map(|at| inner.known.swap_remove(at));
        let number = old.as_ref().map_or(inner.came + 1, |old| old.number);
        inner.came = inner.came.max(number);
        inner.make_room(now_ms);
        let stays = old.as_ref().filter(|old| old.from == from);
        inner.known.push(Consumer {
            number,
            reads: reads.clone(),
            from,
            to: old.as_ref().map_or(from, |old| old.to),
            called_ms: now_ms,
            moved_ms: stays.map_or(now_ms, |old| old.moved_ms),
            _feed: feed.named(&name_of(number, &reads.what)),
        });
        Some(Number(number))
    }

    /// It was told what there is up to a place.
    pub fn told(&self, number: Number, to: Cursor) {
        let mut inner = self.lock();
        let known = inner
            .known
            .iter_mut()
            .find(|known| known.number == number.0);
        if let Some(known) = known {
            known.to = to;
        }
    }

    /// It cannot go on there, so the log is not kept for it.
    pub fn forget(&self, number: Number) {
        self.lock().known.retain(|known| known.number != number.0);
    }

    /// Forgets those who were silent for too long.
    pub fn pass(&self, now_ms: u64) {
        self.lock().pass(now_ms);
    }

    /// The names of those who have stayed where they are for some time.
    #[must_use]
    pub fn stalled(&self, now_ms: u64) -> HashSet<String> {
        let inner = self.lock();
        let stalled = inner.known.iter();
        let stalled = stalled.filter(|known| now_ms.saturating_sub(known.moved_ms) >= STALLED_MS);
        stalled
            .map(|known| name_of(known.number, &known.reads.what))
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn pass(&mut self, now_ms: u64) {
        let silent = |known: &Consumer| now_ms.saturating_sub(known.called_ms) > LIFE_MS;
        self.known.retain(|known| !silent(known));
    }

    fn make_room(&mut self, now_ms: u64) {
        if self.known.len() >= CONSUMERS_MAX {
            self.pass(now_ms);
        }
        let silent = self.known.iter().enumerate();
        let silent = silent.min_by_key(|(_, known)| known.called_ms);
        if self.known.len() >= CONSUMERS_MAX
            && let Some((at, _)) = silent
        {
            self.known.swap_remove(at);
        }
    }
}

impl fmt::Debug for Consumers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumers").finish_non_exhaustive()
    }
}

/// The name of the reader that keeps the log for a consumer.
fn name_of(number: u64, what: &str) -> String {
    format!("{PREFIX}{number} of {what}")
}

/// Whether a reader keeps the log for a consumer.
#[must_use]
pub fn is_consumer(reader: &str) -> bool {
    reader.starts_with(PREFIX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use syncline_engine::Sequence;

    use super::*;
    use crate::fixture::{Fixture, replace};

    #[tokio::test]
    async fn each_consumer_holds_the_log_while_it_comes_back() {
        let fixture = Fixture::new();
        let pool = fixture.pool().await;
        let user = fixture.guest(&pool).await;
        let patches = json!([replace("k", "v", 0)]);
        user.update("d", patches).await.unwrap();
        let engine = fixture.site.store.engine();
        let at = |sequence| Cursor {
            sequence: Sequence::new(sequence),
            ..engine.head()
        };
        let reads = |key: &str| Reads {
            what: "changes".to_owned(),
            key: key.to_owned(),
        };
        let places = || {
            let readers = engine.readers().into_iter();
            let mut places: Vec<_> = readers.map(|reader| reader.sequence.get()).collect();
            places.sort_unstable();
            places
        };
        let consumers = Consumers::default();
        let read = |key: &str, from, now| consumers.read(engine, &reads(key), at(from), now);
        let one = read("a", 0, 0).unwrap();
        consumers.told(one, at(2));
        assert_eq!(read("a", 0, 10), Some(one), "it asks once more");
        assert_eq!(read("a", 1, 20), Some(one), "it took half of it");
        let other = read("b", 1, 20).unwrap();
        let second = read("a", 0, 20).unwrap();
        assert_ne!(second, one, "nobody goes back");
        assert_eq!(places(), [0, 1, 1]);
        assert_eq!(read("a", 9_999_999, 20), None);
        assert_eq!(read("b", 1, 20 + STALLED_MS), Some(other));
        assert_eq!(read("a", 2, 20 + STALLED_MS), Some(one));
        let stalled = HashSet::from([name_of(other.0, "changes"), name_of(second.0, "changes")]);
        assert_eq!(consumers.stalled(20 + STALLED_MS), stalled);
        consumers.pass(21 + LIFE_MS);
        assert_eq!(places(), [1, 2], "one was silent");
        consumers.forget(other);
        assert_eq!(places(), [2]);
        for number in 0..=CONSUMERS_MAX as u64 {
            read(&number.to_string(), 1, 100_000 + number);
        }
        assert_eq!(engine.readers().len(), CONSUMERS_MAX);
        assert!(
            engine
                .readers()
                .iter()
                .all(|reader| is_consumer(&reader.name))
        );
    }
}
