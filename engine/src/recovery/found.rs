//! What is in a data directory, by name.

use std::path::Path;
use std::sync::Arc;

use super::{Kept, REPAIR_CUT_SHORT, UNFINISHED_REPAIR, is_leftover, make_directory};
use crate::backup::DIRECTORIES;
use crate::checkpoint::{self, Checkpoint, Head, Written};
use crate::disk::Disk;
use crate::error::Fault;
use crate::quarantine;
use crate::root::Root;
use crate::segment::{self, COLD, COLD_DIRECTORY, Segment};
use crate::types::Timestamp;

/// Names in a data directory, read once.
pub(crate) struct Found {
    pub(crate) root: Option<Root>,
    /// Numbers of hot segments, in order.
    pub(crate) hot: Vec<u32>,
    /// Numbers of cold segments, in order.
    pub(crate) cold: Vec<u32>,
    /// Numbers of checkpoints, in order.
    pub(crate) checkpoints: Vec<u32>,
    leftovers: Vec<std::path::PathBuf>,
}

impl Found {
    pub(super) fn look(disk: &Arc<dyn Disk>) -> Result<Self, Fault> {
        let names = disk
            .list(Path::new(""))
            .map_err(|source| Fault::of_io("list", Path::new(""), source))?;
        if names.iter().any(|name| name == UNFINISHED_REPAIR) {
            return Err(Fault::corrupt(UNFINISHED_REPAIR, 0, REPAIR_CUT_SHORT));
        }
        let root = Root::read(disk.as_ref())?;
        for directory in DIRECTORIES {
            make_directory(disk, directory)?;
        }
        disk.sync_directory(Path::new(""))
            .map_err(|source| Fault::of_io("make a name last for", Path::new(""), source))?;
        Ok(Self {
            root,
            ..Self::names(disk)?
        })
    }

    /// Reads the names alone.
    pub(crate) fn names(disk: &Arc<dyn Disk>) -> Result<Self, Fault> {
        let mut leftovers = Vec::new();
        let mut numbers = |directory: &str, number: &dyn Fn(&str) -> Option<u32>| {
            let path = Path::new(directory);
            let names = disk
                .list(path)
                .map_err(|source| Fault::of_io("list", path, source))?;
            leftovers.extend(
                names
                    .iter()
                    .filter(|name| is_leftover(name))
                    .map(|name| path.join(name)),
            );
            let mut numbers: Vec<_> = names.iter().filter_map(|name| number(name)).collect();
            numbers.sort_unstable();
            Ok::<_, Fault>(numbers)
        };
        Ok(Self {
            root: None,
            hot: numbers(segment::DIRECTORY, &segment::number)?,
            cold: numbers(COLD_DIRECTORY, &|name| {
                segment::number(name).map(|number| number | COLD)
            })?,
            checkpoints: numbers(checkpoint::DIRECTORY, &checkpoint::number)?,
            leftovers,
        })
    }

    /// The newest checkpoint that holds; those that do not are set aside.
    pub(super) fn checkpoint(
        &self,
        disk: &Arc<dyn Disk>,
        damaged: &mut Vec<Fault>,
    ) -> Result<(Option<Checkpoint>, Kept), Fault> {
        let mut kept = Kept {
            last: self.checkpoints.last().copied().unwrap_or(0),
            first_hot: 1,
            ..Kept::default()
        };
        for (at, &number) in self.checkpoints.iter().enumerate().rev() {
            let read = checkpoint::read(disk.as_ref(), number)
                .and_then(|found| self.ours(&found.head).map(|()| found));
            match read {
                Ok(found) => {
                    let newest = Written::new(&found.head, found.bytes);
                    kept.checkpoints = self.older(disk, &self.checkpoints[..at], damaged);
                    kept.checkpoints.push(newest);
                    return Ok((Some(found), kept));
                }
                Err(fault @ Fault::Corrupt { .. }) => damaged.push(fault),
                Err(fault) => return Err(fault),
            }
        }
        Ok((None, kept))
    }

    /// The checkpoints that need not be read to open the store, by their beginnings.
    fn older(
        &self,
        disk: &Arc<dyn Disk>,
        numbers: &[u32],
        damaged: &mut Vec<Fault>,
    ) -> Vec<Written> {
        let mut older = Vec::new();
        for &number in numbers {
            let head = checkpoint::head(disk.as_ref(), number)
                .and_then(|(head, bytes)| self.ours(&head).map(|()| (head, bytes)));
            match head {
                Ok((head, bytes)) => older.push(Written::new(&head, bytes)),
                Err(fault) => damaged.push(fault),
            }
        }
        older
    }

    fn ours(&self, head: &Head) -> Result<(), Fault> {
        let foreign = |root: &Root| head.lineage != root.lineage.into_bytes();
        if self.root.as_ref().is_some_and(foreign) {
            let why = "the checkpoint belongs to another store";
            return Err(Fault::corrupt(checkpoint::path(head.number), 0, why));
        }
        Ok(())
    }

    /// Without a checkpoint the log must reach back to the beginning.
    pub(super) fn check_whole(&self, damaged: Option<&Fault>) -> Result<(), Fault> {
        let begun = self.root.is_some_and(|root| root.begun);
        if (begun && self.hot.is_empty()) || self.hot.first().is_some_and(|&first| first > 1) {
            let why = "the beginning of the log is missing, and there is no checkpoint";
            let missing = || Fault::corrupt(segment::DIRECTORY, 0, why);
            return Err(damaged.cloned().unwrap_or_else(missing));
        }
        Ok(())
    }

    /// The root of a store that is new, or of the first version, which had none.
    pub(super) fn make_root(&self, disk: &Arc<dyn Disk>) -> Result<Root, Fault> {
        if !self.checkpoints.is_empty() {
            let why = if self.hot.is_empty() {
                "the file is missing, and so is the log"
            } else {
                "the file is missing"
            };
            return Err(Fault::corrupt(crate::root::NAME, 0, why));
        }
        let mut root = Root::new(disk.as_ref());
        if let Some(&first) = self.hot.first() {
            let file = disk
                .open(&segment::path(first))
                .map_err(|source| segment::io("open", first, source))?;
            root.lineage = Segment::open(first, file)?.header.store;
            root.uuid = root.lineage;
            root.begun = true;
        }
        root.write(disk.as_ref())?;
        Ok(root)
    }

    /// Takes away what a crash left of files that were not finished, and sets the checkpoints
    /// aside that do not hold.
    pub(super) fn tidy_up(&self, disk: &Arc<dyn Disk>, kept: &Kept) -> Result<(), Fault> {
        let holds = |number| kept.checkpoints.iter().any(|held| held.number == number);
        for &number in self.checkpoints.iter().filter(|&&number| !holds(number)) {
            set_aside(disk, number)?;
        }
        for path in &self.leftovers {
            disk.remove(path)
                .map_err(|source| Fault::of_io("tidy up", path, source))?;
        }
        Ok(())
    }
}

/// Puts a damaged checkpoint where it is in nobody's way.
fn set_aside(disk: &Arc<dyn Disk>, number: u32) -> Result<(), Fault> {
    make_directory(disk, quarantine::DIRECTORY)?;
    let from = checkpoint::path(number);
    let to = quarantine::path(disk.as_ref(), &format!("{number:08}.ckp"), Timestamp::now());
    disk.rename(&from, &to)
        .map_err(|source| Fault::of_io("set aside", &from, source))
}
