//! Identities that were merged into another one: remembered by name, with nothing left in them.

use bincode::{Decode, Encode};
use syncline_engine::MetadataKey;
use uuid::Uuid;

use super::{FORMER, key};

/// The key of an identity that was merged into another one.
#[must_use]
pub fn former_key(pool: Uuid, identity: Uuid) -> MetadataKey {
    key(FORMER, &[pool.as_bytes(), identity.as_bytes()])
}

/// An identity that was merged into another one. Nobody can act as it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct FormerRecord {
    /// When it came to be, in milliseconds since 1970.
    pub created_ms: u64,
    /// When it was merged.
    pub merged_ms: u64,
    /// The uuid of the identity that has its data and logins.
    pub into: [u8; 16],
}
