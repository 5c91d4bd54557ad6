//! A log that is longer than what is read at once: opening it reads ahead of what it applies, and
//! what it finds is the same as commit by commit.

#![allow(clippy::unwrap_used)]

mod data;

use std::io::IoSlice;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use data::{dataset, patch, update};
use syncline_engine::disk::{Disk, SimDisk};
use syncline_engine::{DatasetId, Engine, Error, Fault, Listing, Options, Proposal};

/// Where the frames of a segment begin.
const FRAMES: usize = 4096;
/// More than three batches of frames.
const COMMITS: usize = 2000;
/// Datasets of a commit that takes two frames, the first of them more than a batch of bytes.
const LARGE: Range<u64> = 200..205;

fn open(disk: &SimDisk) -> Result<Engine, Error> {
    let options = Options {
        segment_bytes: 64 << 20,
        checkpoint_bytes: 1 << 30,
        threads: false,
        ..Options::default()
    };
    Engine::open_on(Arc::new(disk.clone()), options)
}

/// The dataset that a commit changes, by its number.
fn changed(number: usize) -> DatasetId {
    dataset(number as u64 % 100, "settings")
}

fn commit(engine: &Engine, number: usize) {
    let patch = patch(&format!("key-{number:04}"), 0, Some("a value"));
    engine
        .commit(update(&changed(number), vec![patch]))
        .unwrap();
}

fn commit_large(engine: &Engine) {
    let value = "v".repeat(1_000_000);
    let wishes = LARGE.map(|identity| {
        let patch = patch("key", 0, Some(&value));
        update(&dataset(identity, "large"), vec![patch])
    });
    engine
        .commit(Proposal {
            wishes: wishes.collect(),
            ..Proposal::default()
        })
        .unwrap();
}

/// The segment that is written to.
fn newest(disk: &SimDisk) -> PathBuf {
    let files = disk.files();
    let segment = |path: &&PathBuf| path.starts_with("hot") && path.extension().is_some();
    files.iter().filter(segment).max().unwrap().clone()
}

fn written(disk: &SimDisk) -> usize {
    let bytes = disk.live_bytes(newest(disk)).unwrap();
    bytes.iter().rposition(|&byte| byte != 0).unwrap() + 1
}

/// A store that ended without a word, and where the frame of each small commit begins.
fn killed() -> (SimDisk, Vec<usize>) {
    let disk = SimDisk::new(1);
    let engine = open(&disk).unwrap();
    commit_large(&engine);
    // The large commit has a segment of its own, and this begins the one behind it.
    commit(&engine, 0);
    let segment = newest(&disk);
    let file = disk.open(&segment).unwrap();
    let mut begins = vec![FRAMES];
    for number in 1..COMMITS {
        commit(&engine, number);
        let before = begins[number - 1];
        begins.push(before + frame_bytes(&*file, before));
    }
    assert_eq!(newest(&disk), segment);
    assert!(written(&disk) > begins[COMMITS - 1]);
    std::mem::forget(engine);
    (disk.restart(), begins)
}

/// Bytes of the frame that begins there.
fn frame_bytes(file: &dyn syncline_engine::disk::DiskFile, begin: usize) -> usize {
    let mut header = [0; 36];
    file.read_at(&mut header, begin as u64).unwrap();
    let payload = u32::from_le_bytes(header[4..8].try_into().unwrap()) as usize;
    (36 + payload).next_multiple_of(8)
}

fn count(engine: &Engine, dataset: &DatasetId) -> usize {
    let listed = engine.reader().list(dataset, &Listing::default()).unwrap();
    listed.records().count()
}

fn assert_whole(engine: &Engine, commits: usize) {
    assert_eq!(engine.recovery().commits, commits as u64 + 1);
    for identity in LARGE {
        assert_eq!(count(engine, &dataset(identity, "large")), 1);
    }
    let records: usize = (0..100).map(|number| count(engine, &changed(number))).sum();
    assert_eq!(records, commits);
}

/// Where a store that does not open is damaged, and what its error says.
fn corrupt(disk: &SimDisk) -> (u64, String) {
    let Err(error) = open(disk) else {
        panic!("it opened")
    };
    match &error {
        Error::Fault(Fault::Corrupt { path, offset, .. }) => {
            assert_eq!(*path, newest(disk));
            (*offset, error.to_string())
        }
        other => panic!("{other}"),
    }
}

#[test]
fn a_long_log_is_applied_in_full_and_goes_on() {
    let (disk, _) = killed();
    let engine = open(&disk).unwrap();
    assert_whole(&engine, COMMITS);
    assert!(engine.recovery().torn.is_none());
    commit(&engine, COMMITS);
    std::mem::forget(engine);
    assert_whole(&open(&disk.restart()).unwrap(), COMMITS + 1);
}

#[test]
fn damage_far_behind_the_first_batch_is_named_with_its_place() {
    let (disk, begins) = killed();
    for number in [600, 1100, 1500, COMMITS - 2] {
        let damaged = disk.restart();
        damaged.flip_bit(newest(&disk), begins[number] + 40, 3);
        assert_eq!(corrupt(&damaged).0, begins[number] as u64, "{number}");
    }
}

/// Frames that hold but do not belong where they are: whoever applies them refuses the second,
/// while the frames behind it are being read already.
#[test]
fn a_frame_out_of_its_place_is_refused() {
    let (disk, begins) = killed();
    for number in [600, 1100, 1500] {
        let damaged = disk.restart();
        let file = damaged.open(&newest(&disk)).unwrap();
        let mut frame = vec![0; begins[number] - begins[number - 1]];
        file.read_at(&mut frame, begins[number - 1] as u64).unwrap();
        file.write_at(&[IoSlice::new(&frame)], begins[number] as u64)
            .unwrap();
        let (offset, what) = corrupt(&damaged);
        assert_eq!(offset, begins[number] as u64);
        assert!(
            what.contains("the frame before this one is missing"),
            "{what}"
        );
    }
}

#[test]
fn a_torn_end_of_a_long_log_is_set_aside() {
    let (disk, begins) = killed();
    disk.flip_bit(newest(&disk), begins[COMMITS - 1] + 40, 3);
    let engine = open(&disk).unwrap();
    assert_whole(&engine, COMMITS - 1);
    let torn = engine.recovery().torn.clone().unwrap();
    assert_eq!(torn.offset, begins[COMMITS - 1] as u64);
}
