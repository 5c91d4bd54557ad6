//! A token bucket: so many at once, and so many a second after that.

/// Parts of a token in which a bucket is counted: what one millisecond brings at a rate of one.
const PARTS: u64 = 1000;

/// How fast a bucket fills, and how much it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Tokens that come back in a second; at least 1.
    pub per_second: u64,
    /// Tokens that a full bucket holds; at least 1.
    pub burst: u64,
}

/// A bucket, at first full.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bucket {
    /// Spent parts, at `at_ms`.
    spent: u64,
    at_ms: u64,
}

impl Bucket {
    /// Takes one token.
    ///
    /// # Errors
    /// In how many milliseconds there will be one, if there is none.
    pub fn take(&mut self, rate: Rate, now_ms: u64) -> Result<(), u64> {
        // A clock that was set back neither fills nor empties the bucket.
        let passed_ms = now_ms.saturating_sub(self.at_ms);
        self.spent = self
            .spent
            .saturating_sub(passed_ms.saturating_mul(rate.per_second));
        self.at_ms = now_ms;
        let spent = self.spent + PARTS;
        if let Some(lacking) = spent.checked_sub(rate.burst * PARTS).filter(|l| *l > 0) {
            return Err(lacking.div_ceil(rate.per_second.max(1)));
        }
        self.spent = spent;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_there_when_it_was_said_to_be() {
        let rate = Rate {
            per_second: 3,
            burst: 5,
        };
        let mut bucket = Bucket::default();
        let mut now_ms = 1_000_000;
        for _ in 0..5 {
            assert_eq!(bucket.take(rate, now_ms), Ok(()));
        }
        for _ in 0..20 {
            let wait_ms = bucket.take(rate, now_ms).unwrap_err();
            assert!((1..=334).contains(&wait_ms), "{wait_ms}");
            assert!(bucket.take(rate, now_ms + wait_ms - 1).is_err());
            now_ms += wait_ms;
            assert_eq!(bucket.take(rate, now_ms), Ok(()));
        }
    }

    #[test]
    fn a_clock_that_was_set_back_changes_nothing() {
        let rate = Rate {
            per_second: 1,
            burst: 1,
        };
        let mut bucket = Bucket::default();
        assert_eq!(bucket.take(rate, 5000), Ok(()));
        assert_eq!(bucket.take(rate, 3000), Err(1000));
        assert_eq!(bucket.take(rate, 3999), Err(1));
        assert_eq!(bucket.take(rate, 4000), Ok(()));
    }
}
