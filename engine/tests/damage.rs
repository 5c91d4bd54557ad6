//! Damaged bytes: named with file and offset, or harmless; never wrong answers, never a panic. The
//! one exception is the last batch after an unclean stop, which is set aside and reported.

#![allow(clippy::unwrap_used)]

mod data;
mod sample;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use data::{dataset, patch, update};
use sample::Sample;
use syncline_engine::disk::SimDisk;
use syncline_engine::{DatasetId, Engine, Error, Fault, Listing, Options, check_on};

const SEGMENT: &str = "hot/00000001.log";
/// Where the frames of a segment begin.
const FRAMES: usize = 4096;

fn open(disk: &SimDisk, threads: bool) -> Result<Engine, Error> {
    let options = Options {
        segment_bytes: 64 << 10,
        threads,
        ..Options::default()
    };
    Engine::open_on(Arc::new(disk.clone()), options)
}

fn settings() -> DatasetId {
    dataset(1, "settings")
}

/// One more record, which makes one more commit.
fn add(engine: &Engine, number: usize) {
    let patch = patch(
        &format!("key-{number:02}"),
        0,
        Some("a value of some length"),
    );
    engine.commit(update(&settings(), vec![patch])).unwrap();
}

fn keys(engine: &Engine) -> Result<Vec<String>, Error> {
    let listed = engine.reader().list(&settings(), &Listing::default())?;
    Ok(listed
        .records()
        .map(|record| record.key.to_string())
        .collect())
}

fn expected(commits: usize) -> Vec<String> {
    (0..commits)
        .map(|number| format!("key-{number:02}"))
        .collect()
}

/// A store with some commits, each a batch of its own; where the log ended after each.
fn store(commits: usize) -> (SimDisk, Vec<usize>) {
    let disk = SimDisk::new(1);
    let engine = open(&disk, false).unwrap();
    let mut ends = vec![FRAMES];
    for number in 0..commits {
        add(&engine, number);
        ends.push(written(&disk));
    }
    std::mem::forget(engine);
    (disk, ends)
}

fn written(disk: &SimDisk) -> usize {
    let bytes = disk.live_bytes(SEGMENT).unwrap();
    bytes.iter().rposition(|&byte| byte != 0).unwrap() + 1
}

fn corrupt_at(error: &Error) -> (PathBuf, u64) {
    match error {
        Error::Fault(Fault::Corrupt { path, offset, .. }) => (path.clone(), *offset),
        other => panic!("{other}"),
    }
}

/// What turning a bit did, as far as answers go.
enum Met {
    /// The store does not open, or a read says that something is damaged.
    Told,
    /// Every answer was right.
    Right,
    /// The last batch is gone, and opening said so.
    Torn,
}

fn answers(sample: &Sample, disk: &SimDisk, at: &str) -> Met {
    let engine = match sample::open(disk) {
        Ok(engine) => engine,
        Err(Error::Fault(Fault::Corrupt { .. } | Fault::Version { .. })) => return Met::Told,
        Err(other) => panic!("{at}: {other}"),
    };
    match sample.compare(&engine) {
        Ok(()) => Met::Right,
        Err(_) if engine.recovery().torn.is_some() => Met::Torn,
        Err(text) => {
            assert!(!text.starts_with("WRONG"), "{at}: {text}");
            Met::Told
        }
    }
}

/// Places in a file: all that are few, many of what is long, and some of a run of zeros.
fn places(disk: &SimDisk, file: &Path) -> Vec<usize> {
    let bytes = disk.live_bytes(file).unwrap();
    let step = (bytes.len() / 1500).max(1) | 1;
    let written = bytes.iter().rposition(|&byte| byte != 0).unwrap() + 1;
    let mut places: Vec<_> = (0..written)
        .filter(|at| at % step == 0 || *at < 72 || (4096..4096 + 200).contains(at))
        .collect();
    places.extend((written..bytes.len()).step_by(7919));
    places
}

