//! `syncline backup`: a directory from which the store can be restored.

use std::error::Error;
use std::path::PathBuf;

use clap::Args;
use syncline_server::backup::{self, Made};
use syncline_server::error::Chain;

use super::say::{say, size};
use super::stopped::{Stopped, StoppedError};

#[derive(Debug, Args)]
pub(crate) struct Backup {
    #[command(flatten)]
    stopped: Stopped,
    /// The directory to make; it must be empty or not exist
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
}

impl Backup {
    pub(crate) fn run(self) -> Result<(), Box<dyn Error>> {
        let (to, json) = (self.to, self.stopped.json);
        let engine = self.stopped.open().map_err(at_work)?;
        let made = engine.backup(&to, &backup::options())?;
        let value = serde_json::to_value(Made::new(to.display().to_string(), &made))?;
        let mut text = format!(
            "{} holds everything up to sequence {}, and can be restored to any from {} on.\n\
             {} in all; {} files are links to those of the store, {} are copied ({}).\n\
             It holds the server's keys, and keeps what is deleted later: store it as safely as \
             the data itself.",
            to.display(),
            made.sequence,
            made.earliest,
            size(made.bytes),
            made.linked,
            made.copied,
            size(made.copied_bytes)
        );
        for fault in &made.damaged {
            text.push_str(&format!(
                "\nwarning: left out, since it is damaged: {}; run `syncline check`",
                Chain(fault)
            ));
        }
        say(json, &value, &text)?;
        Ok(engine.close()?)
    }
}

/// Tells of the other way where a server runs.
fn at_work(error: Box<dyn Error>) -> Box<dyn Error> {
    match error.downcast_ref() {
        Some(StoppedError::InUse { .. }) => format!(
            "{error}, or ask the server itself for a backup by a signed POST to \
             /syncline/v1/backup, see `syncline backup --help`"
        )
        .into(),
        _ => error,
    }
}
