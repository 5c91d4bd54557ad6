//! What readers and the log role share: the directory, the cache, the log and the watermark.
//!
//! Readers see only what is durable, and wait for the log role no longer than it takes to apply a
//! batch.

use crate::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::collections::HashSet;

use bytes::Bytes;

use crate::cache::{Cache, Cached};
use crate::commit::{Change, DatasetChange, Facts};
use crate::error::{Error, Fault};
use crate::limits::CHAIN_LINKS_MAX;
use crate::log::{Log, Position};
use crate::page::{Link, Links, Page};
use crate::pins::Pins;
use crate::readers::{ReaderLag, Readers};
use crate::record::RecordRef;
use crate::records::Records;
use crate::segment::corrupt_at;
use crate::snapshot::Snapshots;
use crate::state::State;
use crate::types::{DatasetId, Location, MetadataKey, MetadataValue, Sequence, Timestamp};
use crate::watermark::Watermark;

/// The store as readers see it.
pub(crate) struct Store {
    state: RwLock<State>,
    pub(crate) cache: Cache,
    pub(crate) log: Arc<Log>,
    pub(crate) watermark: Watermark,
    pub(crate) readers: Arc<Readers>,
    pub(crate) pins: Arc<Pins>,
    pub(crate) snapshots: Snapshots,
}

/// Whether a call may wait for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Disk {
    MayRead,
    MustNotRead,
}

impl Store {
    pub(crate) fn new(state: State, cache: Cache, log: Arc<Log>, watermark: Watermark) -> Self {
        Self {
            state: RwLock::new(state),
            cache,
            log,
            watermark,
            readers: Arc::default(),
            pins: Arc::default(),
            snapshots: Snapshots::default(),
        }
    }

