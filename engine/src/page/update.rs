//! A page after an update: the rest of it, and behind that what was written.

use std::cmp::Ordering;

use smallvec::SmallVec;

use super::{Links, Newest, Number, Page, add_tables, narrow, number, tables_bytes};
use crate::commit::Facts;
use crate::record::{self, RecordRef};
use crate::types::{ModifiedBy, SyncCount, Timestamp};

/// What a page becomes by an update.
pub(crate) struct Update<'a> {
    /// The records that are new, ordered by key, all with the count after the update.
    pub(crate) written: &'a [RecordRef<'a>],
    /// The places of their keys among those of the page before.
    pub(crate) places: &'a [Result<usize, usize>],
    pub(crate) sync_count: SyncCount,
    pub(crate) now: Timestamp,
    /// Tombstones that were made before this are purged.
    pub(crate) purge_before: Timestamp,
    /// Most tombstones that stay, and most bytes of their keys.
    pub(crate) tombstones_max: (usize, usize),
    pub(crate) modified_by: &'a ModifiedBy,
}

impl Page {
    /// The place of a key among the keys in their order: that of its record or tombstone, or else
    /// that of the next key.
    pub(crate) fn place(&self, key: &str) -> Result<usize, usize> {
        self.place_within(0, self.count, key)
    }

