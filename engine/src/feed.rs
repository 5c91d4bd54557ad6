//! The change feed: commits in order, read from the log itself.
//!
//! A feed tells of datasets, identities and pools. Metadata, records that a frame carries along and
//! images are not news and do not appear.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::commit::{Cause, Change, Commit, DatasetChange};
use crate::error::{Error, Fault, Refusal};
use crate::limits::FEED_READ_BYTES;
use crate::log::Indexed;
use crate::readers::Registered;
use crate::records::Records;
use crate::refill::refilled;
use crate::scan::{Assembly, Scan};
use crate::segment::{self, NoFrame};
use crate::store::Store;
use crate::types::{
    Cursor, DatasetId, DatasetName, IdentityId, ModifiedBy, Note, PoolId, Sequence, SyncCount,
    Timestamp,
};

/// A commit that the feed tells of.
#[doc = include_str!("examples/feed/feed_commit.md")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedCommit {
    /// Right behind this commit.
    pub cursor: Cursor,
    /// When it was committed, by the engine's clock.
    pub time: Timestamp,
    /// The note of its proposal.
    pub note: Note,
    /// What it changed.
    pub changes: Vec<FeedChange>,
}

/// A change that the feed tells of.
#[doc = include_str!("examples/feed/feed_change.md")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FeedChange {
    /// Records of a dataset were written or removed.
    Updated {
        /// The dataset.
        dataset: DatasetId,
        /// Its count, which all these records have.
        sync_count: SyncCount,
        /// Who did it.
        modified_by: ModifiedBy,
        /// The records and tombstones written by this commit, ordered by key.
        records: Records,
    },
    /// A dataset is exactly this: it was published again, or imported.
    Whole {
        /// The dataset.
        dataset: DatasetId,
        /// Its count, which did not change unless it was imported.
        sync_count: SyncCount,
        /// Who wrote it last.
        modified_by: ModifiedBy,
        /// All its records and tombstones, ordered by sync count, then key.
        records: Records,
    },
    /// A dataset was deleted.
    DeletedDataset {
        /// The dataset.
        dataset: DatasetId,
        /// Its count, which its deletion raised.
        sync_count: SyncCount,
        /// Who did it.
        modified_by: ModifiedBy,
    },
    /// An identity was deleted, with all its datasets.
    DeletedIdentity {
        /// Its pool.
        pool: PoolId,
        /// The identity.
        identity: IdentityId,
        /// Names that it had, deleted ones that were remembered too, and their counts, which the
        /// deletion did not raise.
        datasets: Vec<(DatasetName, SyncCount)>,
    },
    /// A pool was deleted, with all its identities.
    DeletedPool {
        /// The pool.
        pool: PoolId,
    },
}

/// A reader of commits, in order, from a cursor on.
#[doc = include_str!("examples/feed/feed.md")]
pub struct Feed {
    store: Arc<Store>,
    /// The last commit that was read.
    sequence: Sequence,
    place: Option<Place>,
    /// What the log knows of it, if it has a name.
    registered: Option<Registered>,
}

/// Where a feed is in the log.
struct Place {
    number: u32,
    scan: Scan,
    assembly: Assembly,
}

impl Feed {
    pub(crate) fn new(store: Arc<Store>, cursor: Cursor) -> Result<Self, Error> {
        let durable = store.watermark.get().sequence;
        if cursor.store != store.log.root.uuid || cursor.sequence > durable {
            return Err(Refusal::ForeignCursor.into());
        }
        Ok(Self {
            store,
            sequence: cursor.sequence,
            place: None,
            registered: None,
        })
    }

