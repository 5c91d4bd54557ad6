//! The engine behind the one door through which its calls may block.
//!
//! A read or a commit is first tried where the request runs, which suffices while what it needs is
//! in memory. Only what would touch the disk moves to a thread that may wait for it. Both the
//! calls that run and those that wait are bounded; beyond that the answer is "busy".

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use syncline_engine::{
    Backup, BackupOptions, Cursor, Engine, Error, FeedCommit, Proposal, Reader, Receipt, Refusal,
    Sequence,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::doors::Doors;
use crate::error::Chain;

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
    doors: Arc<Doors>,
    /// Room for one backup.
    backups: Arc<Semaphore>,
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
            doors: Arc::default(),
            backups: Arc::new(Semaphore::new(1)),
        }
    }

    /// The doors of its identities; see there.
    #[must_use]
    pub fn doors(&self) -> &Doors {
        &self.doors
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

    /// Commits. Dropping the future does not take the proposal back; who writes datasets must not
    /// drop it, since it passes the identity's [door](Doors).
    ///
    /// # Errors
    /// What the engine says, or `Refusal::Busy`.
    pub async fn commit(&self, proposal: Proposal) -> Result<Receipt, Error> {
        let _passed = self.doors.pass(&proposal).await;
        let answer = match self.engine.commit_future(proposal) {
            Ok(committed) => return committed.await,
            Err(proposal) => self.blocking(move |engine| engine.commit(proposal)),
        };
        answer.await
    }

    /// Commits many, in order, sharing syncs. Not for datasets: it passes no door.
    ///
    /// # Errors
    /// Of each what the engine says; of all `Refusal::Busy`.
    pub async fn commit_all(
        &self,
        proposals: Vec<Proposal>,
    ) -> Result<Vec<Result<Receipt, Error>>, Error> {
        self.blocking(move |engine| Ok(engine.commit_all(proposals)))
            .await
    }

    /// What a commit changed; `None` if the feed no longer reaches it, or does not tell of it.
    ///
    /// # Errors
    /// What reading says, or `Refusal::Busy`.
    pub async fn commit_at(&self, sequence: Sequence) -> Result<Option<FeedCommit>, Error> {
        self.blocking(move |engine| {
            let before = Cursor {
                store: engine.head().store,
                sequence: Sequence::new(sequence.get().saturating_sub(1)),
            };
            let commits = match engine.feed(before)?.read() {
                Err(Error::Refusal(Refusal::CursorTooOld { .. })) => return Ok(None),
                commits => commits?,
            };
            let mut commits = commits.into_iter();
            Ok(commits.find(|commit| commit.cursor.sequence == sequence))
        })
        .await
    }

    /// Makes a backup; `None` if one is being made. It goes on to its end also if nobody waits for
    /// it any more, and the log tells how it ended.
    ///
    /// # Errors
    /// Those of [`Engine::backup`], or `Refusal::Busy`.
    pub async fn backup(
        &self,
        target: PathBuf,
        options: BackupOptions,
    ) -> Result<Option<Backup>, Error> {
        let Some(alone) = self.alone() else {
            return Ok(None);
        };
        let made = self.blocking(move |engine| {
            let _alone = alone;
            let made = engine.backup(&target, &options);
            let target = target.display();
            match &made {
                Ok(made) => tracing::info!(
                    sequence = made.sequence.get(),
                    bytes = made.bytes,
                    "made the backup {target}"
                ),
                Err(error) => tracing::error!("making the backup {target}: {}", Chain(error)),
            }
            made
        });
        made.await.map(Some)
    }

    /// Lets no other backup be made while the answer lives; `None` if one is being made.
    pub(crate) fn alone(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.backups).try_acquire_owned().ok()
    }

    /// Calls what may wait for the disk, where it may.
    ///
    /// # Errors
    /// What the call says, or `Refusal::Busy`.
    pub async fn blocking<T: Send + 'static>(
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

#[cfg(test)]
mod tests {
    use syncline_engine::Options;

    use super::*;

    #[tokio::test]
    async fn beyond_the_queue_the_answer_is_busy() {
        let directory = tempfile::tempdir().unwrap();
        let engine = Engine::open(directory.path(), Options::default()).unwrap();
        let store = Store::new(
            engine,
            StoreLimits {
                running: 1,
                queued: 2,
            },
        );
        let one = store.gate.queue().unwrap();
        let two = store.gate.queue().unwrap();
        assert!(store.gate.queue().is_none());
        let cold = store.read(|_| Err::<(), _>(Error::NotResident)).await;
        assert!(matches!(cold, Err(Error::Refusal(Refusal::Busy))));
        drop((one, two));
        let answer = store.blocking(|_| Ok(7)).await;
        assert_eq!(answer.unwrap(), 7);
        assert_eq!(store.gate.queued.load(Ordering::Relaxed), 0);
    }
}
