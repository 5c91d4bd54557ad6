//! Checkpoints: the directory as a file, so that opening need not replay the whole log.
//!
//! A checkpoint is taken slice by slice while commits go on. Each slice says after which commit it
//! was taken; whoever replays the log passes over what a slice has seen. Two are kept to open with,
//! and some older ones to restore with. Layout in `docs/FORMAT.md`.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};

use bincode::{Decode, Encode};

mod familiar;
mod read;
mod slice;
mod write;

pub(crate) use read::{Checkpoint, head, read, survey};
pub(crate) use write::{Beginning, Written, write};

use crate::commit::Change;
use crate::state::At;
use crate::types::{DatasetId, Sequence};

/// The directory of the checkpoints.
pub(crate) const DIRECTORY: &str = "checkpoint";
const SUFFIX: &str = ".ckp";
/// What a checkpoint is called until it is whole.
pub(crate) const UNFINISHED: &str = "unfinished";

const MAGIC: [u8; 8] = *b"SYNCCKPT";
const VERSION: u16 = 1;
/// Magic, version, the version with all bits inverted.
const PREAMBLE_BYTES: usize = 12;
/// Before each block: its length and checksum. The length of the last one has [`LAST`] set.
const BLOCK_HEADER_BYTES: usize = 8;
const LAST: u32 = 1 << 31;
/// More than a block ever takes.
const BLOCK_BYTES_MAX: u32 = 64 << 20;

/// The file of a checkpoint.
pub(crate) fn path(number: u32) -> PathBuf {
    Path::new(DIRECTORY).join(format!("{number:08}{SUFFIX}"))
}

/// The number of a checkpoint by its file name.
pub(crate) fn number(name: &str) -> Option<u32> {
    let digits = name.strip_suffix(SUFFIX)?;
    if digits.len() < 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok().filter(|&number| number > 0)
}

/// The first block.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Head {
    pub(crate) lineage: [u8; 16],
    pub(crate) number: u32,
    /// Replay goes on behind this commit,
    pub(crate) after: u64,
    /// which was made at this time,
    pub(crate) time: u64,
    /// ended here in the log,
    pub(crate) segment: u32,
    pub(crate) offset: u32,
    /// and whose header has this checksum.
    pub(crate) chain: u32,
    /// Nothing lives in the log's segments before this one.
    pub(crate) first_hot: u32,
}

/// The last block.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Trailer {
    /// Blocks between the first and this one.
    pub(crate) slices: u64,
    /// The commit after which the last slice was taken.
    pub(crate) finished: u64,
    /// The log's segments when the checkpoint was begun.
    pub(crate) hot: Vec<HotSegment>,
    /// The cold segments that the slices name, with the bytes that they name.
    pub(crate) cold: Vec<ColdLive>,
    /// Since when something deleted waits to be swept out, and the last commit that deleted.
    pub(crate) deleted: Option<(u64, u64)>,
}

/// A segment of the log.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct HotSegment {
    pub(crate) number: u32,
    pub(crate) base: u64,
    /// When the commit before it was made.
    pub(crate) time: u64,
    /// Where its frames ended.
    pub(crate) end: u32,
}

/// A cold segment.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct ColdLive {
    pub(crate) number: u32,
    pub(crate) end: u32,
    pub(crate) live: u64,
}

/// What the slices of a checkpoint have seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Up to which place a slice reaches, and after which commit it was taken; in order.
    slices: Vec<(At, Sequence)>,
    /// The last of these commits.
    newest: Sequence,
}

impl Seen {
    /// Whether a change of the commit with this sequence is in its slice already.
    pub(crate) fn has(&self, change: &Change, sequence: Sequence) -> bool {
        if sequence > self.newest {
            return false;
        }
        let of_dataset = |id: &DatasetId| self.at(&At::Identities(id.pool, Some(id.identity)));
        let seen = match change {
            Change::Dataset(change) => of_dataset(&change.dataset),
            Change::DatasetDeleted { dataset, .. } => of_dataset(dataset),
            Change::IdentityDeleted { pool, identity, .. }
            | Change::IdentityImported { pool, identity, .. } => {
                self.at(&At::Identities(*pool, Some(*identity)))
            }
            // Where it begins: slices that were taken later do not know the pool either.
            Change::PoolDeleted { pool } => self.at(&At::Identities(*pool, None)),
            Change::Unknown | Change::PoolImported { .. } => None,
            Change::MetadataPut { key, .. } | Change::MetadataDeleted { key } => {
                self.at(&At::Metadata(key.clone()))
            }
        };
        seen.is_some_and(|seen| seen >= sequence)
    }

    fn at(&self, place: &At) -> Option<Sequence> {
        let after = self
            .slices
            .partition_point(|(last, _)| last.cmp(place) == Ordering::Less);
        self.slices.get(after).map(|(_, sequence)| *sequence)
    }

    fn push(&mut self, last: At, sequence: Sequence) {
        self.newest = self.newest.max(sequence);
        self.slices.push((last, sequence));
    }
}

/// The checksum of a block: over its length and its body.
fn block_checksum(length: u32, body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length.to_le_bytes());
    hasher.update(body);
    hasher.finalize()
}
