//! Writing what was saved as a new store: cold segments, two checkpoints, the root.

use std::sync::Arc;

use super::beside::Beside;
use super::compose::compose;
use super::pieces::Pieces;
use super::salvage::Salvage;
use super::{LostDataset, LostValue, Repaired};
use crate::checkpoint::{self, Beginning, Head};
use crate::cold::{Cold, ColdWriter};
use crate::commit::{Cause, Change, DatasetChange};
use crate::disk::Disk;
use crate::error::Fault;
use crate::files::Files;
use crate::options::Options;
use crate::page::Page;
use crate::root::Root;
use crate::segment::FRAMES_OFFSET;
use crate::state::{Dataset, Datasets, Deleted, Identity, Known, Place, State};
use crate::types::{
    DatasetId, DatasetName, Extent, MetadataKey, MetadataValue, Sequence, Timestamp,
};

/// Bytes that are written before they are synced.
const LOAD_BYTES: usize = 4 << 20;

/// Numbers that no file of the old store has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Numbers {
    /// The highest of the log.
    pub(super) hot: u32,
    /// The highest cold one.
    pub(super) cold: u32,
    /// The first new checkpoint.
    pub(super) checkpoint: u32,
}

/// A store on its way to the disk.
pub(super) struct Build<'a> {
    salvage: &'a Salvage,
    pieces: &'a Pieces,
    disk: Arc<dyn Disk>,
    cold: Cold,
    writer: ColdWriter,
    root: Root,
    state: State,
}

impl<'a> Build<'a> {
    pub(super) fn new(
        disk: &Arc<dyn Disk>,
        salvage: &'a Salvage,
        pieces: &'a Pieces,
        root: Root,
        numbers: Numbers,
    ) -> Self {
        let disk: Arc<dyn Disk> = Arc::new(Beside(Arc::clone(disk)));
        let segment_bytes = Options::default().segment_bytes;
        let writer = ColdWriter::new(Arc::clone(&disk), root.lineage, segment_bytes, numbers.cold);
        let files = Arc::new(Files::new(Arc::clone(&disk)));
        let old = &salvage.replayed.state;
        let state = State {
            sequence: old.sequence,
            time: old.time,
            ..State::default()
        };
        Self {
            salvage,
            pieces,
            cold: Cold::new(files, std::collections::BTreeMap::new()),
            disk,
            writer,
            root,
            state,
        }
    }

    /// Writes everything; it lasts, under uncertain names, when this returns.
    pub(super) fn run(mut self, numbers: Numbers, report: &mut Repaired) -> Result<(), Fault> {
        self.datasets(report)?;
        self.strangers(report)?;
        self.metadata(report)?;
        self.writer.finish()?;
        // What was deleted lies in the old files until the quarantine is tidied.
        let old = &self.salvage.replayed.state;
        self.state.deleted = Some(Deleted {
            since: Timestamp::now().max(old.time),
            last: old.sequence,
        });
        for number in [numbers.checkpoint, numbers.checkpoint + 1] {
            let head = Head {
                lineage: self.root.lineage.into_bytes(),
                number,
                after: self.state.sequence.get(),
                time: self.state.time.get(),
                segment: numbers.hot,
                offset: FRAMES_OFFSET,
                chain: 0,
                first_hot: numbers.hot + 1,
            };
            let beginning = Beginning {
                head,
                hot: Vec::new(),
            };
            let look = |look: &mut dyn FnMut(&State)| look(&self.state);
            checkpoint::write(&self.disk, &beginning, &self.cold, look, |_| true)?;
        }
        self.root.write(self.disk.as_ref())
    }

    fn datasets(&mut self, report: &mut Repaired) -> Result<(), Fault> {
        let salvage = self.salvage;
        for (pool_id, pool) in &salvage.replayed.state.pools {
            let made = self.state.pools.entry(*pool_id).or_default();
            made.modified = pool.modified;
            for (identity_id, identity) in pool.identities.iter() {
                let mut datasets = Datasets::with_capacity(identity.datasets.len());
                for dataset in &identity.datasets {
                    let id = DatasetId {
                        pool: *pool_id,
                        identity: *identity_id,
                        name: dataset.name.clone(),
                    };
                    datasets.push(self.dataset(&id, dataset.known(), report)?);
                }
                let made = Identity {
                    bytes: 0,
                    modified: identity.modified,
                    floor: identity.floor,
                    datasets,
                };
                let pool = self.state.pools.entry(*pool_id).or_default();
                pool.identities.insert(*identity_id, made);
            }
        }
        Ok(())
    }

