//! Copies of damaged bytes: where they are kept and what they are called.

use std::path::{Path, PathBuf};

use crate::disk::Disk;
use crate::error::Fault;
use crate::types::Timestamp;

/// The directory.
pub(crate) const DIRECTORY: &str = "quarantine";

/// A new name that tells when it was made, and of what it is a copy.
pub(crate) fn path(disk: &dyn Disk, of: &str, time: Timestamp) -> PathBuf {
    let [a, b, c, d, ..] = disk.random();
    let unique = u32::from_le_bytes([a, b, c, d]);
    Path::new(DIRECTORY).join(format!("{}-{unique:08x}-{of}", time.get()))
}

/// Names of copies that were made before a time. Those whose name does not tell are from the first
/// version, and old.
pub(crate) fn older_than(disk: &dyn Disk, before: u64) -> Result<Vec<String>, Fault> {
    let directory = Path::new(DIRECTORY);
    let root = disk
        .list(Path::new(""))
        .map_err(|source| Fault::of_io("list", Path::new("."), source))?;
    if !root.iter().any(|name| name == DIRECTORY) {
        return Ok(Vec::new());
    }
    let mut names = disk
        .list(directory)
        .map_err(|source| Fault::of_io("list", directory, source))?;
    names.retain(|name| made(name).is_none_or(|made| made <= before));
    Ok(names)
}

/// When a copy was made, by its name.
fn made(name: &str) -> Option<u64> {
    let (time, _) = name.split_once('-')?;
    time.parse().ok().filter(|&time| time >= 1 << 32)
}
