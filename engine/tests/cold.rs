//! A dataset reads the same whether its page is in memory or has to be put together from the
//! frames of the log, however it came to be.

#![allow(clippy::unwrap_used)]

mod data;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;
use syncline_engine::disk::SimDisk;
use syncline_engine::{
    DatasetId, Engine, Error, Listing, ModifiedBy, Options, Patch, PatchOp, Record, RecordKey,
    SyncCount, Timestamp, Wish,
};

const DAY_MS: u64 = 24 * 3600 * 1000;

fn open(disk: &SimDisk, cache_bytes: usize, clock: &Arc<AtomicU64>) -> Engine {
    let clock = Arc::clone(clock);
    let options = Options {
        cache_bytes,
        segment_bytes: 64 << 10,
        clock: Arc::new(move || Timestamp::new(clock.load(Ordering::Relaxed)).unwrap()),
        threads: false,
        ..Options::default()
    };
    Engine::open_on(Arc::new(disk.clone()), options).unwrap()
}

fn settings() -> DatasetId {
    data::dataset(1, "settings")
}

/// What a client that has listed everything would send.
#[derive(Clone, Debug)]
enum Step {
    /// Keys to write, with the length of the value, or to remove.
    Update(Vec<(u8, Option<u16>)>),
    Delete,
    Wait(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let value = prop_oneof![3 => (0u16..200).prop_map(Some), 1 => Just(None)];
    let step = prop_oneof![
        20 => prop::collection::btree_map(0u8..60, value, 1..6)
            .prop_map(|patches| Step::Update(patches.into_iter().collect())),
        1 => Just(Step::Delete),
        2 => (1u8..25).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 1..120)
}

fn list(engine: &Engine, listing: &Listing) -> Result<Vec<Record>, Error> {
    let listed = engine.reader().list(&settings(), listing)?;
    Ok(listed.records().map(|record| record.to_record()).collect())
}

fn update(engine: &Engine, patches: &[(u8, Option<u16>)]) -> Wish {
    let changes = patches.iter().map(|(key, length)| {
        let value = length.map(|length| "v".repeat(usize::from(length)));
        (format!("key-{key}"), value)
    });
    data::update(&settings(), data::patches(engine, &settings(), changes))
}

/// Everything that a reader can ask of a dataset.
fn answers(engine: &Engine) -> Vec<String> {
    let whole = engine
        .reader()
        .list(&settings(), &Listing::default())
        .unwrap();
    let mut answers = vec![format!(
        "{:?}",
        engine.reader().dataset(&settings()).unwrap()
    )];
    let top = whole.sync_count.get();
    for since in (0..=top).rev().take(20).chain([0, top / 2, top + 1]) {
        let since = SyncCount::new(since).unwrap();
        let mut listing = Listing {
            since,
            limit: 7,
            ..Listing::default()
        };
        loop {
            match engine.reader().list(&settings(), &listing) {
                Ok(listed) => {
                    let records: Vec<_> = listed.records().collect();
                    answers.push(format!(
                        "{since}: {} {:?} {records:?}",
                        listed.deleted_since, listed.dataset
                    ));
                    let Some(next) = listed.next else { break };
                    listing.after = Some(next);
                    listing.snapshot = Some(listed.snapshot);
                }
                Err(refusal) => {
                    answers.push(refusal.to_string());
                    break;
                }
            }
        }
    }
    answers
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(200)
    })]

    /// Among others: a purged tombstone once let an older frame show the removed record again.
    #[test]
    fn a_cold_dataset_reads_like_a_warm_one(steps in steps()) {
        let clock = Arc::new(AtomicU64::new(1_700_000_000_000));
        let (warm_disk, cold_disk) = (SimDisk::new(1), SimDisk::new(2));
        let warm = open(&warm_disk, 64 << 20, &clock);
        let cold = open(&cold_disk, 0, &clock);
        for step in steps {
            let wish = match step {
                Step::Update(patches) => update(&warm, &patches),
                Step::Delete => {
                    Wish::DeleteDataset { dataset: settings(), modified_by: ModifiedBy::Owner }
                }
                Step::Wait(days) => {
                    clock.fetch_add(u64::from(days) * DAY_MS, Ordering::Relaxed);
                    continue;
                }
            };
            let (one, other) = (warm.commit(wish.clone()), cold.commit(wish));
            match (one, other) {
                (Ok(one), Ok(other)) => prop_assert_eq!(one, other),
                (Err(one), Err(other)) => prop_assert_eq!(one.to_string(), other.to_string()),
                (one, other) => prop_assert!(false, "{:?} or {:?}", one, other),
            }
            prop_assert_eq!(list(&warm, &Listing::default()).unwrap(),
                list(&cold, &Listing::default()).unwrap());
        }
        prop_assert_eq!(answers(&warm), answers(&cold));
        drop(warm);
        let reopened = open(&warm_disk, 64 << 20, &clock);
        prop_assert_eq!(answers(&reopened), answers(&cold));
    }
}

#[test]
fn tombstones_are_purged_after_thirty_days_and_who_comes_later_gets_everything() {
    let clock = Arc::new(AtomicU64::new(1_700_000_000_000));
    let engine = open(&SimDisk::new(1), 1 << 20, &clock);
    engine
        .commit(update(&engine, &[(1, Some(5)), (2, Some(5))]))
        .unwrap();
    engine.commit(update(&engine, &[(1, None)])).unwrap();
    clock.fetch_add(29 * DAY_MS, Ordering::Relaxed);
    engine.commit(update(&engine, &[(3, Some(5))])).unwrap();
    assert_eq!(
        list(&engine, &Listing::default()).unwrap().len(),
        3,
        "29 days: it is kept"
    );
    clock.fetch_add(2 * DAY_MS + 1, Ordering::Relaxed);
    engine.commit(update(&engine, &[(3, Some(6))])).unwrap();
    assert_eq!(
        list(&engine, &Listing::default()).unwrap().len(),
        2,
        "31 days: it is purged"
    );

    let since = |count| Listing {
        since: SyncCount::new(count).unwrap(),
        ..Listing::default()
    };
    let stale = engine.reader().list(&settings(), &since(1)).unwrap();
    assert!(stale.deleted_since, "it cannot be told what was removed");
    assert_eq!(stale.records().len(), 2);
    let fresh = engine.reader().list(&settings(), &since(2)).unwrap();
    assert!(!fresh.deleted_since);
    assert_eq!(fresh.records().len(), 1);
}

#[test]
fn tombstones_are_bounded_in_number() {
    let clock = Arc::new(AtomicU64::new(1_700_000_000_000));
    let engine = open(&SimDisk::new(1), 16 << 20, &clock);
    for round in 0..6 {
        let patches = (0..1000)
            .map(|key| Patch {
                key: RecordKey::parse(&format!("{round}-{key}")).unwrap(),
                op: PatchOp::Remove,
                sync_count: SyncCount::ZERO,
                device_modified: None,
            })
            .collect();
        let modified_by = ModifiedBy::Owner;
        engine
            .commit(Wish::Update {
                dataset: settings(),
                patches,
                modified_by,
            })
            .unwrap();
        assert!(list(&engine, &Listing::default()).unwrap().len() <= 4096);
    }
    let info = engine.reader().dataset(&settings()).unwrap().unwrap();
    assert_eq!(
        (info.records, info.bytes),
        (0, 0),
        "tombstones count for nothing"
    );
}
