//! All keys that belong to an identity or a pool, for deleting them.
//!
//! Whoever adds a kind of key adds it to the list below that it belongs to.

use syncline_engine::{MetadataKey, Reader};
use uuid::Uuid;

use super::{
    BULK_PUBLISH, CONFIGURATION, DEVICE, DOOMED, EVENTS, FORMER, IDENTITY, LOGIN, MERGED,
    PRINCIPAL_TAGS, PUBLISHING, ROLES, SESSIONS, STREAM, STREAM_CURSOR, SUBSCRIBERS, home_key,
    identity_key, key,
};

/// Kinds whose keys go on with the uuids of a pool and an identity.
const OF_IDENTITIES: [u8; 3] = [DEVICE, SUBSCRIBERS, MERGED];
/// Kinds whose keys go on with the uuid of a pool, beside those of its identities.
const OF_POOLS: [u8; 12] = [
    CONFIGURATION,
    EVENTS,
    BULK_PUBLISH,
    STREAM,
    STREAM_CURSOR,
    PUBLISHING,
    SESSIONS,
    ROLES,
    PRINCIPAL_TAGS,
    LOGIN,
    FORMER,
    IDENTITY,
];

/// The key that tells that a pool is deleted but not all that it had. Whatever it holds means
/// nothing.
#[must_use]
pub fn doomed_key(pool: Uuid) -> MetadataKey {
    key(DOOMED, &[pool.as_bytes()])
}

/// All keys of an identity but those of its logins, which its record names. They are to be deleted
/// in one proposal together with its datasets. Their number is bounded by the datasets and devices
/// that an identity may have, 30,000 at most. Never reads the disk.
#[must_use]
pub fn keys_of_identity(reader: &Reader<'_>, pool: Uuid, identity: Uuid) -> Vec<MetadataKey> {
    let mut keys = vec![identity_key(pool, identity), home_key(identity)];
    keys.extend(keys_behind_identity(reader, pool, identity));
    keys
}

/// Those of [`keys_of_identity`] that came to be beside the identity itself: devices,
/// subscriptions, reports of merges.
#[must_use]
pub fn keys_behind_identity(reader: &Reader<'_>, pool: Uuid, identity: Uuid) -> Vec<MetadataKey> {
    let mut keys = Vec::new();
    for kind in OF_IDENTITIES {
        let prefix = key(kind, &[pool.as_bytes(), identity.as_bytes()]);
        collect(reader, &prefix, usize::MAX, &mut keys);
    }
    keys
}

/// The next keys of a pool, its own apart: about `limit` of them, none if nothing is left. Each
/// answer is to be deleted in one proposal, since some keys are only found by others.
///
/// A pool is deleted in steps that a crash may come between. The first proposal deletes the
/// datasets (`Wish::DeletePool`) and the [pool's key](super::pool_key), which makes all else
/// unreachable at once, and puts the [`doomed_key`]. Later ones delete what this function gives,
/// and the last one the [`doomed_key`]. A start finds the pools to go on with under [`DOOMED`].
/// Never reads the disk.
#[must_use]
pub fn keys_of_pool(reader: &Reader<'_>, pool: Uuid, limit: usize) -> Vec<MetadataKey> {
    let mut keys = Vec::new();
    for kind in OF_IDENTITIES.into_iter().chain(OF_POOLS) {
        let prefix = key(kind, &[pool.as_bytes()]);
        collect(reader, &prefix, limit, &mut keys);
    }
    let homes: Vec<_> = keys.iter().filter_map(home_of).collect();
    keys.extend(homes);
    keys
}

/// What all keys of a pool begin with, its own apart, and the keys that find it from its
/// [identities](home_of).
#[must_use]
pub fn prefixes_of_pool(pool: Uuid) -> Vec<MetadataKey> {
    let kinds = OF_POOLS.into_iter().chain(OF_IDENTITIES);
    kinds.map(|kind| key(kind, &[pool.as_bytes()])).collect()
}

fn collect(reader: &Reader<'_>, prefix: &MetadataKey, limit: usize, keys: &mut Vec<MetadataKey>) {
    let mut after = None;
    while keys.len() < limit {
        let found = reader.scan_keys(prefix.as_bytes(), after.as_ref(), limit - keys.len());
        let Some((last, _)) = found.last() else {
            return;
        };
        after = Some(last.clone());
        keys.extend(found.into_iter().map(|(key, _)| key));
    }
}

/// The key that finds the pool of the identity that a key is of.
#[must_use]
pub fn home_of(key: &MetadataKey) -> Option<MetadataKey> {
    let [IDENTITY | FORMER, rest @ ..] = key.as_bytes() else {
        return None;
    };
    let identity = Uuid::from_slice(rest.get(16..)?).ok()?;
    Some(home_key(identity))
}
