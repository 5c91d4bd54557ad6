//! Replay that passes over damage, and says what it could not read.

use std::collections::HashMap;

use super::LostCommits;
use super::shelf::{Met, Shelf, Walk};
use crate::checkpoint::{Checkpoint, Seen};
use crate::commit::{Change, Commit};
use crate::error::Fault;
use crate::frame::Kind;
use crate::recovery::{last_written, was_durable};
use crate::scan::Assembly;
use crate::segment::{FRAMES_OFFSET, is_cold};
use crate::state::State;
use crate::types::{DatasetId, IdentityId, MetadataKey, PoolId, Sequence, SyncCount};

/// What the log is known to have deleted, where no checkpoint says what was there before.
#[derive(Default)]
pub(super) struct Dead {
    pools: HashMap<PoolId, Sequence>,
    identities: HashMap<(PoolId, IdentityId), Sequence>,
    datasets: HashMap<DatasetId, SyncCount>,
    metadata: HashMap<MetadataKey, Sequence>,
}

/// What could be replayed.
pub(super) struct Replayed {
    pub(super) state: State,
    pub(super) lost: Vec<LostCommits>,
    /// The log does not reach back to the beginning, and no checkpoint stands for what is missing.
    pub(super) beginning_lost: bool,
    pub(super) dead: Dead,
    /// Where the checkpoint ends that was read.
    pub(super) hot: u32,
}

struct Replay<'a> {
    shelf: &'a Shelf,
    out: Replayed,
    seen: Seen,
    assembly: Assembly,
    /// Something did not hold since the last commit that was read.
    suspect: bool,
    last: u32,
}

impl Dead {
    fn take(&mut self, commit: &Commit) {
        for change in &commit.changes {
            match change {
                Change::DatasetDeleted {
                    dataset,
                    sync_count,
                    ..
                } => {
                    self.datasets.insert(dataset.clone(), *sync_count);
                }
                Change::IdentityDeleted { pool, identity, .. } => {
                    self.identities.insert((*pool, *identity), commit.sequence);
                }
                Change::PoolDeleted { pool } => {
                    self.pools.insert(*pool, commit.sequence);
                }
                Change::MetadataDeleted { key } => {
                    self.metadata.insert(key.clone(), commit.sequence);
                }
                _ => {}
            }
        }
    }

    /// Whether a dataset that was written at a count, and after a commit, was deleted since.
    pub(super) fn has_dataset(&self, id: &DatasetId, count: SyncCount, at: Sequence) -> bool {
        let after = |deleted: Option<&Sequence>| deleted.is_some_and(|&deleted| deleted >= at);
        after(self.pools.get(&id.pool))
            || after(self.identities.get(&(id.pool, id.identity)))
            || self
                .datasets
                .get(id)
                .is_some_and(|&deleted| count <= deleted)
    }

    pub(super) fn has_value(&self, key: &MetadataKey, version: Sequence) -> bool {
        self.metadata
            .get(key)
            .is_some_and(|&deleted| deleted >= version)
    }
}

/// Makes everything true again that can be read.
pub(super) fn replay(
    shelf: &Shelf,
    hot: &[u32],
    checkpoint: Option<Checkpoint>,
) -> Result<Replayed, Fault> {
    let mut replay = Replay {
        shelf,
        out: Replayed {
            state: State::default(),
            lost: Vec::new(),
            beginning_lost: false,
            dead: Dead::default(),
            hot: 0,
        },
        seen: Seen::default(),
        assembly: Assembly::default(),
        suspect: false,
        last: hot.last().copied().unwrap_or(0),
    };
    let mut finished = Sequence::ZERO;
    let mut next = None;
    match checkpoint {
        Some(checkpoint) => {
            let Checkpoint {
                head,
                trailer,
                state,
                seen,
                ..
            } = checkpoint;
            replay.out.state = state;
            replay.seen = seen;
            replay.out.hot = head.segment;
            finished = Sequence::new(trailer.finished);
            let known = |segment: u32| trailer.hot.iter().any(|hot| hot.number == segment);
            if hot.contains(&head.segment) {
                replay.segment(head.segment, Some(head.offset))?;
            } else {
                replay.suspect = known(head.segment);
            }
            next = Some(head.segment + 1);
        }
        // Nothing stands for what was before the first segment.
        None => replay.out.beginning_lost = replay.begins_late(hot),
    }
    let from = next.unwrap_or(0);
    for &number in hot.iter().filter(|&&number| number >= from) {
        replay.suspect |= next.is_some_and(|next| number != next);
        replay.segment(number, None)?;
        next = Some(number + 1);
    }
    Ok(replay.end(finished))
}

