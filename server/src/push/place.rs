//! The place in the feed up to which everything was pushed, stored as ordinary metadata.

use std::time::Duration;

use syncline_engine::{
    Cursor, Error, Expected, Feed, MetadataKey, Proposal, Refusal, Sequence, Wish,
};
use tokio::time::Instant;

use super::{Queues, STORING};
use crate::error::{ApiError, Chain};
use crate::site::Site;
use crate::site::stored::{self, CursorRecord};

/// Commits that tell of nothing before the place is stored for their sake.
const QUIET_COMMITS: u64 = 1000;
/// Time after which it is stored for fewer, too.
const QUIET: Duration = Duration::from_secs(60);

/// How far the reader is, and what of that is stored.
pub(super) struct Progress {
    /// Everything up to here is in the queues.
    told: Cursor,
    /// The last commit that told of something.
    news: Sequence,
    stored: Option<Sequence>,
    /// The last commit that stored the place: it alone is no reason to store it again.
    own: Sequence,
    stored_at: Instant,
    /// The log is kept from what is stored on, since that is where a crash goes back to.
    held: Feed,
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
    /// Everything before the place of a feed was told.
    pub(super) fn at(feed: Feed) -> Self {
        let told = feed.cursor();
        Self {
            told,
            news: told.sequence,
            stored: None,
            own: Sequence::ZERO,
            stored_at: Instant::now(),
            held: feed.named("push"),
        }
    }

    /// Everything up to a commit is in the queues, and it told of something.
    pub(super) fn told(&mut self, cursor: Cursor) {
        self.told = cursor;
        self.news = cursor.sequence;
    }

    /// Nothing up to a cursor tells of anything more.
    pub(super) fn passed(&mut self, cursor: Cursor) {
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
        let waited = self.stored_at.elapsed();
        let oldest = queues.values().filter_map(|queue| queue.oldest()).min();
        let behind = |oldest: Sequence| Sequence::new(oldest.get().saturating_sub(1));
        let sequence = oldest.map_or(self.told.sequence, |oldest| {
            behind(oldest).min(self.told.sequence)
        });
        if self
            .stored
            .is_some_and(|stored| !self.is_worth_storing(stored, sequence, waited))
        {
            return;
        }
        self.stored_at = Instant::now();
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
        match site.store.commit(proposal).await {
            Ok(receipt) => {
                self.stored = Some(sequence);
                self.own = receipt.sequence;
            }
            Err(error) => {
                tracing::warn!("storing how far was pushed: {}", Chain(&error));
                return;
            }
        }
        // The new one is there before the old one goes, so that the log is kept throughout.
        match feed_at(site, sequence) {
            Ok(feed) => self.held = feed.named("push"),
            Err(error) => tracing::error!("keeping the log for push: {}", Chain(&error)),
        }
    }

    /// Whether it is stored again. Commits that tell of nothing count only in numbers or after a
    /// while, and storing the place itself never, so that it does not go on for ever.
    fn is_worth_storing(&self, stored: Sequence, sequence: Sequence, waited: Duration) -> bool {
        let has_news = sequence > stored && stored < self.news;
        let commits = sequence.get().saturating_sub(stored.get());
        let is_quiet = waited < QUIET || sequence <= self.own;
        has_news || commits >= QUIET_COMMITS || commits > 0 && !is_quiet
    }
}

fn key() -> MetadataKey {
    stored::push_cursor_key()
}
