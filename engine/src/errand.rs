//! What is done for the store itself while no batch is planned or written: so that nothing changes
//! under one.

use crate::sync::{Arc, Condvar, Mutex, PoisonError};

use crate::error::Error;
use crate::page::Page;
use crate::state::Move;
use crate::types::{Sequence, Timestamp};

/// Something to do for who writes.
pub(crate) enum Errand {
    /// Take over what was moved and is durable in its new place; tells of each whether it had not
    /// changed meanwhile.
    Install(Vec<Moved>),
    /// End the present segment.
    Rotate,
    /// What was deleted up to this commit is swept out; what was deleted since waits from then on.
    Swept(Sequence, Timestamp),
}

/// A move, with the page of the dataset that moved.
pub(crate) struct Moved {
    pub(crate) moved: Move,
    pub(crate) page: Option<Arc<Page>>,
}

/// An errand on its way.
pub(crate) struct Sent {
    pub(crate) errand: Errand,
    outcome: Mutex<Option<Result<Vec<bool>, Error>>>,
    done: Condvar,
}

impl Sent {
    pub(crate) fn new(errand: Errand) -> Self {
        Self {
            errand,
            outcome: Mutex::default(),
            done: Condvar::new(),
        }
    }

    pub(crate) fn finish(&self, outcome: Result<Vec<bool>, Error>) {
        *self.outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
        self.done.notify_all();
    }

    pub(crate) fn is_done(&self) -> bool {
        let outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        outcome.is_some()
    }

    pub(crate) fn wait(&self) -> Result<Vec<bool>, Error> {
        let outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        let mut outcome = self
            .done
            .wait_while(outcome, |outcome| outcome.is_none())
            .unwrap_or_else(PoisonError::into_inner);
        outcome.take().expect("waited for it")
    }
}
