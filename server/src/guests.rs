//! How fast guests may come to be, and how many identities a pool may have.
//!
//! The rate is a token bucket per pool; the number is exact: the count of what is stored, with a
//! place reserved before an identity is made and given back if it was not.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use crate::bucket::{Bucket, Rate};

/// Guests that may come at once: ten seconds of the default rate.
const BURST: u64 = 250;

/// Why an identity may not come to be now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Too many guests a second.
    TooFast,
    /// The pool is full.
    Full {
        /// The limit.
        max: u64,
    },
}

/// The counts of all pools.
#[derive(Debug)]
pub struct Guests {
    pools: Mutex<HashMap<Uuid, Pool>>,
    per_second: u64,
    per_pool_max: u64,
}

#[derive(Debug, Default)]
struct Pool {
    identities: u64,
    bucket: Bucket,
}

impl Guests {
    /// Nothing counted yet. Zero means no limit.
    #[must_use]
    pub fn new(per_second: u32, per_pool_max: u64) -> Arc<Self> {
        Arc::new(Self {
            pools: Mutex::default(),
            per_second: per_second.into(),
            per_pool_max,
        })
    }

    /// Counts an identity that was found at start.
    pub fn found(&self, pool: Uuid) {
        self.lock().entry(pool).or_default().identities += 1;
    }

    /// Takes one guest from the bucket of a pool.
    ///
    /// # Errors
    /// [`Refused::TooFast`] if the bucket is empty.
    pub fn admit(&self, pool: Uuid, now_ms: u64) -> Result<(), Refused> {
        if self.per_second == 0 {
            return Ok(());
        }
        let rate = Rate {
            per_second: self.per_second,
            burst: BURST,
        };
        let mut pools = self.lock();
        let bucket = &mut pools.entry(pool).or_default().bucket;
        bucket.take(rate, now_ms).map_err(|_| Refused::TooFast)
    }

    /// Reserves a place for an identity of a pool.
    ///
    /// # Errors
    /// [`Refused::Full`] if there is none.
    pub fn reserve(self: &Arc<Self>, pool: Uuid) -> Result<Place, Refused> {
        let mut pools = self.lock();
        let found = pools.entry(pool).or_default();
        if self.per_pool_max > 0 && found.identities >= self.per_pool_max {
            return Err(Refused::Full {
                max: self.per_pool_max,
            });
        }
        found.identities += 1;
        drop(pools);
        Ok(Place {
            guests: Arc::clone(self),
            pool,
            kept: false,
        })
    }

    /// How many identities a pool has, those being made included.
    #[must_use]
    pub fn identities(&self, pool: Uuid) -> u64 {
        self.lock().get(&pool).map_or(0, |pool| pool.identities)
    }

    /// An identity of a pool is gone.
    pub fn gone(&self, pool: Uuid) {
        if let Some(pool) = self.lock().get_mut(&pool) {
            pool.identities = pool.identities.saturating_sub(1);
        }
    }

    /// A pool is gone, with all its identities.
    pub fn forget(&self, pool: Uuid) {
        self.lock().remove(&pool);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, Pool>> {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A reserved place, given back unless it is kept.
#[derive(Debug)]
#[must_use]
pub struct Place {
    guests: Arc<Guests>,
    pool: Uuid,
    kept: bool,
}

impl Place {
    /// The identity was made.
    pub fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.kept
            && let Some(pool) = self.guests.lock().get_mut(&self.pool)
        {
            // The pool may have gone and come back empty in between.
            pool.identities = pool.identities.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POOL: Uuid = Uuid::from_u128(1);

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let guests = Guests::new(25, 0);
        let admitted = |now_ms| {
            (0..1000)
                .filter(|_| guests.admit(POOL, now_ms).is_ok())
                .count()
        };
        assert_eq!(admitted(1_000_000), 250);
        assert_eq!(admitted(1_000_040), 1);
        assert_eq!(admitted(1_001_040), 25);
        assert_eq!(admitted(1_001_000), 0, "a clock set back");
        assert_eq!(
            guests.admit(Uuid::from_u128(2), 1_001_000),
            Ok(()),
            "pools are apart"
        );
        assert_eq!(admitted(9_000_000), 250);
    }

    #[test]
    fn zero_is_no_limit() {
        let guests = Guests::new(0, 0);
        assert!((0..1000).all(|_| guests.admit(POOL, 5).is_ok()));
        (0..1000).for_each(|_| guests.reserve(POOL).unwrap().keep());
        assert_eq!(guests.identities(POOL), 1000);
    }

    #[test]
    fn a_place_is_kept_or_given_back() {
        let guests = Guests::new(0, 2);
        guests.found(POOL);
        let place = guests.reserve(POOL).unwrap();
        assert_eq!(guests.reserve(POOL).unwrap_err(), Refused::Full { max: 2 });
        drop(place);
        guests.reserve(POOL).unwrap().keep();
        assert_eq!(guests.reserve(POOL).unwrap_err(), Refused::Full { max: 2 });
        assert_eq!(guests.identities(POOL), 2);
        guests.gone(POOL);
        assert_eq!(guests.identities(POOL), 1);
        let place = guests.reserve(POOL).unwrap();
        guests.forget(POOL);
        drop(place);
        assert_eq!(guests.identities(POOL), 0);
    }
}
