//! Refusals and faults: an answer and an incident, never mixed.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;

use crate::types::{
    DatasetId, IdentityId, Invalid, MetadataKey, PoolId, RecordKey, Sequence, SyncCount,
};

/// What an operation of the engine may answer instead of its result.
///
/// ```
/// use syncline_engine::{Error, Wish};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (_home, engine, settings) =
/// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/examples/scene.in"));
/// match engine.commit(Wish::Republish { dataset: settings }) {
///     Ok(receipt) => println!("durable as {}", receipt.sequence),
///     Err(Error::Refusal(refusal)) => println!("no, and nothing changed: {refusal}"),
///     Err(Error::Fault(fault)) => return Err(fault.into()),
///     Err(Error::NotResident) => unreachable!("only readers answer so"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Error)]
pub enum Error {
    /// The engine said no; nothing changed.
    #[error(transparent)]
    Refusal(#[from] Refusal),
    /// Something broke; whether a write took effect is unknown until the store is reopened.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// Only from a [`Reader`](crate::Reader) that may not touch the disk: the answer is not in
    /// memory, ask again with one that may.
    #[error("the answer is not in memory and this reader may not read the disk")]
    NotResident,
}

impl Error {
    /// What everyone is told whose submission a halted store cannot take.
    pub(crate) fn halted(why: &Arc<str>) -> Self {
        Self::Fault(Fault::halted(why))
    }
}

impl From<Invalid> for Error {
    fn from(invalid: Invalid) -> Self {
        Self::Refusal(Refusal::Invalid(invalid))
    }
}

/// A polite no. Nothing changed, and the caller may know why.
///
/// ```
/// use syncline_engine::{Refusal, RecordKey, SyncCount};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let refusal = Refusal::Conflict {
///     key: RecordKey::parse("theme")?,
///     server: SyncCount::new(5)?,
///     client: SyncCount::new(3)?,
/// };
/// assert_eq!(refusal.to_string(), "Current SyncCount for: theme is: 5 not: 3");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// A value that breaks a rule whatever the state.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// A record moved on since the caller read it: `Current SyncCount for: <key> is: <server>
    /// not: <client>`, the wording that clients of the service match on.
    #[error("Current SyncCount for: {key} is: {server} not: {client}")]
    Conflict {
        /// The first stale key in the order of the patches.
        key: RecordKey,
        /// The count that the record has; 0 if there is none.
        server: SyncCount,
        /// The count that the patch carried.
        client: SyncCount,
    },
    /// A metadata value is not at the version that the proposal expects.
    #[error("metadata {key} is not as expected: it has {found}")]
    Unexpected {
        /// The first key that differs.
        key: MetadataKey,
        /// The version found; `None` if there is no value.
        found: Found,
    },
    /// What the call names does not exist.
    #[error("{0} does not exist")]
    NoSuch(Subject),
    /// A listing asked for changes since a count that the dataset has not reached.
    #[error("No such SyncCount: {0} exists for this Dataset")]
    NoSuchSyncCount(SyncCount),
    /// Storing this would pass a limit.
    #[error("{limit} would pass the limit of {max}")]
    LimitExceeded {
        /// Which limit.
        limit: Limit,
        /// Its present value.
        max: u64,
    },
    /// Too much waits for the log already; try again soon.
    #[error("too many writes are waiting; try again soon")]
    Busy,
    /// The feed no longer reaches back to the cursor.
    #[error("the feed begins after sequence {floor}; the cursor is older")]
    CursorTooOld {
        /// The oldest sequence after which the feed can be read.
        floor: Sequence,
    },
    /// An export could not keep what it still had to read; begin it again.
    #[error("the export ended before it was whole: {why}")]
    ExportOverrun {
        /// What happened, and what may help.
        why: &'static str,
    },
    /// What the position of an export names can no longer be had: begin the export again.
    #[error("the export cannot go on from there: {why}; begin it again")]
    ExportGone {
        /// What happened.
        why: &'static str,
    },
    /// The cursor belongs to another store, or to this one before it was restored.
    #[error("the cursor belongs to another store")]
    ForeignCursor,
}

/// What a metadata key was found to hold.
///
/// ```
/// use syncline_engine::{Found, Sequence};
///
/// assert_eq!(Found::Version(Sequence::new(7)).to_string(), "version 7");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// No value.
    Nothing,
    /// A value that was put by the commit with this sequence.
    Version(Sequence),
}

impl std::fmt::Display for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Nothing => f.write_str("no value"),
            Self::Version(version) => write!(f, "version {version}"),
        }
    }
}

/// What does not exist.
///
/// ```
/// use syncline_engine::{Error, PoolId, Refusal, Scope, Subject};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (_home, engine, _settings) =
/// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/examples/scene.in"));
/// let pool = PoolId::parse("us-east-1:00")?;
/// let Err(Error::Refusal(Refusal::NoSuch(missing))) = engine.export(Scope::Pool(pool)) else {
///     return Err("there is no such pool".into());
/// };
/// assert_eq!(missing, Subject::Pool(Box::new(pool)));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Subject {
    /// A dataset, never written or deleted.
    #[error("dataset {0}")]
    Dataset(Box<DatasetId>),
    /// A pool of which nothing was ever stored, or a deleted one.
    #[error("pool {0}")]
    Pool(Box<PoolId>),
    /// An identity of which nothing was ever stored, or a deleted one.
    #[error("identity {0}/{1}")]
    Identity(Box<PoolId>, Box<IdentityId>),
}

