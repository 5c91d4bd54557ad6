//! What a directory takes of the disk after everything in it was overwritten five times.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;
use serde_json::json;
use syncline_engine::{Options, Timestamp};

use super::shelf::Shelf;
use super::{mb, scaled};
use crate::arguments::{Shared, UpkeepOptions};
use crate::device::Device;
use crate::failure::Result;
use crate::footprint::Footprint;
use crate::scratch::Scratch;
use crate::{progress, report};

/// Records of a dataset, and bytes of key and value of each.
const RECORDS: usize = 10;
const RECORD_BYTES: usize = 100;
const TIMES: usize = 5;
/// How often the store is tended, and how much later each time, while nobody writes: a file that
/// nothing names any more waits five minutes for each of the checkpoints that let it go.
const RESTS: usize = 3;
const REST_MS: u64 = 5 * 60 * 1000;

/// A look at the directory.
#[derive(Clone, Copy, Default, Serialize)]
struct Look {
    /// Blocks of all its files.
    disk: u64,
    /// Of which the cold segments, checkpoints and the log, spare files included, take this.
    cold: u64,
    checkpoints: u64,
    hot: u64,
    /// Frames in the log that the feed reaches.
    feed: u64,
    /// Files that wait for checkpoints before they go.
    garbage: u64,
}

#[derive(Serialize)]
struct Outcome {
    datasets: usize,
    /// Bytes of keys and values.
    live: u64,
    /// What they take as frames, each dataset whole and once.
    live_frames: u64,
    /// Log that the feed is to reach back to.
    retention: u64,
    /// All that was written to the device for overwriting, by its own count.
    #[serde(skip_serializing_if = "Option::is_none")]
    to_device: Option<u64>,
    filled: Look,
    /// The most that was ever seen while it was overwritten.
    most: Look,
    /// Right after the last update.
    written: Look,
    /// When nobody had written for a quarter of an hour.
    idle: Look,
    /// After `compact`.
    compact: Look,
}

pub fn run(shared: &Shared, options: &UpkeepOptions) -> Result<serde_json::Value> {
    let mib = options
        .live_mib
        .unwrap_or(if shared.quick { 32 } else { 256 });
    let datasets = options
        .live_datasets
        .unwrap_or((mib << 20) / (RECORDS * RECORD_BYTES));
    let scratch = Scratch::new(&shared.data, "space")?;
    let sizes = vec![RECORD_BYTES; RECORDS];
    // So that a quarter of an hour need not be waited for.
    let ahead = Arc::new(AtomicU64::new(0));
    let scaled = Options {
        clock: clock(&ahead),
        ..scaled(options)
    };
    let retention = scaled.feed_retention_bytes;
    let mut shelf = Shelf::new(scratch.path(), scaled, datasets, sizes)?;
    let look = |shelf: &Shelf| Look::of(scratch.path(), shelf);
    let bar = progress::bar("space", (TIMES + 1) * datasets);
    let mut live_frames = 0;
    shelf.write_all(|shelf, count| {
        if live_frames == 0 {
            // All datasets are alike, and nothing was released yet.
            live_frames = shelf.engine.stats().log_bytes / count as u64 * datasets as u64;
        }
        bar.inc(count as u64);
        Ok(())
    })?;
    shelf.engine.maintain()?;
    let filled = look(&shelf)?;
    let mut most = filled;
    let device = Device::below(scratch.path())?;
    let before = device.written()?;
    for _ in 0..TIMES {
        shelf.write_all(|shelf, count| {
            bar.inc(count as u64);
            let now = look(shelf)?;
            if now.disk > most.disk {
                most = now;
            }
            Ok(())
        })?;
    }
    let written = look(&shelf)?;
    shelf.engine.maintain()?;
    let to_device = device.written_since(before)?;
    for _ in 0..RESTS {
        ahead.fetch_add(REST_MS, Ordering::Relaxed);
        shelf.engine.maintain()?;
    }
    let idle = look(&shelf)?;
    shelf.engine.compact()?;
    let compact = look(&shelf)?;
    bar.finish_and_clear();
    shelf.verify()?;
    let outcome = Outcome {
        datasets,
        live: shelf.engine.stats().bytes,
        live_frames,
        retention,
        to_device,
        filled,
        most,
        written,
        idle,
        compact,
    };
    shelf.engine.close()?;
    outcome.tell()?;
    Ok(json!(outcome))
}

/// The system's clock, so many milliseconds ahead.
fn clock(ahead: &Arc<AtomicU64>) -> Arc<dyn Fn() -> Timestamp + Send + Sync> {
    let ahead = Arc::clone(ahead);
    Arc::new(move || {
        let now = Timestamp::now();
        let later = now.get() + ahead.load(Ordering::Relaxed);
        Timestamp::new(later).unwrap_or(now)
    })
}

impl Look {
    fn of(directory: &std::path::Path, shelf: &Shelf) -> Result<Self> {
        let below = |name: &str| Footprint::of(&directory.join(name)).map(|found| found.disk);
        Ok(Self {
            disk: Footprint::of(directory)?.disk,
            cold: below("cold")?,
            checkpoints: below("checkpoint")?,
            hot: below("hot")?,
            feed: shelf.engine.stats().log_bytes,
            garbage: shelf.engine.upkeep().garbage_bytes,
        })
    }
}

impl Outcome {
    fn tell(&self) -> Result<()> {
        let row = |when: &str, look: &Look| {
            let by = |live: u64| {
                let allowed = 1.5 * live as f64 + look.feed as f64;
                format!("{:.2}", look.disk as f64 / allowed)
            };
            vec![
                when.to_owned(),
                mb(look.disk),
                mb(look.hot),
                mb(look.cold),
                mb(look.checkpoints),
                mb(look.feed),
                mb(look.garbage),
                by(self.live),
                by(self.live_frames),
            ]
        };
        report::table(
            &format!(
                "space, {} datasets of {RECORDS} x {RECORD_BYTES} bytes: {} MB live, {} MB as \
                 frames, all overwritten {TIMES} times",
                self.datasets,
                mb(self.live),
                mb(self.live_frames)
            ),
            &[
                "",
                "disk MB",
                "log MB",
                "cold MB",
                "checkpoints MB",
                "feed MB",
                "garbage MB",
                "by 1.5 live + feed",
                "as frames",
            ],
            &[
                row("filled", &self.filled),
                row("most", &self.most),
                row("written", &self.written),
                row("idle", &self.idle),
                row("compact", &self.compact),
            ],
        )?;
        let logical = self.live * TIMES as u64;
        let Some(to_device) = self.to_device else {
            return Ok(());
        };
        report::lines(&[format!(
            "  {:.2} bytes went to the device for each byte of keys and values",
            to_device as f64 / logical as f64
        )])
    }
}
