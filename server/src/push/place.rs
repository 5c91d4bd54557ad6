//! The place in the feed up to which everything was pushed, stored as ordinary metadata.

use syncline_engine::{
    Cursor, Error, Expected, Feed, MetadataKey, Proposal, Refusal, Sequence, Wish,
};
use tokio::time::Instant;

use super::{Queues, STORING};
use crate::error::{ApiError, Chain};
use crate::site::Site;
use crate::site::stored::{self, CursorRecord};

/// How far the reader is, and what of that is stored.
pub(super) struct Progress {
    /// The last commit that told of something; others do not count, so that storing the place does
    /// not move it.
    told: Cursor,
    stored: Option<Sequence>,
    stored_at: Instant,
}

/// The feed from the stored place on; from now on if there is none, or if it is of a store that was
/// replaced by another.
pub(super) async fn feed(site: &Site) -> Result<Feed, ApiError> {
    let engine = site.store.engine();
    let found = site.load::<CursorRecord>(key()).await?;
    let Some((record, _)) = found else {
        return Ok(engine.feed(engine.head())?);
    };
    match engine.feed(record.cursor()) {
        Err(Error::Refusal(Refusal::ForeignCursor)) => {
            tracing::warn!("the store was restored: what changed before now is not pushed");
            Ok(engine.feed(engine.head())?)
        }
        feed => Ok(feed?),
    }
}

/// The feed from behind a commit on.
pub(super) fn feed_at(site: &Site, sequence: Sequence) -> Result<Feed, Error> {
    let engine = site.store.engine();
    let store = engine.head().store;
    engine.feed(Cursor { store, sequence })
}

impl Progress {
    /// Everything before the cursor was told.
    pub(super) fn at(cursor: Cursor) -> Self {
        Self {
            told: cursor,
            stored: None,
            stored_at: Instant::now(),
        }
    }

    /// Everything up to a commit is in the queues.
    pub(super) fn told(&mut self, cursor: Cursor) {
        self.told = cursor;
    }

    /// Stores the place unless that was done a moment ago.
    pub(super) async fn store_if_due(&mut self, site: &Site, queues: &Queues) {
        if self.stored_at.elapsed() >= STORING {
            self.store(site, queues).await;
        }
    }

    /// Stores the place if it has moved. A failure is logged and the next time tries again: what
    /// is stored is then only older.
    pub(super) async fn store(&mut self, site: &Site, queues: &Queues) {
        let oldest = queues.values().filter_map(|queue| queue.oldest()).min();
        let behind = |oldest: Sequence| Sequence::new(oldest.get().saturating_sub(1));
        let sequence = oldest.map_or(self.told.sequence, |oldest| {
            behind(oldest).min(self.told.sequence)
        });
        if self.stored.is_some_and(|stored| sequence <= stored) {
            return;
        }
        let record = CursorRecord::from(Cursor {
            store: self.told.store,
            sequence,
        });
        let value = stored::encode(&record).expect("two numbers are not too large for a value");
        let proposal = Proposal::from(Wish::PutMetadata {
            key: key(),
            value,
            expected: Expected::Anything,
        });
        self.stored_at = Instant::now();
        match site.store.commit(proposal).await {
            Ok(_) => self.stored = Some(sequence),
            Err(error) => tracing::warn!("storing how far was pushed: {}", Chain(&error)),
        }
    }
}

fn key() -> MetadataKey {
    stored::push_cursor_key()
}
