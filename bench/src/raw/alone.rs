//! One sync per update, one update at a time.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::{Tape, encode, seal};
use crate::contestant::{Contestant, Totals};
use crate::failure::Result;
use crate::workload::{Update, Workload};

/// Append and sync under a lock.
pub struct Alone(Mutex<(Tape, u64)>);

impl Alone {
    /// Writes the file at `path`.
    pub fn new(path: &Path) -> Result<Self> {
        Ok(Self(Mutex::new((Tape::new(path)?, 0))))
    }
}

impl Contestant for Alone {
    fn commit(&self, update: Update<'_>) -> Result<()> {
        let mut frame = encode(update);
        let mut locked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (tape, next) = &mut *locked;
        seal(&mut frame, *next);
        tape.append(&frame, *next)?;
        *next += 1;
        Ok(())
    }

    fn totals(&self) -> Totals {
        let locked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Totals {
            syncs: locked.0.syncs,
            log_bytes: locked.0.bytes,
        }
    }

    fn reopen(self: Box<Self>) -> Result<Box<dyn Contestant>> {
        // There is nothing in memory: only the file is verified.
        Ok(self)
    }

    fn verify(&self, _: &Workload, counts: &[u64]) -> Result<()> {
        let locked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        locked.0.verify(counts.iter().sum())
    }
}
