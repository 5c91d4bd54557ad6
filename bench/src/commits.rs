//! `commits`: durable single-record updates per second, the engine beside the bare disk.

use std::path::Path;
use std::time::Duration;

use serde_json::json;

use crate::arguments::{CommitOptions, Shared};
use crate::closed_loop::{self, Counts};
use crate::contestant::Contestant;
use crate::failure::{Result, fail};
use crate::figure::{Ratio, Series};
use crate::machine::Machine;
use crate::progress;
use crate::raw::{Alone, Group};
use crate::report;
use crate::scratch::Scratch;
use crate::store::Store;
use crate::workload::{VALUE_BYTES, Workload};

const ENGINE: &str = "engine";
const ENGINE_FEW: &str = "engine, few identities";
const RAW_GROUP: &str = "raw group commit";
const RAW_ALONE: &str = "raw append + fdatasync";

/// A contestant with its work and what it acknowledged so far.
struct Lane {
    name: &'static str,
    workload: Workload,
    contestant: Box<dyn Contestant>,
    counts: Counts,
    /// It takes one update at a time, so more threads would only queue.
    alone: bool,
}

/// Sizes after defaults.
struct Sizes {
    datasets: usize,
    seconds: Duration,
    rounds: usize,
}

impl Sizes {
    fn new(shared: &Shared, options: &CommitOptions) -> Result<Self> {
        let seconds = options.seconds.unwrap_or(if shared.quick { 1.0 } else { 3.0 });
        Ok(Self {
            datasets: options.datasets.unwrap_or(20_000),
            seconds: Duration::try_from_secs_f64(seconds)?,
            rounds: options.rounds.unwrap_or(if shared.quick { 3 } else { 5 }),
        })
    }
}

pub fn run(shared: &Shared, options: &CommitOptions) -> Result<()> {
    let sizes = Sizes::new(shared, options)?;
    let machine = Machine::new(&shared.data, &shared.build);
    report::lines(&machine.lines())?;
    let scratch = Scratch::new(&shared.data, "commits")?;
    let lanes = lanes(scratch.path(), options, &sizes)?;
    let series = measure(&lanes, &options.threads, &sizes)?;
    let figures = series.iter().map(Series::figure).collect::<Result<Vec<_>>>()?;
    let ratios = ratios(&series);
    let workload = format!(
        "durable compare-and-swap of 1 record of {VALUE_BYTES} bytes; {} datasets of 1 record each, \
         chosen uniformly (few identities: {}); {} rounds of {:?}, all acknowledged updates verified",
        sizes.datasets, options.few, sizes.rounds, sizes.seconds
    );
    report::comparison(&workload, "threads", &figures, &ratios)?;
    let results = json!({ "workload": workload, "figures": figures, "ratios": ratios });
    report::file(&shared.report, "commits", &machine, results)
}

fn lanes(directory: &Path, options: &CommitOptions, sizes: &Sizes) -> Result<Vec<Lane>> {
    let mut lanes = Vec::new();
    for name in [ENGINE, RAW_GROUP, ENGINE_FEW, RAW_ALONE] {
        if !name.contains(&options.only) {
            continue;
        }
        let few = name == ENGINE_FEW;
        let workload = Workload::new(if few { options.few } else { sizes.datasets })?;
        let path = directory.join(name.replace([' ', ','], "-"));
        let contestant: Box<dyn Contestant> = match name {
            RAW_GROUP => Box::new(Group::new(&path)?),
            RAW_ALONE => Box::new(Alone::new(&path)?),
            _ => Box::new(Store::filled(&path, &workload)?),
        };
        let written = u64::from(matches!(name, ENGINE | ENGINE_FEW));
        let counts = Counts::all(&workload, written);
        let alone = name == RAW_ALONE;
        lanes.push(Lane { name, workload, contestant, counts, alone });
    }
    if lanes.is_empty() {
        return fail(format!("no contestant's name contains {:?}", options.only));
    }
    Ok(lanes)
}

fn measure(lanes: &[Lane], threads: &[usize], sizes: &Sizes) -> Result<Vec<Series>> {
    let turns = |lane: &Lane| threads.iter().filter(|&&count| !lane.alone || count == 1).count();
    let steps = sizes.rounds * lanes.iter().map(turns).sum::<usize>();
    let bar = progress::bar("commits", steps);
    let mut all = Vec::new();
    for &count in threads {
        let lanes: Vec<_> = lanes.iter().filter(|lane| !lane.alone || count == 1).collect();
        let mut series: Vec<_> = lanes.iter().map(|lane| Series::new(lane.name, count)).collect();
        for _ in 0..sizes.rounds {
            for (lane, series) in lanes.iter().zip(&mut series) {
                bar.set_message(format!("{}, {count} threads", lane.name));
                series.samples.push(lane.turn(count, sizes.seconds)?);
                bar.inc(1);
            }
        }
        all.extend(series);
    }
    bar.finish_and_clear();
    Ok(all)
}

impl Lane {
    fn turn(&self, threads: usize, duration: Duration) -> Result<crate::figure::Sample> {
        let contestant = self.contestant.as_ref();
        let before: u64 = self.counts.snapshot().iter().sum();
        let sample =
            closed_loop::run(contestant, &self.workload, &self.counts, threads, duration)?;
        let counts = self.counts.snapshot();
        let rise = counts.iter().sum::<u64>() - before;
        if rise != sample.latencies.count() {
            let answered = sample.latencies.count();
            return fail(format!("{}: {answered} updates, counts rose by {rise}", self.name));
        }
        contestant
            .verify(&self.workload, &counts)
            .map_err(|failure| format!("{}: {failure}", self.name))?;
        Ok(sample)
    }
}

/// Every engine series by the limit for as many threads.
fn ratios(series: &[Series]) -> Vec<Ratio> {
    let mut ratios = Vec::new();
    for contestant in series.iter().filter(|series| series.contestant.starts_with(ENGINE)) {
        let limits = series.iter().filter(|limit| {
            limit.callers == contestant.callers && !limit.contestant.starts_with(ENGINE)
        });
        ratios.extend(limits.map(|limit| contestant.to(limit)));
    }
    ratios
}
