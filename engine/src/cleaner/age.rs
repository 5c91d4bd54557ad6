//! How old things are by the times that stand in them.

use std::collections::HashMap;

use super::{Cleaner, Work};
use crate::types::Timestamp;

/// Something with a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Aged {
    /// A segment of the log, by its number.
    Segment(u32),
    /// A checkpoint, by its number.
    Checkpoint(u32),
    /// What was deleted since a time.
    Deleted(Timestamp),
}

/// A clock that was ahead leaves times behind that are still to come, and the times of commits
/// never go back. What bears such a time is as old as it has been known here, so that nothing is
/// kept until the wrong time has come.
#[derive(Debug, Default)]
pub(super) struct Ages {
    /// When things that seemed to be of the future were first seen.
    first_seen: HashMap<Aged, Timestamp>,
}

impl Ages {
    /// Milliseconds since a thing was made.
    pub(super) fn of(&mut self, what: Aged, made: Timestamp, now: Timestamp) -> u64 {
        if made > now {
            self.first_seen.entry(what).or_insert(now);
        }
        let since = match self.first_seen.get_mut(&what) {
            Some(seen) => {
                // The clock may have been put right in several steps.
                *seen = now.min(*seen);
                made.min(*seen)
            }
            None => made,
        };
        now.get().saturating_sub(since.get())
    }

    /// Forgets things that are gone.
    pub(super) fn forget(&mut self, is_gone: impl Fn(&Aged) -> bool) {
        self.first_seen.retain(|what, _| !is_gone(what));
    }
}

impl Cleaner {
    /// Milliseconds since something was made.
    pub(super) fn age(&self, work: &mut Work, what: Aged, made: u64) -> u64 {
        let made = Timestamp::new(made).unwrap_or(Timestamp::ZERO);
        work.ages.of(what, made, (self.clock)())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Timestamp {
        Timestamp::new(ms).expect("a time")
    }

    #[test]
    fn the_future_is_as_old_as_it_is_known() {
        let mut ages = Ages::default();
        assert_eq!(ages.of(Aged::Segment(1), at(40), at(100)), 60);
        assert_eq!(ages.of(Aged::Segment(2), at(900), at(100)), 0);
        assert_eq!(ages.of(Aged::Segment(2), at(900), at(150)), 50);
        assert_eq!(ages.of(Aged::Segment(3), at(900), at(150)), 0);
        assert_eq!(ages.of(Aged::Segment(2), at(900), at(1000)), 900);
        assert_eq!(ages.of(Aged::Segment(4), at(900), at(800)), 0);
        assert_eq!(ages.of(Aged::Segment(4), at(900), at(200)), 0);
        assert_eq!(ages.of(Aged::Segment(4), at(900), at(260)), 60);
        ages.forget(|what| *what == Aged::Segment(2));
        assert_eq!(ages.of(Aged::Segment(2), at(900), at(1000)), 100);
    }
}
