//! What is compared: ways to make one small update durable.

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
