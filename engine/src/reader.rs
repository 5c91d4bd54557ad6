//! Reading: what is durable, at one consistent moment per call.

use std::ops::Bound;
use std::sync::Arc;

mod each;
mod heads;
mod imported;

pub use heads::DatasetHead;

use crate::error::{Error, Refusal};
use crate::limits::PAGE_ITEMS_MAX;
use crate::page::Page;
use crate::plan::info;
use crate::proposal::DatasetInfo;
use crate::record::RecordRef;
use crate::records::Records;
use crate::state::{Identity, Place, Pool};
use crate::store::{Disk, Store};
use crate::types::{
    DatasetId, DatasetName, IdentityId, MetadataKey, MetadataValue, PoolId, RecordKey, Sequence,
    SyncCount, Text, Timestamp,
};

/// What an identity has stored.
#[doc = include_str!("examples/reader/identity_usage.md")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityUsage {
    /// The identity.
    pub identity: IdentityId,
    /// Datasets that exist.
    pub datasets: u64,
    /// Bytes of keys and values of all its records.
    pub bytes: u64,
    /// When one of its datasets was last written or deleted.
    pub modified: Timestamp,
}

/// What a pool has stored.
#[doc = include_str!("examples/reader/pool_usage.md")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolUsage {
    /// The pool.
    pub pool: PoolId,
    /// Identities that ever had a dataset and were not deleted.
    pub identities: u64,
    /// Bytes of keys and values of all its records.
    pub bytes: u64,
    /// When one of its datasets was last written or deleted, or an identity deleted.
    pub modified: Timestamp,
}

/// A metadata value.
#[doc = include_str!("examples/reader/metadata_value.md")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// Its key.
    pub key: MetadataKey,
    /// The commit that put it.
    pub version: Sequence,
    /// The value.
    pub value: MetadataValue,
}

/// Which records to list. Records are ordered by sync count, then key.
#[doc = include_str!("examples/reader/listing.md")]
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// Only records with a higher count; zero lists everything.
    pub since: SyncCount,
    /// Only records behind this one: [`Listed::next`] of the page before.
    pub after: Option<(SyncCount, RecordKey)>,
    /// Only records with a count up to this: [`Listed::snapshot`] of the first page, so that all
    /// pages together show the dataset at that count.
    pub snapshot: Option<SyncCount>,
    /// At most so many; 0 means all.
    pub limit: usize,
}

/// A page of a listing.
#[doc = include_str!("examples/reader/listed.md")]
#[derive(Clone, Debug)]
pub struct Listed {
    /// The dataset, or `None` if it does not exist now.
    pub dataset: Option<DatasetInfo>,
    /// The counter, which survives deletion; zero if there never was such a dataset.
    pub sync_count: SyncCount,
    /// Up to which count this page and those behind it list.
    pub snapshot: SyncCount,
    /// The dataset was deleted after `since`, or removals after it are forgotten: the listing
    /// holds everything that there is, and what else the caller has is gone.
    pub deleted_since: bool,
    /// Where the next page begins; `None` means that this is the last.
    pub next: Option<(SyncCount, RecordKey)>,
    records: Records,
}

impl Listed {
    /// The records and tombstones of this page, without a copy.
    #[doc = include_str!("examples/reader/records.md")]
    pub fn records(&self) -> impl ExactSizeIterator<Item = RecordRef<'_>> {
        self.records.iter()
    }
}

/// A view for reading; see [`Engine::reader`](crate::Engine::reader) and
/// [`Engine::resident_reader`](crate::Engine::resident_reader).
#[doc = include_str!("examples/reader/reader.md")]
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    pub(crate) store: &'a Store,
    pub(crate) disk: Disk,
}

