//! A condition variable of the scheduler that also lets time run out, which the scheduler's own
//! never does.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{LockResult, PoisonError};
use std::time::Duration;

use shuttle::rand::{Rng, thread_rng};
use shuttle::sync::MutexGuard;

/// A wait of this length or more may last until it is woken, so that a wake-up that was lost shows
/// as a store that hangs. Shorter ones are rests, which always end.
const LONG: Duration = Duration::from_millis(500);
/// After so many long waits that ran out none does any more, so that every run ends.
const EXPIRED_MAX: u32 = 4;

/// A condition variable.
#[derive(Debug, Default)]
pub(crate) struct Condvar {
    inner: shuttle::sync::Condvar,
    /// Long waits that ran out.
    expired: AtomicU32,
}

/// How a wait ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waited {
    timed_out: bool,
}

impl Waited {
    pub(crate) fn timed_out(self) -> bool {
        self.timed_out
    }
}

impl Condvar {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn notify_all(&self) {
        self.inner.notify_all();
    }

    pub(crate) fn wait_while<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        condition: impl FnMut(&mut T) -> bool,
    ) -> LockResult<MutexGuard<'a, T>> {
        self.inner.wait_while(guard, condition)
    }

    /// Waits until the condition no longer holds, or chance says that the time is over.
    pub(crate) fn wait_timeout_while<'a, T>(
        &self,
        mut guard: MutexGuard<'a, T>,
        timeout: Duration,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> LockResult<(MutexGuard<'a, T>, Waited)> {
        let woken = Waited { timed_out: false };
        while condition(&mut guard) {
            if self.runs_out(timeout) {
                return Ok((guard, Waited { timed_out: true }));
            }
            guard = match self.inner.wait(guard) {
                Ok(guard) => guard,
                Err(poisoned) => {
                    return Err(PoisonError::new((poisoned.into_inner(), woken)));
                }
            };
        }
        Ok((guard, woken))
    }

    fn runs_out(&self, timeout: Duration) -> bool {
        if timeout < LONG {
            return true;
        }
        let may = self.expired.load(Ordering::Relaxed) < EXPIRED_MAX;
        let runs_out = may && thread_rng().gen_bool(0.5);
        self.expired
            .fetch_add(u32::from(runs_out), Ordering::Relaxed);
        runs_out
    }
}
