//! `streams`: the changes of a pool on their way to files, beside the bare feed and the bare disk,
//! and a bulk publish of all of its records: how long it takes, and of how much memory.

mod publishing;
mod scene;

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use serde::Serialize;
use serde_json::json;

use crate::arguments::{Shared, StreamsOptions};
use crate::failure::Result;
use crate::figure::Spread;
use crate::machine::Machine;
use crate::scratch::Scratch;
use crate::workload::Workload;
use crate::{progress, report, server};
use publishing::{Published, Publishing};
use scene::Scene;

/// Records of a dataset.
const RECORDS: usize = 10;
/// Bytes between two syncs of the raw writer: as many as the sink of files has at most.
const STEP_BYTES: usize = 8 << 20;
/// The sinks, and what their configuration adds.
const SINKS: [(&str, &str); 2] = [("file", ""), ("file, zstd", "compress = \"zstd\"\n")];

/// What one turn of a sink took, in seconds.
struct Turn {
    feed: f64,
    sink: f64,
    disk: f64,
    file_bytes: u64,
}

/// A sink, over all rounds.
#[derive(Serialize)]
struct Outcome {
    sink: &'static str,
    events: usize,
    /// Events a second.
    per_second: Spread,
    /// MB of keys and values a second, by the sink and by reading the feed alone.
    rate: Spread,
    feed_rate: Spread,
    /// MB of files a second, by the sink and by synced writes of as many bytes.
    file_rate: Spread,
    disk_rate: Spread,
    /// The sink by the feed, and by the disk, round by round.
    by_feed: Spread,
    by_disk: Spread,
    file_bytes: u64,
}

pub fn run(shared: &Shared, machine: &Machine, options: &StreamsOptions) -> Result<()> {
    let usual = if shared.quick { 3_000 } else { 100_000 };
    let datasets = options.stream_datasets.unwrap_or(usual);
    let usual = if shared.quick { 1 } else { 3 };
    let rounds = options
        .stream_rounds
        .map_or(usual, |rounds| rounds.get().into());
    let binary = server::binary(shared.server.as_deref())?;
    let mut sinks = Vec::new();
    for sink in SINKS {
        // Every server has plain files.
        if sink.1.is_empty() || Scene::has(&binary, &shared.data, sink.1)? {
            sinks.push(sink);
        }
    }
    let left_out: Vec<_> = SINKS.iter().filter(|sink| !sinks.contains(sink)).collect();
    let bar = progress::bar("streams", rounds * sinks.len());
    let mut turns: Vec<Vec<Turn>> = sinks.iter().map(|_| Vec::new()).collect();
    let mut published = Vec::new();
    let mut megabytes = 0.0;
    for _ in 0..rounds {
        for (&(name, more), turns) in sinks.iter().zip(&mut turns) {
            bar.set_message(name);
            let scratch = Scratch::new(&shared.data, "streams")?;
            let mut workload = Workload::new(datasets, RECORDS)?;
            let scene = Scene::new(&binary, scratch.path(), &mut workload, more)?;
            megabytes = bytes(&workload) as f64 / 1e6;
            let (turn, publishing) = turn(scene, &workload, more.is_empty())?;
            turns.push(turn);
            published.extend(publishing);
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    let pairs = sinks.iter().zip(&turns);
    let outcomes: Vec<_> = pairs
        .map(|((name, _), turns)| Outcome::of(name, datasets, megabytes, turns))
        .collect();
    let published = Published::of(&published, datasets * RECORDS);
    tell(&outcomes, &published, datasets, rounds)?;
    for (name, _) in left_out {
        report::lines(&[format!(
            "{name} is left out: the server was built without `--features full`"
        )])?;
    }
    let results = json!({ "sinks": outcomes, "publish": published });
    report::file(&shared.report, "streams", machine, results)
}

/// One sink, and a bulk publish to it if that is wanted.
fn turn(
    mut scene: Scene,
    workload: &Workload,
    publishes: bool,
) -> Result<(Turn, Option<Publishing>)> {
    let feed = scene.fill(workload)?;
    let sink = scene.deliver(workload.datasets.len())?;
    let file_bytes = scene.file_bytes()?;
    let disk = raw(&scene.directory().join("raw"), file_bytes)?;
    let turn = Turn {
        feed,
        sink,
        disk,
        file_bytes,
    };
    let publishing = match publishes {
        true => Some(Publishing::run(&mut scene)?),
        false => None,
    };
    scene.end()?;
    Ok((turn, publishing))
}

/// Bytes of all keys and values.
fn bytes(workload: &Workload) -> usize {
    let keys = workload.keys.iter();
    let dataset: usize = keys
        .map(|key| key.as_str().len() + workload.value_bytes)
        .sum();
    dataset * workload.datasets.len()
}

/// Seconds for as many bytes, written to a new file and synced as the sink does.
fn raw(path: &Path, bytes: u64) -> Result<f64> {
    let step = vec![b'x'; STEP_BYTES];
    let mut file = File::create(path)?;
    let began = Instant::now();
    let mut left = usize::try_from(bytes)?;
    while left > 0 {
        let length = left.min(step.len());
        file.write_all(&step[..length])?;
        file.sync_data()?;
        left -= length;
    }
    Ok(began.elapsed().as_secs_f64())
}

impl Outcome {
    fn of(sink: &'static str, events: usize, megabytes: f64, turns: &[Turn]) -> Self {
        let spread = |number: &dyn Fn(&Turn) -> f64| Spread::of(turns.iter().map(number));
        let file = |turn: &Turn| turn.file_bytes as f64 / 1e6;
        Self {
            sink,
            events,
            per_second: spread(&|turn| events as f64 / turn.sink),
            rate: spread(&|turn| megabytes / turn.sink),
            feed_rate: spread(&|turn| megabytes / turn.feed),
            file_rate: spread(&|turn| file(turn) / turn.sink),
            disk_rate: spread(&|turn| file(turn) / turn.disk),
            by_feed: spread(&|turn| turn.feed / turn.sink),
            by_disk: spread(&|turn| turn.disk / turn.sink),
            file_bytes: turns.last().map_or(0, |turn| turn.file_bytes),
        }
    }

    fn row(&self) -> Vec<String> {
        let short = |spread: &Spread| format!("{:.1}", spread.median);
        let ratio = |spread: &Spread| {
            let Spread {
                median,
                least,
                most,
            } = spread;
            format!("{median:.2} ({least:.2}..{most:.2})")
        };
        vec![
            self.sink.to_owned(),
            format!("{:.0}", self.per_second.median),
            short(&self.rate),
            short(&self.feed_rate),
            ratio(&self.by_feed),
            format!("{:.1}", self.file_bytes as f64 / 1e6),
            short(&self.file_rate),
            short(&self.disk_rate),
            ratio(&self.by_disk),
        ]
    }
}

fn tell(outcomes: &[Outcome], published: &Published, datasets: usize, rounds: usize) -> Result<()> {
    let title = format!(
        "streams: {datasets} commits of {RECORDS} records of 100 bytes on their way from the log \
         to files; {rounds} rounds, each in a new directory"
    );
    let head = [
        "sink",
        "events/s",
        "MB/s",
        "feed alone",
        "by it (least..most)",
        "files MB",
        "files MB/s",
        "disk alone",
        "by it (least..most)",
    ];
    let rows: Vec<_> = outcomes.iter().map(Outcome::row).collect();
    report::table(&title, &head, &rows)?;
    report::lines(&published.lines())
}
