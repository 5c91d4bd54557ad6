//! What a developer sets for a pool beside the pool itself: push, streams, functions, and the last
//! bulk publish.

use bincode::{Decode, Encode};
use syncline_engine::MetadataKey;
use uuid::Uuid;

use super::{BULK_PUBLISH, CONFIGURATION, EVENTS, STREAM, key};

/// The key of a pool's push and stream configuration.
#[must_use]
pub fn configuration_key(pool: Uuid) -> MetadataKey {
    key(CONFIGURATION, &[pool.as_bytes()])
}

/// The key of a pool's functions.
#[must_use]
pub fn events_key(pool: Uuid) -> MetadataKey {
    key(EVENTS, &[pool.as_bytes()])
}

/// The key of a pool's bulk publish.
#[must_use]
pub fn bulk_publish_key(pool: Uuid) -> MetadataKey {
    key(BULK_PUBLISH, &[pool.as_bytes()])
}

/// The key that tells where a pool's stream begins.
#[must_use]
pub fn stream_key(pool: Uuid) -> MetadataKey {
    key(STREAM, &[pool.as_bytes()])
}

/// The push and stream configuration of a pool.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct ConfigurationRecord {
    /// Push synchronization; `None` if it was never set, or was cleared.
    pub push: Option<Push>,
    /// Streams; `None` if they were never set, or were cleared.
    pub streams: Option<Streams>,
}

/// Push synchronization, as the developer wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct Push {
    /// Names of the platform applications.
    pub applications: Vec<String>,
    /// The role for using them.
    pub role: Option<String>,
}

impl ConfigurationRecord {
    /// The streams, if they are in use.
    #[must_use]
    pub fn streaming(&self) -> Option<&Streams> {
        let streams = self.streams.as_ref();
        streams.filter(|streams| streams.status == Some(StreamingStatus::Enabled))
    }
}

/// Streams, as the developer wrote them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct Streams {
    /// The stream.
    pub name: Option<String>,
    /// The role for writing to it.
    pub role: Option<String>,
    /// Whether it is in use; not, if never said.
    pub status: Option<StreamingStatus>,
    /// Why the server stopped streaming.
    pub disabled_reason: Option<String>,
}

/// Whether a stream is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum StreamingStatus {
    /// It is.
    Enabled,
    /// It is not.
    Disabled,
}

impl StreamingStatus {
    /// The names, in the order of the variants.
    pub const NAMES: [&'static str; 2] = ["ENABLED", "DISABLED"];

    /// The name in the API model.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Enabled => "ENABLED",
            Self::Disabled => "DISABLED",
        }
    }

    /// The status of a name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Enabled, Self::Disabled]
            .into_iter()
            .find(|status| status.name() == name)
    }
}

/// Where the stream of a pool begins: written when it is enabled, in the same commit.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct StreamRecord {
    /// The uuid of the store in which it was enabled. In a store that was restored from it the
    /// stream begins with all that the feed holds.
    pub store: [u8; 16],
    /// The last commit before; the stream tells what came after it.
    pub since: u64,
    /// When it was enabled, in milliseconds since 1970.
    pub enabled_ms: u64,
}

/// The functions of a pool.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct EventsRecord {
    /// What runs before records are stored.
    pub sync_trigger: String,
}

/// The last bulk publish of a pool.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct BulkPublishRecord {
    /// How far it is.
    pub status: BulkPublishStatus,
    /// When it began, in milliseconds since 1970.
    pub started_ms: u64,
    /// When it ended, in milliseconds since 1970.
    pub ended_ms: Option<u64>,
    /// Why it failed.
    pub failure: Option<String>,
}

/// How far a bulk publish is. One that was never asked for has no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum BulkPublishStatus {
    /// It runs.
    InProgress,
    /// All was published.
    Succeeded,
    /// Some or all was not.
    Failed,
}
