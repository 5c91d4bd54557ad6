//! Places in the order of the directory: how far an export or a checkpoint has come in it.

use crate::types::{IdentityId, MetadataKey, PoolId};

/// What was come by last.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum At {
    /// A pool and its identities up to one.
    Identities(PoolId, Option<IdentityId>),
    /// All identities.
    IdentitiesEnd,
    /// A metadata key.
    Metadata(MetadataKey),
    /// Everything.
    End,
}
