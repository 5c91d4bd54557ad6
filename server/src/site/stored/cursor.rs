//! How far a reader of the feed has come.

use bincode::{Decode, Encode};
use syncline_engine::{Cursor, MetadataKey, Sequence};
use uuid::Uuid;

use super::{PUSH_CURSOR, key};

/// The key of the place up to which everything was pushed.
#[must_use]
pub fn push_cursor_key() -> MetadataKey {
    key(PUSH_CURSOR, &[])
}

/// A place in the feed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct CursorRecord {
    /// The uuid of the store.
    pub store: [u8; 16],
    /// The last commit before it.
    pub sequence: u64,
}

impl From<Cursor> for CursorRecord {
    fn from(cursor: Cursor) -> Self {
        Self {
            store: cursor.store.into_bytes(),
            sequence: cursor.sequence.get(),
        }
    }
}

impl CursorRecord {
    /// The place, for the engine.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        Cursor {
            store: Uuid::from_bytes(self.store),
            sequence: Sequence::new(self.sequence),
        }
    }
}
