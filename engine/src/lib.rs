//! Per-identity datasets of key-value records on one log.
//!
//! A [`DatasetId`] names a small dataset of one identity of one pool. Devices change it with
//! [patches](Patch) that carry the sync count they saw: a patch list is applied whole or refused
//! with the first stale key. Every commit is one entry of a durable log, which is also the change
//! feed.
//!
//! The whole store is one sentence: *plan decides, the log remembers, apply believes.* See
//! `docs/ARCHITECTURE.md` for the map and `docs/FORMAT.md` for every byte on disk.

mod backup;
mod batch;
mod bell;
mod cache;
mod check;
mod checkpoint;
mod cleaner;
mod codec;
mod cold;
mod commit;
mod content;
pub mod disk;
mod draft;
mod engine;
mod errand;
mod error;
mod export;
mod feed;
mod files;
mod frame;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
#[cfg(test)]
mod golden;
mod inspect;
pub mod limits;
mod log;
mod manifest;
mod options;
mod page;
mod pins;
mod plan;
mod proposal;
mod quarantine;
mod queue;
mod reader;
mod readers;
mod record;
mod recovery;
mod refill;
mod repair;
mod restore;
mod root;
mod scan;
mod segment;
mod snapshot;
mod spare;
mod state;
mod store;
mod sync;
mod tail;
mod ticket;
mod transfer;
mod types;
mod unfinished;
mod watermark;
mod whole;
mod writer;

pub use backup::{Backup, BackupOptions};
pub use check::{CheckNote, Checked, Problem, Progress, TornEnd, check, check_on};
pub use cleaner::{Purged, Upkept};
pub use content::{Content, Gap};
pub use engine::{Engine, Stats};
pub use error::{Error, Fault, Found, Limit, Refusal, Subject};
pub use export::{Export, ExportPosition, ExportProgress, Exported};
pub use feed::{Feed, FeedChange, FeedCommit};
pub use inspect::{ColdFill, Inspection, inspect, inspect_on};
pub use limits::Limits;
pub use options::Options;
pub use proposal::{DatasetInfo, Outcome, Proposal, Receipt, Wish};
pub use reader::{IdentityUsage, Listed, Listing, Metadata, PoolUsage, Reader};
pub use readers::ReaderLag;
pub use record::{Record, RecordRef};
pub use recovery::{Recovery, Torn};
pub use repair::{
    LostCommits, LostDataset, LostValue, Repaired, plan_repair, plan_repair_on, repair, repair_on,
};
pub use restore::{RestoreOptions, Restored, restore, restore_on};
pub use snapshot::Scope;
pub use types::{
    Cursor, DatasetId, DatasetName, Expected, IdentityId, Invalid, MetadataKey, MetadataValue,
    ModifiedBy, Note, Patch, PatchOp, PoolId, RecordKey, RecordValue, Sequence, SyncCount,
    Timestamp,
};
