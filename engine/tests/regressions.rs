//! What once went wrong. Each test opens by telling its bug.

#![allow(clippy::unwrap_used)]

mod data;

use std::io::IoSlice;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use data::{dataset, patch, update};
use syncline_engine::disk::{Disk, SimDisk};
use syncline_engine::{
    DatasetId, Engine, Error, Expected, Fault, Listing, MetadataKey, MetadataValue, ModifiedBy,
    Options, Outcome, Proposal, Refusal, SyncCount, Timestamp, Wish,
};

fn put(dataset: &DatasetId, key: &str, value: &str) -> Wish {
    update(dataset, vec![patch(key, 0, Some(value))])
}

fn delete(dataset: &DatasetId) -> Wish {
    Wish::DeleteDataset {
        dataset: dataset.clone(),
        modified_by: ModifiedBy::Owner,
    }
}

fn small_segments(threads: bool) -> Options {
    Options {
        segment_bytes: 64 << 10,
        threads,
        ..Options::default()
    }
}

fn open(disk: &SimDisk) -> Result<Engine, Error> {
    Engine::open_on(Arc::new(disk.clone()), small_segments(false))
}

/// The thread that makes the next segment ready once emptied the file that had just become the
/// present one, because both had the same name for a moment.
#[test]
fn segments_that_are_made_ready_never_touch_the_one_in_use() {
    let directory = tempfile::tempdir().unwrap();
    let engine = Engine::open(directory.path(), small_segments(true)).unwrap();
    for number in 0..1500 {
        let key = format!("key-{number}");
        engine
            .commit(put(&dataset(number % 7, "d"), &key, &"x".repeat(900)))
            .unwrap();
    }
    assert!(engine.stats().segments > 50);
    drop(engine);
    let engine = Engine::open(directory.path(), small_segments(true)).unwrap();
    assert_eq!(engine.head().sequence.get(), 1500);
    assert!(engine.recovery().clean);
}

