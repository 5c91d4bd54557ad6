//! `syncline restore`: a data directory from a backup.

use std::error::Error;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use syncline_engine::{RestoreOptions, Sequence, restore};

use super::say::{say, size};
use super::stopped::Stopped;

#[derive(Debug, Args)]
pub(crate) struct Restore {
    #[command(flatten)]
    stopped: Stopped,
    /// The backup
    #[arg(long, value_name = "BACKUP")]
    from: PathBuf,
    /// Restore to this sequence instead of the end
    #[arg(long, value_name = "N")]
    sequence: Option<u64>,
    /// Copy all files, so that the backup and the data share nothing on the disk
    #[arg(long)]
    copy: bool,
}

impl Restore {
    pub(crate) fn run(self) -> Result<(), Box<dyn Error>> {
        let data = self.stopped.place.read()?.data;
        let options = RestoreOptions {
            sequence: self.sequence.map(Sequence::new),
            copy: self.copy,
        };
        let restored = restore(&self.from, &data, &options)?;
        let value = json!({
            "data": data,
            "store": restored.store.to_string(),
            "sequence": restored.sequence.get(),
            "counts_lifted_to": restored.lifted_to.get(),
            "files": restored.linked + restored.copied,
            "linked_files": restored.linked,
            "copied_files": restored.copied,
            "bytes": restored.bytes,
        });
        let text = format!(
            "{} holds everything up to sequence {} ({}; {} files are links to those of the \
             backup).\n\
             Sync counts go on above {}: devices that saw more than was restored get everything \
             anew. Cursors of the old store are refused.",
            data.display(),
            restored.sequence,
            size(restored.bytes),
            restored.linked,
            restored.lifted_to
        );
        Ok(say(self.stopped.json, &value, &text)?)
    }
}
