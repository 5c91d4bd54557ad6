//! What is counted of streams and bulk publishes.
//!
//! Labels are names of the configuration's streams, so that nobody can make the page grow.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Counters of all streams. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct StreamCounters {
    sent: Family<StreamLabel, Counter>,
    retries: Family<StreamLabel, Counter>,
    set_aside: Family<StreamLabel, Counter>,
    disabled: Family<StreamLabel, Counter>,
    failing: Family<StreamLabel, Gauge>,
    /// Commits read from the log once for all pools.
    pub read_for_all: Counter,
    /// Commits read from the log for one pool that is far behind.
    pub read_for_one: Counter,
    /// Pages that were read from the log for consumers.
    pub pages: Counter,
    /// Bulk publishes under way.
    pub publishing: Gauge,
    /// Datasets that bulk publishes wrote to the log again.
    pub republished: Counter,
}

/// The counters of one stream.
#[derive(Clone, Debug)]
pub struct StreamTally {
    /// Events that its sink took, repeats included.
    pub sent: Counter,
    /// Times that something was offered again.
    pub retries: Counter,
    /// Events that its sink refused for good.
    pub set_aside: Counter,
    /// Pools whose streaming was disabled because of it.
    pub disabled: Counter,
    /// Pools that wait for its sink to take something again.
    pub failing: Gauge,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct StreamLabel {
    stream: String,
}

impl StreamCounters {
    /// The counters of a stream by its name in the configuration.
    #[must_use]
    pub fn of(&self, stream: &str) -> StreamTally {
        let label = StreamLabel {
            stream: stream.to_owned(),
        };
        StreamTally {
            sent: self.sent.get_or_create(&label).clone(),
            retries: self.retries.get_or_create(&label).clone(),
            set_aside: self.set_aside.get_or_create(&label).clone(),
            disabled: self.disabled.get_or_create(&label).clone(),
            failing: self.failing.get_or_create(&label).clone(),
        }
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let streams = registry.sub_registry_with_prefix("stream");
        let help = "Events that the sink took, repeats included";
        streams.register("events_sent", help, self.sent.clone());
        let help = "Times that events were offered to the sink again";
        streams.register("retries", help, self.retries.clone());
        let help = "Events that the sink refused for good and that are kept in a file";
        streams.register("events_set_aside", help, self.set_aside.clone());
        let help = "Pools whose streaming the server disabled; the log and DisabledReason say why";
        streams.register("disabled", help, self.disabled.clone());
        let help = "Pools that wait for the sink to take something again";
        streams.register("failing", help, self.failing.clone());
        let help = "Commits that were read from the log once for all pools that stream";
        streams.register("commits_read_for_all", help, self.read_for_all.clone());
        let help = "Commits that were read from the log for a pool that was behind the others";
        streams.register("commits_read_for_one", help, self.read_for_one.clone());
        let help = "Pages read from the log for the built-in stream and the list of changes";
        streams.register("pages_read", help, self.pages.clone());
        let publish = registry.sub_registry_with_prefix("bulk_publish");
        publish.register(
            "running",
            "Bulk publishes under way",
            self.publishing.clone(),
        );
        let help = "Datasets that bulk publishes wrote to the log again";
        publish.register("datasets", help, self.republished.clone());
    }
}
