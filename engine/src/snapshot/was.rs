//! What was: the parts of the directory that changed since a snapshot was taken, and the way
//! through it and the present.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use super::walk::Piece;
use super::{Held, Scope};
use crate::commit::{Change, Commit};
use crate::error::Refusal;
use crate::limits::EXPORT_SLICE;
use crate::state::{At, Identities, Identity, Place, Pool, State};
use crate::types::{DatasetId, IdentityId, MetadataKey, PoolId, SyncCount, Timestamp};

/// Memory of what is put aside, beside its datasets and its key.
const BESIDE_BYTES: usize = 160;
/// Memory of a dataset that is put aside.
const DATASET_BYTES: usize = 96;

/// The state of a snapshot.
pub(super) struct Was {
    scope: Scope,
    /// What the walk came by; `None`: nothing yet.
    at: Option<At>,
    pools: BTreeMap<PoolId, PoolWas>,
    metadata: BTreeMap<MetadataKey, Option<Place>>,
    memory: usize,
    held: Option<Held>,
    ended: Option<&'static str>,
}

/// A pool that changed.
struct PoolWas {
    /// When it had been changed last; `None`: it did not exist.
    modified: Option<Timestamp>,
    /// It was deleted, and this is what it had then.
    gone: Option<Arc<Pool>>,
    /// Identities that changed, before that; `None`: it did not exist.
    identities: BTreeMap<IdentityId, Option<Identity>>,
}

impl Was {
    pub(super) fn new(scope: Scope, at: Option<At>, held: Held) -> Self {
        Self {
            scope,
            at,
            pools: BTreeMap::new(),
            metadata: BTreeMap::new(),
            memory: 0,
            held: Some(held),
            ended: None,
        }
    }

    pub(super) fn memory(&self) -> usize {
        self.memory
    }