/// Whatever bit of whatever file is turned: nobody gets a wrong answer, nothing panics, and a
/// check finds it. What a crash left behind is excepted, and said.
#[test]
fn every_turned_bit_is_found_and_none_makes_a_wrong_answer() {
    for closed in [true, false] {
        let sample = Sample::new(closed);
        let (mut told, mut right, mut torn) = (0, 0, 0);
        for file in sample.files() {
            for offset in places(&sample.disk, &file) {
                let bit = u32::try_from((offset * 5 + 3) % 8).unwrap();
                let at = format!("{} at {offset}", file.display());
                let damaged = sample.disk.restart();
                damaged.flip_bit(&file, offset, bit);
                let checked = check_on(Arc::new(damaged.clone()), |_| ()).unwrap();
                let met = answers(&sample, &damaged, &at);
                match met {
                    Met::Told => told += 1,
                    Met::Right => right += 1,
                    Met::Torn => torn += 1,
                }
                // What nothing lives in is told of, but is no problem.
                let noted = checked.notes.iter().any(|note| note.path == *file);
                let excepted = (!closed && checked.torn.is_some()) || noted;
                assert!(excepted || !checked.is_sound(), "{at} was not found");
                assert!(
                    excepted || !matches!(met, Met::Torn),
                    "{at} passed for torn"
                );
                assert!(!matches!(met, Met::Told) || !checked.is_sound(), "{at}");
            }
        }
        assert!(told > 500 && right > 500, "{told} {right}");
        assert_eq!(torn > 0, !closed, "{torn}");
    }
}

/// Damage where a reader will meet it is named with its file and offset.
#[test]
fn after_a_clean_close_damage_is_named_with_its_place() {
    let (disk, _) = store(5);
    let disk = disk.restart();
    open(&disk, false).unwrap().close().unwrap();
    let length = disk.durable_bytes(SEGMENT).unwrap().len();
    for offset in 0..length {
        let damaged = disk.restart();
        damaged.flip_bit(SEGMENT, offset, u32::try_from(offset % 8).unwrap());
        let checked = check_on(Arc::new(damaged.clone()), |_| ()).unwrap();
        let first = &checked.problems[0];
        assert_eq!(first.path, Path::new(SEGMENT));
        assert!(first.offset <= offset as u64, "{first} for {offset}");
        match open(&damaged, false).map(|engine| keys(&engine)) {
            Ok(Ok(found)) => assert_eq!(found, expected(5)),
            Ok(Err(error)) | Err(error) => assert_eq!(corrupt_at(&error).0, first.path),
        }
    }
}

/// Zeros that fill a frame up to a multiple of eight bytes.
fn is_padding(disk: &SimDisk, file: &Path, offset: usize) -> bool {
    let bytes = disk.durable_bytes(file).unwrap();
    let mut at = FRAMES;
    while at + 36 <= bytes.len() {
        let payload = u32::from_le_bytes(bytes[at + 4..at + 8].try_into().unwrap()) as usize;
        let end = at + 36 + payload;
        let next = end.next_multiple_of(8);
        if (end..next).contains(&offset) {
            return true;
        }
        at = next;
    }
    false
}

#[test]
fn a_torn_last_batch_is_set_aside_and_reported() {
    let (disk, ends) = store(3);
    let start = ends[2].next_multiple_of(8);
    for offset in start..ends[3] {
        let damaged = disk.restart().reboot(1);
        damaged.flip_bit(SEGMENT, offset, 3);
        let engine = open(&damaged, false).unwrap();
        assert_eq!(keys(&engine).unwrap(), expected(2), "offset {offset}");
        let torn = engine.recovery().torn.clone().unwrap();
        assert_eq!(
            (torn.path.as_path(), torn.offset),
            (Path::new(SEGMENT), start as u64)
        );
        let copy = damaged.live_bytes(&torn.copy).unwrap();
        assert_eq!(copy.len() as u64, torn.bytes);
        assert_eq!(
            copy,
            damaged_bytes(&disk, offset, start..start + copy.len())
        );
        // It is reported once, and the store goes on.
        add(&engine, 2);
        engine.close().unwrap();
        drop(engine);
        let engine = open(&damaged, false).unwrap();
        assert_eq!(keys(&engine).unwrap(), expected(3));
        assert!(engine.recovery().torn.is_none());
    }
}

