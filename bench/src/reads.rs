//! `reads`: how often a second a dataset is listed: what is new in it, or all of it.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::Serialize;
use serde_json::json;

use crate::arguments::{ReadOptions, Shared};
use crate::contestant::Shelf;
use crate::failure::{Result, fail};
use crate::figure::Spread;
use crate::machine::Machine;
use crate::peers;
use crate::scratch::Scratch;
use crate::store::Store;
use crate::workload::{Dice, Workload};
use crate::{progress, report, together};

/// Listings between two looks at the clock.
const TOGETHER: usize = 64;
const ENGINE: &str = "engine";

/// What is listed of which datasets.
struct Case {
    name: &'static str,
    datasets: usize,
    records: usize,
    value_bytes: usize,
    /// Only what came after the first write: one record.
    new: bool,
}

const CASES: [Case; 3] = [
    Case {
        name: "since, 1 of 10 new",
        datasets: 20_000,
        records: 10,
        value_bytes: 100,
        new: true,
    },
    Case {
        name: "all 10",
        datasets: 20_000,
        records: 10,
        value_bytes: 100,
        new: false,
    },
    Case {
        name: "all 1,000 of 500 bytes",
        datasets: 200,
        records: 1000,
        value_bytes: 500,
        new: false,
    },
];

/// A store and its name.
type Named = (&'static str, Box<dyn Shelf>);

/// What one contestant reached.
#[derive(Serialize)]
struct Outcome {
    case: &'static str,
    contestant: &'static str,
    threads: usize,
    /// Listings a second.
    per_second: Spread,
    /// The engine by this one, round by round.
    engine_by_it: Spread,
    /// Bytes of keys and values of a listing.
    bytes: usize,
}

pub fn run(shared: &Shared, machine: &Machine, options: &ReadOptions) -> Result<()> {
    let seconds = options
        .read_seconds
        .unwrap_or(if shared.quick { 0.3 } else { 2.0 });
    let duration = Duration::try_from_secs_f64(seconds)?;
    let usual = if shared.quick { 3 } else { 5 };
    let rounds = options
        .read_rounds
        .map_or(usual, |rounds| rounds.get().into());
    let mut outcomes = Vec::new();
    for case in &CASES {
        let scratch = Scratch::new(&shared.data, "reads")?;
        let datasets = case.datasets / if shared.quick { 10 } else { 1 };
        let workload = Workload {
            value_bytes: case.value_bytes,
            ..Workload::new(datasets, case.records)?
        };
        let shelves = shelves(scratch.path(), &workload, case)?;
        for &threads in &options.readers {
            outcomes.extend(case.compare(&shelves, &workload, threads, rounds, duration)?);
        }
    }
    tell(&outcomes)?;
    report::file(&shared.report, "reads", machine, json!(outcomes))
}

/// The engine, and every peer, with the same in them.
fn shelves(directory: &Path, workload: &Workload, case: &Case) -> Result<Vec<Named>> {
    let engine = Store::filled(&directory.join(ENGINE), workload)?;
    let mut shelves: Vec<Named> = vec![(ENGINE, Box::new(engine))];
    for name in peers::NAMES {
        shelves.push((name, peers::shelf(name, &directory.join(name), workload)?));
    }
    if case.new {
        let numbers = 0..workload.datasets.len();
        let updates: Vec<_> = numbers.map(|n| workload.update_of_first(n, 1)).collect();
        for (_, shelf) in &shelves {
            shelf.write_all(&updates)?;
        }
    }
    Ok(shelves)
}

impl Case {
    /// Every contestant has its turn in every round.
    fn compare(
        &self,
        shelves: &[Named],
        workload: &Workload,
        threads: usize,
        rounds: usize,
        duration: Duration,
    ) -> Result<Vec<Outcome>> {
        let bar = progress::bar(self.name, rounds * shelves.len());
        let mut rates = vec![Vec::new(); shelves.len()];
        let mut bytes = 0;
        for _ in 0..rounds {
            for ((_, shelf), rates) in shelves.iter().zip(&mut rates) {
                let rate;
                (rate, bytes) = self.turn(shelf.as_ref(), workload, threads, duration)?;
                rates.push(rate);
                bar.inc(1);
            }
        }
        bar.finish_and_clear();
        let outcome = |((name, _), taken): (&Named, &Vec<f64>)| {
            let pairs = rates[0].iter().zip(taken);
            Outcome {
                case: self.name,
                contestant: name,
                threads,
                per_second: Spread::of(taken.iter().copied()),
                engine_by_it: Spread::of(pairs.map(|(ours, theirs)| ours / theirs)),
                bytes,
            }
        };
        Ok(shelves.iter().zip(&rates).map(outcome).collect())
    }

    /// Listings a second, and the bytes of one.
    fn turn(
        &self,
        shelf: &dyn Shelf,
        workload: &Workload,
        threads: usize,
        duration: Duration,
    ) -> Result<(f64, usize)> {
        let (since, records) = if self.new { (1, 1) } else { (0, self.records) };
        let read = |thread| {
            move |stop: &AtomicBool| {
                let mut dice = Dice::new(thread);
                let (mut listed, mut bytes) = (0_u64, 0);
                while !stop.load(Ordering::Relaxed) {
                    for _ in 0..TOGETHER {
                        let dataset = &workload.datasets[dice.roll(workload.datasets.len())];
                        let found;
                        (found, bytes) = shelf.list(dataset, since)?;
                        if found != records {
                            return fail(format!("{dataset}: {found} records, not {records}"));
                        }
                    }
                    listed += TOGETHER as u64;
                }
                Ok((listed, bytes))
            }
        };
        let readers = (0..threads).map(read).collect();
        let ended = together::run(readers, duration, || ())?;
        let listed: u64 = ended.outcomes.iter().map(|(listed, _)| listed).sum();
        let bytes = ended.outcomes.last().map_or(0, |(_, bytes)| *bytes);
        Ok((listed as f64 / ended.elapsed.as_secs_f64(), bytes))
    }
}

fn tell(outcomes: &[Outcome]) -> Result<()> {
    let row = |outcome: &Outcome| {
        let (rate, ratio) = (outcome.per_second, outcome.engine_by_it);
        vec![
            outcome.case.to_owned(),
            outcome.contestant.to_owned(),
            outcome.threads.to_string(),
            format!("{:.0}", rate.median),
            format!("({:.0}..{:.0})", rate.least, rate.most),
            format!("{:.0}", rate.median * outcome.bytes as f64 / 1e6),
            format!("{:.2}", ratio.median),
            format!("({:.2}..{:.2})", ratio.least, ratio.most),
        ]
    };
    let rows: Vec<_> = outcomes.iter().map(row).collect();
    report::table(
        "listings of a dataset a second, everything in memory; every listing is counted",
        &[
            "case",
            "contestant",
            "threads",
            "per second",
            "(least..most)",
            "MB/s",
            "engine by it",
            "(least..most)",
        ],
        &rows,
    )
}
