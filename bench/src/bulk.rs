//! `bulk`: many datasets written, overwritten, followed in the feed and exported, beside other
//! stores and beside synced writes of as many bytes.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use serde::Serialize;
use serde_json::json;
use syncline_engine::Options;

use crate::arguments::{BulkOptions, Shared};
use crate::contestant::Shelf;
use crate::failure::{Result, fail};
use crate::figure::Spread;
use crate::machine::Machine;
use crate::scratch::Scratch;
use crate::store::Store;
use crate::workload::{Update, Workload};
use crate::{peers, progress, report};

const ENGINE: &str = "engine";
const RAW: &str = "raw synced writes";
/// Records of a dataset.
const RECORDS: usize = 10;
/// Bytes between two syncs of the raw writer.
const STEP_BYTES: usize = 4 << 20;
/// How often everything is overwritten.
const TIMES: u64 = 5;
/// What is measured, in MB of keys and values a second.
const STEPS: [&str; 5] = ["load", "overwrite", "5 times", "feed", "export"];

/// MB a second of one turn, step by step; `None`: it has no such step.
type Turn = [Option<f64>; STEPS.len()];

#[derive(Serialize)]
struct Outcome {
    step: &'static str,
    contestant: &'static str,
    /// MB of keys and values a second.
    rate: Spread,
    /// The engine by this one, round by round.
    engine_by_it: Spread,
}

