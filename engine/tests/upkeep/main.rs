//! Keeping the directory small: retention, cleaning, checkpoints, and that what is deleted goes.

#![allow(clippy::unwrap_used)]

mod clocks;
#[path = "../data/mod.rs"]
mod data;
mod history;
mod older;
mod regressions;
mod scene;

use std::path::PathBuf;
use std::sync::Arc;

use scene::{HOUR, MINUTE, Scene, check, dataset, fill, long, put, update, value_of, write};
use syncline_engine::disk::SimDisk;
use syncline_engine::{
    DatasetId, Engine, Error, Expected, MetadataKey, Options, Proposal, Refusal, Wish,
};

#[test]
fn overwriting_everything_leaves_little_more_than_what_lives() {
    let scene = Scene::new(256 << 10);
    let engine = scene.open();
    for generation in 0..6 {
        for part in 0..10 {
            for number in (0..200).filter(|number| number % 10 == part) {
                let dataset = dataset(number % 3, number, "data");
                for record in 0..4 {
                    let value = format!("{generation}-{number}-{record}-").repeat(40);
                    write(&engine, &dataset, &format!("key-{record}"), &value);
                }
            }
            engine.maintain().unwrap();
        }
    }
    check(&engine, 200, 5);
    let stats = engine.stats();
    // What lives, with what a record and a frame take beside keys and values.
    let live = stats.bytes + 200 * (4 * 25 + 200);
    let allowed = live * 3 / 2 + scene.retention_bytes + 6 * (64 << 10) + 2 * (128 << 10);
    assert!(scene.bytes() <= allowed, "{} > {allowed}", scene.bytes());
    assert!(engine.upkeep().cleaned > 0 && engine.upkeep().retired > 10);
    drop(engine);
    check(&scene.open(), 200, 5);
}

#[test]
fn what_is_deleted_goes_from_every_file_after_retention_and_an_hour() {
    let scene = Scene::new(u64::MAX / 2);
    let engine = scene.open();
    fill(&engine, 30, 1);
    let secret = dataset(1, 500, "data");
    write(&engine, &secret, "secret-key", &long("very-secret-value"));
    write(&engine, &secret, "secret-key", &long("very-secret-other"));
    put(&engine, "secret/metadata", b"very-secret-metadata");
    let fallen = dataset(9, 501, "data");
    write(
        &engine,
        &fallen,
        "fallen-key",
        &long("value-of-a-fallen-pool"),
    );
    // All of it is moved to cold segments first, some of it more than once.
    scene.pass(&engine, 26 * HOUR);
    fill(&engine, 30, 2);
    scene.pass(&engine, 26 * HOUR);
    assert!(!scene.holding(b"very-secret-other").is_empty());
    let wishes = vec![
        Wish::DeleteIdentity {
            pool: secret.pool,
            identity: secret.identity,
        },
        Wish::DeletePool { pool: fallen.pool },
        Wish::DeleteMetadata {
            key: MetadataKey::new(&b"secret/metadata"[..]).unwrap(),
            expected: Expected::Something,
        },
    ];
    engine
        .commit(Proposal {
            wishes,
            ..Proposal::default()
        })
        .unwrap();
    scene.pass(&engine, 25 * HOUR);
    scene.has_forgotten(&[
        &b"very-secret"[..],
        b"secret-key",
        b"fallen-key",
        b"value-of-a-fallen-pool",
        b"secret/metadata",
        uuid_bytes(secret.identity.as_str()).as_slice(),
        uuid_bytes(fallen.pool.as_str()).as_slice(),
    ]);
    check(&engine, 30, 2);
    drop(engine);
    check(&scene.open(), 30, 2);
}

