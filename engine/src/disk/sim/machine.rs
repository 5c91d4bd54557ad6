//! The simulated machine: files and names, what was ordered to go wrong, and when it is off.
//!
//! Invariant: every call of the disk passes [`Machine::change`] or [`Machine::look`] first, and
//! nothing passes them once the machine is off.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::io::Errno;

use super::chance::Chance;
use super::contents::Contents;
use super::names::{Names, Node};
use super::trace::{Asked, Call, Outcome, Trace};

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// `EIO`, which any call can meet.
    Io,
    /// `ENOSPC`, which a call meets that makes a file longer or adds a name. Space within a file's
    /// length is always there.
    NoSpace,
    /// A write that gets no further, whatever is tried.
    ShortWrite,
}

/// The inner error of every call to a machine that is off.
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
    pub(super) omit: Option<LeaveOut>,
    /// For faults.
    pub(super) chance: Chance,
    /// For whom the disk serves; apart, so that faults do not change what it is given.
    pub(super) random: Chance,
    files: BTreeMap<FileId, OneFile>,
    files_made: u64,
    crash: Option<u64>,
    failing_changes: Vec<Order>,
    failing_reads: Vec<Order>,
}

/// Says which syncs to leave out.
type LeaveOut = Box<dyn FnMut(&Path, Call) -> bool + Send>;

#[derive(Clone)]
struct OneFile {
    contents: Contents,
    /// Its newest name.
    name: PathBuf,
    open: Arc<()>,
}

/// A failure that was ordered, from that number of call on.
#[derive(Clone, Copy)]
struct Order {
    from: u64,
    failure: Failure,
    lasting: bool,
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
            omit: None,
            chance,
            random,
            files,
            files_made,
            crash: None,
            failing_changes: Vec::new(),
            failing_reads: Vec::new(),
        }
    }

    /// The machine after a power failure.
    pub(super) fn after_power_failure(&self, seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let names = self.names.after_power_failure(&mut chance);
        let mut files = BTreeMap::new();
        for name in names.files() {
            if let Some(Node::File(id)) = names.node(&name) {
                let contents = self.files[&id].contents.after_power_failure(&mut chance);
                files.insert(
                    id,
                    OneFile {
                        contents,
                        name,
                        open: Arc::default(),
                    },
                );
            }
        }
        // Other bytes than before, even if the seed is the same: a store must never see the same
        // random number twice.
        let random = Chance::new(self.random.clone().next() ^ chance.next());
        Self::with(names, files, self.files_made, chance, random)
    }

    /// The machine when another process has started on it.
    pub(super) fn under_next_process(&self) -> Self {
        let mut files = self.files.clone();
        for file in files.values_mut() {
            file.open = Arc::default();
        }
        let (chance, random) = (self.chance.clone().fork(), self.random.clone().fork());
        let mut next = Self::with(self.names.clone(), files, self.files_made, chance, random);
        next.forget_nameless();
        next
    }

    /// Lets a call in that changes something or makes it last, and says what is to come of it.
    pub(super) fn change(&mut self, asked: Asked<'_>) -> io::Result<Step> {
        if self.off {
            return Err(Crash::error());
        }
        self.changes += 1;
        let (step, outcome) = if self.crash == Some(self.changes) {
            self.off = true;
            (
                Step::Crashes {
                    happens: self.chance.coin(),
                },
                Outcome::Crashed,
            )
        } else if let Some(failure) = due(&mut self.failing_changes, self.changes, asked) {
            (Step::Fails(failure), Outcome::Failed(failure))
        } else if self.leaves_out(asked) {
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
        let failure = due(&mut self.failing_reads, self.reads, asked);
        self.trace
            .push(asked.traced(self.reads, failure.map_or(Outcome::Ran, Outcome::Failed)));
        failure.map_or(Ok(()), |failure| Err(failure.error()))
    }

    fn leaves_out(&mut self, asked: Asked<'_>) -> bool {
        matches!(asked.call, Call::Sync | Call::SyncDirectory)
            && self
                .omit
                .as_mut()
                .is_some_and(|leave_out| leave_out(asked.path, asked.call))
    }

    pub(super) fn crash_at(&mut self, nth: u64) {
        self.crash = Some(from_now(self.changes, nth));
    }

    pub(super) fn fail_change(&mut self, nth: u64, failure: Failure, lasting: bool) {
        let from = from_now(self.changes, nth);
        self.failing_changes.push(Order {
            from,
            failure,
            lasting,
        });
    }

    pub(super) fn fail_read(&mut self, nth: u64, lasting: bool) {
        let from = from_now(self.reads, nth);
        self.failing_reads.push(Order {
            from,
            failure: Failure::Io,
            lasting,
        });
    }

    pub(super) fn repair(&mut self) {
        self.failing_changes.clear();
        self.failing_reads.clear();
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
            .retain(|id, file| referenced.contains(id) || Arc::strong_count(&file.open) > 1);
    }

    fn one_mut(&mut self, id: FileId) -> &mut OneFile {
        self.files
            .get_mut(&id)
            .expect("a file with a name, or open, is never forgotten")
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

impl Failure {
    fn error(self) -> io::Error {
        match self {
            Self::Io => Errno::IO.into(),
            Self::NoSpace => Errno::NOSPC.into(),
            Self::ShortWrite => ErrorKind::WriteZero.into(),
        }
    }

    const fn meets(self, asked: Asked<'_>) -> bool {
        match self {
            Self::Io => true,
            Self::NoSpace => asked.grows,
            Self::ShortWrite => matches!(asked.call, Call::Write) && asked.length > 0,
        }
    }
}

impl Crash {
    /// Whether an error says that the machine is off.
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

/// The first ordered failure that the call meets; one that does not last is used up by it.
fn due(orders: &mut Vec<Order>, number: u64, asked: Asked<'_>) -> Option<Failure> {
    let meets = |order: &Order| order.from <= number && order.failure.meets(asked);
    let found = orders.iter().position(meets)?;
    let Order {
        failure, lasting, ..
    } = orders[found];
    if !lasting {
        orders.remove(found);
    }
    Some(failure)
}
