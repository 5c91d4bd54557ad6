//! What will be true once the batch that is being planned is durable: a small state that holds
//! copies of what the batch touches, changed by the same `apply` as the real one.
//!
//! While the batch before is being written, its draft lies between: what it holds is newer than
//! what is durable. Once it is durable both are the same, so it does not matter when exactly a
//! batch ceases to look there.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use foldhash::fast::RandomState;

use crate::commit::{Change, Commit};
use crate::page::Page;
use crate::proposal::{Proposal, Wish};
use crate::state::{Identity, Place, Pool, State};
use crate::types::{DatasetId, IdentityId, Location, MetadataKey, PoolId};

/// The state after the batch so far.
pub(crate) struct Draft {
    state: State,
    /// Pages that were made since submissions were last taken, and may be asked for once more.
    pages: HashMap<DatasetId, Arc<Page>, RandomState>,
    /// What the batch took away, so that it is not copied once more.
    gone: Gone,
}

/// What a draft copies from.
#[derive(Clone, Copy)]
pub(crate) struct Below<'a> {
    pub(crate) durable: &'a State,
    /// The draft of the batch that is being written.
    pub(crate) written: Option<&'a Draft>,
}

#[derive(Default)]
struct Gone {
    pools: HashSet<PoolId>,
    identities: HashSet<(PoolId, IdentityId)>,
    keys: HashSet<MetadataKey>,
}

impl Below<'_> {
    /// What is found in the draft, or where that neither has it nor took it away, in what is
    /// durable.
    fn newest<'a, T>(
        &'a self,
        find: impl Fn(&'a State) -> Option<&'a T>,
        is_gone: impl Fn(&Gone) -> bool,
    ) -> Option<&'a T> {
        if let Some(Draft { state, gone, .. }) = self.written {
            let found = find(state);
            if found.is_some() || is_gone(gone) {
                return found;
            }
        }
        find(self.durable)
    }

    fn key(&self, key: &MetadataKey) -> Option<&Place> {
        self.newest(
            |state| state.metadata.get(key),
            |gone| gone.keys.contains(key),
        )
    }

    fn pool(&self, pool: &PoolId) -> Option<&Pool> {
        self.newest(
            |state| state.pools.get(pool),
            |gone| gone.pools.contains(pool),
        )
    }

    fn identity(&self, pool: PoolId, identity: IdentityId) -> Option<&Identity> {
        self.newest(
            |state| state.identity(&pool, &identity),
            |gone| gone.pools.contains(&pool) || gone.identities.contains(&(pool, identity)),
        )
    }
}

impl Draft {
    /// Of a batch behind this state.
    pub(crate) fn behind(state: &State) -> Self {
        let state = State {
            sequence: state.sequence,
            time: state.time,
            base: state.base,
            ..State::default()
        };
        Self {
            state,
            pages: HashMap::default(),
            gone: Gone::default(),
        }
    }

    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    /// The page of a dataset, if it was made since submissions were last taken.
    pub(crate) fn page(&self, dataset: &DatasetId) -> Option<&Arc<Page>> {
        self.pages.get(dataset)
    }

    /// Copies what a proposal touches.
    pub(crate) fn admit(&mut self, proposal: &Proposal, below: Below<'_>) {
        for (key, _) in &proposal.expect {
            self.admit_key(key, below);
        }
        for wish in &proposal.wishes {
            match wish {
                Wish::Update { dataset, .. }
                | Wish::DeleteDataset { dataset, .. }
                | Wish::Rewrite { dataset }
                | Wish::Republish { dataset }
                | Wish::Import { dataset, .. } => {
                    self.admit_identity(dataset.pool, dataset.identity, below);
                }
                Wish::CopyDataset { from, to } => {
                    self.admit_identity(from.pool, from.identity, below);
                    self.admit_identity(to.pool, to.identity, below);
                }
                Wish::DeleteIdentity { pool, identity }
                | Wish::ImportIdentity { pool, identity, .. } => {
                    self.admit_identity(*pool, *identity, below);
                }
                Wish::DeletePool { pool } | Wish::ImportPool { pool, .. } => {
                    self.admit_pool(*pool, below);
                }
                Wish::PutMetadata { key, .. } | Wish::DeleteMetadata { key, .. } => {
                    self.admit_key(key, below);
                }
            }
        }
    }

    fn admit_key(&mut self, key: &MetadataKey, below: Below<'_>) {
        if !self.state.metadata.contains_key(key)
            && !self.gone.keys.contains(key)
            && let Some(place) = below.key(key)
        {
            self.state.metadata.insert(key.clone(), *place);
        }
    }

    fn admit_pool(&mut self, pool: PoolId, below: Below<'_>) {
        if !self.state.pools.contains_key(&pool)
            && !self.gone.pools.contains(&pool)
            && let Some(found) = below.pool(&pool)
        {
            let copy = Pool {
                bytes: found.bytes,
                datasets: found.datasets,
                modified: found.modified,
                ..Pool::default()
            };
            self.state.pools.insert(pool, copy);
        }
    }

    fn admit_identity(&mut self, pool: PoolId, identity: IdentityId, below: Below<'_>) {
        self.admit_pool(pool, below);
        let Some(draft) = self.state.pools.get_mut(&pool) else {
            return;
        };
        if !draft.identities.contains(&identity)
            && !self.gone.pools.contains(&pool)
            && !self.gone.identities.contains(&(pool, identity))
            && let Some(found) = below.identity(pool, identity)
        {
            draft.identities.insert(identity, found.clone());
        }
    }

    /// Takes a commit that was staged.
    pub(crate) fn apply(&mut self, commit: &Commit, locations: &[Location]) {
        self.state.apply(commit, locations);
        for change in &commit.changes {
            match change {
                Change::PoolDeleted { pool } => {
                    self.gone.pools.insert(*pool);
                }
                Change::IdentityDeleted { pool, identity, .. } => {
                    self.gone.identities.insert((*pool, *identity));
                }
                Change::MetadataDeleted { key } => {
                    self.gone.keys.insert(key.clone());
                }
                _ => {}
            }
        }
    }

    /// Takes the page that a staged commit made, for what else was taken with it.
    pub(crate) fn keep(&mut self, dataset: DatasetId, page: Arc<Page>) {
        self.pages.insert(dataset, page);
    }

    /// Forgets the pages: from now on submissions bring them.
    pub(crate) fn forget_pages(&mut self) {
        self.pages.clear();
    }
}
