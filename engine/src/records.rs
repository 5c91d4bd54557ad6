//! A run of records in listing order (sync count, then key), as they lie on disk.
//!
//! A run is what frames carry, what a page is made of, and what a listing and the feed hand out:
//! always the same bytes.

use bytes::Bytes;

use crate::codec::{Decoder, Malformed};
use crate::record::{self, Record, RecordRef};
use crate::types::{Invalid, SyncCount, Text, invalid};

/// Records and tombstones, ordered by sync count, then key. Clones share them.
#[doc = include_str!("examples/records.md")]
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Records {
    bytes: Bytes,
    count: usize,
}

impl Records {
    /// Takes bytes that are a run already.
    pub(crate) fn believed(bytes: Bytes, count: usize) -> Self {
        Self { bytes, count }
    }

    /// Lays out records that are a run.
    pub(crate) fn of<'a>(records: impl Iterator<Item = RecordRef<'a>> + Clone) -> Self {
        let bytes = records.clone().map(|record| record.encoded_len()).sum();
        let (mut encoded, mut count) = (Vec::with_capacity(bytes), 0);
        for record in records {
            record.encode(&mut encoded);
            count += 1;
        }
        Self::believed(encoded.into(), count)
    }

    /// Those that have a value.
    #[doc = include_str!("examples/records/live.md")]
    #[must_use]
    pub fn live(&self) -> Self {
        let is_live = |record: &RecordRef<'_>| record.value.is_some();
        if self.iter().all(|record| is_live(&record)) {
            return self.clone();
        }
        Self::of(self.iter().filter(is_live))
    }

    /// Checks that the bytes are `count` records in listing order.
    pub(crate) fn decode(bytes: Bytes, count: usize) -> Result<Self, Malformed> {
        let mut input = Decoder::new(&bytes);
        let mut last: Option<(SyncCount, Text<'_>)> = None;
        for _ in 0..count {
            let record = RecordRef::decode(&mut input)?;
            let place = (record.sync_count, record.key);
            if record.sync_count == SyncCount::ZERO || last.is_some_and(|last| last >= place) {
                return Err(Malformed("records are not in order"));
            }
            last = Some(place);
        }
        input.finish()?;
        Ok(Self { bytes, count })
    }

    /// How many they are.
    #[doc = include_str!("examples/records/len.md")]
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    #[doc = include_str!("examples/records/is_empty.md")]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(crate) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Bytes that they take in memory, and would take on the disk.
    #[doc = include_str!("examples/records/memory.md")]
    #[must_use]
    pub fn memory(&self) -> usize {
        self.bytes.len()
    }

    /// One after the other, in place.
    #[doc = include_str!("examples/records/iter.md")]
    pub fn iter(&self) -> RecordIter<'_> {
        RecordIter {
            input: Decoder::new(&self.bytes),
            left: self.count,
        }
    }

    /// The same records in bytes of their own.
    pub(crate) fn copied(&self) -> Self {
        Self::believed(Bytes::copy_from_slice(&self.bytes), self.count)
    }

    /// Those with this count or a higher one. They are copied, so that they keep nothing of the
    /// bytes around them.
    pub(crate) fn copied_since(&self, sync_count: SyncCount) -> Self {
        let (mut older, mut start) = (0, 0);
        while older < self.count && record::sync_count(&self.bytes[start..]) < sync_count {
            start += record::encoded_len(&self.bytes[start..]);
            older += 1;
        }
        Self {
            bytes: Bytes::copy_from_slice(&self.bytes[start..]),
            count: self.count - older,
        }
    }
}

/// Takes records that are a run.
#[doc = include_str!("examples/records/try_from.md")]
impl TryFrom<&[Record]> for Records {
    type Error = Invalid;

    /// Refuses records that are not ordered by sync count and key, have count zero, or a modifier
    /// of an impossible length.
    fn try_from(records: &[Record]) -> Result<Self, Invalid> {
        let run = records.iter().map(RecordRef::from);
        let ordered = run
            .clone()
            .is_sorted_by(|one, next| (one.sync_count, one.key) < (next.sync_count, next.key));
        if !ordered || records.iter().any(|one| one.sync_count == SyncCount::ZERO) {
            return Err(invalid(
                "records",
                "must be ordered by sync count, then key, and have counts above 0",
            ));
        }
        records.iter().try_for_each(|one| one.modified_by.check())?;
        Ok(Self::of(run))
    }
}

impl<'a> IntoIterator for &'a Records {
    type Item = RecordRef<'a>;
    type IntoIter = RecordIter<'a>;

    fn into_iter(self) -> RecordIter<'a> {
        self.iter()
    }
}

impl std::fmt::Debug for Records {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Walks [`Records`].
#[doc = include_str!("examples/records/iter.md")]
#[derive(Clone, Debug)]
pub struct RecordIter<'a> {
    input: Decoder<'a>,
    left: usize,
}

impl<'a> Iterator for RecordIter<'a> {
    type Item = RecordRef<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        Some(RecordRef::decode_shape(&mut self.input).expect("a run was checked when it was made"))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for RecordIter<'_> {}
