//! Cleaning cold segments: those of which little lives, and those that still hold what was deleted.

use std::sync::Arc;

use super::age::Aged;
use super::moving::Load;
use super::{Cleaner, Work, is_passing};
use crate::cold::ColdSegment;
use crate::commit::Change;
use crate::errand::Errand;
use crate::error::Error;
use crate::segment;
use crate::state::{State, Target};
use crate::types::{DatasetId, Location, Sequence, Timestamp};

/// Cold segments may take this many hundredths of what lives in them, and one segment more.
const ALLOWED_PERCENT: u64 = 125;
/// What must go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dead {
    /// What was deleted.
    Deleted,
    /// What was replaced, too.
    Replaced,
}

/// Cold segments on their way to hold nothing of what does not exist any more.
pub(super) struct Sweep {
    what: Dead,
    /// What was deleted up to this commit is swept out,
    up_to: Sequence,
    /// and what is deleted from then on waits for the next sweep.
    began: Timestamp,
    /// The segments to be looked at, the last one first.
    left: Vec<u32>,
    /// In some of them something of what was deleted had to stay.
    stuck: bool,
    /// What could not be read, first.
    failed: Result<(), Error>,
}

/// A segment of which more lives is not worth cleaning.
const FULL_PERCENT: u64 = 95;

impl Cleaner {
    /// The segment whose cleaning gives most space for least work, if they take too much together.
    pub(super) fn next_to_clean(&self, work: &Work) -> Option<u32> {
        let state = self.store.state();
        let segments = self.cleanable(work);
        let live = |segment: &Arc<ColdSegment>| live(&state, segment.header.number);
        let bytes: u64 = segments.iter().map(|segment| segment.bytes()).sum();
        let alive: u64 = segments.iter().map(live).sum();
        if bytes <= alive / 100 * ALLOWED_PERCENT + self.store.log.spares.segment_bytes() / 4 {
            return None;
        }
        // What was written long ago and is still alive will stay so: cleaning it gives space for
        // longer. The benefit is the space times that, the cost is reading all and writing what
        // lives.
        let newest = segments.last()?.header.number;
        let worth = |segment: &Arc<ColdSegment>| {
            let (bytes, live) = (segment.bytes().max(1), live(segment).min(segment.bytes()));
            let age = u64::from(newest - segment.header.number) + 1;
            u128::from(bytes - live) * u128::from(age) * 1000 / u128::from(bytes + live)
        };
        segments
            .iter()
            .filter(|segment| live(segment) * 100 < segment.bytes() * FULL_PERCENT)
            .filter(|segment| live(segment) > 0)
            .max_by_key(|segment| worth(segment))
            .map(|segment| segment.header.number)
    }

    /// Cold segments that are not being written and not given up.
    fn finished(&self, work: &Work) -> Vec<Arc<ColdSegment>> {
        let mut segments = self.store.log.cold.all();
        let written = work.cold.number();
        segments.retain(|segment| {
            let number = segment.header.number;
            Some(number) != written && !work.is_garbage(number)
        });
        segments
    }

    /// Those among them that were not left alone lately because they could not be emptied.
    fn cleanable(&self, work: &Work) -> Vec<Arc<ColdSegment>> {
        let mut segments = self.finished(work);
        let now = (self.clock)();
        segments.retain(|segment| !work.skips(segment.header.number, now));
        segments
    }

    /// Moves what lives in a cold segment to another.
    pub(super) fn clean(&self, work: &mut Work, number: u32) -> Result<(), Error> {
        let log = &self.store.log;
        let (Some(segment), Some(known)) = (log.open(number), log.cold.get(number)) else {
            return Ok(());
        };
        let mut load = Load::default();
        let end = self.each_change(segment?, known.end(), |change, location| match change {
            Change::Dataset(change) if self.lies_at(&change.dataset, location) => {
                self.move_dataset(work, &mut load, &change.dataset)
            }
            Change::MetadataPut { key, value } => {
                self.move_metadata(work, &mut load, (key, value), location)
            }
            _ => Ok(()),
        })?;
        self.unload(work, &mut load)?;
        if live(&self.store.state(), number) > 0 {
            // Deleted pools that are not taken apart yet, or that an export still tells of, count
            // as living: the segment has to wait for them.
            work.skip(number, (self.clock)());
            if end == known.end() {
                return Ok(());
            }
            let why = "a frame in which something lives does not hold";
            return Err(segment::corrupt(number, end, why).into());
        }
        work.figures.cleaned += 1;
        self.free(work, &known.header, known.end());
        Ok(())
    }

