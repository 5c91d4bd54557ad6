//! Snapshots: the directory as it was after one commit, for exports, while it goes on changing.
//!
//! Nothing is copied when one is taken. An export walks the directory in order, and whoever is
//! about to change something that it has not come by yet puts it aside first. Moves need not be
//! put aside: they change places, not what is there. A pool that is deleted goes over to the
//! snapshots as it is, and comes back to be taken apart when none needs it any more. Without a
//! snapshot all this costs one look at a number.

use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::collections::VecDeque;

mod walk;
mod was;

pub(crate) use walk::{Piece, Told, Walk};
use was::Was;

use crate::commit::{Change, Commit};
use crate::error::Refusal;
use crate::limits::{EXPORT_CHANGED_BYTES_MAX, EXPORTS_MAX};
use crate::pins::Pin;
use crate::readers::Registered;
use crate::state::{At, Pool, State};
use crate::types::{IdentityId, Location, PoolId, Sequence};

/// What an export tells of.
///
/// ```
/// use syncline_engine::Scope;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (_home, engine, settings) =
/// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/examples/scene.in"));
/// assert_eq!(engine.export(Scope::Pool(settings.pool))?.count(), 3);
/// let nobody = syncline_engine::IdentityId::parse("us-east-1:00")?;
/// assert!(engine.export(Scope::Identity(settings.pool, nobody)).is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Everything: all pools, and the metadata.
    All,
    /// One pool, without metadata.
    Pool(PoolId),
    /// One identity of a pool, without metadata.
    Identity(PoolId, IdentityId),
}

/// All snapshots of a store.
#[derive(Default)]
pub(crate) struct Snapshots {
    /// How many are taken: so that changes need no lock while none is.
    running: AtomicUsize,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    taken: Vec<Arc<Snapshot>>,
    /// Exports to be gone on with, the oldest first.
    suspended: VecDeque<Walk>,
    /// Deleted pools that no snapshot needs any more.
    returned: Vec<Pool>,
}

/// What keeps the files of a snapshot, and the log behind it.
pub(crate) struct Held {
    pub(crate) pin: Pin,
    pub(crate) _reader: Registered,
}

/// The directory as it was after one commit.
pub(crate) struct Snapshot {
    /// That commit.
    pub(crate) sequence: Sequence,
    pub(crate) scope: Scope,
    /// Datasets and metadata keys in its scope.
    pub(crate) totals: (u64, u64),
    was: Mutex<Was>,
}

/// Why a snapshot is no more.
const TOO_MUCH_CHANGED: &str = "what changed meanwhile takes more than 64 MiB of memory; export \
                                pool by pool, or when less is written";
const FILES_GONE: &str = "the files that it held were purged, took more than `pin_bytes`, or \
                          were needed for space on a full disk";
const ENDED: &str = "it was suspended, and newer exports took its place";

impl Scope {
    /// Whether it has something of a pool.
    fn has_pool(&self, pool: &PoolId) -> bool {
        match self {
            Self::All => true,
            Self::Pool(known) | Self::Identity(known, _) => known == pool,
        }
    }

    /// Whether it has an identity.
    pub(crate) fn has(&self, pool: &PoolId, identity: &IdentityId) -> bool {
        match self {
            Self::Identity(_, known) => self.has_pool(pool) && known == identity,
            _ => self.has_pool(pool),
        }
    }

    /// Whether a change is about something in it, other than where that lies.
    pub(crate) fn is_touched(&self, change: &Change) -> bool {
        match change {
            Change::Dataset(change) => {
                change.cause.is_change() && self.has(&change.dataset.pool, &change.dataset.identity)
            }
            Change::DatasetDeleted { dataset, .. } => self.has(&dataset.pool, &dataset.identity),
            Change::IdentityDeleted { pool, identity, .. }
            | Change::IdentityImported { pool, identity, .. } => self.has(pool, identity),
            Change::PoolDeleted { pool } | Change::PoolImported { pool, .. } => self.has_pool(pool),
            Change::MetadataPut { .. } | Change::MetadataDeleted { .. } => *self == Self::All,
            Change::Unknown => false,
        }
    }
}

impl Snapshots {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a snapshot of the state, which must be locked, from a place on.
    pub(crate) fn take(
        &self,
        state: &State,
        scope: Scope,
        sequence: Sequence,
        at: Option<At>,
        held: Held,
    ) -> Result<Arc<Snapshot>, Refusal> {
        let mut inner = self.lock();
        while inner.taken.len() >= EXPORTS_MAX {
            let oldest = inner.suspended.pop_front().ok_or(Refusal::Busy)?;
            inner.remove(&oldest.snapshot, ENDED);
        }
        let snapshot = Arc::new(Snapshot {
            sequence,
            scope,
            totals: totals(state, scope),
            was: Mutex::new(Was::new(scope, at, held)),
        });
        inner.taken.push(Arc::clone(&snapshot));
        self.running.store(inner.taken.len(), Ordering::Release);
        Ok(snapshot)
    }

