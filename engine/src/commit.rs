//! Commits: the facts that the log holds, and their bytes.
//!
//! A commit says what is true from now on, never what was asked for. Layout in `docs/FORMAT.md`.

use bytes::Bytes;

mod dataset;
pub(crate) mod names;

use dataset::dataset_cause;
use names::{
    decode_counts, decode_dataset_id, decode_identity, decode_modified_by, decode_pool,
    encode_counts, encode_dataset_id, encode_identity, encode_modified_by, encode_pool,
    metadata_key,
};

use crate::codec::{Decoder, Encode, Malformed};
use crate::limits::NOTE_BYTES_MAX;
use crate::records::Records;
use crate::types::{
    DatasetId, DatasetName, Extent, IdentityId, Location, MetadataKey, MetadataValue, ModifiedBy,
    Note, PoolId, Sequence, SyncCount, Timestamp,
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
    /// Whether it takes something away, which is the way out when there is no space.
    pub(crate) fn deletes(&self) -> bool {
        self.changes.iter().any(|change| {
            matches!(
                change,
                Change::DatasetDeleted { .. }
                    | Change::IdentityDeleted { .. }
                    | Change::PoolDeleted { .. }
            )
        })
    }

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
    /// A pool was imported, which was changed last at this time.
    PoolImported { pool: PoolId, modified: Timestamp },
    /// An identity was imported: what is known of it beside its datasets.
    IdentityImported {
        pool: PoolId,
        identity: IdentityId,
        modified: Timestamp,
        floor: SyncCount,
        /// Deleted datasets at these counts.
        deleted: Vec<(DatasetName, SyncCount)>,
    },
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
    /// The whole dataset as it was elsewhere: all of it is news.
    Import,
}

impl Cause {
    /// Whether the dataset is another one afterwards.
    pub(crate) fn is_change(self) -> bool {
        matches!(self, Self::Update | Self::Import)
    }
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
    /// The frame at which the walk from here ends, if it was moved to a cold segment.
    pub(crate) image: Option<Extent>,
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
    /// Counts that were issued and lost.
    pub(crate) gap: Option<Gap>,
}

/// Counts between these two, exclusively, belong to what was lost when the store was restored to a
/// time before them. Who knows one must be told everything anew.
///
/// ```
/// use syncline_engine::{Gap, SyncCount};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // It was restored as it was at 7; what it was told up to then is still true.
/// let gap = Gap { from: SyncCount::new(7)?, to: SyncCount::new(68_719_476_743)? };
/// let lost = |count: SyncCount| gap.from < count && count < gap.to;
/// assert!(lost(SyncCount::new(8)?) && !lost(gap.from) && !lost(gap.to));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The count that was restored.
    pub from: SyncCount,
    /// The count to which the dataset was lifted above all that can have been issued.
    pub to: SyncCount,
}

impl Gap {
    pub(crate) fn holds(&self, sync_count: SyncCount) -> bool {
        self.from < sync_count && sync_count < self.to
    }
}

const DATASET_UPDATED: u8 = 1;
const DATASET_IMAGE: u8 = 2;
const DATASET_REPUBLISHED: u8 = 3;
const DATASET_DELETED: u8 = 4;
const IDENTITY_DELETED: u8 = 5;
const POOL_DELETED: u8 = 6;
const METADATA_PUT: u8 = 7;
const METADATA_DELETED: u8 = 8;
const DATASET_IMPORTED: u8 = 9;
const IDENTITY_IMPORTED: u8 = 10;
const POOL_IMPORTED: u8 = 11;
/// Set in the kind of a dataset change that tells its image behind its link.
const WITH_IMAGE: u8 = 0x10;
/// Set in the kind of a dataset change that tells a gap behind its floor.
const WITH_GAP: u8 = 0x20;
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
            Self::PoolImported { .. }
            | Self::IdentityImported { .. }
            | Self::MetadataPut { .. }
            | Self::MetadataDeleted { .. }
            | Self::Unknown => false,
        }
    }

    fn kind(&self) -> u8 {
        match self {
            Self::Dataset(change) => {
                let cause = match change.cause {
                    Cause::Update => DATASET_UPDATED,
                    Cause::Image => DATASET_IMAGE,
                    Cause::Republish => DATASET_REPUBLISHED,
                    Cause::Import => DATASET_IMPORTED,
                };
                let image = change.image.map_or(0, |_| WITH_IMAGE);
                let gap = change.facts.gap.map_or(0, |_| WITH_GAP);
                cause | image | gap
            }
            Self::DatasetDeleted { .. } => DATASET_DELETED,
            Self::IdentityDeleted { .. } => IDENTITY_DELETED,
            Self::PoolDeleted { .. } => POOL_DELETED,
            Self::PoolImported { .. } => POOL_IMPORTED,
            Self::IdentityImported { .. } => IDENTITY_IMPORTED,
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
                encode_counts(out, datasets);
            }
            Self::PoolDeleted { pool } => encode_pool(out, pool),
            Self::PoolImported { pool, modified } => {
                encode_pool(out, pool);
                out.put_u48(modified.get());
            }
            Self::IdentityImported {
                pool,
                identity,
                modified,
                floor,
                deleted,
            } => {
                encode_identity(out, pool, identity);
                out.put_u48(modified.get());
                out.put_u48(floor.get());
                encode_counts(out, deleted);
            }
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
            _ if dataset_cause(kind).is_some() => {
                Self::Dataset(DatasetChange::decode(kind, &body)?)
            }
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
            POOL_IMPORTED => {
                let pool = decode_pool(&mut input)?;
                let modified = Timestamp::believed(input.u48()?);
                input.finish()?;
                Self::PoolImported { pool, modified }
            }
            IDENTITY_IMPORTED => Self::decode_identity_imported(input)?,
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
        let datasets = decode_counts(&mut input)?;
        input.finish()?;
        Ok(Self::IdentityDeleted {
            pool,
            identity,
            datasets,
        })
    }

    fn decode_identity_imported(mut input: Decoder<'_>) -> Result<Self, Malformed> {
        let (pool, identity) = decode_identity(&mut input)?;
        let modified = Timestamp::believed(input.u48()?);
        let floor = SyncCount::believed(input.u48()?);
        let deleted = decode_counts(&mut input)?;
        input.finish()?;
        Ok(Self::IdentityImported {
            pool,
            identity,
            modified,
            floor,
            deleted,
        })
    }
}

pub(crate) fn encode_location(out: &mut Vec<u8>, location: Location) {
    out.put_u32(location.segment);
    out.put_u32(location.offset);
    out.put_u16(location.change);
}

pub(crate) fn decode_location(input: &mut Decoder<'_>) -> Result<Location, Malformed> {
    Ok(Location {
        segment: input.u32()?,
        offset: input.u32()?,
        change: input.u16()?,
    })
}
