//! Many updates per sync: whoever opens a batch leads it, the others follow.
//!
//! The leader waits until the disk is free, while its batch goes on filling; then it closes the
//! batch, writes and syncs it, and wakes its followers. No timer, no thread of its own.

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::{Tape, encode, seal};
use crate::contestant::{Contestant, Totals};
use crate::failure::{Failure, Result};
use crate::workload::{Update, Workload};

/// Append and sync in batches.
pub struct Group {
    open: Mutex<Open>,
    /// Held while a batch is written and synced.
    tape: Mutex<Tape>,
}

/// The batch that fills.
#[derive(Default)]
struct Open {
    frames: Vec<u8>,
    /// The sequence of its first frame.
    first: u64,
    next: u64,
    batch: Arc<Batch>,
}

/// Where followers wait.
#[derive(Default)]
struct Batch {
    end: Mutex<Option<std::result::Result<(), String>>>,
    ended: Condvar,
}

impl Group {
    /// Writes the file at `path`.
    pub fn new(path: &Path) -> Result<Self> {
        Ok(Self {
            open: Mutex::default(),
            tape: Mutex::new(Tape::new(path)?),
        })
    }

    fn lead(&self, batch: &Batch) -> Result<()> {
        let mut tape = lock(&self.tape);
        let mut open = lock(&self.open);
        let frames = std::mem::take(&mut open.frames);
        let first = open.first;
        open.first = open.next;
        open.batch = Arc::default();
        drop(open);
        let written = tape.append(&frames, first);
        drop(tape);
        let end = written
            .as_ref()
            .err()
            .map_or(Ok(()), |failure| Err(failure.to_string()));
        *lock(&batch.end) = Some(end);
        batch.ended.notify_all();
        written
    }
}

impl Batch {
    fn follow(&self) -> Result<()> {
        let end = self.ended.wait_while(lock(&self.end), |end| end.is_none());
        let end = end.unwrap_or_else(PoisonError::into_inner);
        end.clone().unwrap_or(Ok(())).map_err(Failure::from)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Contestant for Group {
    fn commit(&self, update: Update<'_>) -> Result<()> {
        let mut frame = encode(update);
        let mut open = lock(&self.open);
        seal(&mut frame, open.next);
        open.next += 1;
        let leads = open.frames.is_empty();
        open.frames.extend_from_slice(&frame);
        let batch = Arc::clone(&open.batch);
        drop(open);
        if leads {
            self.lead(&batch)
        } else {
            batch.follow()
        }
    }

    fn totals(&self) -> Totals {
        let tape = lock(&self.tape);
        Totals {
            syncs: tape.syncs,
            log_bytes: tape.bytes,
        }
    }

    fn reopen(self: Box<Self>) -> Result<Box<dyn Contestant>> {
        // There is nothing in memory: only the file is verified.
        Ok(self)
    }

    fn verify(&self, _: &Workload, counts: &[u64]) -> Result<()> {
        lock(&self.tape).verify(counts.iter().sum())
    }
}
