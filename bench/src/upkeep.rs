//! `upkeep`: what it costs to keep the directory small and opening fast, and what comes of it.

mod amplification;
mod latency;
mod opening;
mod shelf;
mod space;
pub mod stage;

use serde_json::{Map, json};
use syncline_engine::Options;

use crate::arguments::{Shared, UpkeepOptions};
use crate::failure::Result;
use crate::machine::Machine;
use crate::report;

/// One of the measurements.
type Part = fn(&Shared, &UpkeepOptions) -> Result<serde_json::Value>;

const PARTS: [(&str, Part); 4] = [
    ("opening", opening::run),
    ("amplification", amplification::run),
    ("space", space::run),
    ("latency", latency::run),
];

pub fn run(shared: &Shared, machine: &Machine, options: &UpkeepOptions) -> Result<()> {
    let mut results = Map::new();
    for (name, part) in PARTS {
        if options.parts.iter().any(|wanted| wanted == name) {
            results.insert(name.into(), part(shared, options)?);
        }
    }
    report::file(&shared.report, "upkeep", machine, json!(results))
}

/// Options whose segments, retention and checkpoints are small enough that all of them have their
/// turn many times in a short run.
fn scaled(options: &UpkeepOptions) -> Options {
    let segment_bytes = options.segment_kib << 10;
    Options {
        segment_bytes,
        feed_retention_bytes: 4 * segment_bytes,
        checkpoint_bytes: segment_bytes,
        ..Options::default()
    }
}

/// Bytes in megabytes.
fn mb(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / 1e6)
}
