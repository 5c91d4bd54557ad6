//! Directories that earlier versions left open as they were, for ever.
//!
//! `golden/` holds each with a listing of all that was in it, as JSON, made by the version that
//! wrote it. `v1-clean` was closed. `v1-killed` was not: its last segment is as long as it was
//! made, the last batch is torn, and a file that was being made ready lies about. Both have
//! several segments, datasets whose newest frame links to older ones, removed records, deleted
//! datasets (of one identity more than it remembers by name), identities and pools, copies, notes
//! and metadata. `v2-clean` and `v2-killed` were made of the former by the version that brought
//! checkpoints and cold segments, with commits on what lies there.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use syncline_engine::{
    DatasetId, DatasetName, Engine, Expected, FeedChange, FeedCommit, IdentityId, Listing,
    MetadataKey, MetadataValue, ModifiedBy, Options, Patch, PatchOp, PoolId, Proposal, Reader,
    Record, RecordKey, RecordRef, RecordValue, Sequence, SyncCount, Text, Timestamp, Wish,
};
use syncline_tests::workspace;

/// An hour after the first commit of each of them, so that nothing is old by the engine's clock.
const NOW_MS: u64 = 1_767_225_600_000 + 3_600_000;
/// More than there is of anything.
const ALL: usize = 10_000;

fn options() -> Options {
    Options {
        segment_bytes: 64 << 10,
        cache_bytes: 1 << 20,
        clock: Arc::new(|| Timestamp::new(NOW_MS).unwrap()),
        ..Options::default()
    }
}

/// Copies a golden directory, since opening writes.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for found in fs::read_dir(from).unwrap() {
        let found = found.unwrap();
        let to = to.join(found.file_name());
        if found.file_type().unwrap().is_dir() {
            copy(&found.path(), &to);
        } else {
            fs::copy(found.path(), to).unwrap();
        }
    }
}

/// All that a store holds, as its reader and its feed tell it.
fn describe(engine: &Engine) -> Value {
    let reader = engine.reader();
    let (feed, told) = history(engine);
    let pools: Vec<_> = reader
        .pools(None, ALL)
        .into_iter()
        .map(|pool| {
            let identities = reader.identities(&pool.pool, None, ALL);
            let identities: Vec<_> = identities
                .iter()
                .map(|identity| describe_identity(&reader, &pool.pool, &identity.identity))
                .collect();
            json!({
                "pool": pool.pool.as_str(),
                "bytes": pool.bytes,
                "modified": pool.modified.get(),
                "identities": identities,
            })
        })
        .collect();
    let gone: Vec<_> = told
        .iter()
        .filter(|dataset| reader.dataset(dataset).unwrap().is_none())
        .map(|dataset| describe_gone(&reader, dataset))
        .collect();
    let metadata: Vec<_> = reader
        .scan(b"", None, ALL)
        .unwrap()
        .iter()
        .map(|found| {
            let key = hex(found.key.as_bytes());
            json!([key, found.version.get(), hex(found.value.as_bytes())])
        })
        .collect();
    let stats = engine.stats();
    json!({
        "sequence": stats.sequence.get(),
        "totals": {
            "pools": stats.pools,
            "identities": stats.identities,
            "datasets": stats.datasets,
            "bytes": stats.bytes,
            "metadata": stats.metadata,
        },
        "pools": pools,
        "gone": gone,
        "metadata": metadata,
        "feed": feed,
    })
}

fn describe_identity(reader: &Reader<'_>, pool: &PoolId, identity: &IdentityId) -> Value {
    let usage = reader.identity(pool, identity).unwrap();
    let datasets: Vec<_> = reader
        .datasets(pool, identity, None, ALL)
        .unwrap()
        .into_iter()
        .map(|info| {
            let (pool, identity, name) = (*pool, *identity, info.name.clone());
            let dataset = DatasetId {
                pool,
                identity,
                name,
            };
            let listed = reader.list(&dataset, &Listing::default()).unwrap();
            assert_eq!(listed.dataset.as_ref(), Some(&info));
            json!({
                "name": info.name.as_str(),
                "sync_count": info.sync_count.get(),
                "bytes": info.bytes,
                "live": info.records,
                "created": info.created.get(),
                "modified": info.modified.get(),
                "modified_by": modifier(&info.modified_by),
                "records": listed.records().map(|r| record(&r)).collect::<Vec<_>>(),
            })
        })
        .collect();
    json!({
        "identity": identity.as_str(),
        "bytes": usage.bytes,
        "modified": usage.modified.get(),
        "datasets": datasets,
    })
}

