//! Who reads the built-in stream and the list of changes: each is a named reader of the log as long
//! as it comes back, so that the log is kept for it, and bulk publishes wait for it.
//!
//! A consumer is known by what it reads, the key that it signs with, and where it goes on: where it
//! read last, or behind that, but not beyond what it was told. Two of one key that do so at the
//! same place are taken for one. The log is held only for who goes on: not for who asks for the
//! same again and again, nor for whatever is oldest, which would never end.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use syncline_engine::{Cursor, Engine, Feed};

/// How long a consumer is known without a call: as long as an iterator is good.
const LIFE_MS: u64 = 300_000;
/// How long one may stay where it is before it is taken for one that does not read. After the life
/// of an iterator the log is not held for it any more.
const STALLED_MS: u64 = 60_000;
/// Consumers that are known, of one key and of all; of more the one that was silent for longest is
/// forgotten.
const OF_A_KEY_MAX: usize = 16;
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
    /// When it came to where it reads, or was at the end of the log there.
    since_ms: u64,
    /// It came there from another place.
    goes_on: bool,
    /// Keeps the log from there on.
    feed: Option<Feed>,
}

impl Consumer {
    fn is_at(&self, reads: &Reads, place: Cursor) -> bool {
        let told = self.from.sequence..=self.to.sequence;
        self.reads == *reads && told.contains(&place.sequence)
    }

    fn stayed_ms(&self, now_ms: u64) -> u64 {
        now_ms.saturating_sub(self.since_ms)
    }
}

impl Consumers {
    /// Somebody reads from a place on, and the log is kept from there, if it is there at all.
    pub fn read(&self, engine: &Engine, reads: &Reads, from: Cursor, now_ms: u64) {
        let Ok(feed) = engine.feed(from) else {
            return;
        };
        if from.sequence < engine.tail().sequence {
            return;
        }
        let mut inner = self.lock();
        let same = inner.known.iter().position(|one| one.is_at(reads, from));
        let old = same.map(|at| inner.known.swap_remove(at));
        let number = old.as_ref().map_or(inner.came + 1, |old| old.number);
        inner.came = inner.came.max(number);
        inner.make_room(&reads.key, now_ms);
        let at_end = from == engine.head();
        let stays = old.as_ref().filter(|old| old.from == from);
        let mut consumer = Consumer {
            number,
            reads: reads.clone(),
            from,
            to: old.as_ref().map_or(from, |old| old.to),
            called_ms: now_ms,
            since_ms: stays.map_or(now_ms, |old| if at_end { now_ms } else { old.since_ms }),
            goes_on: stays.map_or(old.is_some(), |old| old.goes_on),
            feed: None,
        };
        if consumer.stayed_ms(now_ms) <= LIFE_MS {
            consumer.feed = Some(feed.named(&name_of(number, &reads.what)));
        }
        inner.known.push(consumer);
    }

    /// Who reads from a place on was told what there is up to another.
    pub fn told(&self, reads: &Reads, from: Cursor, to: Cursor) {
        let mut inner = self.lock();
        let known = inner.known.iter_mut().find(|one| one.is_at(reads, from));
        if let Some(known) = known
            && known.to.sequence < to.sequence
        {
            known.to = to;
        }
    }

    /// Who reads from a place on cannot go on there, so the log is not kept for it.
    pub fn forget(&self, reads: &Reads, from: Cursor) {
        self.lock().known.retain(|one| !one.is_at(reads, from));
    }

    /// Forgets those who were silent for too long, and holds nothing for who does not go on.
    pub fn pass(&self, engine: &Engine, now_ms: u64) {
        let head = engine.head();
        let mut inner = self.lock();
        inner.forget_silent(now_ms);
        for known in &mut inner.known {
            if known.from != head && known.stayed_ms(now_ms) > LIFE_MS {
                known.feed = None;
            }
        }
    }

