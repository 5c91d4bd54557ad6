//! A dataset, whole: what an export tells of it and an import takes.

use std::collections::HashSet;

pub use crate::commit::Gap;
use crate::limits::{
    DATASET_BYTES_MAX, DELETED_NAMES_MAX, RECORDS_PER_DATASET_MAX, TOMBSTONE_BYTES_MAX,
    TOMBSTONES_PER_DATASET_MAX,
};
use crate::record::{Record, RecordRef};
use crate::types::{DatasetName, Invalid, ModifiedBy, RecordKey, SyncCount, Timestamp, invalid};

/// A dataset with everything that is true of it, wherever it is.
///
/// ```
/// use syncline_engine::{DatasetId, DatasetName, Exported, Scope, Wish};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (_home, engine, _settings) =
/// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/examples/scene.in"));
/// for exported in engine.export(Scope::All)? {
///     if let Exported::Dataset { dataset, content } = exported? {
///         assert_eq!(content.records.len(), 2);
///         // Another dataset that is the same:
///         let dataset = DatasetId { name: DatasetName::parse("copy")?, ..dataset };
///         engine.commit(Wish::Import { dataset, content })?;
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// Its count, at least 1.
    pub sync_count: SyncCount,
    /// Up to this count removals are forgotten: who knows less must read everything.
    pub floor: SyncCount,
    /// Counts that were issued and lost when the store was restored.
    pub gap: Option<Gap>,
    /// When it was first written, or first written after it was last deleted.
    pub created: Timestamp,
    /// When it was last written.
    pub modified: Timestamp,
    /// Who wrote it last.
    pub modified_by: ModifiedBy,
    /// Its records and tombstones, ordered by sync count, then key.
    pub records: Vec<Record>,
}

impl Content {
    /// Verifies what must be true of it whatever the store: its counts, their order, and the walls
    /// of [`limits`](crate::limits).
    ///
    /// # Errors
    /// The first rule that is broken.
    ///
    /// ```
    /// use syncline_engine::{Exported, Scope};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (_home, engine, _) =
    /// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/examples/scene.in"));
    /// for told in engine.export(Scope::All)? {
    ///     if let Exported::Dataset { mut content, .. } = told? {
    ///         content.check()?;
    ///         content.records.reverse();
    ///         assert!(content.check().is_ok() == (content.records.len() < 2));
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn check(&self) -> Result<(), Invalid> {
        let top = self.sync_count;
        if top == SyncCount::ZERO || self.floor > top {
            return Err(invalid(
                "content",
                "must have a count above 0 that is not below its floor",
            ));
        }
        if self
            .gap
            .is_some_and(|gap| gap.from >= gap.to || gap.to > top)
        {
            return Err(invalid(
                "gap",
                "must end above its beginning, and not above the count",
            ));
        }
        self.modified_by.check()?;
        let mut last: Option<(SyncCount, &RecordKey)> = None;
        let mut keys = HashSet::with_capacity(self.records.len());
        for record in &self.records {
            let place = (record.sync_count, &record.key);
            if last.is_some_and(|last| last >= place) {
                return Err(invalid(
                    "records",
                    "must be ordered by sync count, then key",
                ));
            }
            if record.sync_count == SyncCount::ZERO || record.sync_count > top {
                return Err(invalid(
                    "records",
                    "must have counts from 1 to the dataset's",
                ));
            }
            if !keys.insert(&record.key) {
                return Err(invalid(
                    "records",
                    format!("the key {} occurs twice", record.key),
                ));
            }
            record.modified_by.check()?;
            last = Some(place);
        }
        check_sizes(&self.records)
    }
}

/// Verifies what is told of deleted datasets, whatever the store.
pub(crate) fn check_deleted(
    floor: SyncCount,
    deleted: &[(DatasetName, SyncCount)],
) -> Result<(), Invalid> {
    if deleted.len() > DELETED_NAMES_MAX {
        return Err(invalid("deleted", "must name at most 64 datasets"));
    }
    let ordered = deleted.windows(2).all(|pair| pair[0].0 < pair[1].0);
    let counted = deleted.iter().all(|(_, count)| *count > SyncCount::ZERO);
    if !ordered || !counted {
        return Err(invalid(
            "deleted",
            "must be ordered by name, with counts above 0",
        ));
    }
    if floor == SyncCount::MAX || deleted.iter().any(|(_, count)| *count == SyncCount::MAX) {
        return Err(invalid("deleted", "must leave room for another count"));
    }
    Ok(())
}

fn check_sizes(records: &[Record]) -> Result<(), Invalid> {
    let (mut live, mut bytes, mut tombstones, mut tombstone_bytes) = (0, 0, 0, 0);
    for record in records.iter().map(RecordRef::from) {
        if record.value.is_some() {
            live += 1;
            bytes += record.size();
        } else {
            tombstones += 1;
            tombstone_bytes += record.key.len();
        }
    }
    if live > RECORDS_PER_DATASET_MAX || bytes > DATASET_BYTES_MAX {
        return Err(invalid(
            "records",
            "must be at most 65000, of 16 MiB together",
        ));
    }
    if tombstones > TOMBSTONES_PER_DATASET_MAX || tombstone_bytes > TOMBSTONE_BYTES_MAX {
        return Err(invalid(
            "records",
            "must have at most 4096 tombstones, of 1 MiB together",
        ));
    }
    Ok(())
}
