//! The file `STORE`: which store a directory is, and what no other file of it can say.
//!
//! It is written when the store is made, when its first segment is about to be, and when it is
//! restored; always under another name first, so that it is whole or as it was. Stores of the
//! first version have none, and get one when they are opened.

use bincode::config;
use bincode::{Decode, Encode};
use uuid::Uuid;

use crate::disk::Disk;
use crate::error::Fault;
use crate::types::SyncCount;
use crate::whole;

/// Its name in the data directory.
pub(crate) const NAME: &str = "STORE";
const NEXT_NAME: &str = "STORE.next";
const MAGIC: [u8; 8] = *b"SYNCROOT";
const VERSION: u16 = 1;
/// Magic, version, length of the body, checksum of all that and the body.
const HEADER_BYTES: usize = 8 + 2 + 4 + 4;
/// More than a body ever takes.
const BODY_BYTES_MAX: usize = 1024;

/// What the file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
struct Body {
    uuid: [u8; 16],
    lineage: [u8; 16],
    base: u64,
    begun: bool,
}

/// Which store a directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Root {
    /// The store, as its cursors name it: a new one after every restore.
    pub(crate) uuid: Uuid,
    /// What all its files bear, those from before a restore too.
    pub(crate) lineage: Uuid,
    /// Counts up to this one may have been issued by what was lost in a restore.
    pub(crate) base: SyncCount,
    /// There is a log: if none is found, it was taken away.
    pub(crate) begun: bool,
}

impl Root {
    /// A new store.
    pub(crate) fn new(disk: &dyn Disk) -> Self {
        let uuid = uuid::Builder::from_random_bytes(disk.random()).into_uuid();
        Self {
            uuid,
            lineage: uuid,
            base: SyncCount::ZERO,
            begun: false,
        }
    }

    /// Reads the file, if there is one.
    pub(crate) fn read(disk: &dyn Disk) -> Result<Option<Self>, Fault> {
        let bytes_max = (HEADER_BYTES + BODY_BYTES_MAX) as u64;
        let bytes = whole::read(disk, NAME, bytes_max)?;
        bytes.map(|bytes| Self::decode(&bytes)).transpose()
    }

    /// Puts the file in the place of what was there; it lasts when this returns.
    pub(crate) fn write(&self, disk: &dyn Disk) -> Result<(), Fault> {
        whole::write(disk, NEXT_NAME, NAME, &self.encode())
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let body = Body {
            uuid: self.uuid.into_bytes(),
            lineage: self.lineage.into_bytes(),
            base: self.base.get(),
            begun: self.begun,
        };
        let body = bincode::encode_to_vec(body, format()).expect("a vector takes everything");
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        let length = u32::try_from(body.len()).expect("a body is short");
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&checksum(&bytes, &body).to_le_bytes());
        bytes.extend_from_slice(&body);
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        let Some((header, body)) = bytes.split_at_checked(HEADER_BYTES) else {
            return Err(corrupt("the file ends too early"));
        };
        let (front, found) = header.split_at(HEADER_BYTES - 4);
        if front[..8] != MAGIC {
            return Err(corrupt("this is not the STORE file of a Syncline store"));
        }
        if checksum(front, body).to_le_bytes() != found {
            return Err(corrupt("the checksum does not hold"));
        }
        let version = u16::from_le_bytes([front[8], front[9]]);
        if version != VERSION {
            return Err(Fault::Version {
                path: NAME.into(),
                found: version,
                known: VERSION,
            });
        }
        let (body, _): (Body, usize) = bincode::decode_from_slice(body, format())
            .map_err(|_| corrupt("the body is not one"))?;
        let base = SyncCount::new(body.base).map_err(|_| corrupt("the base is no count"))?;
        Ok(Self {
            uuid: Uuid::from_bytes(body.uuid),
            lineage: Uuid::from_bytes(body.lineage),
            base,
            begun: body.begun,
        })
    }
}

/// How structures are laid out: fixed-width, little-endian, and never larger than they can be.
pub(crate) fn format() -> impl config::Config {
    config::standard()
        .with_little_endian()
        .with_fixed_int_encoding()
        .with_limit::<{ 64 << 20 }>()
}

fn checksum(front: &[u8], body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(front);
    hasher.update(body);
    hasher.finalize()
}

fn corrupt(why: &'static str) -> Fault {
    Fault::corrupt(NAME, 0, why)
}
