//! The file `BACKUP`: what a finished backup holds.
//!
//! It is empty while a backup is written or restored, and is put last, so that what is unfinished
//! is never mistaken for a backup or a store. Layout in `docs/FORMAT.md`.

use std::path::Path;

use bincode::{Decode, Encode};

use crate::disk::Disk;
use crate::error::{Error, Fault};
use crate::root::format;
use crate::types::invalid;
use crate::whole;

/// Its name in the directory.
pub(crate) const NAME: &str = "BACKUP";
const NEXT_NAME: &str = "BACKUP.next";
const MAGIC: [u8; 8] = *b"SYNCBKUP";
const VERSION: u16 = 1;
/// Magic, version, checksum of the body.
const HEADER_BYTES: usize = 8 + 2 + 4;
/// More than the file ever takes.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// What the file says.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Manifest {
    pub(crate) lineage: [u8; 16],
    /// Counts up to this one may have been issued by what an earlier restore lost.
    pub(crate) base: u64,
    /// The last commit.
    pub(crate) sequence: u64,
    /// Checkpoints, oldest first.
    pub(crate) checkpoints: Vec<Held>,
    /// The log's segments, in order and without a gap.
    pub(crate) hot: Vec<Held>,
    pub(crate) cold: Vec<Held>,
    /// Files that are not the store's own.
    pub(crate) beside: Vec<(String, u64)>,
}

/// A numbered file, and its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Held {
    pub(crate) number: u32,
    pub(crate) bytes: u64,
}

/// Marks a directory as unfinished, before anything else is put in it.
pub(crate) fn begin(disk: &dyn Disk) -> Result<(), Fault> {
    let path = Path::new(NAME);
    let file = disk.create(path).map_err(fault("create"))?;
    file.sync().map_err(fault("sync"))?;
    disk.sync_directory(Path::new(""))
        .map_err(fault("make a name last for"))
}

/// Whether a directory is a backup, or an unfinished one.
fn is_there(disk: &dyn Disk) -> Result<bool, Fault> {
    whole::is_there(disk, NAME)
}

/// Refuses a backup where a store is wanted.
pub(crate) fn refuse(disk: &dyn Disk) -> Result<(), Error> {
    if is_there(disk)? {
        let why = "is a backup, or a restore that was not finished; `syncline restore` makes a \
                   data directory of a backup";
        return Err(invalid("directory", why).into());
    }
    Ok(())
}

/// Takes the mark away: the directory is a store from now on.
pub(crate) fn end(disk: &dyn Disk) -> Result<(), Fault> {
    disk.remove(Path::new(NAME)).map_err(fault("remove"))?;
    disk.sync_directory(Path::new(""))
        .map_err(fault("make it last that there is no"))
}

impl Manifest {
    /// Makes the directory a backup; it lasts when this returns.
    pub(crate) fn write(&self, disk: &dyn Disk) -> Result<(), Fault> {
        whole::write(disk, NEXT_NAME, NAME, &self.encode())
    }

    /// Reads the file of a finished backup.
    pub(crate) fn read(disk: &dyn Disk) -> Result<Self, Error> {
        let Some(bytes) = whole::read(disk, NAME, FILE_BYTES_MAX)? else {
            return Err(invalid("backup", "is not a backup: it has no file BACKUP").into());
        };
        if bytes.is_empty() {
            let why = "was not finished: its file BACKUP is empty; use another one";
            return Err(invalid("backup", why).into());
        }
        Ok(Self::decode(&bytes)?)
    }

    fn encode(&self) -> Vec<u8> {
        let body = bincode::encode_to_vec(self, format()).expect("a vector takes everything");
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&crc32fast::hash(&body).to_le_bytes());
        bytes.extend_from_slice(&body);
        bytes
    }

    fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        let Some((header, body)) = bytes.split_at_checked(HEADER_BYTES) else {
            return Err(corrupt("the file ends too early"));
        };
        if header[..8] != MAGIC {
            return Err(corrupt("this is not the BACKUP file of a Syncline backup"));
        }
        let version = u16::from_le_bytes([header[8], header[9]]);
        if version != VERSION {
            return Err(Fault::Version {
                path: NAME.into(),
                found: version,
                known: VERSION,
            });
        }
        if crc32fast::hash(body).to_le_bytes() != header[10..] {
            return Err(corrupt("the checksum does not hold"));
        }
        match bincode::decode_from_slice(body, format()) {
            Ok((manifest, used)) if used == body.len() => Ok(manifest),
            _ => Err(corrupt("the body is not one")),
        }
    }
}

fn fault(doing: &'static str) -> impl Fn(std::io::Error) -> Fault {
    move |source| Fault::of_io(doing, Path::new(NAME), source)
}

fn corrupt(why: &'static str) -> Fault {
    Fault::corrupt(NAME, 0, why)
}