    /// Gives the reader a name under which [`Engine::readers`](crate::Engine::readers) tells how
    /// far it is. As long as it lives the log is kept that it has not read yet, beyond retention,
    /// up to [`Options::pin_bytes`](crate::Options::pin_bytes).
    #[doc = include_str!("examples/feed/named.md")]
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.registered = Some(self.store.readers.register(name.into(), self.sequence));
        self
    }

    /// Right behind the last commit that [`Feed::read`] went over; store it to go on from here.
    #[doc = include_str!("examples/feed/cursor.md")]
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        Cursor {
            store: self.store.log.root.uuid,
            sequence: self.sequence,
        }
    }

    /// The next commits, about 1 MiB of log at most, or none if there are no more yet. Reads the
    /// disk, so it may block.
    #[doc = include_str!("examples/feed/read.md")]
    /// # Errors
    /// [`Fault::Corrupt`] if a frame does not hold, [`Fault::Io`] if it cannot be read, and
    /// [`Fault::Closed`] once the store is closed and everything was read;
    /// [`Refusal::CursorTooOld`] if the log no longer reaches back to the cursor.
    pub fn read(&mut self) -> Result<Vec<FeedCommit>, Error> {
        self.read_within(u64::MAX)
    }

    /// Like [`Feed::read`], but goes over about so many bytes of log at most, and at least one
    /// commit. It may find nothing to tell of in them though there is more: [`Feed::cursor`] has
    /// moved, and is the [head](crate::Engine::head) once everything was read.
    #[doc = include_str!("examples/feed/read_within.md")]
    /// # Errors
    /// Those of [`Feed::read`].
    pub fn read_within(&mut self, log_bytes_max: u64) -> Result<Vec<FeedCommit>, Error> {
        let mut commits = Vec::new();
        self.go_over(log_bytes_max, |feed, commit| {
            commits.extend(feed.tell(commit));
            !commits.is_empty()
        })?;
        if let Some(registered) = &self.registered {
            registered.moved(self.sequence);
        }
        // In this order: a last commit may come before the end, but none behind it.
        if commits.is_empty()
            && self.store.watermark.is_closed()
            && self.sequence == self.store.watermark.get().sequence
        {
            return Err(Fault::Closed.into());
        }
        Ok(commits)
    }

    /// Visits the next commits of all kinds, up to the present, or about so many bytes of log, or
    /// 1 MiB once the visitor has found something.
    pub(crate) fn go_over(
        &mut self,
        log_bytes_max: u64,
        mut visit: impl FnMut(&Self, &Commit) -> bool,
    ) -> Result<(), Error> {
        let durable = self.store.watermark.get();
        let mut found = false;
        let mut bytes = 0;
        let mut finished = None;
        // What lies before the cursor counts too, so that only a step forward may end the way.
        let began = self.sequence;
        while self.sequence < durable.sequence
            && (!found || bytes < FEED_READ_BYTES as u64)
            && (self.sequence == began || bytes < log_bytes_max)
        {
            let mut place = match self.place.take() {
                Some(place) => place,
                None => self.find()?,
            };
            let position = durable.position;
            let active = place.number == position.segment;
            let end = if active {
                position.offset
            } else {
                self.end_of(place.number, &mut finished)?
            };
            place.scan.extend(end);
            if place.scan.offset() >= end {
                assert!(!active, "the watermark stands behind its commit");
                self.place = Some(self.start(place.number + 1)?);
                continue;
            }
            let before = place.scan.offset();
            if let Some(commit) = self
                .next_at(&mut place)?
                .filter(|commit| commit.sequence > self.sequence)
            {
                self.sequence = commit.sequence;
                found = visit(self, &commit);
            }
            bytes += u64::from(place.scan.offset() - before);
            self.place = Some(place);
        }
        Ok(())
    }

    /// The commits up to the newest one there is, as an iterator; reading goes on behind them.
    ///
    /// Each may be an error of [`Feed::read`], after which nothing follows.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = tempfile::tempdir()?;
    /// # let engine = syncline_engine::Engine::open(directory.path(), Default::default())?;
    /// let mut feed = engine.feed(engine.tail())?;
    /// for commit in feed.commits() {
    ///     println!("{:?}", commit?.changes);
    /// }
    /// let go_on_from = feed.cursor();
    /// # assert_eq!(go_on_from, engine.head());
    /// # Ok(())
    /// # }
    /// ```
    pub fn commits(&mut self) -> impl Iterator<Item = Result<FeedCommit, Error>> + '_ {
        refilled(|| self.read())
    }

    /// Blocks until there is something to read; false if the time is over first or the store is
    /// closed.
    #[doc = include_str!("examples/feed/wait.md")]
    #[must_use]
    pub fn wait(&self, timeout: Duration) -> bool {
        self.store.watermark.wait(self.sequence, timeout)
    }

    /// Resolves when there is something to read or the store is closed, on any runtime.
    #[doc = include_str!("examples/feed/changed.md")]
    pub fn changed(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        Changed {
            store: Arc::clone(&self.store),
            after: self.sequence,
            place: None,
        }
    }

    /// Where a segment ends that is not written any more; the log is asked once about each.
    fn end_of(&self, number: u32, known: &mut Option<(u32, u32)>) -> Result<u32, Error> {
        if let Some((_, end)) = known.filter(|(of, _)| *of == number) {
            return Ok(end);
        }
        let end = self.segment(number)?.end();
        *known = Some((number, end));
        Ok(end)
    }

    fn find(&self) -> Result<Place, Error> {
        let Some((segment, point)) = self.store.log.place_after(self.sequence) else {
            return Err(self.too_old());
        };
        if point.before > self.sequence {
            return Err(self.too_old());
        }
        self.at(&segment, point.offset)
    }

    fn start(&self, number: u32) -> Result<Place, Error> {
        self.at(&*self.segment(number)?, segment::FRAMES_OFFSET)
    }

    fn at(&self, segment: &Indexed, offset: u32) -> Result<Place, Error> {
        Place::new(segment, offset).map_err(|fault| self.or_too_old(segment.header.number, fault))
    }

    fn segment(&self, number: u32) -> Result<Arc<Indexed>, Error> {
        let segment = self.store.log.segment(number);
        segment.ok_or_else(|| self.too_old())
    }

    /// The log no longer reaches back to here.
    fn too_old(&self) -> Error {
        let oldest = self.store.log.place_after(Sequence::ZERO);
        let durable = self.store.watermark.get().sequence;
        let floor = oldest.map_or(durable, |(_, point)| point.before);
        Refusal::CursorTooOld { floor }.into()
    }

    /// The next commit at a place; what is wrong there does not matter if the segment has gone.
    fn next_at(&self, place: &mut Place) -> Result<Option<Commit>, Error> {
        let number = place.number;
        place.next().map_err(|fault| self.or_too_old(number, fault))
    }

    fn or_too_old(&self, number: u32, fault: Fault) -> Error {
        match self.store.log.segment(number) {
            Some(_) => fault.into(),
            None => self.too_old(),
        }
    }

    fn tell(&self, commit: &Commit) -> Option<FeedCommit> {
        // Mostly there is one, and all are told.
        let mut changes = Vec::with_capacity(commit.changes.len());
        changes.extend(commit.changes.iter().filter_map(told));
        (!changes.is_empty()).then(|| FeedCommit {
            cursor: self.cursor(),
            time: commit.time,
            note: commit.note.clone(),
            changes,
        })
    }
}

