//! A check finds nothing in a sound store, whatever state it is in, and changes nothing.

#![allow(clippy::unwrap_used)]

mod data;
mod sample;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use sample::{Sample, open};
use syncline_engine::disk::SimDisk;
use syncline_engine::{Engine, Error, Fault, check, check_on, inspect, inspect_on};

fn bytes(disk: &SimDisk) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = disk.files().into_iter();
    files
        .filter_map(|path| Some((path.clone(), disk.live_bytes(&path)?)))
        .collect()
}

#[test]
fn a_sound_store_has_no_problems_and_stays_as_it_is() {
    for closed in [true, false] {
        let sample = Sample::new(closed);
        let kinds = ["STORE", "checkpoint", "hot", "cold"];
        for kind in kinds {
            let of_kind = |path: &PathBuf| path.starts_with(kind);
            assert!(sample.files().iter().any(of_kind), "{kind}");
        }
        let before = bytes(&sample.disk);
        let mut told = 0;
        let disk = Arc::new(sample.disk.clone());
        let checked = check_on(disk.clone(), |progress| {
            assert!(progress.done <= progress.total);
            told = progress.done;
        })
        .unwrap();
        assert_eq!(checked.problems, []);
        assert_eq!(checked.notes, []);
        assert_eq!((checked.datasets, checked.metadata), (12, 7));
        assert!(checked.records > 40 && checked.commits > 20, "{checked:?}");
        assert_eq!(told, checked.bytes);
        let inspected = inspect_on(disk).unwrap();
        assert_eq!((inspected.datasets, inspected.metadata), (12, 7));
        assert_eq!(inspected.sequence, checked.sequence);
        assert!(inspected.cold_live_bytes() <= inspected.cold_bytes());
        assert!(inspected.cold_live_bytes() > 0 && inspected.checkpoint_bytes > 0);
        assert!(before == bytes(&sample.disk), "it was changed");
        let engine = open(&sample.disk).unwrap();
        sample.compare(&engine).unwrap();
        assert_eq!(engine.stats().bytes, inspected.bytes);
    }
}

#[test]
fn a_torn_last_batch_is_told_and_is_no_problem() {
    let sample = Sample::new(false);
    let segment = sample
        .files()
        .into_iter()
        .rfind(|path| path.starts_with("hot"));
    let segment = segment.unwrap();
    let found = sample.disk.live_bytes(&segment).unwrap();
    let last = found.iter().rposition(|&byte| byte != 0).unwrap();
    sample.disk.flip_bit(&segment, last, 0);
    let checked = check_on(Arc::new(sample.disk.clone()), |_| ()).unwrap();
    assert_eq!(checked.problems, []);
    let torn = checked.torn.unwrap();
    assert_eq!(torn.path, segment);
    assert!(torn.offset <= last as u64 && torn.offset + torn.bytes > last as u64);
}

#[test]
fn every_crash_leaves_a_store_without_problems() {
    for seed in 0..40 {
        let sample = Sample::new(false);
        let crashed = sample.disk.reboot(seed);
        let checked = check_on(Arc::new(crashed.clone()), |_| ()).unwrap();
        assert_eq!(checked.problems, [], "seed {seed}");
        open(&crashed).unwrap();
    }
}

#[test]
fn a_store_in_use_is_not_checked_and_a_missing_one_is_not_made() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing");
    assert!(matches!(
        check(&missing, |_| ()),
        Err(Error::Fault(Fault::Io { .. }))
    ));
    assert!(inspect(&missing).is_err());
    assert!(!missing.exists());
    let engine = Engine::open(directory.path(), syncline_engine::Options::default()).unwrap();
    assert!(matches!(
        check(directory.path(), |_| ()),
        Err(Error::Fault(Fault::Locked { .. }))
    ));
    drop(engine);
    assert!(check(directory.path(), |_| ()).unwrap().is_sound());
}

#[test]
fn files_of_others_are_noted() {
    use syncline_engine::disk::Disk;
    let sample = Sample::new(true);
    for name in ["notes.txt", "hot/copy.log", "cold/x"] {
        sample.disk.create(name.as_ref()).unwrap();
    }
    let checked = check_on(Arc::new(sample.disk.clone()), |_| ()).unwrap();
    assert!(checked.is_sound());
    let noted: Vec<_> = checked.notes.iter().map(|note| note.path.clone()).collect();
    assert_eq!(
        noted,
        ["notes.txt", "hot/copy.log", "cold/x"].map(PathBuf::from)
    );
}