    /// Lets go of a snapshot.
    pub(crate) fn release(&self, snapshot: &Arc<Snapshot>) {
        let mut inner = self.lock();
        inner.remove(snapshot, ENDED);
        self.running.store(inner.taken.len(), Ordering::Release);
    }

    /// Ends all: their files are about to go.
    pub(crate) fn end(&self) {
        let mut inner = self.lock();
        let taken = inner.taken.clone();
        for snapshot in taken {
            inner.remove(&snapshot, FILES_GONE);
        }
        inner.suspended.clear();
        self.running.store(0, Ordering::Release);
    }

    /// Keeps an export so that it can be gone on with.
    pub(crate) fn suspend(&self, walk: Walk) {
        self.lock().suspended.push_back(walk);
    }

    /// The suspended export that is at a place.
    pub(crate) fn resume(&self, is_it: impl Fn(&Walk) -> bool) -> Option<Walk> {
        let mut inner = self.lock();
        let at = inner.suspended.iter().position(is_it)?;
        inner.suspended.remove(at)
    }

    /// Deleted pools that may be taken apart now.
    pub(crate) fn returned(&self) -> Vec<Pool> {
        std::mem::take(&mut self.lock().returned)
    }

    /// Makes a commit true, and puts aside what snapshots need of what was.
    pub(crate) fn apply(&self, state: &mut State, commit: &Commit, locations: &[Location]) {
        if self.running.load(Ordering::Acquire) == 0 {
            return state.apply(commit, locations);
        }
        let mut inner = self.lock();
        for snapshot in inner.taken.clone() {
            let mut was = snapshot.was();
            was.save(state, commit);
            let why = if was.memory() > EXPORT_CHANGED_BYTES_MAX {
                TOO_MUCH_CHANGED
            } else if was.is_overrun() {
                FILES_GONE
            } else {
                continue;
            };
            was.end(why, &mut inner.returned);
        }
        let existed: Vec<PoolId> = commit
            .changes
            .iter()
            .filter_map(|change| match change {
                Change::PoolDeleted { pool } => Some(*pool),
                _ => None,
            })
            .filter(|pool| state.pools.contains_key(pool))
            .collect();
        let fallen = state.fallen.len();
        state.apply(commit, locations);
        let fallen = state.fallen.split_off(fallen);
        for (id, pool) in existed.into_iter().zip(fallen) {
            let wanted = |snapshot: &&Arc<Snapshot>| snapshot.was().wants(&id);
            let wanting: Vec<_> = inner.taken.iter().filter(wanted).cloned().collect();
            if wanting.is_empty() {
                state.fallen.push(pool);
                continue;
            }
            let pool = Arc::new(pool);
            for snapshot in wanting {
                snapshot.was().keep(&id, &pool);
            }
        }
    }

    /// The next pieces of a snapshot; none: it has no more. The state must be locked.
    pub(crate) fn slice(
        &self,
        snapshot: &Snapshot,
        state: &State,
    ) -> Result<VecDeque<Piece>, Refusal> {
        let mut returned = Vec::new();
        let pieces = {
            let mut was = snapshot.was();
            if was.is_overrun() {
                was.end(FILES_GONE, &mut returned);
            }
            was.slice(state, &mut returned)
        };
        if !returned.is_empty() {
            self.lock().returned.append(&mut returned);
        }
        pieces
    }
}

impl Inner {
    fn remove(&mut self, snapshot: &Arc<Snapshot>, why: &'static str) {
        self.taken.retain(|known| !Arc::ptr_eq(known, snapshot));
        snapshot.was().end(why, &mut self.returned);
    }
}

impl Snapshot {
    fn was(&self) -> MutexGuard<'_, Was> {
        self.was.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why it is no more, if so.
    pub(crate) fn ended(&self) -> Option<&'static str> {
        let was = self.was();
        was.ended().or(was.is_overrun().then_some(FILES_GONE))
    }

    /// Memory that what changed takes, near enough.
    pub(crate) fn memory(&self) -> usize {
        self.was().memory()
    }

    /// All pieces of one identity, wherever the snapshot is.
    pub(crate) fn pieces_of(
        &self,
        state: &State,
        pool: PoolId,
        identity: IdentityId,
    ) -> VecDeque<Piece> {
        self.was().pieces_of(state, pool, identity)
    }
}

fn totals(state: &State, scope: Scope) -> (u64, u64) {
    match scope {
        Scope::All => {
            let totals = state.totals();
            (totals.datasets, totals.metadata)
        }
        Scope::Pool(pool) => (state.pools.get(&pool).map_or(0, |pool| pool.datasets), 0),
        Scope::Identity(pool, identity) => {
            let found = state.identity(&pool, &identity);
            (found.map_or(0, |found| found.live().count() as u64), 0)
        }
    }
}
