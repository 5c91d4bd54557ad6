//! Exports: everything, a pool or an identity, as it was after one commit, while commits go on.
//!
//! An export goes through the directory in slices and reads what they name outside any lock; see
//! [`crate::snapshot`] for what becomes of what changes meanwhile. It takes as much memory as one
//! slice, the dataset that it tells of, and what changed.

use std::collections::VecDeque;
use std::iter::FusedIterator;
use std::sync::Arc;

mod position;
mod resume;

pub use position::ExportPosition;

use crate::content::Content;
use crate::error::{Error, Fault, Refusal, Subject};
use crate::page::Page;
use crate::proposal::Wish;
use crate::record::RecordRef;
use crate::snapshot::{Held, Piece, Scope, Snapshot, Told, Walk};
use crate::state::{Place, State};
use crate::store::Store;
use crate::types::{
    Cursor, DatasetId, DatasetName, Expected, IdentityId, MetadataKey, MetadataValue, PoolId,
    Sequence, SyncCount, Timestamp,
};

/// What readers of the log see of an export.
const READER: &str = "export";

/// Something that an export tells, in the order in which it is to be imported.
#[doc = include_str!("examples/export/exported.md")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exported {
    /// A pool; its identities follow.
    Pool {
        /// The pool.
        pool: PoolId,
        /// When it was last changed.
        modified: Timestamp,
    },
    /// A dataset.
    Dataset {
        /// The dataset.
        dataset: DatasetId,
        /// All of it.
        content: Box<Content>,
    },
    /// What is known of an identity beside its datasets, which come before.
    Identity {
        /// Its pool.
        pool: PoolId,
        /// The identity.
        identity: IdentityId,
        /// When one of its datasets was last written or deleted.
        modified: Timestamp,
        /// Unknown names count as deleted at this count.
        floor: SyncCount,
        /// Deleted datasets and their counts, ordered by name.
        deleted: Vec<(DatasetName, SyncCount)>,
    },
    /// A metadata value. Its version is not told: it is another one where it is imported.
    Metadata {
        /// Its key.
        key: MetadataKey,
        /// The value.
        value: MetadataValue,
    },
}

/// The wish that takes it over in another store, and puts no value where there is one.
impl From<Exported> for Wish {
    fn from(exported: Exported) -> Self {
        match exported {
            Exported::Pool { pool, modified } => Self::ImportPool { pool, modified },
            Exported::Dataset { dataset, content } => Self::Import { dataset, content },
            Exported::Identity {
                pool,
                identity,
                modified,
                floor,
                deleted,
            } => Self::ImportIdentity {
                pool,
                identity,
                modified,
                floor,
                deleted,
            },
            Exported::Metadata { key, value } => Self::PutMetadata {
                key,
                value,
                expected: Expected::Nothing,
            },
        }
    }
}

/// How far an export is.
#[doc = include_str!("examples/export/export_progress.md")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExportProgress {
    /// Datasets told.
    pub datasets: u64,
    /// Datasets in all.
    pub datasets_total: u64,
    /// Metadata values told.
    pub metadata: u64,
    /// Metadata values in all.
    pub metadata_total: u64,
    /// Bytes of memory for what was changed since the export began and not told yet, near enough;
    /// [`EXPORT_CHANGED_BYTES_MAX`](crate::limits::EXPORT_CHANGED_BYTES_MAX) ends it.
    pub changed_bytes: u64,
}

/// A consistent copy of a store, or a part of it, as an iterator. Made by
/// [`Engine::export`](crate::Engine::export).
///
/// It tells pools with their identities and datasets in order, then metadata. While it lives, files
/// that it may have to read stay, and so does the log behind its [cursor](Export::cursor), up to
/// [`Options::pin_bytes`](crate::Options::pin_bytes): open the feed before dropping it. It ends
/// with [`Refusal::ExportOverrun`] if it keeps more than that, if what changes meanwhile takes too
/// much memory, or if the store is [purged](crate::Engine::purge). After an error it tells nothing
/// more.
#[doc = include_str!("examples/export/export.md")]
pub struct Export {
    store: Arc<Store>,
    /// `None`: it is suspended.
    walk: Option<Walk>,
    failed: bool,
}

