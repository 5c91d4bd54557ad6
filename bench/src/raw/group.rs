//! Many updates per sync.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Tape, encode, seal};
use crate::batches::Batches;
use crate::contestant::{Contestant, Totals};
use crate::failure::Result;
use crate::workload::{Update, Workload};

/// Append and sync in batches.
pub struct Group {
    waiting: Batches<Frames>,
    tape: Mutex<Tape>,
}

/// The batch that fills.
#[derive(Default)]
struct Frames {
    bytes: Vec<u8>,
    /// The sequence of its first frame.
    first: u64,
    next: u64,
}

impl Group {
    /// Writes the file at `path`.
    pub fn new(path: &Path) -> Result<Self> {
        Ok(Self {
            waiting: Batches::default(),
            tape: Mutex::new(Tape::new(path)?),
        })
    }

    fn tape(&self) -> MutexGuard<'_, Tape> {
        self.tape.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Contestant for Group {
    fn commit(&self, update: Update<'_>) -> Result<()> {
        let mut frame = encode(update);
        let put = |open: &mut Frames| {
            seal(&mut frame, open.next);
            open.next += 1;
            let leads = open.bytes.is_empty();
            open.bytes.extend_from_slice(&frame);
            leads
        };
        let take = |open: &mut Frames| {
            let first = std::mem::replace(&mut open.first, open.next);
            (std::mem::take(&mut open.bytes), first)
        };
        let run = |(bytes, first): (Vec<u8>, u64)| self.tape().append(&bytes, first);
        self.waiting.join(put, take, run)
    }

    fn totals(&self) -> Totals {
        let tape = self.tape();
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
        self.tape().verify(counts.iter().sum())
    }
}
