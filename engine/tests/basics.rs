//! The public engine on a real disk: what every user does first.

#![allow(clippy::unwrap_used)]

mod data;

use std::sync::Arc;

use data::{dataset, patch, put, update};
use syncline_engine::{
    DatasetId, Engine, Error, Expected, FeedChange, Listing, MetadataKey, MetadataValue,
    ModifiedBy, Options, Outcome, Patch, Refusal, SyncCount, Wish,
};

fn replace(key: &str, value: &str, seen: u64) -> Patch {
    patch(key, seen, Some(value))
}

fn remove(key: &str, seen: u64) -> Patch {
    patch(key, seen, None)
}

fn count(value: u64) -> SyncCount {
    SyncCount::new(value).unwrap()
}

fn options() -> Options {
    Options {
        segment_bytes: 1 << 20,
        cache_bytes: 4 << 20,
        ..Options::default()
    }
}

fn all(engine: &Engine, dataset: &DatasetId) -> Vec<(String, Option<String>, u64)> {
    let listed = engine.reader().list(dataset, &Listing::default()).unwrap();
    listed
        .records()
        .map(|r| {
            let value = r.value.map(|value| value.to_string());
            (r.key.to_string(), value, r.sync_count.get())
        })
        .collect()
}

#[test]
fn what_was_acknowledged_is_there_after_reopening() {
    let directory = tempfile::tempdir().unwrap();
    let settings = dataset(1, "settings");
    let engine = Engine::open(directory.path(), options()).unwrap();
    assert!(engine.recovery().created);
    engine
        .commit(update(
            &settings,
            vec![replace("a", "1", 0), replace("b", "2", 0)],
        ))
        .unwrap();
    engine
        .commit(update(
            &settings,
            vec![replace("a", "3", 1), remove("b", 1)],
        ))
        .unwrap();
    let before = all(&engine, &settings);
    assert_eq!(
        before,
        [("a".into(), Some("3".into()), 2), ("b".into(), None, 2)]
    );
    engine.close().unwrap();
    drop(engine);

    let engine = Engine::open(directory.path(), options()).unwrap();
    assert!(engine.recovery().clean);
    // Closing wrote a checkpoint, so nothing was to be replayed.
    assert_eq!(engine.recovery().checkpoint, Some(1));
    assert_eq!(engine.recovery().commits, 0);
    assert_eq!(all(&engine, &settings), before);
    let usage = engine
        .reader()
        .identity(&settings.pool, &settings.identity)
        .unwrap();
    assert_eq!((usage.datasets, usage.bytes), (1, 2));
}

#[test]
fn a_stale_count_is_named_and_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let settings = dataset(1, "settings");
    let engine = Engine::open(directory.path(), options()).unwrap();
    engine
        .commit(update(&settings, vec![replace("a", "1", 0)]))
        .unwrap();
    let refused = engine
        .commit(update(
            &settings,
            vec![replace("new", "x", 0), replace("a", "2", 0)],
        ))
        .unwrap_err();
    assert_eq!(refused.to_string(), "Current SyncCount for: a is: 1 not: 0");
    assert_eq!(all(&engine, &settings), [("a".into(), Some("1".into()), 1)]);
}

#[test]
fn a_deleted_dataset_keeps_its_count_and_tells_who_comes_back() {
    let directory = tempfile::tempdir().unwrap();
    let settings = dataset(1, "settings");
    let engine = Engine::open(directory.path(), options()).unwrap();
    engine
        .commit(update(&settings, vec![replace("a", "1", 0)]))
        .unwrap();
    let wish = Wish::DeleteDataset {
        dataset: settings.clone(),
        modified_by: ModifiedBy::Owner,
    };
    let receipt = engine.commit(wish.clone()).unwrap();
    let Outcome::DeletedDataset(info) = &receipt.outcomes[0] else {
        panic!("{receipt:?}")
    };
    assert_eq!((info.records, info.bytes), (1, 2));
    assert!(matches!(
        engine.commit(wish),
        Err(Error::Refusal(Refusal::NoSuch(_)))
    ));

    let since = |since| Listing {
        since: count(since),
        ..Listing::default()
    };
    let listed = engine.reader().list(&settings, &since(1)).unwrap();
    assert!(listed.dataset.is_none() && listed.deleted_since);
    assert_eq!(listed.sync_count, count(2));
    assert!(
        !engine
            .reader()
            .list(&settings, &since(0))
            .unwrap()
            .deleted_since
    );
    // A device that knew the removed record may not resurrect it.
    let stale = engine
        .commit(update(&settings, vec![replace("a", "1", 1)]))
        .unwrap_err();
    assert_eq!(stale.to_string(), "Current SyncCount for: a is: 0 not: 1");
    engine
        .commit(update(&settings, vec![replace("b", "1", 2)]))
        .unwrap();
    let listed = engine.reader().list(&settings, &since(1)).unwrap();
    assert!(listed.deleted_since && listed.dataset.is_some());
    assert_eq!(listed.records().len(), 1);
}