#[test]
fn deletions_all_the_time_end_no_more_segments_than_they_must() {
    let scene = Scene::new(u64::MAX / 2);
    let engine = scene.open();
    for number in 0..12 * 48 {
        let id = dataset(1, number % 50, "data");
        write(
            &engine,
            &id,
            "key",
            &format!("#{number} {}", "x".repeat(200)),
        );
        let DatasetId { pool, identity, .. } = id;
        engine
            .commit(Wish::DeleteIdentity { pool, identity })
            .unwrap();
        scene.pass(&engine, 5 * MINUTE);
    }
    // Three an hour in the day that the feed reaches back, and some on their way out.
    assert!(
        engine.stats().segments <= 3 * 24 + 6,
        "{:?}",
        engine.stats()
    );
    assert!(
        scene
            .holding(b"#0 xxxxxxxx")
            .iter()
            .all(|path| path.starts_with("hot"))
    );
    assert_eq!(scene.holding(b"#10 xxxxxxxx"), [] as [PathBuf; 0]);
}

fn uuid_bytes(id: &str) -> Vec<u8> {
    let uuid = uuid::Uuid::try_parse(id.split_once(':').unwrap().1).unwrap();
    uuid.as_bytes().to_vec()
}

#[test]
fn a_purge_takes_what_was_deleted_or_replaced_out_of_every_file_at_once() {
    let scene = Scene::new(u64::MAX / 2);
    let engine = scene.open();
    fill(&engine, 20, 1);
    let secret = dataset(1, 500, "data");
    write(&engine, &secret, "secret-key", &long("very-secret-value"));
    engine.compact().unwrap();
    let behind = engine.feed(engine.tail()).unwrap().named("a stream");
    fill(&engine, 20, 2);
    engine
        .commit(Wish::DeleteIdentity {
            pool: secret.pool,
            identity: secret.identity,
        })
        .unwrap();
    assert!(!scene.holding(b"very-secret").is_empty());
    let head = engine.head();
    let purged = engine.purge().unwrap();
    assert_eq!(purged.floor, head.sequence);
    assert_eq!(&*purged.cut_off[0].name, "a stream");
    scene.has_forgotten(&[
        &b"very-secret"[..],
        b"1-7-2-1-7-2-",
        uuid_bytes(secret.identity.as_str()).as_slice(),
    ]);
    let mut behind = behind;
    let Err(Error::Refusal(Refusal::CursorTooOld { floor })) = behind.read() else {
        panic!("the reader is cut off");
    };
    assert_eq!(floor, head.sequence);
    check(&engine, 20, 2);
    write(&engine, &dataset(0, 0, "data"), "key-0", "after");
    drop(engine);
    let engine = scene.open();
    assert_eq!(
        value_of(&engine, &dataset(0, 0, "data"), "key-0").as_deref(),
        Some("after")
    );
}

#[test]
fn opening_reads_the_checkpoint_and_only_the_log_behind_it() {
    let scene = Scene::new(u64::MAX / 2);
    let engine = scene.open();
    fill(&engine, 60, 1);
    engine.maintain().unwrap();
    assert_eq!(engine.upkeep().checkpoints, 1);
    write(&engine, &dataset(0, 0, "data"), "key-0", "after");
    std::mem::forget(engine);
    let disk = scene.disk.restart();
    let scene = Scene { disk, ..scene };
    let engine = scene.open();
    assert_eq!(engine.recovery().commits, 1);
    assert_eq!(engine.recovery().checkpoint, Some(1));
    engine.close().unwrap();
    drop(engine);
    let engine = scene.open();
    assert_eq!(engine.recovery().commits, 0);
    assert_eq!(engine.recovery().checkpoint, Some(2));
}

