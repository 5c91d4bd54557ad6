//! What was ordered to go wrong, and which call it meets.

use std::io::{self, ErrorKind};
use std::path::Path;

use rustix::io::Errno;

use super::trace::{Asked, Call};

/// How a call fails.
///
/// ```
/// use std::io::{ErrorKind, IoSlice};
/// use std::path::Path;
/// use syncline_engine::disk::{Disk, Failure, SimDisk};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let disk = SimDisk::new(1);
/// let file = disk.create(Path::new("a"))?;
/// disk.fail_once(1, Failure::NoSpace);
/// let full = file.write_at(&[IoSlice::new(b"four")], 0);
/// assert!(full.is_err_and(|error| error.kind() == ErrorKind::StorageFull));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// `EIO`, which any call can meet.
    Io,
    /// `ENOSPC`, which a call meets that makes a file longer or adds a name. Space within a file's
    /// length is always there, unless a call is chosen to fail so all the same.
    NoSpace,
    /// A write that gets no further, whatever is tried.
    ShortWrite,
}

/// Says which calls are meant, by the path and the method.
pub(super) type Choice = Box<dyn FnMut(&Path, Call) -> bool + Send>;

/// All failures that were ordered.
#[derive(Default)]
pub(super) struct Orders {
    changes: Vec<Numbered>,
    reads: Vec<Numbered>,
    chosen: Vec<Chosen>,
}

/// A failure from that number of call on.
#[derive(Clone, Copy)]
struct Numbered {
    from: u64,
    failure: Failure,
    lasting: bool,
}

/// A failure of the calls that a predicate chooses.
struct Chosen {
    choice: Choice,
    failure: Failure,
    lasting: bool,
}

impl Orders {
    pub(super) fn fail_change(&mut self, from: u64, failure: Failure, lasting: bool) {
        self.changes.push(Numbered {
            from,
            failure,
            lasting,
        });
    }

    pub(super) fn fail_read(&mut self, from: u64, lasting: bool) {
        self.reads.push(Numbered {
            from,
            failure: Failure::Io,
            lasting,
        });
    }

    pub(super) fn fail_chosen(&mut self, choice: Choice, failure: Failure, lasting: bool) {
        self.chosen.push(Chosen {
            choice,
            failure,
            lasting,
        });
    }

    /// The first ordered failure that the call meets; one that does not last is used up by it.
    pub(super) fn due(&mut self, number: u64, asked: Asked<'_>) -> Option<Failure> {
        let numbered = if asked.call.changes() {
            &mut self.changes
        } else {
            &mut self.reads
        };
        let meets = |order: &Numbered| order.from <= number && order.failure.meets(asked);
        if let Some(at) = numbered.iter().position(meets) {
            let order = numbered[at];
            if !order.lasting {
                numbered.remove(at);
            }
            return Some(order.failure);
        }
        let chosen = |order: &mut Chosen| {
            order.failure.possible(asked) && (order.choice)(asked.path, asked.call)
        };
        let at = self.chosen.iter_mut().position(chosen)?;
        let failure = self.chosen[at].failure;
        if !self.chosen[at].lasting {
            self.chosen.remove(at);
        }
        Some(failure)
    }
}

impl Failure {
    pub(super) fn error(self) -> io::Error {
        match self {
            Self::Io => Errno::IO.into(),
            Self::NoSpace => Errno::NOSPC.into(),
            Self::ShortWrite => ErrorKind::WriteZero.into(),
        }
    }

    /// Whether a call fails so that nobody chose.
    const fn meets(self, asked: Asked<'_>) -> bool {
        match self {
            Self::NoSpace => asked.grows,
            Self::Io | Self::ShortWrite => self.possible(asked),
        }
    }

    /// Whether a call can fail so at all. A file system may want space for anything that it writes
    /// down, a sync or a rename included.
    const fn possible(self, asked: Asked<'_>) -> bool {
        match self {
            Self::Io => true,
            Self::NoSpace => asked.call.changes(),
            Self::ShortWrite => matches!(asked.call, Call::Write) && asked.length > 0,
        }
    }
}
