//! Repairing a directory: what can be read of a damaged store becomes a new one in its place.
//!
//! Nothing is changed in the old files. The new store is written beside them, and takes their
//! place in one step; they go to the quarantine.

use std::path::{Path, PathBuf};
use std::sync::Arc;

mod beside;
mod build;
mod compose;
mod pieces;
mod replay;
mod report;
mod salvage;
mod shelf;
mod swap;

use uuid::Uuid;

use crate::backup::DIRECTORIES;
use crate::check::{Problem, check_locked, existing};
use crate::disk::{Disk, Frozen};
use crate::error::{Error, Fault};
use crate::manifest;
use crate::recovery::{Found, lock, make_directory};
use crate::root::Root;
use crate::segment::COLD;
use crate::types::{DatasetId, MetadataKey, Sequence, SyncCount};

use build::{Build, Numbers};
use pieces::{Pieces, gather};
use salvage::Salvage;
use swap::Swap;

/// How far counts are lifted above everything that is known to have been issued.
const LIFT: u64 = 1 << 32;
/// The same where it is not known how far they were lifted before.
const LIFT_UNKNOWN: u64 = 1 << 36;

/// What a repair did, or would do.
///
/// ```
/// use syncline_engine::Repaired;
///
/// fn tell(repaired: &Repaired) {
///     if repaired.was_sound() {
///         return println!("nothing to do");
///     }
///     for lost in &repaired.lost_datasets {
///         println!("{} lost something up to {}", lost.dataset, lost.up_to);
///     }
///     for file in &repaired.set_aside {
///         println!("{} may be removed", file.display());
///     }
/// }
/// # tell(&Repaired::default());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Repaired {
    /// What did not hold, at most 1,000; if nothing, the store was sound and is as it was.
    pub problems: Vec<Problem>,
    /// An earlier repair had been cut short when all was decided, and is ended now: what it told.
    pub finished: Option<String>,
    /// The id of the store.
    pub store: Uuid,
    /// It is a new one, since something was or may have been lost: cursors of the old one are
    /// refused.
    pub renewed: bool,
    /// Datasets' next counts are above this one, if something was or may have been lost.
    pub lifted_to: Option<SyncCount>,
    /// The last commit that is known of.
    pub sequence: Sequence,
    /// Datasets that the store has now.
    pub datasets: u64,
    /// Metadata values that it has now.
    pub metadata: u64,
    /// Datasets of which something is lost.
    pub lost_datasets: Vec<LostDataset>,
    /// Metadata values that are lost, or are older ones now.
    pub lost_metadata: Vec<LostValue>,
    /// Commits that could not be read. What they changed is as it was before them.
    pub lost_commits: Vec<LostCommits>,
    /// What stood before the log, in checkpoints, cannot be read: datasets and values of which
    /// neither the log nor a cold segment tells are lost, and nobody knows their names.
    pub beginning_lost: bool,
    /// Which store it was, and how far its counts were lifted, could not be read.
    pub root_lost: bool,
    /// Files of the old store: where they are now, or, if nothing was changed, where they would
    /// be taken from. They may be removed.
    pub set_aside: Vec<PathBuf>,
}

/// A dataset of which something is lost.
///
/// ```
/// use syncline_engine::LostDataset;
///
/// fn text(lost: &LostDataset) -> String {
///     match lost.after {
///         Some(after) => format!("{}: lost what came after {after}", lost.dataset),
///         None => format!("{}: lost", lost.dataset),
///     }
/// }
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (_home, _engine, dataset) =
/// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/examples/scene.in"));
/// # let lost = LostDataset { dataset, after: None, up_to: syncline_engine::SyncCount::ZERO };
/// # assert!(text(&lost).ends_with("/settings: lost"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostDataset {
    /// Which.
    pub dataset: DatasetId,
    /// What was changed after this count is lost, up to [`LostDataset::up_to`]; `None`: all of it
    /// is lost.
    pub after: Option<SyncCount>,
    /// The last count whose changes are lost.
    pub up_to: SyncCount,
}

/// A metadata value that is lost.
///
/// ```
/// use syncline_engine::{LostValue, MetadataKey, Sequence};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let lost = LostValue {
///     key: MetadataKey::new(*b"schema")?,
///     version: Sequence::new(9),
///     older: Some(Sequence::new(4)),
/// };
/// assert!(lost.older < Some(lost.version), "an old value is there instead");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostValue {
    /// Its key.
    pub key: MetadataKey,
    /// Its version.
    pub version: Sequence,
    /// The version of an older value that is there instead.
    pub older: Option<Sequence>,
}

