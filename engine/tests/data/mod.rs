//! Pools, identities and datasets by number, and changes of them.

#![allow(clippy::unwrap_used, dead_code, reason = "each test uses some of this")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use syncline_engine::{
    DatasetId, DatasetName, Engine, Expected, IdentityId, Listing, MetadataKey, MetadataValue,
    ModifiedBy, Options, Patch, PatchOp, PoolId, RecordKey, RecordValue, SyncCount, Timestamp,
    Wish,
};

/// So little of everything that all of it happens all the time, and datasets are read from the
/// log; nothing goes on by itself, and the clock goes by the number of looks at it.
pub fn tiny() -> Options {
    let clock = AtomicU64::new(1_700_000_000_000);
    Options {
        segment_bytes: 64 << 10,
        cache_bytes: 64 << 10,
        checkpoint_bytes: 48 << 10,
        feed_retention_bytes: 100 << 10,
        clock: Arc::new(move || Timestamp::new(clock.fetch_add(7, Ordering::Relaxed)).unwrap()),
        threads: false,
        ..Options::default()
    }
}

pub fn pool(number: u64) -> PoolId {
    PoolId::parse(&format!("us-east-1:0b6b4a3e-71c4-4b2e-9b4a-{number:012x}")).unwrap()
}

pub fn identity(number: u64) -> IdentityId {
    IdentityId::parse(&format!("us-east-1:5b1bd5d6-9c21-4a8f-8a60-{number:012x}")).unwrap()
}

/// A dataset of an identity of the first pool.
pub fn dataset(identity: u64, name: &str) -> DatasetId {
    dataset_of(0, identity, name)
}

pub fn dataset_of(pool_number: u64, identity_number: u64, name: &str) -> DatasetId {
    DatasetId {
        pool: pool(pool_number),
        identity: identity(identity_number),
        name: DatasetName::parse(name).unwrap(),
    }
}

/// What a client asks for that has seen the record at a count: a value, or that it be removed.
pub fn patch(key: &str, seen: u64, value: Option<&str>) -> Patch {
    Patch {
        key: RecordKey::parse(key).unwrap(),
        op: value.map_or(PatchOp::Remove, |value| {
            PatchOp::Replace(RecordValue::parse(value).unwrap())
        }),
        sync_count: SyncCount::new(seen).unwrap(),
        device_modified: None,
    }
}

/// Patches of a client that has seen everything.
pub fn patches(
    engine: &Engine,
    dataset: &DatasetId,
    changes: impl IntoIterator<Item = (String, Option<String>)>,
) -> Vec<Patch> {
    let listed = engine.reader().list(dataset, &Listing::default()).unwrap();
    let seen: BTreeMap<_, _> = listed
        .records()
        .map(|record| (record.key.as_str(), record.sync_count.get()))
        .collect();
    let changes = changes.into_iter();
    changes
        .map(|(key, value)| {
            let seen = seen.get(key.as_str()).copied().unwrap_or(0);
            patch(&key, seen, value.as_deref())
        })
        .collect()
}

/// An update by the owner.
pub fn update(dataset: &DatasetId, patches: Vec<Patch>) -> Wish {
    Wish::Update {
        dataset: dataset.clone(),
        patches,
        modified_by: ModifiedBy::Owner,
    }
}

/// A metadata value in the place of whatever is there.
pub fn put(key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Wish {
    Wish::PutMetadata {
        key: MetadataKey::new(key.into()).unwrap(),
        value: MetadataValue::new(value.into()).unwrap(),
        expected: Expected::Anything,
    }
}
