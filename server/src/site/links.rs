//! What keeps the log for links to oversize events: a named reader that stands before the oldest
//! event to which a link that is still good was given out.
//!
//! Ends of links are told apart by the hour, so that what is kept is small and seldom stored: a
//! link holds the log for up to an hour longer than it is good.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use syncline_engine::{Cursor, Engine, Expected, Feed, Proposal, Sequence, Wish};

use super::Site;
use super::stored::{self, LinksRecord};
use crate::error::Chain;

/// The name of the reader.
pub const LINKS: &str = "links";
const HOUR_MS: u64 = 3_600_000;

/// See the module.
#[derive(Default)]
pub struct Links {
    inner: Mutex<Inner>,
    /// Held while they are stored, so that nothing older replaces what is newer.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Inner {
    /// The oldest commit to which links lead, by the end of the hour in which they end.
    oldest: BTreeMap<u64, Sequence>,
    /// Keeps the log.
    feed: Option<Feed>,
    /// Counts the changes of `oldest`, but not those that only forget.
    changes: u64,
    /// How many of them are stored.
    stored: u64,
}

impl Links {
    /// Holds the log for the links that are stored. Blocks on the disk.
    #[must_use]
    pub fn find(engine: &Engine) -> Self {
        let links = Self::default();
        let found = engine.reader().metadata(&stored::links_key());
        let record = found
            .map_err(|error| Chain(&error).to_string())
            .and_then(|found| {
                let record = found.map(|found| stored::decode::<LinksRecord>(&found));
                record.transpose().map_err(|error| error.to_string())
            });
        match record {
            // Sequences of another store are those of other commits.
            Ok(Some(record)) if record.store == engine.head().store.into_bytes() => {
                let mut inner = links.lock();
                let oldest = record.oldest.into_iter();
                inner.oldest = oldest.map(|(end, at)| (end, Sequence::new(at))).collect();
                inner.hold(engine);
            }
            Ok(_) => {}
            Err(why) => tracing::error!("the log is not kept for links: {why}"),
        }
        links
    }

    /// A link to an event of a commit is given out, good until then.
    pub fn give(&self, engine: &Engine, sequence: Sequence, until_ms: u64) {
        let end = (until_ms / HOUR_MS + 1) * HOUR_MS;
        let mut inner = self.lock();
        let known = inner.oldest.get(&end);
        if known.is_some_and(|known| *known <= sequence) {
            return;
        }
        inner.oldest.insert(end, sequence);
        inner.changes += 1;
        inner.hold(engine);
    }

    /// Lets go of what only links lead to that have ended.
    pub fn pass(&self, engine: &Engine, now_ms: u64) {
        let mut inner = self.lock();
        let before = inner.oldest.len();
        inner.oldest.retain(|end, _| *end > now_ms);
        if inner.oldest.len() != before {
            inner.hold(engine);
        }
    }

    /// What is to be stored, and how many changes that is; `None` if all are stored.
    fn unstored(&self, engine: &Engine) -> Option<(LinksRecord, u64)> {
        let inner = self.lock();
        let oldest = inner.oldest.iter();
        let record = || LinksRecord {
            store: engine.head().store.into_bytes(),
            oldest: oldest.map(|(end, at)| (*end, at.get())).collect(),
        };
        (inner.changes > inner.stored).then(|| (record(), inner.changes))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Holds the log from the oldest of them on.
    fn hold(&mut self, engine: &Engine) {
        let oldest = self.oldest.values().min();
        let cursor = oldest.map(|oldest| Cursor {
            sequence: Sequence::new(oldest.get().saturating_sub(1)),
            ..engine.head()
        });
        // What is not reached yet cannot be held: nothing leads there.
        let feed = cursor.and_then(|cursor| engine.feed(cursor).ok());
        self.feed = feed.map(|feed| feed.named(LINKS));
    }
}

impl fmt::Debug for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Links").finish_non_exhaustive()
    }
}

impl Site {
    /// Stores for which links the log is held, if that changed: before they leave the server, so
    /// that it is so after a crash, too. If nothing can be stored, they hold the log until then.
    pub async fn keep_links(&self) {
        let links = self.outflow.holds.links();
        let engine = self.store.engine();
        if links.unstored(engine).is_none() {
            return;
        }
        let _turn = links.turn.lock().await;
        let Some((record, changes)) = links.unstored(engine) else {
            return;
        };
        let value = stored::encode(&record).expect("some hours are not too large for a value");
        let proposal = Proposal {
            wishes: vec![Wish::PutMetadata {
                key: stored::links_key(),
                value,
                expected: Expected::Anything,
            }],
            ..Proposal::default()
        };
        match self.store.commit(proposal).await {
            Ok(_) => links.lock().stored = changes,
            Err(error) => tracing::warn!("storing what links lead to: {}", Chain(&error)),
        }
    }
}