    pub(crate) fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// For the log role alone.
    pub(crate) fn state_mut(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest page of a dataset, an empty one if it does not exist.
    pub(crate) fn page(&self, dataset: &DatasetId, disk: Disk) -> Result<Arc<Page>, Error> {
        let mut head = self.state().head(dataset);
        loop {
            let Some(location) = head.location else {
                return Ok(Arc::new(Page::empty(head.sync_count, head.floor, head.gap)));
            };
            let found = self.page_at(dataset, location, disk);
            if found.is_ok() {
                return found;
            }
            // It may have moved, and its old place be gone, since the directory was looked up.
            let now = self.state().head(dataset);
            if now == head {
                return found;
            }
            head = now;
        }
    }

    /// The newest page of a dataset, if it exists, for who will not read it again soon.
    pub(crate) fn page_for_move(&self, dataset: &DatasetId) -> Result<Option<Arc<Page>>, Error> {
        let Some(location) = self.state().head(dataset).location else {
            return Ok(None);
        };
        match self.page_once(dataset, location) {
            Ok(page) => Ok(Some(page)),
            Err(_) if self.state().head(dataset).location != Some(location) => {
                self.page_for_move(dataset)
            }
            Err(fault) => Err(fault.into()),
        }
    }

    /// The page whose newest frame is at a location, for who will not read it again soon.
    pub(crate) fn page_once(
        &self,
        dataset: &DatasetId,
        location: Location,
    ) -> Result<Arc<Page>, Fault> {
        if let Some(page) = self.cache.page(location) {
            return Ok(page);
        }
        let page = self.load(dataset, location)?;
        Ok(Arc::new(page.lifted(self.log.root.base)))
    }

    /// The page whose newest frame is at a location.
    pub(crate) fn page_at(
        &self,
        dataset: &DatasetId,
        location: Location,
        disk: Disk,
    ) -> Result<Arc<Page>, Error> {
        if let Some(page) = self.cache.page(location) {
            return Ok(page);
        }
        if disk == Disk::MustNotRead {
            return Err(Error::NotResident);
        }
        let page = Arc::new(self.load(dataset, location)?.lifted(self.log.root.base));
        self.cache.insert(location, Cached::Page(Arc::clone(&page)));
        Ok(page)
    }

    /// The value of a metadata key that was put at a location.
    pub(crate) fn value(
        &self,
        key: &MetadataKey,
        location: Location,
        disk: Disk,
    ) -> Result<MetadataValue, Error> {
        if let Some(value) = self.cache.value(location) {
            return Ok(value);
        }
        if disk == Disk::MustNotRead {
            return Err(Error::NotResident);
        }
        // A copy, so that the cache does not keep the frame around it.
        let value = self.value_once(key, location)?;
        let value = MetadataValue::new(Bytes::copy_from_slice(value.as_bytes()))?;
        self.cache.insert(location, Cached::Value(value.clone()));
        Ok(value)
    }

    /// The value of a metadata key that was put at a location, from the disk.
    pub(crate) fn value_once(
        &self,
        key: &MetadataKey,
        location: Location,
    ) -> Result<MetadataValue, Fault> {
        match self.log.change(location)? {
            Change::MetadataPut { key: found, value } if found == *key => Ok(value),
            Change::MetadataPut { .. } => Err(corrupt_at(
                location,
                "the metadata value belongs to another key",
            )),
            _ => Err(corrupt_at(
                location,
                "the change is not the metadata value it should be",
            )),
        }
    }

    /// Takes deleted pools apart, at most so many identities; true while there is more.
    pub(crate) fn clear_fallen(&self, identities: usize) -> bool {
        let returned = self.snapshots.returned();
        let mut state = self.state_mut();
        state.fallen.extend(returned);
        state.clear_fallen(identities)
    }

    /// The page of a dataset whose newest frame is at a location, from the disk.
    pub(crate) fn load(&self, dataset: &DatasetId, head: Location) -> Result<Page, Fault> {
        load(dataset, head, |location| self.log.change(location))
    }
}

impl Store {
    /// How far the named readers are behind.
    pub(crate) fn lags(&self, now: Timestamp) -> Vec<ReaderLag> {
        let durable = self.watermark.get();
        let lag = |(name, sequence): (_, Sequence)| {
            let place = self.log.place_after(sequence);
            // Behind the last commit that feeds tell of there is nothing to read.
            let behind = sequence < durable.news;
            let (position, time) = place.map_or((durable.position, now), |(segment, point)| {
                let segment = segment.header.number;
                let offset = point.offset;
                (Position { segment, offset }, point.time)
            });
            // What is unread is no older than what is known to lie before it.
            let time = time.max(self.watermark.news_behind(sequence).unwrap_or(time));
            ReaderLag {
                name,
                sequence,
                commits: u64::from(behind) * (durable.sequence.get() - sequence.get()),
                bytes: u64::from(behind) * self.log.bytes_after(position),
                milliseconds: if behind && time > Timestamp::ZERO {
                    now.get().saturating_sub(time.get())
                } else {
                    0
                },
            }
        };
        self.readers.all().into_iter().map(lag).collect()
    }
}

/// Walks the frames of a dataset from the newest to its image. `read` reads a change.
pub(crate) fn load(
    dataset: &DatasetId,
    head: Location,
    read: impl Fn(Location) -> Result<Change, Fault>,
) -> Result<Page, Fault> {
    let newest = of_dataset(dataset, head, read(head)?)?;
    let facts = newest.facts.clone();
    let mut links = Links::from_buf([Link {
        sync_count: facts.sync_count,
        location: head,
    }]);
    let mut covers_from = newest.covers_from;
    let mut next = newest.link;
    let mut runs = vec![newest.records];
    while let Some(location) = next {
        if links.len() >= CHAIN_LINKS_MAX {
            return Err(corrupt_at(
                location,
                "the frames of a dataset form too long a chain",
            ));
        }
        let older = of_dataset(dataset, location, read(location)?)?;
        if older.facts.sync_count != covers_from {
            return Err(corrupt_at(
                location,
                "the frame is not of the count that links to it",
            ));
        }
        links.push(Link {
            sync_count: covers_from,
            location,
        });
        covers_from = older.covers_from;
        next = older.link;
        runs.push(older.records);
    }
    let records = survivors(&runs, &facts);
    let records = records.iter().rev().flatten().copied();
    let page = Page::new(facts, records, links);
    if !page.counts_hold() {
        return Err(corrupt_at(
            head,
            "the sizes of a dataset are not those of its records",
        ));
    }
    Ok(page)
}

/// A change as one of a dataset.
fn of_dataset(
    dataset: &DatasetId,
    location: Location,
    change: Change,
) -> Result<DatasetChange, Fault> {
    match change {
        Change::Dataset(change) if change.dataset == *dataset => Ok(change),
        Change::Dataset(_) => Err(corrupt_at(location, "the frame belongs to another dataset")),
        _ => Err(corrupt_at(
            location,
            "the change is not the dataset it should be",
        )),
    }
}

/// The newest version of every record in runs that are ordered from the newest to the oldest.
fn survivors<'a>(runs: &'a [Records], facts: &Facts) -> Vec<Vec<RecordRef<'a>>> {
    let mut seen = HashSet::new();
    let mut survivors = Vec::new();
    for run in runs {
        let newest: Vec<_> = run
            .iter()
            .filter(|record| runs.len() == 1 || seen.insert(record.key))
            .filter(|record| record.value.is_some() || record.sync_count > facts.floor)
            .collect();
        survivors.push(newest);
    }
    survivors
}
