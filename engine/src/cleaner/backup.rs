//! What a backup needs of the cleaner: that nothing is taken away meanwhile, and that what it takes
//! does not change any more.

use std::path::PathBuf;
use std::sync::Arc;

use super::{Cleaner, Work};
use crate::backup::{self, Backup, BackupOptions};
use crate::checkpoint;
use crate::disk::Disk;
use crate::errand::Errand;
use crate::error::{Error, Fault};
use crate::manifest::{Held, Manifest};
use crate::root::Root;
use crate::segment;
use crate::transfer::{self, Transfer};
use crate::types::{Sequence, invalid};

/// What a backup takes.
struct Chosen {
    manifest: Manifest,
    root: Root,
    earliest: Sequence,
    damaged: Vec<Fault>,
}

/// The checkpoints that hold, oldest first, each with the commit after which it was finished; and
/// what is wrong with the others.
type Checkpoints = (Vec<(Held, Sequence)>, Vec<Fault>);

impl Cleaner {
    /// Makes an empty directory a backup of everything that is durable now.
    pub(crate) fn backup(
        &self,
        to: &Arc<dyn Disk>,
        options: &BackupOptions,
    ) -> Result<Backup, Error> {
        let from = Arc::clone(&self.store.log.disk);
        backup::begin(to.as_ref())?;
        let pin = self.store.pins.hold();
        let mut transfer = Transfer::new(from.as_ref(), to.as_ref());
        let mut unlinked = Vec::new();
        let mut chosen = {
            let mut work = self.work();
            let chosen = self.choose(&mut work)?;
            let Manifest {
                checkpoints,
                hot,
                cold,
                ..
            } = &chosen.manifest;
            // No pin keeps checkpoints.
            for held in checkpoints {
                transfer.place(&checkpoint::path(held.number), held.bytes, true)?;
            }
            for held in hot.iter().chain(cold) {
                let path = segment::path(held.number);
                if !transfer.link(&path, held.bytes)? {
                    unlinked.push((path, held.bytes));
                }
            }
            chosen
        };
        // Copying takes its time, and the cleaner need not wait for it.
        let copied = unlinked
            .iter()
            .try_for_each(|(path, bytes)| transfer.copy(path, *bytes));
        if pin.is_overrun() && !unlinked.is_empty() {
            let why = "was cut off: a purge, or too many bytes in files that only it kept \
                       (pin_bytes); try again";
            return Err(invalid("backup", why).into());
        }
        copied?;
        for name in &options.beside {
            let path: PathBuf = backup::beside(name)?;
            if let Some(bytes) = transfer::length(from.as_ref(), &path)? {
                transfer.copy(&path, bytes)?;
                chosen.manifest.beside.push((name.clone(), bytes));
            }
        }
        backup::sync_directories(to.as_ref())?;
        chosen.root.write(to.as_ref())?;
        chosen.manifest.write(to.as_ref())?;
        Ok(Backup {
            sequence: Sequence::new(chosen.manifest.sequence),
            earliest: chosen.earliest,
            linked: transfer.linked,
            copied: transfer.copied,
            bytes: transfer.bytes,
            copied_bytes: transfer.copied_bytes,
            damaged: chosen.damaged,
        })
    }

    /// Ends what is being written, and lists the files that hold everything up to there.
    ///
    /// The checkpoints that there are suffice, since the log goes on behind them: a new one would
    /// only push the oldest out, and with it the time to which the backup can be restored.
    fn choose(&self, work: &mut Work) -> Result<Chosen, Error> {
        let log = &self.store.log;
        let (mut checkpoints, mut damaged) = self.whole_checkpoints(work)?;
        let begins = |number| log.segment(number).is_some();
        if checkpoints.is_empty() && !begins(1) {
            self.save(work)?;
            (checkpoints, damaged) = self.whole_checkpoints(work)?;
        }
        // What is acknowledged by now is in this segment or before it.
        let written = self.store.watermark.get().position.segment;
        self.writer.send(Errand::Rotate)?;
        work.cold.finish()?;
        // In this order: commits that come meanwhile begin a segment, whose base tells.
        let durable = self.store.watermark.get().sequence;
        let segments = log.segments();
        let active = log.active();
        let mut sequence = durable;
        let mut hot = Vec::new();
        for segment in segments.iter().rev() {
            let (number, header) = (segment.header.number, segment.header);
            let bytes = self.length(number)?;
            let sealed = bytes < header.capacity;
            let may_grow = number > written && (Some(number) == active || !sealed);
            if hot.is_empty() && may_grow {
                sequence = header.base;
                continue;
            }
            hot.push(Held { number, bytes });
        }
        // What was released, but is in one of the checkpoints.
        let mut next = hot.last().map_or(work.first_hot, |held| held.number);
        while next > 1 && work.is_garbage(next - 1) {
            next -= 1;
            let bytes = self.length(next)?;
            hot.push(Held {
                number: next,
                bytes,
            });
        }
        hot.reverse();
        // What was given up before the pin was set is held by it from now on.
        let tick = self.store.pins.tick();
        for garbage in &mut work.garbage {
            garbage.tick = tick;
        }
        let mut cold = Vec::new();
        for segment in log.cold.all() {
            let number = segment.header.number;
            let bytes = self.length(number)?;
            cold.push(Held { number, bytes });
        }
        let earliest = match hot.first() {
            Some(first) if first.number == 1 => Sequence::ZERO,
            _ => checkpoints
                .first()
                .map_or(Sequence::ZERO, |(_, finished)| *finished),
        };
        let root = Root::read(log.disk.as_ref())?.unwrap_or(log.root);
        let manifest = Manifest {
            lineage: root.lineage.into_bytes(),
            base: root.base.get(),
            sequence: sequence.get(),
            checkpoints: checkpoints.into_iter().map(|(held, _)| held).collect(),
            hot,
            cold,
            beside: Vec::new(),
        };
        Ok(Chosen {
            manifest,
            root,
            earliest,
            damaged,
        })
    }

    /// Verifies the checkpoints.
    fn whole_checkpoints(&self, work: &Work) -> Result<Checkpoints, Fault> {
        let disk = self.store.log.disk.as_ref();
        let (mut whole, mut damaged) = (Vec::new(), Vec::new());
        for &checkpoint::Written { number, .. } in &work.kept {
            match checkpoint::survey(disk, number) {
                Ok(survey) => {
                    let bytes = survey.bytes;
                    let finished = Sequence::new(survey.trailer.finished);
                    whole.push((Held { number, bytes }, finished));
                }
                Err(fault @ Fault::Corrupt { .. }) => damaged.push(fault),
                Err(fault) => return Err(fault),
            }
        }
        Ok((whole, damaged))
    }

    fn length(&self, number: u32) -> Result<u64, Fault> {
        let path = segment::path(number);
        let length = transfer::length(self.store.log.disk.as_ref(), &path)?;
        length.ok_or_else(|| segment::corrupt(number, 0, "the segment is missing"))
    }
}
