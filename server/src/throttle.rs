//! How many requests an identity, and a developer's key, may send: a bucket for each.
//!
//! Memory is bounded: buckets are kept in two generations, and the older one is dropped when the
//! younger is full. Whoever is dropped has a full bucket again, so a flood of callers makes the
//! limit weaker, never wrong for those who keep asking.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::bucket::{Bucket, Rate};
use crate::error::ApiError;

/// Callers in a generation: 65,536 names of at most 128 bytes, about 12 MiB.
const GENERATION_MAX: usize = 1 << 16;

/// The buckets of all callers of one kind.
#[derive(Debug)]
pub struct Throttle {
    rate: Option<Rate>,
    generations: Mutex<Generations>,
}

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<Box<str>, Bucket>,
    old: HashMap<Box<str>, Bucket>,
}

impl Throttle {
    /// No buckets yet; without a rate there will be none.
    #[must_use]
    pub fn new(rate: Option<Rate>) -> Self {
        Self {
            rate,
            generations: Mutex::default(),
        }
    }

    /// Takes one request from the bucket of a caller.
    ///
    /// # Errors
    /// `TooManyRequestsException`, with the time to wait.
    pub fn admit(&self, caller: &str, now_ms: u64) -> Result<(), ApiError> {
        let Some(rate) = self.rate else {
            return Ok(());
        };
        // What is kept is whole whatever panicked beside it.
        let mut generations = self
            .generations
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        generations
            .bucket(caller)
            .take(rate, now_ms)
            .map_err(|wait_ms| {
                let error = ApiError::too_many_requests("Rate exceeded");
                error.after_ms(wait_ms)
            })
    }
}

impl Generations {
    fn bucket(&mut self, caller: &str) -> &mut Bucket {
        if !self.young.contains_key(caller) {
            let bucket = self.old.remove(caller).unwrap_or_default();
            if self.young.len() >= GENERATION_MAX {
                self.old = std::mem::take(&mut self.young);
            }
            self.young.insert(caller.into(), bucket);
        }
        self.young.entry(caller.into()).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate {
        per_second: 2,
        burst: 3,
    };

    #[test]
    fn callers_are_apart_and_are_told_when_to_come_back() {
        let throttle = Throttle::new(Some(RATE));
        for _ in 0..3 {
            assert_eq!(throttle.admit("ann", 1000), Ok(()));
        }
        let error = throttle.admit("ann", 1000).unwrap_err();
        assert_eq!(error.kind.name(), "TooManyRequestsException");
        assert_eq!(error.retry_after_seconds, Some(1));
        assert_eq!(throttle.admit("ben", 1000), Ok(()));
        assert_eq!(throttle.admit("ann", 1500), Ok(()));
    }

    #[test]
    fn without_a_rate_nobody_waits_and_nothing_is_kept() {
        let throttle = Throttle::new(None);
        assert!((0..1000).all(|_| throttle.admit("ann", 0).is_ok()));
        assert!(throttle.generations.lock().unwrap().young.is_empty());
    }

    #[test]
    fn memory_is_bounded_and_who_keeps_asking_is_not_forgotten() {
        let throttle = Throttle::new(Some(RATE));
        for _ in 0..3 {
            throttle.admit("ann", 1000).unwrap();
        }
        for at in 0..3 * GENERATION_MAX {
            throttle.admit(&at.to_string(), 1000).unwrap();
            if at % 1000 == 0 {
                assert!(throttle.admit("ann", 1000).is_err(), "after {at}");
            }
        }
        let generations = throttle.generations.lock().unwrap();
        assert!(generations.young.len() <= GENERATION_MAX);
        assert!(generations.old.len() <= GENERATION_MAX);
    }
}