/// Commits that could not be read.
///
/// ```
/// use syncline_engine::{LostCommits, Sequence};
///
/// let lost = LostCommits { first: Sequence::new(7), last: Some(Sequence::new(9)) };
/// let count = lost.last.map(|last| last.get() - lost.first.get() + 1);
/// assert_eq!(count, Some(3));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LostCommits {
    /// The first.
    pub first: Sequence,
    /// The last; `None`: nobody knows how many there were, if any.
    pub last: Option<Sequence>,
}

impl Repaired {
    /// Whether the store was sound, and nothing had to be done.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (_home, engine, _settings) =
    /// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/examples/scene.in"));
    /// # let data = _home.path().join("data");
    /// # drop(engine);
    /// assert!(syncline_engine::repair(&data)?.was_sound());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn was_sound(&self) -> bool {
        self.problems.is_empty() && self.finished.is_none()
    }

    /// Whether something was, or may have been, lost.
    ///
    /// ```
    /// use syncline_engine::Repaired;
    ///
    /// assert!(!Repaired::default().is_lossy());
    /// assert!(Repaired { root_lost: true, ..Repaired::default() }.is_lossy());
    /// ```
    #[must_use]
    pub fn is_lossy(&self) -> bool {
        self.root_lost
            || self.beginning_lost
            || !self.lost_commits.is_empty()
            || !self.lost_datasets.is_empty()
            || !self.lost_metadata.is_empty()
    }
}

/// Saves what can be read of the store in a directory, and says what is lost. A store that is
/// sound stays as it is. The feed begins anew behind the last commit. If anything was or may have
/// been lost, the store gets a new id and lifted counts, so that clients which have seen more are
/// told everything anew.
///
/// It needs free space for everything that lives. Cut short at any moment it leaves the old store,
/// or a directory that does not open until the repair is run again.
///
/// ```
/// use syncline_engine::{check, repair};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (_home, engine, settings) =
/// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/examples/scene.in"));
/// # let data = _home.path().join("data");
/// # drop(engine);
/// # // Any byte of the only record: neither the log nor a checkpoint believes it then.
/// # let mut files: Vec<_> = std::fs::read_dir(data.join("hot"))?.collect::<Result<_, _>>()?;
/// # files.sort_by_key(|file| file.file_name());
/// # let log = files[0].path();
/// # let mut bytes = std::fs::read(&log)?;
/// # let place = bytes.windows(4).position(|four| four == b"dark").ok_or("no record")?;
/// # bytes[place] ^= 1;
/// # std::fs::write(&log, bytes)?;
/// assert!(!check(&data, |_| ())?.is_sound());
/// let repaired = repair(&data)?;
/// assert!(repaired.is_lossy());
/// assert_eq!(repaired.lost_datasets[0].dataset, settings);
/// assert!(check(&data, |_| ())?.is_sound());
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// A refusal if the directory is a backup, which is to be restored first; [`Fault::Locked`] if a
/// process has the store open; [`Fault::Version`], or [`Fault::Corrupt`] that says so, if a later
/// version wrote to it; faults of reading and writing.
pub fn repair(directory: impl AsRef<Path>) -> Result<Repaired, Error> {
    repair_on(existing(directory.as_ref())?)
}

/// As [`repair`], on a disk of the caller's.
///
/// ```
/// use std::sync::Arc;
/// use syncline_engine::{disk::RealDisk, repair_on};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (_home, engine, _settings) =
/// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/examples/scene.in"));
/// # let data = _home.path().join("data");
/// # drop(engine);
/// let repaired = repair_on(Arc::new(RealDisk::existing(data)?))?;
/// assert_eq!(repaired.set_aside.len(), 0, "a sound store stays as it is");
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// Those of [`repair`].
#[expect(clippy::needless_pass_by_value, reason = "like `Engine::open_on`")]
pub fn repair_on(disk: Arc<dyn Disk>) -> Result<Repaired, Error> {
    // Before anything is made in it, be it the file of the lock.
    manifest::refuse(disk.as_ref())?;
    let _lock = lock(disk.as_ref())?;
    let finished = match Swap::read(disk.as_ref())? {
        Some(swap) => {
            swap.end(&disk)?;
            Some(swap.report)
        }
        None => None,
    };
    swap::tidy(&disk)?;
    let mut repaired = run(&disk, true)?;
    repaired.finished = finished;
    Ok(repaired)
}

/// Says what [`repair`] would do, and changes nothing.
///
/// ```
/// use syncline_engine::{check, plan_repair};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (_home, engine, _settings) =
/// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/examples/scene.in"));
/// # let data = _home.path().join("data");
/// # drop(engine);
/// # // Any byte of the only record: neither the log nor a checkpoint believes it then.
/// # let mut files: Vec<_> = std::fs::read_dir(data.join("hot"))?.collect::<Result<_, _>>()?;
/// # files.sort_by_key(|file| file.file_name());
/// # let log = files[0].path();
/// # let mut bytes = std::fs::read(&log)?;
/// # let place = bytes.windows(4).position(|four| four == b"dark").ok_or("no record")?;
/// # bytes[place] ^= 1;
/// # std::fs::write(&log, bytes)?;
/// let planned = plan_repair(&data)?;
/// assert!(planned.is_lossy());
/// assert!(!check(&data, |_| ())?.is_sound(), "nothing was changed");
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// Those of [`repair`].
pub fn plan_repair(directory: impl AsRef<Path>) -> Result<Repaired, Error> {
    plan_repair_on(existing(directory.as_ref())?)
}

