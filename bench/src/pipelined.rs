//! `pipelined`: updates of callers that do not wait for each answer before they send the next.
//!
//! Every thread keeps up to 1,024 updates under way; each is acknowledged when it is durable.
//! Beside it LMDB without any sync, one transaction for each update: what a store reaches that
//! keeps nothing through a power cut.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::Serialize;
use serde_json::json;
use syncline_engine::{Error, Proposal, Receipt};

use crate::arguments::{PipelineOptions, Shared};
use crate::contestant::Contestant;
use crate::failure::{Result, fail};
use crate::figure::Spread;
use crate::machine::Machine;
use crate::peers::{self, UNSYNCED};
use crate::scratch::Scratch;
use crate::store::{Store, wish};
use crate::workload::Workload;
use crate::{progress, report, together};

/// Updates that a thread has under way at most.
const UNDER_WAY: usize = 1024;
/// Datasets of each thread, which it updates in turn: more than are under way, so that each update
/// knows the count that the one before it made.
const DATASETS: usize = 8192;

/// What was reached with some threads.
#[derive(Serialize)]
struct Outcome {
    threads: usize,
    /// Updates a second.
    engine: Spread,
    unsynced: Spread,
    /// Round by round.
    ratio: Spread,
    /// Updates that shared a sync, on average.
    per_sync: f64,
}

pub fn run(shared: &Shared, machine: &Machine, options: &PipelineOptions) -> Result<()> {
    let seconds = options
        .pipeline_seconds
        .unwrap_or(if shared.quick { 0.5 } else { 3.0 });
    let duration = Duration::try_from_secs_f64(seconds)?;
    let usual = if shared.quick { 3 } else { 5 };
    let rounds = options
        .pipeline_rounds
        .map_or(usual, |rounds| rounds.get().into());
    let mut outcomes = Vec::new();
    for &threads in &options.pipelines {
        let scratch = Scratch::new(&shared.data, "pipelined")?;
        let workload = Workload::new(threads * DATASETS, 1)?;
        let engine = Store::filled(&scratch.path().join("engine"), &workload)?;
        let peer = peers::filled(UNSYNCED, &scratch.path().join(UNSYNCED), &workload)?;
        let mut counts = [
            vec![1; workload.datasets.len()],
            vec![1; workload.datasets.len()],
        ];
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        let before = engine.totals();
        let mut updates = 0;
        let bar = progress::bar("pipelined", rounds);
        for _ in 0..rounds {
            let pipe = |share: &mut Share<'_>, stop: &AtomicBool| share.pipe(&engine, stop);
            let (rate, made) = turn(&workload, &mut counts[0], duration, pipe)?;
            (updates, ours) = (updates + made, [ours, vec![rate]].concat());
            let alone = |share: &mut Share<'_>, stop: &AtomicBool| share.alone(&*peer, stop);
            theirs.push(turn(&workload, &mut counts[1], duration, alone)?.0);
            bar.inc(1);
        }
        bar.finish_and_clear();
        engine.verify(&workload, &counts[0])?;
        peer.verify(&workload, &counts[1])?;
        let syncs = engine.totals().since(before).syncs;
        let pairs = ours.iter().zip(&theirs);
        outcomes.push(Outcome {
            threads,
            ratio: Spread::of(pairs.map(|(ours, theirs)| ours / theirs)),
            engine: Spread::of(ours),
            unsynced: Spread::of(theirs),
            per_sync: updates as f64 / syncs as f64,
        });
    }
    tell(&outcomes)?;
    report::file(&shared.report, "pipelined", machine, json!(outcomes))
}

/// The datasets of one thread, and their counts.
struct Share<'a> {
    workload: &'a Workload,
    first: usize,
    counts: &'a mut [u64],
}

/// An answer on its way, and whose it is.
type Answer = (
    usize,
    Pin<Box<dyn Future<Output = std::result::Result<Receipt, Error>> + Send>>,
);

impl Share<'_> {
    /// Makes updates until told to stop, many at a time; says how many.
    fn pipe(&mut self, store: &Store, stop: &AtomicBool) -> Result<u64> {
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        let mut under_way = VecDeque::<Answer>::with_capacity(UNDER_WAY);
        let mut made = 0;
        let mut numbers = (0..self.counts.len()).cycle();
        loop {
            let stopped = stop.load(Ordering::Relaxed);
            if stopped && under_way.is_empty() {
                return Ok(made);
            }
            if !stopped && under_way.len() < UNDER_WAY {
                let number = numbers.next().unwrap_or_default();
                let update = self
                    .workload
                    .update(self.first + number, self.counts[number]);
                let Ok(answer) = store.engine.commit_future(Proposal::from(wish(update)?)) else {
                    return fail("a page is not in memory");
                };
                under_way.push_back((number, Box::pin(answer)));
                continue;
            }
            if let Some((number, answer)) = under_way.pop_front() {
                runtime.block_on(answer)?;
                self.counts[number] += 1;
                made += 1;
            }
        }
    }

    /// The same, one at a time.
    fn alone(&mut self, peer: &dyn Contestant, stop: &AtomicBool) -> Result<u64> {
        let mut made = 0;
        for number in (0..self.counts.len()).cycle() {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            peer.commit(
                self.workload
                    .update(self.first + number, self.counts[number]),
            )?;
            self.counts[number] += 1;
            made += 1;
        }
        Ok(made)
    }
}

/// Updates a second of all threads, and how many there were.
fn turn(
    workload: &Workload,
    counts: &mut [u64],
    duration: Duration,
    work: impl Fn(&mut Share<'_>, &AtomicBool) -> Result<u64> + Sync,
) -> Result<(f64, u64)> {
    let worker = |(thread, counts)| {
        let work = &work;
        let mut share = Share {
            workload,
            first: thread * DATASETS,
            counts,
        };
        move |stop: &AtomicBool| work(&mut share, stop)
    };
    let workers: Vec<_> = counts
        .chunks_mut(DATASETS)
        .enumerate()
        .map(worker)
        .collect();
    let ended = together::run(workers, duration, || ())?;
    let made: u64 = ended.outcomes.iter().sum();
    // What was under way when the time was over took its time, too.
    Ok((made as f64 / ended.elapsed.as_secs_f64(), made))
}

fn tell(outcomes: &[Outcome]) -> Result<()> {
    let spread = |spread: Spread| format!("({:.0}..{:.0})", spread.least, spread.most);
    let row = |outcome: &Outcome| {
        vec![
            outcome.threads.to_string(),
            format!("{:.0}", outcome.engine.median),
            spread(outcome.engine),
            format!("{:.1}", outcome.per_sync),
            format!("{:.0}", outcome.unsynced.median),
            spread(outcome.unsynced),
            format!("{:.2}", outcome.ratio.median),
        ]
    };
    let rows: Vec<_> = outcomes.iter().map(row).collect();
    report::table(
        "durable updates of 1 record, up to 1,024 under way a thread; LMDB never syncs",
        &[
            "threads",
            "engine",
            "(least..most)",
            "per sync",
            UNSYNCED,
            "(least..most)",
            "engine by it",
        ],
        &rows,
    )
}