/// Each segment once kept a descriptor for ever, until there were none left.
#[test]
fn open_files_are_bounded() {
    let directory = tempfile::tempdir().unwrap();
    let engine = Engine::open(directory.path(), small_segments(false)).unwrap();
    let before = descriptors();
    for number in 0..200 {
        engine
            .commit(put(&dataset(number, "d"), "blob", &"x".repeat(60_000)))
            .unwrap();
    }
    assert!(engine.stats().segments >= 200);
    // Other tests run beside this one.
    assert!(descriptors() < before + 150, "{} open", descriptors());
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// A commit that filled its segment to the last byte left no room for a mark and nothing to cut,
/// so that later damage to it passed for a torn write.
#[test]
fn a_commit_with_a_segment_of_its_own_is_sealed_too() {
    let disk = SimDisk::new(1);
    let engine = open(&disk).unwrap();
    let settings = dataset(1, "settings");
    engine.commit(put(&settings, "small", "x")).unwrap();
    engine
        .commit(put(&settings, "large", &"v".repeat(100_000)))
        .unwrap();
    engine.close().unwrap();
    let disk = disk.restart();
    disk.flip_bit("hot/00000002.log", 50_000, 1);
    // Opening goes by the checkpoint; whoever reads the dataset meets the damage.
    let engine = open(&disk).unwrap();
    let Err(error) = engine.reader().list(&settings, &Listing::default()) else {
        panic!("the damage went unnoticed")
    };
    assert!(
        matches!(error, Error::Fault(Fault::Corrupt { .. })),
        "{error}"
    );
}

/// A frame of a later version at the end was once dropped as torn.
#[test]
fn a_frame_of_a_later_version_is_refused_and_stays() {
    let disk = SimDisk::new(1);
    let engine = open(&disk).unwrap();
    engine.commit(put(&dataset(1, "d"), "a", "x")).unwrap();
    std::mem::forget(engine);
    let disk = disk.restart();
    let segment = Path::new("hot/00000001.log");
    let bytes = disk.live_bytes(segment).unwrap();
    let end = bytes.iter().rposition(|&byte| byte != 0).unwrap() + 1;
    // A mark of version 2, with the checksum that the salt of the segment asks for.
    let mut frame = Vec::new();
    frame.extend_from_slice(&[0x5c, 0xa7, 2, 2, 0, 0, 0, 0, 0, 0, 1, 0]);
    frame.extend_from_slice(&1u64.to_le_bytes());
    frame.extend_from_slice(&[0; 12]);
    let salted = [&bytes[56..64], &frame].concat();
    frame.extend_from_slice(&crc32fast::hash(&salted).to_le_bytes());
    let file = disk.open(segment).unwrap();
    let offset = end.next_multiple_of(8) as u64;
    file.write_at(&[IoSlice::new(&frame)], offset).unwrap();
    let Err(error) = open(&disk) else {
        panic!("it was dropped")
    };
    assert!(error.to_string().contains("kind or version"), "{error}");
    assert_eq!(disk.live_bytes(segment).unwrap().len(), bytes.len());
}

/// A clock that panicked once took the log role along: every later call hung.
#[test]
fn a_panic_of_the_clock_halts_the_store_and_hangs_nobody() {
    let calls = AtomicU64::new(0);
    let clock = Arc::new(move || {
        // The cleaner asks for the time when it likes.
        let counts = std::thread::current().name() != Some("syncline-clean");
        assert!(
            !counts || calls.fetch_add(1, Ordering::Relaxed) != 1,
            "the clock is broken"
        );
        Timestamp::now()
    });
    let options = Options {
        clock,
        ..small_segments(true)
    };
    let engine = Engine::open_on(Arc::new(SimDisk::new(1)), options).unwrap();
    engine.commit(put(&dataset(1, "d"), "a", "x")).unwrap();
    for key in ["b", "c"] {
        let refused = engine.commit(put(&dataset(1, "d"), key, "x")).unwrap_err();
        assert!(
            matches!(refused, Error::Fault(Fault::Halted { .. })),
            "{refused}"
        );
    }
    assert!(engine.close().is_err());
}

/// A panic of the cleaner ended its thread, and the log grew without a word.
#[test]
fn a_panic_of_the_cleaner_halts_the_store() {
    let clock = Arc::new(|| {
        let is_cleaner = std::thread::current().name() == Some("syncline-clean");
        assert!(!is_cleaner, "the clock is broken");
        Timestamp::now()
    });
    let options = Options {
        clock,
        ..small_segments(true)
    };
    let engine = Engine::open_on(Arc::new(SimDisk::new(1)), options).unwrap();
    while engine.halted().is_none() {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let refused = engine.commit(put(&dataset(1, "d"), "a", "x")).unwrap_err();
    assert!(refused.to_string().contains("the cleaner"), "{refused}");
    assert!(engine.close().is_err());
}

/// A proposal larger than the queue was told to try again, for ever.
#[test]
fn a_proposal_larger_than_the_queue_is_refused_for_good() {
    let engine = Engine::open_on(Arc::new(SimDisk::new(1)), small_segments(true)).unwrap();
    let value = MetadataValue::new(vec![0; 64 << 10]).unwrap();
    let wish = |number: u32| Wish::PutMetadata {
        key: MetadataKey::new(number.to_le_bytes().to_vec()).unwrap(),
        value: value.clone(),
        expected: Expected::Anything,
    };
    let large = Proposal {
        wishes: (0..4200).map(wish).collect(),
        ..Proposal::default()
    };
    let small = Proposal::from(put(&dataset(1, "d"), "a", "x"));
    let answers = engine.commit_all(vec![small, large]);
    assert!(answers[0].is_ok());
    assert!(matches!(
        answers[1],
        Err(Error::Refusal(Refusal::Invalid(_)))
    ));
}

/// The end of a page was computed by adding to a limit that may be the largest number there is.
#[test]
fn a_listing_may_have_any_limit() {
    let engine = open(&SimDisk::new(1)).unwrap();
    let settings = dataset(1, "settings");
    engine.commit(put(&settings, "a", "x")).unwrap();
    engine.commit(put(&settings, "b", "x")).unwrap();
    let listing = Listing {
        since: SyncCount::new(1).unwrap(),
        limit: usize::MAX,
        ..Listing::default()
    };
    let listed = engine.reader().list(&settings, &listing).unwrap();
    assert_eq!(listed.records().len(), 1);
}

/// Once an identity had forgotten a deleted name, nothing could be merged into it any more.
#[test]
fn a_copy_goes_to_an_identity_that_has_forgotten_names() {
    let engine = open(&SimDisk::new(1)).unwrap();
    for number in 0..70 {
        let old = dataset(1, &format!("old-{number}"));
        engine.commit(put(&old, "a", "x")).unwrap();
        engine.commit(delete(&old)).unwrap();
    }
    let from = dataset(2, "saves");
    engine.commit(put(&from, "a", "value")).unwrap();
    let to = dataset(1, "saves.merged");
    let wish = Wish::CopyDataset {
        from: from.clone(),
        to: to.clone(),
    };
    let receipt = engine.commit(wish.clone()).unwrap();
    let Outcome::CopiedDataset(info) = &receipt.outcomes[0] else {
        panic!("{receipt:?}")
    };
    // One more than what the forgotten names had reached.
    assert_eq!((info.sync_count.get(), info.records, info.bytes), (3, 1, 6));
    assert_eq!(info.modified_by.name(&to.identity), from.identity.as_str());
    let listed = engine.reader().list(&to, &Listing::default()).unwrap();
    let record = listed.records().next().unwrap();
    assert_eq!(record.modified_by, Some(from.identity.as_str().into()));
    assert!(engine.commit(wish).is_err(), "a name is used once");
}

/// Of two that closed at the same time the second went on while the first was at work.
#[test]
fn whoever_closes_finds_the_store_closed_afterwards() {
    let directory = tempfile::tempdir().unwrap();
    let engine = Engine::open(directory.path(), small_segments(true)).unwrap();
    std::thread::scope(|scope| {
        for identity in 0..4 {
            let engine = &engine;
            scope.spawn(move || {
                let commit = |number: u32| {
                    let wish = put(&dataset(identity, "d"), &format!("key-{number}"), "x");
                    engine.commit(wish)
                };
                (0..).find(|&number| commit(number).is_err())
            });
        }
        while engine.head().sequence.get() < 50 {
            std::thread::yield_now();
        }
        for _ in 0..2 {
            scope.spawn(|| {
                engine.close().unwrap();
                assert_eq!(engine.stats().waiting, 0);
            });
        }
    });
    drop(engine);
    let engine = Engine::open(directory.path(), small_segments(true)).unwrap();
    assert!(engine.recovery().clean);
}

/// An update by a name of more bytes than a record has room for was acknowledged, and could not be
/// read again after a restart.
#[test]
fn a_modifier_that_could_not_be_read_again_is_refused() {
    let disk = SimDisk::new(11);
    let engine = open(&disk).unwrap();
    let settings = dataset(1, "settings");
    engine.commit(put(&settings, "a", "1")).unwrap();
    // Longer than a record has room for, and than a number of 16 bits can say.
    for name in [String::new(), "x".repeat(1025), "x".repeat(70_000)] {
        let modified_by = ModifiedBy::Other(name.into());
        let update = Wish::Update {
            dataset: dataset(2, "settings"),
            patches: vec![patch("a", 0, Some("1"))],
            modified_by: modified_by.clone(),
        };
        let delete = Wish::DeleteDataset {
            dataset: settings.clone(),
            modified_by,
        };
        for wish in [update, delete] {
            let refused = engine.commit(wish);
            let Err(Error::Refusal(Refusal::Invalid(invalid))) = &refused else {
                panic!("{refused:?}");
            };
            assert_eq!(invalid.field, "modified by");
        }
    }
    drop(engine);
    let engine = open(&disk).unwrap();
    assert_eq!(engine.head().sequence.get(), 1);
}