#[test]
fn a_damaged_checkpoint_falls_back_to_the_older_and_then_to_the_log() {
    for (damaged, commits) in [(1, 0), (2, 1), (3, 2)] {
        let scene = Scene::new(u64::MAX / 2);
        let engine = scene.open();
        write(&engine, &dataset(0, 0, "data"), "key-0", "first");
        engine.close().unwrap();
        drop(engine);
        let engine = scene.open();
        write(&engine, &dataset(0, 0, "data"), "key-0", "second");
        engine.close().unwrap();
        drop(engine);
        let checkpoints = scene.files("checkpoint");
        assert_eq!(checkpoints.len(), 2);
        let newest = checkpoints.iter().rev().take(damaged - 1);
        newest.for_each(|path| scene.disk.flip_bit(path, 40, 3));
        let engine = scene.open();
        assert_eq!(engine.recovery().damaged.len(), damaged - 1);
        assert_eq!(engine.recovery().commits, commits);
        let read = value_of(&engine, &dataset(0, 0, "data"), "key-0");
        assert_eq!(read.as_deref(), Some("second"));
    }
}

#[test]
fn without_a_checkpoint_the_log_must_reach_back() {
    let scene = Scene::new(64 << 10);
    let engine = scene.open();
    for generation in 0..4 {
        fill(&engine, 60, generation);
        engine.maintain().unwrap();
    }
    engine.close().unwrap();
    drop(engine);
    assert!(!scene.disk.files().contains(&"hot/00000001.log".into()));
    for path in scene.files("checkpoint") {
        scene.disk.flip_bit(path, 40, 3);
    }
    let options = Options::default();
    let opened = Engine::open_on(Arc::new(scene.disk.clone()), options);
    let Err(Error::Fault(fault)) = opened else {
        panic!("nothing says what lived");
    };
    assert!(fault.to_string().contains("checkpoint"), "{fault}");
}

#[test]
fn a_log_that_was_taken_away_is_missed() {
    let scene = Scene::new(u64::MAX / 2);
    let engine = scene.open();
    fill(&engine, 60, 1);
    engine.close().unwrap();
    drop(engine);
    for path in scene.files("hot") {
        let disk = scene.disk.restart();
        syncline_engine::disk::Disk::remove(&disk, &path).unwrap();
        let opened = Engine::open_on(Arc::new(disk), Options::default());
        let Err(Error::Fault(fault)) = opened else {
            panic!("{} is missing", path.display());
        };
        assert!(fault.to_string().contains("missing"), "{fault}");
    }
}

#[test]
fn the_feed_reaches_back_as_far_as_told_and_named_readers_hold_it() {
    let scene = Scene::new(128 << 10);
    let engine = scene.open();
    let start = engine.head();
    let mut held = engine.feed(start).unwrap().named("slow");
    fill(&engine, 100, 1);
    engine.maintain().unwrap();
    let lag = engine.readers().remove(0);
    assert_eq!((&*lag.name, lag.sequence.get()), ("slow", 0));
    assert_eq!(lag.commits, engine.head().sequence.get());
    assert!(lag.bytes > 200 << 10, "{lag:?}");
    let mut told = 0;
    loop {
        match held.read().unwrap().len() {
            0 => break,
            commits => told += commits,
        }
    }
    assert_eq!(told, 400, "metadata is no news");
    assert_eq!(engine.readers()[0].commits, 0);
    // What feeds do not tell of puts nobody behind, however old it gets.
    put(&engine, "own", b"value");
    scene.clock_forward(1000);
    let lag = engine.readers().remove(0);
    assert_eq!((lag.commits, lag.bytes, lag.milliseconds), (0, 0, 0));
    // Whoever has slept with everybody else is behind from the first commit of the day on.
    scene.clock_forward(13 * 3_600_000);
    fill(&engine, 1, 1);
    assert_eq!(engine.readers()[0].milliseconds, 0);
    scene.clock_forward(7000);
    fill(&engine, 1, 1);
    let lag = engine.readers().remove(0);
    assert_eq!(lag.milliseconds, 7000, "{lag:?}");
    engine.maintain().unwrap();
    let Err(Error::Refusal(Refusal::CursorTooOld { floor })) = engine.feed(start).unwrap().read()
    else {
        panic!("the log was released");
    };
    assert_eq!(floor, engine.tail().sequence);
    assert!(engine.feed(engine.tail()).unwrap().read().is_ok());
    drop(held);
    assert!(engine.readers().is_empty());
}

