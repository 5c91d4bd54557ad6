//! A page after an update: the rest of it, and behind that what was written.

use std::cmp::Ordering;

use smallvec::SmallVec;

use super::{Page, narrow};
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
        self.place_within(0, self.by_key.len(), key)
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
        while let Some(&position) = self.by_key.get(to) {
            match self.key_at(position).cmp(key.as_bytes()) {
                Ordering::Less => from = to + 1,
                Ordering::Equal => return Ok(to),
                Ordering::Greater => break,
            }
            to += step;
            step *= 2;
        }
        self.place_within(from, to.min(self.by_key.len()), key)
    }

    fn place_within(&self, from: usize, to: usize, key: &str) -> Result<usize, usize> {
        let by_key = |&position: &u32| self.key_at(position).cmp(key.as_bytes());
        match self.by_key[from..to].binary_search_by(by_key) {
            Ok(at) => Ok(from + at),
            Err(at) => Err(from + at),
        }
    }

    /// The count of the record at a place.
    pub(crate) fn count_at(&self, place: usize) -> SyncCount {
        record::sync_count(&self.bytes[self.offset(self.by_key[place] as usize)..])
    }

    /// The bytes of a key, which are ordered like its text.
    fn key_at(&self, position: u32) -> &[u8] {
        record::key_bytes(&self.bytes[self.offset(position as usize)..])
    }

    /// The page after an update; its links are still to be set.
    pub(crate) fn updated(&self, update: &Update<'_>) -> Self {
        let replaced = update.places.iter().flatten();
        let mut gone: SmallVec<[_; 8]> = replaced.map(|&place| self.by_key[place]).collect();
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
        let mut bytes = Vec::with_capacity(self.bytes.len() - removed + added);
        let mut offsets = Vec::with_capacity(kept + written.len());
        let mut from = 0;
        for &stop in gone.iter().chain(std::iter::once(&narrow(self.len()))) {
            let (start, end) = (self.offset(from), self.offset(stop as usize));
            let base = bytes.len();
            offsets.extend(
                self.offsets[from..stop as usize]
                    .iter()
                    .map(|&offset| narrow(offset as usize - start + base)),
            );
            bytes.extend_from_slice(&self.bytes[start..end]);
            from = stop as usize + 1;
        }
        for record in written {
            offsets.push(narrow(bytes.len()));
            record.encode(&mut bytes);
        }
        let by_key = self.merged_keys(gone, update.places, kept);
        Self {
            facts,
            bytes: bytes.into(),
            offsets: offsets.into(),
            by_key,
            links: Box::default(),
        }
    }

    /// `by_key` without what is gone and with what is written, which stands last in the page.
    fn merged_keys(
        &self,
        gone: &[u32],
        places: &[Result<usize, usize>],
        kept: usize,
    ) -> Box<[u32]> {
        let moved = |position: &u32| match gone.binary_search(position) {
            Ok(_) => None,
            Err(shift) => Some(position - narrow(shift)),
        };
        let mut by_key = Vec::with_capacity(kept + places.len());
        let mut next = 0;
        for (written, &place) in (narrow(kept)..).zip(places) {
            let (Ok(at) | Err(at)) = place;
            by_key.extend(self.by_key[next..at].iter().filter_map(moved));
            by_key.push(written);
            next = at + usize::from(place.is_ok());
        }
        by_key.extend(self.by_key[next..].iter().filter_map(moved));
        by_key.into()
    }
}
