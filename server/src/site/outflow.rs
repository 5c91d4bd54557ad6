//! What those who change streams tell whoever delivers them, and what is counted of streams.

use tokio::sync::Notify;

use super::Holds;
use crate::metrics::StreamCounters;

/// See the module.
#[derive(Debug, Default)]
pub struct Outflow {
    /// What is counted.
    pub counters: StreamCounters,
    /// What keeps the log for them.
    pub holds: Holds,
    bell: Notify,
}

impl Outflow {
    /// With what keeps the log already.
    #[must_use]
    pub fn new(holds: Holds) -> Self {
        Self {
            holds,
            ..Self::default()
        }
    }

    /// What some pool streams, or whether it publishes, was changed. Also heard if nobody listens
    /// yet.
    pub fn touch(&self) {
        self.bell.notify_one();
    }

    /// Resolves when something was changed since it last did. For one listener.
    pub async fn touched(&self) {
        self.bell.notified().await;
    }
}
