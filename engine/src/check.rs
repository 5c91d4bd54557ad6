//! Checking a directory: every byte and every count of a store, without changing anything.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

mod backup;
mod bytes;
mod cold;
mod counts;
mod hot;

use uuid::Uuid;

use crate::backup::DIRECTORIES;
use crate::checkpoint;
use crate::disk::{Disk, Frozen, LOCK, RealDisk};
use crate::error::{Error, Fault};
use crate::manifest;
use crate::options::Options;
use crate::quarantine;
use crate::recovery::{self, Opened};
use crate::root::{self, Root};
use crate::segment::{self, COLD, COLD_DIRECTORY};
use crate::spare::SPARE;
use crate::types::Sequence;

/// Problems after which no more are told.
pub(crate) const PROBLEMS_MAX: usize = 1000;

/// What a check found.
#[doc = include_str!("examples/check/checked.md")]
#[derive(Clone, Debug, Default)]
pub struct Checked {
    /// What does not hold, at most 1,000; a store without any is sound.
    pub problems: Vec<Problem>,
    /// The end of the log that a crash left unfinished: nothing in it was ever acknowledged, and
    /// the next opening sets it aside.
    pub torn: Option<TornEnd>,
    /// Whether it is a [backup](crate::Engine::backup) and no data directory.
    pub backup: bool,
    /// What is no damage and no part of the store: files of others, what a crash left behind.
    pub notes: Vec<CheckNote>,
    /// The id of the store, which its cursors carry, if it can be read.
    pub store: Option<Uuid>,
    /// The last commit.
    pub sequence: Sequence,
    /// Files read.
    pub files: u64,
    /// Bytes read and verified.
    pub bytes: u64,
    /// Commits in the log.
    pub commits: u64,
    /// Datasets that exist and hold.
    pub datasets: u64,
    /// Records in them, without tombstones.
    pub records: u64,
    /// Metadata values that hold.
    pub metadata: u64,
}

impl Checked {
    /// Whether everything holds.
    #[doc = include_str!("examples/check/is_sound.md")]
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }
}

/// Something that does not hold.
#[doc = include_str!("examples/check/problem.md")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file, relative to the data directory.
    pub path: PathBuf,
    /// Byte offset in the file.
    pub offset: u64,
    /// The commit that is damaged or missing, where it is known.
    pub sequence: Option<Sequence>,
    /// What does not hold.
    pub why: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: offset {}", self.path.display(), self.offset)?;
        if let Some(sequence) = self.sequence {
            write!(f, " (sequence {sequence})")?;
        }
        write!(f, ": {}", self.why)
    }
}

/// Something worth knowing that is no damage.
#[doc = include_str!("examples/check/check_note.md")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckNote {
    /// The file, relative to the data directory.
    pub path: PathBuf,
    /// What it is.
    pub what: &'static str,
}

/// Where a crash cut the log.
#[doc = include_str!("examples/check/torn_end.md")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornEnd {
    /// The segment, relative to the data directory.
    pub path: PathBuf,
    /// Where the unfinished batch begins.
    pub offset: u64,
    /// How many bytes are left of it.
    pub bytes: u64,
}

/// How far a check has come.
#[doc = include_str!("examples/check/progress.md")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes verified.
    pub done: u64,
    /// Bytes to verify.
    pub total: u64,
}

/// Verifies every byte and every count of the store or backup in a directory, and changes nothing
/// in it (but the text of `LOCK`). `progress` is told now and then how far it has come. Memory is
/// bounded by the directory of datasets, as for opening.
#[doc = include_str!("examples/check/check.md")]
/// # Errors
/// [`Fault::Locked`] if a process has the store open, [`Fault::Io`] if there is no such directory
/// or something cannot be read. What does not hold is no error: it is in the answer.
pub fn check(
    directory: impl AsRef<Path>,
    progress: impl FnMut(Progress),
) -> Result<Checked, Error> {
    check_on(existing(directory.as_ref())?, progress)
}

