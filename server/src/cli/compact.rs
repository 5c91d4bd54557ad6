//! `syncline compact`: makes the data directory as small as retention allows.

use std::error::Error;

use clap::Args;
use serde_json::json;

use super::say::{say, size};
use super::stopped::Stopped;

#[derive(Debug, Args)]
pub(crate) struct Compact {
    #[command(flatten)]
    stopped: Stopped,
}

impl Compact {
    pub(crate) fn run(self) -> Result<(), Box<dyn Error>> {
        let json = self.stopped.json;
        let engine = self.stopped.open()?;
        engine.compact()?;
        let (done, stats) = (engine.upkeep(), engine.stats());
        let value = json!({
            "segments_retired": done.retired,
            "cold_cleaned": done.cleaned,
            "moved_bytes": done.moved_bytes,
            "checkpoint_bytes": done.checkpoint_bytes,
            "log_segments": stats.segments,
            "log_bytes": stats.log_bytes,
        });
        let text = format!(
            "{} segments of the log retired, {} cold segments cleaned, {} moved; the feed keeps \
             {} in {} segments.",
            done.retired,
            done.cleaned,
            size(done.moved_bytes),
            size(stats.log_bytes),
            stats.segments
        );
        say(json, &value, &text)?;
        Ok(engine.close()?)
    }
}
