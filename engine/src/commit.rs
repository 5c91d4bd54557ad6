//! Commits: the facts that the log holds, and their bytes.
//!
//! A commit says what is true from now on, never what was asked for. Layout in `docs/FORMAT.md`.

use bytes::Bytes;

mod names;

use names::{
    decode_dataset_id, decode_identity, decode_modified_by, decode_name, decode_pool,
    encode_dataset_id, encode_id, encode_identity, encode_modified_by, encode_short, metadata_key,
};

use crate::codec::{Decoder, Encode, Malformed};
use crate::limits::NOTE_BYTES_MAX;
use crate::record::Records;
use crate::types::{
    DatasetId, DatasetName, IdentityId, Location, MetadataKey, MetadataValue, ModifiedBy, Note,
    PoolId, Sequence, SyncCount, Timestamp,
};

/// The facts of one sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Commit {
    pub(crate) sequence: Sequence,
    pub(crate) time: Timestamp,
    pub(crate) note: Note,
    pub(crate) changes: Vec<Change>,
}

impl Commit {
    /// Whether the feed tells of it: it changes datasets, not only metadata or places.
    pub(crate) fn is_news(&self) -> bool {
        self.changes.iter().any(Change::is_news)
    }
}

/// One fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// A dataset has these records now.
    Dataset(DatasetChange),
    /// A dataset is gone; its count is remembered.
    DatasetDeleted {
        dataset: DatasetId,
        sync_count: SyncCount,
        modified_by: ModifiedBy,
    },
    /// An identity is gone, with these datasets at these counts.
    IdentityDeleted {
        pool: PoolId,
        identity: IdentityId,
        datasets: Vec<(DatasetName, SyncCount)>,
    },
    /// A pool is gone, with all its identities.
    PoolDeleted { pool: PoolId },
    /// A metadata key has this value.
    MetadataPut {
        key: MetadataKey,
        value: MetadataValue,
    },
    /// A metadata key has no value.
    MetadataDeleted { key: MetadataKey },
    /// A kind of a later version that may be passed over.
    Unknown,
}

/// Why a dataset's records are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The count rose: this is news.
    Update,
    /// The whole dataset at its unchanged count, moved for the store's own reasons: not news.
    Image,
    /// The whole dataset at its unchanged count, to be told to streams again.
    Republish,
}

/// A dataset's facts, and its records that are newer than `covers_from`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DatasetChange {
    pub(crate) cause: Cause,
    pub(crate) dataset: DatasetId,
    pub(crate) facts: Facts,
    /// Every record version newer than this count is in `records`; zero means the whole dataset.
    pub(crate) covers_from: SyncCount,
    /// The frame of the dataset at `covers_from`; `None` if that is zero.
    pub(crate) link: Option<Location>,
    pub(crate) records: Records,
}

/// What is true of a dataset, beside its records.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct Facts {
    pub(crate) sync_count: SyncCount,
    /// Up to this count removals are forgotten: the last deletion, or the newest purged tombstone.
    pub(crate) floor: SyncCount,
    /// Bytes of keys and values of live records.
    pub(crate) bytes: u32,
    pub(crate) live: u32,
    pub(crate) tombstones: u32,
    /// Bytes of the tombstones' keys.
    pub(crate) tombstone_bytes: u32,
    pub(crate) created: Timestamp,
    pub(crate) modified: Timestamp,
    pub(crate) modified_by: ModifiedBy,
}

const DATASET_UPDATED: u8 = 1;
const DATASET_IMAGE: u8 = 2;
const DATASET_REPUBLISHED: u8 = 3;
const DATASET_DELETED: u8 = 4;
const IDENTITY_DELETED: u8 = 5;
const POOL_DELETED: u8 = 6;
const METADATA_PUT: u8 = 7;
const METADATA_DELETED: u8 = 8;
/// Set in the kind of a change that a reader may pass over if it does not know it.
const SKIPPABLE: u8 = 0x80;

/// The bytes that a payload begins with: what every part of a commit repeats.
pub(crate) fn encode_head(out: &mut Vec<u8>, time: Timestamp, note: &Note, changes: u16) {
    out.put_u48(time.get());
    out.put_u8(u8::try_from(note.as_bytes().len()).expect("a note has at most 64 bytes"));
    out.put_bytes(note.as_bytes());
    out.put_u16(changes);
}