pub fn run(shared: &Shared, machine: &Machine, options: &BulkOptions) -> Result<()> {
    let usual = if shared.quick { 20_000 } else { 200_000 };
    let datasets = options.bulk_datasets.unwrap_or(usual);
    let rounds = options.bulk_rounds.map_or(3, |rounds| rounds.get().into());
    let workload = Workload::new(datasets, RECORDS)?;
    let names: Vec<_> = [ENGINE, RAW].into_iter().chain(peers::NAMES).collect();
    let bar = progress::bar("bulk", rounds * names.len());
    let mut turns = vec![Vec::new(); names.len()];
    for _ in 0..rounds {
        for (name, turns) in names.iter().zip(&mut turns) {
            bar.set_message(*name);
            let scratch = Scratch::new(&shared.data, "bulk")?;
            turns.push(turn(name, scratch.path(), &workload)?);
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    let outcomes = compare(&names, &turns);
    tell(&outcomes, &workload, rounds)?;
    report::file(&shared.report, "bulk", machine, json!(outcomes))
}

fn turn(name: &'static str, directory: &Path, workload: &Workload) -> Result<Turn> {
    let directory = directory.join("data");
    let shelf: Box<dyn Shelf> = match name {
        RAW => return raw(&directory, workload),
        ENGINE => Box::new(Store::empty(&directory, Options::default())?),
        _ => peers::empty(name, &directory)?,
    };
    let megabytes = bytes(workload) as f64 / 1e6;
    let write = |count| -> Result<f64> {
        let numbers = 0..workload.datasets.len();
        let updates: Vec<_> = numbers.map(|n| workload.update(n, count)).collect();
        let began = Instant::now();
        write_all(shelf.as_ref(), &updates)?;
        Ok(began.elapsed().as_secs_f64())
    };
    let load = write(0)?;
    let mut overwrites = Vec::new();
    for count in 1..=TIMES {
        overwrites.push(write(count)?);
    }
    shelf.verify(workload, &vec![1 + TIMES; workload.datasets.len()])?;
    let began = Instant::now();
    let (commits, followed) = shelf.follow()?;
    let feed = began.elapsed().as_secs_f64();
    let began = Instant::now();
    let (records, exported) = shelf.export()?;
    let export = began.elapsed().as_secs_f64();
    // The engine's feed reaches back as far as it is retained.
    let whole = records == workload.datasets.len() * RECORDS && exported == bytes(workload);
    if !whole || commits == 0 || followed != commits * dataset_bytes(workload) {
        return fail(format!(
            "{name}: {commits} commits of {followed} bytes, {records} records of {exported}"
        ));
    }
    let sustained = TIMES as f64 * megabytes / overwrites.iter().sum::<f64>();
    Ok([
        Some(megabytes / load),
        Some(megabytes / overwrites[0]),
        Some(sustained),
        Some(followed as f64 / 1e6 / feed),
        Some(megabytes / export),
    ])
}

/// Each processor writes its part.
fn write_all(shelf: &dyn Shelf, updates: &[Update<'_>]) -> Result<()> {
    let writers = std::thread::available_parallelism()?.get();
    std::thread::scope(|scope| {
        let parts = updates.chunks(updates.len().div_ceil(writers).max(1));
        let writing: Vec<_> = parts
            .map(|part| scope.spawn(move || shelf.write_all(part)))
            .collect();
        writing
            .into_iter()
            .try_for_each(|writer| writer.join().map_err(|_| "a writer panicked")?)
    })
}

/// Bytes of all keys and values.
fn bytes(workload: &Workload) -> usize {
    dataset_bytes(workload) * workload.datasets.len()
}

fn dataset_bytes(workload: &Workload) -> usize {
    let keys = workload.keys.iter();
    keys.map(|key| key.as_str().len() + workload.value_bytes)
        .sum()
}

/// As many bytes, written to a new file each time.
fn raw(directory: &Path, workload: &Workload) -> Result<Turn> {
    std::fs::create_dir_all(directory)?;
    let step = vec![b'x'; STEP_BYTES];
    let mut rates = [0.0; 2];
    for (number, rate) in rates.iter_mut().enumerate() {
        let mut file = File::create(directory.join(number.to_string()))?;
        let began = Instant::now();
        let mut left = bytes(workload);
        while left > 0 {
            let length = left.min(step.len());
            file.write_all(&step[..length])?;
            file.sync_data()?;
            left -= length;
        }
        *rate = bytes(workload) as f64 / 1e6 / began.elapsed().as_secs_f64();
    }
    Ok([Some(rates[0]), Some(rates[1]), Some(rates[1]), None, None])
}

fn compare(names: &[&'static str], turns: &[Vec<Turn>]) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for (step, told) in STEPS.into_iter().enumerate() {
        let ours: Vec<_> = turns[0].iter().filter_map(|turn| turn[step]).collect();
        for (&contestant, turns) in names.iter().zip(turns) {
            let rates: Vec<_> = turns.iter().filter_map(|turn| turn[step]).collect();
            if rates.is_empty() {
                continue;
            }
            let pairs = ours.iter().zip(&rates);
            outcomes.push(Outcome {
                step: told,
                contestant,
                rate: Spread::of(rates.iter().copied()),
                engine_by_it: Spread::of(pairs.map(|(ours, theirs)| ours / theirs)),
            });
        }
    }
    outcomes
}

fn tell(outcomes: &[Outcome], workload: &Workload, rounds: usize) -> Result<()> {
    let title = format!(
        "bulk, MB of keys and values a second: {} datasets of {RECORDS} records of {} bytes; \
         overwritten {TIMES} times, then followed and exported; {rounds} rounds, each in a new \
         directory",
        workload.datasets.len(),
        workload.value_bytes
    );
    let spread = |spread: &Spread| format!("({:.2}..{:.2})", spread.least, spread.most);
    let row = |outcome: &Outcome| {
        vec![
            outcome.step.to_owned(),
            outcome.contestant.to_owned(),
            format!("{:.1}", outcome.rate.median),
            spread(&outcome.rate),
            format!("{:.2}", outcome.engine_by_it.median),
            spread(&outcome.engine_by_it),
        ]
    };
    let rows: Vec<_> = outcomes.iter().map(row).collect();
    let head = [
        "",
        "",
        "MB/s",
        "(least..most)",
        "engine by it",
        "(least..most)",
    ];
    report::table(&title, &head, &rows)
}
