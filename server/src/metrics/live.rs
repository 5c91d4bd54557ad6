//! What is counted of those who listen for changes.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Listeners, and what they were told. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct LiveFigures {
    listeners: Gauge,
    events: Counter,
}

impl LiveFigures {
    /// Somebody listens.
    pub fn came(&self) {
        self.listeners.inc();
    }

    /// Somebody listens no longer.
    pub fn went(&self) {
        self.listeners.dec();
    }

    /// A listener was told of so many datasets.
    pub fn told(&self, datasets: usize) {
        self.events.inc_by(datasets as u64);
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let help = "Event streams and long polls that wait for changes now";
        registry.register("listeners", help, self.listeners.clone());
        let help = "Datasets that event streams told of";
        registry.register("events", help, self.events.clone());
    }
}