/// What one frame of a commit holds.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) time: Timestamp,
    pub(crate) note: Note,
    pub(crate) changes: Vec<Change>,
}

impl Part {
    /// Reads the payload of a commit frame.
    pub(crate) fn decode(payload: &Bytes) -> Result<Self, Malformed> {
        let mut input = Decoder::new(payload);
        let time = Timestamp::believed(input.u48()?);
        let note_len = usize::from(input.u8()?);
        if note_len > NOTE_BYTES_MAX {
            return Err(Malformed("the note is too long"));
        }
        let note = Note::new(input.bytes(note_len)?).expect("its length was checked");
        let count = input.u16()?;
        let mut changes = Vec::with_capacity(usize::from(count.min(64)));
        for _ in 0..count {
            changes.push(Change::decode(&mut input, payload)?);
        }
        input.finish()?;
        Ok(Self {
            time,
            note,
            changes,
        })
    }
}

impl Change {
    /// Appends the change: kind, length, body.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.put_u8(self.kind());
        out.put_u32(0);
        let body = out.len();
        self.encode_body(out);
        let length = u32::try_from(out.len() - body).expect("a change fits a frame");
        out[start + 1..body].copy_from_slice(&length.to_le_bytes());
    }

    fn is_news(&self) -> bool {
        match self {
            Self::Dataset(change) => change.cause != Cause::Image,
            Self::DatasetDeleted { .. }
            | Self::IdentityDeleted { .. }
            | Self::PoolDeleted { .. } => true,
            Self::MetadataPut { .. } | Self::MetadataDeleted { .. } | Self::Unknown => false,
        }
    }

    fn kind(&self) -> u8 {
        match self {
            Self::Dataset(change) => match change.cause {
                Cause::Update => DATASET_UPDATED,
                Cause::Image => DATASET_IMAGE,
                Cause::Republish => DATASET_REPUBLISHED,
            },
            Self::DatasetDeleted { .. } => DATASET_DELETED,
            Self::IdentityDeleted { .. } => IDENTITY_DELETED,
            Self::PoolDeleted { .. } => POOL_DELETED,
            Self::MetadataPut { .. } => METADATA_PUT,
            Self::MetadataDeleted { .. } => METADATA_DELETED,
            Self::Unknown => unreachable!("what is not known is not written"),
        }
    }

    fn encode_body(&self, out: &mut Vec<u8>) {
        match self {
            Self::Dataset(change) => change.encode(out),
            Self::DatasetDeleted {
                dataset,
                sync_count,
                modified_by,
            } => {
                encode_dataset_id(out, dataset);
                out.put_u48(sync_count.get());
                encode_modified_by(out, modified_by);
            }
            Self::IdentityDeleted {
                pool,
                identity,
                datasets,
            } => {
                encode_identity(out, pool, identity);
                out.put_u16(u16::try_from(datasets.len()).expect("bounded by its limit"));
                for (name, sync_count) in datasets {
                    encode_short(out, name.as_str().as_bytes());
                    out.put_u48(sync_count.get());
                }
            }
            Self::PoolDeleted { pool } => encode_id(out, pool.as_str(), None),
            Self::MetadataPut { key, value } => {
                out.put_u16(u16::try_from(key.as_bytes().len()).expect("at most 256"));
                out.put_bytes(key.as_bytes());
                out.put_bytes(value.as_bytes());
            }
            Self::MetadataDeleted { key } => out.put_bytes(key.as_bytes()),
            Self::Unknown => unreachable!("what is not known is not written"),
        }
    }

    fn decode(input: &mut Decoder<'_>, payload: &Bytes) -> Result<Self, Malformed> {
        let kind = input.u8()?;
        let length = input.u32()? as usize;
        let body = payload.slice_ref(input.bytes(length)?);
        let mut input = Decoder::new(&body);
        let change = match kind {
            DATASET_UPDATED => Self::Dataset(DatasetChange::decode(Cause::Update, &body)?),
            DATASET_IMAGE => Self::Dataset(DatasetChange::decode(Cause::Image, &body)?),
            DATASET_REPUBLISHED => Self::Dataset(DatasetChange::decode(Cause::Republish, &body)?),
            DATASET_DELETED => {
                let dataset = decode_dataset_id(&mut input)?;
                let sync_count = SyncCount::believed(input.u48()?);
                let modified_by = decode_modified_by(&mut input)?;
                input.finish()?;
                Self::DatasetDeleted {
                    dataset,
                    sync_count,
                    modified_by,
                }
            }
            IDENTITY_DELETED => Self::decode_identity_deleted(input)?,
            POOL_DELETED => {
                let pool = decode_pool(&mut input)?;
                input.finish()?;
                Self::PoolDeleted { pool }
            }
            METADATA_PUT => {
                let key_len = usize::from(input.u16()?);
                let key = metadata_key(input.bytes(key_len)?)?;
                let value = body.slice(2 + key_len..);
                let value = MetadataValue::new(value)
                    .map_err(|_| Malformed("a metadata value is too long"))?;
                Self::MetadataPut { key, value }
            }
            METADATA_DELETED => Self::MetadataDeleted {
                key: metadata_key(&body)?,
            },
            other if other & SKIPPABLE != 0 => Self::Unknown,
            _ => {
                return Err(Malformed(
                    "a change has a kind that this version does not know",
                ));
            }
        };
        Ok(change)
    }

    fn decode_identity_deleted(mut input: Decoder<'_>) -> Result<Self, Malformed> {
        let (pool, identity) = decode_identity(&mut input)?;
        let count = input.u16()?;
        let mut datasets = Vec::with_capacity(usize::from(count.min(64)));
        for _ in 0..count {
            let name = decode_name(&mut input)?;
            datasets.push((name, SyncCount::believed(input.u48()?)));
        }
        input.finish()?;
        Ok(Self::IdentityDeleted {
            pool,
            identity,
            datasets,
        })
    }
}

