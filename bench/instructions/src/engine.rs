//! Commits, listings and the feed, of a store without threads.

use syncline_engine::{
    DatasetId, DatasetName, Engine, IdentityId, Listing, ModifiedBy, Options, Patch, PatchOp,
    PoolId, Proposal, RecordKey, RecordValue, SyncCount, Wish,
};
use tempfile::TempDir;

use crate::{Failure, measured};

/// Datasets, 20 of each identity.
const DATASETS: usize = 2000;
/// Commits that share a sync, as under load.
const TOGETHER: usize = 64;

struct Scene {
    engine: Engine,
    datasets: Vec<DatasetId>,
    /// What each was written.
    counts: Vec<u64>,
    _directory: TempDir,
}

impl Scene {
    /// A store in which every dataset has so many records.
    fn new(records: usize) -> Result<Self, Failure> {
        let directory = tempfile::tempdir()?;
        let options = Options {
            threads: false,
            ..Options::default()
        };
        let engine = Engine::open(directory.path(), options)?;
        let dataset = |number: usize| -> Result<DatasetId, Failure> {
            let identity = number / 20;
            Ok(DatasetId {
                pool: PoolId::parse("us-east-1:0b6b4a3e-71c4-4b2e-9b4a-3f2f6f0a7c11")?,
                identity: IdentityId::parse(&format!(
                    "us-east-1:5b1bd5d6-9c21-4a8f-8a60-{identity:012x}"
                ))?,
                name: DatasetName::parse(&format!("dataset-{}", number % 20))?,
            })
        };
        let mut scene = Self {
            engine,
            datasets: (0..DATASETS).map(dataset).collect::<Result<_, _>>()?,
            counts: vec![0; DATASETS],
            _directory: directory,
        };
        for first in (0..DATASETS).step_by(TOGETHER) {
            let numbers = first..(first + TOGETHER).min(DATASETS);
            let proposals = scene.proposals(numbers, records)?;
            scene.commit(proposals)?;
        }
        Ok(scene)
    }

    /// Writes the first records of datasets.
    fn proposals(
        &mut self,
        numbers: impl Iterator<Item = usize>,
        records: usize,
    ) -> Result<Vec<Proposal>, Failure> {
        let proposals = numbers.map(|number| {
            let seen = SyncCount::new(self.counts[number])?;
            self.counts[number] += 1;
            let patch = |record| -> Result<Patch, Failure> {
                let value = format!("{record:0100}");
                Ok(Patch {
                    key: RecordKey::parse(&format!("key-{record}"))?,
                    op: PatchOp::Replace(RecordValue::parse(value)?),
                    sync_count: seen,
                    device_modified: None,
                })
            };
            Ok(Proposal::from(Wish::Update {
                dataset: self.datasets[number].clone(),
                patches: (0..records).map(patch).collect::<Result<_, _>>()?,
                modified_by: ModifiedBy::Owner,
            }))
        });
        proposals.collect()
    }

    fn commit(&self, proposals: Vec<Proposal>) -> Result<(), Failure> {
        for answer in self.engine.commit_all(proposals) {
            answer?;
        }
        Ok(())
    }

    fn list(&self, times: u32, since: u64, records: usize) -> Result<(), Failure> {
        let listing = Listing {
            since: SyncCount::new(since)?,
            ..Listing::default()
        };
        let reader = self.engine.reader();
        for dataset in self.datasets.iter().cycle().take(times as usize) {
            measured(&mut || {
                let listed = reader.list(dataset, &listing)?;
                let found = listed.records().filter(|record| !record.key.is_empty());
                if found.count() != records {
                    return Err("a listing is not what was written".into());
                }
                Ok(())
            })?;
        }
        Ok(())
    }
}

/// So many commits of so many records each, 64 to a sync.
pub fn commit(times: u32, records: usize) -> Result<(), Failure> {
    let mut scene = Scene::new(records)?;
    // Datasets far from each other, each once in a batch.
    let mut numbers = (0..DATASETS).cycle().step_by(7).take(times as usize);
    loop {
        let some: Vec<_> = numbers.by_ref().take(TOGETHER).collect();
        if some.is_empty() {
            return Ok(());
        }
        let mut proposals = scene.proposals(some.into_iter(), records)?;
        measured(&mut || scene.commit(std::mem::take(&mut proposals)))?;
    }
}

/// Listings of the one record of ten that is new.
pub fn list_since(times: u32) -> Result<(), Failure> {
    let mut scene = Scene::new(10)?;
    for first in (0..DATASETS).step_by(TOGETHER) {
        let numbers = first..(first + TOGETHER).min(DATASETS);
        let proposals = scene.proposals(numbers, 1)?;
        scene.commit(proposals)?;
    }
    scene.list(times, 1, 1)
}

/// Listings of all ten records.
pub fn list_all(times: u32) -> Result<(), Failure> {
    Scene::new(10)?.list(times, 0, 10)
}

/// So many commits of one record, read from the feed.
pub fn feed(times: u32) -> Result<(), Failure> {
    let mut scene = Scene::new(1)?;
    let behind = scene.engine.head();
    for _ in 0..times as usize / TOGETHER {
        let proposals = scene.proposals(0..TOGETHER, 1)?;
        scene.commit(proposals)?;
    }
    let mut feed = scene.engine.feed(behind)?;
    measured(&mut || {
        let mut left = times as usize / TOGETHER * TOGETHER;
        while left > 0 {
            left = left
                .checked_sub(feed.read()?.len())
                .ok_or("the feed tells more than was written")?;
        }
        Ok(())
    })
}