/// As [`check`], on a disk of the caller's.
#[doc = include_str!("examples/check/check_on.md")]
/// # Errors
/// Those of [`check`].
pub fn check_on(disk: Arc<dyn Disk>, mut progress: impl FnMut(Progress)) -> Result<Checked, Error> {
    let _lock = recovery::lock(disk.as_ref())?;
    Ok(check_locked(disk, &mut progress)?)
}

/// A directory that must exist.
pub(crate) fn existing(directory: &Path) -> Result<Arc<dyn Disk>, Fault> {
    match RealDisk::existing(directory) {
        Ok(disk) => Ok(Arc::new(disk)),
        Err(source) => Err(Fault::of_io("open", directory, source)),
    }
}

/// Opens a store as a server would, without changing anything.
pub(crate) fn open_frozen(disk: &Arc<dyn Disk>) -> Result<Opened, Fault> {
    recovery::open(disk, Options::default().segment_bytes)
}

pub(crate) fn check_locked(
    disk: Arc<dyn Disk>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Checked, Fault> {
    let disk: Arc<dyn Disk> = Arc::new(Frozen(disk));
    let mut checking = Checking {
        names: Names::default(),
        found: Checked::default(),
        told: HashSet::new(),
        root: None,
        cold_ends: BTreeMap::new(),
        named: BTreeMap::new(),
        progress,
        state: Progress::default(),
        disk,
    };
    checking.look()?;
    if checking.begun() {
        checking.root();
        checking.checkpoints()?;
        let opened = checking.open()?;
        let ends = opened.as_ref().map(|opened| checking.ends(opened));
        checking.hot(ends.as_ref())?;
        checking.cold()?;
        if let Some(opened) = opened {
            checking.counts(opened);
        }
    }
    Ok(checking.found)
}

/// Names in the directory.
#[derive(Default)]
struct Names {
    hot: Vec<u32>,
    cold: Vec<u32>,
    checkpoints: Vec<u32>,
    root: bool,
}

/// A check under way.
struct Checking<'a> {
    disk: Arc<dyn Disk>,
    names: Names,
    found: Checked,
    /// Places that were told of, so that none is told twice.
    told: HashSet<(PathBuf, u64)>,
    root: Option<Root>,
    /// How far cold segments were synced when a checkpoint named them.
    cold_ends: BTreeMap<u32, u32>,
    /// Where the last thing that lives in a cold segment ends.
    named: BTreeMap<u32, u32>,
    progress: &'a mut dyn FnMut(Progress),
    state: Progress,
}

