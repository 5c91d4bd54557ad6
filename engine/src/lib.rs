//! Per-identity datasets of key-value records on one log.
//!
//! A [`DatasetId`] names a small dataset of one identity of one pool. Devices change it with
//! [patches](Patch) that carry the sync count they saw: a patch list is applied whole or refused
//! with the first stale key. Every commit is one entry of a durable log, which is also the change
//! feed.
//!
//! The whole store is one sentence: *plan decides, the log remembers, apply believes.* In the
//! repository, `docs/ARCHITECTURE.md` has the map and `docs/FORMAT.md` every byte on disk.
//!
//! # A guide
//!
//! ## Writing, and being refused
//!
//! An [`Engine`] is a directory that one process has open; clones share it. What is to be changed
//! is a [`Proposal`] of [wishes](Wish), of which all come true or none. When
//! [`Engine::commit`] returns a [`Receipt`], everything in it is synced to the disk.
//!
//! ```
//! use syncline_engine::{
//!     DatasetId, DatasetName, Engine, Error, IdentityId, ModifiedBy, Options, Patch, PatchOp,
//!     PoolId, RecordKey, RecordValue, Refusal, SyncCount, Wish,
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let home = tempfile::tempdir()?;
//! # let directory = home.path();
//! let engine = Engine::open(directory, Options::default())?;
//! let settings = DatasetId {
//!     pool: PoolId::parse("us-east-1:0b6b4a3e-71c4-4b2e-9b4a-3f2f6f0a7c11")?,
//!     identity: IdentityId::parse("us-east-1:5b1bd5d6-9c21-4a8f-8a60-2b8f0ad3c0de")?,
//!     name: DatasetName::parse("settings")?,
//! };
//! let put = |value: &str, seen: u64| -> Result<Wish, Box<dyn std::error::Error>> {
//!     let patch = Patch {
//!         key: RecordKey::parse("theme")?,
//!         op: PatchOp::Replace(RecordValue::parse(value)?),
//!         sync_count: SyncCount::new(seen)?,
//!         device_modified: None,
//!     };
//!     let (dataset, patches) = (settings.clone(), vec![patch]);
//!     Ok(Wish::Update { dataset, patches, modified_by: ModifiedBy::Owner })
//! };
//!
//! // A device that knows nothing yet has seen sync count 0; now the record is at 1.
//! engine.commit(put("dark", 0)?)?;
//! // Another one that does not know of that is refused, and may read, merge and try again.
//! let stale = engine.commit(put("light", 0)?);
//! assert!(matches!(stale, Err(Error::Refusal(Refusal::Conflict { .. }))));
//! engine.commit(put("light", 1)?)?;
//! # Ok(())
//! # }
//! ```
//!
//! ## Reading
//!
//! A [`Reader`] answers from what is durable, each call at one moment. [`Reader::list`] gives a
//! device what is newer than the count that it has, tombstones of removed records included;
//! [`Listed::deleted_since`] says when it must forget the rest. Pools, identities and datasets come
//! page by page or as iterators such as [`Reader::each_dataset`]. A program's own small values,
//! with versions to compare and swap, are [metadata](Wish::PutMetadata).
//!
//! Examples in this documentation begin with a store `engine` in which the dataset `settings` has
//! the records `theme` and `volume`, both at sync count 1:
//!
//! ```
//! use syncline_engine::{Listing, SyncCount};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let (_home, engine, settings) =
//! #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/examples/scene.in"));
//! let listed = engine.reader().list(&settings, &Listing::default())?;
//! for record in listed.records() {
//!     println!("{} = {:?}", record.key, record.value);
//! }
//! let since = Listing { since: SyncCount::new(1)?, ..Listing::default() };
//! assert_eq!(engine.reader().list(&settings, &since)?.records().len(), 0, "nothing is newer");
//! # Ok(())
//! # }
//! ```
//!
//! ## Following
//!
//! A [`Feed`] tells commits in order, from a [`Cursor`] on that a program stores wherever it likes.
//! It reaches back as far as [`Options::feed_retention`] says, further for a reader that has a
//! [name](Feed::named). Who comes too late is [told](Refusal::CursorTooOld), and begins with an
//! [`Export`]: a consistent copy, behind which the feed goes on without a gap.
//!
//! ```
//! use syncline_engine::Scope;
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let (_home, engine, settings) =
//! #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/examples/scene.in"));
//! let mut export = engine.export(Scope::All)?;
//! let everything = export.by_ref().collect::<Result<Vec<_>, _>>()?;
//! let mut feed = engine.feed(export.cursor())?;
//! for commit in feed.commits() {
//!     println!("meanwhile: {:?}", commit?.changes);
//! }
//! # assert_eq!(everything.len(), 3);
//! # Ok(())
//! # }
//! ```
//!
//! ## Keeping
//!
//! The store looks after itself: threads of its own write checkpoints and give back the space of
//! what was replaced or deleted. [`Engine::backup`] makes a directory of links while commits go on,
//! [`restore`] a store of it, as of any commit it reaches. [`check()`] verifies every byte of a
//! directory that no process has open, [`inspect()`] tells its figures, and [`repair()`] saves what
//! can be read of a damaged one and says what is lost.
//!
//! ## When something is wrong
//!
//! A [`Refusal`] is an answer: nothing changed, and the caller may know why. A [`Fault`] is an
//! incident: it names the file and keeps the cause. After a write or sync that failed no more is
//! written until the store is opened again, while reads go on: see [`Engine::halted`].
//!
//! ## Threads and futures
//!
//! Calls block, and any thread may make them; those that wait at the same time share one sync.
//! Async programs use [`Engine::commit_future`], [`Engine::resident_reader`] and [`Feed::changed`],
//! which never block and need no particular runtime.
//!
//! # Features
//!
//! `sim` adds [`disk`]'s simulated directory, which fails and loses what a real one may, for tests
//! of programs that embed the store. The others serve the tests of this crate.

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
mod records;
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
pub use reader::{DatasetHead, IdentityUsage, Listed, Listing, Metadata, PoolUsage, Reader};
pub use readers::ReaderLag;
pub use record::{Record, RecordRef};
pub use records::{RecordIter, Records};
pub use recovery::{Recovery, Torn};
pub use repair::{
    LostCommits, LostDataset, LostValue, Repaired, plan_repair, plan_repair_on, repair, repair_on,
};
pub use restore::{RestoreOptions, Restored, restore, restore_on};
pub use snapshot::Scope;
pub use types::{
    Cursor, DatasetId, DatasetName, Expected, IdentityId, Invalid, MetadataKey, MetadataValue,
    ModifiedBy, Note, Patch, PatchOp, PoolId, RecordKey, RecordValue, Sequence, SyncCount, Text,
    Timestamp,
};
