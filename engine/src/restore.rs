//! Restoring a backup: a store as it was at one commit, whose clients may have seen more.
//!
//! What was lost cannot be told from what will be: so the new store has an id of its own, which
//! refuses cursors, and goes on counting above everything that can have been issued.

use std::path::Path;
use std::sync::Arc;

use uuid::Uuid;

mod chosen;
mod verify;

use chosen::Chosen;

use crate::backup;
use crate::checkpoint;
use crate::disk::{Disk, RealDisk};
use crate::error::{Error, Fault};
use crate::limits::{LIFT, SEGMENT_BYTES_MIN};
use crate::manifest::{self, Manifest};
use crate::recovery::{self, Opened};
use crate::root::Root;
use crate::segment;
use crate::transfer::{self, Transfer};
use crate::types::{Sequence, SyncCount, invalid};
use crate::unfinished::Unfinished;

/// How a backup is restored.
///
/// ```
/// use syncline_engine::{Engine, Options, RestoreOptions, restore};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (_home, engine, settings) =
/// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/examples/scene.in"));
/// # let (safe, again) = (_home.path().join("safe"), _home.path().join("again"));
/// let sequence = Some(engine.head().sequence);
/// engine.commit(syncline_engine::Wish::DeletePool { pool: settings.pool })?; // by mistake
/// engine.backup(&safe, &Default::default())?;
///
/// restore(&safe, &again, &RestoreOptions { sequence, copy: true })?;
/// let restored = Engine::open(&again, Options::default())?;
/// assert!(restored.reader().dataset(&settings)?.is_some());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct RestoreOptions {
    /// The commit up to which; `None`: all that there is.
    pub sequence: Option<Sequence>,
    /// Copies every file, so that the store and the backup have no bytes in common. Otherwise
    /// files are linked where that can be: neither ever changes them.
    pub copy: bool,
}

/// What was restored.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (_home, engine, _settings) =
/// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/examples/scene.in"));
/// # let (safe, again) = (_home.path().join("safe"), _home.path().join("again"));
/// let backup = engine.backup(&safe, &Default::default())?;
/// let restored = syncline_engine::restore(&safe, &again, &Default::default())?;
/// assert_eq!(restored.sequence, backup.sequence);
/// assert_ne!(restored.store, engine.head().store, "cursors of the old one are refused");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restored {
    /// The id of the new store.
    pub store: Uuid,
    /// The last commit in it.
    pub sequence: Sequence,
    /// No count up to this one is given out again.
    pub lifted_to: SyncCount,
    /// Files that are the backup's, too.
    pub linked: u64,
    /// Files that were copied.
    pub copied: u64,
    /// Bytes of all files.
    pub bytes: u64,
}

/// Restores a backup to a directory that is empty or does not exist, and gets its name when it is
/// whole. Everything is read and verified on the way; the backup stays as it is.
///
/// Cursors of the old store are refused by the new one. Clients that are ahead of what was restored
/// get full listings; those that are not go on as usual.
///
/// # Errors
/// Refusals if the one is no finished backup, the other not empty, or the backup does not reach to
/// the sequence; [`Fault::Corrupt`] if the backup is damaged, with the file in it; other faults of
/// reading and writing. Then nothing is left of the new directory.
///
/// # Examples
/// ```
/// use syncline_engine::{BackupOptions, Engine, Options, RestoreOptions, restore};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let (data, safe, again) = (directory.path().join("data"), directory.path().join("safe"),
/// #     directory.path().join("again"));
/// let engine = Engine::open(&data, Options::default())?;
/// engine.backup(&safe, &BackupOptions::default())?;
///
/// restore(&safe, &again, &RestoreOptions::default())?;
/// let restored = Engine::open(&again, Options::default())?;
/// assert!(restored.feed(engine.head()).is_err());
/// # Ok(())
/// # }
/// ```
pub fn restore(
    backup: impl AsRef<Path>,
    target: impl AsRef<Path>,
    options: &RestoreOptions,
) -> Result<Restored, Error> {
    let backup = backup.as_ref();
    if !backup.is_dir() {
        let why = format!("{} is not a directory", backup.display());
        return Err(invalid("backup", why).into());
    }
    let from = RealDisk::new(backup).map_err(|source| Fault::of_io("open", backup, source))?;
    let from: Arc<dyn Disk> = Arc::new(from);
    // What is refused should leave no trace.
    Manifest::read(from.as_ref())?;
    let unfinished = Unfinished::begin(target.as_ref())?;
    let to = unfinished.disk()?;
    unfinished.end(restore_on(&from, &to, options))
}

