//! A repair saves what can be read, says what is lost, and never makes anything up.

#![allow(clippy::unwrap_used)]

mod data;
mod sample;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sample::{Sample, content, open, value};
use syncline_engine::disk::{Disk, SimDisk};
use syncline_engine::{
    DatasetId, Engine, Error, Expected, Listing, MetadataKey, ModifiedBy, Refusal, Repaired,
    SyncCount, Wish, check_on, plan_repair_on, repair_on,
};

fn repair(disk: &SimDisk) -> Repaired {
    repair_on(Arc::new(disk.clone())).unwrap()
}

fn is_sound(disk: &SimDisk) {
    let checked = check_on(Arc::new(disk.clone()), |_| ()).unwrap();
    assert_eq!(checked.problems, []);
    // A cold segment in which nothing lives is told of, and left to the cleaner.
    let cold = |note: &syncline_engine::CheckNote| note.path.starts_with("cold");
    assert!(checked.notes.iter().all(cold), "{:?}", checked.notes);
}

/// The store opens, holds what the report says, and each thing is as it once was.
fn holds(sample: &Sample, disk: &SimDisk, repaired: &Repaired) {
    is_sound(disk);
    let engine = open(disk).unwrap();
    assert_eq!(engine.recovery().store, repaired.store);
    let partly = |id: &DatasetId| {
        repaired
            .lost_datasets
            .iter()
            .any(|lost| lost.dataset == *id)
    };
    let mut differs = false;
    for (id, versions) in &sample.datasets {
        let found = content(&engine, id).unwrap();
        differs |= found != *versions.last().unwrap();
        // Before its first commit it was not there.
        let once = found.is_none() || versions.contains(&found);
        assert!(once || partly(id), "{id} was never {found:?}: {repaired:?}");
    }
    for (key, versions) in &sample.metadata {
        let found = value(&engine, key).unwrap();
        differs |= found != *versions.last().unwrap();
        assert!(found.is_none() || versions.contains(&found), "{key:?}");
    }
    assert!(
        !differs || repaired.is_lossy(),
        "nothing was said: {repaired:?}"
    );
    assert_eq!(repaired.is_lossy(), repaired.renewed);
}

#[test]
fn a_sound_store_stays_as_it_is() {
    for closed in [true, false] {
        let sample = Sample::new(closed);
        let calls = sample.disk.calls();
        let repaired = repair(&sample.disk);
        assert!(repaired.was_sound() && !repaired.is_lossy(), "{repaired:?}");
        assert!(sample.disk.calls() <= calls + 1, "only the lock was taken");
    }
}

fn damage(sample: &Sample, file: &Path, offset: usize) -> SimDisk {
    let disk = sample.disk.restart();
    disk.flip_bit(file, offset, u32::try_from(offset % 8).unwrap());
    disk
}

#[test]
fn whatever_bit_was_turned_the_rest_is_saved() {
    let (mut repaired, mut lossless) = (0, 0);
    for closed in [true, false] {
        let sample = Sample::new(closed);
        for file in sample.files() {
            let length = sample.disk.live_bytes(&file).unwrap().len();
            let step = (length / 40).max(1) | 1;
            let header = (0..72).step_by(7);
            for offset in header
                .chain((4096..length).step_by(step))
                .filter(|&o| o < length)
            {
                let disk = damage(&sample, &file, offset);
                let report = repair(&disk);
                repaired += u32::from(!report.was_sound());
                lossless += u32::from(!report.was_sound() && !report.is_lossy());
                holds(&sample, &disk, &report);
                assert!(repair(&disk).was_sound());
            }
        }
    }
    assert!(repaired > 200 && lossless > 50, "{repaired} {lossless}");
}

