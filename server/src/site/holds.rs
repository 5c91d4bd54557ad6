//! What keeps the log for streams: a named reader for each pool that streams, from the moment that
//! the store is open and whether or not anything delivers just then; one for links; and one for
//! each consumer of the built-in stream.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use syncline_engine::{Engine, Error, Feed, PoolId, Reader};

use super::consumers::Consumers;
use super::links::Links;
use super::stored::{self, StreamCursorRecord};
use crate::error::Chain;

/// Keys that one scan takes.
const SCAN_KEYS: usize = 1000;

/// See the module.
#[derive(Default)]
pub struct Holds {
    held: Mutex<HashMap<PoolId, Held>>,
    links: Links,
    consumers: Consumers,
}

/// What keeps the log for one pool.
struct Held {
    /// A reader that stands where the pool's stream is.
    _feed: Feed,
    /// Its name.
    name: String,
    /// Whether the sink takes nothing, and has not for some time.
    is_stalled: bool,
}

impl Holds {
    /// Holds the log behind every place that is stored, of whatever pool, until it is known which
    /// of them still stream, and for links that are good. Blocks on the disk.
    #[must_use]
    pub fn find(engine: &Engine) -> Self {
        let holds = Self {
            links: Links::find(engine),
            ..Self::default()
        };
        let reader = engine.reader();
        let mut after = None;
        loop {
            let keys = reader.scan_keys(&[stored::STREAM_CURSOR], after.as_ref(), SCAN_KEYS);
            let Some((last, _)) = keys.last() else {
                return holds;
            };
            after = Some(last.clone());
            for (key, _) in &keys {
                let Some(pool) = stored::first_uuid(key).and_then(|uuid| pool(&reader, uuid))
                else {
                    continue;
                };
                let record = reader
                    .metadata(key)
                    .map_err(|error| Chain(&error).to_string());
                let record = record.map(|found| found.map(|found| stored::decode(&found)));
                match record {
                    // One of another store is told when its stream is begun.
                    Ok(Some(Ok(record))) => drop(holds.set(engine, pool, &record)),
                    Ok(None) => {}
                    Ok(Some(Err(error))) => {
                        tracing::error!(%pool, "the log is not kept for a stream: {error}");
                    }
                    Err(why) => tracing::error!(%pool, "the log is not kept for a stream: {why}"),
                }
            }
        }
    }

    /// Holds the log behind the place of a pool's stream, and no more behind where it was.
    ///
    /// # Errors
    /// Those of [`Engine::feed`].
    pub fn set(
        &self,
        engine: &Engine,
        pool: PoolId,
        record: &StreamCursorRecord,
    ) -> Result<(), Error> {
        let name = name_of(&record.stream, &pool);
        let feed = engine.feed(record.cursor())?.named(&name);
        let mut held = self.lock();
        // Another stream has another sink.
        let old = held.get(&pool).filter(|held| held.name == name);
        let is_stalled = old.is_some_and(|held| held.is_stalled);
        let new = Held {
            _feed: feed,
            name,
            is_stalled,
        };
        held.insert(pool, new);
        Ok(())
    }

    /// What keeps it for links to oversize events.
    #[must_use]
    pub fn links(&self) -> &Links {
        &self.links
    }

    /// What keeps it for consumers of the built-in stream and the list of changes.
    #[must_use]
    pub fn consumers(&self) -> &Consumers {
        &self.consumers
    }

    /// Whether the sink of a pool takes nothing, and has not for some time.
    pub fn set_stalled(&self, pool: &PoolId, is_stalled: bool) {
        if let Some(held) = self.lock().get_mut(pool) {
            held.is_stalled = is_stalled;
        }
    }

    /// The names of the readers that keep the log for sinks that take nothing.
    #[must_use]
    pub fn stalled(&self) -> HashSet<String> {
        let held = self.lock();
        let stalled = held.values().filter(|held| held.is_stalled);
        stalled.map(|held| held.name.clone()).collect()
    }

    /// Lets go of pools that do not stream any more.
    pub fn retain(&self, streams: impl Fn(&PoolId) -> bool) {
        self.lock().retain(|pool, _| streams(pool));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PoolId, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Holds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pools = self.lock().len();
        f.debug_struct("Holds").field("pools", &pools).finish()
    }
}

/// The name of the reader that keeps the log for a pool's stream.
#[must_use]
pub fn name_of(stream: &str, pool: &impl fmt::Display) -> String {
    format!("stream {stream} of {pool}")
}

fn pool(reader: &Reader<'_>, uuid: uuid::Uuid) -> Option<PoolId> {
    let id = stored::find_pool(reader, uuid)?;
    PoolId::parse(&id.to_string()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;

    #[tokio::test]
    async fn a_sink_is_stalled_and_not_the_next_one() {
        let fixture = Fixture::new();
        let pool = PoolId::parse(&fixture.pool().await).unwrap();
        let engine = fixture.site.store.engine();
        let holds = Holds::default();
        let set = |stream: &str| {
            let head = engine.head();
            let record = StreamCursorRecord {
                stream: stream.to_owned(),
                store: head.store.into_bytes(),
                sequence: head.sequence.get(),
                ..StreamCursorRecord::default()
            };
            holds.set(engine, pool, &record).unwrap();
        };
        set("out");
        holds.set_stalled(&pool, true);
        let stalled = HashSet::from([name_of("out", &pool)]);
        assert_eq!(holds.stalled(), stalled);
        set("out");
        assert_eq!(
            holds.stalled(),
            stalled,
            "it has moved, and takes nothing still"
        );
        set("other");
        assert_eq!(holds.stalled(), HashSet::new());
    }
}
