//! Reading a checkpoint.

use std::path::PathBuf;
use std::sync::Arc;

use super::slice::Loading;
use super::{
    BLOCK_BYTES_MAX, BLOCK_HEADER_BYTES, Head, LAST, MAGIC, PREAMBLE_BYTES, Seen, Trailer, VERSION,
    block_checksum, path,
};
use crate::disk::{Disk, DiskFile};
use crate::error::Fault;
use crate::root::format;
use crate::state::{Deleted, State};
use crate::types::{Sequence, Timestamp};

/// Bytes that are read at a time.
const READ_BYTES: usize = 1 << 20;

/// A checkpoint that was read whole.
pub(crate) struct Checkpoint {
    pub(crate) head: Head,
    pub(crate) trailer: Trailer,
    pub(crate) state: State,
    pub(crate) seen: Seen,
    /// Bytes of its file.
    pub(crate) bytes: u64,
}

/// A checkpoint of which only the ends were read, though all of it was verified.
pub(crate) struct Survey {
    pub(crate) trailer: Trailer,
    /// Bytes of its file.
    pub(crate) bytes: u64,
}

/// Verifies the checksums of a checkpoint, without taking up its memory.
pub(crate) fn survey(disk: &dyn Disk, number: u32) -> Result<Survey, Fault> {
    let (mut blocks, _) = begin(disk, number)?;
    loop {
        let (body, last) = blocks.next()?;
        if last {
            let trailer = blocks.structure(&body)?;
            blocks.end()?;
            let bytes = blocks.offset;
            return Ok(Survey { trailer, bytes });
        }
    }
}

fn begin(disk: &dyn Disk, number: u32) -> Result<(Blocks, Head), Fault> {
    let path = path(number);
    let file = disk
        .open(&path)
        .map_err(|source| Fault::of_io("open", &path, source))?;
    let mut blocks = Blocks::begin(file, path)?;
    let (body, _) = blocks.next()?;
    let head: Head = blocks.structure(&body)?;
    if head.number != number {
        return Err(blocks.corrupt("the checkpoint has the number of another file"));
    }
    Ok((blocks, head))
}

/// Reads what a checkpoint says first, and how long its file is.
pub(crate) fn head(disk: &dyn Disk, number: u32) -> Result<(Head, u64), Fault> {
    let (blocks, head) = begin(disk, number)?;
    let length = blocks
        .file
        .length()
        .map_err(|source| Fault::of_io("measure", &blocks.path, source))?;
    Ok((head, length))
}

/// Reads and verifies a checkpoint.
pub(crate) fn read(disk: &dyn Disk, number: u32) -> Result<Checkpoint, Fault> {
    let (mut blocks, head) = begin(disk, number)?;
    let mut loading = Loading::new();
    let mut seen = Seen::default();
    let mut slices = 0;
    let trailer: Trailer = loop {
        let (body, last) = blocks.next()?;
        if last {
            break blocks.structure(&body)?;
        }
        let (place, sequence) = loading
            .slice(&body)
            .map_err(|malformed| blocks.corrupt(malformed.0))?;
        seen.push(place, sequence);
        slices += 1;
    };
    blocks.end()?;
    let mut state = loading
        .finish()
        .map_err(|malformed| blocks.corrupt(malformed.0))?;
    state.sequence = Sequence::new(head.after);
    let time = |ms| Timestamp::new(ms).map_err(|_| blocks.corrupt("a time is too large"));
    state.time = time(head.time)?;
    state.deleted = match trailer.deleted {
        None => None,
        Some((since, last)) => Some(Deleted {
            since: time(since)?,
            last: Sequence::new(last),
        }),
    };
    let live = |cold: &super::ColdLive| {
        state.live.get(&cold.number) == i64::try_from(cold.live).ok().as_ref()
    };
    if trailer.slices != slices
        || trailer.cold.len() != state.live.len()
        || !trailer.cold.iter().all(live)
    {
        return Err(blocks.corrupt("the sums at the end are not those of what stands before"));
    }
    Ok(Checkpoint {
        head,
        trailer,
        state,
        seen,
        bytes: blocks.offset,
    })
}

/// Walks the blocks of a file.
struct Blocks {
    file: Arc<dyn DiskFile>,
    path: PathBuf,
    /// Where the next block begins.
    offset: u64,
    /// Bytes at `offset`, as far as they are read.
    ahead: Vec<u8>,
    used: usize,
}

impl Blocks {
    fn begin(file: Arc<dyn DiskFile>, path: PathBuf) -> Result<Self, Fault> {
        let mut blocks = Self {
            file,
            path,
            offset: 0,
            ahead: Vec::new(),
            used: 0,
        };
        let preamble = blocks.take(PREAMBLE_BYTES)?;
        if preamble[..8] != MAGIC {
            return Err(blocks.corrupt_at(0, "this is not a checkpoint of a Syncline store"));
        }
        let version = u16::from_le_bytes([preamble[8], preamble[9]]);
        // Told twice, so that damage does not pass for a later version.
        if preamble[10..] != (!version).to_le_bytes() {
            return Err(blocks.corrupt_at(8, "the version is damaged"));
        }
        if version != VERSION {
            return Err(Fault::Version {
                path: blocks.path,
                found: version,
                known: VERSION,
            });
        }
        Ok(blocks)
    }

    /// The body of the next block, and whether it is the last.
    fn next(&mut self) -> Result<(Vec<u8>, bool), Fault> {
        let start = self.offset;
        let header = self.take(BLOCK_HEADER_BYTES)?;
        let word = |at: usize| {
            u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
        };
        let (length, checksum) = (word(0), word(4));
        if length & !LAST > BLOCK_BYTES_MAX {
            return Err(self.corrupt_at(start, "a block has an impossible length"));
        }
        let body = self.take((length & !LAST) as usize)?;
        if block_checksum(length, &body) != checksum {
            return Err(self.corrupt_at(start, "the checksum of a block does not hold"));
        }
        Ok((body, length & LAST != 0))
    }

    fn end(&mut self) -> Result<(), Fault> {
        let length = self
            .file
            .length()
            .map_err(|source| Fault::of_io("measure", &self.path, source))?;
        if length == self.offset {
            Ok(())
        } else {
            Err(self.corrupt("the file goes on behind its last block"))
        }
    }

    fn take(&mut self, bytes: usize) -> Result<Vec<u8>, Fault> {
        while self.ahead.len() - self.used < bytes {
            self.ahead.drain(..self.used);
            self.used = 0;
            let had = self.ahead.len();
            self.ahead.resize(had + READ_BYTES, 0);
            let at = self.offset + had as u64;
            let got = self
                .file
                .read_at(&mut self.ahead[had..], at)
                .map_err(|source| Fault::of_io("read", &self.path, source))?;
            self.ahead.truncate(had + got);
            if got == 0 {
                return Err(self.corrupt("the file ends too early"));
            }
        }
        let taken = self.ahead[self.used..self.used + bytes].to_vec();
        self.used += bytes;
        self.offset += bytes as u64;
        Ok(taken)
    }

    fn structure<T: bincode::Decode<()>>(&self, body: &[u8]) -> Result<T, Fault> {
        match bincode::decode_from_slice(body, format()) {
            Ok((structure, used)) if used == body.len() => Ok(structure),
            _ => Err(self.corrupt("a block is not what it should be")),
        }
    }

    fn corrupt(&self, why: &'static str) -> Fault {
        self.corrupt_at(self.offset, why)
    }

    fn corrupt_at(&self, offset: u64, why: &'static str) -> Fault {
        Fault::corrupt(&self.path, offset, why)
    }
}
