//! Moving what lives: write it to a cold segment, sync, then have the log role take it over.

use std::collections::HashSet;

use super::{Cleaner, Work};
use crate::commit::{Cause, Change, DatasetChange};
use crate::errand::{Errand, Moved};
use crate::error::{Error, Fault, Refusal};
use crate::proposal::{Proposal, Wish};
use crate::state::{Move, Target};
use crate::types::{DatasetId, Location, MetadataKey, MetadataValue, Sequence, Timestamp};

/// Bytes that are written before they are synced and taken over.
const LOAD_BYTES: usize = 4 << 20;

/// What is on the move.
#[derive(Default)]
pub(super) struct Load {
    moves: Vec<Moved>,
    /// Datasets among them, so that none moves twice.
    targets: HashSet<DatasetId>,
}

impl Cleaner {
    /// Moves a dataset as it is now, if it exists and does not move already.
    pub(super) fn move_dataset(
        &self,
        work: &mut Work,
        load: &mut Load,
        dataset: &DatasetId,
    ) -> Result<(), Error> {
        if load.targets.contains(dataset) {
            return Ok(());
        }
        // Before the page is read: a segment that begins with it is then older than a deletion
        // that comes meanwhile.
        let (sequence, time) = self.stamp();
        let Some(page) = self.store.page_for_move(dataset)? else {
            return Ok(());
        };
        let from = page.links()[0].location;
        let change = Change::Dataset(DatasetChange::whole(Cause::Image, dataset, &page));
        let to = work
            .cold
            .put(&self.store.log.cold, &change, sequence, time)?;
        work.figures.moved_bytes += u64::from(to.bytes);
        load.targets.insert(dataset.clone());
        let moved = Move {
            target: Target::Dataset(dataset.clone()),
            from,
            to,
        };
        load.moves.push(Moved {
            moved,
            page: Some(page),
        });
        self.unload_if_full(work, load)
    }

    /// Moves a metadata value, if this is where it lies.
    pub(super) fn move_metadata(
        &self,
        work: &mut Work,
        load: &mut Load,
        (key, value): (&MetadataKey, &MetadataValue),
        from: Location,
    ) -> Result<(), Error> {
        let target = Target::Metadata(key.clone());
        let version = {
            let state = self.store.state();
            if state.place_of(&target) != Some(from) {
                return Ok(());
            }
            state.version(key)
        };
        let change = Change::MetadataPut {
            key: key.clone(),
            value: value.clone(),
        };
        let version = version.unwrap_or_default();
        let to = work
            .cold
            .put(&self.store.log.cold, &change, version, self.stamp().1)?;
        work.figures.moved_bytes += u64::from(to.bytes);
        let moved = Move { target, from, to };
        load.moves.push(Moved { moved, page: None });
        self.unload_if_full(work, load)
    }

    fn stamp(&self) -> (Sequence, Timestamp) {
        let state = self.store.state();
        (state.sequence, state.time)
    }

    fn unload_if_full(&self, work: &mut Work, load: &mut Load) -> Result<(), Error> {
        if work.cold.unsynced() < LOAD_BYTES {
            return Ok(());
        }
        self.unload(work, load)
    }

    /// Syncs what is on the move, and has it taken over. What changed meanwhile is written whole to
    /// the log, so that it does not need its old places either.
    pub(super) fn unload(&self, work: &mut Work, load: &mut Load) -> Result<(), Error> {
        let bytes = work.cold.unsynced() as u64;
        let Load { moves, .. } = std::mem::take(load);
        work.cold.sync()?;
        if moves.is_empty() {
            return Ok(());
        }
        let targets: Vec<_> = moves.iter().map(|m| m.moved.target.clone()).collect();
        let installed = self.writer.send(Errand::Install(moves))?;
        let left: Vec<_> = targets
            .into_iter()
            .zip(installed)
            .filter_map(|(target, installed)| match target {
                Target::Dataset(dataset) if !installed => Some(dataset),
                _ => None,
            })
            .collect();
        for dataset in left {
            self.rewrite(&dataset)?;
        }
        if self.pause(bytes) {
            Ok(())
        } else {
            Err(Fault::Closed.into())
        }
    }

    fn rewrite(&self, dataset: &DatasetId) -> Result<(), Error> {
        loop {
            let proposal = Proposal::from(Wish::Rewrite {
                dataset: dataset.clone(),
            });
            match self.writer.commit(proposal) {
                Ok(_) | Err(Error::Refusal(Refusal::NoSuch(_))) => return Ok(()),
                Err(Error::Refusal(Refusal::Busy)) if self.pause(1 << 20) => {
                    crate::sync::thread::yield_now();
                }
                Err(error) => return Err(error),
            }
        }
    }
}
