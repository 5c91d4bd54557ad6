//! How far datasets are, from the directory alone.

use super::Reader;
use crate::state::Identity;
use crate::types::{DatasetId, DatasetName, IdentityId, PoolId, SyncCount};

/// How far a dataset is.
#[doc = include_str!("../examples/reader/dataset_head.md")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DatasetHead {
    /// The counter, which survives deletion; zero if there never was such a dataset.
    pub sync_count: SyncCount,
    /// Whether it exists now.
    pub exists: bool,
}

impl Reader<'_> {
    /// How far a dataset is. Never reads the disk.
    #[doc = include_str!("../examples/reader/head.md")]
    #[must_use]
    pub fn head(&self, dataset: &DatasetId) -> DatasetHead {
        let head = self.store.state().head(dataset);
        DatasetHead {
            sync_count: head.sync_count,
            exists: head.location.is_some(),
        }
    }

    /// How far the datasets of an identity are that exist, in order: at most as many as an
    /// identity may have. Never reads the disk.
    #[doc = include_str!("../examples/reader/heads.md")]
    #[must_use]
    pub fn heads(&self, pool: &PoolId, identity: &IdentityId) -> Vec<(DatasetName, SyncCount)> {
        let state = self.store.state();
        let found = state.identity(pool, identity);
        let live = found.into_iter().flat_map(Identity::live);
        live.map(|dataset| (dataset.name.clone(), dataset.sync_count()))
            .collect()
    }
}
