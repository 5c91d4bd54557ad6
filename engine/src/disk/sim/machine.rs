//! The simulated machine: files and names, what was ordered to go wrong, and when it is off.
//!
//! Invariant: every call of the disk passes [`Machine::change`] or [`Machine::look`] first, and
//! nothing passes them once the machine is off.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::chance::Chance;
use super::contents::Contents;
use super::names::{Names, Node};
use super::orders::{Failure, Orders};
use super::sites::Sites;
use super::trace::{Asked, Outcome, Trace};

/// What is free on a disk without a capacity: so much that no sum with it overflows.
const FREE_BYTES: u64 = u64::MAX / 2;

/// The inner error of every call to a machine that is off.
///
/// ```
/// use syncline_engine::disk::{Crash, Disk, SimDisk};
///
/// let disk = SimDisk::new(1);
/// disk.crash_at(1);
/// let error = disk.create("a".as_ref()).err().expect("the machine is off");
/// assert_eq!(error.to_string(), Crash.to_string());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crash;

/// A file, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FileId(u64);

/// What happens to a changing call.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Whole,
    /// Only a sync.
    Omitted,
    Fails(Failure),
    /// `happens` decides for calls that happen or do not.
    Crashes {
        happens: bool,
    },
}

pub(super) struct Machine {
    pub(super) off: bool,
    pub(super) locked: bool,
    pub(super) names: Names,
    pub(super) changes: u64,
    pub(super) reads: u64,
    pub(super) trace: Trace,
    pub(super) sites: Sites,
    pub(super) orders: Orders,
    /// Bytes that all files together may have; `None` means no bound.
    pub(super) capacity: Option<u64>,
    /// For faults.
    pub(super) chance: Chance,
    /// For whom the disk serves; apart, so that faults do not change what it is given.
    pub(super) random: Chance,
    files: BTreeMap<FileId, OneFile>,
    files_made: u64,
    crash: Option<u64>,
}

#[derive(Clone)]
struct OneFile {
    contents: Contents,
    /// Its newest name.
    name: PathBuf,
    /// Names that it has outside of this directory.
    other_names: u64,
    open: Arc<()>,
}

impl Machine {
    pub(super) fn new(seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let random = chance.fork();
        Self::with(Names::default(), BTreeMap::new(), 0, chance, random)
    }

    fn with(
        names: Names,
        files: BTreeMap<FileId, OneFile>,
        files_made: u64,
        chance: Chance,
        random: Chance,
    ) -> Self {
        Self {
            off: false,
            locked: false,
            names,
            changes: 0,
            reads: 0,
            trace: Trace::default(),
            sites: Sites::default(),
            orders: Orders::default(),
            capacity: None,
            chance,
            random,
            files,
            files_made,
            crash: None,
        }
    }

    /// The machine after a power failure.
    pub(super) fn after_power_failure(&self, seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let names = self.names.after_power_failure(&mut chance);
        let mut files = BTreeMap::new();
        for name in names.files() {
            if let Some(Node::File(id)) = names.node(&name) {
                let before = &self.files[&id];
                files.insert(
                    id,
                    OneFile {
                        contents: before.contents.after_power_failure(&mut chance),
                        name,
                        other_names: before.other_names,
                        open: Arc::default(),
                    },
                );
            }
        }
        // Other bytes than before, even if the seed is the same: a store must never see the same
        // random number twice.
        let random = Chance::new(self.random.clone().next() ^ chance.next());
        let mut next = Self::with(names, files, self.files_made, chance, random);
        next.capacity = self.capacity;
        next
    }

    /// The machine when another process has started on it.
    pub(super) fn under_next_process(&self) -> Self {
        let mut files = self.files.clone();
        for file in files.values_mut() {
            file.open = Arc::default();
        }
        let (chance, random) = (self.chance.clone().fork(), self.random.clone().fork());
        let mut next = Self::with(self.names.clone(), files, self.files_made, chance, random);
        next.capacity = self.capacity;
        next.forget_nameless();
        next
    }

    /// Lets a call in that changes something or makes it last, and says what is to come of it.
    pub(super) fn change(&mut self, asked: Asked<'_>) -> io::Result<Step> {
        if self.off {
            return Err(Crash::error());
        }
        self.changes += 1;
        self.sites.note(asked);
        let fits = asked.more <= self.free_bytes();
        let (step, outcome) = if self.crash == Some(self.changes) {
            self.off = true;
            (
                Step::Crashes {
                    happens: self.chance.coin() && fits,
                },
                Outcome::Crashed,
            )
        } else if let Some(failure) = self.orders.due(self.changes, asked) {
            (Step::Fails(failure), Outcome::Failed(failure))
        } else if !fits {
            let failure = Failure::NoSpace;
            (Step::Fails(failure), Outcome::Failed(failure))
        } else if self.sites.leaves_out(asked) {
            (Step::Omitted, Outcome::Omitted)
        } else {
            (Step::Whole, Outcome::Ran)
        };
        self.trace.push(asked.traced(self.changes, outcome));
        Ok(step)
    }

    /// Lets a call in that only looks.
    pub(super) fn look(&mut self, asked: Asked<'_>) -> io::Result<()> {
        if self.off {
            return Err(Crash::error());
        }
        self.reads += 1;
        let failure = self.orders.due(self.reads, asked);
        self.trace
            .push(asked.traced(self.reads, failure.map_or(Outcome::Ran, Outcome::Failed)));
        failure.map_or(Ok(()), |failure| Err(failure.error()))
    }

    pub(super) fn crash_at(&mut self, nth: u64) {
        self.crash = Some(from_now(self.changes, nth));
    }

