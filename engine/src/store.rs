//! What readers and the log role share: the directory, the cache, the log and the watermark.
//!
//! Readers see only what is durable, and wait for the log role no longer than it takes to apply a
//! batch.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bytes::Bytes;

use crate::cache::{Cache, Cached};
use crate::commit::{Change, DatasetChange, Facts};
use crate::error::{Error, Fault};
use crate::limits::CHAIN_LINKS_MAX;
use crate::log::Log;
use crate::page::{Link, Page};
use crate::record::{RecordRef, Records};
use crate::segment;
use crate::state::State;
use crate::types::{DatasetId, Location, MetadataKey, MetadataValue};
use crate::watermark::Watermark;

/// The store as readers see it.
pub(crate) struct Store {
    state: RwLock<State>,
    pub(crate) cache: Cache,
    pub(crate) log: Arc<Log>,
    pub(crate) watermark: Watermark,
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
        let head = self.state().head(dataset);
        match head.location {
            Some(location) => self.page_at(dataset, location, disk),
            None => Ok(Arc::new(Page::empty(head.sync_count, head.floor))),
        }
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
        let page = Arc::new(self.load(dataset, location)?);
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
        let Change::MetadataPut { key: found, value } = self.log.change(location)? else {
            return Err(corrupt(
                location,
                "the change is not the metadata value it should be",
            )
            .into());
        };
        if found != *key {
            return Err(corrupt(location, "the metadata value belongs to another key").into());
        }
        // A copy, so that the cache does not keep the frame around it.
        let value = MetadataValue::new(Bytes::copy_from_slice(value.as_bytes()))?;
        self.cache.insert(location, Cached::Value(value.clone()));
        Ok(value)
    }

    fn dataset_change(
        &self,
        dataset: &DatasetId,
        location: Location,
    ) -> Result<DatasetChange, Fault> {
        match self.log.change(location)? {
            Change::Dataset(change) if change.dataset == *dataset => Ok(change),
            Change::Dataset(_) => Err(corrupt(location, "the frame belongs to another dataset")),
            _ => Err(corrupt(
                location,
                "the change is not the dataset it should be",
            )),
        }
    }

    /// Walks the frames of a dataset from the newest to its image.
    fn load(&self, dataset: &DatasetId, head: Location) -> Result<Page, Fault> {
        let newest = self.dataset_change(dataset, head)?;
        let facts = newest.facts.clone();
        let mut links = vec![Link {
            sync_count: facts.sync_count,
            location: head,
        }];
        let mut covers_from = newest.covers_from;
        let mut next = newest.link;
        let mut runs = vec![newest.records];
        while let Some(location) = next {
            if links.len() >= CHAIN_LINKS_MAX {
                return Err(corrupt(
                    location,
                    "the frames of a dataset form too long a chain",
                ));
            }
            let older = self.dataset_change(dataset, location)?;
            if older.facts.sync_count != covers_from {
                return Err(corrupt(
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
        let records = merged(&runs, &facts);
        let page = Page::new(facts, &records, links.into());
        if !page.counts_hold() {
            return Err(corrupt(
                head,
                "the sizes of a dataset are not those of its records",
            ));
        }
        Ok(page)
    }
}

/// The newest version of every record in runs that are ordered from the newest to the oldest.
fn merged(runs: &[Records], facts: &Facts) -> Records {
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
    let bytes = survivors.iter().flatten().map(RecordRef::encoded_len).sum();
    let (mut encoded, mut count) = (Vec::with_capacity(bytes), 0);
    for record in survivors.iter().rev().flatten() {
        record.encode(&mut encoded);
        count += 1;
    }
    Records::believed(encoded.into(), count)
}

fn corrupt(location: Location, why: &'static str) -> Fault {
    Fault::Corrupt {
        path: segment::path(location.segment),
        offset: u64::from(location.offset),
        sequence: None,
        why,
    }
}
