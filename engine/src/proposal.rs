//! What a caller may wish for, and what it is told afterwards.

use crate::content::{Content, check_deleted};
use crate::records::Records;
use crate::types::{
    DatasetId, DatasetName, Expected, IdentityId, Invalid, MetadataKey, MetadataValue, ModifiedBy,
    Note, Patch, PoolId, Sequence, SyncCount, Timestamp,
};

/// What to change: all of it or nothing.
///
/// ```
/// use syncline_engine::{DatasetId, DatasetName, ModifiedBy, Proposal, Wish};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (_home, engine, settings) =
/// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/examples/scene.in"));
/// let moved = DatasetId { name: DatasetName::parse("moved")?, ..settings.clone() };
/// engine.commit(Proposal {
///     wishes: vec![
///         Wish::CopyDataset { from: settings.clone(), to: moved.clone() },
///         Wish::DeleteDataset { dataset: settings.clone(), modified_by: ModifiedBy::Owner },
///     ],
///     ..Proposal::default()
/// })?;
/// assert!(engine.reader().dataset(&settings)?.is_none());
/// assert!(engine.reader().dataset(&moved)?.is_some());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Proposal {
    /// Kept with the commit and told by the feed; the engine does not look at it.
    pub note: Note,
    /// Metadata that must be as stated though it is not changed.
    pub expect: Vec<(MetadataKey, Expected)>,
    /// At least one and at most 65,000; each dataset, identity, pool and metadata key at most
    /// once, and nothing inside an identity or pool that is deleted with it.
    pub wishes: Vec<Wish>,
}

impl From<Wish> for Proposal {
    fn from(wish: Wish) -> Self {
        Self {
            wishes: vec![wish],
            ..Self::default()
        }
    }
}

/// One change that is wished for.
///
/// ```
/// use syncline_engine::Wish;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (_home, engine, settings) =
/// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/examples/scene.in"));
/// engine.commit(Wish::DeletePool { pool: settings.pool })?;
/// assert_eq!(engine.reader().pool(&settings.pool), None);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub enum Wish {
    /// Apply all patches to a dataset, which comes to be if it does not exist.
    Update {
        /// The dataset.
        dataset: DatasetId,
        /// At least one, no key twice.
        patches: Vec<Patch>,
        /// Who does it.
        modified_by: ModifiedBy,
    },
    /// Give the records of one dataset to a new one, for instance of another identity. All counts
    /// of the new dataset are 1 (or one more than the highest that the identity has forgotten with
    /// the names of deleted datasets), tombstones are left behind, and who changed what and when
    /// stays. The configured limits on datasets and sizes do not apply, so that merging two
    /// identities cannot fail for them.
    CopyDataset {
        /// The dataset to copy, which must exist.
        from: DatasetId,
        /// The new dataset, whose name must not be in use or remembered as deleted.
        to: DatasetId,
    },
    /// Write a dataset whole at its unchanged count, so that a read of it visits one frame. Feeds
    /// do not tell of it. The store does this by itself where it must.
    Rewrite {
        /// The dataset, which must exist.
        dataset: DatasetId,
    },
    /// Like [`Wish::Rewrite`], and feeds tell of it: all records of the dataset, in order with the
    /// changes before and after. This publishes again what a reader has missed.
    Republish {
        /// The dataset, which must exist.
        dataset: DatasetId,
    },
    /// Delete a dataset, its records and its tombstones; its count is remembered.
    DeleteDataset {
        /// The dataset, which must exist.
        dataset: DatasetId,
        /// Who does it.
        modified_by: ModifiedBy,
    },
    /// Delete an identity and all that belongs to it. The id must not be used again: its counts
    /// are not remembered.
    DeleteIdentity {
        /// The pool of the identity.
        pool: PoolId,
        /// The identity, with or without datasets.
        identity: IdentityId,
    },
    /// Delete a pool and all that belongs to it. The id must not be used again.
    DeletePool {
        /// The pool, with or without identities.
        pool: PoolId,
    },
    /// Take a dataset over from an [export](crate::Engine::export). Feeds tell of it, whole. What
    /// is configured as limits does not apply, only the walls of [`limits`](crate::limits). Its
    /// counts and those of its records stay as they are if the name was never used up to such a
    /// count here; otherwise its count is one more than what was used, and tombstones are left
    /// behind.
    Import {
        /// The dataset, which must not exist.
        dataset: DatasetId,
        /// What it is.
        content: Box<Content>,
    },
    /// Take over what an export tells of an identity beside its datasets. To be done after they are
    /// imported: it raises the counts from which new ones begin.
    ImportIdentity {
        /// Its pool.
        pool: PoolId,
        /// The identity, with or without datasets.
        identity: IdentityId,
        /// When one of its datasets was last written or deleted.
        modified: Timestamp,
        /// Names that are not known count as deleted at this count.
        floor: SyncCount,
        /// Deleted datasets and their counts, ordered by name, at most 64. Names of datasets that
        /// exist here are passed over.
        deleted: Vec<(DatasetName, SyncCount)>,
    },
    /// Take over what an export tells of a pool beside its identities.
    ImportPool {
        /// The pool, with or without identities.
        pool: PoolId,
        /// When it was last changed.
        modified: Timestamp,
    },
    /// Give a metadata key a value.
    PutMetadata {
        /// The key.
        key: MetadataKey,
        /// The value.
        value: MetadataValue,
        /// What the key must hold now.
        expected: Expected,
    },
    /// Take the value of a metadata key away; nothing happens if it has none.
    DeleteMetadata {
        /// The key.
        key: MetadataKey,
        /// What the key must hold now.
        expected: Expected,
    },
}

