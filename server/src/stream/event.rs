//! The events of a commit, and the JSON envelope in which each travels.
//!
//! One event tells of one dataset. What is told, in what order and under which ids follows from
//! the commit alone, so every way to read a stream tells the same, and a consumer can drop what
//! comes twice.

use std::fmt;

use serde::Serialize;
use syncline_engine::{
    DatasetId, FeedChange, FeedCommit, RecordRef, Records, Sequence, SyncCount, Text, Timestamp,
};
use uuid::Uuid;

/// The largest envelope, together with its partition key, that carries its records itself: 1 MiB,
/// the largest record of Kinesis.
pub const INLINE_BYTES_MAX: usize = 1 << 20;

/// Which event it is, among all that a store ever tells of. The same event has the same id
/// whenever, wherever and however often it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EventId {
    /// The store; a restored one has another.
    pub store: Uuid,
    /// The commit.
    pub sequence: Sequence,
    /// The place among the events of the commit, from 0.
    pub index: u32,
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.store, self.sequence, self.index)
    }
}

/// What happened to one dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Which event it is.
    pub id: EventId,
    /// Whether no other event of the same commit follows.
    pub is_last: bool,
    /// When it was committed.
    pub time: Timestamp,
    /// The dataset, of which pool and identity.
    pub dataset: DatasetId,
    /// The dataset's count.
    pub sync_count: SyncCount,
    /// When the dataset was last written or deleted.
    pub modified: Timestamp,
    /// What is told of it.
    pub told: Told,
}

/// What an event tells of its dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// These records and tombstones were written; others stay as they are.
    Changed(Records),
    /// It is exactly these records: it was published again, or imported.
    Whole(Records),
    /// It was deleted.
    Deleted,
}

/// The events of a commit, in order. There are none of a pool that is deleted: its stream goes
/// with it.
#[must_use]
pub fn events(commit: FeedCommit) -> Vec<Event> {
    let (cursor, time) = (commit.cursor, commit.time);
    let mut events = Vec::with_capacity(commit.changes.len());
    let mut tell = |dataset, sync_count, modified, told| {
        let index = u32::try_from(events.len()).expect("65,000 changes of some names each");
        events.push(Event {
            id: EventId {
                store: cursor.store,
                sequence: cursor.sequence,
                index,
            },
            is_last: false,
            time,
            dataset,
            sync_count,
            modified,
            told,
        });
    };
    for change in commit.changes {
        match change {
            FeedChange::Updated {
                dataset,
                sync_count,
                records,
                ..
            } => {
                let modified = newest(&records, time);
                tell(dataset, sync_count, modified, Told::Changed(records));
            }
            FeedChange::Whole {
                dataset,
                sync_count,
                records,
                ..
            } => {
                let modified = newest(&records, time);
                tell(dataset, sync_count, modified, Told::Whole(records.live()));
            }
            FeedChange::DeletedDataset {
                dataset,
                sync_count,
                ..
            } => tell(dataset, sync_count, time, Told::Deleted),
            FeedChange::DeletedIdentity {
                pool,
                identity,
                datasets,
            } => {
                for (name, last) in datasets {
                    // As if each had been deleted by itself, for whoever compares counts.
                    let sync_count = last.next().unwrap_or(last);
                    let dataset = DatasetId {
                        pool,
                        identity,
                        name,
                    };
                    tell(dataset, sync_count, time, Told::Deleted);
                }
            }
            FeedChange::DeletedPool { .. } => {}
        }
    }
    if let Some(last) = events.last_mut() {
        last.is_last = true;
    }
    events
}

/// When a dataset with these records was written last. Each write leaves a record or a tombstone,
/// so only of one without any it is not known, and then it is the commit that tells of it.
fn newest(records: &Records, otherwise: Timestamp) -> Timestamp {
    let times = records.iter().map(|record| record.modified);
    times.max().unwrap_or(otherwise)
}

impl Event {
    /// By what a sink keeps order: the identity.
    #[must_use]
    pub fn partition_key(&self) -> &str {
        self.dataset.identity.as_str()
    }