/// A configured limit.
///
/// ```
/// use syncline_engine::{Limit, Refusal};
///
/// let refusal = Refusal::LimitExceeded { limit: Limit::RecordsPerDataset, max: 1024 };
/// assert_eq!(
///     refusal.to_string(),
///     "the number of records of the dataset would pass the limit of 1024"
/// );
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Limit {
    /// [`Limits::datasets_per_identity`](crate::Limits::datasets_per_identity).
    #[error("the number of datasets of the identity")]
    DatasetsPerIdentity,
    /// [`Limits::records_per_dataset`](crate::Limits::records_per_dataset).
    #[error("the number of records of the dataset")]
    RecordsPerDataset,
    /// [`Limits::dataset_bytes`](crate::Limits::dataset_bytes).
    #[error("the size of the dataset in bytes")]
    DatasetBytes,
    /// [`Limits::pool_bytes`](crate::Limits::pool_bytes).
    #[error("the size of the pool in bytes")]
    PoolBytes,
    /// [`U48_MAX`](crate::limits::U48_MAX): the counter of the dataset is used up.
    #[error("the sync count of the dataset")]
    SyncCount,
}

/// An incident: what was being done to which file, and why it failed.
///
/// ```
/// use std::error::Error as _;
/// use syncline_engine::{Error, Fault, inspect};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let home = tempfile::tempdir()?;
/// let Err(Error::Fault(fault)) = inspect(home.path().join("nowhere")) else {
///     return Err("there is no such directory".into());
/// };
/// // What was being done to which file; the system's own words are its source.
/// assert!(matches!(&fault, Fault::Io { path, .. } if path.ends_with("nowhere")));
/// assert!(fault.source().is_some());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Error)]
pub enum Fault {
    /// The operating system refused.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// The verb: "read", "write", "sync".
        doing: &'static str,
        /// The file, relative to the data directory.
        path: PathBuf,
        /// The system's own words.
        #[source]
        source: Arc<io::Error>,
    },
    /// Bytes that were durable are not what was written. Run `syncline check`.
    #[error("{} is corrupt at offset {offset}{}: {why}", path.display(), at_sequence(*sequence))]
    Corrupt {
        /// The file, relative to the data directory.
        path: PathBuf,
        /// Byte offset in the file.
        offset: u64,
        /// The sequence of the commit that is damaged or missing, where it is known.
        sequence: Option<Sequence>,
        /// What does not hold.
        why: &'static str,
    },
    /// The file was written by a version that this one cannot read.
    #[error("{} has format version {found}; this build reads {known}", path.display())]
    Version {
        /// The file, relative to the data directory.
        path: PathBuf,
        /// The version found.
        found: u16,
        /// The version that this build reads.
        known: u16,
    },
    /// Another process has the directory open.
    #[error("the data directory is in use by {holder}")]
    Locked {
        /// Who, as it wrote itself into the lock file.
        holder: String,
    },
    /// An earlier write or sync failed, so no later one is accepted; reopen the store.
    #[error("the store is halted since an earlier write failed ({why}); reopen it")]
    Halted {
        /// The first failure.
        why: Arc<str>,
    },
    /// No space for the next segment. Nothing was written; reads go on, writes may be tried again.
    #[error("no space left for the next log segment")]
    StorageFull,
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

impl Fault {
    /// What the system refused.
    pub(crate) fn of_io(doing: &'static str, path: &Path, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::StorageFull,
            _ => Self::Io {
                doing,
                path: path.into(),
                source: Arc::new(source),
            },
        }
    }

    /// What does not hold in a file, where the sequence is not known.
    pub(crate) fn corrupt(path: impl Into<PathBuf>, offset: u64, why: &'static str) -> Self {
        Self::Corrupt {
            path: path.into(),
            offset,
            sequence: None,
            why,
        }
    }

    /// A store that was halted by something.
    pub(crate) fn halted(why: &Arc<str>) -> Self {
        Self::Halted {
            why: Arc::clone(why),
        }
    }

    /// What halts a store that this happens to.
    pub(crate) fn reason(&self) -> Arc<str> {
        match self {
            Self::Halted { why } => Arc::clone(why),
            _ => self.text(),
        }
    }

    /// The fault and its cause in one line, for those who come later.
    pub(crate) fn text(&self) -> Arc<str> {
        match std::error::Error::source(self) {
            Some(source) => format!("{self}: {source}").into(),
            None => self.to_string().into(),
        }
    }
}

fn at_sequence(sequence: Option<Sequence>) -> String {
    sequence.map_or_else(String::new, |sequence| format!(" (sequence {sequence})"))
}
