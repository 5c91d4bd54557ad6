//! A small store that has everything: checkpoints, cold segments, a log; and what was ever true
//! of it.

#![allow(clippy::unwrap_used, dead_code)]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::data;
pub use crate::data::dataset;
use syncline_engine::disk::SimDisk;
use syncline_engine::{
    DatasetId, Engine, Error, Listing, MetadataKey, ModifiedBy, Options, Timestamp, Wish,
};

/// What a reader sees of a dataset: key and value, or nothing if it does not exist.
pub type Content = Option<BTreeMap<String, String>>;

/// A store as it lies on its disk, and all that was ever true of it.
pub struct Sample {
    pub disk: SimDisk,
    /// Each dataset's content after each of its commits, the newest last.
    pub datasets: BTreeMap<DatasetId, Vec<Content>>,
    pub metadata: BTreeMap<Vec<u8>, Vec<Option<Vec<u8>>>>,
}

pub fn options(clock: &Arc<AtomicU64>) -> Options {
    let clock = Arc::clone(clock);
    Options {
        cache_bytes: 0,
        segment_bytes: 64 << 10,
        checkpoint_bytes: 16 << 10,
        feed_retention: Duration::from_secs(1000),
        feed_retention_bytes: 40 << 10,
        clock: Arc::new(move || Timestamp::new(clock.load(Ordering::Relaxed)).unwrap()),
        threads: false,
        ..Options::default()
    }
}

pub fn open(disk: &SimDisk) -> Result<Engine, Error> {
    let clock = Arc::new(AtomicU64::new(1_700_000_000_000));
    Engine::open_on(Arc::new(disk.clone()), options(&clock))
}

pub fn content(engine: &Engine, dataset: &DatasetId) -> Result<Content, Error> {
    if engine.reader().dataset(dataset)?.is_none() {
        return Ok(None);
    }
    let listed = engine.reader().list(dataset, &Listing::default())?;
    let live = listed.records().filter_map(|record| {
        let value = record.value?;
        Some((record.key.to_string(), value.to_string()))
    });
    Ok(Some(live.collect()))
}

pub fn value(engine: &Engine, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
    let key = MetadataKey::new(key.to_vec()).unwrap();
    let found = engine.reader().metadata(&key)?;
    Ok(found.map(|found| found.value.as_bytes().to_vec()))
}

impl Sample {
    /// A store of several generations, closed, or ended without a word.
    pub fn new(closed: bool) -> Self {
        let clock = Arc::new(AtomicU64::new(1_700_000_000_000));
        let disk = SimDisk::new(5);
        let engine = Engine::open_on(Arc::new(disk.clone()), options(&clock)).unwrap();
        let mut sample = Self {
            disk,
            datasets: BTreeMap::new(),
            metadata: BTreeMap::new(),
        };
        for round in 0..5u64 {
            for number in 0..12u64 {
                let id = dataset(number % 5, &format!("d-{number}"));
                sample.update(&engine, &id, round, 100 + 60 * number);
                sample.put(&engine, format!("m-{}", number % 7), round, number);
            }
            sample.delete(&engine, round);
            if round < 4 {
                clock.fetch_add(300_000, Ordering::Relaxed);
                engine.maintain().unwrap();
            }
        }
        if closed {
            engine.close().unwrap();
            drop(engine);
        } else {
            std::mem::forget(engine);
        }
        sample.disk = sample.disk.restart();
        sample
    }

    fn update(&mut self, engine: &Engine, id: &DatasetId, round: u64, bytes: u64) {
        // The first round writes all, later ones a little: chains.
        let keys = if round == 0 {
            0..6
        } else {
            round % 6..round % 6 + 1
        };
        let changes = keys.map(|key| {
            let text = format!("{round}-").repeat(usize::try_from(bytes / 2).unwrap());
            (format!("key-{key}"), (round != 3).then_some(text))
        });
        let patches = data::patches(engine, id, changes);
        engine.commit(data::update(id, patches)).unwrap();
        self.note(engine, id);
    }

    fn note(&mut self, engine: &Engine, id: &DatasetId) {
        let now = content(engine, id).unwrap();
        self.datasets.entry(id.clone()).or_default().push(now);
    }

    fn put(&mut self, engine: &Engine, key: String, round: u64, number: u64) {
        let value = format!("{round}/{number}/{}", "m".repeat(200)).into_bytes();
        engine
            .commit(data::put(key.clone(), value.clone()))
            .unwrap();
        let versions = self.metadata.entry(key.into_bytes()).or_default();
        versions.push(Some(value));
    }

    fn delete(&mut self, engine: &Engine, round: u64) {
        let id = dataset(9, &format!("gone-{round}"));
        self.update(engine, &id, 0, 300);
        engine
            .commit(Wish::DeleteDataset {
                dataset: id.clone(),
                modified_by: ModifiedBy::Owner,
            })
            .unwrap();
        self.note(engine, &id);
    }

    /// Files of the store.
    pub fn files(&self) -> Vec<PathBuf> {
        let mut files = self.disk.files();
        files.retain(|path| {
            let name = path.file_name().unwrap().to_string_lossy();
            name != "LOCK" && !name.starts_with("spare") && !path.starts_with("quarantine")
        });
        files
    }

    /// Every dataset and value that a store answers with is the newest, or `Err` names one that
    /// is not, or the fault of reading it.
    pub fn compare(&self, engine: &Engine) -> Result<(), String> {
        for (id, versions) in &self.datasets {
            let found = content(engine, id).map_err(|error| error.to_string())?;
            if found != *versions.last().unwrap() {
                return Err(format!("WRONG {id}: {found:?}"));
            }
        }
        for (key, versions) in &self.metadata {
            let found = value(engine, key).map_err(|error| error.to_string())?;
            if found != *versions.last().unwrap() {
                return Err(format!("WRONG {key:?}: {found:?}"));
            }
        }
        Ok(())
    }
}
