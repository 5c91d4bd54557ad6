//! Spares a function that is down, and those who wait for it: after some failures in a row it is
//! not asked any more, but for one caller now and then who finds out whether it is back.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Failures in a row after which a function counts as down.
const FAILURES: u32 = 5;
/// Time until one caller tries again.
const REST: Duration = Duration::from_secs(5);

/// What is known of one function.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// In a row.
    failures: u32,
    /// Whether the last one was of slowness.
    slow: bool,
    /// While it is down: when the next one may try.
    closed_until: Option<Instant>,
    /// Whether somebody tries just now.
    probing: bool,
}

/// Leave to call the function. Dropped without a verdict, it says nothing.
#[derive(Debug)]
pub(super) struct Attempt {
    breaker: Arc<Breaker>,
    probes: bool,
}

impl Breaker {
    /// Leave for a call.
    ///
    /// # Errors
    /// The function is down; whether that showed as slowness.
    pub(super) fn attempt(self: &Arc<Self>, now: Instant) -> Result<Attempt, bool> {
        let mut state = self.lock();
        let probes = match state.closed_until {
            None => false,
            Some(until) if now >= until && !state.probing => {
                state.probing = true;
                true
            }
            Some(_) => return Err(state.slow),
        };
        drop(state);
        Ok(Attempt {
            breaker: Arc::clone(self),
            probes,
        })
    }

    /// Whether the function counts as down.
    pub(super) fn is_open(&self) -> bool {
        self.lock().closed_until.is_some()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attempt {
    /// The function answered, whatever it said.
    pub(super) fn answered(self) {
        let mut state = self.breaker.lock();
        state.failures = 0;
        state.closed_until = None;
    }

    /// It did not, or slowly.
    pub(super) fn failed(self, slow: bool, now: Instant) {
        let mut state = self.breaker.lock();
        state.failures = state.failures.saturating_add(1);
        state.slow = slow;
        if state.failures >= FAILURES {
            state.closed_until = Some(now + REST);
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if self.probes {
            self.breaker.lock().probing = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_failures_in_a_row_one_at_a_time_tries_again() {
        let (breaker, start) = (Arc::<Breaker>::default(), Instant::now());
        let attempt = |now| breaker.attempt(now);
        for _ in 0..FAILURES - 1 {
            attempt(start).unwrap().failed(false, start);
        }
        attempt(start).unwrap().answered();
        for at in 0..FAILURES {
            assert!(!breaker.is_open());
            attempt(start).unwrap().failed(at % 2 == 0, start);
        }
        assert!(breaker.is_open());
        let later = start + REST;
        assert!(attempt(later - Duration::from_millis(1)).unwrap_err());
        let probe = attempt(later).unwrap();
        assert!(attempt(later).unwrap_err());
        probe.failed(false, later);
        assert!(!attempt(later).unwrap_err());
        // One that says nothing leaves the place to the next.
        drop(attempt(later + REST).unwrap());
        let probe = attempt(later + REST).unwrap();
        attempt(later + REST).unwrap_err();
        probe.answered();
        assert!(!breaker.is_open());
        let (one, two) = (attempt(later).unwrap(), attempt(later).unwrap());
        one.answered();
        two.answered();
    }
}
