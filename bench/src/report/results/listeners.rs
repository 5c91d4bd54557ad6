//! What `listeners` left.

use serde::Deserialize;

/// Event streams and messages to devices while datasets changed.
#[derive(Deserialize)]
pub struct Listeners {
    pub listeners: u64,
    pub listener_bytes: u64,
    pub rate: f64,
    pub events: Told,
    pub devices: u64,
    pub messages: Told,
}

/// What arrived of updates.
#[derive(Deserialize)]
pub struct Told {
    pub updates: u64,
    pub per_second: f64,
    pub after_answer: Delays,
    pub after_sending: Delays,
}

/// Percentiles.
#[derive(Deserialize)]
pub struct Delays {
    pub p50_us: f64,
    pub p99_us: f64,
    pub p999_us: f64,
    pub most_us: f64,
}
