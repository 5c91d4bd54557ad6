//! What to do while a sink takes nothing: how long to wait, how often to say it, when to give up.

use std::time::{Duration, Instant};

use uuid::Uuid;

/// The first wait, which doubles up to the longest.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// How often the log says that it still fails.
const SAY_AGAIN: Duration = Duration::from_secs(60);

/// Trouble with a sink that has not passed yet.
#[derive(Debug)]
pub(super) struct Trouble {
    /// How long there was trouble before this process.
    before: Duration,
    since: Instant,
    tries: u32,
    said: Option<Instant>,
}

impl Trouble {
    /// Trouble that lasts for so long already. Only the time in which the sink is tried counts: a
    /// server that is stopped, or a machine that sleeps, tells nothing of it.
    pub(super) fn new(before: Duration) -> Self {
        Self {
            before,
            since: Instant::now(),
            tries: 0,
            said: None,
        }
    }

    /// How long the sink has taken nothing while it was tried.
    pub(super) fn failing(&self) -> Duration {
        self.before + self.since.elapsed()
    }

    /// How long to wait before the next try: longer each time, and never quite as long as another
    /// pool that failed at the same moment.
    pub(super) fn wait(&mut self) -> Duration {
        let doubled = FIRST_WAIT.saturating_mul(1 << self.tries.min(10));
        self.tries += 1;
        let wait = doubled.min(LONGEST_WAIT);
        wait / 2 + (wait / 2).mul_f64(chance())
    }

    /// Whether the log should say it now.
    pub(super) fn is_to_be_said(&mut self) -> bool {
        let is_due = self.said.is_none_or(|said| said.elapsed() >= SAY_AGAIN);
        if is_due {
            self.said = Some(Instant::now());
        }
        is_due
    }
}

/// A number from 0 to 1 that nobody knows before.
fn chance() -> f64 {
    f64::from(Uuid::new_v4().as_fields().0) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_their_bound_and_differ() {
        let mut trouble = Trouble::new(Duration::ZERO);
        let waits: Vec<Duration> = (0..40).map(|_| trouble.wait()).collect();
        assert!(waits[0] >= FIRST_WAIT / 2 && waits[0] <= FIRST_WAIT);
        assert!(waits[20..].iter().all(|wait| *wait >= LONGEST_WAIT / 2));
        assert!(waits.iter().all(|wait| *wait <= LONGEST_WAIT));
        assert!(waits[20..].windows(2).any(|two| two[0] != two[1]));
        assert!(trouble.is_to_be_said());
        assert!(!trouble.is_to_be_said(), "not each time");
    }
}
