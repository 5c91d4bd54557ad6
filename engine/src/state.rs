//! The directory: every pool, identity, dataset and metadata key, with exact usage and the place of
//! its newest bytes; and `apply`, which believes commits.
//!
//! The state knows nothing of files or threads. Values and records are not in it. Invariants: the
//! bytes of an identity are the sum over its datasets, bytes and datasets of a pool the sum over
//! its identities; a dataset has a head exactly if it exists.

use std::collections::BTreeMap;

use crate::commit::{Cause, Change, Commit, DatasetChange};
use crate::limits::DELETED_NAMES_MAX;
use crate::types::{
    DatasetId, DatasetName, IdentityId, Location, MetadataKey, PoolId, Sequence, SyncCount,
    Timestamp,
};

/// Everything that is true after the commit with `sequence`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) sequence: Sequence,
    pub(crate) time: Timestamp,
    pub(crate) pools: BTreeMap<PoolId, Pool>,
    pub(crate) metadata: BTreeMap<MetadataKey, Place>,
}

/// A pool and its identities.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Pool {
    pub(crate) bytes: u64,
    /// Datasets that exist.
    pub(crate) datasets: u64,
    pub(crate) modified: Timestamp,
    pub(crate) identities: BTreeMap<IdentityId, Identity>,
}

/// An identity and its datasets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) bytes: u64,
    pub(crate) modified: Timestamp,
    /// The highest count of a deleted dataset whose name is forgotten: an unknown name behaves as
    /// one that was deleted at this count.
    pub(crate) floor: SyncCount,
    /// Ordered by name.
    pub(crate) datasets: Vec<Dataset>,
}

/// A dataset, existing or deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dataset {
    pub(crate) name: DatasetName,
    pub(crate) sync_count: SyncCount,
    pub(crate) floor: SyncCount,
    pub(crate) bytes: u32,
    pub(crate) live: u32,
    /// The newest frame; `None`: the dataset is deleted.
    pub(crate) head: Option<Location>,
}

/// Where a metadata value lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) version: Sequence,
    pub(crate) location: Location,
}

/// What is known of a dataset by name, also if nothing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) sync_count: SyncCount,
    pub(crate) floor: SyncCount,
    pub(crate) location: Option<Location>,
}

impl Identity {
    pub(crate) fn dataset(&self, name: &DatasetName) -> Option<&Dataset> {
        self.find(name).ok().map(|at| &self.datasets[at])
    }

    fn find(&self, name: &DatasetName) -> Result<usize, usize> {
        self.datasets
            .binary_search_by(|dataset| dataset.name.cmp(name))
    }

    /// Datasets that exist.
    pub(crate) fn live(&self) -> impl Iterator<Item = &Dataset> {
        self.datasets
            .iter()
            .filter(|dataset| dataset.head.is_some())
    }

    fn forget_oldest_deleted(&mut self) {
        let deleted = || {
            self.datasets
                .iter()
                .filter(|dataset| dataset.head.is_none())
        };
        if deleted().count() <= DELETED_NAMES_MAX {
            return;
        }
        // The lowest count stands for the oldest: names with equal counts fold together, since the
        // floor could not tell them apart.
        let lowest = deleted()
            .map(|dataset| dataset.sync_count)
            .min()
            .expect("there are some");
        self.floor = self.floor.max(lowest);
        self.datasets
            .retain(|dataset| dataset.head.is_some() || dataset.sync_count > lowest);
    }
}

impl State {
    pub(crate) fn identity(&self, pool: &PoolId, identity: &IdentityId) -> Option<&Identity> {
        self.pools.get(pool)?.identities.get(identity)
    }

    /// What holds for a name: that of an unknown one is the floor of its identity.
    pub(crate) fn head(&self, dataset: &DatasetId) -> Head {
        let identity = self.identity(&dataset.pool, &dataset.identity);
        let floor = identity.map_or(SyncCount::ZERO, |identity| identity.floor);
        match identity.and_then(|identity| identity.dataset(&dataset.name)) {
            Some(found) => Head {
                sync_count: found.sync_count,
                floor: found.floor,
                location: found.head,
            },
            None => Head {
                sync_count: floor,
                floor,
                location: None,
            },
        }
    }

