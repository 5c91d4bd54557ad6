//! How long opening takes, and what an open store takes in memory.
//!
//! Every store is filled and closed in one process; then, each time in a fresh one, opened and
//! closed, and opened after it was changed and killed. The files are in the page cache.

mod beside;

use std::num::NonZeroU16;
use std::path::Path;

use clap::ValueEnum;
use serde::Serialize;
use serde_json::json;

use super::mb;
use super::stage::{Flow, Seen};
use crate::arguments::{Shape, Shared, Task, UpkeepOptions};
use crate::failure::{Result, fail};
use crate::figure::Spread;
use crate::fresh::Fresh;
use crate::scratch::Scratch;
use crate::{progress, report, workload};

/// Datasets of an identity.
const PER_IDENTITY: usize = 20;
const CACHE_BYTES: usize = 16 << 20;
/// Updates between one kill and the next, beside those before the first.
const MORE: u64 = 1000;

/// One store.
#[derive(Serialize)]
struct Outcome {
    datasets: u64,
    identities: u64,
    /// Bytes of the identities' ids.
    id_bytes: u64,
    log_bytes: u64,
    checkpoint: Flow,
    checkpoint_bytes: u64,
    feed: Flow,
    export: Flow,
    /// Resident memory of a store with nothing in it.
    empty_resident: u64,
    #[serde(flatten)]
    openings: Openings,
}

/// How a store was opened, each time in a fresh process.
#[derive(Serialize, Default)]
struct Openings {
    closed: Vec<Seen>,
    /// Killed soon after a checkpoint, and shortly before the next one.
    killed_soon: Vec<Seen>,
    killed_late: Vec<Seen>,
    /// Updates that were made in one go before it was late.
    tail: u64,
}

/// A store, and whose it is if not the engine's.
struct Subject<'a> {
    shape: &'a Shape,
    peer: Option<&'a str>,
}

/// What a dataset and an identity take in memory.
#[derive(Serialize)]
struct Memory {
    /// With its name, which is one of few here and so kept once.
    bytes_per_dataset: f64,
    /// Beside the text of its id.
    bytes_per_identity: f64,
}

pub fn run(shared: &Shared, options: &UpkeepOptions) -> Result<serde_json::Value> {
    let sizes = options.open_datasets.clone().unwrap_or_else(|| {
        if shared.quick {
            vec![20_000, 100_000]
        } else {
            vec![200_000, 1_000_000]
        }
    });
    let rounds = options
        .open_rounds
        .map_or(if shared.quick { 3 } else { 5 }, NonZeroU16::get);
    let alone = sizes.first().map(|&datasets| (datasets, 1));
    let stores: Vec<_> = sizes
        .iter()
        .map(|&datasets| (datasets, PER_IDENTITY))
        .chain(alone)
        .collect();
    let bar = progress::bar("opening", stores.len() * (3 * usize::from(rounds) + 1));
    let mut outcomes = Vec::new();
    for (datasets, each) in stores {
        let scratch = Scratch::new(&shared.data, "opening")?;
        outcomes.push(measure(
            scratch.path(),
            datasets,
            each,
            (rounds, options.open_tail),
            &bar,
        )?);
    }
    bar.finish_and_clear();
    let memory = memory(&outcomes);
    tell(&outcomes, memory.as_ref())?;
    let beside = beside::run(shared, &options.open_peers, rounds, &outcomes)?;
    Ok(json!({ "stores": outcomes, "memory": memory, "beside": beside }))
}

fn measure(
    scratch: &Path,
    datasets: usize,
    each: usize,
    (rounds, tail): (u16, Option<u64>),
    bar: &indicatif::ProgressBar,
) -> Result<Outcome> {
    let shape = shape(scratch, datasets, each);
    let empty = Shape {
        store: scratch.join("empty"),
        identities: 0,
        datasets: 0,
        ..shape.clone()
    };
    let subject = Subject {
        shape: &shape,
        peer: None,
    };
    let empty = Subject {
        shape: &empty,
        peer: None,
    };
    let empty = empty.stage(Task::OpenAndClose, 0, None)?.ended()?;
    bar.set_message(format!("{datasets} datasets, filling"));
    let filled = subject.stage(Task::Fill, 0, None)?.ended()?;
    bar.inc(1);
    Ok(Outcome {
        datasets: (shape.identities * each) as u64,
        identities: shape.identities as u64,
        id_bytes: workload::numbered(0, 0)?.identity.as_str().len() as u64
            * shape.identities as u64,
        log_bytes: filled.log_bytes,
        checkpoint: filled.checkpoint,
        checkpoint_bytes: newest_checkpoint(&shape.store)?,
        feed: filled.feed,
        export: filled.export,
        empty_resident: empty.resident,
        openings: subject.open_often(rounds, tail, bar)?,
    })
}

fn shape(scratch: &Path, datasets: usize, each: usize) -> Shape {
    Shape {
        store: scratch.join("store"),
        identities: datasets.div_ceil(each),
        datasets: each,
        records: 1,
        cache_bytes: CACHE_BYTES,
    }
}

