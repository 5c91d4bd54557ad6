//! Older checkpoints: with them a backup can be restored to an earlier commit.
//!
//! Two checkpoints are kept to open the store with. Older ones are kept while the log goes on from
//! where they end, which is as far as the feed reaches back, while they and the files that only
//! they name are small beside what lives, and while none of these files has to go because of what
//! was deleted.

use std::io::ErrorKind;
use std::path::Path;

use super::age::Aged;
use super::garbage::Garbage;
use super::{Cleaner, Work};
use crate::checkpoint;
use crate::error::{Error, Fault};

/// Checkpoints with which the store may have to be opened.
const KEPT: usize = 2;
/// Older ones at most.
const OLDER: usize = 4;
/// They, and what only they name, take at most this part of what lives, or a segment.
const PART_OF_LIVE: u64 = 5;

impl Work {
    /// How many checkpoints there are beside those to open the store with.
    fn older(&self) -> usize {
        self.kept.len().saturating_sub(KEPT)
    }

    /// The older one of the two checkpoints with which the store may be opened; zero: it may have
    /// to be opened with the log from its beginning.
    pub(super) fn needed(&self) -> u32 {
        match self.kept.as_slice() {
            [.., older, _] => older.number,
            _ => 0,
        }
    }

    /// The oldest checkpoint; zero: the log from its beginning is needed, too.
    pub(super) fn oldest(&self) -> u32 {
        match self.kept.as_slice() {
            [oldest, _, ..] => oldest.number,
            _ => 0,
        }
    }

    /// Files that only the older checkpoints name.
    fn named_by_older(&self) -> impl Iterator<Item = &Garbage> {
        let (needed, oldest) = (self.needed(), self.oldest());
        let garbage = self.garbage.iter();
        garbage.filter(move |garbage| garbage.freed > oldest && garbage.freed <= needed)
    }

    /// Bytes of the older checkpoints and of the files that only they name.
    fn older_bytes(&self) -> u64 {
        let checkpoints = self.kept[..self.older()].iter().map(|kept| kept.bytes);
        checkpoints
            .chain(self.named_by_older().map(|garbage| garbage.bytes))
            .sum()
    }
}

impl Cleaner {
    /// Takes files away that are called checkpoints and are none: they were named, but whether that
    /// lasts could not be learned, nor could they be removed.
    pub(super) fn remove_unknown(&self, work: &Work) -> Result<(), Error> {
        let disk = &self.store.log.disk;
        let directory = Path::new(checkpoint::DIRECTORY);
        let names = disk
            .list(directory)
            .map_err(|source| Fault::of_io("list", directory, source))?;
        let known = |number: &u32| work.kept.iter().any(|kept| kept.number == *number);
        for number in names.iter().filter_map(|name| checkpoint::number(name)) {
            if !known(&number) {
                self.remove_named(number)?;
            }
        }
        Ok(())
    }

    /// Takes older checkpoints away that are of no use any more, or take too much.
    pub(super) fn thin_out(&self, work: &mut Work) -> Result<(), Error> {
        while let Some(at) = self.superfluous(work) {
            self.remove_checkpoint(work, at)?;
        }
        Ok(())
    }

    /// Takes all older checkpoints away.
    pub(super) fn end_history(&self, work: &mut Work) -> Result<(), Error> {
        while work.older() > 0 {
            self.remove_checkpoint(work, 0)?;
        }
        Ok(())
    }

    /// Puts new checkpoints in the place of all that are kept; none names what was given up then.
    pub(super) fn replace_checkpoints(&self, work: &mut Work) -> Result<(), Error> {
        for _ in 0..KEPT {
            self.save(work)?;
            self.end_history(work)?;
        }
        Ok(())
    }

    fn superfluous(&self, work: &mut Work) -> Option<usize> {
        let older = work.older();
        if older == 0 {
            return None;
        }
        let log = &self.store.log;
        let begins = log.segments().first().map_or_else(
            || self.store.watermark.get().position.segment + 1,
            |first| first.header.number,
        );
        let oldest = work.kept[0];
        let age = self.age(work, Aged::Checkpoint(oldest.number), oldest.time);
        let live: u64 = {
            let state = self.store.state();
            state.pools.values().map(|pool| pool.bytes).sum()
        };
        let allowed = (live / PART_OF_LIVE).max(log.spares.segment_bytes());
        if oldest.segment < begins
            // Names of what was deleted stand in the checkpoint itself.
            || age > self.upkeep.retention_ms
            || work.named_by_older().any(|garbage| garbage.must_go)
            || work.older_bytes() > allowed
        {
            return Some(0);
        }
        // The one whose loss leaves the smallest gap; never the oldest.
        let gap = |at: &usize| {
            let (before, after) = (work.kept[at - 1].after, work.kept[at + 1].after);
            after.get().saturating_sub(before.get())
        };
        (older > OLDER)
            .then(|| (1..older).min_by_key(gap))
            .flatten()
    }

    fn remove_checkpoint(&self, work: &mut Work, at: usize) -> Result<(), Error> {
        let number = work.kept[at].number;
        self.remove_named(number)?;
        // Not before: what it names may go from now on.
        work.kept.remove(at);
        work.ages.forget(|what| *what == Aged::Checkpoint(number));
        Ok(())
    }

    fn remove_named(&self, number: u32) -> Result<(), Fault> {
        let disk = &self.store.log.disk;
        let path = checkpoint::path(number);
        match disk.remove(&path) {
            // Its going may not have lasted yet.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            removed => removed.map_err(|source| Fault::of_io("remove", &path, source))?,
        }
        let directory = Path::new(checkpoint::DIRECTORY);
        disk.sync_directory(directory)
            .map_err(|source| Fault::of_io("make a name last for", directory, source))
    }
}
