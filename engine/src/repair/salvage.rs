//! What can be read of a damaged store: its directory, and whose newest bytes do not hold.

use std::sync::Arc;

use uuid::Uuid;

use super::pieces::{Pieces, Wanted};
use super::replay::{Replayed, replay};
use super::shelf::Shelf;
use crate::checkpoint::{self, Checkpoint};
use crate::commit::Change;
use crate::disk::Disk;
use crate::error::Fault;
use crate::page::Page;
use crate::recovery::Found;
use crate::root::Root;
use crate::state::Dataset;
use crate::store;
use crate::types::{DatasetId, Location, MetadataKey, MetadataValue, SyncCount};

/// A damaged store.
pub(super) struct Salvage {
    pub(super) shelf: Shelf,
    pub(super) replayed: Replayed,
    /// The root, if it can be read.
    pub(super) root: Option<Root>,
    pub(super) lineage: Option<Uuid>,
}

impl Salvage {
    pub(super) fn read(disk: &Arc<dyn Disk>, found: &Found) -> Result<Self, Fault> {
        let root = match Root::read(disk.as_ref()) {
            Ok(root) => root,
            Err(Fault::Corrupt { .. }) => None,
            Err(fault) => return Err(fault),
        };
        let mut checkpoint = None;
        for &number in found.checkpoints.iter().rev() {
            match checkpoint::read(disk.as_ref(), number) {
                Ok(read) => {
                    let lineage = Uuid::from_bytes(read.head.lineage);
                    if root.is_none_or(|root| root.lineage == lineage) {
                        checkpoint = Some(read);
                        break;
                    }
                }
                // Its version is read before its checksum.
                Err(Fault::Corrupt { .. } | Fault::Version { .. }) => {}
                Err(fault) => return Err(fault),
            }
        }
        let of = |read: &Checkpoint| Uuid::from_bytes(read.head.lineage);
        let lineage = root
            .map(|root| root.lineage)
            .or(checkpoint.as_ref().map(of));
        let numbers = found.hot.iter().chain(&found.cold).copied();
        let shelf = Shelf::new(disk, numbers, lineage)?;
        let lineage = lineage.or_else(|| {
            let mut held = shelf.segments.values().filter(|segment| segment.holds);
            held.next().map(|segment| segment.header.store)
        });
        let mut replayed = replay(&shelf, &found.hot, checkpoint)?;
        replayed.state.base = root.map_or(SyncCount::ZERO, |root| root.base);
        Ok(Self {
            shelf,
            replayed,
            root,
            lineage,
        })
    }

    /// Reads everything that the directory names; what cannot be read is wanted.
    pub(super) fn wanted(&self) -> Wanted {
        let mut wanted = Wanted {
            strangers: self.replayed.beginning_lost,
            ..Wanted::default()
        };
        for (pool_id, pool) in &self.replayed.state.pools {
            for (identity_id, identity) in pool.identities.iter() {
                for dataset in identity.live() {
                    let id = DatasetId {
                        pool: *pool_id,
                        identity: *identity_id,
                        name: dataset.name.clone(),
                    };
                    let head = dataset.head();
                    if head.is_some_and(|head| self.load(&id, head).is_err()) {
                        wanted.datasets.insert(id);
                    }
                }
            }
        }
        for (key, place) in &self.replayed.state.metadata {
            if self.value(key, place.location()).is_none() {
                wanted.metadata.insert(key.clone());
            }
        }
        wanted
    }

    pub(super) fn load(&self, id: &DatasetId, head: Location) -> Result<Page, Fault> {
        store::load(id, head, |location| self.shelf.change(location))
    }

    pub(super) fn value(&self, key: &MetadataKey, location: Location) -> Option<MetadataValue> {
        match self.shelf.change(location) {
            Ok(Change::MetadataPut { key: found, value }) if found == *key => Some(value),
            _ => None,
        }
    }

    /// The highest count that anything that can be read knows.
    pub(super) fn highest(&self, pieces: &Pieces) -> SyncCount {
        let state = &self.replayed.state;
        let counts = state.identities().flat_map(|identity| {
            let datasets = identity.datasets.iter();
            datasets.map(Dataset::sync_count).chain([identity.floor])
        });
        let pieces = pieces.datasets.values().flatten();
        counts
            .chain(pieces.map(|piece| piece.sync_count))
            .max()
            .unwrap_or_default()
            .max(state.base)
    }
}
