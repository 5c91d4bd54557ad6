//! One dataset's records and tombstones at one count: immutable, shared, in listing order.
//!
//! The newest records stand last, so whatever a listing or a frame needs is the end of the page.
//! Where they begin and their order by key stand right behind them, in the same allocation: who
//! looks for the newest ones finds them in the processor's caches already.
//! Invariants: records are ordered by (sync count, key) without a key twice; no tombstone is at or
//! below the floor; the facts are what a recount would find.

use bytes::Bytes;
use smallvec::SmallVec;

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

/// The frames of a page, newest first. Most pages have one.
pub(crate) type Links = SmallVec<[Link; 1]>;

/// A dataset at one count.
#[derive(Debug, Clone)]
pub(crate) struct Page {
    facts: Facts,
    /// The records; then where each begins, in listing order; then their positions, ordered by
    /// key.
    bytes: Bytes,
    /// How many records there are.
    count: usize,
    /// Where the records of the last update begin, if the page was made by one.
    newest: Option<Newest>,
    /// The frames that hold the page, newest first; the last one is an image.
    links: Links,
}

/// What an update wrote stands last. Who knew the count before it asks for just that, and need not
/// look where it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Newest {
    /// The count before the update; all records from the position have the count after it.
    behind: SyncCount,
    position: u32,
    offset: u32,
}

/// A number of the tables behind the records.
type Number = [u8; 4];

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
            count: 0,
            newest: None,
            links: Links::new(),
        }
    }

    /// The page of records in listing order and the facts that go with them.
    pub(crate) fn new<'a>(
        facts: Facts,
        records: impl Iterator<Item = RecordRef<'a>> + Clone,
        links: Links,
    ) -> Self {
        let add = |(count, bytes), record: RecordRef<'_>| (count + 1, bytes + record.encoded_len());
        let (count, records_bytes) = records.clone().fold((0, 0), add);
        let mut bytes = Vec::with_capacity(records_bytes + tables_bytes(count));
        records.clone().for_each(|record| record.encode(&mut bytes));
        let (offsets, by_key) = add_tables(&mut bytes, count);
        let mut keys = Vec::with_capacity(count);
        let mut offset = 0;
        for ((position, record), place) in (0u32..).zip(records).zip(offsets) {
            *place = narrow(offset).to_le_bytes();
            keys.push((record.key, position));
            offset += record.encoded_len();
        }
        keys.sort_unstable();
        for ((_, position), place) in keys.into_iter().zip(by_key) {
            *place = position.to_le_bytes();
        }
        Self {
            facts,
            bytes: bytes.into(),
            count,
            newest: None,
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
            self.newest = None;
        }
        self
    }

    /// The page after a part of it was lost: whoever knows a count in the gap must be told
    /// everything anew, and the next count is behind it.
    pub(crate) fn with_gap(mut self, gap: Gap) -> Self {
        self.facts.sync_count = gap.to;
        self.facts.gap = Some(gap);
        self.newest = None;
        self
    }

    /// Memory that the page takes, near enough.
    pub(crate) fn memory(&self) -> usize {
        self.bytes.len() + size_of::<Link>() * self.links.len() + 256
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
        self.count
    }

    /// Bytes of the records.
    fn records_bytes(&self) -> usize {
        self.bytes.len() - tables_bytes(self.count)
    }

    /// Where each record begins, in listing order.
    fn offsets(&self) -> &[Number] {
        &self.tables()[..self.count]
    }

    /// Positions in `offsets`, ordered by key.
    fn by_key(&self) -> &[Number] {
        &self.tables()[self.count..]
    }

    fn tables(&self) -> &[Number] {
        self.bytes[self.records_bytes()..].as_chunks().0
    }

    /// The record at an offset, and what lies behind it.
    fn bytes_from(&self, offset: Number) -> &[u8] {
        &self.bytes[number(offset)..]
    }

    /// The record at a position of the listing order.
    pub(crate) fn at(&self, position: usize) -> RecordRef<'_> {
        RecordRef::believed(self.bytes_from(self.offsets()[position]))
    }

    /// The first position after every record for which `before` holds.
    pub(crate) fn partition(&self, before: impl Fn(RecordRef<'_>) -> bool) -> usize {
        self.offsets()
            .partition_point(|&offset| before(RecordRef::believed(self.bytes_from(offset))))
    }

    /// The first position with a count above this one.
    pub(crate) fn after(&self, sync_count: SyncCount) -> usize {
        let offsets = self.offsets();
        let is_older = |&offset: &Number| record::sync_count(self.bytes_from(offset)) <= sync_count;
        // The ends of the page, and what is near the young one, are asked for most.
        if sync_count == SyncCount::ZERO {
            return 0;
        }
        let (mut low, mut high, mut step) = (self.len(), self.len(), 1);
        if sync_count >= self.facts.sync_count {
            return high;
        }
        if let Some(newest) = self.newest
            && sync_count >= newest.behind
        {
            return newest.position as usize;
        }
        while low > 0 && !is_older(&offsets[low - 1]) {
            high = low - 1;
            low = high.saturating_sub(step);
            step *= 2;
        }
        low + offsets[low..high].partition_point(is_older)
    }

    /// The records from one position up to another, in place.
    pub(crate) fn slice(&self, from: usize, to: usize) -> Records {
        let start = match self.newest {
            Some(newest) if from == newest.position as usize => newest.offset as usize,
            _ => self.offset(from),
        };
        let end = self.offset(to);
        Records::believed(self.bytes.slice(start..end), to - from)
    }

    /// The records of the update that made the page. They may be kept for long by whoever wrote
    /// them, so they are copied unless they are most of the page.
    pub(crate) fn written(&self) -> Records {
        let from = self.newest.map_or(0, |newest| newest.position as usize);
        let written = self.slice(from, self.len());
        if 2 * written.memory() < self.bytes.len() {
            written.copied()
        } else {
            written
        }
    }

    fn offset(&self, position: usize) -> usize {
        self.offsets()
            .get(position)
            .map_or(self.records_bytes(), |&offset| number(offset))
    }

    /// Bytes of the records that are newer than a count.
    fn bytes_after(&self, sync_count: SyncCount) -> usize {
        self.records_bytes() - self.offset(self.after(sync_count))
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
        Self::new(facts, records, Links::new())
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

/// Bytes of the tables of so many records.
fn tables_bytes(count: usize) -> usize {
    2 * size_of::<Number>() * count
}

/// Makes room for the tables behind the records: offsets, and positions by key.
fn add_tables(bytes: &mut Vec<u8>, count: usize) -> (&mut [Number], &mut [Number]) {
    let records = bytes.len();
    bytes.resize(records + tables_bytes(count), 0);
    bytes[records..].as_chunks_mut().0.split_at_mut(count)
}

/// A number of the tables.
fn number(number: Number) -> usize {
    u32::from_le_bytes(number) as usize
}

/// Positions and offsets in a page: a page is smaller than a frame.
fn narrow(value: usize) -> u32 {
    u32::try_from(value).expect("a page is smaller than 4 GiB")
}

#[cfg(test)]
mod tests;
