//! Segment files: their header, and reading the frames in them.
//!
//! A segment of the log is `hot/<number>.log`, one of what lives on when the log has gone is
//! `cold/<number>.log`; [`COLD`] in a number tells them apart. Frames begin at [`FRAMES_OFFSET`]. A
//! hot file that is shorter than the capacity in its header is sealed: it was cut to its frames
//! after all of them were durable.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use crate::codec::{Decoder, Encode};
use crate::commit::{Change, Part};
use crate::disk::DiskFile;
use crate::error::Fault;
use crate::frame::{self, Bad, HEADER_BYTES, Header, Seed};
use crate::types::{Location, Sequence};

/// Frames begin here: the header has a block of its own, so that no write to a frame can tear it.
pub(crate) const FRAMES_OFFSET: u32 = 4096;
const MAGIC: [u8; 8] = *b"SYNCLINE";
/// Version of the whole format.
pub(crate) const VERSION: u16 = 1;
/// CRC-32 (IEEE), the only checksum so far.
const CRC32: u16 = 1;
/// Bytes of the header that mean something; the rest of its block is zero.
const SEGMENT_HEADER_BYTES: usize = 72;

/// The directory of the log's segments.
pub(crate) const DIRECTORY: &str = "hot";
/// The directory of the cold segments.
pub(crate) const COLD_DIRECTORY: &str = "cold";
/// Set in the number of a cold segment.
pub(crate) const COLD: u32 = 1 << 31;

/// Whether a number is that of a cold segment.
pub(crate) fn is_cold(number: u32) -> bool {
    number & COLD != 0
}

/// The file of a segment.
pub(crate) fn path(number: u32) -> PathBuf {
    let directory = if is_cold(number) {
        COLD_DIRECTORY
    } else {
        DIRECTORY
    };
    PathBuf::from(format!("{directory}/{:08}.log", number & !COLD))
}

/// The number of a segment by its file name.
pub(crate) fn number(name: &str) -> Option<u32> {
    let digits = name.strip_suffix(".log")?;
    if digits.len() < 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let counted = 1..COLD;
    digits
        .parse()
        .ok()
        .filter(|number| counted.contains(number))
}

/// What a segment says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) store: Uuid,
    pub(crate) number: u32,
    /// The sequence before the segment's first commit.
    pub(crate) base: Sequence,
    /// Bytes that the file has until it is sealed.
    pub(crate) capacity: u64,
    pub(crate) salt: u64,
    /// The checksum of the last frame header before this segment.
    pub(crate) chain: u32,
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(FRAMES_OFFSET as usize);
        bytes.put_bytes(&MAGIC);
        bytes.put_u16(VERSION);
        bytes.put_u16(CRC32);
        bytes.put_u32(0);
        bytes.put_bytes(self.store.as_bytes());
        bytes.put_u64(u64::from(self.number));
        bytes.put_u64(self.base.get());
        bytes.put_u64(self.capacity);
        bytes.put_u64(self.salt);
        bytes.put_u32(self.chain);
        let checksum = crc32fast::hash(&bytes);
        bytes.put_u32(checksum);
        assert_eq!(bytes.len(), SEGMENT_HEADER_BYTES);
        bytes.resize(FRAMES_OFFSET as usize, 0);
        bytes
    }

    fn decode(bytes: &[u8; SEGMENT_HEADER_BYTES], number: u32) -> Result<Self, Fault> {
        let corrupt = |offset, why| corrupt(number, offset, why);
        let short = |_| corrupt(0, "the segment header ends too early");
        let mut input = Decoder::new(bytes);
        if input.bytes(8).map_err(short)? != MAGIC {
            return Err(corrupt(0, "this is not a segment of a Syncline log"));
        }
        let version = input.u16().map_err(short)?;
        if crc32fast::hash(&bytes[..SEGMENT_HEADER_BYTES - 4]).to_le_bytes() != bytes[68..] {
            return Err(corrupt(0, "the segment header's checksum does not hold"));
        }
        if version != VERSION || input.u16().map_err(short)? != CRC32 {
            return Err(Fault::Version {
                path: path(number),
                found: version,
                known: VERSION,
            });
        }
        input.u32().map_err(short)?;
        let store = Uuid::from_slice(input.bytes(16).map_err(short)?).expect("16 bytes were read");
        let found = input.u64().map_err(short)?;
        if found != u64::from(number) {
            return Err(corrupt(32, "the segment has the number of another file"));
        }
        Ok(Self {
            store,
            number,
            base: Sequence::new(input.u64().map_err(short)?),
            capacity: input.u64().map_err(short)?,
            salt: input.u64().map_err(short)?,
            chain: input.u32().map_err(short)?,
        })
    }
}

