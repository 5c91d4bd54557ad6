//! Backups of a running store: a directory that holds everything up to one commit.

use std::path::{Path, PathBuf};

use crate::disk::{Disk, LOCK};
use crate::error::{Error, Fault};
use crate::manifest::{self, Held, Manifest};
use crate::segment;
use crate::types::{Sequence, invalid};
use crate::{checkpoint, root};

/// How a backup is made.
///
/// ```
/// use syncline_engine::BackupOptions;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (_home, engine, _settings) =
/// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/examples/scene.in"));
/// # let (data, safe) = (_home.path().join("data"), _home.path().join("safe"));
/// std::fs::write(data.join("keys.toml"), "of the program around the store")?;
/// let options = BackupOptions { beside: vec!["keys.toml".into()] };
/// engine.backup(&safe, &options)?;
/// assert!(safe.join("keys.toml").exists());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct BackupOptions {
    /// Names of files in the data directory that are not the store's own and belong to it all the
    /// same, as a server's keys do. Those that are there are copied, and restored with the rest.
    pub beside: Vec<String>,
}

/// A backup that was made.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (_home, engine, _settings) =
/// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/examples/scene.in"));
/// # let safe = _home.path().join("safe");
/// let backup = engine.backup(&safe, &Default::default())?;
/// assert!(backup.earliest <= backup.sequence);
/// println!("{} of {} bytes were copied", backup.copied_bytes, backup.bytes);
/// # assert!(backup.copied_bytes <= backup.bytes);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Backup {
    /// The last commit in it.
    pub sequence: Sequence,
    /// The earliest commit to which it can be restored.
    pub earliest: Sequence,
    /// Files that are the store's own, under a second name: they take no space of their own as
    /// long as the store has them, too.
    pub linked: u64,
    /// Files that had to be copied.
    pub copied: u64,
    /// Bytes of all files.
    pub bytes: u64,
    /// Bytes of copied files.
    pub copied_bytes: u64,
    /// Checkpoints of the store that do not hold and are not in the backup. Run `syncline check`.
    pub damaged: Vec<Fault>,
}

/// The directories of a store, and so of a backup.
pub(crate) const DIRECTORIES: [&str; 3] = [
    segment::DIRECTORY,
    segment::COLD_DIRECTORY,
    checkpoint::DIRECTORY,
];

/// Prepares a directory to become a backup or a store; it must be empty.
pub(crate) fn begin(disk: &dyn Disk) -> Result<(), Error> {
    let top = Path::new("");
    let fault = |doing| move |source| Fault::of_io(doing, Path::new("."), source);
    let names = disk.list(top).map_err(fault("list"))?;
    if names.iter().any(|name| name != LOCK) {
        return Err(invalid("target", "is not empty").into());
    }
    manifest::begin(disk)?;
    for directory in DIRECTORIES {
        disk.create_directory(Path::new(directory))
            .map_err(fault("create a directory in"))?;
    }
    disk.sync_directory(top)
        .map_err(fault("make names last for"))?;
    Ok(())
}

/// Makes the names in the directories last.
pub(crate) fn sync_directories(disk: &dyn Disk) -> Result<(), Fault> {
    for directory in DIRECTORIES {
        let path = Path::new(directory);
        disk.sync_directory(path)
            .map_err(|source| Fault::of_io("make names last for", path, source))?;
    }
    Ok(())
}

/// The files that a finished backup lists, and the bytes of each.
pub(crate) fn files(manifest: &Manifest) -> impl Iterator<Item = (PathBuf, u64)> {
    fn numbered(held: &[Held], path: fn(u32) -> PathBuf) -> impl Iterator<Item = (PathBuf, u64)> {
        held.iter().map(move |held| (path(held.number), held.bytes))
    }
    let beside = manifest.beside.iter();
    numbered(&manifest.checkpoints, checkpoint::path)
        .chain(numbered(&manifest.hot, segment::path))
        .chain(numbered(&manifest.cold, segment::path))
        .chain(beside.map(|(name, bytes)| (name.into(), *bytes)))
}

/// The path of a file beside the store's own.
pub(crate) fn beside(name: &str) -> Result<PathBuf, Error> {
    let own = [manifest::NAME, root::NAME, LOCK, "", ".", ".."];
    if name.contains('/') || own.contains(&name) || DIRECTORIES.contains(&name) {
        return Err(invalid("beside", format!("{name:?} is not a file beside the store")).into());
    }
    Ok(name.into())
}
