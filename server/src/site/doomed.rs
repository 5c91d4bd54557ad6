//! Goes on with the deletion of pools, step by step, also after a restart.
//!
//! A deleted pool is unreachable with the commit that deleted its key; what is left of it only
//! takes space.

use syncline_engine::{Error, Expected, MetadataKey, Proposal, Wish};
use uuid::Uuid;

use super::{Site, stored};
use crate::error::Chain;

/// Keys that one step deletes, about: few enough for a commit of a few milliseconds.
const STEP_KEYS: usize = 4096;
/// Pools that are looked for at a time.
const POOLS: usize = 100;

impl Site {
    /// Deletes what is left of deleted pools, until nothing is or `stop` says so. A failure is
    /// logged, and the next call tries again.
    pub async fn finish_deletions(&self, stop: impl Fn() -> bool) {
        while !stop() {
            let reader = self.store.engine().resident_reader();
            let doomed = reader.scan_keys(&[stored::DOOMED], None, POOLS);
            if doomed.is_empty() {
                return;
            }
            for (key, _) in doomed {
                let Some(pool) = stored::first_uuid(&key) else {
                    tracing::error!("the key {key} of a deleted pool has an unknown form");
                    return;
                };
                if let Err(error) = self.finish_deletion(pool, key, &stop).await {
                    tracing::warn!("deleting what is left of a pool: {}", Chain(&error));
                    return;
                }
            }
        }
    }

    async fn finish_deletion(
        &self,
        pool: Uuid,
        doomed: MetadataKey,
        stop: impl Fn() -> bool,
    ) -> Result<(), Error> {
        while !stop() {
            let reader = self.store.engine().resident_reader();
            let keys = stored::keys_of_pool(&reader, pool, STEP_KEYS);
            if keys.is_empty() {
                self.store.commit(deletion([doomed])).await?;
                return Ok(());
            }
            self.store.commit(deletion(keys)).await?;
        }
        Ok(())
    }
}

fn deletion(keys: impl IntoIterator<Item = MetadataKey>) -> Proposal {
    let delete = |key| Wish::DeleteMetadata {
        key,
        expected: Expected::Anything,
    };
    Proposal {
        wishes: keys.into_iter().map(delete).collect(),
        ..Proposal::default()
    }
}