/// What is remembered of a dataset that was deleted, by itself or with its identity or pool: its
/// count, and that someone who knows an older one is told so.
fn describe_gone(reader: &Reader<'_>, dataset: &DatasetId) -> Value {
    let since = |since| {
        let since = Listing {
            since,
            ..Listing::default()
        };
        reader.list(dataset, &since).unwrap()
    };
    let listed = since(SyncCount::ZERO);
    assert_eq!(listed.records().len(), 0);
    let deleted = listed.sync_count > SyncCount::ZERO && since(count(1)).deleted_since;
    json!([dataset.to_string(), listed.sync_count.get(), deleted])
}

/// The feed as far as it reaches back, and the datasets that it names.
fn history(engine: &Engine) -> (Vec<Value>, BTreeSet<DatasetId>) {
    let mut feed = engine.feed(engine.tail()).unwrap();
    let (mut commits, mut datasets) = (Vec::new(), BTreeSet::new());
    loop {
        let read = feed.read().unwrap();
        if read.is_empty() {
            return (commits, datasets);
        }
        for commit in &read {
            let changes: Vec<_> = commit.changes.iter().map(change).collect();
            let (sequence, time) = (commit.cursor.sequence.get(), commit.time.get());
            commits.push(json!([
                sequence,
                time,
                hex(commit.note.as_bytes()),
                changes
            ]));
        }
        datasets.extend(read.iter().flat_map(named));
    }
}

fn named(commit: &FeedCommit) -> impl Iterator<Item = DatasetId> {
    commit.changes.iter().filter_map(|change| match change {
        FeedChange::Updated { dataset, .. } | FeedChange::DeletedDataset { dataset, .. } => {
            Some(dataset.clone())
        }
        FeedChange::Whole { .. }
        | FeedChange::DeletedIdentity { .. }
        | FeedChange::DeletedPool { .. } => None,
    })
}

fn change(change: &FeedChange) -> Value {
    match change {
        FeedChange::Updated {
            dataset,
            sync_count,
            modified_by,
            records,
        } => json!([
            "updated",
            dataset.to_string(),
            sync_count.get(),
            modifier(modified_by),
            records
                .iter()
                .map(|record| news(&record.to_record()))
                .collect::<Vec<_>>(),
        ]),
        FeedChange::DeletedDataset {
            dataset,
            sync_count,
            modified_by,
        } => {
            let by = modifier(modified_by);
            json!(["deleted dataset", dataset.to_string(), sync_count.get(), by])
        }
        FeedChange::DeletedIdentity { pool, identity, .. } => {
            json!(["deleted identity", pool.as_str(), identity.as_str()])
        }
        FeedChange::Whole { dataset, .. } => json!(["whole", dataset.to_string()]),
        FeedChange::DeletedPool { pool } => json!(["deleted pool", pool.as_str()]),
    }
}

fn record(record: &RecordRef<'_>) -> Value {
    let times = (record.modified.get(), record.device_modified.get());
    json!([
        record.key.as_str(),
        record.value.map(Text::as_str),
        record.sync_count.get(),
        times.0,
        times.1,
        record.modified_by.map(Text::as_str),
    ])
}

/// The rest of a record is in its dataset's listing.
fn news(record: &Record) -> Value {
    json!([
        record.key.as_str(),
        record.value.as_ref().map(RecordValue::as_str)
    ])
}

