//! Exports: consistent whatever goes on beside them, gone on with, ended where they must be, and
//! imported exactly.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

mod common;
#[path = "../data/mod.rs"]
mod data;
mod imports;
mod limits;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::{Clock, Copy, Dice, dataset, follow, identity, open, pool, update, work};
use syncline_engine::disk::SimDisk;
use syncline_engine::{Engine, Error, ExportPosition, Refusal, Scope, Wish};

/// What the feed tells after an export makes it the store as it is now.
fn check_feed(engine: &Engine, copy: &Copy, cursor: syncline_engine::Cursor, seed: u64) {
    let mut records = copy.records();
    let mut feed = engine.feed(cursor).unwrap();
    while feed.cursor() != engine.head() {
        for commit in feed.read().unwrap() {
            for change in commit.changes {
                follow(&mut records, change);
            }
        }
    }
    let now = Copy::of(engine, Scope::All).records();
    assert!(
        records == now,
        "seed {seed}: the feed does not go on where the export ended"
    );
}

/// Writes, deletions of all kinds, cleaning and checkpoints between any two steps of exports of all
/// scopes: each export is the store as it was when it began.
#[test]
fn an_export_is_the_store_as_it_was_whatever_goes_on() {
    for seed in 1..=40 {
        let (disk, clock) = (SimDisk::new(seed), Clock::new());
        let engine = open(&disk, &clock);
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut pools = 3;
        for _ in 0..600 {
            work(&engine, &mut dice, &mut pools);
        }
        engine.maintain().unwrap();
        for _ in 0..3 {
            let first = pools - 3;
            let one = dataset(first + dice.below(3), dice.below(8), 0);
            let scopes = [
                Scope::All,
                Scope::Pool(one.pool),
                Scope::Identity(one.pool, one.identity),
            ];
            let mut running = Vec::new();
            for scope in scopes {
                match engine.export(scope) {
                    Ok(export) => {
                        let expected = Copy::of(&engine, scope);
                        running.push((export, expected, Copy::default(), false));
                    }
                    Err(Error::Refusal(Refusal::NoSuch(_))) => {}
                    Err(error) => panic!("seed {seed}: {error}"),
                }
            }
            let cursor = running[0].0.cursor();
            while running.iter().any(|(.., done)| !done) {
                for (export, _, copy, done) in &mut running {
                    for _ in 0..dice.below(60) {
                        match export.next() {
                            Some(exported) => copy.take(exported.unwrap()),
                            None => *done = true,
                        }
                    }
                }
                for _ in 0..dice.below(40) {
                    work(&engine, &mut dice, &mut pools);
                }
                match dice.below(6) {
                    0 => engine.maintain().unwrap(),
                    1 => engine.compact().unwrap(),
                    2 => clock.wait(dice.below(48 * 3_600_000)),
                    _ => {}
                }
            }
            for (export, expected, copy, _) in &running {
                let scope = export.scope();
                assert!(
                    copy == expected,
                    "seed {seed}, {scope:?}: not the store as it was"
                );
                let progress = export.progress();
                assert_eq!(progress.datasets, progress.datasets_total);
                assert_eq!(progress.metadata, progress.metadata_total);
            }
            // While the export is there, so is the log behind it.
            check_feed(&engine, &running[0].2, cursor, seed);
        }
        engine.compact().unwrap();
        drop(engine);
        open(&disk, &clock);
    }
}

