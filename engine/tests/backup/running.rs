//! Backups of a store on a real disk, whose threads write and clean meanwhile.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::data;
use syncline_engine::{
    BackupOptions, DatasetId, Engine, Listing, Options, Outcome, RestoreOptions, Wish, plan_repair,
    repair, restore,
};

fn options() -> Options {
    Options {
        segment_bytes: 64 << 10,
        cache_bytes: 1 << 20,
        checkpoint_bytes: 128 << 10,
        feed_retention_bytes: 256 << 10,
        ..Options::default()
    }
}

/// By sequence, which value which dataset got.
type History = BTreeMap<u64, (u64, String)>;

/// Writes to datasets of its own until told to stop.
fn dataset(number: u64) -> DatasetId {
    data::dataset(number, "settings")
}

fn update(number: u64, seen: u64, value: &str) -> Wish {
    let patch = data::patch("key", seen, Some(value));
    data::update(&dataset(number), vec![patch])
}

fn write(engine: &Engine, writer: u64, history: &Mutex<History>, stop: &AtomicBool) {
    let mut seen: BTreeMap<u64, u64> = BTreeMap::new();
    for round in 0.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let number = writer * 100 + round % 17;
        let value = format!("{writer}-{round}-{}", "x".repeat(300));
        let known = seen.get(&number).copied().unwrap_or(0);
        let receipt = engine.commit(update(number, known, &value)).unwrap();
        let Outcome::Updated { sync_count, .. } = &receipt.outcomes[0] else {
            panic!("{receipt:?}");
        };
        seen.insert(number, sync_count.get());
        let mut history = history.lock().unwrap();
        history.insert(receipt.sequence.get(), (number, value));
    }
}

/// What the datasets of a store hold.
fn values(engine: &Engine) -> BTreeMap<u64, String> {
    let value = |number| {
        let listed = engine
            .reader()
            .list(&dataset(number), &Listing::default())
            .unwrap();
        let record = listed.records().next()?;
        Some((number, record.value?.to_string()))
    };
    (0..400).filter_map(value).collect()
}

fn at(history: &History, sequence: u64) -> BTreeMap<u64, String> {
    let until = history.range(..=sequence);
    until
        .map(|(_, (number, value))| (*number, value.clone()))
        .collect()
}

