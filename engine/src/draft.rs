//! What will be true once the present batch is durable: a small state that holds copies of what the
//! batch touches, changed by the same `apply` as the real one.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use foldhash::fast::RandomState;

use crate::commit::{Change, Commit};
use crate::page::Page;
use crate::proposal::{Proposal, Wish};
use crate::state::{Pool, State};
use crate::types::{DatasetId, IdentityId, Location, MetadataKey, PoolId};

/// The state after the batch so far.
pub(crate) struct Draft<'a> {
    durable: &'a State,
    state: State,
    /// Pages that the batch made, and may be asked for once more.
    pages: HashMap<DatasetId, Arc<Page>, RandomState>,
    /// What the batch took away, so that it is not copied once more.
    gone: Gone,
}

#[derive(Default)]
struct Gone {
    pools: HashSet<PoolId>,
    identities: HashSet<(PoolId, IdentityId)>,
    keys: HashSet<MetadataKey>,
}

impl<'a> Draft<'a> {
    pub(crate) fn new(durable: &'a State) -> Self {
        let state = State {
            sequence: durable.sequence,
            time: durable.time,
            base: durable.base,
            ..State::default()
        };
        Self {
            durable,
            state,
            pages: HashMap::default(),
            gone: Gone::default(),
        }
    }

    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    /// The page of a dataset if the batch made it.
    pub(crate) fn page(&self, dataset: &DatasetId) -> Option<&Arc<Page>> {
        self.pages.get(dataset)
    }

    /// Copies what a proposal touches.
    pub(crate) fn admit(&mut self, proposal: &Proposal) {
        for (key, _) in &proposal.expect {
            self.admit_key(key);
        }
        for wish in &proposal.wishes {
            match wish {
                Wish::Update { dataset, .. }
                | Wish::DeleteDataset { dataset, .. }
                | Wish::Rewrite { dataset }
                | Wish::Republish { dataset }
                | Wish::Import { dataset, .. } => {
                    self.admit_identity(dataset.pool, dataset.identity);
                }
                Wish::CopyDataset { from, to } => {
                    self.admit_identity(from.pool, from.identity);
                    self.admit_identity(to.pool, to.identity);
                }
                Wish::DeleteIdentity { pool, identity }
                | Wish::ImportIdentity { pool, identity, .. } => {
                    self.admit_identity(*pool, *identity);
                }
                Wish::DeletePool { pool } | Wish::ImportPool { pool, .. } => {
                    self.admit_pool(*pool);
                }
                Wish::PutMetadata { key, .. } | Wish::DeleteMetadata { key, .. } => {
                    self.admit_key(key);
                }
            }
        }
    }

    fn admit_key(&mut self, key: &MetadataKey) {
        if !self.state.metadata.contains_key(key)
            && !self.gone.keys.contains(key)
            && let Some(place) = self.durable.metadata.get(key)
        {
            self.state.metadata.insert(key.clone(), *place);
        }
    }

    fn admit_pool(&mut self, pool: PoolId) {
        if !self.state.pools.contains_key(&pool)
            && !self.gone.pools.contains(&pool)
            && let Some(found) = self.durable.pools.get(&pool)
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

    fn admit_identity(&mut self, pool: PoolId, identity: IdentityId) {
        self.admit_pool(pool);
        let Some(draft) = self.state.pools.get_mut(&pool) else {
            return;
        };
        if !draft.identities.contains_key(&identity)
            && !self.gone.pools.contains(&pool)
            && !self.gone.identities.contains(&(pool, identity))
            && let Some(found) = self.durable.identity(&pool, &identity)
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

    /// Takes the page that a staged commit made, for what else the batch does to its dataset.
    pub(crate) fn keep(&mut self, dataset: DatasetId, page: Arc<Page>) {
        self.pages.insert(dataset, page);
    }
}
