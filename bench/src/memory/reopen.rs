//! The process that opens a store, reads all of it, and closes it.

use std::time::Instant;

use syncline_engine::{Engine, Listing};

use super::Stage;
use crate::arguments::{OpenOptions, Shape};
use crate::failure::{Result, fail};
use crate::{fresh, processor, progress, workload};

pub fn run(arguments: &OpenOptions) -> Result<()> {
    let shape = &arguments.shape;
    let began = Instant::now();
    let engine = Engine::open(&shape.store, shape.options())?;
    let seconds = began.elapsed().as_secs_f64();
    let resident = processor::memory_of_this_process("VmRSS")?;
    let records = read(&engine, shape)?;
    let stats = engine.stats();
    let stage = Stage {
        seconds,
        datasets: stats.datasets,
        identities: stats.identities,
        records,
        log_bytes: stats.log_bytes,
        resident,
        resident_read: processor::memory_of_this_process("VmRSS")?,
        resident_most: processor::memory_of_this_process("VmHWM")?,
        cache_bytes: stats.cache_bytes,
        clean: engine.recovery().clean,
    };
    engine.close()?;
    fresh::tell(&stage)
}

/// Reads every record, which fills the cache, and fails if one is not as it was written.
fn read(engine: &Engine, shape: &Shape) -> Result<u64> {
    let bar = progress::bar("read", shape.identities);
    let mut records = 0;
    for identity in 0..shape.identities {
        for number in 0..shape.datasets {
            let dataset = workload::numbered(identity, number)?;
            let listed = engine.reader().list(&dataset, &Listing::default())?;
            for record in listed.records() {
                let number = record
                    .key
                    .as_str()
                    .strip_prefix("record-")
                    .unwrap_or_default()
                    .parse()?;
                if record.value != Some(workload::value(identity, number).as_str().into()) {
                    return fail(format!("{dataset} {} is not as it was written", record.key));
                }
                records += 1;
            }
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    let written = shape.identities * shape.datasets * shape.records;
    if records != written as u64 {
        return fail(format!(
            "{records} records are there, {written} were written"
        ));
    }
    Ok(records)
}
