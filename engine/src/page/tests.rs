//! Searches and merges of pages that are large enough for steps to double, beside the plain ways.

use proptest::collection::{btree_map, btree_set};
use proptest::prelude::*;

use super::*;
use crate::types::Timestamp;

const FLOOR: u64 = 3;

fn key(number: u16) -> String {
    format!("key-{number:04}")
}

fn count(number: u64) -> SyncCount {
    SyncCount::believed(number)
}

fn record(key: &str, sync_count: u64, is_live: bool) -> RecordRef<'_> {
    RecordRef {
        key: key.into(),
        value: is_live.then(|| "value".into()),
        sync_count: count(sync_count),
        modified: Timestamp::believed(sync_count),
        modified_by: None,
        device_modified: Timestamp::believed(sync_count),
    }
}

/// A page of records by key: their counts, and whether they live.
fn page(records: &[(String, u64, bool)]) -> Page {
    let mut run: Vec<_> = records
        .iter()
        .map(|(key, sync_count, is_live)| record(key, *sync_count, *is_live))
        .collect();
    run.sort_unstable_by_key(|record| (record.sync_count, record.key));
    let mut facts = Facts {
        sync_count: count(40),
        floor: count(FLOOR),
        ..Facts::default()
    };
    run.iter().for_each(|record| facts.add(record));
    Page::new(facts, run.into_iter(), Links::new())
}

/// Records by key; tombstones are above the floor.
fn records() -> impl Strategy<Value = Vec<(String, u64, bool)>> {
    let record = (FLOOR + 1..40, prop::bool::weighted(0.8));
    btree_map(0_u16..600, record, 0..300).prop_map(|records| {
        let records = records.into_iter();
        records
            .map(|(number, (sync_count, is_live))| (key(number), sync_count, is_live))
            .collect()
    })
}

proptest! {
    #[test]
    fn what_is_newer_than_a_count_is_found(records in records(), above in 0_u64..45) {
        let page = page(&records);
        let plain = (0..page.len()).filter(|&at| page.at(at).sync_count <= count(above)).count();
        prop_assert_eq!(page.after(count(above)), plain);
    }

    #[test]
    fn an_update_makes_the_page_that_its_records_make(
        records in records(),
        written in btree_set(0_u16..600, 1..200),
        tombstones_max in 0_usize..40,
    ) {
        let before = page(&records);
        let keys: Vec<_> = written.into_iter().map(key).collect();
        let places = before.places(keys.iter().map(String::as_str));
        for (key, &place) in keys.iter().zip(&places) {
            let plain = records.binary_search_by(|(known, ..)| known.cmp(key));
            prop_assert_eq!(place, plain);
        }
        // Every third is removed.
        let news = keys.iter().enumerate().map(|(at, key)| record(key, 41, at % 3 > 0));
        let news: Vec<_> = news.collect();
        let after = before.updated(&Update {
            written: &news,
            places: &places,
            sync_count: count(41),
            now: Timestamp::believed(41),
            purge_before: Timestamp::believed(5),
            tombstones_max: (tombstones_max, 1 << 20),
            modified_by: &ModifiedBy::Owner,
        });
        let listed: Vec<_> = (0..after.len()).map(|at| after.at(at)).collect();
        let again = Page::new(
            after.facts().clone(),
            listed.iter().copied(),
            Links::new(),
        );
        prop_assert_eq!((again.facts(), &again.bytes), (after.facts(), &after.bytes));
        prop_assert!(after.counts_hold());
        // What the update wrote is found as if it were looked for, also where the count was lifted.
        let gap = Gap { from: count(41), to: count(43) };
        for page in [after.clone().lifted(count(44)), after.clone().with_gap(gap), after.clone()] {
            for above in (0..46).map(count) {
                let plain = again.partition(|record| record.sync_count <= above);
                prop_assert_eq!(page.after(above), plain);
                let all = page.len();
                prop_assert_eq!(page.slice(plain, all), again.slice(plain, all));
                prop_assert_eq!(page.slice(0, plain), again.slice(0, plain));
            }
        }
        // All that lives is there, and of tombstones those above the floor.
        let floor = after.facts().floor;
        let kept = records.iter().filter(|(key, ..)| keys.binary_search(key).is_err());
        let kept = kept.map(|(key, sync_count, is_live)| record(key, *sync_count, *is_live));
        let mut wanted: Vec<_> = kept
            .chain(news.iter().copied())
            .filter(|record| record.value.is_some() || record.sync_count > floor)
            .collect();
        wanted.sort_unstable_by_key(|record| (record.sync_count, record.key));
        prop_assert_eq!(listed, wanted);
    }
}
