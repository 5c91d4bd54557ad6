//! The processes of `opening`: each fills, changes or opens a store, and says what it saw.

use std::time::Instant;

use serde::{Deserialize, Serialize};
use syncline_engine::{
    Engine, Exported, Listing, ModifiedBy, Options, Patch, PatchOp, Proposal, Record, RecordKey,
    RecordValue, Scope, SyncCount, Wish,
};

use crate::arguments::{Shape, StageOptions, Task};
use crate::failure::{Result, fail};
use crate::workload::{self, Dice, KEY};
use crate::{fresh, peers, processor, progress};

/// Commits that are handed over at a time.
pub const CHUNK: usize = 1000;
/// Datasets that are read after opening, to see that it is the store that was written.
pub const LOOKS: usize = 1000;
/// How much log a store has behind its checkpoint at most before it is killed, in hundredths of
/// what would make the next one due.
const TAIL_PERCENT: u64 = 90;

/// What one process saw.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// Of opening the store.
    pub seconds: f64,
    /// Resident memory right after that, and the most that was resident until then.
    pub resident: u64,
    pub resident_most: u64,
    /// Bytes in the cache then.
    pub cache_bytes: u64,
    /// What opening replayed.
    pub replayed_bytes: u64,
    pub replayed_commits: u64,
    pub clean: bool,
    pub datasets: u64,
    pub identities: u64,
    pub log_bytes: u64,
    /// Updates that were made.
    pub updates: u64,
    /// Checkpoints that were written, and how long they took.
    pub checkpoint: Flow,
    /// The feed, read from its beginning to its end.
    pub feed: Flow,
    /// All datasets, exported: bytes of keys and values.
    pub export: Flow,
}

/// Bytes that went somewhere in some time.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Flow {
    pub bytes: u64,
    pub seconds: f64,
}

impl Flow {
    pub fn mb_per_second(self) -> f64 {
        self.bytes as f64 / 1e6 / self.seconds
    }
}

pub fn run(options: &StageOptions) -> Result<()> {
    if let Some(peer) = &options.peer {
        return peers::stage::run(peer, options);
    }
    let shape = &options.shape;
    let began = Instant::now();
    let engine = Engine::open(&shape.store, shape.options())?;
    let mut seen = Seen {
        seconds: began.elapsed().as_secs_f64(),
        ..look(&engine)?
    };
    let close = match options.task {
        Task::Fill => {
            fill(&engine, shape)?;
            seen.checkpoint = checkpoint(&engine)?;
            seen.feed = feed(&engine, shape)?;
            seen.export = export(&engine)?;
            true
        }
        Task::Change => {
            seen.updates = change(&engine, options)?;
            false
        }
        Task::OpenAndClose | Task::Open => {
            verify(&engine, options)?;
            options.task == Task::OpenAndClose
        }
    };
    seen.log_bytes = engine.stats().log_bytes;
    if close {
        engine.close()?;
    }
    fresh::tell(&seen)?;
    if close {
        return Ok(());
    }
    fresh::wait_to_be_killed()
}

/// The store as it was opened.
fn look(engine: &Engine) -> Result<Seen> {
    let (stats, recovery) = (engine.stats(), engine.recovery());
    Ok(Seen {
        resident: processor::memory_of_this_process("VmRSS")?,
        resident_most: processor::memory_of_this_process("VmHWM")?,
        cache_bytes: stats.cache_bytes,
        replayed_bytes: recovery.bytes,
        replayed_commits: recovery.commits,
        clean: recovery.clean,
        datasets: stats.datasets,
        identities: stats.identities,
        ..Seen::default()
    })
}

fn fill(engine: &Engine, shape: &Shape) -> Result<()> {
    let all = shape.identities * shape.datasets;
    let bar = progress::bar("fill", all);
    commit(engine, shape, 0..all as u64, |_| bar.inc(CHUNK as u64))?;
    bar.finish_and_clear();
    Ok(())
}

/// Updates datasets in turn; the log behind the checkpoint stays too short for another.
fn change(engine: &Engine, options: &StageOptions) -> Result<u64> {
    let defaults = Options::default();
    let due = defaults
        .checkpoint_bytes
        .max(2 * engine.upkeep().checkpoint_bytes);
    let room = due / 100 * TAIL_PERCENT;
    let all = (options.shape.identities * options.shape.datasets) as u64;
    let first = all + options.updated;
    let before = engine.stats().log_bytes;
    let mut made = 0;
    let goes_on = |made| match options.updates {
        Some(updates) => made < updates,
        None => engine.stats().log_bytes - before < room,
    };
    while goes_on(made) {
        let numbers = first + made..first + made + CHUNK as u64;
        commit(engine, &options.shape, numbers, |_| ())?;
        made += CHUNK as u64;
    }
    if engine.upkeep().checkpoints > 0 {
        return fail("a checkpoint was written, so there is less to replay than there should be");
    }
    Ok(made)
}

