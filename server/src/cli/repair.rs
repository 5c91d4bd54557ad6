//! `syncline repair`: saves what can be read of a damaged data directory.

use std::error::Error;

use clap::Args;
use serde_json::{Value, json};
use syncline_engine::{Repaired, Sequence, SyncCount, plan_repair, repair};
use syncline_server::site::stored;

use super::check::problem;
use super::place::Place;
use super::say::{say, say_text};
use super::stopped::{known, refused};

#[derive(Debug, Args)]
pub(crate) struct Repair {
    #[command(flatten)]
    place: Place,
    /// Say what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Print JSON, for scripts
    #[arg(long)]
    json: bool,
}

impl Repair {
    /// Does it, and says what was done.
    pub(crate) fn run(self) -> Result<(), Box<dyn Error>> {
        let directory = self.place.directory()?;
        known(&directory)?;
        let in_use = |error| refused(&directory, error);
        if self.json {
            let repaired = if self.dry_run {
                plan_repair(&directory).map_err(in_use)?
            } else {
                repair(&directory).map_err(in_use)?
            };
            return Ok(say(true, &as_value(&repaired, self.dry_run), "")?);
        }
        let planned = plan_repair(&directory).map_err(in_use)?;
        if planned.was_sound() {
            return Ok(say_text(&planned.to_string())?);
        }
        say_text(&about(&planned))?;
        if self.dry_run {
            let planned = told(&planned);
            return Ok(say_text(&format!(
                "It would be like this:\n{planned}\nNothing was changed."
            ))?);
        }
        let repaired = repair(&directory).map_err(in_use)?;
        say_text(&told(&repaired))?;
        for path in &repaired.set_aside {
            say_text(&format!("set aside: {}", path.display()))?;
        }
        Ok(say_text(
            "What is set aside may be removed when all is well.",
        )?)
    }
}

/// Keys of which it is told what they are; with more, nobody reads them one by one.
const READABLE_MAX: usize = 1000;

/// A repair, with what the server's keys are of instead of their bytes.
fn told(repaired: &Repaired) -> String {
    let lost = repaired.lost_metadata.iter().take(READABLE_MAX);
    lost.fold(repaired.to_string(), |text, lost| {
        let what = format!("({})", stored::readable(&lost.key));
        text.replace(&lost.key.to_string(), &what)
    })
}

/// What a repair is about to do.
fn about(planned: &Repaired) -> String {
    if planned.finished.is_some() {
        return "An earlier repair was cut short; it is to be ended first.".to_owned();
    }
    let mut lines: Vec<_> = planned.problems.iter().map(ToString::to_string).collect();
    lines.push(format!(
        "{} problems. A repair writes {} datasets and {} metadata values anew, puts them in the \
         place of the old files, and moves {} of those to quarantine.",
        planned.problems.len(),
        planned.datasets,
        planned.metadata,
        planned.set_aside.len()
    ));
    lines.join("\n")
}

fn as_value(repaired: &Repaired, dry_run: bool) -> Value {
    let lost_datasets = repaired.lost_datasets.iter().map(|lost| {
        json!({
            "pool": lost.dataset.pool.as_str(),
            "identity": lost.dataset.identity.as_str(),
            "dataset": lost.dataset.name.as_str(),
            "whole": lost.after.is_none(),
            "after": lost.after.map(SyncCount::get),
            "up_to": lost.up_to.get(),
        })
    });
    let lost_metadata = repaired.lost_metadata.iter().map(|lost| {
        json!({
            "key": lost.key.to_string(),
            "what": stored::readable(&lost.key),
            "version": lost.version.get(),
            "older_version": lost.older.map(Sequence::get),
        })
    });
    let lost_commits = repaired
        .lost_commits
        .iter()
        .map(|lost| json!({ "first": lost.first.get(), "last": lost.last.map(Sequence::get) }));
    let set_aside = repaired
        .set_aside
        .iter()
        .map(|path| path.display().to_string());
    json!({
        "dry_run": dry_run,
        "sound_before": repaired.was_sound(),
        "finished_earlier_repair": repaired.finished,
        "problems": repaired.problems.iter().map(problem).collect::<Vec<_>>(),
        "store": repaired.store.to_string(),
        "renewed": repaired.renewed,
        "counts_lifted_to": repaired.lifted_to.map(SyncCount::get),
        "sequence": repaired.sequence.get(),
        "datasets": repaired.datasets,
        "metadata": repaired.metadata,
        "lossy": repaired.is_lossy(),
        "lost_datasets": lost_datasets.collect::<Vec<_>>(),
        "lost_metadata": lost_metadata.collect::<Vec<_>>(),
        "lost_commits": lost_commits.collect::<Vec<_>>(),
        "beginning_lost": repaired.beginning_lost,
        "root_lost": repaired.root_lost,
        "set_aside": set_aside.collect::<Vec<_>>(),
    })
}
