//! `syncline check`: whether every byte and every count of a data directory holds.

use std::error::Error;
use std::io::Write;
use std::path::Path;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use syncline_engine::{CheckNote, Checked, Problem};

use super::place::Place;
use super::stopped::{known, refused};

/// What the server keeps in the data directory beside the store.
const OURS: [&str; 2] = ["keys", "credentials"];

#[derive(Debug, Args)]
pub(crate) struct Check {
    #[command(flatten)]
    place: Place,
    /// Print JSON, for scripts
    #[arg(long)]
    json: bool,
}

impl Check {
    /// Does it, and says what was found.
    pub(crate) fn run(self) -> Result<(), Box<dyn Error>> {
        let directory = self.place.directory()?;
        known(&directory)?;
        let bar = bar();
        let checked = syncline_engine::check(&directory, |progress| {
            bar.set_length(progress.total);
            bar.set_position(progress.done);
        });
        bar.finish_and_clear();
        let mut checked = checked.map_err(|error| refused(&directory, error))?;
        checked.notes.retain(|note| !is_ours(&note.path));
        let text = if self.json {
            as_value(&checked).to_string()
        } else {
            told(&checked)
        };
        writeln!(std::io::stdout().lock(), "{text}")?;
        if checked.is_sound() {
            return Ok(());
        }
        let directory = directory.display();
        Err(format!(
            "{} problems were found; `syncline repair --data {directory} --dry-run` says what can \
             be saved",
            checked.problems.len()
        )
        .into())
    }
}

fn is_ours(path: &Path) -> bool {
    OURS.iter().any(|name| path == Path::new(name))
}

/// Nothing is drawn where stderr is not a terminal.
fn bar() -> ProgressBar {
    let bar = ProgressBar::new(0);
    let style = ProgressStyle::with_template("checking {wide_bar} {bytes}/{total_bytes} (~{eta})");
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar
}

fn told(checked: &Checked) -> String {
    let mut lines: Vec<String> = checked.problems.iter().map(Problem::to_string).collect();
    if let Some(torn) = &checked.torn {
        lines.push(format!(
            "note: {}: offset {}: {} bytes of an unfinished batch, which a crash left and nobody \
             was told of; the next start sets them aside",
            torn.path.display(),
            torn.offset,
            torn.bytes
        ));
    }
    let note = |note: &CheckNote| format!("note: {}: {}", note.path.display(), note.what);
    lines.extend(checked.notes.iter().map(note));
    let verdict = if checked.is_sound() {
        "Everything holds"
    } else {
        "Read"
    };
    lines.push(format!(
        "{verdict}: {} files, {} bytes, {} commits in the log; {} datasets with {} records, {} \
         metadata values; sequence {}.",
        checked.files,
        checked.bytes,
        checked.commits,
        checked.datasets,
        checked.records,
        checked.metadata,
        checked.sequence
    ));
    lines.join("\n")
}

fn as_value(checked: &Checked) -> Value {
    let torn = checked.torn.as_ref().map(|torn| {
        json!({
            "file": torn.path.display().to_string(),
            "offset": torn.offset,
            "bytes": torn.bytes,
        })
    });
    let notes = checked
        .notes
        .iter()
        .map(|note| json!({ "file": note.path.display().to_string(), "what": note.what }));
    json!({
        "sound": checked.is_sound(),
        "problems": checked.problems.iter().map(problem).collect::<Vec<_>>(),
        "torn": torn,
        "notes": notes.collect::<Vec<_>>(),
        "store": checked.store.map(|store| store.to_string()),
        "sequence": checked.sequence.get(),
        "files": checked.files,
        "bytes": checked.bytes,
        "commits": checked.commits,
        "datasets": checked.datasets,
        "records": checked.records,
        "metadata": checked.metadata,
    })
}

/// A problem, for scripts.
pub(crate) fn problem(problem: &Problem) -> Value {
    json!({
        "file": problem.path.display().to_string(),
        "offset": problem.offset,
        "sequence": problem.sequence.map(syncline_engine::Sequence::get),
        "why": problem.why,
    })
}
