//! What was asked of the simulated disk, so that a failing test can print it.

use std::collections::VecDeque;
use std::fmt;
use std::path::{Path, PathBuf};

use super::orders::Failure;

/// Calls that are remembered; older ones are forgotten.
const CALLS_MAX: usize = 1 << 16;

/// A method of the disk or of a file.
///
/// ```
/// use std::path::Path;
/// use syncline_engine::disk::{Call, Disk, SimDisk};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let disk = SimDisk::new(1);
/// disk.create(Path::new("a"))?.sync()?;
/// let calls: Vec<_> = disk.trace().iter().map(|traced| traced.call).collect();
/// assert_eq!(calls, [Call::Create, Call::Sync]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Call {
    /// [`Disk::lock`](crate::disk::Disk::lock)
    Lock,
    /// [`Disk::list`](crate::disk::Disk::list)
    List,
    /// [`Disk::open`](crate::disk::Disk::open)
    Open,
    /// [`DiskFile::length`](crate::disk::DiskFile::length)
    Length,
    /// [`DiskFile::read_at`](crate::disk::DiskFile::read_at)
    Read,
    /// [`Disk::names`](crate::disk::Disk::names)
    Names,
    /// [`Disk::share`](crate::disk::Disk::share)
    Share,
    /// [`Disk::free_bytes`](crate::disk::Disk::free_bytes)
    FreeBytes,
    /// [`Disk::create_directory`](crate::disk::Disk::create_directory)
    CreateDirectory,
    /// [`Disk::create`](crate::disk::Disk::create)
    Create,
    /// [`Disk::rename`](crate::disk::Disk::rename)
    Rename,
    /// [`Disk::remove`](crate::disk::Disk::remove)
    Remove,
    /// [`Disk::sync_directory`](crate::disk::Disk::sync_directory)
    SyncDirectory,
    /// [`DiskFile::write_at`](crate::disk::DiskFile::write_at)
    Write,
    /// [`DiskFile::set_length`](crate::disk::DiskFile::set_length)
    SetLength,
    /// [`DiskFile::sync`](crate::disk::DiskFile::sync)
    Sync,
}

impl Call {
    /// Whether it changes something or makes it last, rather than only looking.
    ///
    /// ```
    /// use syncline_engine::disk::Call;
    ///
    /// assert!(Call::Write.changes() && Call::Sync.changes());
    /// assert!(!Call::Read.changes());
    /// ```
    #[must_use]
    pub const fn changes(self) -> bool {
        !matches!(
            self,
            Self::Lock
                | Self::List
                | Self::Open
                | Self::Length
                | Self::Read
                | Self::Names
                | Self::Share
                | Self::FreeBytes
        )
    }
}

/// What the simulated machine did with a call.
///
/// ```
/// use std::path::Path;
/// use syncline_engine::disk::{Disk, Failure, Outcome, SimDisk};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let disk = SimDisk::new(1);
/// disk.fail_once(2, Failure::Io);
/// let _ = disk.create(Path::new("a"))?.sync();
/// let outcomes: Vec<_> = disk.trace().iter().map(|traced| traced.outcome).collect();
/// assert_eq!(outcomes, [Outcome::Ran, Outcome::Failed(Failure::Io)]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As it should; the answer may still be an error, such as a name that does not exist.
    Ran,
    /// Answered well and did nothing.
    Omitted,
    /// Failed as ordered.
    Failed(Failure),
    /// Met the crash.
    Crashed,
}

/// One call.
///
/// ```
/// use std::path::Path;
/// use syncline_engine::disk::{Disk, SimDisk};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let disk = SimDisk::new(1);
/// disk.create(Path::new("a"))?.set_length(100)?;
/// let last = disk.trace().pop().ok_or("nothing was asked")?;
/// assert_eq!((last.number, last.path.as_path()), (2, Path::new("a")));
/// println!("{last}");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traced {
    /// Its number among the changing or the looking calls, from 1.
    pub number: u64,
    /// The method.
    pub call: Call,
    /// The file's newest name, or the name or directory that the call was given.
    pub path: PathBuf,
    /// Where in the file, or the length asked for.
    pub offset: u64,
    /// How many bytes.
    pub length: usize,
    /// What came of it.
    pub outcome: Outcome,
}

impl fmt::Display for Traced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            number,
            call,
            path,
            offset,
            length,
            outcome,
        } = self;
        let kind = if call.changes() { "change" } else { "read" };
        write!(f, "{kind} {number}: {call:?} {}", path.display())?;
        match call {
            Call::Read | Call::Write => write!(f, " at {offset}, {length} bytes")?,
            Call::SetLength => write!(f, " to {offset}")?,
            _ => {}
        }
        match outcome {
            Outcome::Ran => Ok(()),
            other => write!(f, " -> {other:?}"),
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Trace(VecDeque<Traced>);

impl Trace {
    pub(super) fn push(&mut self, traced: Traced) {
        if self.0.len() == CALLS_MAX {
            self.0.pop_front();
        }
        self.0.push_back(traced);
    }

    pub(super) fn calls(&self) -> Vec<Traced> {
        self.0.iter().cloned().collect()
    }
}

/// A call before its outcome is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) call: Call,
    pub(super) path: &'a Path,
    pub(super) offset: u64,
    pub(super) length: usize,
    /// Whether it needs space that is not taken yet.
    pub(super) grows: bool,
    /// By how many bytes it makes a file longer.
    pub(super) more: u64,
}

impl<'a> Asked<'a> {
    pub(super) const fn of(call: Call, path: &'a Path) -> Self {
        Self {
            call,
            path,
            offset: 0,
            length: 0,
            grows: false,
            more: 0,
        }
    }

    pub(super) const fn at(mut self, offset: u64, length: usize) -> Self {
        (self.offset, self.length) = (offset, length);
        self
    }

    /// A call that adds a name.
    pub(super) const fn naming(mut self, adds: bool) -> Self {
        self.grows = adds;
        self
    }

    /// A call that takes the length of a file to `to`, if that is more than it has.
    pub(super) const fn growing(mut self, from: usize, to: usize) -> Self {
        self.more = to.saturating_sub(from) as u64;
        self.grows = self.more > 0;
        self
    }

    pub(super) fn traced(self, number: u64, outcome: Outcome) -> Traced {
        let Self {
            call,
            path,
            offset,
            length,
            ..
        } = self;
        Traced {
            number,
            call,
            path: path.to_owned(),
            offset,
            length,
            outcome,
        }
    }
}