    pub(super) fn fail_change(&mut self, nth: u64, failure: Failure, lasting: bool) {
        let from = from_now(self.changes, nth);
        self.orders.fail_change(from, failure, lasting);
    }

    pub(super) fn fail_read(&mut self, nth: u64, lasting: bool) {
        let from = from_now(self.reads, nth);
        self.orders.fail_read(from, lasting);
    }

    pub(super) fn free_bytes(&self) -> u64 {
        self.capacity.map_or(FREE_BYTES, |capacity| {
            capacity.saturating_sub(self.used_bytes())
        })
    }

    /// Bytes of all files that somebody can reach: by a name, or because they are open.
    fn used_bytes(&self) -> u64 {
        let named = self.names.live_files();
        let reached = |id: &FileId, file: &OneFile| named.contains(id) || file.is_open();
        self.files
            .iter()
            .filter(|(id, file)| reached(id, file))
            .map(|(_, file)| file.contents.live().len() as u64)
            .sum()
    }

    /// Of so many bytes that are to be written there, how many find space.
    pub(super) fn fitting(&self, id: FileId, from: usize, count: usize) -> usize {
        let length = self.files[&id].contents.live().len() as u64;
        let end = length.saturating_add(self.free_bytes());
        let room = end.saturating_sub(from as u64);
        usize::try_from(room).map_or(count, |room| count.min(room))
    }

    pub(super) fn add_file(&mut self, name: PathBuf) {
        self.files_made += 1;
        let id = FileId(self.files_made);
        let (contents, open) = (Contents::default(), Arc::default());
        self.files.insert(
            id,
            OneFile {
                contents,
                name: name.clone(),
                other_names: 0,
                open,
            },
        );
        self.names.appear(name, Node::File(id));
    }

    pub(super) fn rename(&mut self, from: PathBuf, to: PathBuf, id: FileId) {
        self.one_mut(id).name.clone_from(&to);
        self.names.rename(from, to, id);
    }

    pub(super) fn sync_directory(&mut self, directory: &Path) {
        self.names.sync(directory);
        self.forget_nameless();
    }

    pub(super) fn fail_sync_directory(&mut self, directory: &Path) {
        self.names.fail_sync(directory, &mut self.chance);
    }

    pub(super) fn contents(&mut self, id: FileId) -> &mut Contents {
        &mut self.one_mut(id).contents
    }

    pub(super) fn name(&self, id: FileId) -> PathBuf {
        self.files[&id].name.clone()
    }

    /// The names of a file, those elsewhere included.
    pub(super) fn names_of(&self, id: FileId) -> u64 {
        1 + self.files[&id].other_names
    }

    pub(super) fn add_name(&mut self, path: &Path) {
        match self.names.file(path) {
            Ok(id) => self.one_mut(id).other_names += 1,
            Err(error) => panic!("cannot name {} again: {error}", path.display()),
        }
    }

    pub(super) fn open_mark(&self, id: FileId) -> Arc<()> {
        self.files[&id].open.clone()
    }

    pub(super) fn live_bytes(&self, path: &Path) -> Option<Vec<u8>> {
        let id = self.names.file(path).ok()?;
        Some(self.files[&id].contents.live().to_vec())
    }

    pub(super) fn durable_bytes(&self, path: &Path) -> Option<Vec<u8>> {
        let id = self.names.durable_file(path)?;
        Some(self.files[&id].contents.durable().to_vec())
    }

    pub(super) fn damage(&mut self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        match self.names.file(path) {
            Ok(id) => self.contents(id).damage(change),
            Err(error) => panic!("cannot damage {}: {error}", path.display()),
        }
    }

    /// Lets go of files that nobody can reach any more.
    fn forget_nameless(&mut self) {
        let referenced = self.names.referenced();
        self.files
            .retain(|id, file| referenced.contains(id) || file.is_open());
    }

    fn one_mut(&mut self, id: FileId) -> &mut OneFile {
        self.files
            .get_mut(&id)
            .expect("a file with a name, or open, is never forgotten")
    }
}

impl OneFile {
    fn is_open(&self) -> bool {
        Arc::strong_count(&self.open) > 1
    }
}

impl Step {
    /// Whether a call that happens or does not, happens.
    pub(super) const fn happens(self) -> bool {
        matches!(self, Self::Whole | Self::Crashes { happens: true })
    }

    /// The call's answer.
    pub(super) fn end(self) -> io::Result<()> {
        match self {
            Self::Whole | Self::Omitted => Ok(()),
            Self::Fails(failure) => Err(failure.error()),
            Self::Crashes { .. } => Err(Crash::error()),
        }
    }
}

impl Crash {
    /// Whether an error says that the machine is off.
    ///
    /// ```
    /// use syncline_engine::disk::{Crash, Disk, SimDisk};
    ///
    /// let disk = SimDisk::new(1);
    /// disk.crash_at(1);
    /// assert!(disk.open("a".as_ref()).is_err_and(|error| !Crash::caused(&error)), "no such file");
    /// assert!(disk.create("a".as_ref()).is_err_and(|error| Crash::caused(&error)));
    /// ```
    #[must_use]
    pub fn caused(error: &io::Error) -> bool {
        error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<Self>())
            .is_some()
    }

    fn error() -> io::Error {
        io::Error::other(Self)
    }
}

impl fmt::Display for Crash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the simulated machine is off")
    }
}

impl std::error::Error for Crash {}

fn from_now(calls: u64, nth: u64) -> u64 {
    assert!(nth > 0, "the next call is the first");
    calls.saturating_add(nth)
}