#[test]
fn a_file_may_be_missing_or_cut() {
    let sample = Sample::new(true);
    for file in sample.files() {
        let disk = sample.disk.restart();
        disk.remove(&file).unwrap();
        let report = repair(&disk);
        holds(&sample, &disk, &report);
        let length = sample.disk.live_bytes(&file).unwrap().len();
        for part in [0, 10, length / 3, length - 1] {
            let disk = sample.disk.restart();
            disk.truncate(&file, part);
            // A segment in which nothing lives is told of, and left to the cleaner.
            let checked = check_on(Arc::new(disk.clone()), |_| ()).unwrap();
            let dead = checked.notes.iter().any(|note| note.path == file);
            let report = repair(&disk);
            let told = dead || !report.was_sound();
            assert!(told, "{} cut to {part}", file.display());
            holds(&sample, &disk, &report);
        }
    }
}

#[test]
fn without_checkpoints_the_log_and_the_cold_segments_tell() {
    let sample = Sample::new(true);
    let disk = sample.disk.restart();
    for file in sample.files() {
        if file.starts_with("checkpoint") {
            disk.flip_bit(&file, 40, 1);
        }
    }
    let report = repair(&disk);
    assert!(report.beginning_lost);
    holds(&sample, &disk, &report);
    let engine = open(&disk).unwrap();
    // Everything that lives is in one of them.
    sample.compare(&engine).unwrap();
    drop(engine);
    // And without STORE beside.
    let disk = sample.disk.restart();
    for file in sample.files() {
        if file.starts_with("checkpoint") || file == Path::new("STORE") {
            disk.remove(&file).unwrap();
        }
    }
    let report = repair(&disk);
    assert!(report.beginning_lost && report.root_lost);
    holds(&sample, &disk, &report);
    sample.compare(&open(&disk).unwrap()).unwrap();
}

#[test]
fn what_was_deleted_stays_deleted() {
    let mut sample = Sample::new(true);
    let engine = open(&sample.disk).unwrap();
    // Everything that lives is in cold segments now, and the log holds nothing of it.
    engine.purge().unwrap();
    let ids: Vec<_> = (0..3)
        .map(|n| sample::dataset(n, &format!("d-{n}")))
        .collect();
    let key = sample.metadata.keys().next().unwrap().clone();
    let wishes = vec![
        Wish::DeleteDataset {
            dataset: ids[0].clone(),
            modified_by: ModifiedBy::Owner,
        },
        Wish::DeleteIdentity {
            pool: ids[1].pool,
            identity: ids[1].identity,
        },
        Wish::DeleteMetadata {
            key: MetadataKey::new(key.clone()).unwrap(),
            expected: Expected::Anything,
        },
    ];
    for wish in wishes {
        engine.commit(wish).unwrap();
    }
    engine.close().unwrap();
    drop(engine);
    for (id, versions) in &mut sample.datasets {
        if *id == ids[0] || id.identity == ids[1].identity {
            versions.push(None);
        }
    }
    sample.metadata.get_mut(&key).unwrap().push(None);
    let disk = sample.disk.restart();
    let checkpoints = disk
        .files()
        .into_iter()
        .filter(|file| file.starts_with("checkpoint"));
    for file in checkpoints {
        disk.remove(&file).unwrap();
    }
    let report = repair(&disk);
    assert!(report.beginning_lost, "{report:?}");
    is_sound(&disk);
    let engine = open(&disk).unwrap();
    sample.compare(&engine).unwrap();
    assert!(content(&engine, &ids[2]).unwrap().is_some());
}

#[test]
fn who_knows_more_than_was_saved_is_told_everything_anew() {
    let sample = Sample::new(true);
    let engine = open(&sample.disk).unwrap();
    let id = sample::dataset(1, "d-1");
    let known = engine
        .reader()
        .list(&id, &Listing::default())
        .unwrap()
        .sync_count;
    let head = engine.head();
    drop(engine);
    let disk = sample.disk.restart();
    let colds = sample
        .files()
        .into_iter()
        .filter(|file| file.starts_with("cold"));
    for file in colds {
        disk.remove(&file).unwrap();
    }
    let report = repair(&disk);
    let lost: Vec<_> = report
        .lost_datasets
        .iter()
        .map(|lost| &lost.dataset)
        .collect();
    assert!(lost.contains(&&id), "{report:?}");
    holds(&sample, &disk, &report);
    let engine = open(&disk).unwrap();
    let since = Listing {
        since: known,
        ..Listing::default()
    };
    let listed = engine.reader().list(&id, &since).unwrap();
    assert!(listed.deleted_since, "the client has to begin anew");
    assert!(listed.sync_count > known);
    assert!(listed.sync_count >= report.lifted_to.unwrap_or(SyncCount::ZERO));
    assert!(matches!(
        engine.feed(head),
        Err(Error::Refusal(Refusal::ForeignCursor))
    ));
}

