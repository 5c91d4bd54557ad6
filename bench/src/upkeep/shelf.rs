//! Datasets of several records, with what was acknowledged of them.

use std::path::Path;

use syncline_engine::{
    DatasetId, Engine, Listing, ModifiedBy, Options, Patch, PatchOp, Proposal, RecordKey,
    RecordValue, SyncCount, Wish,
};

use crate::failure::{Result, fail};
use crate::workload::{self, Dice};

/// Bytes of every key.
const KEY_BYTES: usize = 8;
/// Commits and bytes of them that are handed over at a time.
const CHUNK: usize = 1000;
const CHUNK_BYTES: usize = 16 << 20;

/// Datasets in a store. All have records of the same sizes.
pub struct Shelf {
    pub engine: Engine,
    datasets: Vec<DatasetId>,
    keys: Vec<RecordKey>,
    /// Bytes of key and value.
    sizes: Vec<usize>,
    /// The count of each dataset, and of each of its records.
    counts: Vec<(u64, Vec<u64>)>,
    dice: Dice,
}

impl Shelf {
    /// A new store with nothing in it.
    pub fn new(
        directory: &Path,
        options: Options,
        datasets: usize,
        sizes: Vec<usize>,
    ) -> Result<Self> {
        let keys = 0..sizes.len();
        Ok(Self {
            engine: Engine::open(directory, options)?,
            datasets: (0..datasets)
                .map(|number| workload::dataset(number, "progress"))
                .collect::<Result<_>>()?,
            keys: keys
                .map(|number| Ok(RecordKey::parse(&format!("key-{number:04}"))?))
                .collect::<Result<_>>()?,
            counts: vec![(0, vec![0; sizes.len()]); datasets],
            sizes,
            dice: Dice::new(datasets),
        })
    }

    /// Bytes of keys and values of a dataset.
    pub fn dataset_bytes(&self) -> usize {
        self.sizes.iter().sum()
    }

    /// Writes every record of every dataset, a dataset at a time; says after each chunk how many
    /// were written.
    pub fn write_all(&mut self, mut done: impl FnMut(&Self, usize) -> Result<()>) -> Result<()> {
        let chunk = (CHUNK_BYTES / self.dataset_bytes()).clamp(1, CHUNK);
        let records: Vec<_> = (0..self.sizes.len()).collect();
        for first in (0..self.datasets.len()).step_by(chunk) {
            let numbers = first..(first + chunk).min(self.datasets.len());
            let count = numbers.len();
            let proposals = numbers.map(|number| self.proposal(number, &records));
            let proposals = proposals.collect::<Result<_>>()?;
            self.commit(proposals)?;
            done(self, count)?;
        }
        Ok(())
    }

    /// Updates one record, chosen uniformly among the first `hot` of all datasets, so often.
    pub fn update(&mut self, times: usize, hot: usize) -> Result<()> {
        let mut left = times;
        while left > 0 {
            let chunk = left.min(CHUNK);
            let proposals = (0..chunk).map(|_| {
                let number = self.dice.roll(self.datasets.len());
                let record = self.dice.roll(hot);
                self.proposal(number, &[record])
            });
            let proposals = proposals.collect::<Result<_>>()?;
            self.commit(proposals)?;
            left -= chunk;
        }
        Ok(())
    }

    fn commit(&self, proposals: Vec<Proposal>) -> Result<()> {
        for answer in self.engine.commit_all(proposals) {
            answer?;
        }
        Ok(())
    }

    fn proposal(&mut self, number: usize, records: &[usize]) -> Result<Proposal> {
        let (dataset, counts) = &mut self.counts[number];
        *dataset += 1;
        let mut patches = Vec::with_capacity(records.len());
        for &record in records {
            let value = value(number, record, *dataset, self.sizes[record]);
            patches.push(Patch {
                key: self.keys[record].clone(),
                op: PatchOp::Replace(RecordValue::parse(value)?),
                sync_count: SyncCount::new(counts[record])?,
                device_modified: None,
            });
            counts[record] = *dataset;
        }
        let wish = Wish::Update {
            dataset: self.datasets[number].clone(),
            patches,
            modified_by: ModifiedBy::Owner,
        };
        Ok(wish.into())
    }

    /// Fails unless everything acknowledged is there, and nothing else.
    pub fn verify(&self) -> Result<()> {
        for (number, (dataset, counts)) in self.datasets.iter().zip(&self.counts).enumerate() {
            let listed = self.engine.reader().list(dataset, &Listing::default())?;
            let mut found = 0;
            for record in listed.records() {
                let place: usize = record
                    .key
                    .as_str()
                    .strip_prefix("key-")
                    .unwrap_or_default()
                    .parse()?;
                let count = counts.1.get(place).copied().unwrap_or(0);
                let wanted = value(number, place, count, self.sizes[place]);
                if record.sync_count.get() != count || record.value != Some(wanted.as_str().into())
                {
                    return fail(format!("{dataset} {} is not as it was written", record.key));
                }
                found += 1;
            }
            if found != self.sizes.len() || listed.sync_count.get() != counts.0 {
                return fail(format!("{dataset} has {found} records, some are missing"));
            }
        }
        Ok(())
    }
}

/// The value that a record got when its dataset reached a count.
fn value(dataset: usize, record: usize, count: u64, size: usize) -> String {
    let number = workload::mix(dataset as u64) ^ workload::mix(record as u64 + (count << 16));
    workload::text(number, size - KEY_BYTES)
}