/// An open segment.
#[derive(Clone)]
pub(crate) struct Segment {
    pub(crate) header: SegmentHeader,
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) seed: Seed,
}

/// A frame that holds.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    pub(crate) header: Header,
    /// The checksum of the header, to which the next frame is chained.
    pub(crate) checksum: u32,
    pub(crate) payload: Bytes,
}

/// Why there is no frame at an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoFrame {
    /// Nothing was written here.
    Blank,
    /// The bytes end within a frame that needs so many.
    Incomplete(usize),
    /// A header that holds, of a kind or version that this build does not know.
    Later,
    /// What is here does not hold, for this reason.
    Damaged(&'static str),
}

impl NoFrame {
    /// What to say where a frame should be.
    pub(crate) fn why(self) -> &'static str {
        match self {
            Self::Blank => "a frame that was written is not there",
            Self::Incomplete(_) => "the file ends within a frame",
            Self::Later => "the frame is of a kind or version that this build does not know",
            Self::Damaged(why) => why,
        }
    }
}

impl Segment {
    pub(crate) fn new(header: SegmentHeader, file: Arc<dyn DiskFile>) -> Self {
        Self {
            header,
            file,
            seed: Seed::new(header.salt),
        }
    }

    /// Reads and verifies the header of an existing file.
    pub(crate) fn open(number: u32, file: Arc<dyn DiskFile>) -> Result<Self, Fault> {
        let mut bytes = [0; SEGMENT_HEADER_BYTES];
        let got = file
            .read_at(&mut bytes, 0)
            .map_err(|source| io("read", number, source))?;
        if got < SEGMENT_HEADER_BYTES {
            let why = "the file ends within the segment header";
            return Err(corrupt(number, narrow(got), why));
        }
        Ok(Self::new(SegmentHeader::decode(&bytes, number)?, file))
    }

    /// Reads the one frame at an offset, as a location names it.
    pub(crate) fn frame(&self, offset: u32) -> Result<Frame, Fault> {
        // One read takes the header and most payloads.
        let mut bytes = vec![0; 4096];
        let got = self.read(&mut bytes, offset)?;
        bytes.truncate(got);
        if let Some(Ok((header, _))) = self.header_at(&bytes)
            && header.frame_bytes() > bytes.len()
        {
            // Never more than there is, whatever the header says.
            let length = self
                .file
                .length()
                .map_err(|source| io("measure", self.header.number, source))?;
            let there = usize::try_from(length.saturating_sub(u64::from(offset)));
            let needed = HEADER_BYTES + header.payload_len as usize;
            bytes.resize(needed.min(there.unwrap_or(needed)).max(got), 0);
            let more = self.read(&mut bytes[got..], offset + narrow(got))?;
            bytes.truncate(got + more);
        }
        self.parse(&bytes.into())
            .map_err(|no_frame| corrupt(self.header.number, offset, no_frame.why()))
    }

    /// Reads the change at a location in this segment.
    pub(crate) fn change(&self, location: Location) -> Result<Change, Fault> {
        one_of(&self.changes(location.offset)?, location)
    }

    /// Reads all changes of a frame.
    pub(crate) fn changes(&self, offset: u32) -> Result<Vec<Change>, Fault> {
        let frame = self.frame(offset)?;
        match Part::decode(&frame.payload) {
            Ok(part) => Ok(part.changes),
            Err(malformed) => Err(corrupt(self.header.number, offset, malformed.0)),
        }
    }

