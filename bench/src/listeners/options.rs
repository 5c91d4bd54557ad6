//! What `listeners` is asked for.

use std::time::Duration;

use clap::Args;

/// Longest time that updates may go on.
const SECONDS_MAX: f64 = 86_400.0;

#[derive(Args, Clone)]
pub struct ListenerOptions {
    /// Event streams, each of an identity of its own [default: 5000, quick 500]
    #[arg(long)]
    listeners: Option<usize>,
    /// Updates a second
    #[arg(long, default_value_t = 200.0)]
    pub listener_rate: f64,
    /// Seconds of updates, once for events and once for messages [default: 30, quick 3]
    #[arg(long, value_parser = seconds, allow_hyphen_values = true)]
    listener_seconds: Option<f64>,
}

impl ListenerOptions {
    pub fn listeners(&self, is_quick: bool) -> usize {
        let default = if is_quick { 500 } else { 5000 };
        self.listeners.unwrap_or(default).max(1)
    }

    pub fn time(&self, is_quick: bool) -> Duration {
        let default = if is_quick { 3.0 } else { 30.0 };
        Duration::from_secs_f64(self.listener_seconds.unwrap_or(default))
    }
}

/// A time that there can be.
fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok();
    let seconds = seconds.filter(|seconds| *seconds > 0.0 && *seconds <= SECONDS_MAX);
    seconds.ok_or_else(|| format!("must be more than 0 and at most {SECONDS_MAX} seconds"))
}
