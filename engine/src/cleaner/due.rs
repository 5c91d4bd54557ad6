//! What is due: which segment to release, when to write a checkpoint, when to sweep.

use std::sync::Arc;

use super::age::Aged;
use super::cold::Dead;
use super::{Cleaner, Work, passed};
use crate::errand::Errand;
use crate::error::Error;
use crate::log::Indexed;

/// How long after a deletion the segment that holds what was deleted is ended, at the latest: so
/// that the time after which it goes does not depend on how much is written.
const ROTATE_AFTER_MS: u64 = 20 * 60 * 1000;
/// Cold segments that are swept before something else has its turn.
const SWEPT_AT_A_TIME: usize = 4;
/// How long after a sweep that did not come to its end the next one begins.
const SWEEP_AGAIN_MS: u64 = 20 * 60 * 1000;
/// Segments that wait to be released before the cleaner does not rest any more.
const BACKLOG_SEGMENTS: u64 = 2;
/// How long garbage waits for a checkpoint when nothing else asks for one; and every checkpoint
/// for the next.
const GARBAGE_WAITS_MS: u64 = 5 * 60 * 1000;

impl Cleaner {
    /// The oldest segment, if the feed need not reach back to it any more.
    pub(super) fn next_to_release(&self, work: &mut Work) -> Option<Arc<Indexed>> {
        let log = &self.store.log;
        let segments = log.segments();
        let oldest = segments.first()?;
        let written = self.store.watermark.get().position.segment;
        if log.active() == Some(oldest.header.number) || oldest.header.number > written {
            return None;
        }
        let bytes: u64 = segments.iter().map(|segment| segment.bytes()).sum();
        // Asked for all, so that none that bears a time to come is seen too late.
        let mut ages = Vec::with_capacity(segments.len());
        for (at, segment) in segments.iter().enumerate() {
            let number = segment.header.number;
            if log.active() != Some(number) {
                let next = segments.get(at + 1);
                let newest = next.map_or_else(|| self.store.state().time, |next| next.started());
                ages.push(self.age(work, Aged::Segment(number), newest.get()));
            }
        }
        let age = ages.first().copied().unwrap_or(0);
        let over = age > self.upkeep.retention_ms || bytes > self.upkeep.retention_bytes;
        let held = self.is_held(&segments);
        // Whoever is slow must not cost the others their writes.
        let may_wait = || bytes <= self.upkeep.pin_bytes && self.has_space();
        (over && !(held && may_wait())).then(|| Arc::clone(oldest))
    }

    /// Whether the log is so much longer than it should be that commits must share the disk.
    pub(super) fn is_behind(&self) -> bool {
        let log = &self.store.log;
        let (_, bytes) = log.size();
        let allowed = self.upkeep.retention_bytes;
        let held = || self.is_held(&log.segments());
        bytes > allowed.saturating_add(BACKLOG_SEGMENTS * log.spares.segment_bytes()) && !held()
    }

    /// Whether a named reader has not read all of the oldest segment: one that has is in nobody's
    /// way.
    fn is_held(&self, segments: &[Arc<Indexed>]) -> bool {
        let next = segments.get(1);
        let unread = |reader| next.is_none_or(|next| next.header.base > reader);
        self.store.readers.slowest_held().is_some_and(unread)
    }

    pub(super) fn checkpoint_is_due(&self, work: &mut Work) -> bool {
        let (position, sequence) = work.saved;
        let log_bytes = self.store.log.bytes_after(position);
        let threshold = self
            .upkeep
            .checkpoint_bytes
            .max(2 * work.figures.checkpoint_bytes);
        let waited = passed(work.saved_at, (self.clock)());
        let garbage = self.waiting_bytes(work);
        let durable = self.store.watermark.get().sequence;
        // So that a store to which little is written can be restored to more than one commit.
        let newest = work.kept.last().copied();
        let step = (self.upkeep.retention_ms / 4).max(GARBAGE_WAITS_MS);
        let old = newest.is_some_and(|newest| {
            self.age(work, Aged::Checkpoint(newest.number), newest.time) >= step
        });
        (log_bytes >= threshold || old) && durable > sequence
            || self.garbage_waits(work) && (garbage >= threshold || waited >= GARBAGE_WAITS_MS)
    }

    /// Ends the segment with what was deleted, so that its time can come.
    pub(super) fn rotate_if_due(&self, work: &mut Work) -> Result<(), Error> {
        let Some(deleted) = self.store.state().deleted else {
            return Ok(());
        };
        let (up_to, rotated_at) = work.rotated;
        let now = (self.clock)();
        let rotated_since = passed(rotated_at, now);
        let since = Aged::Deleted(deleted.since);
        let age = self
            .age(work, since, deleted.since.get())
            .min(rotated_since);
        let wait = ROTATE_AFTER_MS.min(self.upkeep.retention_ms);
        if age >= wait && deleted.last > up_to {
            self.rotate(work)?;
        }
        Ok(())
    }

    /// Ends the present segment, whatever it holds.
    pub(super) fn rotate(&self, work: &mut Work) -> Result<(), Error> {
        let up_to = self.store.watermark.get().sequence;
        self.writer.send(Errand::Rotate)?;
        work.rotated = (up_to, (self.clock)());
        Ok(())
    }

    pub(super) fn sweep_if_due(&self, work: &mut Work) -> Result<(), Error> {
        let Some(deleted) = self.store.state().deleted else {
            return Ok(());
        };
        let age = self.age(work, Aged::Deleted(deleted.since), deleted.since.get());
        let now = (self.clock)();
        let rested = passed(work.swept_at, now) >= SWEEP_AGAIN_MS;
        if work.sweep.is_none() && rested && age >= self.upkeep.retention_ms {
            work.swept_at = now;
            self.begin_sweep(work, Dead::Deleted)?;
        }
        self.sweep(work, self.paced.then_some(SWEPT_AT_A_TIME))
    }
}