/// The first few identities of an export, then a store in which nothing is as it was: what was
/// deleted, came to be or was cleaned away does not show.
#[test]
fn what_came_to_be_or_went_meanwhile_does_not_show() {
    let (disk, clock) = (SimDisk::new(1), Clock::new());
    let engine = open(&disk, &clock);
    for at in 0..2000 {
        let id = dataset(at / 1000, at / 2 % 500, at % 2);
        engine
            .commit(update(&engine, &id, &[(1, Some(50)), (2, Some(9))]))
            .unwrap();
    }
    let expected = Copy::of(&engine, Scope::All);
    assert_eq!(expected.datasets.len(), 2000);
    let mut export = engine.export(Scope::All).unwrap();
    let mut copy = Copy::default();
    for _ in 0..10 {
        copy.take(export.next().unwrap().unwrap());
    }
    engine.commit(Wish::DeletePool { pool: pool(0) }).unwrap();
    for at in 0..500 {
        let (pool, identity) = (pool(1), identity(at));
        engine
            .commit(Wish::DeleteIdentity { pool, identity })
            .unwrap();
        engine
            .commit(update(&engine, &dataset(2, at, 0), &[(1, Some(5))]))
            .unwrap();
    }
    for _ in 0..3 {
        clock.wait(48 * 3_600_000);
        engine.maintain().unwrap();
        engine.compact().unwrap();
    }
    export
        .by_ref()
        .for_each(|exported| copy.take(exported.unwrap()));
    assert!(copy == expected);
    // The pool that the export kept is taken apart behind it, and its space is given back.
    drop(export);
    clock.wait(48 * 3_600_000);
    engine.compact().unwrap();
    engine.compact().unwrap();
    let left: usize = disk
        .files()
        .iter()
        .filter_map(|path| disk.live_bytes(path))
        .map(|b| b.len())
        .sum();
    assert!(
        left < 1 << 20,
        "{left} bytes are left of 500 datasets of 5 bytes"
    );
}

#[test]
fn writers_on_other_threads_do_not_disturb_an_export() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = Clock::new().options(true);
    options.feed_retention_bytes = 128 << 10;
    let engine = Engine::open(directory.path(), options).unwrap();
    let mut dice = Dice(11);
    let mut pools = 3;
    for _ in 0..1500 {
        work(&engine, &mut dice, &mut pools);
    }
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (1..=2)
        .map(|seed| {
            let (engine, stop) = (engine.clone(), Arc::clone(&stop));
            let mut pools = pools;
            std::thread::spawn(move || {
                let mut dice = Dice(seed * 77);
                while !stop.load(Ordering::Relaxed) {
                    work(&engine, &mut dice, &mut pools);
                }
            })
        })
        .collect();
    for _ in 0..30 {
        let mut export = engine.export(Scope::All).unwrap();
        let mut copy = Copy::default();
        export
            .by_ref()
            .for_each(|exported| copy.take(exported.unwrap()));
        let progress = export.progress();
        assert_eq!(copy.datasets.len() as u64, progress.datasets_total);
        assert_eq!(copy.metadata.len() as u64, progress.metadata_total);
        let again = export.cursor();
        // The feed from there to a second export leads to what that one tells.
        let mut second = engine.export(Scope::All).unwrap();
        let mut later = Copy::default();
        second
            .by_ref()
            .for_each(|exported| later.take(exported.unwrap()));
        let mut records = copy.records();
        let mut feed = engine.feed(again).unwrap();
        'reading: while feed.cursor().sequence < second.cursor().sequence {
            for commit in feed.read().unwrap() {
                if commit.cursor.sequence > second.cursor().sequence {
                    break 'reading;
                }
                commit
                    .changes
                    .into_iter()
                    .for_each(|change| follow(&mut records, change));
            }
        }
        assert!(records == later.records());
    }
    stop.store(true, Ordering::Relaxed);
    writers
        .into_iter()
        .for_each(|writer| writer.join().unwrap());
    engine.close().unwrap();
}

#[test]
fn an_export_goes_on_from_every_position() {
    let (disk, clock) = (SimDisk::new(5), Clock::new());
    let engine = open(&disk, &clock);
    let mut dice = Dice(5);
    let mut pools = 3;
    for _ in 0..120 {
        work(&engine, &mut dice, &mut pools);
    }
    for scope in [Scope::All, Scope::Pool(pool(pools - 1))] {
        let whole: Vec<_> = engine.export(scope).unwrap().map(Result::unwrap).collect();
        assert!(whole.len() > 4);
        for stop in 0..=whole.len() + 1 {
            let mut export = engine.export(scope).unwrap();
            let mut told: Vec<_> = export.by_ref().take(stop).map(Result::unwrap).collect();
            let text = export.position().to_string();
            drop(export);
            let position: ExportPosition = text.parse().unwrap();
            assert_eq!(position.to_string(), text);
            let mut rest = engine.resume_export(&position).unwrap();
            assert_eq!(rest.cursor(), position.cursor());
            told.extend(rest.by_ref().map(Result::unwrap));
            assert!(told == whole, "stopped after {stop}");
            let progress = rest.progress();
            assert_eq!(progress.datasets, progress.datasets_total);
        }
    }
}