impl Checking<'_> {
    fn begun(&self) -> bool {
        let names = &self.names;
        names.root
            || !(names.hot.is_empty() && names.cold.is_empty() && names.checkpoints.is_empty())
    }

    /// Reads the names, and tells of those that are none of ours.
    fn look(&mut self) -> Result<(), Fault> {
        let known = [LOCK, root::NAME, quarantine::DIRECTORY];
        let is_known = |name: &str| known.contains(&name) || DIRECTORIES.contains(&name);
        for name in self.list("")? {
            self.names.root |= name == root::NAME;
            if name == manifest::NAME {
                self.backup()?;
            } else if name == recovery::UNFINISHED_REPAIR {
                self.problem(Path::new(&name), 0, None, recovery::REPAIR_CUT_SHORT);
            } else if !is_known(&name) {
                self.note(Path::new(&name), "this is no file of the store");
            }
        }
        self.names.hot = self.numbers(segment::DIRECTORY, &segment::number)?;
        let cold = |name: &str| segment::number(name).map(|number| number | COLD);
        self.names.cold = self.numbers(COLD_DIRECTORY, &cold)?;
        self.names.checkpoints = self.numbers(checkpoint::DIRECTORY, &checkpoint::number)?;
        self.state.total = self.total();
        Ok(())
    }

    fn numbers(
        &mut self,
        directory: &str,
        number: &dyn Fn(&str) -> Option<u32>,
    ) -> Result<Vec<u32>, Fault> {
        let mut numbers = Vec::new();
        for name in self.list(directory)? {
            match number(&name) {
                Some(number) => numbers.push(number),
                None if name.starts_with(SPARE) => {}
                None => {
                    let path = Path::new(directory).join(&name);
                    let what = if recovery::is_leftover(&name) {
                        "a file that was not finished; opening removes it"
                    } else {
                        "this is no file of the store"
                    };
                    self.note(&path, what);
                }
            }
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn list(&self, directory: &str) -> Result<Vec<String>, Fault> {
        let path = Path::new(directory);
        let mut names = self
            .disk
            .list(path)
            .map_err(|source| Fault::of_io("list", path, source))?;
        names.sort_unstable();
        Ok(names)
    }

    /// Bytes of all files that are read; those that cannot be measured are told of when read.
    fn total(&self) -> u64 {
        let segments = self.names.hot.iter().chain(&self.names.cold);
        let checkpoints = self.names.checkpoints.iter();
        let paths = segments
            .map(|&number| segment::path(number))
            .chain(checkpoints.map(|&number| checkpoint::path(number)));
        let length = |path: PathBuf| self.disk.open(&path)?.length();
        paths.map(|path| length(path).unwrap_or(0)).sum()
    }

    fn root(&mut self) {
        match Root::read(self.disk.as_ref()) {
            Ok(root) => {
                self.root = root;
                self.found.store = root.map(|root| root.uuid);
                self.found.files += u64::from(root.is_some());
            }
            Err(fault) => self.fault(&fault),
        }
    }

    fn checkpoints(&mut self) -> Result<(), Fault> {
        for number in self.names.checkpoints.clone() {
            let path = checkpoint::path(number);
            self.found.files += 1;
            match checkpoint::read(self.disk.as_ref(), number) {
                Ok(read) => {
                    for cold in &read.trailer.cold {
                        let end = self.cold_ends.entry(cold.number).or_default();
                        *end = cold.end.max(*end);
                    }
                    let lineage = self.root.map(|root| root.lineage.into_bytes());
                    if lineage.is_some_and(|lineage| lineage != read.head.lineage) {
                        let why = "the checkpoint belongs to another store";
                        self.problem(&path, 20, None, why);
                    }
                    self.advance(read.bytes);
                }
                Err(fault) => self.note_fault(fault)?,
            }
        }
        Ok(())
    }

    fn open(&mut self) -> Result<Option<Opened>, Fault> {
        match open_frozen(&self.disk) {
            Ok(opened) => {
                self.named = counts::named(&opened.state);
                self.found.sequence = opened.state.sequence;
                self.found.torn = opened.recovery.torn.as_ref().map(|torn| TornEnd {
                    path: torn.path.clone(),
                    offset: torn.offset,
                    bytes: torn.bytes,
                });
                for fault in &opened.recovery.damaged {
                    self.fault(fault);
                }
                Ok(Some(opened))
            }
            Err(fault) => self.note_fault(fault).map(|()| None),
        }
    }

    fn advance(&mut self, bytes: u64) {
        self.found.bytes += bytes;
        self.state.done += bytes;
        (self.progress)(self.state);
    }

    fn note(&mut self, path: &Path, what: &'static str) {
        let path = path.to_owned();
        self.found.notes.push(CheckNote { path, what });
    }

    /// Takes a fault that tells of damage as a problem; others end the check.
    fn note_fault(&mut self, fault: Fault) -> Result<(), Fault> {
        match &fault {
            Fault::Corrupt { .. } | Fault::Version { .. } => self.fault(&fault),
            Fault::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                self.fault(&fault);
            }
            _ => return Err(fault),
        }
        Ok(())
    }

    fn fault(&mut self, fault: &Fault) {
        match fault {
            Fault::Corrupt {
                path,
                offset,
                sequence,
                why,
            } => self.problem(path, *offset, *sequence, why),
            Fault::Version { path, .. } | Fault::Io { path, .. } => {
                self.problem(path, 0, None, &fault.text());
            }
            other => self.problem(Path::new(""), 0, None, &other.text()),
        }
    }

    fn problem(&mut self, path: &Path, offset: u64, sequence: Option<Sequence>, why: &str) {
        let full = self.found.problems.len() >= PROBLEMS_MAX;
        if !full && self.told.insert((path.to_owned(), offset)) {
            self.found.problems.push(Problem {
                path: path.to_owned(),
                offset,
                sequence,
                why: why.to_owned(),
            });
        }
    }
}
