//! Who listens for changes of an identity's datasets, and the one follower of the feed that wakes
//! them.
//!
//! However many listen, each commit is read once, and only those are woken whose identity it
//! changed, or who wait for its pool. What has changed is kept by dataset until a listener takes
//! it, so a slow one costs no more than its identity's datasets. The follower runs only while
//! somebody listens.

mod follower;
mod listener;
mod pools;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use syncline_engine::{Cursor, DatasetName, Engine, Error, IdentityId, PoolId};

use crate::error::ApiError;
use crate::metrics::LiveFigures;

use listener::Listener;
use pools::Waiters;

pub use listener::{Change, News};
pub use pools::Wait;

/// Who may listen to one identity at once: a few windows on each of its devices.
const LISTENERS_PER_IDENTITY: usize = 32;

type Key = (PoolId, IdentityId);

/// All listeners of a server.
pub struct Live {
    shared: Arc<Shared>,
}

struct Shared {
    engine: Engine,
    listeners_max: usize,
    pool_listeners_max: usize,
    figures: LiveFigures,
    registry: Mutex<Registry>,
}

#[derive(Default)]
struct Registry {
    by_identity: HashMap<Key, Vec<Arc<Listener>>>,
    by_pool: HashMap<PoolId, usize>,
    count: usize,
    /// Who waits for any change of a pool.
    pools: HashMap<PoolId, Waiters>,
    /// Up to where the follower has told of everything, if it runs.
    followed: Option<Cursor>,
    /// Whether the server stops.
    closed: bool,
}

/// A place among the listeners, given up when dropped.
pub struct Ears {
    shared: Arc<Shared>,
    key: Key,
    listener: Arc<Listener>,
}

impl Live {
    /// Nobody listens yet; at most so many may at once, and so many to identities of one pool.
    #[must_use]
    pub fn new(engine: Engine, listeners_max: usize, pool_listeners_max: usize) -> Self {
        Self {
            shared: Arc::new(Shared {
                engine,
                listeners_max,
                pool_listeners_max,
                figures: LiveFigures::default(),
                registry: Mutex::default(),
            }),
        }
    }

    /// What is counted of the listeners; clones share it.
    #[must_use]
    pub fn figures(&self) -> &LiveFigures {
        &self.shared.figures
    }

    /// Listens to an identity: to the datasets named, or to all. Whatever is committed from now on
    /// is heard; what was before is to be read after this.
    ///
    /// # Errors
    /// `TooManyRequestsException` if too many listen already; faults of the feed.
    pub fn listen(
        &self,
        pool: PoolId,
        identity: IdentityId,
        names: Option<Vec<DatasetName>>,
    ) -> Result<Ears, ApiError> {
        let key = (pool, identity);
        let mut registry = self.shared.lock();
        if registry.count >= self.shared.listeners_max {
            return Err(ApiError::too_many_requests(format!(
                "Too many listeners: this server has room for {}.",
                self.shared.listeners_max
            ))
            .after_ms(10_000));
        }
        let of_pool = registry.by_pool.get(&pool).copied().unwrap_or(0);
        if of_pool >= self.shared.pool_listeners_max {
            return Err(ApiError::too_many_requests(format!(
                "Too many listeners: a pool has room for {}.",
                self.shared.pool_listeners_max
            ))
            .after_ms(10_000));
        }
        let known = registry.by_identity.get(&key).map_or(0, Vec::len);
        if known >= LISTENERS_PER_IDENTITY {
            return Err(ApiError::too_many_requests(format!(
                "Too many listeners: an identity may have {LISTENERS_PER_IDENTITY}."
            ))
            .after_ms(10_000));
        }
        self.shared.follow(&mut registry)?;
        let listener = Arc::new(Listener::new(names));
        if registry.closed {
            listener.end();
        }
        registry.count += 1;
        *registry.by_pool.entry(pool).or_default() += 1;
        let place = registry.by_identity.entry(key).or_default();
        place.push(Arc::clone(&listener));
        self.shared.figures.came();
        Ok(Ears {
            shared: Arc::clone(&self.shared),
            key,
            listener,
        })
    }

    /// Lets everybody go who listens, now and from now on: the server stops.
    pub fn close(&self) {
        let mut registry = self.shared.lock();
        registry.closed = true;
        registry.all().for_each(Listener::end);
    }
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Live")
    }
}

impl Ears {
    /// What has changed since the last time; wakes the task when there is something.
    pub fn poll(&self, task: &mut std::task::Context<'_>) -> std::task::Poll<News> {
        self.listener.poll(task)
    }

    /// Waits until something has changed.
    pub async fn heard(&self) -> News {
        std::future::poll_fn(|task| self.poll(task)).await
    }

    /// To whom it listens.
    #[must_use]
    pub fn identity(&self) -> (&PoolId, &IdentityId) {
        (&self.key.0, &self.key.1)
    }
}

impl Drop for Ears {
    fn drop(&mut self) {
        let mut registry = self.shared.lock();
        if let Some(place) = registry.by_identity.get_mut(&self.key) {
            place.retain(|known| !Arc::ptr_eq(known, &self.listener));
            if place.is_empty() {
                registry.by_identity.remove(&self.key);
            }
            registry.count -= 1;
            if let Some(of_pool) = registry.by_pool.get_mut(&self.key.0) {
                *of_pool -= 1;
                if *of_pool == 0 {
                    registry.by_pool.remove(&self.key.0);
                }
            }
        }
        // A burst of listeners leaves no memory behind.
        if registry.by_identity.capacity() > 4 * registry.by_identity.len() + 64 {
            registry.by_identity.shrink_to_fit();
        }
        drop(registry);
        self.shared.figures.went();
    }
}

impl Shared {
    /// Sees to it that the feed is followed.
    fn follow(self: &Arc<Self>, registry: &mut Registry) -> Result<(), Error> {
        if registry.followed.is_none() {
            let feed = self.engine.feed(self.engine.head())?;
            registry.followed = Some(feed.cursor());
            tokio::spawn(follower::follow(Arc::downgrade(self), feed));
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Registry {
    fn all(&self) -> impl Iterator<Item = &Listener> {
        self.by_identity.values().flatten().map(Arc::as_ref)
    }

    fn of(&self, pool: PoolId, identity: IdentityId) -> impl Iterator<Item = &Listener> {
        let found = self.by_identity.get(&(pool, identity));
        found.into_iter().flatten().map(Arc::as_ref)
    }
}

#[cfg(test)]
mod tests;
