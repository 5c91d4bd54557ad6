//! A batch that is planned while the one before it is written: what it may hold, and what becomes
//! of it when that one fails.

#![allow(clippy::unwrap_used)]

mod data;
#[path = "property/held.rs"]
mod held;
mod hooked;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use data::{dataset, patch, update};
use held::{Latch, held};
use syncline_engine::disk::{Call, Failure, SimDisk};
use syncline_engine::{
    Engine, Error, Fault, Listing, Options, Proposal, Receipt, Refusal, Timestamp,
};

/// A write of a key that was seen at a count.
fn write(number: u64, key: &str, seen: u64) -> Proposal {
    update(&dataset(number, "d"), vec![patch(key, seen, Some("v"))]).into()
}

#[test]
fn thousands_that_wait_share_few_syncs() {
    let engine = Engine::open_on(Arc::new(SimDisk::new(1)), data::tiny()).unwrap();
    for (number, count) in [(1, 5000), (2, 4096)] {
        let before = engine.stats().batches;
        let proposals = (0..count).map(|key| write(number, &format!("key-{key}"), 0));
        // A dataset has fewer records.
        let proposals = proposals.enumerate().map(|(at, proposal)| match at % 2 {
            0 => proposal,
            _ => data::put(at.to_be_bytes(), "v").into(),
        });
        let answers = engine.commit_all(proposals.collect());
        let refused = answers.iter().filter(|answer| answer.is_err()).count();
        assert_eq!(refused, usize::try_from(count).unwrap() / 2 - 1024);
        // Segments of 64 KiB end batches, too.
        let batches = engine.stats().batches - before;
        assert!(batches <= 20, "{batches}");
    }
}

/// Waits until the clock was looked at again, which planning does.
fn planned(clock: &AtomicU64, looks: u64) {
    while clock.load(Ordering::Relaxed) == looks {
        thread::yield_now();
    }
    // Nothing tells the end of it; what is not staged by then fails in another way.
    thread::sleep(Duration::from_millis(5));
}

#[test]
fn what_is_staged_behind_a_failed_sync_is_not_written_and_told_nothing() {
    let (disk, latch) = (SimDisk::new(2), Arc::new(Latch::default()));
    let clock = Arc::new(AtomicU64::new(1_700_000_000_000));
    let looks = Arc::clone(&clock);
    let options = Options {
        clock: Arc::new(move || Timestamp::new(looks.fetch_add(1, Ordering::Relaxed)).unwrap()),
        ..data::tiny()
    };
    let engine = Engine::open_on(Arc::new(held(disk.clone(), &latch)), options).unwrap();
    engine.commit(write(1, "a", 0)).unwrap();
    latch.shut();
    // No other file is synced now.
    disk.fail_chosen_once(Failure::Io, |_, call| call == Call::Sync);
    let answers: Vec<Result<Receipt, Error>> = thread::scope(|scope| {
        let first = scope.spawn(|| engine.commit(write(1, "a", 1)));
        latch.wait_for_sync();
        let mut others = Vec::new();
        // On what the first makes, beside it, and against it.
        for (number, key, seen) in [(1, "a", 2), (2, "b", 0), (1, "a", 1)] {
            let looks = clock.load(Ordering::Relaxed);
            let engine = &engine;
            others.push(scope.spawn(move || engine.commit(write(number, key, seen))));
            planned(&clock, looks);
        }
        assert_eq!(engine.head().sequence.get(), 1);
        latch.open();
        let answers = std::iter::once(first).chain(others);
        answers.map(|one| one.join().unwrap()).collect()
    });
    assert!(
        matches!(answers[0], Err(Error::Fault(Fault::Io { .. }))),
        "{answers:?}"
    );
    for answer in &answers[1..] {
        assert!(
            matches!(answer, Err(Error::Fault(Fault::Halted { .. }))),
            "{answer:?}"
        );
    }
    let later = engine.commit(write(3, "c", 0));
    assert!(
        matches!(later, Err(Error::Fault(Fault::Halted { .. }))),
        "{later:?}"
    );
    let disk = disk.reboot(5);
    let engine = Engine::open_on(Arc::new(disk), data::tiny()).unwrap();
    // The first may have come to the disk all the same, the others never.
    assert!(engine.head().sequence.get() <= 2);
    let listed = engine.reader().list(&dataset(2, "d"), &Listing::default());
    assert!(listed.unwrap().dataset.is_none());
}

#[test]
fn a_refusal_waits_for_what_it_was_planned_on() {
    let (disk, latch) = (SimDisk::new(3), Arc::new(Latch::default()));
    let engine = Engine::open_on(Arc::new(held(disk, &latch)), data::tiny()).unwrap();
    engine.commit(write(1, "a", 0)).unwrap();
    latch.shut();
    thread::scope(|scope| {
        let first = scope.spawn(|| engine.commit(write(1, "a", 1)));
        latch.wait_for_sync();
        let second = scope.spawn(|| {
            let answer = engine.commit(write(1, "a", 1));
            (answer, engine.head().sequence.get())
        });
        thread::sleep(Duration::from_millis(20));
        latch.open();
        first.join().unwrap().unwrap();
        let (answer, seen) = second.join().unwrap();
        let Err(Error::Refusal(Refusal::Conflict { server, .. })) = answer else {
            panic!("{answer:?}");
        };
        // Who is told of a count can read it.
        assert_eq!((server.get(), seen), (2, 2));
    });
}

#[test]
fn what_fits_in_no_segment_and_what_interrupts_wait_for_what_is_being_written() {
    let (disk, latch) = (SimDisk::new(4), Arc::new(Latch::default()));
    let options = Options {
        // The cleaner has something to do at once.
        feed_retention_bytes: 0,
        ..data::tiny()
    };
    let engine = Engine::open_on(Arc::new(held(disk.clone(), &latch)), options).unwrap();
    engine.commit(write(1, "a", 0)).unwrap();
    let value = "v".repeat(1000);
    // Several segments.
    let many: Vec<_> = (10..310)
        .map(|number| update(&dataset(number, "d"), vec![patch("k", 0, Some(&value))]).into())
        .collect();
    latch.shut();
    thread::scope(|scope| {
        let first = scope.spawn(|| engine.commit(write(1, "a", 1)));
        latch.wait_for_sync();
        let many = scope.spawn(|| engine.commit_all(many));
        let compacted = scope.spawn(|| engine.compact());
        // Whatever comes of the two meanwhile, nothing is true before the first is durable.
        thread::sleep(Duration::from_millis(20));
        assert_eq!(engine.head().sequence.get(), 1);
        latch.open();
        first.join().unwrap().unwrap();
        for answer in many.join().unwrap() {
            answer.unwrap();
        }
        compacted.join().unwrap().unwrap();
    });
    assert!(engine.stats().batches > 5);
    drop(engine);
    let engine = Engine::open_on(Arc::new(disk.reboot(6)), data::tiny()).unwrap();
    for number in 10..310 {
        let listed = engine
            .reader()
            .list(&dataset(number, "d"), &Listing::default());
        let listed = listed.unwrap();
        let record = listed.records().next().unwrap();
        assert_eq!(record.value.unwrap(), value.as_str(), "{number}");
    }
    assert_eq!(
        engine
            .reader()
            .dataset(&dataset(1, "d"))
            .unwrap()
            .unwrap()
            .sync_count
            .get(),
        2
    );
}
