//! The directory of a store that opened: every dataset and value is read, every sum counted again.

use std::collections::{BTreeMap, HashMap};

use super::Checking;
use crate::cache::Cache;
use crate::error::{Error, Fault};
use crate::recovery::Opened;
use crate::segment::{self, corrupt_at};
use crate::state::{Identity, Known, Place, Pool, State};
use crate::store::{Disk, Store};
use crate::types::{DatasetId, Extent, MetadataKey, SyncCount};
use crate::watermark::{Durable, Watermark};

/// Reads what the directory of a store names.
struct Counting<'a> {
    store: &'a Store,
    base: SyncCount,
    /// Bytes in each cold segment that something names.
    live: HashMap<u32, i64>,
}

/// A store for reading alone, without memory of what was read.
pub(crate) fn readable(opened: Opened) -> Store {
    let Opened {
        state, log, tail, ..
    } = opened;
    let end = tail.end();
    let watermark = Watermark::new(Durable {
        sequence: state.sequence,
        position: end.position,
        chain: end.chain,
        news: state.sequence,
    });
    Store::new(state, Cache::new(0), log, watermark)
}

/// Where the last thing that lives in each cold segment ends.
pub(super) fn named(state: &State) -> BTreeMap<u32, u32> {
    let datasets = state.identities().flat_map(Identity::live);
    let images = datasets.filter_map(|dataset| dataset.known().image);
    let values = state.metadata.values().map(Place::extent);
    let mut named = BTreeMap::new();
    for extent in images.chain(values) {
        if segment::is_cold(extent.location.segment) {
            let end: &mut u32 = named.entry(extent.location.segment).or_default();
            *end = extent
                .location
                .offset
                .saturating_add(extent.bytes)
                .max(*end);
        }
    }
    named
}

impl Checking<'_> {
    pub(super) fn counts(&mut self, opened: Opened) {
        let store = readable(opened);
        let state = store.state();
        let mut counting = Counting {
            store: &store,
            base: state.base,
            live: HashMap::new(),
        };
        for (id, pool) in &state.pools {
            self.pool(&mut counting, id, pool);
        }
        for (key, place) in &state.metadata {
            self.value(&mut counting, key, *place);
        }
        self.live(&counting, &state);
    }

    fn pool(&mut self, counting: &mut Counting<'_>, id: &crate::types::PoolId, pool: &Pool) {
        let (mut bytes, mut datasets) = (0, 0);
        for (identity_id, identity) in pool.identities.iter() {
            bytes += identity.bytes;
            let counted: u64 = identity.live().map(|d| u64::from(d.known().bytes)).sum();
            if counted != identity.bytes {
                let why =
                    format!("the bytes of identity {identity_id} are not the sum of its datasets'");
                self.directory(&why);
            }
            for dataset in &identity.datasets {
                if dataset.head().is_none() {
                    continue;
                }
                datasets += 1;
                let dataset_id = DatasetId {
                    pool: *id,
                    identity: *identity_id,
                    name: dataset.name.clone(),
                };
                self.dataset(counting, &dataset_id, &dataset.known());
            }
        }
        if (bytes, datasets) != (pool.bytes, pool.datasets) {
            let why = format!("the bytes or datasets of pool {id} are not the sums over it");
            self.directory(&why);
        }
    }

    fn dataset(&mut self, counting: &mut Counting<'_>, id: &DatasetId, known: &Known) {
        match counting.dataset(id, known) {
            Ok(records) => {
                self.found.datasets += 1;
                self.found.records += records;
            }
            Err(fault) => self.of(&fault, &format!("of dataset {id}")),
        }
    }

    fn value(&mut self, counting: &mut Counting<'_>, key: &MetadataKey, place: Place) {
        let extent = place.extent();
        counting.name(extent);
        let read = counting
            .store
            .value(key, extent.location, Disk::MayRead)
            .and_then(|_| Ok(counting.frame(extent)?));
        match read {
            Ok(sequence) if sequence == place.version => self.found.metadata += 1,
            Ok(_) => {
                let why = "the metadata value is not of the version that the directory says";
                self.of(
                    &corrupt_at(extent.location, why),
                    &format!("of metadata {key}"),
                );
            }
            Err(Error::Fault(fault)) => self.of(&fault, &format!("of metadata {key}")),
            Err(other) => self.directory(&other.to_string()),
        }
    }

    fn live(&mut self, counting: &Counting<'_>, state: &State) {
        let segments = counting.live.keys().chain(state.live.keys());
        let mut segments: Vec<_> = segments.copied().collect();
        segments.sort_unstable();
        segments.dedup();
        for number in segments {
            let counted = counting.live.get(&number).copied().unwrap_or(0);
            let known = state.live.get(&number).copied().unwrap_or(0);
            if counted != known {
                self.at(
                    number,
                    0,
                    None,
                    "its live bytes are not what a recount finds",
                );
            }
        }
    }

    fn of(&mut self, fault: &Fault, whose: &str) {
        match fault {
            Fault::Corrupt {
                path,
                offset,
                sequence,
                why,
            } => self.problem(path, *offset, *sequence, &format!("{why} ({whose})")),
            other => self.fault(other),
        }
    }

    fn directory(&mut self, why: &str) {
        let path = self.names.checkpoints.last().map_or_else(
            || segment::DIRECTORY.into(),
            |&last| crate::checkpoint::path(last),
        );
        // Each of its own: they have no place.
        let offset = self.found.problems.len() as u64;
        self.problem(&path, offset, None, why);
    }
}

impl Counting<'_> {
    fn name(&mut self, extent: Extent) {
        let number = extent.location.segment;
        if segment::is_cold(number) {
            *self.live.entry(number).or_default() += i64::from(extent.bytes);
        }
    }

    /// Reads a dataset and compares it with what the directory knows; gives its live records.
    fn dataset(&mut self, id: &DatasetId, known: &Known) -> Result<u64, Fault> {
        let (Some(head), Some(image)) = (known.head, known.image) else {
            let segment = known.head.map_or(1, |head| head.segment);
            let why = "the directory does not know where a dataset ends";
            return Err(segment::corrupt(segment, 0, why));
        };
        self.name(image);
        let page = self.store.load(id, head)?;
        let facts = page.facts();
        let last = page.links().last().map(|link| link.location);
        if last != Some(image.location) {
            return Err(corrupt_at(
                head,
                "the walk does not end where the directory says",
            ));
        }
        let counts = facts.sync_count.max(self.base) == known.sync_count.max(self.base)
            && facts.floor == known.floor;
        if !counts || (facts.bytes, facts.live) != (known.bytes, known.live) {
            let why = "the counts of a dataset are not what the directory says";
            return Err(corrupt_at(head, why));
        }
        self.frame(image)?;
        Ok(u64::from(facts.live))
    }

    /// The size of a frame in a cold segment is what the directory says; gives its sequence.
    fn frame(&self, extent: Extent) -> Result<crate::types::Sequence, Fault> {
        let location = extent.location;
        let segment = self
            .store
            .log
            .open(location.segment)
            .ok_or_else(|| corrupt_at(location, "the segment that holds this is missing"))??;
        let frame = segment.frame(location.offset)?;
        let cold = segment::is_cold(location.segment);
        if cold && frame.header.frame_bytes() != extent.bytes as usize {
            return Err(corrupt_at(
                location,
                "the frame has not the size that the directory says",
            ));
        }
        Ok(frame.header.sequence)
    }
}