impl DatasetChange {
    fn encode(&self, out: &mut Vec<u8>) {
        let facts = &self.facts;
        encode_dataset_id(out, &self.dataset);
        out.put_u48(facts.sync_count.get());
        out.put_u48(facts.floor.get());
        out.put_u48(self.covers_from.get());
        if self.covers_from != SyncCount::ZERO {
            let link = self
                .link
                .expect("what does not cover everything has a link");
            out.put_u32(link.segment);
            out.put_u32(link.offset);
            out.put_u16(link.change);
        }
        out.put_u32(facts.bytes);
        out.put_u32(facts.live);
        out.put_u16(u16::try_from(facts.tombstones).expect("bounded by its limit"));
        out.put_u32(facts.tombstone_bytes);
        out.put_u48(facts.created.get());
        out.put_u48(facts.modified.get());
        encode_modified_by(out, &facts.modified_by);
        out.put_u32(u32::try_from(self.records.len()).expect("bounded by its limit"));
        out.put_bytes(self.records.bytes());
    }

    fn decode(cause: Cause, body: &Bytes) -> Result<Self, Malformed> {
        let mut input = Decoder::new(body);
        let dataset = decode_dataset_id(&mut input)?;
        let sync_count = SyncCount::believed(input.u48()?);
        let floor = SyncCount::believed(input.u48()?);
        let covers_from = SyncCount::believed(input.u48()?);
        let link = if covers_from == SyncCount::ZERO {
            None
        } else {
            let (segment, offset, change) = (input.u32()?, input.u32()?, input.u16()?);
            Some(Location {
                segment,
                offset,
                change,
            })
        };
        let (bytes, live) = (input.u32()?, input.u32()?);
        let (tombstones, tombstone_bytes) = (u32::from(input.u16()?), input.u32()?);
        let created = Timestamp::believed(input.u48()?);
        let modified = Timestamp::believed(input.u48()?);
        let modified_by = decode_modified_by(&mut input)?;
        let count = input.u32()? as usize;
        let records = Records::decode(body.slice(body.len() - input.remaining()..), count)?;
        let in_range = records
            .iter()
            .all(|record| record.sync_count > covers_from && record.sync_count <= sync_count);
        let below_floor = covers_from != SyncCount::ZERO && covers_from < floor;
        if sync_count == SyncCount::ZERO || covers_from >= sync_count || !in_range || below_floor {
            return Err(Malformed("a dataset's counts contradict each other"));
        }
        let facts = Facts {
            sync_count,
            floor,
            bytes,
            live,
            tombstones,
            tombstone_bytes,
            created,
            modified,
            modified_by,
        };
        Ok(Self {
            cause,
            dataset,
            facts,
            covers_from,
            link,
            records,
        })
    }
}
