//! The domain's types, parsed at the edge so that inside nothing has to be checked again.

use uuid::Uuid;

mod id;
mod location;
mod metadata;
mod number;
mod record;
mod text;

pub use id::{DatasetId, DatasetName, IdentityId, PoolId};
pub(crate) use location::{Extent, Location, Locations, PackedLocation};
pub use metadata::{Expected, MetadataKey, MetadataValue, Note};
pub use number::{Sequence, SyncCount, Timestamp};
pub use record::{ModifiedBy, Patch, PatchOp, RecordKey, RecordValue};
pub use text::Text;

/// A value that breaks a rule whatever the state.
///
/// ```
/// use syncline_engine::DatasetName;
///
/// let invalid = DatasetName::parse("no spaces").expect_err("a name has no spaces");
/// assert_eq!(invalid.field, "dataset name");
/// assert_eq!(invalid.to_string(), "dataset name: must be 1 to 128 of [a-zA-Z0-9_.:-]");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {why}")]
pub struct Invalid {
    /// What was wrong, by its name in this API.
    pub field: &'static str,
    /// The rule, and what was found.
    pub why: String,
}

pub(crate) fn invalid(field: &'static str, why: impl Into<String>) -> Invalid {
    Invalid {
        field,
        why: why.into(),
    }
}

/// A place in the change feed: which store, and after which of its commits.
///
/// ```
/// use syncline_engine::{Cursor, Sequence};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (_home, engine, _settings) =
/// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/examples/scene.in"));
/// let Cursor { store, sequence } = engine.head();
/// let kept = format!("{store} {sequence}");
///
/// // Possibly after a restart:
/// let (store, sequence) = kept.split_once(' ').ok_or("no cursor")?;
/// let cursor = Cursor { store: store.parse()?, sequence: Sequence::new(sequence.parse()?) };
/// assert!(engine.feed(cursor)?.read()?.is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Cursor {
    /// The store; a restored store has a new one.
    pub store: Uuid,
    /// The last commit that was read.
    pub sequence: Sequence,
}
