//! How many sync sessions each pool has seen: counted in memory, stored now and then.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use syncline_engine::MetadataKey;
use uuid::Uuid;

/// The counts of all pools.
#[derive(Debug, Default)]
pub struct Counts {
    pools: Mutex<HashMap<Uuid, Count>>,
}

#[derive(Debug)]
struct Count {
    pool_key: MetadataKey,
    opened: u64,
    stored: u64,
}

/// A count that is not stored yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// The pool.
    pub pool: Uuid,
    /// The key under which the pool itself is stored.
    pub pool_key: MetadataKey,
    /// Sessions ever opened.
    pub opened: u64,
}

impl Counts {
    /// Takes over a stored count.
    pub fn load(&self, pool: Uuid, pool_key: MetadataKey, opened: u64) {
        self.lock().insert(
            pool,
            Count {
                pool_key,
                opened,
                stored: opened,
            },
        );
    }

    /// A session was opened.
    pub fn add(&self, pool: Uuid, pool_key: impl FnOnce() -> MetadataKey) {
        let mut pools = self.lock();
        let count = pools.entry(pool).or_insert_with(|| Count {
            pool_key: pool_key(),
            opened: 0,
            stored: 0,
        });
        count.opened += 1;
    }

    /// Sessions ever opened.
    #[must_use]
    pub fn opened(&self, pool: Uuid) -> u64 {
        self.lock().get(&pool).map_or(0, |count| count.opened)
    }

    /// What is to be stored.
    #[must_use]
    pub fn changed(&self) -> Vec<Changed> {
        let pools = self.lock();
        let changed = pools
            .iter()
            .filter(|(_, count)| count.opened > count.stored);
        changed
            .map(|(pool, count)| Changed {
                pool: *pool,
                pool_key: count.pool_key.clone(),
                opened: count.opened,
            })
            .collect()
    }

    /// A count was stored.
    pub fn stored(&self, change: &Changed) {
        if let Some(count) = self.lock().get_mut(&change.pool) {
            count.stored = count.stored.max(change.opened);
        }
    }

    /// A pool is gone.
    pub fn forget(&self, pool: Uuid) {
        self.lock().remove(&pool);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, Count>> {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POOL: Uuid = Uuid::from_u128(1);

    fn key() -> MetadataKey {
        MetadataKey::new(*b"pool").unwrap()
    }

    #[test]
    fn what_was_counted_while_storing_is_stored_next() {
        let counts = Counts::default();
        counts.load(POOL, key(), 7);
        assert_eq!(counts.changed(), []);
        counts.add(POOL, key);
        let change = Changed {
            pool: POOL,
            pool_key: key(),
            opened: 8,
        };
        assert_eq!(counts.changed(), std::slice::from_ref(&change));
        counts.add(POOL, key);
        counts.stored(&change);
        assert_eq!(
            counts.changed(),
            [Changed {
                opened: 9,
                ..change
            }]
        );
        assert_eq!(counts.opened(POOL), 9);
        counts.forget(POOL);
        assert_eq!(counts.opened(POOL), 0);
    }
}
