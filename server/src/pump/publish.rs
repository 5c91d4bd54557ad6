//! Bulk publishes: every dataset of a pool is written to the log once more, at its present count,
//! so that whatever reads the log gets it in order with live changes.
//!
//! How far one is is part of the same commits, so that it goes on after a crash where it was. It is
//! complete when the pool's sink has the last one; the built-in stream has it with the commit.

mod job;
mod patience;
mod walk;

use std::sync::Arc;
use std::time::{Duration, Instant};

use syncline_engine::{Error, Refusal};

use super::phase::Phases;
use crate::error::Chain;
use crate::site::stored::{self, BulkPublishRecord, BulkPublishStatus, StreamCursorRecord};
use crate::site::{Site, name_of};
use job::{Job, Lost};
use patience::Patience;
use walk::Batch;

/// Keys that one scan takes.
const SCAN_KEYS: usize = 1000;
/// How long after a failed step the next try is made.
const AGAIN: Duration = Duration::from_secs(5);
/// How long it waits at a time for those who read the log, and for the sink.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// How often the log tells of progress.
const SAY_AGAIN: Duration = Duration::from_secs(10);
/// Times that a batch is read anew because something in it changed, before it becomes a batch of
/// one.
const TRIES: usize = 3;

/// Pools with a bulk publish under way.
pub(super) async fn under_way(site: &Site) -> Vec<stored::Id> {
    let found = site.store.read(|reader| {
        let mut pools = Vec::new();
        let mut after = None;
        loop {
            let page = reader.scan_keys(&[stored::PUBLISHING], after.as_ref(), SCAN_KEYS);
            let Some((last, _)) = page.last() else {
                return Ok(pools);
            };
            after = Some(last.clone());
            let uuids = page.iter().filter_map(|(key, _)| stored::first_uuid(key));
            pools.extend(uuids.filter_map(|uuid| stored::find_pool(reader, uuid)));
        }
    });
    found.await.unwrap_or_else(|error| {
        tracing::error!("looking for bulk publishes: {}", Chain(&error));
        Vec::new()
    })
}

/// Runs the bulk publish of a pool to its end, or until it is told to stop.
pub(super) async fn run(site: Arc<Site>, pool: stored::Id, mut phases: Phases) {
    let publishing = site.outflow.counters.publishing.clone();
    publishing.inc();
    let to_the_end = publish(&site, &pool);
    tokio::select! {
        () = to_the_end => {}
        // What it has written is written; the next start goes on behind it.
        () = phases.flushing() => {}
    }
    publishing.dec();
}

async fn publish(site: &Arc<Site>, pool: &stored::Id) {
    loop {
        let ended = match Job::load(site, pool).await {
            Ok(Some(mut job)) => match write_and_wait(&mut job).await {
                Ok(()) => job.end(None).await,
                Err(Lost::Failed(why)) => job.end(Some(why)).await,
                Err(lost) => Err(lost),
            },
            Ok(None) => return,
            Err(lost) => Err(lost),
        };
        match ended {
            Ok(()) | Err(Lost::Gone) => return,
            Err(Lost::Raced) => {}
            Err(Lost::Failed(why) | Lost::Trouble(why)) => {
                tracing::error!(%pool, "the bulk publish is tried again soon: {why}");
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}

async fn write_and_wait(job: &mut Job) -> Result<(), Lost> {
    let mut said = Instant::now();
    let mut tries = 0;
    while !job.is_written() {
        job.check_stream().await?;
        wait_for_readers(job).await?;
        let batch = Batch::next(job.site(), job.pool(), job.after(), tries >= TRIES).await?;
        let began = Instant::now();
        let bytes = batch.bytes;
        match job.write(batch).await {
            Ok(()) => tries = 0,
            // A dataset of it was deleted meanwhile: what is there now is read again.
            Err(Lost::Raced) if job.is_current().await? => tries += 1,
            Err(lost) => return Err(lost),
        }
        if said.elapsed() >= SAY_AGAIN {
            said = Instant::now();
            job.say("publishing");
        }
        tokio::time::sleep(pace(job.site(), bytes).saturating_sub(began.elapsed())).await;
    }
    loop {
        job.check_stream().await?;
        if is_acknowledged(job).await? {
            return Ok(());
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Waits while somebody who reads the log is so far behind that more might cost him his place.
async fn wait_for_readers(job: &Job) -> Result<(), Lost> {
    let site = job.site();
    let own = name_of(job.stream(), job.pool());
    let told = [job.stream().to_owned(), job.pool().to_string()];
    let patience = Patience::new(&site.config.engine, own, told);
    let mut said = false;
    loop {
        let readers = site.store.engine().readers();
        let holds = &site.outflow.holds;
        let stalled = holds.stalled();
        // The log is kept for these, too, but not everybody waits for who may never go on.
        let gone = holds.consumers().stalled(site.now().get());
        let slow = readers
            .iter()
            .filter(|reader| !gone.contains(&*reader.name))
            .find(|reader| patience.waits_for(reader, &stalled));
        let Some(slow) = slow else {
            return Ok(());
        };
        if !said {
            said = true;
            tracing::warn!(
                "bulk publishes wait for the reader {:?} of the log",
                slow.name
            );
        }
        tokio::time::sleep(LOOK_AGAIN).await;
        job.check_stream().await?;
    }
}

/// How long so many bytes take at the configured rate.
fn pace(site: &Site, bytes: u64) -> Duration {
    let rate = site.config.streaming.bulk_publish_bytes_per_second;
    if rate == 0 {
        return Duration::ZERO;
    }
    Duration::from_micros(bytes.saturating_mul(1_000_000) / rate)
}

/// Whether the sink has everything that was written. The built-in stream reads the log itself.
async fn is_acknowledged(job: &Job) -> Result<bool, Lost> {
    if !job.site().config.streams.contains_key(job.stream()) {
        return Ok(true);
    }
    let key = stored::stream_cursor_key(job.pool().uuid);
    let found = job.site().load::<StreamCursorRecord>(key).await;
    let found = found.map_err(|error| Lost::Trouble(error.message))?;
    Ok(found.is_some_and(|(cursor, _)| job.is_reached(&cursor)))
}

impl From<Error> for Lost {
    fn from(error: Error) -> Self {
        match error {
            Error::Refusal(Refusal::Unexpected { .. } | Refusal::NoSuch(_)) => Self::Raced,
            error => Self::Trouble(Chain(&error).to_string()),
        }
    }
}

/// What a bulk publish has become.
fn ended(record: &BulkPublishRecord, failure: Option<String>, now_ms: u64) -> BulkPublishRecord {
    BulkPublishRecord {
        status: if failure.is_some() {
            BulkPublishStatus::Failed
        } else {
            BulkPublishStatus::Succeeded
        },
        ended_ms: Some(now_ms),
        failure,
        ..record.clone()
    }
}
