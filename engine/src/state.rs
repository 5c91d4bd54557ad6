//! The directory: every pool, identity, dataset and metadata key, with exact usage and the place of
//! its newest bytes.
//!
//! The state knows nothing of files or threads. Values and records are not in it. Invariants: the
//! bytes of an identity are the sum over its datasets, bytes and datasets of a pool the sum over
//! its identities; a dataset has a head exactly if it exists; `live` is the sum over the images and
//! metadata values in cold segments.

use std::collections::{BTreeMap, HashMap};

use smallvec::SmallVec;

use crate::commit::Gap;
use crate::limits::DELETED_NAMES_MAX;
use crate::types::{
    DatasetId, DatasetName, Extent, IdentityId, Location, MetadataKey, PackedLocation, PoolId,
    Sequence, SyncCount, Timestamp,
};

mod apply;
mod at;
mod identities;
mod moves;

pub(crate) use at::At;
pub(crate) use identities::Identities;
pub(crate) use moves::{Move, Target};

/// Everything that is true after the commit with `sequence`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) sequence: Sequence,
    pub(crate) time: Timestamp,
    /// No dataset's next count is below this: the store was restored, and counts up to this one
    /// may have been issued by what was lost.
    pub(crate) base: SyncCount,
    pub(crate) pools: BTreeMap<PoolId, Pool>,
    pub(crate) metadata: BTreeMap<MetadataKey, Place>,
    /// Bytes in each cold segment that something names.
    pub(crate) live: HashMap<u32, i64>,
    /// What was deleted and still lies in files somewhere.
    pub(crate) deleted: Option<Deleted>,
    /// Deleted pools whose images still count as live: taking them apart takes its time.
    pub(crate) fallen: Vec<Pool>,
}

/// Deletions whose bytes were not swept out yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Deleted {
    /// When the first of them was committed.
    pub(crate) since: Timestamp,
    /// The commit of the last one.
    pub(crate) last: Sequence,
}

/// A pool and its identities.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Pool {
    pub(crate) bytes: u64,
    /// Datasets that exist.
    pub(crate) datasets: u64,
    pub(crate) modified: Timestamp,
    pub(crate) identities: Identities,
}

/// Sums over everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) pools: u64,
    pub(crate) identities: u64,
    /// Datasets that exist.
    pub(crate) datasets: u64,
    /// Bytes of keys and values of all records.
    pub(crate) bytes: u64,
    /// Metadata keys that have a value.
    pub(crate) metadata: u64,
}

/// An identity and its datasets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) bytes: u64,
    pub(crate) modified: Timestamp,
    /// The highest count of a deleted dataset whose name is forgotten: an unknown name behaves as
    /// one that was deleted at this count.
    pub(crate) floor: SyncCount,
    /// Ordered by name. Most identities have one, which then lies beside them.
    pub(crate) datasets: Datasets,
}

/// Datasets of an identity.
pub(crate) type Datasets = SmallVec<[Dataset; 1]>;

/// A dataset, existing or deleted, in few bytes.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Dataset {
    pub(crate) name: DatasetName,
    bytes: u32,
    image_bytes: u32,
    sync_count: [u8; 6],
    floor: [u8; 6],
    head: PackedLocation,
    image: PackedLocation,
    live: u16,
}

/// What the directory knows of a dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Known {
    pub(crate) sync_count: SyncCount,
    pub(crate) floor: SyncCount,
    pub(crate) bytes: u32,
    pub(crate) live: u32,
    /// The newest frame; `None`: the dataset is deleted.
    pub(crate) head: Option<Location>,
    /// The frame at which a walk from the head ends.
    pub(crate) image: Option<Extent>,
}

/// Where a metadata value lies.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) version: Sequence,
    bytes: u32,
    location: PackedLocation,
}

/// What is known of a dataset by name, also if nothing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) sync_count: SyncCount,
    pub(crate) floor: SyncCount,
    /// Counts of a deleted dataset that were issued and lost.
    pub(crate) gap: Option<Gap>,
    pub(crate) location: Option<Location>,
}

impl Dataset {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "records are at most 65,000"
    )]
    pub(crate) fn new(name: DatasetName, known: &Known) -> Self {
        Self {
            name,
            bytes: known.bytes,
            image_bytes: known.image.map_or(0, |image| image.bytes),
            sync_count: six(known.sync_count),
            floor: six(known.floor),
            head: known.head.into(),
            image: known.image.map(|image| image.location).into(),
            live: known.live as u16,
        }
    }

    pub(crate) fn known(&self) -> Known {
        let image = self.image.get().map(|location| Extent {
            location,
            bytes: self.image_bytes,
        });
        Known {
            sync_count: count(self.sync_count),
            floor: count(self.floor),
            bytes: self.bytes,
            live: u32::from(self.live),
            head: self.head.get(),
            image,
        }
    }

    pub(crate) fn sync_count(&self) -> SyncCount {
        count(self.sync_count)
    }

    /// The newest frame; `None`: the dataset is deleted.
    pub(crate) fn head(&self) -> Option<Location> {
        self.head.get()
    }

    fn set(&mut self, known: &Known) {
        let name = self.name.clone();
        *self = Self::new(name, known);
    }
}