    fn dataset(
        &mut self,
        id: &DatasetId,
        known: Known,
        report: &mut Repaired,
    ) -> Result<Dataset, Fault> {
        let Some(head) = known.head else {
            return Ok(Dataset::new(id.name.clone(), &known));
        };
        if let Ok(page) = self.salvage.load(id, head) {
            return self.put(id, &page, known, report);
        }
        let found = self.pieces.datasets.get(id).map_or(&[][..], Vec::as_slice);
        let Some(composed) = compose(&self.salvage.shelf, id, Some(known), found) else {
            report.lost_datasets.push(LostDataset {
                dataset: id.clone(),
                after: None,
                up_to: known.sync_count,
            });
            // It behaves as one that was deleted.
            let gone = Known {
                sync_count: known.sync_count,
                floor: known.sync_count,
                ..Known::default()
            };
            return Ok(Dataset::new(id.name.clone(), &gone));
        };
        if let Some((after, up_to)) = composed.hole {
            report.lost_datasets.push(LostDataset {
                dataset: id.clone(),
                after: Some(after),
                up_to,
            });
        }
        let page = composed.into_page(self.root.base);
        self.put(id, &page, known, report)
    }

    /// What is left of datasets of which the directory does not know.
    fn strangers(&mut self, report: &mut Repaired) -> Result<(), Fault> {
        let mut strangers: Vec<_> = self.pieces.datasets.iter().collect();
        strangers.retain(|(id, _)| self.salvage.replayed.state.known(id).is_none());
        strangers.sort_unstable_by_key(|(id, _)| *id);
        for (id, pieces) in strangers {
            let Some(composed) = compose(&self.salvage.shelf, id, None, pieces) else {
                continue;
            };
            let page = composed.into_page(self.root.base);
            let known = Known {
                floor: page.facts().floor,
                ..Known::default()
            };
            let dataset = self.put(id, &page, known, report)?;
            let pool = self.state.pools.entry(id.pool).or_default();
            pool.modified = pool.modified.max(page.facts().modified);
            let identity = pool.identities.or_default(id.identity);
            identity.modified = identity.modified.max(page.facts().modified);
            let by_name = |other: &Dataset, name: &DatasetName| other.name.cmp(name);
            let at = identity
                .datasets
                .binary_search_by(|other| by_name(other, &id.name));
            if let Err(at) = at {
                identity.datasets.insert(at, dataset);
            }
        }
        Ok(())
    }

    /// Writes a dataset whole.
    fn put(
        &mut self,
        id: &DatasetId,
        page: &Page,
        known: Known,
        report: &mut Repaired,
    ) -> Result<Dataset, Fault> {
        let change = Change::Dataset(DatasetChange::whole(Cause::Image, id, page));
        let extent = self.write(&change, self.state.sequence)?;
        let facts = page.facts();
        report.datasets += 1;
        let known = Known {
            sync_count: facts.sync_count,
            floor: known.floor.max(facts.floor),
            bytes: facts.bytes,
            live: facts.live,
            head: Some(extent.location),
            image: Some(extent),
        };
        Ok(Dataset::new(id.name.clone(), &known))
    }

    fn metadata(&mut self, report: &mut Repaired) -> Result<(), Fault> {
        let salvage = self.salvage;
        let old = &salvage.replayed.state.metadata;
        for (key, place) in old {
            let held = salvage.value(key, place.location());
            if let Some(value) = held {
                self.value(key, value, place.version, report)?;
                continue;
            }
            let older = self.pieces.metadata.get(key);
            let older = older.and_then(|&(version, location)| {
                salvage.value(key, location).map(|value| (value, version))
            });
            if older
                .as_ref()
                .is_none_or(|(_, version)| *version != place.version)
            {
                report.lost_metadata.push(LostValue {
                    key: key.clone(),
                    version: place.version,
                    older: older.as_ref().map(|(_, version)| *version),
                });
            }
            if let Some((value, version)) = older {
                self.value(key, value, version, report)?;
            }
        }
        for (key, &(version, location)) in &self.pieces.metadata {
            if !old.contains_key(key)
                && let Some(value) = salvage.value(key, location)
            {
                self.value(key, value, version, report)?;
            }
        }
        Ok(())
    }

    fn value(
        &mut self,
        key: &MetadataKey,
        value: MetadataValue,
        version: Sequence,
        report: &mut Repaired,
    ) -> Result<(), Fault> {
        let change = Change::MetadataPut {
            key: key.clone(),
            value,
        };
        let extent = self.write(&change, version)?;
        self.state
            .metadata
            .insert(key.clone(), Place::new(version, extent));
        report.metadata += 1;
        Ok(())
    }

    fn write(&mut self, change: &Change, sequence: Sequence) -> Result<Extent, Fault> {
        let time = self.state.time;
        let extent = self.writer.put(&self.cold, change, sequence, time)?;
        if self.writer.unsynced() >= LOAD_BYTES {
            self.writer.sync()?;
        }
        Ok(extent)
    }
}