impl Subject<'_> {
    /// Opens what was filled: after it was closed, and after it was changed and killed, first with
    /// little log behind the checkpoint, then with much. Without a number of updates for that there
    /// are as many as there can be.
    fn open_often(
        &self,
        rounds: u16,
        tail: Option<u64>,
        bar: &indicatif::ProgressBar,
    ) -> Result<Openings> {
        let name = self.peer.unwrap_or("the engine");
        let all = self.shape.identities * self.shape.datasets;
        let mut openings = Openings::default();
        for _ in 0..rounds {
            bar.set_message(format!("{name}, {all} datasets, closed"));
            let seen = self.stage(Task::OpenAndClose, 0, None)?.ended()?;
            if self.peer.is_none() && (!seen.clean || seen.replayed_commits > 0) {
                return fail("the store does not know that it was closed");
            }
            openings.closed.push(seen);
            bar.inc(1);
        }
        let mut updated = 0;
        for round in 0..2 * rounds {
            bar.set_message(format!("{name}, {all} datasets, killed"));
            let more = if round == rounds { tail } else { Some(MORE) };
            let made = self.stage(Task::Change, updated, more)?.killed()?.updates;
            updated += made;
            if round == rounds {
                openings.tail = made;
            }
            let seen = self.stage(Task::Open, updated, None)?.killed()?;
            if self.peer.is_none() && seen.replayed_commits != updated {
                let replayed = seen.replayed_commits;
                return fail(format!(
                    "{updated} commits came after the checkpoint, {replayed} were replayed"
                ));
            }
            if round < rounds {
                openings.killed_soon.push(seen);
            } else {
                openings.killed_late.push(seen);
            }
            bar.inc(1);
        }
        Ok(openings)
    }

    fn stage(&self, task: Task, updated: u64, updates: Option<u64>) -> Result<Fresh<Seen>> {
        let name = task
            .to_possible_value()
            .map_or_else(String::new, |value| value.get_name().to_owned());
        let mut arguments = vec!["upkeep-stage".to_owned(), name];
        arguments.push(format!("--updated={updated}"));
        arguments.extend(updates.map(|updates| format!("--updates={updates}")));
        arguments.extend(self.peer.map(|peer| format!("--peer={peer}")));
        Fresh::start(&arguments, self.shape)
    }
}

fn newest_checkpoint(store: &Path) -> Result<u64> {
    let mut newest = None;
    for found in std::fs::read_dir(store.join("checkpoint"))? {
        let found = found?;
        let named = (found.file_name(), found.metadata()?.len());
        newest = newest.max(Some(named));
    }
    newest.map_or_else(|| fail("there is no checkpoint"), |(_, bytes)| Ok(bytes))
}

impl Outcome {
    /// Resident memory beside an empty store's, the cache and ids.
    fn resident(&self) -> f64 {
        let median = Spread::of(
            self.openings
                .closed
                .iter()
                .map(|seen| seen.resident.saturating_sub(seen.cache_bytes) as f64),
        );
        median.median - (self.empty_resident + self.id_bytes) as f64
    }

    fn row(&self) -> Vec<String> {
        let Openings {
            closed,
            killed_soon,
            killed_late,
            ..
        } = &self.openings;
        let most = |part: fn(&Seen) -> u64| killed_late.iter().map(part).max().unwrap_or(0);
        let late = seconds(killed_late);
        let residents = |seen: &[Seen]| {
            let median = Spread::of(seen.iter().map(|seen| seen.resident as f64)).median;
            format!("{:.1}", median / 1e6)
        };
        vec![
            format!(
                "{} datasets, {} an identity",
                self.datasets,
                self.datasets / self.identities.max(1)
            ),
            mb(self.checkpoint_bytes),
            told(&seconds(closed)),
            told(&seconds(killed_soon)),
            told(&late),
            mb(most(|seen| seen.replayed_bytes)),
            format!("{:.2}", late.median / seconds(closed).median),
            residents(closed),
            mb(most(|seen| seen.resident_most)),
            format!("{:.0}", self.checkpoint.mb_per_second()),
            format!("{:.0}", self.feed.mb_per_second()),
            format!("{:.0}", self.export.mb_per_second()),
        ]
    }
}

/// How long opening took.
fn seconds(seen: &[Seen]) -> Spread {
    Spread::of(seen.iter().map(|seen| seen.seconds))
}

fn told(spread: &Spread) -> String {
    format!(
        "{:.3} ({:.3}..{:.3})",
        spread.median, spread.least, spread.most
    )
}

/// Two stores of different shape tell datasets from identities.
fn memory(outcomes: &[Outcome]) -> Option<Memory> {
    let (alone, many) = (outcomes.last()?, outcomes.iter().rev().nth(1)?);
    let number = |count: u64| count as f64;
    let (d1, i1) = (number(many.datasets), number(many.identities));
    let (d2, i2) = (number(alone.datasets), number(alone.identities));
    let determinant = d1 * i2 - d2 * i1;
    let bytes_per_dataset = (many.resident() * i2 - alone.resident() * i1) / determinant;
    let bytes_per_identity = (d1 * alone.resident() - d2 * many.resident()) / determinant;
    let finite = bytes_per_dataset.is_finite() && bytes_per_identity.is_finite();
    finite.then_some(Memory {
        bytes_per_dataset,
        bytes_per_identity,
    })
}

fn tell(outcomes: &[Outcome], memory: Option<&Memory>) -> Result<()> {
    let rows: Vec<_> = outcomes.iter().map(Outcome::row).collect();
    report::table(
        "opening; one record of 100 bytes each; files in the page cache",
        &[
            "store",
            "checkpoint MB",
            "closed s",
            "killed soon s",
            "killed late s",
            "replayed MB",
            "ratio",
            "resident MB",
            "most MB",
            "checkpoint MB/s",
            "feed MB/s",
            "export MB/s",
        ],
        &rows,
    )?;
    let Some(memory) = memory else {
        return Ok(());
    };
    report::lines(&[format!(
        "  memory: {:.0} bytes a dataset (identities share names), {:.0} an identity beside its id",
        memory.bytes_per_dataset, memory.bytes_per_identity
    )])
}
