//! Bytes written for each byte that a caller writes: to the log, and by cleaning and checkpoints.
//!
//! The store has no threads here and is maintained between chunks of updates, so what the log grew
//! by is known exactly, and is the same in every run.

use std::path::Path;

use serde::Serialize;
use serde_json::json;
use syncline_engine::Options;

use super::shelf::Shelf;
use super::{mb, scaled};
use crate::arguments::{Shared, UpkeepOptions};
use crate::failure::Result;
use crate::scratch::Scratch;
use crate::{progress, report};

/// Key and value of a record that is updated.
const HOT_BYTES: usize = 100;
/// Updates between two looks at the log.
const CHUNK: usize = 1000;

/// Datasets and what is done to them.
struct Mix {
    name: &'static str,
    datasets: usize,
    sizes: Vec<usize>,
    /// So many records of each dataset are updated.
    hot: usize,
    /// Updates until frames are of their usual size, for each dataset.
    warm_up: usize,
    /// Segments of log over which the whole is measured.
    segments: u64,
}

/// What was written, in bytes.
#[derive(Serialize)]
struct Outcome {
    name: &'static str,
    datasets: usize,
    dataset_bytes: usize,
    live_bytes: u64,
    /// Keys and values of updates, and frames, before anything was cleaned.
    logical_before: u64,
    log_before: u64,
    /// The same while cleaner and checkpoints work, and what these wrote.
    logical: u64,
    log: u64,
    moved: u64,
    checkpoints: u64,
    checkpoint_bytes: u64,
    retired_segments: u64,
    cleaned_segments: u64,
}

pub fn run(shared: &Shared, options: &UpkeepOptions) -> Result<serde_json::Value> {
    let quick = shared.quick;
    let small = options.small_datasets.clone().unwrap_or(if quick {
        vec![5_000]
    } else {
        vec![20_000, 200_000]
    });
    let large = options.large_datasets.unwrap_or(if quick { 4 } else { 16 });
    let segments = if quick { 6 } else { 32 };
    let still = (1 << 20) / 512 - HOT_BYTES;
    let mut mixes: Vec<_> = small
        .into_iter()
        .map(|datasets| Mix {
            name: "10 x 100 bytes",
            datasets,
            sizes: vec![HOT_BYTES; 10],
            hot: 10,
            warm_up: 8,
            segments,
        })
        .collect();
    mixes.push(Mix {
        name: "512 x 100 bytes, 512 still",
        datasets: large,
        sizes: [vec![HOT_BYTES; 512], vec![still; 512]].concat(),
        hot: 512,
        warm_up: 2048,
        // Each update copies a large page, so this takes longer.
        segments: if quick { 4 } else { 12 },
    });
    let mut outcomes = Vec::new();
    for mix in &mixes {
        let scratch = Scratch::new(&shared.data, "amplification")?;
        outcomes.push(measure(scratch.path(), mix, scaled(options))?);
    }
    let rows: Vec<_> = outcomes.iter().map(Outcome::row).collect();
    report::table(
        "bytes written per byte of keys and values, one record of 100 bytes at a time",
        &[
            "datasets",
            "live MB",
            "log",
            "log, cleaned",
            "moved",
            "saved",
            "total",
        ],
        &rows,
    )?;
    Ok(json!(outcomes))
}

fn measure(directory: &Path, mix: &Mix, options: Options) -> Result<Outcome> {
    // A round of maintenance comes as often as a segment is full.
    let round = options.segment_bytes;
    let options = Options {
        threads: false,
        ..options
    };
    let mut shelf = Shelf::new(directory, options, mix.datasets, mix.sizes.clone())?;
    let what = format!("{} of {}", mix.datasets, mix.name);
    let bar = progress::bar(&what, usize::try_from(mix.segments)?);
    shelf.write_all(|_, _| Ok(()))?;
    shelf.update(mix.warm_up * mix.datasets, mix.hot)?;
    let before = log_bytes(&shelf);
    let updates = mix.warm_up * mix.datasets / 2;
    shelf.update(updates, mix.hot)?;
    let log_before = log_bytes(&shelf) - before;
    let logical_before = (updates * HOT_BYTES) as u64;
    // Until what the first rounds find is done, it is not the usual work.
    tended(&mut shelf, mix, (round, mix.segments / 4), &bar)?;
    let was = shelf.engine.upkeep();
    let (logical, log) = tended(&mut shelf, mix, (round, mix.segments), &bar)?;
    let is = shelf.engine.upkeep();
    bar.finish_and_clear();
    shelf.verify()?;
    let checkpoints = is.checkpoints - was.checkpoints;
    let outcome = Outcome {
        name: mix.name,
        datasets: mix.datasets,
        dataset_bytes: shelf.dataset_bytes(),
        live_bytes: shelf.engine.stats().bytes,
        logical_before,
        log_before,
        logical,
        log,
        moved: is.moved_bytes - was.moved_bytes,
        checkpoints,
        checkpoint_bytes: checkpoints * is.checkpoint_bytes,
        retired_segments: is.retired - was.retired,
        cleaned_segments: is.cleaned - was.cleaned,
    };
    shelf.engine.close()?;
    Ok(outcome)
}

/// Rounds of updates that let the log grow by so much, each with maintenance behind it. Says what
/// was updated and what the log grew by.
fn tended(
    shelf: &mut Shelf,
    mix: &Mix,
    (round, rounds): (u64, u64),
    bar: &indicatif::ProgressBar,
) -> Result<(u64, u64)> {
    let (mut logical, mut log) = (0, 0);
    for done in 1..=rounds {
        let before = log_bytes(shelf);
        while log_bytes(shelf) - before < round {
            shelf.update(CHUNK, mix.hot)?;
            logical += (CHUNK * HOT_BYTES) as u64;
        }
        log += log_bytes(shelf) - before;
        shelf.engine.maintain()?;
        bar.set_position(done);
    }
    Ok((logical, log))
}

fn log_bytes(shelf: &Shelf) -> u64 {
    shelf.engine.stats().log_bytes
}

impl Outcome {
    fn row(&self) -> Vec<String> {
        let per = |bytes: u64| format!("{:.2}", bytes as f64 / self.logical as f64);
        vec![
            format!("{} of {}", self.datasets, self.name),
            mb(self.live_bytes),
            format!("{:.2}", self.log_before as f64 / self.logical_before as f64),
            per(self.log),
            per(self.moved),
            per(self.checkpoint_bytes),
            per(self.log + self.moved + self.checkpoint_bytes),
        ]
    }
}
