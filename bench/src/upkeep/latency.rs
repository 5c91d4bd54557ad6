//! How long commits take while cleaner and checkpoints work all the time, beside a store that is
//! left alone.

use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use serde_json::json;
use syncline_engine::{Options, Upkept};

use crate::arguments::{Shared, UpkeepOptions};
use crate::closed_loop::{self, Counts};
use crate::contestant::Contestant;
use crate::failure::Result;
use crate::figure::{Latencies, Sample, Spread};
use crate::scratch::Scratch;
use crate::store::Store;
use crate::workload::{VALUE_BYTES, Workload};
use crate::{progress, report};

/// Datasets of one record each.
const DATASETS: usize = 4000;
const QUANTILES: [(&str, f64); 3] = [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)];

/// A store and the work that it is given.
struct Lane {
    name: &'static str,
    store: Store,
    counts: Counts,
}

/// What was seen at one number of threads.
#[derive(Serialize)]
struct Outcome {
    threads: usize,
    lanes: Vec<Turns>,
    /// Tended by alone, for each quantile and for updates per second: medians over the rounds.
    ratios: Vec<(&'static str, Spread)>,
}

/// All turns of one store.
#[derive(Serialize)]
struct Turns {
    name: &'static str,
    updates: u64,
    per_second: Spread,
    /// Of all rounds together.
    p50_us: f64,
    p99_us: f64,
    p999_us: f64,
    /// What its cleaner did meanwhile.
    checkpoints: u64,
    retired_segments: u64,
    cleaned_segments: u64,
    moved_bytes: u64,
}

pub fn run(shared: &Shared, options: &UpkeepOptions) -> Result<serde_json::Value> {
    let quick = shared.quick;
    let seconds = options
        .beside_seconds
        .unwrap_or(if quick { 2.0 } else { 5.0 });
    let duration = Duration::try_from_secs_f64(seconds)?;
    let rounds = options
        .beside_rounds
        .map_or(if quick { 3 } else { 7 }, |rounds| {
            usize::from(rounds.get())
        });
    let scratch = Scratch::new(&shared.data, "beside")?;
    let workload = Workload::new(DATASETS, 1)?;
    let lanes = [
        Lane::new("tended", scratch.path(), &workload, tended())?,
        Lane::new("alone", scratch.path(), &workload, alone())?,
    ];
    let threads = &options.beside_threads;
    let bar = progress::bar("latency", threads.len() * rounds * lanes.len());
    let mut outcomes = Vec::new();
    for &count in threads {
        outcomes.push(measure(&lanes, &workload, count, (rounds, duration), &bar)?);
    }
    bar.finish_and_clear();
    tell(&outcomes)?;
    Ok(json!(outcomes))
}

/// Bytes of a segment in both stores: many are ended and begun in either.
const SEGMENT_BYTES: u64 = 256 << 10;

/// So little is kept that there is always something to do.
fn tended() -> Options {
    Options {
        segment_bytes: SEGMENT_BYTES,
        feed_retention_bytes: 4 * SEGMENT_BYTES,
        checkpoint_bytes: SEGMENT_BYTES,
        ..Options::default()
    }
}

/// So much is kept that there is never anything to do.
fn alone() -> Options {
    Options {
        segment_bytes: SEGMENT_BYTES,
        feed_retention_bytes: u64::MAX / 4,
        checkpoint_bytes: u64::MAX / 4,
        ..Options::default()
    }
}

impl Lane {
    fn new(
        name: &'static str,
        directory: &Path,
        workload: &Workload,
        options: Options,
    ) -> Result<Self> {
        Ok(Self {
            name,
            store: Store::filled_with(&directory.join(name), workload, options)?,
            counts: Counts::all(workload, 1),
        })
    }
}

fn measure(
    lanes: &[Lane; 2],
    workload: &Workload,
    threads: usize,
    (rounds, duration): (usize, Duration),
    bar: &indicatif::ProgressBar,
) -> Result<Outcome> {
    let before = lanes.each_ref().map(|lane| lane.store.engine.upkeep());
    let mut samples = [Vec::new(), Vec::new()];
    for round in 0..rounds {
        // Whoever is first in one round is last in the next.
        let turns = if round % 2 == 0 { [0, 1] } else { [1, 0] };
        for turn in turns {
            let Lane { store, counts, .. } = &lanes[turn];
            samples[turn].push(closed_loop::run(
                store, workload, counts, threads, duration,
            )?);
            bar.inc(1);
        }
    }
    for lane in lanes {
        lane.store.verify(workload, &lane.counts.snapshot())?;
    }
    let ratio = |of: &dyn Fn(&Sample) -> f64| {
        let pairs = samples[0].iter().zip(&samples[1]);
        Spread::of(pairs.map(|(tended, alone)| of(tended) / of(alone)))
    };
    let mut ratios = vec![("per second", ratio(&per_second))];
    for (name, quantile) in QUANTILES {
        let of = |sample: &Sample| sample.latencies.microseconds(quantile);
        ratios.push((name, ratio(&of)));
    }
    let turns = lanes.iter().zip(&samples).zip(before);
    Ok(Outcome {
        threads,
        lanes: turns
            .map(|((lane, samples), before)| Turns::new(lane, samples, &before))
            .collect::<Result<_>>()?,
        ratios,
    })
}

fn per_second(sample: &Sample) -> f64 {
    sample.latencies.count() as f64 / sample.elapsed.as_secs_f64()
}

impl Turns {
    fn new(lane: &Lane, samples: &[Sample], before: &Upkept) -> Result<Self> {
        let mut latencies = Latencies::new()?;
        for sample in samples {
            latencies.add(&sample.latencies)?;
        }
        let after = lane.store.engine.upkeep();
        Ok(Self {
            name: lane.name,
            updates: latencies.count(),
            per_second: Spread::of(samples.iter().map(per_second)),
            p50_us: latencies.microseconds(0.5),
            p99_us: latencies.microseconds(0.99),
            p999_us: latencies.microseconds(0.999),
            checkpoints: after.checkpoints - before.checkpoints,
            retired_segments: after.retired - before.retired,
            cleaned_segments: after.cleaned - before.cleaned,
            moved_bytes: after.moved_bytes - before.moved_bytes,
        })
    }