impl std::fmt::Debug for Dataset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?}", self.name, self.known())
    }
}

fn six(sync_count: SyncCount) -> [u8; 6] {
    let [a, b, c, d, e, f, ..] = sync_count.get().to_le_bytes();
    [a, b, c, d, e, f]
}

fn count([a, b, c, d, e, f]: [u8; 6]) -> SyncCount {
    SyncCount::believed(u64::from_le_bytes([a, b, c, d, e, f, 0, 0]))
}

impl Place {
    pub(crate) fn new(version: Sequence, extent: Extent) -> Self {
        Self {
            version,
            bytes: extent.bytes,
            location: Some(extent.location).into(),
        }
    }

    pub(crate) fn extent(&self) -> Extent {
        Extent {
            location: self.location(),
            bytes: self.bytes,
        }
    }

    pub(crate) fn location(&self) -> Location {
        self.location.get().expect("a place is made with one")
    }
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at {:?}", self.version, self.extent())
    }
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
            .filter(|dataset| dataset.head().is_some())
    }

    /// Remembers names as deleted at these counts; those that exist stay as they are.
    fn remember_deleted(&mut self, deleted: &[(DatasetName, SyncCount)]) {
        for (name, sync_count) in deleted {
            let gone = |known: SyncCount| Known {
                sync_count: known.max(*sync_count),
                floor: known.max(*sync_count),
                ..Known::default()
            };
            match self.find(name) {
                Ok(at) if self.datasets[at].head().is_some() => {}
                Ok(at) => {
                    let known = gone(self.datasets[at].sync_count());
                    self.datasets[at].set(&known);
                }
                Err(at) => {
                    let dataset = Dataset::new(name.clone(), &gone(SyncCount::ZERO));
                    self.datasets.insert(at, dataset);
                }
            }
        }
        while self.datasets.len() - self.live().count() > DELETED_NAMES_MAX {
            self.forget_oldest_deleted();
        }
    }

    fn forget_oldest_deleted(&mut self) {
        let deleted = || {
            self.datasets
                .iter()
                .filter(|dataset| dataset.head().is_none())
        };
        if deleted().count() <= DELETED_NAMES_MAX {
            return;
        }
        // The lowest count stands for the oldest: names with equal counts fold together, since the
        // floor could not tell them apart.
        let lowest = deleted()
            .map(Dataset::sync_count)
            .min()
            .expect("there are some");
        self.floor = self.floor.max(lowest);
        self.datasets
            .retain(|dataset| dataset.head().is_some() || dataset.sync_count() > lowest);
    }
}

impl State {
    /// Takes as long as there are pools.
    pub(crate) fn totals(&self) -> Totals {
        let pools = || self.pools.values();
        Totals {
            pools: self.pools.len() as u64,
            identities: pools().map(|pool| pool.identities.len() as u64).sum(),
            datasets: pools().map(|pool| pool.datasets).sum(),
            bytes: pools().map(|pool| pool.bytes).sum(),
            metadata: self.metadata.len() as u64,
        }
    }

    pub(crate) fn identity(&self, pool: &PoolId, identity: &IdentityId) -> Option<&Identity> {
        self.pools.get(pool)?.identities.get(identity)
    }

    /// All identities, in order.
    pub(crate) fn identities(&self) -> impl Iterator<Item = &Identity> {
        let pools = self.pools.values();
        pools.flat_map(|pool| pool.identities.iter().map(|(_, identity)| identity))
    }

    /// What the directory knows of a dataset by its name, if it knows the name.
    pub(crate) fn known(&self, dataset: &DatasetId) -> Option<Known> {
        let identity = self.identity(&dataset.pool, &dataset.identity)?;
        identity.dataset(&dataset.name).map(Dataset::known)
    }

    /// What holds for a name: that of an unknown one is the floor of its identity.
    pub(crate) fn head(&self, dataset: &DatasetId) -> Head {
        let identity = self.identity(&dataset.pool, &dataset.identity);
        let floor = identity.map_or(SyncCount::ZERO, |identity| identity.floor);
        match identity.and_then(|identity| identity.dataset(&dataset.name)) {
            Some(found) => {
                let Known {
                    sync_count,
                    floor,
                    head,
                    ..
                } = found.known();
                // What a deleted dataset became in what was lost is deleted, too. Of one that
                // exists its page knows more.
                let lost = head.is_none() && sync_count < self.base;
                Head {
                    sync_count: sync_count.max(self.base),
                    floor,
                    gap: lost.then_some(Gap {
                        from: sync_count,
                        to: self.base,
                    }),
                    location: head,
                }
            }
            None => Head {
                sync_count: floor.max(self.base),
                floor: floor.max(self.base),
                gap: None,
                location: None,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directory_takes_what_the_architecture_says() {
        assert_eq!(size_of::<Dataset>(), 72);
        assert_eq!(size_of::<Identity>() + size_of::<IdentityId>(), 168);
        assert_eq!(size_of::<Place>() + size_of::<MetadataKey>(), 40);
    }
}