impl Wish {
    /// Verifies of an import what can be told without a store; the rest is found when it is
    /// committed. Other wishes have nothing to verify here.
    ///
    /// # Errors
    /// The first rule that is broken.
    ///
    /// ```
    /// use syncline_engine::{Exported, Scope, Wish};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (_home, engine, _) =
    /// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/examples/scene.in"));
    /// for told in engine.export(Scope::All)? {
    ///     if let Exported::Dataset { dataset, content } = told? {
    ///         Wish::Import { dataset, content }.check_import()?;
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn check_import(&self) -> Result<(), Invalid> {
        match self {
            Self::Import { content, .. } => content.check(),
            Self::ImportIdentity { floor, deleted, .. } => check_deleted(*floor, deleted),
            _ => Ok(()),
        }
    }
}

/// Proof that a proposal is durable.
///
/// ```
/// use syncline_engine::{Outcome, Wish};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (_home, engine, settings) =
/// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/examples/scene.in"));
/// let receipt = engine.commit(Wish::Republish { dataset: settings })?;
/// assert_eq!(receipt.sequence, engine.head().sequence);
/// assert!(matches!(receipt.outcomes[..], [Outcome::Rewritten(_)]));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The commit.
    pub sequence: Sequence,
    /// When it was committed, by the engine's clock.
    pub time: Timestamp,
    /// What became of each wish, in their order.
    pub outcomes: Vec<Outcome>,
}

/// What became of a wish.
///
/// ```
/// use syncline_engine::{ModifiedBy, Outcome, Wish};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (_home, engine, settings) =
/// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/examples/scene.in"));
/// let receipt = engine.commit(Wish::DeleteDataset {
///     dataset: settings,
///     modified_by: ModifiedBy::Owner,
/// })?;
/// let Outcome::DeletedDataset(was) = &receipt.outcomes[0] else {
///     return Err("outcomes have the order of the wishes".into());
/// };
/// assert_eq!(was.records, 2);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The dataset was updated.
    Updated {
        /// Its count now, which all written records have.
        sync_count: SyncCount,
        /// The records and tombstones written, ordered by key.
        records: Records,
    },
    /// The new dataset.
    CopiedDataset(DatasetInfo),
    /// The dataset was written whole, as it is.
    Rewritten(DatasetInfo),
    /// The dataset as it was taken over.
    Imported(DatasetInfo),
    /// What is remembered of the identity was taken over.
    ImportedIdentity,
    /// What is remembered of the pool was taken over.
    ImportedPool,
    /// The dataset was deleted; this is how it was.
    DeletedDataset(DatasetInfo),
    /// The identity was deleted.
    DeletedIdentity,
    /// The pool was deleted.
    DeletedPool,
    /// The metadata value was stored; its version is the sequence of the commit.
    PutMetadata,
    /// The metadata key has no value.
    DeletedMetadata,
}

/// A dataset that exists.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (_home, engine, settings) =
/// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/examples/scene.in"));
/// let info = engine.reader().dataset(&settings)?.ok_or("it exists")?;
/// assert_eq!((info.sync_count.get(), info.records), (1, 2));
/// assert_eq!(info.bytes, ("theme".len() + "dark".len() + "volume".len() + "7".len()) as u64);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatasetInfo {
    /// Its name.
    pub name: DatasetName,
    /// Its count: how many commits changed it, deletions of the same name included.
    pub sync_count: SyncCount,
    /// Bytes of keys and values of its records.
    pub bytes: u64,
    /// Its records, tombstones not counted.
    pub records: u64,
    /// When it was first written, or first written after it was last deleted.
    pub created: Timestamp,
    /// When it was last written.
    pub modified: Timestamp,
    /// Who wrote it last.
    pub modified_by: ModifiedBy,
}