#[test]
fn a_stopped_store_goes_on_with_an_export() {
    let (disk, clock) = (SimDisk::new(6), Clock::new());
    let engine = open(&disk, &clock);
    for at in 0..300 {
        engine
            .commit(update(&engine, &dataset(0, at, 0), &[(1, Some(20))]))
            .unwrap();
    }
    let expected = Copy::of(&engine, Scope::All);
    let mut copy = Copy::default();
    let mut export = engine.export(Scope::All).unwrap();
    export
        .by_ref()
        .take(100)
        .for_each(|exported| copy.take(exported.unwrap()));
    let position = export.position();
    drop(export);
    engine.close().unwrap();
    drop(engine);
    let engine = open(&disk, &clock);
    let rest = engine.resume_export(&position).unwrap();
    rest.for_each(|exported| copy.take(exported.unwrap()));
    assert!(copy == expected);

    // A change outside its scope is nothing to an export of one identity; one inside is.
    let scope = Scope::Identity(pool(0), identity(7));
    let position = engine.export(scope).unwrap().position();
    engine
        .commit(update(&engine, &dataset(0, 8, 0), &[(1, Some(3))]))
        .unwrap();
    engine
        .commit(Wish::Rewrite {
            dataset: dataset(0, 7, 0),
        })
        .unwrap();
    assert_eq!(engine.resume_export(&position).unwrap().count(), 2);
    engine
        .commit(update(&engine, &dataset(0, 7, 0), &[(1, Some(3))]))
        .unwrap();
    let gone = engine.resume_export(&position).err().unwrap();
    assert!(
        matches!(gone, Error::Refusal(Refusal::ExportGone { .. })),
        "{gone}"
    );
}

#[test]
fn a_suspended_export_outlives_changes_and_a_bounded_number_of_others() {
    let (disk, clock) = (SimDisk::new(7), Clock::new());
    let engine = open(&disk, &clock);
    let mut dice = Dice(7);
    let mut pools = 3;
    for _ in 0..900 {
        work(&engine, &mut dice, &mut pools);
    }
    let expected = Copy::of(&engine, Scope::All);
    let mut copy = Copy::default();
    let mut export = engine.export(Scope::All).unwrap();
    export
        .by_ref()
        .take(20)
        .for_each(|exported| copy.take(exported.unwrap()));
    let mut position = export.suspend();
    for _ in 0..12 {
        for _ in 0..150 {
            work(&engine, &mut dice, &mut pools);
        }
        clock.wait(24 * 3_600_000);
        engine.maintain().unwrap();
        let mut export = engine.resume_export(&position).unwrap();
        export
            .by_ref()
            .take(40)
            .for_each(|exported| copy.take(exported.unwrap()));
        position = export.suspend();
    }
    let rest = engine.resume_export(&position).unwrap();
    rest.for_each(|exported| copy.take(exported.unwrap()));
    assert!(copy == expected);

    let oldest = engine.export(Scope::All).unwrap().suspend();
    let kept = engine.export(Scope::All).unwrap().suspend();
    let running: Vec<_> = (0..7).map(|_| engine.export(Scope::All).unwrap()).collect();
    work(&engine, &mut Dice(1), &mut pools);
    engine
        .commit(update(&engine, &dataset(77, 0, 0), &[(1, Some(3))]))
        .unwrap();
    let gone = engine.resume_export(&oldest).err();
    // Both began at the same commit, so that either stands for the other, once.
    assert!(gone.is_none());
    let gone = engine.resume_export(&kept).err().unwrap();
    assert!(
        matches!(
            gone,
            Error::Refusal(Refusal::ExportGone { .. } | Refusal::Busy)
        ),
        "{gone}"
    );
    drop(running);
}
