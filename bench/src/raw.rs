//! The physical limit: checksummed frames appended to a file that was written before, and
//! `fdatasync`. No reading, no comparing, no state.
//!
//! The frames hold what any log must hold of an update: which dataset, key, count and value. The
//! file is used again from its start when it is full, so that every sync writes data and never
//! metadata.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::failure::{Result, fail};
use crate::workload::Update;

mod alone;
mod group;

pub use alone::Alone;
pub use group::Group;

/// Bytes of the file: as many as a segment of the engine.
const FILE_BYTES: u64 = 64 << 20;
/// Bytes written at a time while the file is made.
const STEP_BYTES: usize = 1 << 20;
/// Checksum, length and sequence of a frame.
const HEADER_BYTES: usize = 16;

/// Encodes an update as a frame without its sequence and checksum, which [`seal`] adds.
fn encode(update: Update<'_>) -> Vec<u8> {
    let dataset = update.dataset;
    let mut frame = vec![0; HEADER_BYTES];
    frame.extend_from_slice(&(update.sync_count + 1).to_le_bytes());
    let mut put = |text: &str| {
        let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
        frame.extend_from_slice(&length.to_le_bytes());
        frame.extend_from_slice(text.as_bytes());
    };
    put(dataset.pool.as_str());
    put(dataset.identity.as_str());
    put(dataset.name.as_str());
    for (record, key) in update.keys.iter().enumerate() {
        put(key.as_str());
        put(&update.value(record));
    }
    frame.resize(frame.len().next_multiple_of(8), 0);
    frame
}

/// A frame of any bytes, to be sealed.
pub fn frame_of(bytes: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; HEADER_BYTES];
    frame.extend_from_slice(bytes);
    frame.resize(frame.len().next_multiple_of(8), 0);
    frame
}

/// Makes a frame believable, as the one with this sequence.
pub fn seal(frame: &mut [u8], sequence: u64) {
    let length = u32::try_from(frame.len()).unwrap_or(u32::MAX);
    frame[4..8].copy_from_slice(&length.to_le_bytes());
    frame[8..16].copy_from_slice(&sequence.to_le_bytes());
    let checksum = crc32fast::hash(&frame[4..]);
    frame[..4].copy_from_slice(&checksum.to_le_bytes());
}

/// The file, and where its next byte goes.
pub struct Tape {
    file: File,
    offset: u64,
    /// The first frame since the start of the file was last written.
    first: u64,
    syncs: u64,
    bytes: u64,
}

impl Tape {
    pub fn new(path: &Path) -> Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(path)?;
        let zeros = vec![0; STEP_BYTES];
        for offset in (0..FILE_BYTES).step_by(STEP_BYTES) {
            file.write_all_at(&zeros, offset)?;
        }
        file.sync_all()?;
        Ok(Self {
            file,
            offset: 0,
            first: 0,
            syncs: 0,
            bytes: 0,
        })
    }

    /// Writes whole frames, the first of which has this sequence, and returns when they are
    /// durable.
    pub fn append(&mut self, frames: &[u8], first: u64) -> Result<()> {
        if self.offset + frames.len() as u64 > FILE_BYTES {
            self.offset = 0;
            self.first = first;
        }
        self.file.write_all_at(frames, self.offset)?;
        self.file.sync_data()?;
        self.offset += frames.len() as u64;
        self.syncs += 1;
        self.bytes += frames.len() as u64;
        Ok(())
    }

    /// Reads back what was written since the start of the file was last written, and fails unless
    /// it is all frames up to the last.
    fn verify(&self, next: u64) -> Result<()> {
        let mut bytes = vec![0; usize::try_from(self.offset)?];
        self.file.read_exact_at(&mut bytes, 0)?;
        let mut rest = bytes.as_slice();
        for sequence in self.first..next {
            let length = rest.get(4..8).map_or(0, |length| {
                length
                    .iter()
                    .rev()
                    .fold(0, |number, &byte| number << 8 | usize::from(byte))
            });
            let frame = rest.get(..length.max(HEADER_BYTES)).unwrap_or_default();
            let mut again = frame.to_vec();
            if frame.is_empty() {
                return fail(format!("frame {sequence} is missing"));
            }
            seal(&mut again, sequence);
            if again != frame {
                return fail(format!("frame {sequence} does not hold"));
            }
            rest = &rest[frame.len()..];
        }
        if rest.is_empty() {
            Ok(())
        } else {
            fail("there are more frames than were acknowledged")
        }
    }
}
