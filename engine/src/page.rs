//! One dataset's records and tombstones at one count: immutable, shared, in listing order.
//!
//! The newest records stand last, so whatever a listing or a frame needs is the end of the page.
//! Invariants: records are ordered by (sync count, key) without a key twice; no tombstone is at or
//! below the floor; the facts are what a recount would find.

use bytes::Bytes;

mod reach;
mod update;

pub(crate) use update::Update;

use crate::commit::{Cause, DatasetChange, Facts, Gap};
use crate::record::{self, RecordRef};
use crate::records::Records;
use crate::types::{DatasetId, IdentityId, Location, ModifiedBy, SyncCount};

/// A frame that a cold read of the dataset visits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    /// The dataset's count in that frame.
    pub(crate) sync_count: SyncCount,
    pub(crate) location: Location,
}

/// A dataset at one count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page {
    facts: Facts,
    bytes: Bytes,
    /// Where each record begins, in listing order.
    offsets: Box<[u32]>,
    /// Positions in `offsets`, ordered by key.
    by_key: Box<[u32]>,
    /// The frames that hold the page, newest first; the last one is an image.
    links: Box<[Link]>,
}

impl Page {
    /// A dataset without records: never written, or just deleted.
    pub(crate) fn empty(sync_count: SyncCount, floor: SyncCount, gap: Option<Gap>) -> Self {
        Self {
            facts: Facts {
                sync_count,
                floor,
                gap,
                ..Facts::default()
            },
            bytes: Bytes::new(),
            offsets: Box::default(),
            by_key: Box::default(),
            links: Box::default(),
        }
    }

    /// The page of records in listing order and the facts that go with them.
    pub(crate) fn new(facts: Facts, records: &Records, links: Box<[Link]>) -> Self {
        let mut offsets = Vec::with_capacity(records.len());
        let mut keys = Vec::with_capacity(records.len());
        let mut offset = 0;
        for (position, record) in (0u32..).zip(records.iter()) {
            offsets.push(offset);
            keys.push((record.key, position));
            offset += narrow(record.encoded_len());
        }
        keys.sort_unstable();
        let by_key = keys.into_iter().map(|(_, position)| position).collect();
        let bytes = records.bytes().clone();
        Self {
            facts,
            bytes,
            offsets: offsets.into(),
            by_key,
            links,
        }
    }

    pub(crate) fn facts(&self) -> &Facts {
        &self.facts
    }

    pub(crate) fn links(&self) -> &[Link] {
        &self.links
    }

    /// Whether the dataset exists: it was written since it was last deleted.
    pub(crate) fn exists(&self) -> bool {
        !self.links.is_empty()
    }

    /// The page after the store was restored: counts up to `base` may have been issued by what was
    /// lost, so the next one is higher.
    pub(crate) fn lifted(mut self, base: SyncCount) -> Self {
        let facts = &mut self.facts;
        if facts.sync_count < base {
            let from = facts.gap.map_or(facts.sync_count, |gap| gap.from);
            facts.gap = Some(Gap { from, to: base });
            facts.sync_count = base;
        }
        self
    }

    /// The page after a part of it was lost: whoever knows a count in the gap must be told
    /// everything anew, and the next count is behind it.
    pub(crate) fn with_gap(mut self, gap: Gap) -> Self {
        self.facts.sync_count = gap.to;
        self.facts.gap = Some(gap);
        self
    }

    /// Memory that the page takes, near enough.
    pub(crate) fn memory(&self) -> usize {
        self.bytes.len() + 8 * self.offsets.len() + size_of::<Link>() * self.links.len() + 256
    }

    /// Whether the facts are what a recount finds.
    pub(crate) fn counts_hold(&self) -> bool {
        let mut counted = Facts::default();
        for position in 0..self.len() {
            counted.add(&self.at(position));
        }
        let sizes = |facts: &Facts| {
            (
                facts.bytes,
                facts.live,
                facts.tombstones,
                facts.tombstone_bytes,
            )
        };
        sizes(&counted) == sizes(&self.facts)
    }

    /// Records and tombstones.
    pub(crate) fn len(&self) -> usize {
        self.offsets.len()
    }

