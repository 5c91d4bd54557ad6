//! Frames: the header that makes bytes in a segment believable.
//!
//! A header is verified before its lengths are believed. Its checksum is seeded with the salt of
//! its segment, so that neither what a recycled file held nor what a client stored can pass for a
//! frame. Layout and the reader's algorithm in `docs/FORMAT.md`.

use crc32fast::Hasher;

use crate::codec::{Decoder, Encode};
use crate::limits::FRAME_PAYLOAD_BYTES_MAX;
use crate::types::Sequence;

/// Bytes of a frame's header.
pub(crate) const HEADER_BYTES: usize = 36;
/// Frames begin at multiples of this.
pub(crate) const ALIGNMENT: u32 = 8;
/// The first bytes of every frame.
const MAGIC: u16 = 0xA75C;
/// Version of header and payload.
const VERSION: u8 = 1;
/// Set in the kind of a frame that a reader may pass over if it does not know it.
const SKIPPABLE: u8 = 0x80;

/// What a frame is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A part of a commit.
    Commit,
    /// Proves that the commit of this sequence and all before it were durable.
    DurableMark,
    /// Like [`Kind::DurableMark`], and nothing was written after it: the store was closed.
    CleanMark,
    /// What lives on in a cold segment; never in the hot log.
    Image,
    /// A kind of a later version that may be passed over.
    Unknown(u8),
}

impl Kind {
    const fn to_byte(self) -> u8 {
        match self {
            Self::Commit => 1,
            Self::DurableMark => 2,
            Self::CleanMark => 3,
            Self::Image => 4,
            Self::Unknown(byte) => byte,
        }
    }
}

/// Why bytes are not a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bad {
    /// All zero: nothing was ever written here.
    Blank,
    /// The header's checksum does not hold.
    Header,
    /// The header holds but is of a version or kind that this build does not know.
    Unknown,
}

/// The header of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) kind: Kind,
    /// This part, counted from 0, of how many.
    pub(crate) part: u16,
    pub(crate) parts: u16,
    /// The commit; for a mark the last commit before it.
    pub(crate) sequence: Sequence,
    /// How far `sequence` was ahead of the durable sequence when the frame was written.
    pub(crate) distance: u32,
    /// [`Header::checksum`] of the frame before.
    pub(crate) chain: u32,
    pub(crate) payload_len: u32,
    pub(crate) payload_checksum: u32,
}

/// The seed of a segment's header checksums.
#[derive(Clone)]
pub(crate) struct Seed(Hasher);

impl Seed {
    pub(crate) fn new(salt: u64) -> Self {
        let mut hasher = Hasher::new();
        hasher.update(&salt.to_le_bytes());
        Self(hasher)
    }

    fn checksum(&self, bytes: &[u8]) -> u32 {
        let mut hasher = self.0.clone();
        hasher.update(bytes);
        hasher.finalize()
    }
}

impl Header {
    /// Every commit up to this one was durable when the frame was written.
    pub(crate) fn proves(&self) -> Sequence {
        Sequence::new(self.sequence.get().saturating_sub(u64::from(self.distance)))
    }

    /// Bytes from the start of this frame to the start of the next.
    pub(crate) fn frame_bytes(&self) -> usize {
        (HEADER_BYTES + self.payload_len as usize).next_multiple_of(ALIGNMENT as usize)
    }

    /// The bytes of the header, and its checksum, to which the next frame is chained.
    pub(crate) fn encode(&self, seed: &Seed) -> ([u8; HEADER_BYTES], u32) {
        let mut bytes = [0; HEADER_BYTES];
        let mut out = &mut bytes[..];
        out.put_u16(MAGIC);
        out.put_u8(self.kind.to_byte());
        out.put_u8(VERSION);
        out.put_u32(self.payload_len);
        out.put_u16(self.part);
        out.put_u16(self.parts);
        out.put_u64(self.sequence.get());
        out.put_u32(self.distance);
        out.put_u32(self.chain);
        out.put_u32(self.payload_checksum);
        let (fields, room) = bytes.split_at_mut(HEADER_BYTES - 4);
        let checksum = seed.checksum(fields);
        room.copy_from_slice(&checksum.to_le_bytes());
        (bytes, checksum)
    }

    /// Verifies and reads a header; also gives its checksum.
    pub(crate) fn decode(bytes: &[u8; HEADER_BYTES], seed: &Seed) -> Result<(Self, u32), Bad> {
        if bytes.iter().all(|&b| b == 0) {
            return Err(Bad::Blank);
        }
        Self::read(bytes, seed).unwrap_or(Err(Bad::Header))
    }

    fn read(
        bytes: &[u8; HEADER_BYTES],
        seed: &Seed,
    ) -> Result<Result<(Self, u32), Bad>, crate::codec::Malformed> {
        let mut input = Decoder::new(bytes);
        let magic = input.u16()?;
        let (kind, version) = (input.u8()?, input.u8()?);
        let payload_len = input.u32()?;
        let (part, parts) = (input.u16()?, input.u16()?);
        let sequence = Sequence::new(input.u64()?);
        let (distance, chain, payload_checksum) = (input.u32()?, input.u32()?, input.u32()?);
        let checksum = input.u32()?;
        if magic != MAGIC || checksum != seed.checksum(&bytes[..HEADER_BYTES - 4]) {
            return Ok(Err(Bad::Header));
        }
        let kind = match kind {
            1 => Kind::Commit,
            2 => Kind::DurableMark,
            3 => Kind::CleanMark,
            4 => Kind::Image,
            other if other & SKIPPABLE != 0 => Kind::Unknown(other),
            _ => return Ok(Err(Bad::Unknown)),
        };
        let impossible = payload_len as usize > FRAME_PAYLOAD_BYTES_MAX || part >= parts;
        if version != VERSION || impossible {
            return Ok(Err(Bad::Unknown));
        }
        let header = Self {
            kind,
            part,
            parts,
            sequence,
            distance,
            chain,
            payload_len,
            payload_checksum,
        };
        Ok(Ok((header, checksum)))
    }
}

/// The checksum of a payload.
pub(crate) fn payload_checksum(payload: &[u8]) -> u32 {
    crc32fast::hash(payload)
}
