//! `memory`: what a filled store takes in memory, and how long it takes to reopen.
//!
//! Every store is filled, killed without a close, reopened, closed, and reopened once more, each
//! time in a fresh process, so that nothing of one stage is counted in another.

pub mod fill;
pub mod reopen;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::arguments::{MemoryOptions, Shape, Shared};
use crate::failure::{Result, fail};
use crate::fresh::Fresh;
use crate::machine::Machine;
use crate::report;
use crate::scratch::Scratch;
use crate::workload;

/// What the store may take beside cache, datasets and identities.
const BASE_BYTES: u64 = 64 << 20;
/// What a dataset or an identity may take.
const PLACE_BYTES: u64 = 100;

/// What one process of a measurement saw.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Stage {
    /// Of the whole stage: filling, or opening.
    pub seconds: f64,
    pub datasets: u64,
    pub identities: u64,
    pub records: u64,
    pub log_bytes: u64,
    /// Resident memory when the stage is done.
    pub resident: u64,
    /// Resident memory once the cache is full of what was read.
    pub resident_read: u64,
    /// The most that was ever resident.
    pub resident_most: u64,
    pub cache_bytes: u64,
    /// The store had been closed cleanly.
    pub clean: bool,
}

/// One shape of store.
#[derive(Serialize)]
struct Outcome {
    identities: usize,
    datasets_per_identity: usize,
    records_per_dataset: usize,
    bound: u64,
    filled: Stage,
    after_kill: Stage,
    after_close: Stage,
}

pub fn run(shared: &Shared, machine: &Machine, options: &MemoryOptions) -> Result<()> {
    let mut outcomes = Vec::new();
    for &datasets in &options.datasets_per_identity {
        let scratch = Scratch::new(&shared.data, "memory")?;
        let shape = shape(shared, options, datasets, scratch.path())?;
        outcomes.push(measure(&shape)?);
    }
    let title = format!(
        "memory and reopening; cache {} MiB, values of {} bytes; log read from the page cache",
        options.cache_mib,
        workload::VALUE_BYTES
    );
    let head = [
        "store", "log MB", "MB of", "bound", "filled", "opened", "all read", "most", "open s",
        "s per GB",
    ];
    let rows: Vec<_> = outcomes.iter().flat_map(Outcome::rows).collect();
    report::table(&title, &head, &rows)?;
    report::file(&shared.report, "memory", machine, json!(outcomes))?;
    outcomes.iter().try_for_each(Outcome::check)
}

fn shape(
    shared: &Shared,
    options: &MemoryOptions,
    datasets: usize,
    scratch: &Path,
) -> Result<Shape> {
    if datasets == 0 || !options.records_per_identity.is_multiple_of(datasets) {
        let records = options.records_per_identity;
        return fail(format!(
            "{records} records cannot be spread evenly over {datasets} datasets"
        ));
    }
    Ok(Shape {
        store: PathBuf::from(scratch).join("store"),
        identities: options
            .identities
            .unwrap_or(if shared.quick { 5_000 } else { 50_000 }),
        datasets,
        records: options.records_per_identity / datasets,
        cache_bytes: options.cache_mib << 20,
    })
}

fn measure(shape: &Shape) -> Result<Outcome> {
    let stage = |name: &str| Fresh::<Stage>::start(&[name.to_owned()], shape);
    let filled = stage("memory-fill")?.killed()?;
    let after_kill = stage("memory-open")?.ended()?;
    let after_close = stage("memory-open")?.ended()?;
    if after_kill.clean || !after_close.clean {
        return fail("the store does not know how it was closed");
    }
    let (datasets, identities) = (filled.datasets, filled.identities);
    Ok(Outcome {
        identities: shape.identities,
        datasets_per_identity: shape.datasets,
        records_per_dataset: shape.records,
        bound: shape.cache_bytes as u64 + PLACE_BYTES * (datasets + identities) + BASE_BYTES,
        filled,
        after_kill,
        after_close,
    })
}

impl Outcome {
    fn rows(&self) -> Vec<Vec<String>> {
        let mb = |bytes: u64| format!("{:.1}", bytes as f64 / 1e6);
        let name = format!(
            "{} identities x {} datasets x {} records",
            self.identities, self.datasets_per_identity, self.records_per_dataset
        );
        let row = |stage: &Stage, name: String, when: &str| {
            let gb = stage.log_bytes as f64 / 1e9;
            vec![
                name,
                mb(stage.log_bytes),
                when.to_owned(),
                mb(self.bound),
                mb(self.filled.resident),
                mb(stage.resident),
                mb(stage.resident_read),
                mb(stage.resident_most),
                format!("{:.2}", stage.seconds),
                format!("{:.2}", stage.seconds / gb),
            ]
        };
        vec![
            row(&self.after_kill, name, "killed"),
            row(&self.after_close, String::new(), "closed"),
        ]
    }

    /// Fails if the memory passed its bound.
    fn check(&self) -> Result<()> {
        let stages = [&self.filled, &self.after_kill, &self.after_close];
        let most = stages
            .iter()
            .map(|stage| stage.resident.max(stage.resident_read))
            .max();
        match most {
            Some(most) if most > self.bound => fail(format!(
                "{most} bytes are resident, more than the {} that are allowed",
                self.bound
            )),
            _ => Ok(()),
        }
    }
}