    /// The record at a position of the listing order.
    pub(crate) fn at(&self, position: usize) -> RecordRef<'_> {
        RecordRef::believed(&self.bytes[self.offsets[position] as usize..])
    }

    /// The first position after every record for which `before` holds.
    pub(crate) fn partition(&self, before: impl Fn(RecordRef<'_>) -> bool) -> usize {
        let record = |offset: u32| RecordRef::believed(&self.bytes[offset as usize..]);
        self.offsets
            .partition_point(|&offset| before(record(offset)))
    }

    /// The first position with a count above this one.
    pub(crate) fn after(&self, sync_count: SyncCount) -> usize {
        let is_older = |&offset: &u32| {
            let record = &self.bytes[offset as usize..];
            record::sync_count(record) <= sync_count
        };
        // The ends of the page, and what is near the young one, are asked for most.
        if sync_count == SyncCount::ZERO {
            return 0;
        }
        let (mut low, mut high, mut step) = (self.len(), self.len(), 1);
        if sync_count >= self.facts.sync_count {
            return high;
        }
        while low > 0 && !is_older(&self.offsets[low - 1]) {
            high = low - 1;
            low = high.saturating_sub(step);
            step *= 2;
        }
        low + self.offsets[low..high].partition_point(is_older)
    }

    /// The records from one position up to another, in place.
    pub(crate) fn slice(&self, from: usize, to: usize) -> Records {
        let (start, end) = (self.offset(from), self.offset(to));
        Records::believed(self.bytes.slice(start..end), to - from)
    }

    fn offset(&self, position: usize) -> usize {
        self.offsets
            .get(position)
            .map_or(self.bytes.len(), |&offset| offset as usize)
    }

    /// Bytes of the records that are newer than a count.
    fn bytes_after(&self, sync_count: SyncCount) -> usize {
        self.bytes.len() - self.offset(self.after(sync_count))
    }

    /// The page with the frame that holds its newest count in front of the older ones.
    pub(crate) fn linked(mut self, newest: Location, older: &[Link]) -> Self {
        let newest = Link {
            sync_count: self.facts.sync_count,
            location: newest,
        };
        self.links = std::iter::once(newest)
            .chain(older.iter().copied())
            .collect();
        self
    }

    /// The page in another place, where it lies whole.
    pub(crate) fn relinked(&self, image: Location) -> Self {
        self.clone().linked(image, &[])
    }

    /// The live records as a new dataset of another identity: all have its first count, and what
    /// the owner changed bears the owner's name from now on.
    pub(crate) fn copied(
        &self,
        owner: &IdentityId,
        sync_count: SyncCount,
        floor: SyncCount,
    ) -> Self {
        let mut live: Vec<_> = (0..self.len())
            .map(|position| self.at(position))
            .filter(|record| record.value.is_some())
            .collect();
        live.sort_unstable_by_key(|record| record.key);
        let mut facts = Facts {
            sync_count,
            ..self.facts.clone()
        };
        (facts.floor, facts.tombstones, facts.tombstone_bytes) = (floor, 0, 0);
        facts.gap = None;
        facts.modified_by = ModifiedBy::Other(facts.modified_by.name(owner).into());
        let records = live.into_iter().map(|record| RecordRef {
            sync_count,
            modified_by: record.modified_by.or(Some(owner.as_str().into())),
            ..record
        });
        Self::new(facts, &Records::of(records), Box::default())
    }
}

impl DatasetChange {
    /// A dataset, whole, in one frame.
    pub(crate) fn whole(cause: Cause, dataset: &DatasetId, page: &Page) -> Self {
        Self {
            cause,
            dataset: dataset.clone(),
            facts: page.facts.clone(),
            covers_from: SyncCount::ZERO,
            link: None,
            image: None,
            records: page.slice(0, page.len()),
        }
    }
}

impl Facts {
    /// Whether a client that knows a count may write a key that has neither record nor tombstone:
    /// it has listed everything that was removed.
    pub(crate) fn vouches_for(&self, client: SyncCount) -> bool {
        client >= self.floor && client <= self.sync_count && !self.lost(client)
    }

    /// Whether a count was issued by what was lost in a restore.
    pub(crate) fn lost(&self, client: SyncCount) -> bool {
        self.gap.is_some_and(|gap| gap.holds(client))
    }

    pub(crate) fn add(&mut self, record: &RecordRef<'_>) {
        if record.value.is_some() {
            self.live += 1;
            self.bytes += narrow(record.size());
        } else {
            self.tombstones += 1;
            self.tombstone_bytes += narrow(record.key.len());
        }
    }

    /// Takes a record away, by the lengths of its key and its value.
    fn subtract(&mut self, key: usize, value: Option<usize>) {
        if let Some(value) = value {
            self.live -= 1;
            self.bytes -= narrow(key + value);
        } else {
            self.tombstones -= 1;
            self.tombstone_bytes -= narrow(key);
        }
    }
}

/// Positions and offsets in a page: a page is smaller than a frame.
fn narrow(value: usize) -> u32 {
    u32::try_from(value).expect("a page is smaller than 4 GiB")
}

#[cfg(test)]
mod tests;
