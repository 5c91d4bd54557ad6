//! The process that fills a store and then waits to be killed.

use std::time::Instant;

use syncline_engine::{
    Engine, ModifiedBy, Patch, PatchOp, Proposal, RecordKey, RecordValue, SyncCount, Wish,
};

use super::Stage;
use crate::arguments::{FillOptions, Shape};
use crate::failure::Result;
use crate::{fresh, processor, progress, workload};

/// Commits that are handed over at a time.
const CHUNK: usize = 1000;

pub fn run(arguments: &FillOptions) -> Result<()> {
    let shape = &arguments.shape;
    let began = Instant::now();
    let engine = Engine::open(&shape.store, shape.options())?;
    fill(&engine, shape)?;
    let stats = engine.stats();
    let resident = processor::memory_of_this_process("VmRSS")?;
    let records = shape.identities * shape.datasets * shape.records;
    let stage = Stage {
        seconds: began.elapsed().as_secs_f64(),
        datasets: stats.datasets,
        identities: stats.identities,
        records: records as u64,
        log_bytes: stats.log_bytes,
        resident,
        resident_read: resident,
        resident_most: processor::memory_of_this_process("VmHWM")?,
        cache_bytes: stats.cache_bytes,
        clean: false,
    };
    fresh::tell(&stage)?;
    fresh::wait_to_be_killed()
}

fn fill(engine: &Engine, shape: &Shape) -> Result<()> {
    let bar = progress::bar("fill", shape.identities * shape.datasets);
    let mut proposals = Vec::with_capacity(CHUNK);
    for identity in 0..shape.identities {
        for number in 0..shape.datasets {
            proposals.push(proposal(shape, identity, number)?);
        }
        if proposals.len() >= CHUNK || identity + 1 == shape.identities {
            let count = proposals.len();
            for answer in engine.commit_all(std::mem::take(&mut proposals)) {
                answer?;
            }
            bar.inc(count as u64);
        }
    }
    bar.finish_and_clear();
    Ok(())
}

/// All records of a dataset in one commit.
fn proposal(shape: &Shape, identity: usize, number: usize) -> Result<Proposal> {
    let patches = (0..shape.records).map(|record| {
        Ok(Patch {
            key: RecordKey::parse(&format!("record-{record}"))?,
            op: PatchOp::Replace(RecordValue::parse(workload::value(
                identity,
                record as u64,
            ))?),
            sync_count: SyncCount::ZERO,
            device_modified: None,
        })
    });
    let wish = Wish::Update {
        dataset: workload::numbered(identity, number)?,
        patches: patches.collect::<Result<_>>()?,
        modified_by: ModifiedBy::Owner,
    };
    Ok(wish.into())
}