    /// Makes a commit true. `locations` says where each of its changes lies.
    ///
    /// # Panics
    /// If the commit is not the next one: then the log was read out of order, which is a bug.
    pub(crate) fn apply(&mut self, commit: &Commit, locations: &[Location]) {
        assert_eq!(
            commit.sequence,
            self.sequence.next(),
            "commits are applied in order"
        );
        assert_eq!(
            commit.changes.len(),
            locations.len(),
            "every change lies somewhere"
        );
        self.sequence = commit.sequence;
        self.time = self.time.max(commit.time);
        for (change, &location) in commit.changes.iter().zip(locations) {
            self.apply_change(change, location, commit.time);
        }
    }

    fn apply_change(&mut self, change: &Change, location: Location, time: Timestamp) {
        match change {
            Change::Dataset(change) => self.apply_dataset(change, location, time),
            Change::DatasetDeleted {
                dataset,
                sync_count,
                ..
            } => {
                self.apply_dataset_deleted(dataset, *sync_count, time);
            }
            Change::IdentityDeleted { pool, identity, .. } => {
                if let Some(pool) = self.pools.get_mut(pool) {
                    if let Some(identity) = pool.identities.remove(identity) {
                        pool.bytes -= identity.bytes;
                        pool.datasets -= identity.live().count() as u64;
                    }
                    pool.modified = time;
                }
            }
            Change::PoolDeleted { pool } => {
                self.pools.remove(pool);
            }
            Change::MetadataPut { key, .. } => {
                let place = Place {
                    version: self.sequence,
                    location,
                };
                self.metadata.insert(key.clone(), place);
            }
            Change::MetadataDeleted { key } => {
                self.metadata.remove(key);
            }
            Change::Unknown => {}
        }
    }

    fn apply_dataset(&mut self, change: &DatasetChange, location: Location, time: Timestamp) {
        let facts = &change.facts;
        let moved_on = || {
            let head = self.head(&change.dataset);
            head.location.is_none() || head.sync_count != facts.sync_count
        };
        if change.cause != Cause::Update && moved_on() {
            // An image of what has moved on meanwhile is of no use.
            return;
        }
        let pool = self.pools.entry(change.dataset.pool).or_default();
        let identity = pool.identities.entry(change.dataset.identity).or_default();
        if change.cause == Cause::Update {
            pool.modified = time;
            identity.modified = time;
        }
        let at = identity.find(&change.dataset.name);
        let old_bytes = at.map_or(0, |at| identity.datasets[at].bytes);
        let existed = at.is_ok_and(|at| identity.datasets[at].head.is_some());
        pool.datasets += u64::from(!existed);
        identity.bytes = identity.bytes - u64::from(old_bytes) + u64::from(facts.bytes);
        pool.bytes = pool.bytes - u64::from(old_bytes) + u64::from(facts.bytes);
        let dataset = Dataset {
            // The name that is there already, so that the commit's own can go.
            name: at.map_or_else(
                |_| change.dataset.name.clone(),
                |at| identity.datasets[at].name.clone(),
            ),
            sync_count: facts.sync_count,
            floor: facts.floor,
            bytes: facts.bytes,
            live: facts.live,
            head: Some(location),
        };
        match at {
            Ok(at) => identity.datasets[at] = dataset,
            Err(at) => {
                identity.datasets.reserve_exact(1);
                identity.datasets.insert(at, dataset);
            }
        }
    }

    fn apply_dataset_deleted(&mut self, id: &DatasetId, sync_count: SyncCount, time: Timestamp) {
        let Some(pool) = self.pools.get_mut(&id.pool) else {
            return;
        };
        let Some(identity) = pool.identities.get_mut(&id.identity) else {
            return;
        };
        let Ok(at) = identity.find(&id.name) else {
            return;
        };
        let dataset = &mut identity.datasets[at];
        let bytes = u64::from(dataset.bytes);
        pool.datasets -= u64::from(dataset.head.is_some());
        dataset.sync_count = sync_count;
        dataset.floor = sync_count;
        dataset.bytes = 0;
        dataset.live = 0;
        dataset.head = None;
        identity.bytes -= bytes;
        identity.modified = time;
        identity.forget_oldest_deleted();
        pool.bytes -= bytes;
        pool.modified = time;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directory_takes_what_the_architecture_says() {
        assert_eq!(size_of::<Dataset>(), 56);
        assert_eq!(size_of::<Identity>() + size_of::<IdentityId>(), 104);
        assert_eq!(size_of::<Place>() + size_of::<MetadataKey>(), 40);
    }
}
