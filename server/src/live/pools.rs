//! Who waits for the next change of a pool, whatever it is of: woken by that alone.

use std::sync::Arc;

use syncline_engine::{Cursor, Error, FeedChange, PoolId};
use tokio::sync::watch;

use super::{Live, Registry, Shared};

/// Those who wait for one pool.
#[derive(Default)]
pub(super) struct Waiters {
    bell: watch::Sender<()>,
    count: usize,
}

/// A place among those who wait for a pool, given up when dropped.
pub struct Wait {
    shared: Arc<Shared>,
    pool: PoolId,
    bell: watch::Receiver<()>,
}

impl Live {
    /// Waits for a change of a pool. Whatever is committed from now on rings; what was before is to
    /// be read after this. Who waits is counted elsewhere.
    ///
    /// # Errors
    /// Those of the feed.
    pub fn wait(&self, pool: PoolId) -> Result<Wait, Error> {
        let mut registry = self.shared.lock();
        self.shared.follow(&mut registry)?;
        let waiters = registry.pools.entry(pool).or_default();
        waiters.count += 1;
        Ok(Wait {
            shared: Arc::clone(&self.shared),
            pool,
            bell: waiters.bell.subscribe(),
        })
    }
}

impl Wait {
    /// Resolves when the pool has changed since this began, or nobody follows the feed any more:
    /// then it is to be read, and waited for anew.
    pub async fn rung(&mut self) {
        // An error means that nobody can ring, which cannot be while this lives.
        let _ = self.bell.changed().await;
    }

    /// Up to where the pool has not changed since this began, if it has not.
    #[must_use]
    pub fn quiet(&self) -> Option<Cursor> {
        let registry = self.shared.lock();
        let has_rung = self.bell.has_changed().unwrap_or(true);
        registry.followed.filter(|_| !has_rung)
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        let mut registry = self.shared.lock();
        if let Some(waiters) = registry.pools.get_mut(&self.pool) {
            waiters.count -= 1;
            if waiters.count == 0 {
                registry.pools.remove(&self.pool);
            }
        }
    }
}

impl Registry {
    /// Rings for the pool of a change.
    pub(super) fn ring(&self, change: &FeedChange) {
        let pool = match change {
            FeedChange::Updated { dataset, .. }
            | FeedChange::Whole { dataset, .. }
            | FeedChange::DeletedDataset { dataset, .. } => &dataset.pool,
            FeedChange::DeletedIdentity { pool, .. } | FeedChange::DeletedPool { pool } => pool,
        };
        if let Some(waiters) = self.pools.get(pool) {
            waiters.bell.send_replace(());
        }
    }

    /// Rings for everybody.
    pub(super) fn ring_all(&self) {
        for waiters in self.pools.values() {
            waiters.bell.send_replace(());
        }
    }
}
