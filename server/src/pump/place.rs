//! Up to where a pool's stream is delivered: kept in the store's metadata, and held in its log.
//!
//! What is stored is never ahead of what the sink has. It is stored at most once a second, so a
//! crash repeats at most what was delivered since; and a pool without news moves its place now and
//! then, so that the log need not be kept for it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use syncline_engine::{Error, Expected, PoolId, Proposal, Refusal, Sequence, Wish};

use super::End;
use crate::config::GIVE_UP_SECONDS_MAX;
use crate::error::Chain;
use crate::site::stored::{self, StreamCursorRecord};
use crate::site::{Site, StreamingPool};

/// How soon a place is stored after something was delivered.
const SOON: Duration = Duration::from_secs(1);
/// How soon it is stored when nothing was.
const SELDOM: Duration = Duration::from_secs(10);

/// The place of one pool.
pub(super) struct Place {
    site: Arc<Site>,
    pool: stored::Id,
    pool_id: PoolId,
    /// What is to be stored, and held.
    record: StreamCursorRecord,
    /// Whether it is stored.
    is_stored: bool,
    /// What its key holds.
    expected: Expected,
    stored_at: Instant,
    /// Whether something was delivered since.
    delivered: bool,
}

impl Place {
    /// Where the stream of a pool goes on, or begins.
    ///
    /// # Errors
    /// [`End::Broken`] if the feed cannot be read from there.
    pub(super) async fn find(
        site: &Arc<Site>,
        pool: &stored::Id,
        streaming: &StreamingPool,
        stream: &str,
    ) -> Result<Self, End> {
        let key = stored::stream_cursor_key(pool.uuid);
        let found = site.load::<StreamCursorRecord>(key).await;
        let found = found.map_err(|error| End::Fault(error.message))?;
        let (old, expected) = match found {
            Some((record, version)) => (Some(record), Expected::Version(version)),
            None => (None, Expected::Nothing),
        };
        let head = site.store.engine().head();
        let same = old
            .as_ref()
            .is_some_and(|old| old.enabled_ms == streaming.enabled_ms);
        let resumes = site.config.streaming.resume;
        let tail = site.store.engine().tail().sequence;
        let reachable = |old: &StreamCursorRecord| {
            old.cursor().store == head.store && old.cursor().sequence >= tail
        };
        let record = match old {
            Some(old) if same && old.cursor().store != head.store => {
                return Err(End::Broken(
                    "The store was restored or imported, and what the stream has told may not be \
                     in it: enable streaming again and start a BulkPublish"
                        .to_owned(),
                ));
            }
            // If the log does not reach back to it, the stream has lost what it was to tell.
            Some(old) if same && old.stream == stream => old,
            Some(old) if (same || resumes) && reachable(&old) => old,
            // Nothing was lost of a stream that never told anything: it begins where it can.
            old => {
                let other = old.filter(|_| same).map(|old| old.cursor().sequence);
                let since = other.unwrap_or(streaming.since).min(head.sequence);
                if since < tail {
                    tracing::warn!(
                        %pool, stream,
                        "the stream begins behind commit {tail}: changes from commit {} on were \
                         made while it had no sink, or another one, and the log has them no more; \
                         a BulkPublish tells the sink what there is",
                        since.next()
                    );
                }
                StreamCursorRecord {
                    store: head.store.into_bytes(),
                    sequence: since.max(tail).get(),
                    ..StreamCursorRecord::default()
                }
            }
        };
        let is_stored = same && record.stream == stream;
        let record = StreamCursorRecord {
            stream: stream.to_owned(),
            enabled_ms: streaming.enabled_ms,
            // Another sink has its own time. More than can be waited for is no such time: there
            // were servers that stored when it began.
            failing_ms: record
                .failing_ms
                .filter(|ms| is_stored && *ms <= GIVE_UP_SECONDS_MAX * 1000),
            ..record
        };
        let place = Self {
            site: Arc::clone(site),
            pool: pool.clone(),
            pool_id: streaming.pool,
            record,
            is_stored,
            expected,
            stored_at: Instant::now(),
            delivered: false,
        };
        place.hold(&place.record)?;
        Ok(place)
    }

    /// The last commit that is delivered, as it is stored or will be.
    pub(super) fn sequence(&self) -> Sequence {
        Sequence::new(self.record.sequence)
    }

    /// How long the sink took nothing while it was tried, if it did not take something since.
    pub(super) fn failing(&self) -> Option<Duration> {
        self.record.failing_ms.map(Duration::from_millis)
    }

    /// Events behind the place were delivered.
    pub(super) fn delivered(&mut self) {
        self.delivered = true;
    }

    /// When it should be stored.
    pub(super) fn due(&self) -> Instant {
        self.stored_at + if self.delivered { SOON } else { SELDOM }
    }

    /// Stores it if that is due and anything changed.
    ///
    /// # Errors
    /// See [`Place::store`].
    pub(super) async fn store_if_due(
        &mut self,
        at: Sequence,
        failing: Option<Duration>,
    ) -> Result<(), End> {
        if Instant::now() >= self.due() {
            self.store(at, failing).await?;
        }
        Ok(())
    }

    /// Stores it if anything changed. A store that takes no writes now is asked again later.
    ///
    /// # Errors
    /// [`End::Gone`] and [`End::Changed`] if somebody else changed what there was.
    pub(super) async fn store(
        &mut self,
        at: Sequence,
        failing: Option<Duration>,
    ) -> Result<(), End> {
        self.stored_at = Instant::now();
        let failing_ms = failing.map(|long| u64::try_from(long.as_millis()).unwrap_or(u64::MAX));
        let record = StreamCursorRecord {
            sequence: at.get(),
            failing_ms,
            ..self.record.clone()
        };
        if record == self.record && self.is_stored {
            self.delivered = false;
            return Ok(());
        }
        let key = stored::stream_cursor_key(self.pool.uuid);
        let Some(value) = stored::encode(&record) else {
            return Err(End::Fault("a place that is too large to store".to_owned()));
        };
        let proposal = Proposal {
            expect: vec![(stored::pool_key(&self.pool), Expected::Something)],
            wishes: vec![Wish::PutMetadata {
                key: key.clone(),
                value,
                expected: self.expected,
            }],
            ..Proposal::default()
        };
        match self.site.store.commit(proposal).await {
            Ok(receipt) => {
                self.expected = Expected::Version(receipt.sequence);
                self.hold(&record)?;
                self.record = record;
                self.is_stored = true;
                self.delivered = false;
                Ok(())
            }
            Err(Error::Refusal(Refusal::Unexpected { key: other, .. })) if other == key => {
                Err(End::Changed)
            }
            Err(Error::Refusal(Refusal::Unexpected { .. })) => Err(End::Gone),
            Err(error) => {
                let pool = &self.pool;
                tracing::warn!(%pool, "storing how far a stream is: {}", Chain(&error));
                Ok(())
            }
        }
    }

    /// Keeps the log from there on, until the pool does not stream any more.
    fn hold(&self, record: &StreamCursorRecord) -> Result<(), End> {
        let holds = &self.site.outflow.holds;
        let held = holds.set(self.site.store.engine(), self.pool_id, record);
        held.map_err(|error| End::Fault(Chain(&error).to_string()))
    }
}
