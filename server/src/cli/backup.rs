//! `syncline backup`: a directory from which the store can be restored.

use std::error::Error;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use syncline_engine::BackupOptions;
use syncline_server::error::Chain;

use super::stopped::{BESIDE, Stopped, say, size};

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
        let engine = self.stopped.open()?;
        let options = BackupOptions {
            beside: BESIDE.map(str::to_owned).to_vec(),
        };
        let made = engine.backup(&to, &options)?;
        let value = json!({
            "backup": to,
            "sequence": made.sequence.get(),
            "earliest_sequence": made.earliest.get(),
            "files_linked": made.linked,
            "files_copied": made.copied,
            "bytes": made.bytes,
            "bytes_copied": made.copied_bytes,
            "damaged": made.damaged.iter().map(|f| Chain(f).to_string()).collect::<Vec<_>>(),
        });
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
