//! The lines of an export file: JSON objects, one a line, told apart by their `type`.
//!
//! The first line is a `syncline-export`, the last an `end` with the counts of the others, so that
//! a file that was cut off is noticed. Times are milliseconds since 1970; bytes are base64; a
//! missing `modified_by` means the identity itself, a missing `value` a tombstone.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use syncline_engine::{
    Content, DatasetId, DatasetName, Expected, Exported, Gap, IdentityId, Invalid, MetadataKey,
    MetadataValue, ModifiedBy, PoolId, Record, RecordKey, RecordValue, SyncCount, Timestamp, Wish,
};
use thiserror::Error;

/// Version of the lines.
pub const VERSION: u32 = 1;

/// Why a line is not one of an export.
#[derive(Debug, Error)]
pub enum LineError {
    /// Not JSON, or something is missing in it or not known.
    #[error("it is not a line of an export")]
    Form(#[from] serde_json::Error),
    /// A value breaks a rule.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// Bytes that are not base64.
    #[error("it has bytes that are not base64")]
    Bytes(#[from] base64::DecodeError),
}

/// A line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Line {
    /// The first one.
    #[serde(rename = "syncline-export")]
    Header {
        /// [`VERSION`].
        version: u32,
        /// The store, and the commit after which it was exported: together a cursor of its feed.
        store: String,
        /// See there.
        sequence: u64,
        /// The only pool in it, if it is not everything.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pool: Option<String>,
        /// The only identity in it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        identity: Option<String>,
    },
    /// A pool, before what is in it.
    Pool {
        /// Its id.
        pool: String,
        /// When it was last changed.
        modified: u64,
    },
    /// A dataset.
    Dataset(Box<DatasetLine>),
    /// An identity, behind its datasets.
    Identity {
        /// Its pool.
        pool: String,
        /// Its id.
        identity: String,
        /// When one of its datasets was last changed.
        modified: u64,
        /// Unknown names count as deleted at this count.
        floor: u64,
        /// Deleted datasets and their counts.
        deleted: Vec<(String, u64)>,
    },
    /// A value of the server's own.
    Metadata {
        /// Its key.
        key: String,
        /// Its value.
        value: String,
    },
    /// Where the export was; for going on with it, and of no meaning to an import.
    Position {
        /// As text of the engine's.
        position: String,
    },
    /// The last one.
    End(Counts),
}

/// A dataset as a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatasetLine {
    pool: String,
    identity: String,
    dataset: String,
    sync_count: u64,
    floor: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gap: Option<(u64, u64)>,
    created: u64,
    modified: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    modified_by: Option<String>,
    records: Vec<RecordLine>,
}

/// A record in its dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RecordLine {
    key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    sync_count: u64,
    modified: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    modified_by: Option<String>,
    device_modified: u64,
}

/// How many lines of each type there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Pools.
    pub pools: u64,
    /// Identities.
    pub identities: u64,
    /// Datasets.
    pub datasets: u64,
    /// Metadata values.
    pub metadata: u64,
}

impl Counts {
    /// Counts a line.
    pub fn add(&mut self, line: &Line) {
        match line {
            Line::Pool { .. } => self.pools += 1,
            Line::Identity { .. } => self.identities += 1,
            Line::Dataset(_) => self.datasets += 1,
            Line::Metadata { .. } => self.metadata += 1,
            Line::Header { .. } | Line::Position { .. } | Line::End(_) => {}
        }
    }
}

impl From<Exported> for Line {
    fn from(exported: Exported) -> Self {
        match exported {
            Exported::Pool { pool, modified } => Self::Pool {
                pool: pool.to_string(),
                modified: modified.get(),
            },
            Exported::Dataset { dataset, content } => {
                Self::Dataset(Box::new(DatasetLine::new(&dataset, &content)))
            }
            Exported::Identity {
                pool,
                identity,
                modified,
                floor,
                deleted,
            } => Self::Identity {
                pool: pool.to_string(),
                identity: identity.to_string(),
                modified: modified.get(),
                floor: floor.get(),
                deleted: deleted
                    .iter()
                    .map(|(name, count)| (name.to_string(), count.get()))
                    .collect(),
            },
            Exported::Metadata { key, value } => Self::Metadata {
                key: STANDARD.encode(key.as_bytes()),
                value: STANDARD.encode(value.as_bytes()),
            },
        }
    }
}

