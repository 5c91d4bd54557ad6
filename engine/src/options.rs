//! How a store is opened.

use std::sync::Arc;

use crate::limits::{
    DATASET_BYTES_MAX, DATASETS_PER_IDENTITY_MAX, Limits, RECORDS_PER_DATASET_MAX,
    SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN,
};
use crate::types::{Invalid, Timestamp, invalid};

/// How a store is opened. The defaults suit a server; change fields as needed:
///
/// ```
/// let options = syncline_engine::Options { cache_bytes: 16 << 20, ..Default::default() };
/// ```
#[derive(Clone)]
pub struct Options {
    /// Sizes and numbers beyond which writes are refused.
    pub limits: Limits,
    /// Bytes of records and metadata values kept in memory; 256 MiB.
    pub cache_bytes: usize,
    /// Bytes of a log segment, 64 KiB to 1 GiB; 64 MiB.
    pub segment_bytes: u64,
    /// What time it is; the system's clock.
    pub clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    /// Whether the store has threads of its own; without them whoever submits does all the work,
    /// in an order that can be repeated.
    pub threads: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            cache_bytes: 256 << 20,
            segment_bytes: 64 << 20,
            clock: Arc::new(Timestamp::now),
            threads: true,
        }
    }
}

impl Options {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        let limits = &self.limits;
        if !(SEGMENT_BYTES_MIN..=SEGMENT_BYTES_MAX).contains(&self.segment_bytes) {
            return Err(invalid("segment_bytes", "must be 65536 to 1073741824"));
        }
        if limits.datasets_per_identity > DATASETS_PER_IDENTITY_MAX {
            return Err(invalid("datasets_per_identity", "must be at most 10000"));
        }
        if limits.records_per_dataset > RECORDS_PER_DATASET_MAX {
            return Err(invalid("records_per_dataset", "must be at most 65000"));
        }
        if limits.dataset_bytes > DATASET_BYTES_MAX {
            return Err(invalid("dataset_bytes", "must be at most 16777216"));
        }
        Ok(())
    }
}