fn damaged_bytes(disk: &SimDisk, offset: usize, range: std::ops::Range<usize>) -> Vec<u8> {
    let mut bytes = disk.live_bytes(SEGMENT).unwrap();
    bytes[offset] ^= 1 << 3;
    bytes[range].to_vec()
}

#[test]
fn damage_before_the_last_batch_is_corruption_even_after_an_unclean_stop() {
    let (disk, ends) = store(4);
    for commit in 0..3 {
        for offset in ends[commit]..ends[commit + 1] {
            let damaged = disk.restart().reboot(1);
            damaged.flip_bit(SEGMENT, offset, 0);
            match open(&damaged, false) {
                Ok(engine) => {
                    assert!(
                        is_padding(&damaged, Path::new(SEGMENT), offset),
                        "offset {offset}"
                    );
                    assert_eq!(keys(&engine).unwrap(), expected(4));
                }
                Err(error) => {
                    let (path, at) = corrupt_at(&error);
                    assert_eq!(path, Path::new(SEGMENT));
                    assert!(
                        (ends[commit] as u64 - 8..=offset as u64).contains(&at),
                        "{error}"
                    );
                    assert!(error.to_string().contains("(sequence "), "{error}");
                }
            }
        }
    }
}

#[test]
fn a_missing_segment_or_a_cut_one_is_named() {
    let disk = SimDisk::new(1);
    for number in 0..6 {
        let engine = open(&disk, false).unwrap();
        add(&engine, number);
        engine.close().unwrap();
    }
    for segment in ["hot/00000003.log", "hot/00000006.log"] {
        let length = disk.durable_bytes(segment).unwrap().len();
        for left in 0..length {
            let cut = disk.restart();
            cut.truncate(segment, left);
            let Err(error) = open(&cut, false) else {
                panic!("{segment} cut to {left}")
            };
            assert_eq!(corrupt_at(&error).0, Path::new(segment), "cut to {left}");
            let checked = check_on(Arc::new(cut.clone()), |_| ()).unwrap();
            let named = |problem: &syncline_engine::Problem| problem.path == Path::new(segment);
            assert!(checked.problems.iter().any(named), "cut to {left}");
        }
        let gone = disk.restart();
        syncline_engine::disk::Disk::remove(&gone, Path::new(segment)).unwrap();
        assert!(open(&gone, false).is_err());
        assert!(!check_on(Arc::new(gone), |_| ()).unwrap().is_sound());
    }
}

#[test]
fn at_rest_a_mark_proves_the_last_batch_so_that_its_damage_is_named() {
    let disk = SimDisk::new(1);
    let engine = open(&disk, true).unwrap();
    add(&engine, 0);
    let commit_end = written(&disk);
    // The log thread appends the mark when nothing was written for half a second.
    while written(&disk) == commit_end {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let damaged = disk.if_power_failed(3);
    damaged.flip_bit(SEGMENT, commit_end - 20, 1);
    let Err(error) = open(&damaged, false) else {
        panic!("the commit was durable")
    };
    assert_eq!(corrupt_at(&error), (PathBuf::from(SEGMENT), FRAMES as u64));
    drop(engine);
}

#[test]
fn what_a_client_stores_cannot_pass_for_a_frame() {
    // A value that holds the bytes of a real frame of this very segment, then a torn end.
    let (disk, ends) = store(2);
    let engine = open(&disk.restart(), false).unwrap();
    drop(engine);
    let disk = disk.restart();
    let frame = disk.live_bytes(SEGMENT).unwrap()[ends[0]..ends[1]].to_vec();
    let other = SimDisk::new(2);
    let engine = open(&other, false).unwrap();
    add(&engine, 0);
    std::mem::forget(engine);
    let other = other.restart();
    let end = written(&other).next_multiple_of(8);
    {
        use std::io::IoSlice;
        use syncline_engine::disk::Disk;
        let file = other.open(Path::new(SEGMENT)).unwrap();
        file.write_at(&[IoSlice::new(&frame)], end as u64 + 64)
            .unwrap();
    }
    let engine = open(&other, false).unwrap();
    assert_eq!(
        keys(&engine).unwrap(),
        expected(1),
        "a frame of another segment means nothing"
    );
}
