//! `syncline check`: whether every byte and every count of a data directory holds.

use std::error::Error;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};
use syncline_engine::{CheckNote, Checked, Problem};
use syncline_server::config::{CREDENTIALS_FILE, Flaw, RootKey};
use syncline_server::seal::{self, KEYS_FILE};
use syncline_server::sink::ASIDE_DIRECTORY;

use super::place::Place;
use super::progress::bar;
use super::say::say;
use super::stopped::{known, refused};

/// What the server keeps beside the store, and how each is verified.
const BESIDE: [(&str, Verify); 2] = [
    (KEYS_FILE, seal::verify),
    (CREDENTIALS_FILE, RootKey::verify),
];

type Verify = fn(&str) -> Result<(), Flaw>;

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
        let bar = bar(0, "checking {wide_bar} {bytes}/{total_bytes} (~{eta})");
        let checked = syncline_engine::check(&directory, |progress| {
            bar.set_length(progress.total);
            bar.set_position(progress.done);
        });
        bar.finish_and_clear();
        let mut checked = checked.map_err(|error| refused(&directory, error))?;
        for (name, verify) in BESIDE {
            checked.notes.retain(|note| note.path != Path::new(name));
            beside(&directory, name, verify, &mut checked)?;
        }
        let aside = |note: &&mut CheckNote| note.path == Path::new(ASIDE_DIRECTORY);
        if let Some(note) = checked.notes.iter_mut().find(aside) {
            note.what = "events that sinks refused are in it";
        }
        say(self.json, &as_value(&checked), &told(&checked))?;
        if checked.is_sound() {
            return Ok(());
        }
        let (number, directory) = (checked.problems.len(), directory.display());
        let is_beside = |problem: &Problem| {
            BESIDE
                .iter()
                .any(|(name, _)| problem.path == Path::new(name))
        };
        let next = if checked.backup {
            "restore another backup".to_owned()
        } else if checked.problems.iter().all(is_beside) {
            "the store itself is sound; take the files named from a backup".to_owned()
        } else {
            format!("`syncline repair --data {directory} --dry-run` says what can be saved")
        };
        Err(format!("{number} problems were found; {next}").into())
    }
}

/// Verifies a file beside the store, if it is there.
fn beside(
    directory: &Path,
    name: &str,
    verify: Verify,
    checked: &mut Checked,
) -> Result<(), Box<dyn Error>> {
    let bytes = match std::fs::read(directory.join(name)) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        read => read.map_err(|error| format!("cannot read {name}: {error}"))?,
    };
    checked.files += 1;
    checked.bytes += bytes.len() as u64;
    let flaw = match std::str::from_utf8(&bytes) {
        Ok(text) => verify(text).err(),
        Err(error) => {
            let text = String::from_utf8_lossy(&bytes);
            Some(Flaw::new(&text, error.valid_up_to(), "it is not UTF-8"))
        }
    };
    checked.problems.extend(flaw.map(|flaw| Problem {
        path: PathBuf::from(name),
        offset: flaw.offset as u64,
        sequence: None,
        why: format!("line {}: {}", flaw.line, flaw.why),
    }));
    Ok(())
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
    let verdict = match (checked.is_sound(), checked.backup) {
        (true, false) => "Everything holds",
        (true, true) => "This is a backup, and everything in it holds",
        (false, false) => "Read",
        (false, true) => "Read of this backup",
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
    let torn = checked.torn.as_ref();
    let notes = checked
        .notes
        .iter()
        .map(|note| json!({ "file": note.path.display().to_string(), "what": note.what }));
    json!({
        "sound": checked.is_sound(),
        "backup": checked.backup,
        "problems": checked.problems.iter().map(problem).collect::<Vec<_>>(),
        "torn_bytes": torn.map_or(0, |torn| torn.bytes),
        "torn_file": torn.map(|torn| torn.path.display().to_string()),
        "torn_offset": torn.map(|torn| torn.offset),
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