    /// The envelope as JSON. If it and the partition key are longer than `inline_bytes_max`, it
    /// carries the `link` to its records in place of them; [`INLINE_BYTES_MAX`] is what the
    /// service has, and `usize::MAX` is for sinks that take everything.
    #[must_use]
    pub fn envelope(
        &self,
        inline_bytes_max: usize,
        link: impl FnOnce(&EventId) -> String,
    ) -> Vec<u8> {
        let room = inline_bytes_max.saturating_sub(self.partition_key().len());
        let records = self.records();
        // Escaping never makes shorter: what is too long as it is need not be laid out.
        if records.map_or(0, bytes_of) <= room {
            let inline = lay_out(&self.shape(records.map(shapes), None));
            if inline.len() <= room {
                return inline;
            }
        }
        lay_out(&self.shape(None, Some(link(&self.id))))
    }

    /// The records alone, as a JSON array: what the link of an oversize envelope leads to.
    #[must_use]
    pub fn records_json(&self) -> Vec<u8> {
        lay_out(&self.records().map(shapes).unwrap_or_default())
    }

    /// The records that it carries; `None` of a deletion.
    fn records(&self) -> Option<&Records> {
        match &self.told {
            Told::Changed(records) | Told::Whole(records) => Some(records),
            Told::Deleted => None,
        }
    }

    fn shape<'a>(
        &'a self,
        records: Option<Vec<RecordShape<'a>>>,
        url: Option<String>,
    ) -> Shape<'a> {
        let dataset = self.dataset.name.as_str();
        Shape {
            identity_pool_id: self.dataset.pool.as_str(),
            identity_id: self.dataset.identity.as_str(),
            data_set_name: dataset,
            dataset_name: dataset,
            operation: match self.told {
                Told::Changed(_) | Told::Whole(_) => REPLACE,
                Told::Deleted => REMOVE,
            },
            payload_type: if url.is_some() { "S3Url" } else { "Inline" },
            kinesis_sync_records: records,
            kinesis_sync_records_url: url,
            last_modified_date: self.modified.get(),
            sync_count: self.sync_count.get(),
            event_id: self.id.to_string(),
            whole: matches!(self.told, Told::Whole(_)).then_some(true),
        }
    }
}

const REPLACE: &str = "replace";
const REMOVE: &str = "remove";

/// The envelope of the service, and beside it the second spelling of the name, the id, and whether
/// the records are all that there are. Times are in milliseconds, unlike those of the API.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shape<'a> {
    identity_pool_id: &'a str,
    identity_id: &'a str,
    data_set_name: &'a str,
    #[serde(rename = "datasetName")]
    dataset_name: &'a str,
    operation: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kinesis_sync_records: Option<Vec<RecordShape<'a>>>,
    #[serde(rename = "kinesisSyncRecordsURL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    kinesis_sync_records_url: Option<String>,
    payload_type: &'static str,
    last_modified_date: u64,
    sync_count: u64,
    event_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    whole: Option<bool>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RecordShape<'a> {
    key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'a str>,
    sync_count: u64,
    last_modified_date: u64,
    device_last_modified_date: u64,
    op: &'static str,
}

fn shapes(records: &Records) -> Vec<RecordShape<'_>> {
    records.iter().map(RecordShape::new).collect()
}

impl<'a> RecordShape<'a> {
    fn new(record: RecordRef<'a>) -> Self {
        let value = record.value.map(Text::as_str);
        Self {
            key: record.key.as_str(),
            op: if value.is_some() { REPLACE } else { REMOVE },
            value,
            sync_count: record.sync_count.get(),
            last_modified_date: record.modified.get(),
            device_last_modified_date: record.device_modified.get(),
        }
    }
}

fn bytes_of(records: &Records) -> usize {
    records
        .iter()
        .map(|record| record.key.len() + record.value.map_or(0, Text::len))
        .sum()
}

fn lay_out<T: Serialize>(shape: &T) -> Vec<u8> {
    serde_json::to_vec(shape).expect("text and numbers always have a JSON form")
}

#[cfg(test)]
mod tests;