    /// A segment whose header does not hold, if its first frame tells the salt: as it stands
    /// there, or with one bit of it turned. What else the header says is not to be believed.
    pub(crate) fn guess(number: u32, file: &Arc<dyn DiskFile>) -> Result<Option<Self>, Fault> {
        let mut bytes = [0; FRAMES_OFFSET as usize + HEADER_BYTES];
        let got = file
            .read_at(&mut bytes, 0)
            .map_err(|source| io("read", number, source))?;
        let (header, frame) = bytes.split_at(FRAMES_OFFSET as usize);
        if got < bytes.len() || frame.iter().all(|&byte| byte == 0) {
            return Ok(None);
        }
        let mut found = [0; 8];
        found.copy_from_slice(&header[56..64]);
        let salt = u64::from_le_bytes(found);
        let turned = (0..u64::BITS).map(|bit| salt ^ (1 << bit));
        let segments = std::iter::once(salt).chain(turned).map(|salt| {
            let header = SegmentHeader {
                store: Uuid::nil(),
                number,
                base: Sequence::ZERO,
                capacity: 0,
                salt,
                chain: 0,
            };
            Self::new(header, Arc::clone(file))
        });
        Ok(segments
            .into_iter()
            .find(|segment| segment.holds_header(frame)))
    }

    /// Reads into the buffer until it is full or the file ends.
    pub(crate) fn read(&self, buffer: &mut [u8], offset: u32) -> Result<usize, Fault> {
        self.file
            .read_at(buffer, u64::from(offset))
            .map_err(|source| io("read", self.header.number, source))
    }

    /// Whether the bytes begin with a frame header that holds.
    pub(crate) fn holds_header(&self, bytes: &[u8]) -> bool {
        matches!(self.header_at(bytes), Some(Ok(_) | Err(Bad::Unknown)))
    }

    fn header_at(&self, bytes: &[u8]) -> Option<Result<(Header, u32), Bad>> {
        bytes
            .first_chunk()
            .map(|header| Header::decode(header, &self.seed))
    }

    /// Verifies the frame at the front of the bytes, which may hold more.
    pub(crate) fn parse(&self, bytes: &Bytes) -> Result<Frame, NoFrame> {
        let (header, checksum) = match self.header_at(bytes) {
            Some(Ok(found)) => found,
            Some(Err(Bad::Blank)) => return Err(NoFrame::Blank),
            Some(Err(Bad::Header)) => {
                return Err(NoFrame::Damaged(
                    "the frame header's checksum does not hold",
                ));
            }
            Some(Err(Bad::Unknown)) => return Err(NoFrame::Later),
            None if bytes.iter().all(|&b| b == 0) => return Err(NoFrame::Blank),
            None => return Err(NoFrame::Incomplete(HEADER_BYTES)),
        };
        let end = HEADER_BYTES + header.payload_len as usize;
        if bytes.len() < end {
            return Err(NoFrame::Incomplete(header.frame_bytes()));
        }
        let payload = bytes.slice(HEADER_BYTES..end);
        if frame::payload_checksum(&payload) != header.payload_checksum {
            return Err(NoFrame::Damaged("the payload's checksum does not hold"));
        }
        Ok(Frame {
            header,
            checksum,
            payload,
        })
    }
}

pub(crate) fn io(doing: &'static str, number: u32, source: std::io::Error) -> Fault {
    Fault::of_io(doing, &path(number), source)
}

/// What does not hold in a segment, where the sequence is not known.
pub(crate) fn corrupt(number: u32, offset: u32, why: &'static str) -> Fault {
    Fault::corrupt(path(number), u64::from(offset), why)
}

/// What does not hold at a location.
pub(crate) fn corrupt_at(location: Location, why: &'static str) -> Fault {
    corrupt(location.segment, location.offset, why)
}

/// The change at a location, of those of its frame.
pub(crate) fn one_of(changes: &[Change], location: Location) -> Result<Change, Fault> {
    let change = changes.get(usize::from(location.change)).cloned();
    change.ok_or_else(|| {
        let why = "the frame has fewer changes than the directory says";
        corrupt_at(location, why)
    })
}

fn narrow(value: usize) -> u32 {
    u32::try_from(value).expect("offsets in a segment fit 32 bits")
}