impl Export {
    /// Begins an export of the present.
    pub(crate) fn begin(store: Arc<Store>, scope: Scope) -> Result<Self, Error> {
        let (snapshot, _) = taken(&store, scope, None)?;
        Ok(Self::new(
            store,
            snapshot,
            VecDeque::new(),
            Told::Nothing,
            (0, 0),
        ))
    }

    fn new(
        store: Arc<Store>,
        snapshot: Arc<Snapshot>,
        pieces: VecDeque<Piece>,
        told: Told,
        done: (u64, u64),
    ) -> Self {
        let walk = Walk {
            snapshot,
            pieces,
            told,
            done,
        };
        Self {
            store,
            walk: Some(walk),
            failed: false,
        }
    }

    /// The commit after which the store is told: a feed opened here goes on where the export ends,
    /// without a gap and without an overlap.
    #[doc = include_str!("examples/export/cursor.md")]
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        Cursor {
            store: self.store.log.root.uuid,
            sequence: self.walk().snapshot.sequence,
        }
    }

    /// What it tells of.
    #[doc = include_str!("examples/export/scope.md")]
    #[must_use]
    pub fn scope(&self) -> Scope {
        self.walk().snapshot.scope
    }

    /// Behind what it told last; see [`Engine::resume_export`](crate::Engine::resume_export).
    #[doc = include_str!("examples/export/position.md")]
    #[must_use]
    pub fn position(&self) -> ExportPosition {
        let walk = self.walk();
        ExportPosition {
            cursor: self.cursor(),
            scope: walk.snapshot.scope,
            told: walk.told.clone(),
            done: walk.done,
        }
    }

    /// How far it is.
    #[doc = include_str!("examples/export/progress.md")]
    #[must_use]
    pub fn progress(&self) -> ExportProgress {
        let Walk { snapshot, done, .. } = self.walk();
        ExportProgress {
            datasets: done.0,
            datasets_total: snapshot.totals.0,
            metadata: done.1,
            metadata_total: snapshot.totals.1,
            changed_bytes: snapshot.memory() as u64,
        }
    }

    /// Stops telling, and keeps what is needed to [go on](crate::Engine::resume_export) until the
    /// store is closed. At most eight exports are kept, those under way included; newer ones take
    /// the place of the oldest.
    #[doc = include_str!("examples/export/suspend.md")]
    #[must_use]
    pub fn suspend(mut self) -> ExportPosition {
        let position = self.position();
        if let Some(walk) = self.walk.take() {
            self.store.snapshots.suspend(walk);
        }
        position
    }

    fn walk(&self) -> &Walk {
        self.walk
            .as_ref()
            .expect("only `suspend` takes it, and the export with it")
    }

    fn advance(&mut self) -> Result<Option<Exported>, Error> {
        let Some(walk) = &mut self.walk else {
            return Ok(None);
        };
        if walk.pieces.is_empty() {
            let state = self.store.state();
            walk.pieces = self.store.snapshots.slice(&walk.snapshot, &state)?;
        }
        let Some(piece) = walk.pieces.front() else {
            walk.told = Told::All;
            return Ok(None);
        };
        let exported = read(&self.store, piece).map_err(|fault| {
            // What is wrong with a file that has gone does not matter.
            match walk.snapshot.ended() {
                Some(why) => Refusal::ExportOverrun { why }.into(),
                None => Error::from(fault),
            }
        })?;
        match exported {
            Exported::Dataset { .. } => walk.done.0 += 1,
            Exported::Metadata { .. } => walk.done.1 += 1,
            _ => {}
        }
        walk.told = Told::of(piece);
        walk.pieces.pop_front();
        Ok(Some(exported))
    }
}

