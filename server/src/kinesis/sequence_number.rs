//! Sequence numbers of the built-in stream: places of events as decimal numbers that grow.
//!
//! The commit, the place among its events, whether that is the last one, and by what the store is
//! known: a number of another store, restored since, is recognised for what it is.

use syncline_engine::Sequence;
use uuid::Uuid;

use crate::stream::{Event, EventId, Place};

/// Bits of the mark of the store, below everything else.
const STORE_BITS: u32 = 32;
/// Where the index begins: behind the store and whether the event is the last of its commit.
const INDEX_SHIFT: u32 = STORE_BITS + 1;
/// Where the commit begins.
const SEQUENCE_SHIFT: u32 = INDEX_SHIFT + 32;

/// A number taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SequenceNumber {
    sequence: u64,
    index: u32,
    is_last: bool,
    store: u32,
}

impl SequenceNumber {
    pub(super) fn of(event: &Event) -> Self {
        Self {
            is_last: event.is_last,
            ..Self::from(Place(event.id))
        }
    }

    /// Reads a number; `None` if no event can have it.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let number: u128 = text.parse().ok()?;
        let low = |shift: u32| u32::try_from(number >> shift & u128::from(u32::MAX));
        Some(Self {
            sequence: u64::try_from(number >> SEQUENCE_SHIFT).ok()?,
            index: low(INDEX_SHIFT).ok()?,
            is_last: number >> STORE_BITS & 1 == 1,
            store: low(0).ok()?,
        })
    }

    /// Before the event that has this number; `None` if it is of another store.
    pub(super) fn at(self, store: Uuid) -> Option<Place> {
        let sequence = Sequence::new(self.sequence);
        let id = EventId {
            store,
            sequence,
            index: self.index,
        };
        (self.store == mark(store)).then_some(Place(id))
    }

    /// Right behind the event that has this number; `None` if it is of another store.
    pub(super) fn after(self, store: Uuid) -> Option<Place> {
        let Place(id) = self.at(store)?;
        Some(Place::after_id(id, self.is_last))
    }
}

impl From<Place> for SequenceNumber {
    fn from(Place(id): Place) -> Self {
        Self {
            sequence: id.sequence.get(),
            index: id.index,
            is_last: false,
            store: mark(id.store),
        }
    }
}

impl std::fmt::Display for SequenceNumber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let number = u128::from(self.sequence) << SEQUENCE_SHIFT
            | u128::from(self.index) << INDEX_SHIFT
            | u128::from(self.is_last) << STORE_BITS
            | u128::from(self.store);
        number.fmt(f)
    }
}

fn mark(store: Uuid) -> u32 {
    crc32fast::hash(store.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(sequence: u64, index: u32, is_last: bool) -> SequenceNumber {
        SequenceNumber {
            sequence,
            index,
            is_last,
            store: mark(Uuid::from_u128(7)),
        }
    }

    #[test]
    fn numbers_grow_with_the_stream_and_are_read_as_they_are_written() {
        let mut before = 0;
        for (sequence, index, is_last) in [
            (1, 0, true),
            (2, 0, false),
            (2, 1, false),
            (2, u32::MAX, true),
            (3, 0, true),
            (1 << 56, 0, true),
        ] {
            let number = number(sequence, index, is_last);
            let text = number.to_string();
            let value: u128 = text.parse().unwrap();
            assert!(value > before);
            before = value;
            assert_eq!(SequenceNumber::parse(&text), Some(number));
        }
        for text in ["", "+1", "-1", "1.0", "LATEST", &"9".repeat(40)] {
            assert_eq!(SequenceNumber::parse(text), None, "{text}");
        }
    }

    #[test]
    fn behind_the_last_event_of_a_commit_comes_the_next_commit() {
        let store = Uuid::from_u128(7);
        let place = |number: SequenceNumber| number.after(store).unwrap().0;
        assert_eq!(place(number(5, 2, true)).sequence.get(), 6);
        assert_eq!(place(number(5, 2, true)).index, 0);
        assert_eq!(place(number(5, 2, false)).sequence.get(), 5);
        assert_eq!(place(number(5, 2, false)).index, 3);
        assert_eq!(number(5, 2, false).at(store).unwrap().0.index, 2);
        assert_eq!(number(5, 2, false).at(Uuid::from_u128(8)), None);
    }
}