impl Line {
    /// Reads a line.
    ///
    /// # Errors
    /// [`LineError::Form`].
    pub fn parse(text: &[u8]) -> Result<Self, LineError> {
        Ok(serde_json::from_slice(text)?)
    }

    /// What an import of the line wishes for; `None` if the line tells nothing of the store.
    ///
    /// # Errors
    /// Values that break a rule.
    pub fn wish(self) -> Result<Option<Wish>, LineError> {
        Ok(Some(match self {
            Self::Pool { pool, modified } => Wish::ImportPool {
                pool: PoolId::parse(&pool)?,
                modified: Timestamp::new(modified)?,
            },
            Self::Dataset(line) => line.wish()?,
            Self::Identity {
                pool,
                identity,
                modified,
                floor,
                deleted,
            } => Wish::ImportIdentity {
                pool: PoolId::parse(&pool)?,
                identity: IdentityId::parse(&identity)?,
                modified: Timestamp::new(modified)?,
                floor: SyncCount::new(floor)?,
                deleted: deleted
                    .iter()
                    .map(|(name, count)| Ok((DatasetName::parse(name)?, SyncCount::new(*count)?)))
                    .collect::<Result<_, Invalid>>()?,
            },
            Self::Metadata { key, value } => Wish::PutMetadata {
                key: MetadataKey::new(STANDARD.decode(key)?)?,
                value: MetadataValue::new(STANDARD.decode(value)?)?,
                expected: Expected::Nothing,
            },
            Self::Header { .. } | Self::Position { .. } | Self::End(_) => return Ok(None),
        }))
    }
}

impl DatasetLine {
    fn new(id: &DatasetId, content: &Content) -> Self {
        Self {
            pool: id.pool.to_string(),
            identity: id.identity.to_string(),
            dataset: id.name.to_string(),
            sync_count: content.sync_count.get(),
            floor: content.floor.get(),
            gap: content.gap.map(|gap| (gap.from.get(), gap.to.get())),
            created: content.created.get(),
            modified: content.modified.get(),
            modified_by: named(&content.modified_by),
            records: content.records.iter().map(RecordLine::new).collect(),
        }
    }

    fn wish(self) -> Result<Wish, Invalid> {
        let gap = |(from, to)| {
            Ok::<_, Invalid>(Gap {
                from: SyncCount::new(from)?,
                to: SyncCount::new(to)?,
            })
        };
        let content = Content {
            sync_count: SyncCount::new(self.sync_count)?,
            floor: SyncCount::new(self.floor)?,
            gap: self.gap.map(gap).transpose()?,
            created: Timestamp::new(self.created)?,
            modified: Timestamp::new(self.modified)?,
            modified_by: by(self.modified_by.as_deref())?,
            records: self
                .records
                .into_iter()
                .map(RecordLine::record)
                .collect::<Result<_, Invalid>>()?,
        };
        let dataset = DatasetId {
            pool: PoolId::parse(&self.pool)?,
            identity: IdentityId::parse(&self.identity)?,
            name: DatasetName::parse(&self.dataset)?,
        };
        let content = Box::new(content);
        Ok(Wish::Import { dataset, content })
    }
}

impl RecordLine {
    fn new(record: &Record) -> Self {
        Self {
            key: record.key.as_str().to_owned(),
            value: record.value.as_ref().map(|value| value.as_str().to_owned()),
            sync_count: record.sync_count.get(),
            modified: record.modified.get(),
            modified_by: named(&record.modified_by),
            device_modified: record.device_modified.get(),
        }
    }

    fn record(self) -> Result<Record, Invalid> {
        Ok(Record {
            key: RecordKey::parse(&self.key)?,
            value: self.value.map(RecordValue::parse).transpose()?,
            sync_count: SyncCount::new(self.sync_count)?,
            modified: Timestamp::new(self.modified)?,
            modified_by: by(self.modified_by.as_deref())?,
            device_modified: Timestamp::new(self.device_modified)?,
        })
    }
}

fn named(modified_by: &ModifiedBy) -> Option<String> {
    match modified_by {
        ModifiedBy::Owner => None,
        ModifiedBy::Other(name) => Some(name.to_string()),
    }
}

fn by(name: Option<&str>) -> Result<ModifiedBy, Invalid> {
    name.map_or(Ok(ModifiedBy::Owner), ModifiedBy::other)
}