#[test]
fn the_feed_tells_each_commit_once_and_wakes_who_waits() {
    let directory = tempfile::tempdir().unwrap();
    let engine = Engine::open(directory.path(), options()).unwrap();
    let mut feed = engine.feed(engine.head()).unwrap();
    assert!(feed.read().unwrap().is_empty());
    let waiting = {
        let feed = engine.feed(engine.head()).unwrap();
        std::thread::spawn(move || feed.wait(std::time::Duration::from_secs(60)))
    };
    for round in 0..3 {
        let key = format!("k{round}");
        engine
            .commit(update(
                &dataset(7, "scores"),
                vec![replace(&key, "v", round)],
            ))
            .unwrap();
    }
    assert!(waiting.join().unwrap());
    let commits = feed.read().unwrap();
    let keys: Vec<_> = commits
        .iter()
        .flat_map(|commit| &commit.changes)
        .map(|change| match change {
            FeedChange::Updated { records, .. } => records
                .iter()
                .map(|r| r.key.to_string())
                .collect::<Vec<_>>()
                .join(","),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(keys, ["k0", "k1", "k2"]);
    assert_eq!(feed.cursor(), engine.head());
}

#[test]
fn the_feed_reads_in_steps_of_bounded_cost_that_always_move() {
    let directory = tempfile::tempdir().unwrap();
    let engine = Engine::open(directory.path(), options()).unwrap();
    for number in 0..40 {
        for round in 0..10 {
            engine.commit(put(*b"key", vec![round; 5000])).unwrap();
        }
        let patches = vec![replace("key", "value", number)];
        engine.commit(update(&dataset(1, "d"), patches)).unwrap();
    }
    let mut feed = engine.feed(engine.tail()).unwrap();
    let all: Vec<_> = feed.commits().map(Result::unwrap).collect();
    assert_eq!(all.len(), 40);
    for log_bytes_max in [0, 5000, 100_000, u64::MAX] {
        let (mut found, mut steps) = (Vec::new(), 0);
        let mut feed = engine.feed(engine.tail()).unwrap();
        while feed.cursor() != engine.head() {
            let before = feed.cursor().sequence;
            let told = feed.read_within(log_bytes_max).unwrap();
            let moved = feed.cursor().sequence.get() - before.get();
            // A put takes more than 5,000 bytes, and the one that passes the bound is the last.
            assert!(moved >= 1 && moved <= log_bytes_max / 500 + 2, "{moved}");
            found.extend(told);
            steps += 1;
            // A new feed at the same cursor moves just so.
            feed = engine.feed(feed.cursor()).unwrap();
        }
        assert_eq!(found, all, "{log_bytes_max}");
        assert!(steps > 1 || log_bytes_max == u64::MAX);
    }
}

#[test]
fn metadata_changes_on_an_expected_version_only_and_together_with_datasets() {
    let directory = tempfile::tempdir().unwrap();
    let engine = Engine::open(directory.path(), options()).unwrap();
    let key = MetadataKey::new(*b"pool/1").unwrap();
    let put = |value: &'static [u8], expected| Wish::PutMetadata {
        key: key.clone(),
        value: MetadataValue::new(value).unwrap(),
        expected,
    };
    let first = engine.commit(put(b"one", Expected::Nothing)).unwrap();
    let again = engine.commit(put(b"two", Expected::Nothing));
    assert!(
        matches!(again, Err(Error::Refusal(Refusal::Unexpected { .. }))),
        "{again:?}"
    );
    let mixed = syncline_engine::Proposal {
        wishes: vec![
            put(b"two", Expected::Version(first.sequence)),
            update(&dataset(1, "settings"), vec![replace("a", "1", 0)]),
        ],
        ..Default::default()
    };
    engine.commit(mixed).unwrap();
    let found = engine.reader().metadata(&key).unwrap().unwrap();
    assert_eq!(found.value.as_bytes(), b"two");
    assert_eq!(engine.reader().scan_keys(b"pool/", None, 10).len(), 1);
    assert_eq!(all(&engine, &dataset(1, "settings")).len(), 1);
}

#[test]
fn concurrent_writers_lose_no_update() {
    let directory = tempfile::tempdir().unwrap();
    let engine = Engine::open(directory.path(), options()).unwrap();
    let counter = Arc::new(dataset(1, "counter"));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..25 {
                    increment(&engine, &counter);
                }
            });
        }
    });
    assert_eq!(
        all(&engine, &counter),
        [("n".into(), Some("200".into()), 200)]
    );
    assert!(engine.stats().batches <= 200);
}

fn increment(engine: &Engine, counter: &DatasetId) {
    loop {
        let listed = engine.reader().list(counter, &Listing::default()).unwrap();
        let (seen, value) = listed.records().next().map_or((0, 0), |record| {
            (
                record.sync_count.get(),
                record.value.unwrap().as_str().parse::<u64>().unwrap(),
            )
        });
        let patch = replace("n", &(value + 1).to_string(), seen);
        match engine.commit(update(counter, vec![patch])) {
            Ok(_) => return,
            Err(Error::Refusal(Refusal::Conflict { .. })) => {}
            Err(other) => panic!("{other}"),
        }
    }
}

#[test]
fn a_second_opener_is_told_who_holds_the_directory() {
    let directory = tempfile::tempdir().unwrap();
    let _engine = Engine::open(directory.path(), options()).unwrap();
    let Err(refused) = Engine::open(directory.path(), options()) else {
        panic!("opened twice")
    };
    assert!(
        refused
            .to_string()
            .contains(&format!("pid {}", std::process::id())),
        "{refused}"
    );
}