#[test]
fn the_store_goes_on_after_a_repair() {
    let sample = Sample::new(true);
    let hot = sample
        .files()
        .into_iter()
        .find(|file| file.starts_with("hot"))
        .unwrap();
    let disk = damage(&sample, &hot, 5000);
    let head = open(&sample.disk.restart())
        .map(|engine| engine.head())
        .unwrap();
    let planned = plan_repair_on(Arc::new(disk.clone())).unwrap();
    let report = repair(&disk);
    assert_eq!(planned.lost_datasets, report.lost_datasets);
    assert_eq!(planned.problems, report.problems);
    assert!(!report.set_aside.is_empty());
    for aside in &report.set_aside {
        assert!(aside.starts_with("quarantine"), "{}", aside.display());
        assert!(disk.live_bytes(aside).is_some());
    }
    for _ in 0..3 {
        let engine = open(&disk).unwrap();
        if !report.is_lossy() {
            assert_eq!(engine.head().store, head.store);
        }
        let id = sample::dataset(3, "after");
        let wish = Wish::DeleteDataset {
            dataset: id.clone(),
            modified_by: ModifiedBy::Owner,
        };
        let _ = engine.commit(wish);
        engine.compact().unwrap();
        engine.close().unwrap();
        drop(engine);
        is_sound(&disk);
    }
}

/// What a directory holds, as far as a reader can tell.
fn seen(sample: &Sample, engine: &Engine) -> Vec<String> {
    let datasets = sample.datasets.keys();
    let datasets = datasets.map(|id| format!("{:?}", content(engine, id).unwrap()));
    let values = sample.metadata.keys();
    let values = values.map(|key| format!("{:?}", value(engine, key).unwrap()));
    datasets.chain(values).collect()
}

#[test]
fn a_repair_that_is_cut_short_at_any_moment_can_be_run_again() {
    let sample = Sample::new(true);
    let files = sample.files();
    let of = |kind: &str| files.iter().rfind(|file| file.starts_with(kind)).cloned();
    let damaged: Vec<(PathBuf, usize)> =
        vec![(of("cold").unwrap(), 6000), (of("checkpoint").unwrap(), 50)];
    for (file, offset) in damaged {
        let disk = damage(&sample, &file, offset).reboot(1);
        let expected = {
            let disk = disk.if_power_failed(1);
            let report = repair(&disk);
            assert!(!report.was_sound());
            seen(&sample, &open(&disk).unwrap())
        };
        let mut nth = 1;
        loop {
            let crashing = disk.if_power_failed(2);
            crashing.crash_at(nth);
            let ended = repair_on(Arc::new(crashing.clone())).is_ok();
            if ended && !crashing.is_off() {
                // What is done lasts.
                for seed in 0..20 {
                    let next = crashing.if_power_failed(seed);
                    is_sound(&next);
                    assert_eq!(seen(&sample, &open(&next).unwrap()), expected);
                }
                break;
            }
            let next = crashing.reboot(nth);
            let report = repair(&next);
            is_sound(&next);
            let engine = open(&next).unwrap();
            assert_eq!(seen(&sample, &engine), expected, "crash at {nth}");
            let told = report.finished.is_some() || !report.problems.is_empty();
            assert!(told || report.was_sound(), "crash at {nth}");
            nth += 1;
        }
        assert!(nth > 20, "{nth}");
    }
}