    fn row(&self, threads: usize) -> Vec<String> {
        vec![
            self.name.to_owned(),
            threads.to_string(),
            format!("{:.0}", self.per_second.median),
            format!("{:.0}", self.p50_us),
            format!("{:.0}", self.p99_us),
            format!("{:.0}", self.p999_us),
            self.checkpoints.to_string(),
            self.retired_segments.to_string(),
            self.cleaned_segments.to_string(),
            super::mb(self.moved_bytes),
        ]
    }
}

fn tell(outcomes: &[Outcome]) -> Result<()> {
    let title = format!(
        "commits beside cleaner and checkpoints; 1 record of {VALUE_BYTES} bytes, {DATASETS} \
         datasets"
    );
    let head = [
        "store",
        "threads",
        "per second",
        "p50 us",
        "p99 us",
        "p99.9 us",
        "checkpoints",
        "retired",
        "cleaned",
        "moved MB",
    ];
    let rows: Vec<_> = outcomes
        .iter()
        .flat_map(|outcome| {
            let rows = outcome.lanes.iter();
            rows.map(|lane| lane.row(outcome.threads))
        })
        .collect();
    report::table(&title, &head, &rows)?;
    let rows: Vec<_> = outcomes
        .iter()
        .flat_map(|outcome| {
            outcome.ratios.iter().map(|(name, ratio)| {
                vec![
                    format!("tended / alone, {name}"),
                    outcome.threads.to_string(),
                    format!("{:.2}", ratio.median),
                    format!("({:.2}..{:.2})", ratio.least, ratio.most),
                ]
            })
        })
        .collect();
    report::table(
        "  ratios, round by round",
        &["", "threads", "median", "(least..most)"],
        &rows,
    )
}
