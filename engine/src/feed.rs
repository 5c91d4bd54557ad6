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
use crate::record::{Record, RecordRef};
use crate::scan::{Assembly, Scan};
use crate::segment;
use crate::store::Store;
use crate::types::{
    Cursor, DatasetId, IdentityId, ModifiedBy, Note, PoolId, Sequence, SyncCount, Timestamp,
};

/// A commit that the feed tells of.
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
        records: Vec<Record>,
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
    },
    /// A pool was deleted, with all its identities.
    DeletedPool {
        /// The pool.
        pool: PoolId,
    },
}

/// A reader of commits, in order, from a cursor on.
pub struct Feed {
    store: Arc<Store>,
    /// The last commit that was read.
    sequence: Sequence,
    place: Option<Place>,
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
        if cursor.store != store.log.store || cursor.sequence > durable {
            return Err(Refusal::ForeignCursor.into());
        }
        Ok(Self {
            store,
            sequence: cursor.sequence,
            place: None,
        })
    }

    /// Right behind the last commit that [`Feed::read`] went over; store it to go on from here.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        Cursor {
            store: self.store.log.store,
            sequence: self.sequence,
        }
    }

    /// The next commits, about 1 MiB of log at most, or none if there are no more yet. Reads the
    /// disk, so it may block.
    ///
    /// # Errors
    /// [`Fault::Corrupt`] if a frame does not hold, [`Fault::Io`] if it cannot be read, and
    /// [`Fault::Closed`] once the store is closed and everything was read.
    pub fn read(&mut self) -> Result<Vec<FeedCommit>, Error> {
        let durable = self.store.watermark.get();
        let mut commits = Vec::new();
        let mut bytes = 0;
        while self.sequence < durable.sequence
            && (commits.is_empty() || bytes < FEED_READ_BYTES as u64)
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
                self.segment(place.number)?.end()
            };
            place.scan.extend(end);
            if place.scan.offset() >= end {
                assert!(!active, "the watermark stands behind its commit");
                self.place = Some(self.start(place.number + 1)?);
                continue;
            }
            let before = place.scan.offset();
            if let Some(commit) = place
                .next()?
                .filter(|commit| commit.sequence > self.sequence)
            {
                self.sequence = commit.sequence;
                commits.extend(self.tell(&commit));
            }
            bytes += u64::from(place.scan.offset() - before);
            self.place = Some(place);
        }
        if commits.is_empty()
            && self.sequence == durable.sequence
            && self.store.watermark.is_closed()
        {
            return Err(Fault::Closed.into());
        }
        Ok(commits)
    }

    /// Blocks until there is something to read; false if the time is over first or the store is
    /// closed.
    #[must_use]
    pub fn wait(&self, timeout: Duration) -> bool {
        self.store.watermark.wait(self.sequence, timeout)
    }

    /// Resolves when there is something to read or the store is closed, on any runtime.
    pub fn changed(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        Changed {
            store: Arc::clone(&self.store),
            after: self.sequence,
            place: None,
        }
    }

    fn find(&self) -> Result<Place, Error> {
        let found = self.store.log.place_after(self.sequence);
        let (segment, point) = found.expect("what is durable is in a segment");
        if point.before > self.sequence {
            return Err(Refusal::CursorTooOld {
                floor: point.before,
            }
            .into());
        }
        Ok(Place::new(&segment, point.offset)?)
    }

    fn start(&self, number: u32) -> Result<Place, Error> {
        Ok(Place::new(&*self.segment(number)?, segment::FRAMES_OFFSET)?)
    }

    fn segment(&self, number: u32) -> Result<Arc<Indexed>, Error> {
        self.store.log.segment(number).ok_or_else(|| {
            let path = segment::path(number);
            let why = "the segment is missing";
            Fault::Corrupt {
                path,
                offset: 0,
                sequence: Some(self.sequence.next()),
                why,
            }
            .into()
        })
    }

    fn tell(&self, commit: &Commit) -> Option<FeedCommit> {
        let changes: Vec<_> = commit.changes.iter().filter_map(told).collect();
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
        let frame = self.scan.next()?.map_err(|no_frame| Fault::Corrupt {
            path: segment::path(self.number),
            offset: u64::from(offset),
            sequence: None,
            why: no_frame.why(),
        })?;
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
        | Change::MetadataPut { .. }
        | Change::MetadataDeleted { .. }
        | Change::Unknown => None,
        Change::Dataset(change) => {
            let sync_count = change.facts.sync_count;
            let news = |record: &RecordRef<'_>| {
                change.cause == Cause::Republish || record.sync_count == sync_count
            };
            Some(FeedChange::Updated {
                dataset: change.dataset.clone(),
                sync_count,
                modified_by: change.facts.modified_by.clone(),
                records: change
                    .records
                    .iter()
                    .filter(news)
                    .map(|r| r.to_record())
                    .collect(),
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
        Change::IdentityDeleted { pool, identity, .. } => Some(FeedChange::DeletedIdentity {
            pool: *pool,
            identity: *identity,
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