    /// The names of the readers of those who do not go on, or not for some time.
    #[must_use]
    pub fn stalled(&self, now_ms: u64) -> HashSet<String> {
        let inner = self.lock();
        let stalled = inner.known.iter();
        let stalled =
            stalled.filter(|known| !known.goes_on || known.stayed_ms(now_ms) >= STALLED_MS);
        stalled
            .map(|known| name_of(known.number, &known.reads.what))
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn forget_silent(&mut self, now_ms: u64) {
        let silent = |known: &Consumer| now_ms.saturating_sub(known.called_ms) > LIFE_MS;
        self.known.retain(|known| !silent(known));
    }

    /// Makes room for another one of a key.
    fn make_room(&mut self, key: &str, now_ms: u64) {
        if self.known.len() >= CONSUMERS_MAX {
            self.forget_silent(now_ms);
        }
        self.make_room_among(OF_A_KEY_MAX, |known| known.reads.key == key);
        self.make_room_among(CONSUMERS_MAX, |_| true);
    }

    fn make_room_among(&mut self, most: usize, is_one: impl Fn(&Consumer) -> bool) {
        let among = self.known.iter().enumerate();
        let among: Vec<_> = among.filter(|(_, known)| is_one(known)).collect();
        let silent = among.iter().min_by_key(|(_, known)| known.called_ms);
        let silent = silent.map(|(at, _)| *at).filter(|_| among.len() >= most);
        if let Some(at) = silent {
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

/// Whether a reader keeps the log for a consumer of this stream, or of the list of this pool.
#[must_use]
pub fn is_consumer_of(reader: &str, what: &str) -> bool {
    is_consumer(reader) && reader.split(' ').next_back() == Some(what)
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
        let read = |key: &str, from, now| {
            consumers.read(engine, &reads(key), at(from), now);
            places()
        };
        assert_eq!(read("a", 0, 0), [0]);
        consumers.told(&reads("a"), at(0), at(2));
        assert_eq!(read("a", 0, 10), [0], "it asks once more");
        assert_eq!(read("a", 1, 20), [1], "it took half of it");
        assert_eq!(read("b", 1, 20), [1, 1]);
        assert_eq!(read("a", 0, 20), [0, 1, 1], "nobody goes back");
        assert_eq!(read("a", 9_999_999, 20), [0, 1, 1], "nobody was there");
        let stalled = |now| {
            let mut names: Vec<_> = consumers.stalled(now).into_iter().collect();
            names.sort_unstable();
            names
        };
        let (one, two, three) = (1, 2, 3);
        let names = |numbers: &[u64]| -> Vec<String> {
            let names = numbers.iter().map(|&number| name_of(number, "changes"));
            names.collect()
        };
        assert_eq!(stalled(20), names(&[two, three]), "they have not gone on");
        assert_eq!(read("a", 2, 30), [0, 1, 2]);
        assert_eq!(stalled(30 + STALLED_MS), names(&[one, two, three]));
        // Who asks for the same again and again is known, but the log is not held for it.
        assert_eq!(read("b", 1, LIFE_MS), [0, 1, 2]);
        assert_eq!(read("b", 1, 21 + LIFE_MS), [0, 2]);
        consumers.pass(engine, 21 + LIFE_MS);
        assert_eq!(places(), [2], "one was silent");
        // At the end of the log it is where it should be.
        let head = engine.head().sequence.get();
        assert_eq!(read("c", head, 0), [2, head]);
        assert_eq!(read("c", head, 2 * LIFE_MS), [2, head]);
        consumers.forget(&reads("c"), at(head));
        assert_eq!(places(), [2]);
    }

    #[tokio::test]
    async fn no_key_takes_the_places_of_others() {
        let fixture = Fixture::new();
        let pool = fixture.pool().await;
        let user = fixture.guest(&pool).await;
        for count in 0..2 * OF_A_KEY_MAX as u64 {
            let patches = json!([replace("k", "v", count)]);
            user.update("d", patches).await.unwrap();
        }
        let engine = fixture.site.store.engine();
        let consumers = Consumers::default();
        let read = |key: String, back: u64| {
            let what = "changes".to_owned();
            let from = Cursor {
                sequence: Sequence::new(engine.head().sequence.get() - back),
                ..engine.head()
            };
            consumers.read(engine, &Reads { what, key }, from, 0);
        };
        read("other".to_owned(), 0);
        for back in 0..2 * OF_A_KEY_MAX as u64 {
            read("hostile".to_owned(), back);
        }
        assert_eq!(engine.readers().len(), OF_A_KEY_MAX + 1);
        for number in 0..CONSUMERS_MAX {
            read(number.to_string(), 0);
        }
        assert_eq!(engine.readers().len(), CONSUMERS_MAX);
        let names = engine.readers().into_iter().map(|reader| reader.name);
        assert!(names.clone().all(|name| is_consumer_of(&name, "changes")));
        assert!(!names.clone().any(|name| is_consumer_of(&name, "others")));
    }
}