/// A store with threads, whose cleaner always has something to do.
fn busy(feed_retention_bytes: u64) -> Options {
    Options {
        segment_bytes: 64 << 10,
        cache_bytes: 64 << 10,
        checkpoint_bytes: 64 << 10,
        feed_retention_bytes,
        ..Options::default()
    }
}

#[test]
fn files_are_open_in_bounded_number_and_segments_are_used_again() {
    let directory = tempfile::tempdir().unwrap();
    let engine = Engine::open(directory.path(), busy(256 << 10)).unwrap();
    for generation in 0..12 {
        fill(&engine, 100, generation);
    }
    engine.maintain().unwrap();
    check(&engine, 100, 11);
    let open = std::fs::read_dir("/proc/self/fd").unwrap().count();
    assert!(open < 150, "{open} files are open");
    assert!(engine.upkeep().retired > 20, "{:?}", engine.upkeep());
    let used: u64 = walk(directory.path());
    assert!(used < 3 << 20, "{used} bytes");
}

#[test]
fn on_a_full_disk_reads_and_deletions_go_on_and_writes_again_once_there_is_space() {
    on_a_full_disk(true);
    // Nothing is made ready in the background.
    on_a_full_disk(false);
}

fn on_a_full_disk(threads: bool) {
    let disk = SimDisk::new(3);
    let options = || Options {
        threads,
        ..busy(128 << 10)
    };
    let engine = Engine::open_on(Arc::new(disk.clone()), options()).unwrap();
    fill(&engine, 100, 1);
    // Whatever is made ready in the background is there by then, or it is not: both must do.
    let used: u64 = {
        let length = |path: &PathBuf| disk.live_bytes(path).map_or(0, |bytes| bytes.len() as u64);
        disk.files().iter().map(length).sum()
    };
    disk.set_capacity(Some(used + (192 << 10)));
    let mut written = 0;
    let refused = loop {
        let id = dataset(5, 1000 + written, "data");
        match engine.commit(update(&id, "key", &"x".repeat(900))) {
            Ok(_) => written += 1,
            Err(error) => break error,
        }
        assert!(written < 10_000, "the disk is never full");
    };
    let full = matches!(refused, Error::Fault(syncline_engine::Fault::StorageFull));
    assert!(full && engine.halted().is_none(), "{refused}");
    check(&engine, 100, 1);
    for number in 0..100 {
        let DatasetId { pool, identity, .. } = dataset(number % 3, number, "data");
        let deleted = engine.commit(Wish::DeleteIdentity { pool, identity });
        deleted.unwrap_or_else(|error| panic!("deletion {number}: {error}"));
    }
    assert_eq!(value_of(&engine, &dataset(0, 0, "data"), "key-0"), None);
    disk.set_capacity(None);
    engine.maintain().unwrap();
    for number in 0..200 {
        write(&engine, &dataset(6, number, "data"), "key", "after");
    }
    drop(engine);
    let engine = Engine::open_on(Arc::new(disk), options()).unwrap();
    for number in 0..written {
        let id = dataset(5, 1000 + number, "data");
        assert!(value_of(&engine, &id, "key").is_some());
    }
    assert_eq!(
        value_of(&engine, &dataset(6, 199, "data"), "key").as_deref(),
        Some("after")
    );
}

fn walk(path: &std::path::Path) -> u64 {
    let found = std::fs::read_dir(path).unwrap().map(Result::unwrap);
    found
        .map(|found| match found.metadata() {
            Ok(metadata) if metadata.is_dir() => walk(&found.path()),
            Ok(metadata) => metadata.len(),
            // The cleaner may have been quicker.
            Err(_) => 0,
        })
        .sum()
}
