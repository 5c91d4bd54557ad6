//! Which datasets came from a merge, and under which name they are reported.
//!
//! A listing finds the names in the keys alone, without reading a value.

use bincode::{Decode, Encode};
use sha2::{Digest, Sha256};
use syncline_engine::{DatasetName, MetadataKey};
use uuid::Uuid;

use super::{MERGED, key};

/// Bytes of a key before the dataset's own name: the kind, two ids and half a hash.
const HEAD_BYTES: usize = 1 + 16 + 16 + 16;

/// A dataset that came from a merge and was not deleted since.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct MergedRecord {
    /// The dataset whose listing tells of it, which may not exist.
    pub root: String,
    /// The uuid of the identity that it belonged to.
    pub identity: [u8; 16],
}

/// The key of a merged dataset.
#[must_use]
pub fn merged_key(
    pool: Uuid,
    identity: Uuid,
    root: &DatasetName,
    name: &DatasetName,
) -> MetadataKey {
    let (hash, name) = (hash(root), name.as_str().as_bytes());
    key(MERGED, &[pool.as_bytes(), identity.as_bytes(), &hash, name])
}

/// What the keys of all merged datasets of an identity begin with.
#[must_use]
pub fn merged_prefix(pool: Uuid, identity: Uuid) -> Vec<u8> {
    let ids = [pool.as_bytes().as_slice(), identity.as_bytes().as_slice()];
    [&[MERGED], ids.concat().as_slice()].concat()
}

/// What the keys of the merged datasets begin with that one dataset's listing tells of.
#[must_use]
pub fn reported_prefix(pool: Uuid, identity: Uuid, root: &DatasetName) -> Vec<u8> {
    let mut prefix = merged_prefix(pool, identity);
    prefix.extend_from_slice(&hash(root));
    prefix
}

/// The name of the merged dataset that a key is of.
#[must_use]
pub fn merged_name(key: &MetadataKey) -> Option<&str> {
    let [MERGED, ..] = key.as_bytes() else {
        return None;
    };
    std::str::from_utf8(key.as_bytes().get(HEAD_BYTES..)?).ok()
}

fn hash(root: &DatasetName) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&Sha256::digest(root.as_str())[..16]);
    half
}
