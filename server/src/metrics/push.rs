//! What is counted of push messages.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::Figure;

/// Messages by application and outcome, and how many wait. Applications are those of the
/// configuration. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct PushFigures {
    messages: Family<MessageLabels, Counter>,
    waiting: Family<ApplicationLabel, Figure>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct MessageLabels {
    application: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ApplicationLabel {
    application: String,
}

impl PushFigures {
    /// Counts what became of messages.
    pub fn told(&self, application: &str, outcome: &'static str, messages: u64) {
        let labels = MessageLabels {
            application: application.to_owned(),
            outcome,
        };
        self.messages.get_or_create(&labels).inc_by(messages);
    }

    /// How many messages of an application wait now.
    pub fn waiting(&self, application: &str, messages: usize) {
        let label = ApplicationLabel {
            application: application.to_owned(),
        };
        self.waiting.get_or_create(&label).set(messages as u64);
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("push");
        let help = "Push messages by what became of them";
        registry.register("messages", help, self.messages.clone());
        let help = "Push messages that wait to be delivered";
        registry.register("waiting", help, self.waiting.clone());
    }
}