/// Like [`restore`], from a disk of the caller's to another, which must be empty.
///
/// ```
/// use std::sync::Arc;
/// use syncline_engine::disk::{Disk, RealDisk};
/// use syncline_engine::restore_on;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (_home, engine, _settings) =
/// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/examples/scene.in"));
/// # let (safe, again) = (_home.path().join("safe"), _home.path().join("again"));
/// engine.backup(&safe, &Default::default())?;
/// let from: Arc<dyn Disk> = Arc::new(RealDisk::existing(safe)?);
/// let to: Arc<dyn Disk> = Arc::new(RealDisk::new(again)?);
/// let restored = restore_on(&from, &to, &Default::default())?;
/// assert!(restored.lifted_to.get() >= syncline_engine::limits::LIFT);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// Those of [`restore`]; then the new disk is to be thrown away.
pub fn restore_on(
    backup: &Arc<dyn Disk>,
    target: &Arc<dyn Disk>,
    options: &RestoreOptions,
) -> Result<Restored, Error> {
    let manifest = Manifest::read(backup.as_ref())?;
    let (from, to) = (backup.as_ref(), target.as_ref());
    let chosen = Chosen::new(from, &manifest, options.sequence)?;
    backup::begin(to)?;
    let mut transfer = Transfer::new(from, to);
    let link = !options.copy;
    for held in &chosen.checkpoints {
        transfer.place(&checkpoint::path(held.number), held.bytes, link)?;
    }
    for part in &chosen.hot {
        let path = segment::path(part.number);
        transfer.place(&path, u64::from(part.end), link && part.is_whole)?;
    }
    for held in &manifest.cold {
        transfer.place(&segment::path(held.number), held.bytes, link)?;
    }
    for (name, _) in &manifest.beside {
        let path = backup::beside(name)?;
        let bytes = transfer::length(from, &path)?;
        transfer.copy(&path, bytes.ok_or_else(|| missing(&path))?)?;
    }
    backup::sync_directories(to)?;
    let root = Root {
        lineage: Uuid::from_bytes(manifest.lineage),
        base: SyncCount::new(manifest.base)?,
        begun: !(chosen.hot.is_empty() && chosen.checkpoints.is_empty()),
        ..Root::new(to)
    };
    root.write(to)?;
    let highest = open_once(target, &manifest, &chosen)?;
    let base = SyncCount::new(highest.get() + LIFT).map_err(|_| {
        let why = "holds a count so high that none is left above what may have been issued";
        invalid("backup", why)
    })?;
    let root = Root { base, ..root };
    root.write(to)?;
    manifest::end(to)?;
    Ok(Restored {
        store: root.uuid,
        sequence: chosen.sequence,
        lifted_to: base,
        linked: transfer.linked,
        copied: transfer.copied,
        bytes: transfer.bytes,
    })
}

/// Opens the new store as it will be opened, and finds the highest count in it.
fn open_once(
    target: &Arc<dyn Disk>,
    manifest: &Manifest,
    chosen: &Chosen,
) -> Result<SyncCount, Error> {
    let Opened {
        state, recovery, ..
    } = recovery::open(target, SEGMENT_BYTES_MIN)?;
    if let Some(damaged) = recovery.damaged.into_iter().next() {
        return Err(damaged.into());
    }
    if state.sequence != chosen.sequence {
        return Err(Fault::Corrupt {
            path: manifest::NAME.into(),
            offset: 0,
            sequence: Some(chosen.sequence),
            why: "the log does not end with the commit that was asked for",
        }
        .into());
    }
    let mut ends = verify::cold(target.as_ref(), manifest)?;
    ends.extend(chosen.hot.iter().map(|part| (part.number, part.end)));
    Ok(verify::places(&state, &ends)?)
}

/// What is in the list of a backup but not in its directory.
fn missing(path: &Path) -> Fault {
    Fault::corrupt(path, 0, "the file is missing")
}
