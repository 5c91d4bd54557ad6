//! What is counted of calls of functions.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::{Figure, histogram};

/// Calls by function and outcome, their time, and which functions count as down. Clones share
/// them. Functions are those of the configuration, so no request makes a new one.
#[derive(Clone, Debug)]
pub struct TriggerFigures {
    calls: Family<CallLabels, Counter>,
    seconds: Family<FunctionLabel, Histogram, fn() -> Histogram>,
    down: Family<FunctionLabel, Figure>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct CallLabels {
    function: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct FunctionLabel {
    function: String,
}

impl TriggerFigures {
    /// Counts one call.
    pub fn called(&self, function: &str, outcome: &'static str, elapsed: Duration, down: bool) {
        let function = function.to_owned();
        let labels = CallLabels {
            function: function.clone(),
            outcome,
        };
        self.calls.get_or_create(&labels).inc();
        let label = FunctionLabel { function };
        // Who was turned away took no time to speak of.
        if !matches!(outcome, "down" | "throttled") {
            let seconds = self.seconds.get_or_create(&label);
            seconds.observe(elapsed.as_secs_f64());
        }
        self.down.get_or_create(&label).set(u64::from(down));
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("trigger");
        let help = "Calls of functions by what came of them";
        registry.register("calls", help, self.calls.clone());
        let help =
            "Time from the call of a function to its answer, of those neither throttled nor down";
        registry.register("seconds", help, self.seconds.clone());
        let help = "1 if a function is not asked since it failed several times in a row";
        registry.register("down", help, self.down.clone());
    }
}

impl Default for TriggerFigures {
    fn default() -> Self {
        Self {
            calls: Family::default(),
            seconds: Family::new_with_constructor(histogram),
            down: Family::default(),
        }
    }
}
