//! Apply believes: a commit becomes true. Used while serving, drafting, recovering and in tests.

use super::{Dataset, Deleted, Identity, Known, Place, State};
use crate::commit::{Cause, Change, Commit, DatasetChange};
use crate::segment;
use crate::types::{DatasetId, Extent, Location, Sequence, SyncCount, Timestamp};

impl State {
    /// Makes a commit true. `locations` says where each of its changes lies.
    ///
    /// # Panics
    /// If the commit is not the next one: then the log was read out of order, which is a bug.
    pub(crate) fn apply(&mut self, commit: &Commit, locations: &[Location]) {
        self.apply_unless(commit, locations, |_| false);
    }

    /// Makes those changes of a commit true of which the state does not know yet.
    pub(crate) fn apply_unless(
        &mut self,
        commit: &Commit,
        locations: &[Location],
        known: impl Fn(&Change) -> bool,
    ) {
        assert_eq!(
            commit.sequence,
            self.sequence.next(),
            "commits are applied in order"
        );
        assert_eq!(
            commit.changes.len(),
            locations.len(),
            "every change lies somewhere"
        );
        self.sequence = commit.sequence;
        self.time = self.time.max(commit.time);
        for (change, &location) in commit.changes.iter().zip(locations) {
            if !known(change) {
                self.apply_change(change, location, commit.time);
            }
        }
    }

    fn apply_change(&mut self, change: &Change, location: Location, time: Timestamp) {
        // Hot locations have no size: see [`Extent`].
        let extent = Extent { location, bytes: 0 };
        match change {
            Change::Dataset(change) => self.apply_dataset(change, extent, time),
            Change::DatasetDeleted {
                dataset,
                sync_count,
                ..
            } => {
                self.note_deletion(time);
                self.apply_dataset_deleted(dataset, *sync_count, time);
            }
            Change::IdentityDeleted { pool, identity, .. } => {
                self.note_deletion(time);
                if let Some(pool) = self.pools.get_mut(pool) {
                    pool.modified = pool.modified.max(time);
                    if let Some(identity) = pool.identities.remove(identity) {
                        pool.bytes -= identity.bytes;
                        pool.datasets -= identity.live().count() as u64;
                        self.release_identity(&identity);
                    }
                }
            }
            Change::PoolDeleted { pool } => {
                self.note_deletion(time);
                self.fallen.extend(self.pools.remove(pool));
            }
            Change::PoolImported { pool, modified } => {
                let pool = self.pools.entry(*pool).or_default();
                pool.modified = pool.modified.max(*modified);
            }
            Change::IdentityImported {
                pool,
                identity,
                modified,
                floor,
                deleted,
            } => {
                let pool = self.pools.entry(*pool).or_default();
                let identity = pool.identities.or_default(*identity);
                pool.modified = pool.modified.max(*modified);
                identity.modified = identity.modified.max(*modified);
                identity.floor = identity.floor.max(*floor);
                identity.remember_deleted(deleted);
            }
            Change::MetadataPut { key, .. } => {
                let place = Place::new(self.sequence, extent);
                if let Some(old) = self.metadata.insert(key.clone(), place) {
                    self.release(old.extent());
                }
            }
            Change::MetadataDeleted { key } => {
                self.note_deletion(time);
                if let Some(old) = self.metadata.remove(key) {
                    self.release(old.extent());
                }
            }
            Change::Unknown => {}
        }
    }

    fn note_deletion(&mut self, time: Timestamp) {
        let since = self.deleted.map_or(time, |deleted| deleted.since);
        let last = self.sequence;
        self.deleted = Some(Deleted { since, last });
    }

    /// Takes note that everything deleted up to a commit is swept out, and that what was deleted
    /// behind it waits since a time.
    pub(crate) fn swept(&mut self, up_to: Sequence, since: Timestamp) {
        let left = self.deleted.filter(|deleted| deleted.last > up_to);
        self.deleted = left.map(|Deleted { last, .. }| Deleted { since, last });
    }

