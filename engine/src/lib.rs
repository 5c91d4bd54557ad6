//! Per-identity datasets of key-value records on one log.
//!
//! A [`DatasetId`] names a small dataset of one identity of one pool. Devices change it with
//! [patches](Patch) that carry the sync count they saw: a patch list is applied whole or refused
//! with the first stale key. Every commit is one entry of a durable log, which is also the change
//! feed.
//!
//! The whole store is one sentence: *plan decides, the log remembers, apply believes.* See
//! `docs/ARCHITECTURE.md` for the map and `docs/FORMAT.md` for every byte on disk.

mod batch;
mod cache;
mod codec;
mod commit;
pub mod disk;
mod draft;
mod engine;
mod error;
mod feed;
mod files;
mod frame;
#[cfg(test)]
mod golden;
pub mod limits;
mod log;
mod options;
mod page;
mod plan;
mod proposal;
mod queue;
mod reader;
mod record;
mod recovery;
mod scan;
mod segment;
mod spare;
mod state;
mod store;
mod tail;
mod ticket;
mod types;
mod watermark;
mod writer;

pub use engine::{Engine, Stats};
pub use error::{Error, Fault, Found, Limit, Refusal, Subject};
pub use feed::{Feed, FeedChange, FeedCommit};
pub use limits::Limits;
pub use options::Options;
pub use proposal::{DatasetInfo, Outcome, Proposal, Receipt, Wish};
pub use reader::{IdentityUsage, Listed, Listing, Metadata, PoolUsage, Reader};
pub use record::{Record, RecordRef};
pub use recovery::{Recovery, Torn};
pub use types::{
    Cursor, DatasetId, DatasetName, Expected, IdentityId, Invalid, MetadataKey, MetadataValue,
    ModifiedBy, Note, Patch, PatchOp, PoolId, RecordKey, RecordValue, Sequence, SyncCount,
    Timestamp,
};