/// As [`plan_repair`], on a disk of the caller's.
///
/// ```
/// use std::sync::Arc;
/// use syncline_engine::{disk::RealDisk, plan_repair_on};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (_home, engine, _settings) =
/// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/examples/scene.in"));
/// # let data = _home.path().join("data");
/// # drop(engine);
/// assert!(plan_repair_on(Arc::new(RealDisk::existing(data)?))?.was_sound());
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// Those of [`repair`].
pub fn plan_repair_on(disk: Arc<dyn Disk>) -> Result<Repaired, Error> {
    manifest::refuse(disk.as_ref())?;
    let _lock = lock(disk.as_ref())?;
    let disk: Arc<dyn Disk> = Arc::new(Frozen(disk));
    if let Some(swap) = Swap::read(disk.as_ref())? {
        return Ok(Repaired {
            finished: Some(swap.report),
            ..Repaired::default()
        });
    }
    Ok(run(&disk, false)?)
}

fn run(disk: &Arc<dyn Disk>, certain: bool) -> Result<Repaired, Fault> {
    let checked = check_locked(Arc::clone(disk), &mut |_| ())?;
    let mut report = Repaired {
        store: checked.store.unwrap_or_default(),
        sequence: checked.sequence,
        datasets: checked.datasets,
        metadata: checked.metadata,
        problems: checked.problems,
        ..Repaired::default()
    };
    if report.problems.is_empty() {
        return Ok(report);
    }
    for directory in DIRECTORIES {
        make_directory(disk, directory)?;
    }
    let found = Found::names(disk)?;
    let salvage = Salvage::read(disk, &found)?;
    let wanted = salvage.wanted();
    let state = &salvage.replayed.state;
    let pieces = if wanted.is_empty() {
        Pieces::default()
    } else {
        gather(&salvage.shelf, &wanted, state, &salvage.replayed.dead)?
    };
    (report.datasets, report.metadata) = (0, 0);
    report.sequence = state.sequence;
    report.lost_commits.clone_from(&salvage.replayed.lost);
    report.beginning_lost = salvage.replayed.beginning_lost;
    report.root_lost = salvage.root.is_none();
    let numbers = Numbers {
        hot: found
            .hot
            .last()
            .copied()
            .unwrap_or(1)
            .max(salvage.replayed.hot),
        cold: found.cold.last().copied().unwrap_or(COLD),
        checkpoint: found.checkpoints.last().copied().unwrap_or(0) + 1,
    };
    // Once without a trace, to know what is lost and so which store it becomes.
    let frozen: Arc<dyn Disk> = Arc::new(Frozen(Arc::clone(disk)));
    let highest = salvage.highest(&pieces);
    let mut planned = report.clone();
    let root = new_root(disk.as_ref(), &salvage, highest, true);
    Build::new(&frozen, &salvage, &pieces, root, numbers).run(numbers, &mut planned)?;
    let root = new_root(disk.as_ref(), &salvage, highest, planned.is_lossy());
    if planned.is_lossy() {
        (planned.renewed, planned.lifted_to) = (true, Some(root.base));
    }
    planned.store = root.uuid;
    let swap = Swap {
        cold: numbers.cold + 1,
        checkpoint: numbers.checkpoint,
        report: report::shortened(planned.to_string()),
    };
    planned.set_aside = swap.old(disk.as_ref())?;
    if certain {
        Build::new(disk, &salvage, &pieces, root, numbers).run(numbers, &mut report)?;
        swap.begin(disk.as_ref())?;
        planned.set_aside = swap.end(disk)?;
    }
    Ok(planned)
}

/// Which store it becomes.
fn new_root(disk: &dyn Disk, salvage: &Salvage, highest: SyncCount, lossy: bool) -> Root {
    let fresh = Root::new(disk);
    let old = salvage.root.unwrap_or(Root {
        lineage: salvage.lineage.unwrap_or(fresh.lineage),
        ..fresh
    });
    let old = Root { begun: true, ..old };
    if !lossy {
        return old;
    }
    let lift = if salvage.root.is_some() {
        LIFT
    } else {
        LIFT_UNKNOWN
    };
    // Counts stay far from their end: it takes 65,536 repairs to come there.
    let base = SyncCount::new(highest.get() + lift).unwrap_or(highest);
    Root {
        uuid: fresh.uuid,
        base,
        ..old
    }
}
