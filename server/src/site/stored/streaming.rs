//! How far a pool's stream and its bulk publish are.

use bincode::{Decode, Encode};
use syncline_engine::{Cursor, MetadataKey, Sequence};
use uuid::Uuid;

use super::{LINKS, PUBLISHING, STREAM_CURSOR, key};

/// The key of a pool's place in its stream.
#[must_use]
pub fn stream_cursor_key(pool: Uuid) -> MetadataKey {
    key(STREAM_CURSOR, &[pool.as_bytes()])
}

/// The key of a pool's bulk publish while it runs.
#[must_use]
pub fn publishing_key(pool: Uuid) -> MetadataKey {
    key(PUBLISHING, &[pool.as_bytes()])
}

/// The key of what links to oversize events lead to.
#[must_use]
pub fn links_key() -> MetadataKey {
    key(LINKS, &[])
}

/// Up to where a pool's changes have reached the sink of its stream. Kept when it is disabled.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct StreamCursorRecord {
    /// The stream, as the pool's configuration named it.
    pub stream: String,
    /// The store that the sequence is of.
    pub store: [u8; 16],
    /// The last commit whose changes the sink has.
    pub sequence: u64,
    /// Which enabling it belongs to: when that was, in milliseconds since 1970.
    pub enabled_ms: u64,
    /// For how many milliseconds the sink took nothing while it was tried; `None`: it takes.
    pub failing_ms: Option<u64>,
}

impl StreamCursorRecord {
    /// The place in the feed.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        Cursor {
            store: Uuid::from_bytes(self.store),
            sequence: Sequence::new(self.sequence),
        }
    }
}

/// How far a bulk publish is that runs; deleted with its end.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct PublishingRecord {
    /// The stream that it is for, as the pool's configuration named it when it began.
    pub stream: String,
    /// Which enabling it belongs to: when that was, in milliseconds since 1970.
    pub enabled_ms: u64,
    /// The store in which it began.
    pub store: [u8; 16],
    /// The dataset that was written last: its identity and its name.
    pub after: Option<(String, String)>,
    /// The commit that wrote the last one, once all are written and only the sink is waited for.
    pub written: Option<u64>,
    /// Datasets written.
    pub datasets: u64,
    /// Bytes of keys and values of them.
    pub bytes: u64,
}

/// For which links to oversize events the log is held.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct LinksRecord {
    /// The store that the sequences are of.
    pub store: [u8; 16],
    /// The oldest commit to which links lead, by the end of the hour in which they end, in
    /// milliseconds since 1970.
    pub oldest: Vec<(u64, u64)>,
}
