//! What those who change streams tell whoever delivers them, and what is counted of streams.

use tokio::sync::Notify;

use crate::metrics::StreamCounters;

/// See the module.
#[derive(Debug, Default)]
pub struct Outflow {
    /// What is counted.
    pub counters: StreamCounters,
    bell: Notify,
}

impl Outflow {
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
