//! Whether what a plan adds fits the limits.

use super::{Ground, Plan};
use crate::commit::{Change, Facts};
use crate::error::{Limit, Refusal};
use crate::limits::{DATASETS_PER_IDENTITY_MAX, TOMBSTONE_BYTES_MAX, TOMBSTONES_PER_DATASET_MAX};
use crate::page::Page;
use crate::state::State;
use crate::types::{DatasetId, invalid};

impl Plan {
    /// Limits refuse growth only, so that lowering one locks nobody out of removing.
    pub(super) fn check_limits(
        &self,
        ground: &Ground<'_>,
        dataset: &DatasetId,
        before: &Page,
        after: &Facts,
    ) -> Result<(), Refusal> {
        let limits = ground.limits;
        let (was, is) = (before.facts(), after);
        if is.live > was.live && is.live as usize > limits.records_per_dataset {
            return Err(exceeded(
                Limit::RecordsPerDataset,
                limits.records_per_dataset,
            ));
        }
        if is.bytes > was.bytes && is.bytes as usize > limits.dataset_bytes {
            return Err(exceeded(Limit::DatasetBytes, limits.dataset_bytes));
        }
        if is.tombstones as usize > TOMBSTONES_PER_DATASET_MAX
            || is.tombstone_bytes as usize > TOMBSTONE_BYTES_MAX
        {
            return Err(invalid(
                "patches",
                "remove at most 4096 records and 1 MiB of keys at once",
            )
            .into());
        }
        if !before.exists() {
            let owner = (dataset.pool, dataset.identity);
            let identity = ground.state.identity(&owner.0, &owner.1);
            let stored = identity.map_or(0, |identity| identity.live().count());
            let planned = self
                .created
                .iter()
                .filter(|&&created| created == owner)
                .count();
            let max = limits.datasets_per_identity.min(DATASETS_PER_IDENTITY_MAX);
            if stored + planned >= max {
                return Err(exceeded(Limit::DatasetsPerIdentity, max));
            }
        }
        self.check_pool_bytes(ground, dataset, u64::from(was.bytes), u64::from(is.bytes))
    }

    fn check_pool_bytes(
        &self,
        ground: &Ground<'_>,
        dataset: &DatasetId,
        was: u64,
        is: u64,
    ) -> Result<(), Refusal> {
        let max = ground.limits.pool_bytes;
        if max == 0 || is <= was {
            return Ok(());
        }
        let mut bytes = ground
            .state
            .pools
            .get(&dataset.pool)
            .map_or(0, |pool| pool.bytes);
        for change in &self.commit.changes {
            if let Change::Dataset(change) = change
                && change.dataset.pool == dataset.pool
            {
                let stored = stored_bytes(ground.state, &change.dataset);
                bytes = bytes - stored + u64::from(change.facts.bytes);
            }
        }
        if bytes - was + is > max {
            return Err(Refusal::LimitExceeded {
                limit: Limit::PoolBytes,
                max,
            });
        }
        Ok(())
    }
}

fn stored_bytes(state: &State, dataset: &DatasetId) -> u64 {
    state
        .identity(&dataset.pool, &dataset.identity)
        .and_then(|identity| identity.dataset(&dataset.name))
        .map_or(0, |dataset| u64::from(dataset.known().bytes))
}

pub(super) fn exceeded(limit: Limit, max: usize) -> Refusal {
    Refusal::LimitExceeded {
        limit,
        max: max as u64,
    }
}
