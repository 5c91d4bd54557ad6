//! Which part of a backup makes a store as of one commit.

use uuid::Uuid;

use super::{missing, verify};
use crate::backup;
use crate::checkpoint;
use crate::disk::Disk;
use crate::error::{Error, Fault};
use crate::manifest::{Held, Manifest};
use crate::transfer;
use crate::types::{Sequence, SyncCount, invalid};

/// What is taken.
pub(super) struct Chosen {
    /// The last commit.
    pub(super) sequence: Sequence,
    /// Those that were finished by then.
    pub(super) checkpoints: Vec<Held>,
    /// The log's segments; the last one ends with the last commit.
    pub(super) hot: Vec<Part>,
}

/// A segment of the log, up to where it is taken.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    pub(super) number: u32,
    /// Bytes of it that are taken.
    pub(super) end: u32,
    /// These are all the bytes that it has.
    pub(super) is_whole: bool,
}

impl Chosen {
    /// Reads and verifies the log and the checkpoints of a backup.
    pub(super) fn new(
        disk: &dyn Disk,
        manifest: &Manifest,
        sequence: Option<Sequence>,
    ) -> Result<Self, Error> {
        check_files(disk, manifest)?;
        SyncCount::new(manifest.base)?;
        let end = Sequence::new(manifest.sequence);
        let sequence = sequence.unwrap_or(end);
        if sequence > end {
            let why = format!("the backup ends with {end}, before {sequence}");
            return Err(invalid("sequence", why).into());
        }
        let mut checkpoints = Vec::new();
        for held in &manifest.checkpoints {
            let survey = checkpoint::survey(disk, held.number)?;
            checkpoints.push((*held, Sequence::new(survey.trailer.finished)));
        }
        let from_the_beginning = match manifest.hot.first() {
            Some(first) => first.number == 1,
            None => checkpoints.is_empty(),
        };
        let earliest = match checkpoints.first() {
            _ if from_the_beginning => Sequence::ZERO,
            Some((_, finished)) => *finished,
            None => return Err(missing(checkpoint::DIRECTORY.as_ref()).into()),
        };
        if sequence < earliest {
            let why = format!("the backup begins with {earliest}, behind {sequence}");
            return Err(invalid("sequence", why).into());
        }
        checkpoints.retain(|(_, finished)| *finished <= sequence);
        let lineage = Uuid::from_bytes(manifest.lineage);
        let hot = verify::hot(disk, lineage, &manifest.hot, sequence)?;
        Ok(Self {
            sequence,
            checkpoints: checkpoints.into_iter().map(|(held, _)| held).collect(),
            hot,
        })
    }
}

/// Every file must be there, as long as it was.
fn check_files(disk: &dyn Disk, manifest: &Manifest) -> Result<(), Fault> {
    for (path, bytes) in backup::files(manifest) {
        let found = transfer::length(disk, &path)?.ok_or_else(|| missing(&path))?;
        if found != bytes {
            let why = "the file is not as long as it was";
            return Err(Fault::corrupt(path, found.min(bytes), why));
        }
    }
    Ok(())
}
