//! The engine behind the one door through which its calls may block.
//!
//! A read or a commit is first tried where the request runs, which suffices while what it needs is
//! in memory. Only what would touch the disk moves to a thread that may wait for it. Both the
//! calls that run and those that wait are bounded; beyond that the answer is "busy".

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use syncline_engine::{Engine, Error, Proposal, Reader, Receipt, Refusal};
use tokio::sync::Semaphore;

/// How much may block at once.
#[derive(Debug, Clone, Copy)]
pub struct StoreLimits {
    /// Calls that run. A disk does not serve more at once any faster.
    pub running: usize,
    /// Calls that run or wait.
    pub queued: usize,
}

impl Default for StoreLimits {
    fn default() -> Self {
        Self {
            running: 64,
            queued: 4096,
        }
    }
}

/// A store that async code may use. Clones share it.
#[derive(Clone)]
pub struct Store {
    engine: Engine,
    gate: Arc<Gate>,
}

struct Gate {
    permits: Semaphore,
    queued: AtomicUsize,
    queued_max: usize,
}

impl Store {
    /// Puts the door before an engine.
    #[must_use]
    pub fn new(engine: Engine, limits: StoreLimits) -> Self {
        let gate = Gate {
            permits: Semaphore::new(limits.running),
            queued: AtomicUsize::new(0),
            queued_max: limits.queued,
        };
        Self {
            engine,
            gate: Arc::new(gate),
        }
    }

    /// The engine itself, for what never blocks and for start and stop.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Reads, from memory if that suffices.
    ///
    /// # Errors
    /// What the read says, or `Refusal::Busy`.
    pub async fn read<T, F>(&self, read: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Fn(&Reader<'_>) -> Result<T, Error> + Send + 'static,
    {
        match read(&self.engine.resident_reader()) {
            Err(Error::NotResident) => self.blocking(move |engine| read(&engine.reader())).await,
            answer => answer,
        }
    }

    /// Commits. Dropping the future does not take the proposal back.
    ///
    /// # Errors
    /// What the engine says, or `Refusal::Busy`.
    pub async fn commit(&self, proposal: Proposal) -> Result<Receipt, Error> {
        let answer = match self.engine.commit_future(proposal) {
            Ok(committed) => return committed.await,
            Err(proposal) => self.blocking(move |engine| engine.commit(proposal)),
        };
        answer.await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        call: impl FnOnce(&Engine) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let Some(_queued) = self.gate.queue() else {
            return Err(Refusal::Busy.into());
        };
        let _permit = self
            .gate
            .permits
            .acquire()
            .await
            .expect("the semaphore is never closed");
        let engine = self.engine.clone();
        match tokio::task::spawn_blocking(move || call(&engine)).await {
            Ok(answer) => answer,
            Err(failed) => std::panic::resume_unwind(failed.into_panic()),
        }
    }
}

impl Gate {
    fn queue(&self) -> Option<Queued<'_>> {
        let queued = Queued(self);
        let before = self.queued.fetch_add(1, Ordering::Relaxed);
        (before < self.queued_max).then_some(queued)
    }
}

/// A place among the calls that run or wait, given up when dropped.
struct Queued<'a>(&'a Gate);

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.0.queued.fetch_sub(1, Ordering::Relaxed);
    }
}