    /// The places of keys that are in order.
    pub(crate) fn places<'k>(
        &self,
        mut keys: impl Iterator<Item = &'k str>,
    ) -> SmallVec<[Result<usize, usize>; 8]> {
        let mut places = SmallVec::with_capacity(keys.size_hint().0);
        places.extend(keys.next().map(|key| self.place(key)));
        for key in keys {
            let from = match places[places.len() - 1] {
                Ok(before) => before + 1,
                Err(before) => before,
            };
            places.push(self.place_from(from, key));
        }
        places
    }

    /// The place of a key that is not before this one, and probably near.
    fn place_from(&self, mut from: usize, key: &str) -> Result<usize, usize> {
        let (mut to, mut step) = (from, 1);
        let by_key = self.by_key();
        while let Some(&position) = by_key.get(to) {
            match self.key_at(position).cmp(key.as_bytes()) {
                Ordering::Less => from = to + 1,
                Ordering::Equal => return Ok(to),
                Ordering::Greater => break,
            }
            to += step;
            step *= 2;
        }
        self.place_within(from, to.min(by_key.len()), key)
    }

    fn place_within(&self, from: usize, to: usize, key: &str) -> Result<usize, usize> {
        let by_key = |&position: &Number| self.key_at(position).cmp(key.as_bytes());
        match self.by_key()[from..to].binary_search_by(by_key) {
            Ok(at) => Ok(from + at),
            Err(at) => Err(from + at),
        }
    }

    /// The count of the record at a place.
    pub(crate) fn count_at(&self, place: usize) -> SyncCount {
        record::sync_count(self.bytes_from(self.offsets()[number(self.by_key()[place])]))
    }

    /// The bytes of a key, which are ordered like its text.
    fn key_at(&self, position: Number) -> &[u8] {
        record::key_bytes(self.bytes_from(self.offsets()[number(position)]))
    }

    /// The page after an update; its links are still to be set.
    pub(crate) fn updated(&self, update: &Update<'_>) -> Self {
        let replaced = update.places.iter().flatten();
        let by_key = self.by_key();
        let mut gone: SmallVec<[_; 8]> = replaced
            .map(|&place| u32::from_le_bytes(by_key[place]))
            .collect();
        gone.sort_unstable();
        let mut facts = self.facts_without(&gone);
        facts.sync_count = update.sync_count;
        facts.modified = update.now;
        facts.modified_by = update.modified_by.clone();
        if !self.exists() {
            facts.created = update.now;
        }
        for record in update.written {
            facts.add(record);
        }
        self.purge(&mut facts, &mut gone, update);
        self.rebuilt(facts, &gone, update)
    }

    fn facts_without(&self, gone: &[u32]) -> Facts {
        let mut facts = self.facts.clone();
        for &position in gone {
            let (key, value) = record::lengths(&self.bytes[self.offset(position as usize)..]);
            facts.subtract(key, value);
        }
        facts
    }

    /// Adds the oldest tombstones to `gone` while they are too many, too large or too old.
    fn purge(&self, facts: &mut Facts, gone: &mut SmallVec<[u32; 8]>, update: &Update<'_>) {
        if facts.tombstones == 0 {
            return;
        }
        let (count_max, bytes_max) = update.tombstones_max;
        let overwritten = gone.clone();
        for position in 0..narrow(self.len()) {
            let record = self.at(position as usize);
            if record.value.is_some() || overwritten.binary_search(&position).is_ok() {
                continue;
            }
            let fits = facts.tombstones as usize <= count_max
                && facts.tombstone_bytes as usize <= bytes_max;
            // All tombstones of one commit go together: the floor cannot tell them apart.
            if fits && record.modified >= update.purge_before && record.sync_count > facts.floor {
                break;
            }
            facts.subtract(record.key.len(), None);
            facts.floor = facts.floor.max(record.sync_count);
            gone.push(position);
        }
        gone.sort_unstable();
    }

    fn rebuilt(&self, facts: Facts, gone: &[u32], update: &Update<'_>) -> Self {
        let written = update.written;
        let added: usize = written.iter().map(RecordRef::encoded_len).sum();
        let kept = self.len() - gone.len();
        let removed: usize = gone
            .iter()
            .map(|&at| self.offset(at as usize + 1) - self.offset(at as usize))
            .sum();
        let count = kept + written.len();
        let records = self.records_bytes() - removed + added;
        let mut bytes = Vec::with_capacity(records + tables_bytes(count));
        for (from, stop) in self.runs(gone) {
            bytes.extend_from_slice(&self.bytes[self.offset(from)..self.offset(stop)]);
        }
        for record in written {
            record.encode(&mut bytes);
        }
        let (offsets, by_key) = add_tables(&mut bytes, count);
        self.merge_offsets(gone, written, offsets);
        self.merge_keys(gone, update.places, kept, by_key);
        Self {
            facts,
            bytes: bytes.into(),
            count,
            newest: Some(Newest {
                behind: self.facts.sync_count,
                position: narrow(kept),
                offset: narrow(records - added),
            }),
            links: Links::new(),
        }
    }

    /// The positions that stay, from one up to another.
    fn runs(&self, gone: &[u32]) -> impl Iterator<Item = (usize, usize)> {
        let mut from = 0;
        gone.iter()
            .map(|&stop| stop as usize)
            .chain(std::iter::once(self.count))
            .map(move |stop| (std::mem::replace(&mut from, stop + 1), stop))
    }

    /// Where the records begin that stay, and those that are written.
    fn merge_offsets(&self, gone: &[u32], written: &[RecordRef<'_>], offsets: &mut [Number]) {
        let (mut places, mut base) = (offsets.iter_mut(), 0);
        for (from, stop) in self.runs(gone) {
            let start = self.offset(from);
            let stay = &self.offsets()[from..stop];
            for (offset, place) in stay.iter().zip(places.by_ref()) {
                *place = narrow(number(*offset) - start + base).to_le_bytes();
            }
            base += self.offset(stop) - start;
        }
        for (record, place) in written.iter().zip(places) {
            *place = narrow(base).to_le_bytes();
            base += record.encoded_len();
        }
    }

    /// `by_key` without what is gone and with what is written, which stands last in the page.
    fn merge_keys(
        &self,
        gone: &[u32],
        places: &[Result<usize, usize>],
        kept: usize,
        by_key: &mut [Number],
    ) {
        let before = self.by_key();
        let moved = |position: &Number| {
            let position = u32::from_le_bytes(*position);
            match gone.binary_search(&position) {
                Ok(_) => None,
                Err(shift) => Some((position - narrow(shift)).to_le_bytes()),
            }
        };
        let (mut next, mut merged) = (0, 0);
        let mut put = |position| {
            by_key[merged] = position;
            merged += 1;
        };
        for (written, &place) in (narrow(kept)..).zip(places) {
            let (Ok(at) | Err(at)) = place;
            before[next..at].iter().filter_map(moved).for_each(&mut put);
            put(written.to_le_bytes());
            next = at + usize::from(place.is_ok());
        }
        before[next..].iter().filter_map(moved).for_each(put);
    }
}
