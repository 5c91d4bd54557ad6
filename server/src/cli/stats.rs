//! `syncline stats`: figures of a data directory that no server has open.

use std::error::Error;

use clap::Args;
use serde_json::{Value, json};
use syncline_engine::{ColdFill, Inspection, inspect};

use super::place::Place;
use super::say::say;
use super::stopped::{known, refused};

#[derive(Debug, Args)]
pub(crate) struct Stats {
    #[command(flatten)]
    place: Place,
    /// Print JSON, for scripts
    #[arg(long)]
    json: bool,
}

impl Stats {
    /// Reads the figures and prints them.
    pub(crate) fn run(self) -> Result<(), Box<dyn Error>> {
        let directory = self.place.directory()?;
        known(&directory)?;
        let found = inspect(&directory).map_err(|error| refused(&directory, error))?;
        Ok(say(self.json, &as_value(&found), &told(&found))?)
    }
}

fn told(found: &Inspection) -> String {
    let row = |name: &str, value: String| format!("{name:22}{value}");
    let mut rows = vec![
        row("store", found.store.to_string()),
        row("sequence", found.sequence.to_string()),
        row("feed begins after", found.feed_floor.to_string()),
        row("counts lifted to", found.base.to_string()),
        row("pools", found.pools.to_string()),
        row("identities", found.identities.to_string()),
        row("datasets", found.datasets.to_string()),
        row("bytes of records", found.bytes.to_string()),
        row("metadata keys", found.metadata.to_string()),
        row(
            "log",
            format!(
                "{} bytes in {} segments",
                found.log_bytes, found.log_segments
            ),
        ),
        row(
            "checkpoints",
            format!(
                "{} bytes in {} files",
                found.checkpoint_bytes, found.checkpoints
            ),
        ),
        row(
            "cold",
            format!(
                "{} bytes in {} segments, {} of them live",
                found.cold_bytes(),
                found.cold.len(),
                found.cold_live_bytes()
            ),
        ),
    ];
    rows.extend(found.cold.iter().map(|segment| {
        let name = format!("  {:08}", segment.number);
        let live = format!("{} of {} bytes live", segment.live, segment.bytes);
        row(&name, format!("{live} ({} %)", percent(segment)))
    }));
    if found.torn_bytes > 0 {
        let torn = format!("{} bytes, set aside at the next start", found.torn_bytes);
        rows.push(row("unfinished batch", torn));
    }
    rows.join("\n")
}

fn percent(segment: &ColdFill) -> u64 {
    100 * segment.live / segment.bytes.max(1)
}

fn as_value(found: &Inspection) -> Value {
    let cold = found.cold.iter().map(|segment| {
        json!({
            "number": segment.number,
            "bytes": segment.bytes,
            "live_bytes": segment.live,
        })
    });
    json!({
        "store": found.store.to_string(),
        "sequence": found.sequence.get(),
        "feed_floor": found.feed_floor.get(),
        "counts_lifted_to": found.base.get(),
        "pools": found.pools,
        "identities": found.identities,
        "datasets": found.datasets,
        "record_bytes": found.bytes,
        "metadata": found.metadata,
        "log_segments": found.log_segments,
        "log_bytes": found.log_bytes,
        "checkpoints": found.checkpoints,
        "checkpoint_bytes": found.checkpoint_bytes,
        "cold_bytes": found.cold_bytes(),
        "cold_live_bytes": found.cold_live_bytes(),
        "cold_segments": cold.collect::<Vec<_>>(),
        "torn_bytes": found.torn_bytes,
    })
}
