//! The logical work that every contestant does: which dataset, which record, which value.
//!
//! An update writes all records of its dataset, so a dataset's count is its records' count too.
//! Values are a pure function of dataset, record and count: whatever a store says it holds can be
//! checked.

use syncline_engine::{DatasetId, DatasetName, IdentityId, PoolId, RecordKey};

use crate::choice::Choice;
use crate::failure::Result;

/// Bytes of a value.
pub const VALUE_BYTES: usize = 100;
/// The pool of all datasets.
const POOL: &str = "us-east-1:0b6b4a3e-71c4-4b2e-9b4a-3f2f6f0a7c11";
/// The name of every dataset.
const DATASET: &str = "progress";
/// The key of the first record of every dataset.
pub const KEY: &str = "level";

/// Datasets, one per identity, with the same records each.
pub struct Workload {
    pub datasets: Vec<DatasetId>,
    pub keys: Vec<RecordKey>,
    /// Bytes of every value.
    pub value_bytes: usize,
    /// How updates choose among the datasets.
    pub choice: Choice,
}

/// A durable compare-and-swap of all records of a dataset.
#[derive(Clone, Copy)]
pub struct Update<'a> {
    /// Which dataset, by its place in the workload.
    pub number: usize,
    pub dataset: &'a DatasetId,
    pub keys: &'a [RecordKey],
    value_bytes: usize,
    /// The count that the caller saw last, of each record.
    pub sync_count: u64,
}

impl Workload {
    pub fn new(datasets: usize, records: usize) -> Result<Self> {
        let datasets = (0..datasets)
            .map(|n| dataset(n, DATASET))
            .collect::<Result<_>>()?;
        let key = |record| match record {
            0 => KEY.to_owned(),
            _ => format!("{KEY}-{record}"),
        };
        let keys = (0..records).map(|record| Ok(RecordKey::parse(&key(record))?));
        Ok(Self {
            datasets,
            keys: keys.collect::<Result<_>>()?,
            value_bytes: VALUE_BYTES,
            choice: Choice::Uniform,
        })
    }

    /// An update of the first record alone, of a dataset in which all have the same count.
    pub fn update_of_first(&self, number: usize, sync_count: u64) -> Update<'_> {
        Update {
            keys: &self.keys[..1],
            ..self.update(number, sync_count)
        }
    }

    /// The value that makes a record of a dataset reach a count.
    pub fn value(&self, dataset: usize, record: usize, count: u64) -> String {
        record_value(dataset, record, count, self.value_bytes)
    }

    pub fn update(&self, number: usize, sync_count: u64) -> Update<'_> {
        Update {
            number,
            dataset: &self.datasets[number],
            keys: &self.keys,
            value_bytes: self.value_bytes,
            sync_count,
        }
    }
}

/// One of several datasets of an identity.
pub fn numbered(identity: usize, number: usize) -> Result<DatasetId> {
    dataset(identity, &format!("dataset-{number}"))
}

/// A dataset of the identity with this number. Identities are spread as random ones are.
pub fn dataset(identity: usize, name: &str) -> Result<DatasetId> {
    let (high, low) = (mix(identity as u64), mix(!(identity as u64)));
    let identity = format!(
        "us-east-1:{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        low >> 52,
        low & 0xffff_ffff_ffff,
    );
    Ok(DatasetId {
        pool: PoolId::parse(POOL)?,
        identity: IdentityId::parse(&identity)?,
        name: DatasetName::parse(name)?,
    })
}

/// The value that makes a dataset reach a count: hexadecimal digits that repeat.
pub fn value(dataset: usize, count: u64) -> String {
    text(mix(dataset as u64) ^ count, VALUE_BYTES)
}

fn record_value(dataset: usize, record: usize, count: u64, bytes: usize) -> String {
    text(mix((dataset | record << 40) as u64) ^ count, bytes)
}

impl Update<'_> {
    /// The value that it gives a record.
    pub fn value(&self, record: usize) -> String {
        record_value(self.number, record, self.sync_count + 1, self.value_bytes)
    }
}

/// So many hexadecimal digits that repeat, the same for the same number.
pub fn text(number: u64, bytes: usize) -> String {
    let digits = format!("{:016x}", mix(number));
    let mut text = digits.repeat(bytes.div_ceil(digits.len()));
    text.truncate(bytes);
    text
}

/// Numbers that look random and are the same in every run (splitmix64).
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: usize) -> Self {
        Self(mix(seed as u64))
    }

    /// One of `0..below`, each as likely as the others but for one in 2^40 or so.
    pub fn roll(&mut self, below: usize) -> usize {
        let product = u128::from(self.next()) * below as u128;
        usize::try_from(product >> 64).unwrap_or(0)
    }

    /// A number from 0 to 1, which it never is: one of 2^53.
    pub fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }
}

/// A number that looks random, the same for the same number.
pub fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_differ_and_values_have_their_size() {
        let workload = Workload::new(1000, 1).unwrap();
        let identities: std::collections::HashSet<_> = workload
            .datasets
            .iter()
            .map(|dataset| dataset.identity)
            .collect();
        assert_eq!(identities.len(), 1000);
        assert_eq!(value(7, 3).len(), VALUE_BYTES);
        assert_ne!(value(7, 3), value(7, 4));
        assert_ne!(value(7, 3), value(8, 3));
        assert_eq!(value(7, 3), workload.value(7, 0, 3));
        assert_eq!(value(7, 3), workload.update(7, 2).value(0));
        assert_ne!(value(7, 3), workload.value(7, 1, 3));
    }

    #[test]
    fn dice_reach_every_side() {
        let mut dice = Dice::new(1);
        let mut seen = [0; 6];
        for _ in 0..6000 {
            seen[dice.roll(6)] += 1;
        }
        assert!(seen.iter().all(|&times| times > 800), "{seen:?}");
    }
}
