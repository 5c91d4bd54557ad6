//! `commits`: durable single-record updates per second, the engine beside the bare disk.

use std::path::Path;
use std::time::Duration;

use serde_json::json;

use crate::arguments::{CommitOptions, Shared};
use crate::choice::Choice;
use crate::closed_loop::{self, Counts};
use crate::contestant::Contestant;
use crate::device::Device;
use crate::failure::{Result, fail};
use crate::figure::{Ratio, Sample, Series};
use crate::machine::Machine;
use crate::peers::{self, CONTESTANTS};
use crate::progress;
use crate::raw::{Alone, Group};
use crate::report;
use crate::scratch::Scratch;
use crate::store::Store;
use crate::workload::{VALUE_BYTES, Workload};

const ENGINE: &str = "engine";
const ENGINE_FEW: &str = "engine-few";
const ENGINE_ZIPF: &str = "engine-zipf";
const RAW_GROUP: &str = "raw-group";
const RAW_ALONE: &str = "raw-alone";
/// Who takes part unless somebody else is asked for.
const OURS: [&str; 5] = [ENGINE, RAW_GROUP, ENGINE_FEW, ENGINE_ZIPF, RAW_ALONE];

/// A contestant with its work and what it acknowledged so far.
struct Lane {
    name: &'static str,
    workload: Workload,
    contestant: Box<dyn Contestant>,
    counts: Counts,
}

/// Sizes after defaults.
struct Sizes {
    datasets: usize,
    seconds: Duration,
    rounds: usize,
}

impl CommitOptions {
    /// The same, with these contestants if none are named.
    fn or(&self, contestants: &[&str]) -> Self {
        let mut options = self.clone();
        if options.contestants.is_empty() {
            options.contestants = contestants.iter().map(|&name| name.to_owned()).collect();
        }
        options
    }
}

impl Sizes {
    fn new(shared: &Shared, options: &CommitOptions) -> Result<Self> {
        let seconds = options
            .seconds
            .unwrap_or(if shared.quick { 1.0 } else { 3.0 });
        Ok(Self {
            datasets: options.datasets.unwrap_or(20_000),
            seconds: Duration::try_from_secs_f64(seconds)?,
            rounds: options
                .rounds
                .map_or(if shared.quick { 3 } else { 5 }, |rounds| {
                    usize::from(rounds.get())
                }),
        })
    }
}

pub fn run(shared: &Shared, machine: &Machine, options: &CommitOptions) -> Result<()> {
    report::file(
        &shared.report,
        "commits",
        machine,
        compare(shared, &options.or(&OURS))?,
    )
}

/// The same with all peers, for updates of one record and of twenty.
pub fn run_peers(shared: &Shared, machine: &Machine, options: &CommitOptions) -> Result<()> {
    let contestants = [ENGINE, RAW_GROUP].into_iter().chain(CONTESTANTS);
    let contestants: Vec<_> = contestants.collect();
    let mut results = Vec::new();
    for records in [1, 20] {
        let options = CommitOptions {
            records,
            ..options.or(&contestants)
        };
        results.push(compare(shared, &options)?);
    }
    report::file(&shared.report, "peers", machine, results)
}

fn compare(shared: &Shared, options: &CommitOptions) -> Result<serde_json::Value> {
    let sizes = Sizes::new(shared, options)?;
    let scratch = Scratch::new(&shared.data, "commits")?;
    let lanes = lanes(scratch.path(), options, &sizes)?;
    let device = Device::below(scratch.path())?;
    let series = measure(&lanes, &options.threads, &sizes, &device)?;
    for lane in lanes {
        Lane {
            contestant: lane.contestant.reopen()?,
            ..lane
        }
        .verify()?;
    }
    let figures = series
        .iter()
        .map(Series::figure)
        .collect::<Result<Vec<_>>>()?;
    let ratios = ratios(&series);
    let workload = format!(
        "durable compare-and-swap of {} of {VALUE_BYTES} bytes; {} datasets of as many \
         each, chosen {} (engine-few: {}, engine-zipf: by Zipf's law, exponent 0.99, each thread \
         among its own); {} rounds of {:?}; every acknowledged update was there after each turn \
         and after reopening",
        match options.records {
            1 => "1 record".to_owned(),
            records => format!("{records} records"),
        },
        sizes.datasets,
        match options.choice {
            Choice::Uniform => "uniformly",
            Choice::Zipf => "by Zipf's law",
        },
        options.few,
        sizes.rounds,
        sizes.seconds
    );
    report::comparison(&workload, "threads", &figures, &ratios)?;
    Ok(json!({ "workload": workload, "figures": figures, "ratios": ratios }))
}

