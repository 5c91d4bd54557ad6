//! A dataset, whole: what an export tells of it and an import takes.

pub use crate::commit::Gap;
use crate::record::Record;
use crate::types::{ModifiedBy, SyncCount, Timestamp};

/// A dataset with everything that is true of it, wherever it is.
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