impl Iterator for Export {
    type Item = Result<Exported, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let next = self.advance().transpose();
        self.failed = matches!(next, Some(Err(_)));
        next
    }
}

impl FusedIterator for Export {}

impl Drop for Export {
    fn drop(&mut self) {
        if let Some(walk) = &self.walk {
            self.store.snapshots.release(&walk.snapshot);
        }
    }
}

/// Takes a snapshot of the present, as that of an earlier commit if nothing of its scope changed
/// since, and what was told last of it. Also gives the pieces that are left of the last identity.
fn taken(
    store: &Arc<Store>,
    scope: Scope,
    from: Option<(Sequence, &Told)>,
) -> Result<(Arc<Snapshot>, VecDeque<Piece>), Error> {
    // Before the state is looked at: what it names is certainly not freed before.
    let pin = store.pins.hold();
    let state = store.state();
    check_exists(&state, scope)?;
    let sequence = from.map_or(state.sequence, |(sequence, _)| sequence);
    let held = Held {
        pin,
        _reader: store.readers.register(READER.into(), sequence),
    };
    let told = from.map_or(&Told::Nothing, |(_, told)| told);
    let snapshots = &store.snapshots;
    let snapshot = snapshots.take(&state, scope, sequence, told.at(), held)?;
    let mut pieces = VecDeque::new();
    if let Told::Dataset(last) = told {
        pieces = snapshot.pieces_of(&state, last.pool, last.identity);
        pieces.retain(|piece| match piece {
            Piece::Dataset { id, .. } => id.name > last.name,
            _ => true,
        });
    }
    let now = state.sequence;
    drop(state);
    // The feed opens at what is told to be durable, which follows at once.
    while store.watermark.get().sequence < now {
        std::thread::yield_now();
    }
    Ok((snapshot, pieces))
}

fn check_exists(state: &State, scope: Scope) -> Result<(), Refusal> {
    let missing = match scope {
        Scope::Pool(pool) if !state.pools.contains_key(&pool) => Subject::Pool(Box::new(pool)),
        Scope::Identity(pool, identity) if state.identity(&pool, &identity).is_none() => {
            Subject::Identity(Box::new(pool), Box::new(identity))
        }
        _ => return Ok(()),
    };
    Err(Refusal::NoSuch(missing))
}

fn read(store: &Store, piece: &Piece) -> Result<Exported, Fault> {
    Ok(match piece {
        Piece::Pool { pool, modified } => Exported::Pool {
            pool: *pool,
            modified: *modified,
        },
        Piece::Dataset { id, head } => Exported::Dataset {
            dataset: id.clone(),
            content: Box::new(content(&*store.page_once(id, *head)?)),
        },
        Piece::Identity {
            pool,
            identity,
            modified,
            floor,
            deleted,
        } => Exported::Identity {
            pool: *pool,
            identity: *identity,
            modified: *modified,
            floor: *floor,
            deleted: deleted.clone(),
        },
        Piece::Metadata { key, place } => Exported::Metadata {
            key: key.clone(),
            value: value(store, key, place)?,
        },
    })
}

fn value(store: &Store, key: &MetadataKey, place: &Place) -> Result<MetadataValue, Fault> {
    match store.cache.value(place.location()) {
        Some(value) => Ok(value),
        None => store.value_once(key, place.location()),
    }
}

fn content(page: &Page) -> Content {
    let facts = page.facts();
    let records = page.slice(0, page.len());
    let records = records
        .iter()
        .map(|record: RecordRef<'_>| record.to_record());
    Content {
        sync_count: facts.sync_count,
        floor: facts.floor,
        gap: facts.gap,
        created: facts.created,
        modified: facts.modified,
        modified_by: facts.modified_by.clone(),
        records: records.collect(),
    }
}