impl Replay<'_> {
    fn begins_late(&mut self, hot: &[u32]) -> bool {
        let first = hot
            .first()
            .and_then(|number| self.shelf.segments.get(number));
        match first {
            Some(first) if first.holds => {
                self.out.state.skip_to(first.header.base);
                first.header.base > Sequence::ZERO
            }
            _ => hot.first() != Some(&1),
        }
    }

    /// Replays a segment, from its beginning or from where a checkpoint ends.
    fn segment(&mut self, number: u32, from: Option<u32>) -> Result<(), Fault> {
        debug_assert!(!is_cold(number));
        let Some(mut walk) = self.shelf.walk(number, from.unwrap_or(FRAMES_OFFSET))? else {
            self.suspect = true;
            return Ok(());
        };
        let shelved = self.shelf.segments[&number];
        self.assembly = Assembly::default();
        if from.is_none() && shelved.holds {
            self.reach(shelved.header.base);
        }
        self.suspect |= from.is_some_and(|from| from > shelved.length);
        let sealed = shelved.holds && u64::from(shelved.length) < shelved.header.capacity;
        let may_be_torn = number == self.last && shelved.holds && !sealed;
        while let Some(met) = walk.next()? {
            match met {
                Met::Frame(offset, frame) => self.frame(number, offset, &frame),
                Met::Damage(offset) => {
                    if may_be_torn && !self.was_durable(&walk, offset, shelved.length)? {
                        return Ok(());
                    }
                    self.suspect = true;
                }
                Met::End(offset) => {
                    let whole = sealed && offset == shelved.length;
                    let blank = last_written(&walk.segment, offset, shelved.length)? == offset;
                    let ended = whole || (!sealed && (blank || may_be_torn));
                    self.suspect |= !ended;
                }
            }
        }
        Ok(())
    }

    fn was_durable(&self, walk: &Walk, bad: u32, length: u32) -> Result<bool, Fault> {
        let missing = (
            self.out.state.sequence.next(),
            self.assembly.expected_part(),
        );
        was_durable(&walk.segment, (bad, length), missing)
    }

    fn frame(&mut self, number: u32, offset: u32, frame: &crate::segment::Frame) {
        let header = &frame.header;
        if header.kind != Kind::Commit {
            if matches!(header.kind, Kind::DurableMark | Kind::CleanMark) {
                self.reach(header.sequence);
            }
            return;
        }
        if header.part == 0 {
            self.assembly = Assembly::default();
        }
        match self.assembly.add(number, offset, frame) {
            Ok(Some((commit, locations))) => {
                if commit.sequence <= self.out.state.sequence {
                    return;
                }
                self.reach(Sequence::new(commit.sequence.get() - 1));
                let seen = |change: &_| self.seen.has(change, commit.sequence);
                self.out.dead.take(&commit);
                self.out.state.apply_unless(&commit, &locations, seen);
                self.suspect = false;
            }
            Ok(None) => {}
            Err(_) => {
                self.assembly = Assembly::default();
                self.suspect = true;
            }
        }
    }

    /// Something proves that there were commits up to this one.
    fn reach(&mut self, sequence: Sequence) {
        let state = &mut self.out.state;
        if sequence > state.sequence {
            self.out.lost.push(LostCommits {
                first: state.sequence.next(),
                last: Some(sequence),
            });
            state.skip_to(sequence);
        }
        self.suspect &= sequence < state.sequence;
    }

    fn end(mut self, finished: Sequence) -> Replayed {
        while self.out.state.clear_fallen(usize::MAX) {}
        self.reach(finished);
        if self.suspect {
            self.out.lost.push(LostCommits {
                first: self.out.state.sequence.next(),
                last: None,
            });
        }
        self.out
    }
}
