//! A store on a simulated disk, and what is written to it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::data;
use syncline_engine::disk::{Disk, SimDisk};
use syncline_engine::{
    Backup, BackupOptions, DatasetId, Engine, Listing, Options, RestoreOptions, Sequence,
    Timestamp, Wish, restore_on,
};

pub const MINUTE: u64 = 60_000;
pub const HOUR: u64 = 60 * MINUTE;

/// A store on a simulated disk, with a clock that is moved by hand.
pub struct Scene {
    pub disk: SimDisk,
    pub clock: Arc<AtomicU64>,
    pub retention_bytes: u64,
}

impl Scene {
    pub fn new(retention_bytes: u64) -> Self {
        Self {
            disk: SimDisk::new(7),
            clock: Arc::new(AtomicU64::new(1_700_000_000_000)),
            retention_bytes,
        }
    }

    pub fn open(&self) -> Engine {
        let clock = Arc::clone(&self.clock);
        let options = Options {
            segment_bytes: 64 << 10,
            cache_bytes: 64 << 10,
            checkpoint_bytes: 128 << 10,
            feed_retention_bytes: self.retention_bytes,
            clock: Arc::new(move || Timestamp::new(clock.load(Ordering::Relaxed)).unwrap()),
            threads: false,
            ..Options::default()
        };
        Engine::open_on(Arc::new(self.disk.clone()), options).unwrap()
    }

    /// Moves the clock, and nothing else.
    pub fn clock_forward(&self, time: u64) {
        self.clock.fetch_add(time, Ordering::Relaxed);
    }

    /// Sets the clock back, as somebody does who finds it wrong.
    pub fn clock_back(&self, time: u64) {
        self.clock.fetch_sub(time, Ordering::Relaxed);
    }

    /// Lets time go by, with a look after the store every five minutes.
    pub fn pass(&self, engine: &Engine, time: u64) {
        for _ in 0..time / (5 * MINUTE) {
            self.clock.fetch_add(5 * MINUTE, Ordering::Relaxed);
            engine.maintain().unwrap();
        }
    }

    pub fn files(&self, directory: &str) -> Vec<PathBuf> {
        let mut files = self.disk.files();
        files.retain(|path| path.starts_with(directory));
        files
    }

    pub fn bytes(&self) -> u64 {
        let length = |path: &PathBuf| self.disk.live_bytes(path).unwrap().len() as u64;
        self.disk.files().iter().map(length).sum()
    }

    /// Files that hold some bytes anywhere.
    pub fn holding(&self, needle: &[u8]) -> Vec<PathBuf> {
        let holds = |path: &PathBuf| {
            let bytes = self.disk.live_bytes(path).unwrap();
            bytes.windows(needle.len()).any(|window| window == needle)
        };
        self.disk.files().into_iter().filter(holds).collect()
    }

    /// Asserts that no file holds any of these bytes.
    pub fn has_forgotten(&self, needles: &[&[u8]]) {
        for needle in needles {
            assert_eq!(self.holding(needle), [] as [PathBuf; 0]);
        }
    }
}

pub fn dataset(pool: u32, identity: u32, name: &str) -> DatasetId {
    data::dataset_of(pool.into(), identity.into(), name)
}

/// A write of a record that was not there.
pub fn update(dataset: &DatasetId, key: &str, value: &str) -> Wish {
    data::update(dataset, vec![data::patch(key, 0, Some(value))])
}

pub fn write(engine: &Engine, dataset: &DatasetId, key: &str, value: &str) {
    let change = (key.to_owned(), Some(value.to_owned()));
    let patches = data::patches(engine, dataset, [change]);
    engine.commit(data::update(dataset, patches)).unwrap();
}

/// A value that is told by a text.
pub fn long(text: &str) -> String {
    text.repeat(50)
}

pub fn put(engine: &Engine, key: &str, value: &[u8]) {
    engine.commit(data::put(key, value)).unwrap();
}

pub fn value_of(engine: &Engine, dataset: &DatasetId, key: &str) -> Option<String> {
    let listed = engine.reader().list(dataset, &Listing::default()).unwrap();
    let mut records = listed.records();
    let record = records.find(|record| record.key == key)?;
    record.value.map(|value| value.to_string())
}

/// Some datasets of some identities, each value told by a number.
pub fn fill(engine: &Engine, identities: u32, generation: u32) {
    for number in 0..identities {
        for record in 0..4 {
            let value = format!("{generation}-{number}-{record}-").repeat(40);
            let dataset = dataset(number % 3, number, "data");
            write(engine, &dataset, &format!("key-{record}"), &value);
        }
        put(engine, &format!("of/{number}"), &[7; 200]);
    }
}

pub fn check(engine: &Engine, identities: u32, generation: u32) {
    for number in 0..identities {
        let dataset = dataset(number % 3, number, "data");
        for record in 0..4 {
            let value = format!("{generation}-{number}-{record}-").repeat(40);
            assert_eq!(
                value_of(engine, &dataset, &format!("key-{record}")),
                Some(value)
            );
        }
    }
}

/// Writes about 9 KB.
pub fn filler(engine: &Engine, number: u32) {
    let id = dataset(2, number, "filler");
    write(engine, &id, "key", &format!("{number:9000}"));
}

/// Deletes the identity of a dataset.
pub fn delete(engine: &Engine, id: &DatasetId) {
    let DatasetId { pool, identity, .. } = *id;
    engine
        .commit(Wish::DeleteIdentity { pool, identity })
        .unwrap();
}

fn shared(disk: &SimDisk) -> Arc<dyn Disk> {
    Arc::new(disk.clone())
}

pub fn backup(engine: &Engine) -> (SimDisk, Backup) {
    let target = SimDisk::new(8);
    let made = engine.backup_on(&shared(&target), &BackupOptions::default());
    (target, made.unwrap())
}

/// A backup as a store that ends with a commit.
pub fn restored_at(backup: &SimDisk, sequence: u64) -> Engine {
    let again = SimDisk::new(9);
    let options = RestoreOptions {
        sequence: Some(Sequence::new(sequence)),
        ..RestoreOptions::default()
    };
    restore_on(&shared(backup), &shared(&again), &options)
        .unwrap_or_else(|error| panic!("to {sequence}: {error}"));
    let options = Options {
        threads: false,
        ..Options::default()
    };
    Engine::open_on(shared(&again), options).unwrap()
}