/// Commits by number: each dataset is written once, then each a second time, and so on.
fn commit(
    engine: &Engine,
    shape: &Shape,
    numbers: std::ops::Range<u64>,
    done: impl Fn(usize),
) -> Result<()> {
    let mut numbers = numbers.peekable();
    while numbers.peek().is_some() {
        let proposals: Result<Vec<_>> = numbers
            .by_ref()
            .take(CHUNK)
            .map(|number| proposal(shape, number))
            .collect();
        let answers = engine.commit_all(proposals?);
        let count = answers.len();
        for answer in answers {
            answer?;
        }
        done(count);
    }
    Ok(())
}

fn proposal(shape: &Shape, number: u64) -> Result<Proposal> {
    let all = (shape.identities * shape.datasets) as u64;
    let (dataset, count) = (usize::try_from(number % all)?, number / all);
    let patch = Patch {
        key: RecordKey::parse(KEY)?,
        op: PatchOp::Replace(RecordValue::parse(workload::value(dataset, count + 1))?),
        sync_count: SyncCount::new(count)?,
        device_modified: None,
    };
    let wish = Wish::Update {
        dataset: id(shape, dataset)?,
        patches: vec![patch],
        modified_by: ModifiedBy::Owner,
    };
    Ok(wish.into())
}

fn id(shape: &Shape, dataset: usize) -> Result<syncline_engine::DatasetId> {
    workload::numbered(dataset / shape.datasets, dataset % shape.datasets)
}

/// How fast checkpoints are written when nothing else goes on.
fn checkpoint(engine: &Engine) -> Result<Flow> {
    // What is due now is not measured: it is more than checkpoints.
    engine.maintain()?;
    let before = engine.upkeep().checkpoints;
    let began = Instant::now();
    engine.compact()?;
    let seconds = began.elapsed().as_secs_f64();
    let upkeep = engine.upkeep();
    Ok(Flow {
        bytes: (upkeep.checkpoints - before) * upkeep.checkpoint_bytes,
        seconds,
    })
}

/// How fast the feed is read.
fn feed(engine: &Engine, shape: &Shape) -> Result<Flow> {
    let began = Instant::now();
    let mut feed = engine.feed(engine.tail())?;
    let mut commits = 0;
    loop {
        let read = feed.read()?.len();
        if read == 0 {
            break;
        }
        commits += read;
    }
    let seconds = began.elapsed().as_secs_f64();
    // Of a small store the feed has all; of a large one the oldest may have gone.
    let all = shape.identities * shape.datasets;
    if feed.cursor() != engine.head() || commits > all {
        return fail(format!("the feed told of {commits} commits of {all}"));
    }
    Ok(Flow {
        bytes: engine.stats().log_bytes,
        seconds,
    })
}

/// How fast all datasets are exported.
fn export(engine: &Engine) -> Result<Flow> {
    let began = Instant::now();
    let (mut datasets, mut bytes) = (0, 0);
    for told in engine.export(Scope::All)? {
        if let Exported::Dataset { content, .. } = told? {
            datasets += 1;
            bytes += content.records.iter().map(size).sum::<u64>();
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    let stats = engine.stats();
    if (datasets, bytes) != (stats.datasets, stats.bytes) {
        return fail(format!(
            "the export told of {datasets} datasets, {bytes} bytes"
        ));
    }
    Ok(Flow { bytes, seconds })
}

fn size(record: &Record) -> u64 {
    let value = record.value.as_ref().map_or("", RecordValue::as_str);
    (record.key.as_str().len() + value.len()) as u64
}

/// The count that a dataset has after all updates.
pub fn count_of(options: &StageOptions, dataset: usize) -> u64 {
    let all = (options.shape.identities * options.shape.datasets) as u64;
    let more = u64::from((dataset as u64) < options.updated % all);
    1 + options.updated / all + more
}

/// Reads some datasets, and fails if one is not as it was acknowledged.
fn verify(engine: &Engine, options: &StageOptions) -> Result<()> {
    let shape = &options.shape;
    let all = shape.identities * shape.datasets;
    if engine.stats().datasets != all as u64 {
        return fail(format!(
            "{} datasets are there, {all} were written",
            engine.stats().datasets
        ));
    }
    let mut dice = Dice::new(all);
    for _ in 0..LOOKS.min(all) {
        let dataset = dice.roll(all);
        let count = count_of(options, dataset);
        let id = id(shape, dataset)?;
        let listed = engine.reader().list(&id, &Listing::default())?;
        let wanted = workload::value(dataset, count);
        let found: Vec<_> = listed.records().map(|record| record.value).collect();
        if listed.sync_count.get() != count || found != [Some(wanted.as_str().into())] {
            return fail(format!("{id} is not as it was acknowledged at {count}"));
        }
    }
    Ok(())
}
