//! Which pools' streams changed, told to whoever delivers them; and what is counted of streams.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;
use uuid::Uuid;

use crate::metrics::StreamCounters;

/// See the module.
#[derive(Debug, Default)]
pub struct Streaming {
    /// What is counted.
    pub counters: StreamCounters,
    /// Pools that were changed since they were last taken: at most all there are.
    changed: Mutex<BTreeSet<Uuid>>,
    bell: Notify,
}

impl Streaming {
    /// What a pool streams, or whether it publishes, was changed.
    pub fn touch(&self, pool: Uuid) {
        let mut changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
        changed.insert(pool);
        drop(changed);
        self.bell.notify_one();
    }

    /// Waits for pools that were changed, and takes them. For one listener; what comes while it
    /// does not wait is kept.
    pub async fn changed(&self) -> BTreeSet<Uuid> {
        loop {
            let heard = self.bell.notified();
            let taken = {
                let mut changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
                std::mem::take(&mut *changed)
            };
            if !taken.is_empty() {
                return taken;
            }
            heard.await;
        }
    }
}
