//! What is compared: ways to make one small update durable.

use syncline_engine::DatasetId;

use crate::failure::Result;
use crate::workload::{Update, Workload};

/// A store, or the bare disk that no store can beat. Used from many threads at once.
pub trait Contestant: Sync {
    /// Returns once the update is durable.
    fn commit(&self, update: Update<'_>) -> Result<()>;

    /// What it did to its disk since it was made.
    fn totals(&self) -> Totals;

    /// Forgets all that is only in memory.
    fn reopen(self: Box<Self>) -> Result<Box<dyn Contestant>>;

    /// Fails unless exactly what was acknowledged is there; `counts` says how often each dataset
    /// was updated.
    fn verify(&self, workload: &Workload, counts: &[u64]) -> Result<()>;
}

/// A store from which datasets are listed, by many threads at once.
pub trait Shelf: Contestant {
    /// Makes many updates durable, faster than one by one.
    fn write_all(&self, updates: &[Update<'_>]) -> Result<()>;

    /// Lists the records of a dataset above a count; says how many there are, and the bytes of
    /// their keys and values.
    fn list(&self, dataset: &DatasetId, since: u64) -> Result<(usize, usize)>;

    /// Reads the feed from its beginning; says how many commits there are, and the bytes of their
    /// keys and values.
    fn follow(&self) -> Result<(usize, usize)>;

    /// Reads every record; says how many there are, and the bytes of their keys and values.
    fn export(&self) -> Result<(usize, usize)>;
}

/// What a contestant did to its disk.
#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    pub syncs: u64,
    pub log_bytes: u64,
}

impl Totals {
    /// What was added since. A log of which segments were released tells nothing.
    pub fn since(self, before: Self) -> Self {
        Self {
            syncs: self.syncs - before.syncs,
            log_bytes: self.log_bytes.saturating_sub(before.log_bytes),
        }
    }
}
