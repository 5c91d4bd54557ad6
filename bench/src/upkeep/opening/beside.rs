//! Opening other stores: with the same datasets and updates as the engine's, and as often.

use serde::Serialize;

use super::{Outcome, PER_IDENTITY, Subject, seconds, shape, told};
use crate::arguments::{Shared, Task};
use crate::failure::Result;
use crate::figure::Spread;
use crate::scratch::Scratch;
use crate::upkeep::mb;
use crate::upkeep::stage::Seen;
use crate::{progress, report};

/// Another store, and how much longer it takes than the engine.
#[derive(Serialize)]
pub(super) struct Beside {
    contestant: String,
    datasets: u64,
    /// Bytes of its files when it was filled.
    bytes: u64,
    /// Seconds.
    closed: Spread,
    killed_soon: Spread,
    killed_late: Spread,
    /// Updates that were made in one go before it was killed late.
    tail: u64,
    /// Resident memory once it was opened.
    resident: f64,
    /// Median by median.
    by_engine: ByEngine,
}

#[derive(Serialize)]
struct ByEngine {
    closed: f64,
    killed_soon: f64,
    killed_late: f64,
}

/// Each peer beside every store of many datasets to an identity.
pub(super) fn run(
    shared: &Shared,
    peers: &[String],
    rounds: u16,
    outcomes: &[Outcome],
) -> Result<Vec<Beside>> {
    let ours: Vec<_> = outcomes
        .iter()
        .filter(|outcome| outcome.identities < outcome.datasets)
        .collect();
    let steps = ours.len() * peers.len() * (3 * usize::from(rounds) + 1);
    let bar = progress::bar("opening", steps);
    let mut all = Vec::new();
    for outcome in ours {
        for peer in peers {
            bar.set_message(format!("{peer}, {} datasets, filling", outcome.datasets));
            all.push(measure(shared, peer, rounds, outcome, &bar)?);
        }
    }
    bar.finish_and_clear();
    tell(&all)?;
    Ok(all)
}

fn measure(
    shared: &Shared,
    peer: &str,
    rounds: u16,
    engine: &Outcome,
    bar: &indicatif::ProgressBar,
) -> Result<Beside> {
    let scratch = Scratch::new(&shared.data, "opening")?;
    let datasets = usize::try_from(engine.datasets)?;
    let shape = shape(scratch.path(), datasets, PER_IDENTITY);
    let subject = Subject {
        shape: &shape,
        peer: Some(peer),
    };
    let filled = subject.stage(Task::Fill, 0, None)?.ended()?;
    bar.inc(1);
    let openings = subject.open_often(rounds, Some(engine.openings.tail), bar)?;
    let (closed, soon) = (seconds(&openings.closed), seconds(&openings.killed_soon));
    let late = seconds(&openings.killed_late);
    let by = |theirs: Spread, ours: &[Seen]| theirs.median / seconds(ours).median;
    let by_engine = ByEngine {
        closed: by(closed, &engine.openings.closed),
        killed_soon: by(soon, &engine.openings.killed_soon),
        killed_late: by(late, &engine.openings.killed_late),
    };
    let residents = openings.closed.iter().map(|seen| seen.resident as f64);
    Ok(Beside {
        contestant: peer.to_owned(),
        datasets: engine.datasets,
        bytes: filled.log_bytes,
        closed,
        killed_soon: soon,
        killed_late: late,
        tail: openings.tail,
        resident: Spread::of(residents).median,
        by_engine,
    })
}

fn tell(all: &[Beside]) -> Result<()> {
    let by = |times: f64| format!("{times:.2}");
    let row = |beside: &Beside| {
        vec![
            beside.contestant.clone(),
            beside.datasets.to_string(),
            mb(beside.bytes),
            told(&beside.closed),
            by(beside.by_engine.closed),
            told(&beside.killed_soon),
            by(beside.by_engine.killed_soon),
            told(&beside.killed_late),
            by(beside.by_engine.killed_late),
            format!("{:.1}", beside.resident / 1e6),
        ]
    };
    let rows: Vec<_> = all.iter().map(row).collect();
    report::table(
        "opening other stores, of 20 datasets an identity; killed as late as the engine was",
        &[
            "store",
            "datasets",
            "MB",
            "closed s",
            "by engine",
            "killed soon s",
            "by engine",
            "killed late s",
            "by engine",
            "resident MB",
        ],
        &rows,
    )
}
