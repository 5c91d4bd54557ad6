//! Where a reader of a stream is: between two events, the next of which may not exist yet.

use std::fmt;

use syncline_engine::{Cursor, Engine, Sequence};
use uuid::Uuid;

use super::{Event, EventId};

/// Before an event: this one and all behind it are still to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place(pub EventId);

impl Place {
    /// Before the first event of the commits behind a cursor.
    #[must_use]
    pub fn behind(cursor: Cursor) -> Self {
        Self(EventId {
            store: cursor.store,
            sequence: cursor.sequence.next(),
            index: 0,
        })
    }

    /// Before the first event of the commit that a cursor is behind.
    #[must_use]
    pub fn before(cursor: Cursor) -> Self {
        Self(EventId {
            store: cursor.store,
            sequence: cursor.sequence,
            index: 0,
        })
    }

    /// Right behind an event.
    #[must_use]
    pub fn after(event: &Event) -> Self {
        Self::after_id(event.id, event.is_last)
    }

    /// Right behind the event of an id, which may be the last one of its commit.
    #[must_use]
    pub fn after_id(id: EventId, is_last: bool) -> Self {
        Self(match is_last {
            true => EventId {
                sequence: id.sequence.next(),
                index: 0,
                ..id
            },
            false => EventId {
                index: id.index.saturating_add(1),
                ..id
            },
        })
    }

    /// The cursor behind which the commit of the next event comes.
    #[must_use]
    pub fn cursor(self) -> Cursor {
        Cursor {
            store: self.0.store,
            sequence: Sequence::new(self.0.sequence.get().saturating_sub(1)),
        }
    }

    /// The later one of two places in one store.
    #[must_use]
    pub fn or_later(self, other: Self) -> Self {
        let order = |place: Self| (place.0.sequence, place.0.index);
        if order(other) > order(self) {
            other
        } else {
            self
        }
    }

    /// Whether an event is still to be read.
    #[must_use]
    pub fn is_before(self, event: &Event) -> bool {
        (self.0.sequence, self.0.index) <= (event.id.sequence, event.id.index)
    }

    /// Before the oldest event that a store still holds.
    #[must_use]
    pub fn oldest(engine: &Engine) -> Self {
        Self::behind(engine.tail())
    }

    /// Behind all that a store holds now.
    #[must_use]
    pub fn newest(engine: &Engine) -> Self {
        Self::behind(engine.head())
    }

    /// Reads what [`Place`] shows as text; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.rsplitn(3, '-');
        let (index, sequence, store) = (parts.next()?, parts.next()?, parts.next()?);
        let place = Self(EventId {
            store: Uuid::try_parse(store).ok()?,
            sequence: Sequence::new(sequence.parse().ok()?),
            index: index.parse().ok()?,
        });
        (place.to_string() == text).then_some(place)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_is_written_and_in_no_other_way() {
        let id = EventId {
            store: Uuid::from_u128(7),
            sequence: Sequence::new(70),
            index: 3,
        };
        let text = "00000000-0000-0000-0000-000000000007-70-3";
        assert_eq!(Place(id).to_string(), text);
        assert_eq!(Place::parse(text), Some(Place(id)));
        for other in [
            "",
            "70-3",
            "00000000-0000-0000-0000-000000000007-70",
            "00000000-0000-0000-0000-000000000007-70-03",
            "00000000-0000-0000-0000-000000000007-+70-3",
            "00000000000000000000000000000007-70-3",
            "00000000-0000-0000-0000-000000000007-70-3 ",
            "00000000-0000-0000-0000-000000000007-70-4294967296",
        ] {
            assert_eq!(Place::parse(other), None, "{other}");
        }
        let next = Place::after_id(id, false).0;
        assert_eq!((next.sequence.get(), next.index), (70, 4));
        let next = Place::after_id(id, true).0;
        assert_eq!((next.sequence.get(), next.index), (71, 0));
    }
}
