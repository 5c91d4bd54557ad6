//! `syncline purge`: takes every byte of what was deleted out of the data directory.

use std::error::Error;

use clap::Args;
use serde_json::{Value, json};

use super::say::say;
use super::stopped::Stopped;

#[derive(Debug, Args)]
pub(crate) struct Purge {
    #[command(flatten)]
    stopped: Stopped,
    /// Do it now; without this the command only says when it happens by itself
    #[arg(long)]
    now: bool,
}

impl Purge {
    pub(crate) fn run(self) -> Result<(), Box<dyn Error>> {
        let json = self.stopped.json;
        if !self.now {
            return self.explain();
        }
        let engine = self.stopped.open()?;
        let purged = engine.purge()?;
        let cut_off: Vec<Value> = purged
            .cut_off
            .iter()
            .map(|lag| json!({ "name": &*lag.name, "sequence": lag.sequence.get() }))
            .collect();
        let value = json!({
            "purged": true,
            "feed_floor": purged.floor.get(),
            "cut_off": cut_off,
        });
        let mut text = format!(
            "Nothing of what was deleted is left in the data directory. The feed begins behind \
             sequence {} now; readers that had not read up to there must begin with an export.",
            purged.floor
        );
        for lag in &purged.cut_off {
            text.push_str(&format!(
                "\ncut off: {} at sequence {}",
                lag.name, lag.sequence
            ));
        }
        text.push_str("\nBackups, exports and what streams delivered are not part of this.");
        say(json, &value, &text)?;
        Ok(engine.close()?)
    }

    fn explain(self) -> Result<(), Box<dyn Error>> {
        let config = self.stopped.place.read()?;
        config.check()?;
        let hours = config.engine.feed_retention_hours;
        let value = json!({ "purged": false, "hours_after_deletion": hours + 1 });
        let text = format!(
            "Nothing was done. While the server runs, what is deleted is gone from the data \
             directory after {} hours: engine.feed_retention_hours ({hours}) and one more.\n\
             To purge at once, stop the server and run `syncline purge --now`; it ends the feed \
             at the present, so that readers which are behind are cut off.",
            hours + 1
        );
        Ok(say(self.stopped.json, &value, &text)?)
    }
}