/// All files below a directory.
fn files(directory: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for file in fs::read_dir(directory).unwrap() {
        let path = file.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

#[test]
fn backups_while_writers_write_and_the_cleaner_cleans() {
    let directory = tempfile::tempdir().unwrap();
    let engine = Engine::open(directory.path().join("data"), options()).unwrap();
    let (history, stop) = (Mutex::new(History::new()), AtomicBool::new(false));
    let mut backups = Vec::new();
    std::thread::scope(|scope| {
        for writer in 0..3 {
            let (engine, history, stop) = (&engine, &history, &stop);
            scope.spawn(move || write(engine, writer, history, stop));
        }
        while backups.len() < 8 {
            // A feed that waits for commits paces this, so that there is something new each time.
            let mut feed = engine.feed(engine.head()).unwrap();
            for _ in 0..60 {
                assert!(feed.wait(Duration::from_secs(60)));
                feed.read().unwrap();
            }
            engine.maintain().unwrap();
            let path = directory.path().join(format!("backup-{}", backups.len()));
            let made = engine.backup(&path, &BackupOptions::default()).unwrap();
            assert_eq!(made.copied, 0, "one file system: all are links");
            backups.push((path, made));
        }
        stop.store(true, Ordering::Relaxed);
    });
    // All that the backups share with the store goes, and its space is written anew.
    let history = history.into_inner().unwrap();
    engine.purge().unwrap();
    for round in 0..400 {
        let value = format!("late-{round}-{}", "y".repeat(1000));
        engine.commit(update(300, round, &value)).unwrap();
    }
    engine.compact().unwrap();
    for (number, (path, made)) in backups.iter().enumerate() {
        let target = directory.path().join(format!("restored-{number}"));
        let options = RestoreOptions {
            copy: number % 2 == 0,
            ..RestoreOptions::default()
        };
        let told = restore(path, &target, &options).unwrap();
        assert_eq!(told.sequence, made.sequence);
        assert_eq!(options.copy, told.linked == 0);
        let restored = Engine::open(&target, self::options()).unwrap();
        assert_eq!(values(&restored), at(&history, made.sequence.get()));
        // The restored store goes on, and takes all its links away; the backup stays.
        let listed = restored.reader().list(&dataset(0), &Listing::default());
        let seen = listed.unwrap().records().next().unwrap().sync_count;
        restored.commit(update(0, seen.get(), "anew")).unwrap();
        restored.purge().unwrap();
        restored.close().unwrap();
        drop(restored);
        let again = directory.path().join(format!("again-{number}"));
        restore(path, &again, &RestoreOptions::default()).unwrap();
        let restored = Engine::open(&again, self::options()).unwrap();
        assert_eq!(values(&restored), at(&history, made.sequence.get()));
    }
}

#[test]
fn a_second_backup_of_the_same_bytes_takes_no_space() {
    let directory = tempfile::tempdir().unwrap();
    let engine = Engine::open(directory.path().join("data"), options()).unwrap();
    for round in 0..200 {
        engine.commit(update(1, round, &"z".repeat(1000))).unwrap();
    }
    let (one, two) = (directory.path().join("one"), directory.path().join("two"));
    engine.backup(&one, &BackupOptions::default()).unwrap();
    engine.backup(&two, &BackupOptions::default()).unwrap();
    let inode = |path: &Path| fs::metadata(path).unwrap().ino();
    let shared = files(&two)
        .iter()
        .filter(|path| path.extension().is_some())
        .filter(|path| inode(path) == inode(&one.join(path.strip_prefix(&two).unwrap())))
        .count();
    assert!(shared >= 3, "{shared}");
    let store = |path: &Path| path.join("STORE");
    assert_ne!(inode(&store(&one)), inode(&store(&two)), "never linked");
    let refused = engine.backup(&one, &BackupOptions::default()).unwrap_err();
    assert!(refused.to_string().contains("is not empty"), "{refused}");
    assert!(!directory.path().join("one.partial").exists());
}

#[test]
fn a_backup_keeps_what_is_deleted_later_and_is_no_store_itself() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let engine = Engine::open(&data, options()).unwrap();
    engine.commit(update(1, 0, "a-secret-of-mine")).unwrap();
    fs::write(data.join("keys"), "the caller's").unwrap();
    let safe = directory.path().join("safe");
    let beside = BackupOptions {
        beside: vec!["keys".into(), "credentials".into()],
    };
    engine.backup(&safe, &beside).unwrap();
    let DatasetId { pool, identity, .. } = dataset(1);
    engine
        .commit(Wish::DeleteIdentity { pool, identity })
        .unwrap();
    engine.purge().unwrap();
    engine.close().unwrap();
    let holds = |directory: &Path| {
        let secret = b"a-secret-of-mine";
        let found = |path: &std::path::PathBuf| {
            let bytes = fs::read(path).unwrap();
            bytes.windows(secret.len()).any(|bytes| bytes == secret)
        };
        files(directory).iter().any(found)
    };
    assert!(!holds(&data), "the store forgot it");
    assert!(holds(&safe), "the backup did not");
    let Err(refused) = Engine::open(&safe, options()) else {
        panic!("a backup was opened as a store");
    };
    assert!(refused.to_string().contains("is a backup"), "{refused}");
    for repaired in [plan_repair(&safe), repair(&safe)] {
        let refused = repaired.unwrap_err();
        assert!(refused.to_string().contains("is a backup"), "{refused}");
    }
    let target = directory.path().join("target");
    restore(&safe, &target, &RestoreOptions::default()).unwrap();
    assert_eq!(
        fs::read_to_string(target.join("keys")).unwrap(),
        "the caller's"
    );
    assert!(!target.join("credentials").exists());
    let restored = Engine::open(&target, options()).unwrap();
    assert_eq!(values(&restored)[&1], "a-secret-of-mine");
    let refused = restore(
        directory.path(),
        directory.path().join("x"),
        &RestoreOptions::default(),
    );
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("is not a backup"), "{refused}");
}
