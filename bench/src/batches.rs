//! Work that is done together: whoever opens a batch leads it, the others follow.
//!
//! The leader waits until it is its turn, while its batch goes on filling; then it closes the
//! batch, does what is in it, and wakes its followers. No timer, no thread of its own.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::failure::{Failure, Result};

/// Batches, one after the other; `T` is what the open one is made of.
#[derive(Default)]
pub struct Batches<T> {
    open: Mutex<Open<T>>,
    /// Held while a batch is done.
    turn: Mutex<()>,
}

#[derive(Default)]
struct Open<T> {
    content: T,
    batch: Arc<Batch>,
}

/// Where followers wait.
#[derive(Default)]
struct Batch {
    end: Mutex<Option<std::result::Result<(), String>>>,
    ended: Condvar,
}

impl<T> Batches<T> {
    /// Puts something into the open batch and returns when that is done. `put` says whether it was
    /// the first; `take` empties the batch, `run` does what was in it.
    pub fn join<B>(
        &self,
        put: impl FnOnce(&mut T) -> bool,
        take: impl FnOnce(&mut T) -> B,
        run: impl FnOnce(B) -> Result<()>,
    ) -> Result<()> {
        let mut open = lock(&self.open);
        let leads = put(&mut open.content);
        let batch = Arc::clone(&open.batch);
        drop(open);
        if !leads {
            return batch.follow();
        }
        let turn = lock(&self.turn);
        let mut open = lock(&self.open);
        let taken = take(&mut open.content);
        open.batch = Arc::default();
        drop(open);
        let done = run(taken);
        drop(turn);
        batch.finish(&done);
        done
    }
}

impl Batch {
    fn finish(&self, done: &Result<()>) {
        let end = done.as_ref().map(|&()| ()).map_err(ToString::to_string);
        *lock(&self.end) = Some(end);
        self.ended.notify_all();
    }

    fn follow(&self) -> Result<()> {
        let end = self.ended.wait_while(lock(&self.end), |end| end.is_none());
        let end = end.unwrap_or_else(PoisonError::into_inner);
        end.clone().unwrap_or(Ok(())).map_err(Failure::from)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