impl Place {
    fn new(indexed: &Indexed, offset: u32) -> Result<Self, Fault> {
        let number = indexed.header.number;
        // The feed says how far it may read before each frame.
        let scan = Scan::new(indexed.open()?, offset, offset);
        Ok(Self {
            number,
            scan,
            assembly: Assembly::default(),
        })
    }

    fn next(&mut self) -> Result<Option<Commit>, Fault> {
        let offset = self.scan.offset();
        let corrupt = |no_frame: NoFrame| segment::corrupt(self.number, offset, no_frame.why());
        let frame = self.scan.next()?.map_err(corrupt)?;
        Ok(self
            .assembly
            .add(self.number, offset, &frame)?
            .map(|(commit, _)| commit))
    }
}

fn told(change: &Change) -> Option<FeedChange> {
    match change {
        Change::Dataset(DatasetChange {
            cause: Cause::Image,
            ..
        })
        | Change::PoolImported { .. }
        | Change::IdentityImported { .. }
        | Change::MetadataPut { .. }
        | Change::MetadataDeleted { .. }
        | Change::Unknown => None,
        Change::Dataset(change) => {
            let sync_count = change.facts.sync_count;
            let dataset = change.dataset.clone();
            let modified_by = change.facts.modified_by.clone();
            let whole = change.cause != Cause::Update;
            let since = if whole { SyncCount::ZERO } else { sync_count };
            let records = change.records.copied_since(since);
            Some(if whole {
                FeedChange::Whole {
                    dataset,
                    sync_count,
                    modified_by,
                    records,
                }
            } else {
                FeedChange::Updated {
                    dataset,
                    sync_count,
                    modified_by,
                    records,
                }
            })
        }
        Change::DatasetDeleted {
            dataset,
            sync_count,
            modified_by,
        } => Some(FeedChange::DeletedDataset {
            dataset: dataset.clone(),
            sync_count: *sync_count,
            modified_by: modified_by.clone(),
        }),
        Change::IdentityDeleted {
            pool,
            identity,
            datasets,
        } => Some(FeedChange::DeletedIdentity {
            pool: *pool,
            identity: *identity,
            datasets: datasets.clone(),
        }),
        Change::PoolDeleted { pool } => Some(FeedChange::DeletedPool { pool: *pool }),
    }
}

/// Resolves when the feed has something to read.
struct Changed {
    store: Arc<Store>,
    after: Sequence,
    /// Its place among those who wait.
    place: Option<u64>,
}

impl Future for Changed {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let watermark = &this.store.watermark;
        if watermark.poll(this.after, &mut this.place, cx.waker()) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

impl Drop for Changed {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.store.watermark.leave(place);
        }
    }
}
