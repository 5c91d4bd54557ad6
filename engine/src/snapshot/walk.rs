//! The way of an export through the directory: where it is, and what it takes along.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Snapshot;
use crate::state::{At, Place};
use crate::types::{
    DatasetId, DatasetName, IdentityId, Location, MetadataKey, PoolId, SyncCount, Timestamp,
};

/// Something to tell, without its bytes.
#[derive(Debug, Clone)]
pub(crate) enum Piece {
    Pool {
        pool: PoolId,
        modified: Timestamp,
    },
    Dataset {
        id: DatasetId,
        head: Location,
    },
    Identity {
        pool: PoolId,
        identity: IdentityId,
        modified: Timestamp,
        floor: SyncCount,
        deleted: Vec<(DatasetName, SyncCount)>,
    },
    Metadata {
        key: MetadataKey,
        place: Place,
    },
}

/// An export under way.
pub(crate) struct Walk {
    pub(crate) snapshot: Arc<Snapshot>,
    /// What was taken from the directory and not told yet.
    pub(crate) pieces: VecDeque<Piece>,
    /// What was told last.
    pub(crate) told: Told,
    /// Datasets and metadata keys that were told.
    pub(crate) done: (u64, u64),
}

/// What an export told last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Told {
    /// Nothing yet.
    Nothing,
    Pool(PoolId),
    Dataset(DatasetId),
    /// An identity, with its datasets.
    Identity(PoolId, IdentityId),
    Metadata(MetadataKey),
    /// Everything.
    All,
}

impl Told {
    pub(crate) fn of(piece: &Piece) -> Self {
        match piece {
            Piece::Pool { pool, .. } => Self::Pool(*pool),
            Piece::Dataset { id, .. } => Self::Dataset(id.clone()),
            Piece::Identity { pool, identity, .. } => Self::Identity(*pool, *identity),
            Piece::Metadata { key, .. } => Self::Metadata(key.clone()),
        }
    }

    /// What was come by for certain when this was told.
    pub(crate) fn at(&self) -> Option<At> {
        match self {
            Self::Nothing => None,
            Self::Pool(pool) => Some(At::Identities(*pool, None)),
            Self::Dataset(id) => Some(At::Identities(id.pool, Some(id.identity))),
            Self::Identity(pool, identity) => Some(At::Identities(*pool, Some(*identity))),
            Self::Metadata(key) => Some(At::Metadata(key.clone())),
            Self::All => Some(At::End),
        }
    }
}
