//! Figures of a directory that no process has open, read without changing anything.

use std::path::Path;
use std::sync::Arc;

use uuid::Uuid;

use crate::check::{existing, open_frozen};
use crate::checkpoint;
use crate::disk::{Disk, Frozen};
use crate::error::{Error, Fault};
use crate::recovery::{Opened, lock};
use crate::segment::COLD;
use crate::types::{Sequence, SyncCount};

/// What is in a directory.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (_home, engine, _settings) =
/// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/examples/scene.in"));
/// # let data = _home.path().join("data");
/// # let sequence = engine.head().sequence;
/// # drop(engine);
/// let found = syncline_engine::inspect(&data)?;
/// assert_eq!((found.pools, found.datasets), (1, 1));
/// assert_eq!(found.sequence, sequence);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Inspection {
    /// The id of the store, which its cursors carry.
    pub store: Uuid,
    /// The last commit.
    pub sequence: Sequence,
    /// The last commit that the feed does not reach any more.
    pub feed_floor: Sequence,
    /// Counts up to this one may have been issued by what was lost before a restore or a repair.
    pub base: SyncCount,
    /// Pools that have identities, or had some.
    pub pools: u64,
    /// Identities that have datasets, or had some.
    pub identities: u64,
    /// Datasets that exist.
    pub datasets: u64,
    /// Bytes of keys and values of all records.
    pub bytes: u64,
    /// Metadata keys that have a value.
    pub metadata: u64,
    /// Segments of the log.
    pub log_segments: u64,
    /// Bytes of frames in the log.
    pub log_bytes: u64,
    /// Checkpoints that hold, at most two.
    pub checkpoints: u64,
    /// Bytes of their files.
    pub checkpoint_bytes: u64,
    /// The cold segments, ordered by number.
    pub cold: Vec<ColdFill>,
    /// A crash left the last batch unfinished: so many bytes of it.
    pub torn_bytes: u64,
}

/// How much of a cold segment lives.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (_home, engine, _settings) =
/// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/examples/scene.in"));
/// # let data = _home.path().join("data");
/// # drop(engine);
/// for segment in syncline_engine::inspect(&data)?.cold {
///     let dead = segment.bytes - segment.live;
///     println!("cold segment {}: {dead} bytes to be cleaned", segment.number);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ColdFill {
    /// The number in its file name.
    pub number: u32,
    /// Bytes of frames.
    pub bytes: u64,
    /// Bytes of them that the directory names.
    pub live: u64,
}

impl Inspection {
    /// Bytes of frames in all cold segments.
    ///
    /// ```
    /// use syncline_engine::{ColdFill, Inspection};
    ///
    /// let half = ColdFill { number: 1, bytes: 8192, live: 4096 };
    /// let little = ColdFill { number: 2, live: 512, ..half };
    /// let found = Inspection { cold: vec![half, little], ..Inspection::default() };
    /// assert_eq!(found.cold_bytes(), 16_384);
    /// ```
    #[must_use]
    pub fn cold_bytes(&self) -> u64 {
        self.cold.iter().map(|segment| segment.bytes).sum()
    }

    /// Bytes of them that the directory names.
    ///
    /// ```
    /// use syncline_engine::{ColdFill, Inspection};
    ///
    /// let half = ColdFill { number: 1, bytes: 8192, live: 4096 };
    /// let little = ColdFill { number: 2, live: 512, ..half };
    /// let found = Inspection { cold: vec![half, little], ..Inspection::default() };
    /// assert_eq!(found.cold_live_bytes(), 4608);
    /// ```
    #[must_use]
    pub fn cold_live_bytes(&self) -> u64 {
        self.cold.iter().map(|segment| segment.live).sum()
    }
}

/// Reads the figures of the store in a directory, and changes nothing in it.
///
/// ```
/// use syncline_engine::inspect;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (_home, engine, _settings) =
/// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/examples/scene.in"));
/// # let data = _home.path().join("data");
/// assert!(inspect(&data).is_err(), "the store is open");
/// drop(engine);
/// let found = inspect(&data)?;
/// println!("{} datasets, {} bytes of log", found.datasets, found.log_bytes);
/// # assert_eq!(found.datasets, 1);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// Those of opening a store; [`Fault::Io`] if there is no such directory.
pub fn inspect(directory: impl AsRef<Path>) -> Result<Inspection, Error> {
    inspect_on(existing(directory.as_ref())?)
}

/// As [`inspect`], on a disk of the caller's.
///
/// ```
/// use std::sync::Arc;
/// use syncline_engine::{disk::RealDisk, inspect_on};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (_home, engine, _settings) =
/// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/examples/scene.in"));
/// # let data = _home.path().join("data");
/// # drop(engine);
/// let found = inspect_on(Arc::new(RealDisk::existing(data)?))?;
/// assert_eq!(found.torn_bytes, 0);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// Those of [`inspect`].
pub fn inspect_on(disk: Arc<dyn Disk>) -> Result<Inspection, Error> {
    let _lock = lock(disk.as_ref())?;
    let disk: Arc<dyn Disk> = Arc::new(Frozen(disk));
    let opened = open_frozen(&disk)?;
    Ok(figures(disk.as_ref(), &opened)?)
}

fn figures(disk: &dyn Disk, opened: &Opened) -> Result<Inspection, Fault> {
    let Opened {
        state, log, kept, ..
    } = opened;
    let mut checkpoint_bytes = 0;
    for written in &kept.checkpoints {
        let path = checkpoint::path(written.number);
        let length = disk.open(&path).and_then(|file| file.length());
        checkpoint_bytes += length.map_err(|source| Fault::of_io("measure", &path, source))?;
    }
    let totals = state.totals();
    let (log_segments, log_bytes) = log.size();
    let live = |number| state.live.get(&number).copied().unwrap_or(0);
    let cold = log.cold.all();
    let cold = cold.iter().map(|segment| ColdFill {
        number: segment.header.number & !COLD,
        bytes: segment.bytes(),
        live: u64::try_from(live(segment.header.number)).unwrap_or(0),
    });
    let first = log.segments().first().map(|segment| segment.header.base);
    let torn = opened.recovery.torn.as_ref();
    Ok(Inspection {
        store: log.root.uuid,
        sequence: state.sequence,
        feed_floor: first.unwrap_or(state.sequence),
        base: state.base,
        pools: totals.pools,
        identities: totals.identities,
        datasets: totals.datasets,
        bytes: totals.bytes,
        metadata: totals.metadata,
        log_segments: log_segments as u64,
        log_bytes,
        checkpoints: kept.checkpoints.len() as u64,
        checkpoint_bytes,
        cold: cold.collect(),
        torn_bytes: torn.map_or(0, |torn| torn.bytes),
    })
}