impl Reader<'_> {
    /// Lists the records of a dataset that are newer than a count.
    #[doc = include_str!("examples/reader/list.md")]
    /// # Errors
    /// [`Refusal::NoSuchSyncCount`] if a dataset that was ever written has not reached
    /// [`Listing::since`]; faults of reading.
    pub fn list(&self, dataset: &DatasetId, listing: &Listing) -> Result<Listed, Error> {
        let page = self.store.page(dataset, self.disk)?;
        let facts = page.facts();
        // A dataset that never was is listed as missing whatever the count, so that a client that
        // knows one can recover.
        let never = facts.sync_count == SyncCount::ZERO;
        if listing.since > facts.sync_count && !never {
            return Err(Refusal::NoSuchSyncCount(listing.since).into());
        }
        let deleted_since = listing.since > SyncCount::ZERO
            && (listing.since < facts.floor || facts.lost(listing.since));
        let since = if deleted_since {
            SyncCount::ZERO
        } else {
            listing.since
        };
        let snapshot = listing
            .snapshot
            .unwrap_or(facts.sync_count)
            .min(facts.sync_count);
        let start = match &listing.after {
            Some((sync_count, key)) => {
                let last = ((*sync_count).max(since), Text::from(key.as_str()));
                page.partition(|record| (record.sync_count, record.key) <= last)
                    .max(page.after(since))
            }
            None => page.after(since),
        };
        let end = page.after(snapshot).max(start);
        let stop = if listing.limit == 0 {
            end
        } else {
            end.min(start.saturating_add(listing.limit))
        };
        let next = (stop < end).then(|| {
            let last = page.at(stop - 1);
            (last.sync_count, RecordKey::believed(last.key.as_str()))
        });
        Ok(Listed {
            dataset: exists(&dataset.name, &page),
            sync_count: facts.sync_count,
            snapshot,
            deleted_since,
            next,
            records: page.slice(start, stop),
        })
    }

    /// Describes a dataset; `None` if it does not exist.
    #[doc = include_str!("examples/reader/dataset.md")]
    /// # Errors
    /// Faults of reading.
    pub fn dataset(&self, dataset: &DatasetId) -> Result<Option<DatasetInfo>, Error> {
        let Some(location) = self.store.state().head(dataset).location else {
            return Ok(None);
        };
        let page = self.store.page_at(dataset, location, self.disk)?;
        Ok(exists(&dataset.name, &page))
    }

    /// Datasets of an identity that exist, ordered by name, behind `after`, at most `limit` (at
    /// most 10,000).
    #[doc = include_str!("examples/reader/datasets.md")]
    /// # Errors
    /// Faults of reading.
    pub fn datasets(
        &self,
        pool: &PoolId,
        identity: &IdentityId,
        after: Option<&DatasetName>,
        limit: usize,
    ) -> Result<Vec<DatasetInfo>, Error> {
        let found: Vec<_> = {
            let state = self.store.state();
            let identity = state.identity(pool, identity);
            let live = identity.into_iter().flat_map(Identity::live);
            live.filter(|dataset| after.is_none_or(|after| dataset.name > *after))
                .take(limit.min(PAGE_ITEMS_MAX))
                .filter_map(|dataset| Some((dataset.name.clone(), dataset.head()?)))
                .collect()
        };
        found
            .into_iter()
            .map(|(name, location)| {
                let dataset = DatasetId {
                    pool: *pool,
                    identity: *identity,
                    name,
                };
                let page = self.store.page_at(&dataset, location, self.disk)?;
                Ok(info(&dataset.name, page.facts()))
            })
            .collect()
    }

    /// What an identity has stored; `None` if nothing was ever written for it.
    #[doc = include_str!("examples/reader/identity.md")]
    #[must_use]
    pub fn identity(&self, pool: &PoolId, identity: &IdentityId) -> Option<IdentityUsage> {
        self.store
            .state()
            .identity(pool, identity)
            .map(|found| identity_usage(identity, found))
    }

    /// Identities of a pool in order, behind `after`, at most `limit` (at most 10,000).
    #[doc = include_str!("examples/reader/identities.md")]
    #[must_use]
    pub fn identities(
        &self,
        pool: &PoolId,
        after: Option<&IdentityId>,
        limit: usize,
    ) -> Vec<IdentityUsage> {
        let state = self.store.state();
        let Some(pool) = state.pools.get(pool) else {
            return Vec::new();
        };
        pool.identities
            .behind(after)
            .take(limit.min(PAGE_ITEMS_MAX))
            .map(|(id, found)| identity_usage(id, found))
            .collect()
    }

    /// What a pool has stored; `None` if nothing was ever written for it.
    #[doc = include_str!("examples/reader/pool.md")]
    #[must_use]
    pub fn pool(&self, pool: &PoolId) -> Option<PoolUsage> {
        self.store
            .state()
            .pools
            .get(pool)
            .map(|found| pool_usage(pool, found))
    }

    /// Pools in order, behind `after`, at most `limit` (at most 10,000).
    #[doc = include_str!("examples/reader/pools.md")]
    #[must_use]
    pub fn pools(&self, after: Option<&PoolId>, limit: usize) -> Vec<PoolUsage> {
        let range = (
            after.map_or(Bound::Unbounded, Bound::Excluded),
            Bound::Unbounded,
        );
        let state = self.store.state();
        let found = state.pools.range::<PoolId, _>(range);
        found
            .take(limit.min(PAGE_ITEMS_MAX))
            .map(|(id, found)| pool_usage(id, found))
            .collect()
    }

    /// The value of a metadata key.
    #[doc = include_str!("examples/reader/metadata.md")]
    /// # Errors
    /// Faults of reading.
    pub fn metadata(&self, key: &MetadataKey) -> Result<Option<Metadata>, Error> {
        let Some(place) = self.store.state().metadata.get(key).copied() else {
            return Ok(None);
        };
        self.value(key.clone(), place)
    }

    /// The version of a metadata key, `None` if it has no value. Never reads the disk.
    #[doc = include_str!("examples/reader/metadata_version.md")]
    #[must_use]
    pub fn metadata_version(&self, key: &MetadataKey) -> Option<Sequence> {
        self.store
            .state()
            .metadata
            .get(key)
            .map(|place| place.version)
    }

    /// Metadata whose key begins with `prefix`, ordered by key, behind `after`, at most `limit` (at
    /// most 10,000).
    #[doc = include_str!("examples/reader/scan.md")]
    /// # Errors
    /// Faults of reading.
    pub fn scan(
        &self,
        prefix: &[u8],
        after: Option<&MetadataKey>,
        limit: usize,
    ) -> Result<Vec<Metadata>, Error> {
        let places = self.places(prefix, after, limit);
        places
            .into_iter()
            .filter_map(|(key, place)| self.value(key, place).transpose())
            .collect()
    }

    /// Like [`Reader::scan`], without the values. Never reads the disk.
    #[doc = include_str!("examples/reader/scan_keys.md")]
    #[must_use]
    pub fn scan_keys(
        &self,
        prefix: &[u8],
        after: Option<&MetadataKey>,
        limit: usize,
    ) -> Vec<(MetadataKey, Sequence)> {
        let places = self.places(prefix, after, limit);
        places
            .into_iter()
            .map(|(key, place)| (key, place.version))
            .collect()
    }

    fn places(
        &self,
        prefix: &[u8],
        after: Option<&MetadataKey>,
        limit: usize,
    ) -> Vec<(MetadataKey, Place)> {
        let from = match after {
            Some(after) if after.as_bytes() >= prefix => Bound::Excluded(after.as_bytes()),
            _ => Bound::Included(prefix),
        };
        let state = self.store.state();
        state
            .metadata
            .range::<[u8], _>((from, Bound::Unbounded))
            .take_while(|(key, _)| key.as_bytes().starts_with(prefix))
            .take(limit.min(PAGE_ITEMS_MAX))
            .map(|(key, place)| (key.clone(), *place))
            .collect()
    }

    /// The value at a place; `None` if it was deleted since the directory was looked up.
    fn value(&self, key: MetadataKey, mut place: Place) -> Result<Option<Metadata>, Error> {
        loop {
            let error = match self.store.value(&key, place.location(), self.disk) {
                Ok(value) => {
                    let version = place.version;
                    return Ok(Some(Metadata {
                        key,
                        version,
                        value,
                    }));
                }
                Err(error) => error,
            };
            // It may have moved, and its old place be gone, since the directory was looked up.
            match self.store.state().metadata.get(&key) {
                Some(now) if *now == place => return Err(error),
                Some(now) => place = *now,
                None => return Ok(None),
            }
        }
    }
}

fn exists(name: &DatasetName, page: &Arc<Page>) -> Option<DatasetInfo> {
    page.exists().then(|| info(name, page.facts()))
}

fn identity_usage(identity: &IdentityId, found: &Identity) -> IdentityUsage {
    IdentityUsage {
        identity: *identity,
        datasets: found.live().count() as u64,
        bytes: found.bytes,
        modified: found.modified,
    }
}

fn pool_usage(pool: &PoolId, found: &Pool) -> PoolUsage {
    PoolUsage {
        pool: *pool,
        identities: found.identities.len() as u64,
        bytes: found.bytes,
        modified: found.modified,
    }
}
