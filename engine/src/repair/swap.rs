//! The old store out of the way, the new one in its place: all or nothing, whenever it is cut
//! short.
//!
//! The new files lie beside the old ones under uncertain names. The file `REPAIR` makes them
//! certain: from then on the old store does not open, and the swap can only be ended.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bincode::{Decode, Encode};

use super::beside::uncertain;
use crate::backup::DIRECTORIES;
use crate::checkpoint;
use crate::disk::Disk;
use crate::error::Fault;
use crate::quarantine;
use crate::recovery::{UNCERTAIN, UNFINISHED_REPAIR, is_leftover, make_directory};
use crate::root;
use crate::segment::{self, COLD, COLD_DIRECTORY};
use crate::types::Timestamp;
use crate::whole;

const MAGIC: [u8; 8] = *b"SYNCREPR";
/// Magic and checksum.
const HEADER_BYTES: usize = 12;
/// A longer body is not decoded.
const FILE_BYTES_MAX: u64 = HEADER_BYTES as u64 + (64 << 20);

/// What has to be done.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(super) struct Swap {
    /// Cold segments and checkpoints of the new store have these numbers or higher ones.
    pub(super) cold: u32,
    pub(super) checkpoint: u32,
    /// What to tell.
    pub(super) report: String,
}

impl Swap {
    /// Reads what a repair left to do that was cut short.
    pub(super) fn read(disk: &dyn Disk) -> Result<Option<Self>, Fault> {
        let Some(bytes) = whole::read(disk, UNFINISHED_REPAIR, FILE_BYTES_MAX)? else {
            return Ok(None);
        };
        let why = "the file that says how to end a repair does not hold; restore a backup";
        let corrupt = || Fault::corrupt(UNFINISHED_REPAIR, 0, why);
        let (header, body) = bytes.split_at_checked(HEADER_BYTES).ok_or_else(corrupt)?;
        if header[..8] != MAGIC || header[8..] != crc32fast::hash(body).to_le_bytes() {
            return Err(corrupt());
        }
        let (swap, _) = bincode::decode_from_slice(body, root::format()).map_err(|_| corrupt())?;
        Ok(Some(swap))
    }

    /// Makes the new files certain.
    pub(super) fn begin(&self, disk: &dyn Disk) -> Result<(), Fault> {
        let body = bincode::encode_to_vec(self, root::format()).expect("a vector takes everything");
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&crc32fast::hash(&body).to_le_bytes());
        bytes.extend_from_slice(&body);
        let next = format!("{UNCERTAIN}{UNFINISHED_REPAIR}");
        whole::write(disk, &next, UNFINISHED_REPAIR, &bytes)
    }

    /// Does what is left to do, and gives the files that are in the quarantine now.
    pub(super) fn end(&self, disk: &Arc<dyn Disk>) -> Result<Vec<PathBuf>, Fault> {
        make_directory(disk, quarantine::DIRECTORY)?;
        sync(disk.as_ref(), "")?;
        let mut aside = Vec::new();
        for directory in DIRECTORIES {
            for path in files(disk.as_ref(), directory)? {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                if let Some(certain) = name.strip_prefix(UNCERTAIN) {
                    rename(disk.as_ref(), &path, &Path::new(directory).join(certain))?;
                } else if is_leftover(&name) {
                    remove(disk.as_ref(), &path)?;
                } else if self.is_old(directory, &name) {
                    aside.push(set_aside(disk.as_ref(), &path)?);
                }
            }
        }
        for directory in [quarantine::DIRECTORY].into_iter().chain(DIRECTORIES) {
            sync(disk.as_ref(), directory)?;
        }
        let next = uncertain(Path::new(root::NAME));
        let names = files(disk.as_ref(), "")?;
        if names.contains(&next) {
            let old = Path::new(root::NAME);
            if names.iter().any(|name| name == old) {
                aside.push(set_aside(disk.as_ref(), old)?);
                sync(disk.as_ref(), quarantine::DIRECTORY)?;
            }
            rename(disk.as_ref(), &next, old)?;
            sync(disk.as_ref(), "")?;
        }
        remove(disk.as_ref(), Path::new(UNFINISHED_REPAIR))?;
        sync(disk.as_ref(), "")?;
        Ok(aside)
    }

    /// Files of the old store that would be set aside.
    pub(super) fn old(&self, disk: &dyn Disk) -> Result<Vec<PathBuf>, Fault> {
        let mut old = Vec::new();
        for directory in DIRECTORIES {
            for path in files(disk, directory)? {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                if self.is_old(directory, &name) {
                    old.push(path);
                }
            }
        }
        Ok(old)
    }

    fn is_old(&self, directory: &str, name: &str) -> bool {
        match directory {
            segment::DIRECTORY => segment::number(name).is_some(),
            COLD_DIRECTORY => segment::number(name).is_some_and(|n| n | COLD < self.cold),
            _ => checkpoint::number(name).is_some_and(|number| number < self.checkpoint),
        }
    }
}

/// Takes away what a repair left that was cut short before it was certain.
pub(super) fn tidy(disk: &Arc<dyn Disk>) -> Result<(), Fault> {
    for directory in DIRECTORIES.into_iter().chain([""]) {
        for path in files(disk.as_ref(), directory)? {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with(UNCERTAIN) {
                remove(disk.as_ref(), &path)?;
            }
        }
    }
    Ok(())
}

fn files(disk: &dyn Disk, directory: &str) -> Result<Vec<PathBuf>, Fault> {
    let path = Path::new(directory);
    let mut names = match disk.list(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        listed => listed.map_err(|source| Fault::of_io("list", path, source))?,
    };
    names.sort_unstable();
    Ok(names.into_iter().map(|name| path.join(name)).collect())
}

/// Moves a file of the old store to the quarantine, and says where it is.
fn set_aside(disk: &dyn Disk, path: &Path) -> Result<PathBuf, Fault> {
    let of = path.to_string_lossy().replace('/', "-");
    let to = quarantine::path(disk, &format!("repair-{of}"), Timestamp::now());
    rename(disk, path, &to)?;
    Ok(to)
}

fn rename(disk: &dyn Disk, from: &Path, to: &Path) -> Result<(), Fault> {
    disk.rename(from, to)
        .map_err(|source| Fault::of_io("rename", from, source))
}

fn remove(disk: &dyn Disk, path: &Path) -> Result<(), Fault> {
    match disk.remove(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(|source| Fault::of_io("remove", path, source)),
    }
}

fn sync(disk: &dyn Disk, directory: &str) -> Result<(), Fault> {
    let path = Path::new(directory);
    disk.sync_directory(path)
        .map_err(|source| Fault::of_io("make names last in", path, source))
}