/// Nothing for the identity that owns the dataset.
fn modifier(modified_by: &ModifiedBy) -> Option<&str> {
    match modified_by {
        ModifiedBy::Owner => None,
        ModifiedBy::Other(name) => Some(name),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn count(value: u64) -> SyncCount {
    SyncCount::new(value).unwrap()
}

/// Says where two listings differ first, since all of them would fill a screen many times.
fn same(found: &Value, expected: &Value, place: &str) {
    match (found, expected) {
        (Value::Object(found), Value::Object(expected)) => {
            let keys = |map: &serde_json::Map<_, _>| map.keys().cloned().collect::<Vec<String>>();
            assert_eq!(keys(found), keys(expected), "{place}");
            for (key, found) in found {
                same(found, &expected[key], &format!("{place}.{key}"));
            }
        }
        (Value::Array(found), Value::Array(expected)) => {
            for (number, (found, expected)) in found.iter().zip(expected).enumerate() {
                same(found, expected, &format!("{place}[{number}]"));
            }
            assert_eq!(found.len(), expected.len(), "length of {place}");
        }
        _ => assert_eq!(found, expected, "{place}"),
    }
}

/// One commit that changes a dataset that was there, and metadata.
fn write(engine: &Engine, expected: &Value) {
    let identity = &expected["pools"][0]["identities"][0];
    let dataset = DatasetId {
        pool: PoolId::parse(expected["pools"][0]["pool"].as_str().unwrap()).unwrap(),
        identity: IdentityId::parse(identity["identity"].as_str().unwrap()).unwrap(),
        name: DatasetName::parse(identity["datasets"][0]["name"].as_str().unwrap()).unwrap(),
    };
    let patch = Patch {
        key: RecordKey::parse("written by the newest version").unwrap(),
        op: PatchOp::Replace(RecordValue::parse("and readable").unwrap()),
        sync_count: SyncCount::ZERO,
        device_modified: None,
    };
    let update = Wish::Update {
        dataset: dataset.clone(),
        patches: vec![patch],
        modified_by: ModifiedBy::Owner,
    };
    let metadata = Wish::PutMetadata {
        key: MetadataKey::new(*b"written by the newest version").unwrap(),
        value: MetadataValue::new(&b"and readable"[..]).unwrap(),
        expected: Expected::Nothing,
    };
    let proposal = Proposal {
        wishes: vec![update, metadata],
        ..Proposal::default()
    };
    let receipt = engine.commit(proposal).unwrap();
    let before = expected["sequence"].as_u64().unwrap();
    assert_eq!(receipt.sequence, Sequence::new(before).next());
    let info = engine.reader().dataset(&dataset).unwrap().unwrap();
    let before = identity["datasets"][0]["sync_count"].as_u64().unwrap();
    assert_eq!(info.sync_count.get(), before + 1);
}

fn check(name: &str, clean: bool, torn: bool) {
    let golden = workspace().join("tests/golden");
    let expected = fs::read_to_string(golden.join(name).with_extension("json")).unwrap();
    let expected: Value = serde_json::from_str(&expected).unwrap();
    let directory = tempfile::tempdir().unwrap();
    copy(&golden.join(name), directory.path());

    let engine = Engine::open(directory.path(), options()).unwrap();
    assert!(!engine.recovery().created);
    assert_eq!(engine.recovery().clean, clean);
    assert_eq!(engine.recovery().torn.is_some(), torn);
    same(&describe(&engine), &expected, name);
    drop(engine);

    // Opening may have rewritten something.
    let engine = Engine::open(directory.path(), options()).unwrap();
    same(&describe(&engine), &expected, name);
    write(&engine, &expected);
    let written = describe(&engine);
    drop(engine);
    let engine = Engine::open(directory.path(), options()).unwrap();
    assert!(engine.recovery().clean);
    same(&describe(&engine), &written, name);
}

#[test]
fn a_directory_of_the_first_format_opens() {
    check("v1-clean", true, false);
}

#[test]
fn a_directory_of_the_first_format_opens_after_a_kill() {
    check("v1-killed", false, true);
}

#[test]
fn a_directory_with_checkpoints_and_cold_segments_opens() {
    check("v2-clean", true, false);
}

#[test]
fn a_directory_with_checkpoints_and_cold_segments_opens_after_a_kill() {
    check("v2-killed", false, false);
}

#[test]
#[ignore = "makes the golden directories of this version of the format, which is done once"]
fn make_the_directories_of_this_version() {
    for name in ["v2-clean", "v2-killed"] {
        let golden = workspace().join("tests/golden");
        let directory = tempfile::tempdir().unwrap();
        copy(&golden.join("v1-clean"), directory.path());
        let options = Options {
            checkpoint_bytes: 32 << 10,
            feed_retention_bytes: 64 << 10,
            threads: false,
            ..options()
        };
        let engine = Engine::open(directory.path(), options).unwrap();
        engine.compact().unwrap();
        later_changes(&engine);
        assert!(engine.upkeep().retired > 0);
        let listing = serde_json::to_string(&describe(&engine)).unwrap();
        if name == "v2-clean" {
            engine.close().unwrap();
        }
        copy(directory.path(), &golden.join(name));
        fs::remove_file(golden.join(name).join("LOCK")).unwrap();
        fs::write(golden.join(name).with_extension("json"), listing).unwrap();
    }
}

/// Commits on what lies in cold segments, of the kinds that the first version did not write.
fn later_changes(engine: &Engine) {
    for pool in engine.reader().each_pool().collect::<Vec<_>>() {
        for identity in engine.reader().identities(&pool.pool, None, ALL) {
            let datasets = engine.reader().each_dataset(pool.pool, identity.identity);
            for (at, info) in datasets
                .collect::<Result<Vec<_>, _>>()
                .unwrap()
                .iter()
                .enumerate()
            {
                let dataset = DatasetId {
                    pool: pool.pool,
                    identity: identity.identity,
                    name: info.name.clone(),
                };
                engine
                    .commit(match at % 4 {
                        0 => Wish::Republish { dataset },
                        1 => Wish::Rewrite { dataset },
                        _ => Wish::Update {
                            dataset,
                            patches: vec![Patch {
                                key: RecordKey::parse("later").unwrap(),
                                op: PatchOp::Replace(RecordValue::parse("than v1").unwrap()),
                                sync_count: SyncCount::ZERO,
                                device_modified: None,
                            }],
                            modified_by: ModifiedBy::Owner,
                        },
                    })
                    .unwrap();
            }
        }
    }
}