    pub(super) fn ended(&self) -> Option<&'static str> {
        self.ended
    }

    /// Whether its files may be gone.
    pub(super) fn is_overrun(&self) -> bool {
        self.held.as_ref().is_some_and(|held| held.pin.is_overrun())
    }

    /// Lets go of everything.
    pub(super) fn end(&mut self, why: &'static str, returned: &mut Vec<Pool>) {
        self.ended.get_or_insert(why);
        self.held = None;
        self.memory = 0;
        self.metadata.clear();
        let gone = std::mem::take(&mut self.pools).into_values();
        returned.extend(gone.filter_map(|pool| Arc::into_inner(pool.gone?)));
    }

    /// Puts aside what a commit is about to change.
    pub(super) fn save(&mut self, state: &State, commit: &Commit) {
        if self.ended.is_some() {
            return;
        }
        for change in &commit.changes {
            if !self.scope.is_touched(change) {
                continue;
            }
            match change {
                Change::Dataset(change) => {
                    let id = &change.dataset;
                    self.save_identity(state, &id.pool, &id.identity);
                }
                Change::DatasetDeleted { dataset, .. } => {
                    self.save_identity(state, &dataset.pool, &dataset.identity);
                }
                Change::IdentityDeleted { pool, identity, .. }
                | Change::IdentityImported { pool, identity, .. } => {
                    self.save_identity(state, pool, identity);
                }
                Change::PoolDeleted { pool } | Change::PoolImported { pool, .. } => {
                    match self.scope {
                        Scope::Identity(_, identity) => self.save_identity(state, pool, &identity),
                        _ if self.has_left(pool) => {}
                        _ => {
                            self.pool_was(state, pool);
                        }
                    }
                }
                Change::MetadataPut { key, .. } | Change::MetadataDeleted { key } => {
                    self.save_metadata(state, key);
                }
                Change::Unknown => {}
            }
        }
    }

    fn save_identity(&mut self, state: &State, pool: &PoolId, identity: &IdentityId) {
        if self.at >= Some(At::Identities(*pool, Some(*identity))) {
            return;
        }
        let was = self.pool_was(state, pool);
        let known =
            was.modified.is_none() || was.gone.is_some() || was.identities.contains_key(identity);
        if known {
            return;
        }
        let found = state.identity(pool, identity).cloned();
        let datasets = found.as_ref().map_or(0, |found| found.datasets.len());
        was.identities.insert(*identity, found);
        self.memory += BESIDE_BYTES + DATASET_BYTES * datasets;
    }

    fn save_metadata(&mut self, state: &State, key: &MetadataKey) {
        if self.at >= Some(At::Metadata(key.clone())) || self.metadata.contains_key(key) {
            return;
        }
        let found = state.metadata.get(key).copied();
        self.metadata.insert(key.clone(), found);
        self.memory += BESIDE_BYTES + key.as_bytes().len();
    }

    fn pool_was(&mut self, state: &State, pool: &PoolId) -> &mut PoolWas {
        let memory = &mut self.memory;
        self.pools.entry(*pool).or_insert_with(|| {
            *memory += BESIDE_BYTES;
            PoolWas {
                modified: state.pools.get(pool).map(|pool| pool.modified),
                gone: None,
                identities: BTreeMap::new(),
            }
        })
    }

    /// Whether the walk is behind all of a pool.
    fn has_left(&self, pool: &PoolId) -> bool {
        match &self.at {
            None => false,
            Some(At::Identities(at, _)) => at > pool,
            Some(_) => true,
        }
    }

    /// Whether a pool that was just deleted has to be kept.
    pub(super) fn wants(&self, pool: &PoolId) -> bool {
        let whole = !matches!(self.scope, Scope::Identity(..));
        let was = self.pools.get(pool);
        let needed = was.is_some_and(|was| was.modified.is_some() && was.gone.is_none());
        whole && needed && self.ended.is_none() && !self.has_left(pool)
    }

    pub(super) fn keep(&mut self, pool: &PoolId, gone: &Arc<Pool>) {
        if let Some(was) = self.pools.get_mut(pool) {
            was.gone = Some(Arc::clone(gone));
        }
    }

    /// The next pieces, and what is not needed behind them.
    pub(super) fn slice(
        &mut self,
        state: &State,
        returned: &mut Vec<Pool>,
    ) -> Result<VecDeque<Piece>, Refusal> {
        if let Some(why) = self.ended {
            return Err(Refusal::ExportOverrun { why });
        }
        let mut pieces = VecDeque::new();
        while pieces.len() < EXPORT_SLICE && self.at != Some(At::End) {
            self.step(state, &mut pieces);
        }
        self.forget_passed(returned);
        Ok(pieces)
    }

    fn step(&mut self, state: &State, out: &mut VecDeque<Piece>) {
        let next = match (self.at.take(), self.scope) {
            (None, Scope::Identity(pool, identity)) => {
                out.extend(self.pieces_of(state, pool, identity));
                At::End
            }
            (Some(_), Scope::Identity(..)) => At::End,
            (None, Scope::Pool(pool)) => self.enter(state, pool, out),
            (None, Scope::All) => self.next_pool(state, None, out),
            (Some(At::Identities(pool, None)), _) => self.next_identity(state, pool, None, out),
            (Some(At::Identities(pool, Some(at))), _) => {
                self.next_identity(state, pool, Some(at), out)
            }
            (Some(At::IdentitiesEnd), Scope::All) => self.next_metadata(state, None, out),
            (Some(At::Metadata(key)), _) => self.next_metadata(state, Some(&key), out),
            (Some(At::IdentitiesEnd | At::End), _) => At::End,
        };
        self.at = Some(next);
    }

    fn next_pool(&self, state: &State, after: Option<PoolId>, out: &mut VecDeque<Piece>) -> At {
        let behind = (bound(after.as_ref()), Bound::Unbounded);
        let is = state.pools.range::<PoolId, _>(behind).next();
        let was = self.pools.range::<PoolId, _>(behind).next();
        match first(is.map(|(id, _)| *id), was.map(|(id, _)| *id)) {
            Some(pool) => self.enter(state, pool, out),
            None => At::IdentitiesEnd,
        }
    }

    fn enter(&self, state: &State, pool: PoolId, out: &mut VecDeque<Piece>) -> At {
        let modified = match self.pools.get(&pool) {
            Some(was) => was.modified,
            None => state.pools.get(&pool).map(|pool| pool.modified),
        };
        out.extend(modified.map(|modified| Piece::Pool { pool, modified }));
        At::Identities(pool, None)
    }

    fn next_identity(
        &self,
        state: &State,
        pool: PoolId,
        after: Option<IdentityId>,
        out: &mut VecDeque<Piece>,
    ) -> At {
        let was = self.pools.get(&pool);
        let existed = was.is_none_or(|was| was.modified.is_some());
        let behind = (bound(after.as_ref()), Bound::Unbounded);
        let saved = was.and_then(|was| was.identities.range::<IdentityId, _>(behind).next());
        let rest = self.identities(state, &pool);
        let kept = rest.and_then(|rest| rest.behind(after.as_ref()).next());
        match first(saved.map(|(id, _)| *id), kept.map(|(id, _)| *id)) {
            Some(identity) if existed => {
                out.extend(self.pieces_of(state, pool, identity));
                At::Identities(pool, Some(identity))
            }
            _ if self.scope == Scope::All => self.next_pool(state, Some(pool), out),
            _ => At::End,
        }
    }

    /// The identities of a pool but for those that changed.
    fn identities<'a>(&'a self, state: &'a State, pool: &PoolId) -> Option<&'a Identities> {
        let gone = self.pools.get(pool).and_then(|was| was.gone.as_ref());
        let found = gone.map_or_else(|| state.pools.get(pool), |gone| Some(gone));
        found.map(|pool| &pool.identities)
    }

    /// An identity as it was.
    pub(super) fn pieces_of(
        &self,
        state: &State,
        pool: PoolId,
        identity: IdentityId,
    ) -> VecDeque<Piece> {
        let was = self.pools.get(&pool);
        let saved = was.and_then(|was| was.identities.get(&identity));
        let existed = was.is_none_or(|was| was.modified.is_some());
        let found = match saved {
            Some(saved) => saved.as_ref(),
            None => self
                .identities(state, &pool)
                .and_then(|all| all.get(&identity)),
        };
        match found.filter(|_| existed) {
            Some(found) => pieces(state.base, pool, identity, found),
            None => VecDeque::new(),
        }
    }

    fn next_metadata(
        &self,
        state: &State,
        after: Option<&MetadataKey>,
        out: &mut VecDeque<Piece>,
    ) -> At {
        let behind = (bound(after), Bound::Unbounded);
        let is = state.metadata.range::<MetadataKey, _>(behind).next();
        let was = self.metadata.range::<MetadataKey, _>(behind).next();
        let Some(key) = first(is.map(|(key, _)| key), was.map(|(key, _)| key)) else {
            return At::End;
        };
        let place = match self.metadata.get(key) {
            Some(was) => *was,
            None => state.metadata.get(key).copied(),
        };
        let key = key.clone();
        out.extend(place.map(|place| Piece::Metadata {
            key: key.clone(),
            place,
        }));
        At::Metadata(key)
    }

    /// Lets go of what the walk came by.
    fn forget_passed(&mut self, returned: &mut Vec<Pool>) {
        while let Some(pool) = self.pools.first_entry()
            && match &self.at {
                None => false,
                Some(At::Identities(at, _)) => at > pool.key(),
                Some(_) => true,
            }
        {
            let was = pool.remove();
            let identities = was.identities.values().flatten();
            let datasets: usize = identities.map(|identity| identity.datasets.len()).sum();
            let count = 1 + was.identities.len();
            self.memory -= BESIDE_BYTES * count + DATASET_BYTES * datasets;
            returned.extend(was.gone.and_then(Arc::into_inner));
        }
        if let Some(At::Identities(pool, Some(at))) = &self.at
            && let Some(was) = self.pools.get_mut(pool)
        {
            while let Some(identity) = was.identities.first_entry()
                && identity.key() <= at
            {
                let datasets = identity.remove().map_or(0, |was| was.datasets.len());
                self.memory -= BESIDE_BYTES + DATASET_BYTES * datasets;
            }
        }
        while let Some(key) = self.metadata.first_entry()
            && self.at >= Some(At::Metadata(key.key().clone()))
        {
            self.memory -= BESIDE_BYTES + key.key().as_bytes().len();
            key.remove();
        }
    }
}

fn pieces(
    base: SyncCount,
    pool: PoolId,
    identity: IdentityId,
    found: &Identity,
) -> VecDeque<Piece> {
    let live = found.live().filter_map(|dataset| {
        let id = DatasetId {
            pool,
            identity,
            name: dataset.name.clone(),
        };
        let head = dataset.head()?;
        Some(Piece::Dataset { id, head })
    });
    let deleted = found
        .datasets
        .iter()
        .filter(|dataset| dataset.head().is_none())
        .map(|dataset| (dataset.name.clone(), dataset.sync_count().max(base)))
        .collect();
    let beside = Piece::Identity {
        pool,
        identity,
        modified: found.modified,
        floor: found.floor.max(base),
        deleted,
    };
    live.chain(std::iter::once(beside)).collect()
}

fn bound<T>(after: Option<&T>) -> Bound<&T> {
    after.map_or(Bound::Unbounded, Bound::Excluded)
}

/// The lesser of two that may be missing.
fn first<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
