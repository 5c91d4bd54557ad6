//! Files that nothing names any more, on their way out.

use std::path::Path;

use super::{Cleaner, Work};
use crate::error::{Error, Fault};
use crate::quarantine;
use crate::segment::{self, SegmentHeader};

/// A segment that nothing names.
pub(super) struct Garbage {
    pub(super) number: u32,
    pub(super) bytes: u64,
    /// The first checkpoint that certainly does not name it.
    pub(super) freed: u32,
    /// What the exports' clock said when it was freed.
    pub(super) tick: u64,
    /// Something that was deleted may be in it: older checkpoints must not keep it.
    pub(super) must_go: bool,
}

/// What becomes of old segments of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Old {
    /// The next one, once what they held is written over.
    Recycle,
    /// Nothing: what they held is to be gone at once.
    Remove,
}

impl Work {
    pub(super) fn is_garbage(&self, number: u32) -> bool {
        self.garbage.iter().any(|garbage| garbage.number == number)
    }
}

impl Cleaner {
    /// Gives a segment up: from now on nothing new names it.
    pub(super) fn free(&self, work: &mut Work, header: &SegmentHeader, end: u32) {
        self.note_deleted(work);
        let (number, bytes) = (header.number, u64::from(end));
        work.garbage.push(Garbage {
            number,
            bytes,
            freed: work.last + 1,
            tick: self.store.pins.tick(),
            must_go: work.deleted > header.base,
        });
        work.figures.garbage_bytes += bytes;
        self.publish(work);
    }

    /// Takes note of the last deletion, which the state forgets when it is swept out.
    pub(super) fn note_deleted(&self, work: &mut Work) {
        let deleted = self.store.state().deleted;
        work.deleted = deleted.map_or(work.deleted, |deleted| work.deleted.max(deleted.last));
    }

    /// Bytes of files that another checkpoint would let go.
    pub(super) fn waiting_bytes(&self, work: &Work) -> u64 {
        let needed = work.needed();
        let waiting = work.garbage.iter().filter(|garbage| garbage.freed > needed);
        waiting.map(|garbage| garbage.bytes).sum()
    }

    /// Whether another checkpoint would let a file go.
    pub(super) fn garbage_waits(&self, work: &Work) -> bool {
        let needed = work.needed();
        work.garbage.iter().any(|garbage| garbage.freed > needed)
    }

    /// Takes the files away that no checkpoint and no export needs.
    pub(super) fn drop_garbage(&self, work: &mut Work, old: Old) -> Result<(), Error> {
        let pins = &self.store.pins;
        let oldest = work.oldest();
        let pinned = pins.oldest();
        let held = |garbage: &Garbage| pinned.is_some_and(|pinned| pinned <= garbage.tick);
        let (gone, mut left): (Vec<_>, Vec<_>) = std::mem::take(&mut work.garbage)
            .into_iter()
            .partition(|garbage| garbage.freed <= oldest && !held(garbage));
        let pinned_bytes: u64 = left
            .iter()
            .filter(|garbage| garbage.freed <= oldest)
            .map(|garbage| garbage.bytes)
            .sum();
        if pinned_bytes > self.upkeep.pin_bytes {
            pins.overrun();
        }
        let mut failed = None;
        for garbage in gone {
            if let Err(fault) = self.remove(garbage.number, old) {
                failed = Some(fault);
                left.push(garbage);
            }
        }
        work.figures.garbage_bytes = left.iter().map(|garbage| garbage.bytes).sum();
        work.garbage = left;
        failed.map_or(Ok(()), |fault| Err(fault.into()))
    }

    fn remove(&self, number: u32, old: Old) -> Result<(), Fault> {
        let log = &self.store.log;
        if segment::is_cold(number) {
            log.cold.forget(number);
            self.store.state_mut().live.remove(&number);
        } else if old == Old::Recycle && log.spares.recycle(number) {
            return Ok(());
        }
        let path = segment::path(number);
        match log.disk.remove(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            removed => removed.map_err(|source| segment::io("remove", number, source)),
        }
    }

    /// Takes copies of damaged bytes away that are older than this.
    pub(super) fn tidy_quarantine(&self, age_ms: u64) -> Result<(), Error> {
        let now = (self.clock)();
        let before = now.get().saturating_sub(age_ms);
        let disk = &self.store.log.disk;
        for name in quarantine::older_than(disk.as_ref(), before)? {
            let path = Path::new(quarantine::DIRECTORY).join(name);
            disk.remove(&path)
                .map_err(|source| Fault::of_io("remove", &path, source))?;
        }
        Ok(())
    }
}