    fn apply_dataset(&mut self, change: &DatasetChange, extent: Extent, time: Timestamp) {
        let facts = &change.facts;
        let news = matches!(change.cause, Cause::Update | Cause::Import);
        let moved_on = || {
            let known = self.known(&change.dataset).unwrap_or_default();
            let same = [known.sync_count, known.sync_count.max(self.base)];
            known.head.is_none() || !same.contains(&facts.sync_count)
        };
        if !news && moved_on() {
            // An image of what has moved on meanwhile is of no use.
            return;
        }
        let pool = self.pools.entry(change.dataset.pool).or_default();
        let identity = pool.identities.or_default(change.dataset.identity);
        if news {
            // What was imported is as old as it was where it comes from.
            let imported = change.cause == Cause::Import;
            let modified = if imported { facts.modified } else { time };
            pool.modified = pool.modified.max(modified);
            identity.modified = identity.modified.max(modified);
        }
        let at = identity.find(&change.dataset.name);
        let old = at.map_or_else(|_| Known::default(), |at| identity.datasets[at].known());
        pool.datasets += u64::from(old.head.is_none());
        identity.bytes = identity.bytes - u64::from(old.bytes) + u64::from(facts.bytes);
        pool.bytes = pool.bytes - u64::from(old.bytes) + u64::from(facts.bytes);
        // A frame tells its image only if that was moved, of which the log does not tell otherwise.
        let image = if change.covers_from == SyncCount::ZERO {
            Some(extent)
        } else {
            change.image.or(old.image)
        };
        let known = Known {
            sync_count: facts.sync_count,
            floor: facts.floor,
            bytes: facts.bytes,
            live: facts.live,
            head: Some(extent.location),
            image,
        };
        match at {
            Ok(at) => identity.datasets[at].set(&known),
            Err(at) => {
                identity.datasets.reserve_exact(1);
                let dataset = Dataset::new(change.dataset.name.clone(), &known);
                identity.datasets.insert(at, dataset);
            }
        }
        if old.image != image {
            old.image.into_iter().for_each(|old| self.release(old));
            image.into_iter().for_each(|image| self.retain(image));
        }
    }

    fn apply_dataset_deleted(&mut self, id: &DatasetId, sync_count: SyncCount, time: Timestamp) {
        let Some(pool) = self.pools.get_mut(&id.pool) else {
            return;
        };
        let Some(identity) = pool.identities.get_mut(&id.identity) else {
            return;
        };
        let Ok(at) = identity.find(&id.name) else {
            return;
        };
        let old = identity.datasets[at].known();
        pool.datasets -= u64::from(old.head.is_some());
        identity.datasets[at].set(&Known {
            sync_count,
            floor: sync_count,
            ..Known::default()
        });
        identity.bytes -= u64::from(old.bytes);
        identity.modified = identity.modified.max(time);
        identity.forget_oldest_deleted();
        pool.bytes -= u64::from(old.bytes);
        pool.modified = pool.modified.max(time);
        old.image.into_iter().for_each(|old| self.release(old));
    }

    /// Takes one fallen pool apart, at most `identities` of it; true while there is more.
    pub(crate) fn clear_fallen(&mut self, identities: usize) -> bool {
        let Some(mut pool) = self.fallen.pop() else {
            return false;
        };
        for _ in 0..identities {
            let Some(identity) = pool.identities.pop() else {
                return !self.fallen.is_empty();
            };
            self.release_identity(&identity);
        }
        self.fallen.push(pool);
        true
    }

    fn release_identity(&mut self, identity: &Identity) {
        for dataset in &identity.datasets {
            dataset
                .known()
                .image
                .into_iter()
                .for_each(|image| self.release(image));
        }
    }

    /// Counts an image or a value as no longer named.
    pub(super) fn release(&mut self, extent: Extent) {
        if segment::is_cold(extent.location.segment) {
            *self.live.entry(extent.location.segment).or_default() -= i64::from(extent.bytes);
        }
    }

    /// Counts an image or a value as named.
    pub(crate) fn retain(&mut self, extent: Extent) {
        if segment::is_cold(extent.location.segment) {
            *self.live.entry(extent.location.segment).or_default() += i64::from(extent.bytes);
        }
    }

    /// Goes on behind commits that are lost, which only a repair does.
    pub(crate) fn skip_to(&mut self, sequence: Sequence) {
        self.sequence = self.sequence.max(sequence);
    }
}