    fn lies_at(&self, dataset: &DatasetId, place: Location) -> bool {
        let image = self.store.state().known(dataset).and_then(|k| k.image);
        image.is_some_and(|image| image.location == place)
    }

    /// Gives the segments up in which nothing lives any more.
    pub(super) fn collect_dead(&self, work: &mut Work) {
        let dead: Vec<_> = {
            let state = self.store.state();
            let mut segments = self.finished(work);
            segments.retain(|segment| live(&state, segment.header.number) == 0);
            segments
        };
        for segment in dead {
            self.free(work, &segment.header, segment.end());
        }
    }

    /// Begins to clean every cold segment that holds something of what does not exist any more.
    pub(super) fn begin_sweep(&self, work: &mut Work, what: Dead) -> Result<(), Error> {
        let deleted = self.store.state().deleted;
        if deleted.is_some_and(|deleted| deleted.last > work.rotated.0) {
            // Afterwards nobody thinks any more of what is in the segment that is being filled.
            self.rotate(work)?;
        }
        let (up_to, began) = (self.store.watermark.get().sequence, (self.clock)());
        self.note_deleted(work);
        self.tidy_quarantine(self.upkeep.retention_ms)?;
        work.cold.finish()?;
        let segments = self.finished(work).into_iter().rev();
        work.sweep = Some(Sweep {
            what,
            up_to,
            began,
            left: segments.map(|segment| segment.header.number).collect(),
            stuck: false,
            failed: Ok(()),
        });
        Ok(())
    }

    /// Goes on with what was begun, by so many segments at most.
    pub(super) fn sweep(&self, work: &mut Work, at_most: Option<usize>) -> Result<(), Error> {
        let Some(mut sweep) = work.sweep.take() else {
            return Ok(());
        };
        let mut done = 0;
        while let Some(number) = sweep.left.pop() {
            if at_most.is_some_and(|at_most| done >= at_most) {
                sweep.left.push(number);
                work.sweep = Some(sweep);
                return Ok(());
            }
            done += 1;
            let Some(segment) = self.store.log.cold.get(number) else {
                continue;
            };
            let swept = self.sweep_one(work, &segment, sweep.what);
            sweep.stuck |= matches!(swept, Ok(false));
            if let Err(error) = swept.map(drop) {
                // The others can still be swept.
                is_passing(&error)?;
                sweep.failed = sweep.failed.and(Err(error));
            }
        }
        sweep.failed?;
        if sweep.stuck {
            return Ok(());
        }
        self.writer.send(Errand::Swept(sweep.up_to, sweep.began))?;
        work.ages.forget(|what| matches!(what, Aged::Deleted(_)));
        Ok(())
    }

    /// Cleans a segment if it has to be; says whether nothing of what was deleted is left in it.
    fn sweep_one(&self, work: &mut Work, segment: &ColdSegment, what: Dead) -> Result<bool, Error> {
        let number = segment.header.number;
        if work.is_garbage(number) || !self.holds(segment, what)? {
            return Ok(true);
        }
        self.clean(work, number)?;
        Ok(work.is_garbage(number))
    }

    /// Sweeps everything at once.
    pub(super) fn sweep_whole(&self, work: &mut Work, what: Dead) -> Result<(), Error> {
        self.begin_sweep(work, what)?;
        self.sweep(work, None)
    }

    fn holds(&self, segment: &ColdSegment, what: Dead) -> Result<bool, Error> {
        let Some(open) = self.store.log.open(segment.header.number) else {
            return Ok(false);
        };
        let mut found = false;
        let end = self.each_change(open?, segment.end(), |change, location| {
            let state = self.store.state();
            found |= match change {
                Change::Dataset(change) => {
                    let known = state.known(&change.dataset).filter(|k| k.head.is_some());
                    known.is_none_or(|known| match what {
                        // The floor tells of a deletion even if the name is in use again.
                        Dead::Deleted => change.facts.sync_count <= known.floor,
                        Dead::Replaced => known.image.is_none_or(|i| i.location != location),
                    })
                }
                // Whether a value was deleted before it was put again is not known.
                Change::MetadataPut { key, .. } => {
                    state.place_of(&Target::Metadata(key.clone())) != Some(location)
                }
                _ => false,
            };
            Ok(())
        })?;
        // Nobody knows of whom the unfinished end is.
        Ok(found || end < segment.end())
    }
}

fn live(state: &State, number: u32) -> u64 {
    let live = state.live.get(&number).copied().unwrap_or(0);
    u64::try_from(live).unwrap_or(0)
}
