//! How a store is opened.

use std::sync::Arc;
use std::time::Duration;

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
    /// Bytes of log after which a checkpoint is written, or twice the last one if that is more;
    /// 64 MiB.
    pub checkpoint_bytes: u64,
    /// How long the feed reaches back; 24 hours.
    pub feed_retention: Duration,
    /// Bytes of log to which the feed reaches back at most; 1 GiB. What is passed first, this or
    /// [`Options::feed_retention`], releases the oldest segment.
    pub feed_retention_bytes: u64,
    /// Bytes that named readers and exports may hold beyond that; 8 GiB.
    pub pin_bytes: u64,
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
            checkpoint_bytes: 64 << 20,
            feed_retention: Duration::from_secs(24 * 3600),
            feed_retention_bytes: 1 << 30,
            pin_bytes: 8 << 30,
            clock: Arc::new(Timestamp::now),
            threads: true,
        }
    }
}

/// How far back things are kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Upkeep {
    pub(crate) checkpoint_bytes: u64,
    pub(crate) retention_ms: u64,
    pub(crate) retention_bytes: u64,
    pub(crate) pin_bytes: u64,
}

impl Options {
    pub(crate) fn upkeep(&self) -> Upkeep {
        Upkeep {
            checkpoint_bytes: self.checkpoint_bytes,
            retention_ms: u64::try_from(self.feed_retention.as_millis()).unwrap_or(u64::MAX),
            retention_bytes: self.feed_retention_bytes,
            pin_bytes: self.pin_bytes,
        }
    }

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