fn lanes(directory: &Path, options: &CommitOptions, sizes: &Sizes) -> Result<Vec<Lane>> {
    options
        .contestants
        .iter()
        .map(|name| lane(name, directory, options, sizes))
        .collect()
}

fn lane(name: &str, directory: &Path, options: &CommitOptions, sizes: &Sizes) -> Result<Lane> {
    let path = directory.join(name);
    let few = name == ENGINE_FEW;
    let datasets = if few { options.few } else { sizes.datasets };
    let workload = Workload {
        choice: match name {
            ENGINE_ZIPF => Choice::Zipf,
            _ => options.choice,
        },
        ..Workload::new(datasets, options.records)?
    };
    // Stores have written every dataset once before they begin.
    let (name, contestant, written): (_, Box<dyn Contestant>, _) = match name {
        ENGINE => (ENGINE, Box::new(Store::filled(&path, &workload)?), 1),
        ENGINE_FEW => (ENGINE_FEW, Box::new(Store::filled(&path, &workload)?), 1),
        ENGINE_ZIPF => (ENGINE_ZIPF, Box::new(Store::filled(&path, &workload)?), 1),
        RAW_GROUP => (RAW_GROUP, Box::new(Group::new(&path)?), 0),
        RAW_ALONE => (RAW_ALONE, Box::new(Alone::new(&path)?), 0),
        _ => match CONTESTANTS.into_iter().find(|known| *known == name) {
            Some(name) => (name, peers::filled(name, &path, &workload)?, 1),
            None => return fail(format!("there is no contestant {name}")),
        },
    };
    let counts = Counts::all(&workload, written);
    Ok(Lane {
        name,
        workload,
        contestant,
        counts,
    })
}

fn measure(
    lanes: &[Lane],
    threads: &[usize],
    sizes: &Sizes,
    device: &Device,
) -> Result<Vec<Series>> {
    let turns = |lane: &Lane| threads.iter().filter(|&&count| lane.runs(count)).count();
    let steps = sizes.rounds * lanes.iter().map(turns).sum::<usize>();
    let bar = progress::bar("commits", steps);
    let mut all = Vec::new();
    for &count in threads {
        let lanes: Vec<_> = lanes.iter().filter(|lane| lane.runs(count)).collect();
        let mut series: Vec<_> = lanes
            .iter()
            .map(|lane| Series::new(lane.name, count))
            .collect();
        for _ in 0..sizes.rounds {
            for (lane, series) in lanes.iter().zip(&mut series) {
                bar.set_message(format!("{}, {count} threads", lane.name));
                series
                    .samples
                    .push(lane.turn(count, sizes.seconds, device)?);
                bar.inc(1);
            }
        }
        all.extend(series);
    }
    bar.finish_and_clear();
    Ok(all)
}

impl Lane {
    /// Raw append and sync takes one update at a time, so more threads would only queue.
    fn runs(&self, threads: usize) -> bool {
        self.name != RAW_ALONE || threads == 1
    }

    fn turn(&self, threads: usize, duration: Duration, device: &Device) -> Result<Sample> {
        let contestant = self.contestant.as_ref();
        let before: u64 = self.counts.snapshot().iter().sum();
        let written = device.written()?;
        let mut sample =
            closed_loop::run(contestant, &self.workload, &self.counts, threads, duration)?;
        sample.written = device.written_since(written)?;
        let counts = self.counts.snapshot();
        let rise = counts.iter().sum::<u64>() - before;
        if rise != sample.latencies.count() {
            let answered = sample.latencies.count();
            return fail(format!(
                "{}: {answered} updates, counts rose by {rise}",
                self.name
            ));
        }
        self.verify()?;
        Ok(sample)
    }

    fn verify(&self) -> Result<()> {
        let counts = self.counts.snapshot();
        let verified = self.contestant.verify(&self.workload, &counts);
        verified.map_err(|failure| format!("{}: {failure}", self.name).into())
    }
}

/// Every engine series by the limit for as many threads.
fn ratios(series: &[Series]) -> Vec<Ratio> {
    let mut ratios = Vec::new();
    for contestant in series
        .iter()
        .filter(|series| series.contestant.starts_with(ENGINE))
    {
        let limits = series.iter().filter(|limit| {
            limit.callers == contestant.callers && !limit.contestant.starts_with(ENGINE)
        });
        ratios.extend(limits.map(|limit| contestant.to(limit)));
    }
    ratios
}
