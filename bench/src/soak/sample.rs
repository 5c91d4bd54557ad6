//! What a server takes of the machine at one moment, and how it served since the moment before.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::failure::Result;
use crate::footprint::Footprint;
use crate::processor;
use crate::proof::{Counts, Stage, Tally};

/// The columns of [`Sample::line`].
pub const HEAD: &str = "seconds,disk_bytes,apparent_bytes,files,rss_bytes,descriptors,\
     p50_us,p99_us,max_us,updates_per_s,checks_per_s,live_bytes";

/// Looks at a server again and again.
pub struct Meter {
    pid: u32,
    data: PathBuf,
    tally: Arc<Tally>,
    begun: Counts,
    last: Counts,
    last_at: Duration,
}

/// One look.
pub struct Sample {
    seconds: f64,
    /// Blocks of the data directory's files.
    pub disk_bytes: u64,
    apparent_bytes: u64,
    files: u64,
    rss_bytes: u64,
    descriptors: u64,
    p50_us: f64,
    p99_us: f64,
    max_us: f64,
    updates_per_s: f64,
    checks_per_s: f64,
    live_bytes: u64,
}

impl Meter {
    /// Of the server of a stage, from now on.
    pub fn new(stage: &Stage) -> Result<Self> {
        let tally = Arc::clone(&stage.tally);
        tally.take_latencies()?;
        let now = tally.counts();
        Ok(Self {
            pid: stage.pid()?,
            data: stage.place.data.clone(),
            tally,
            begun: now,
            last: now,
            last_at: Duration::ZERO,
        })
    }

    /// A sample at a time since the beginning.
    pub fn sample(&mut self, at: Duration) -> Result<Sample> {
        let latencies = self.tally.take_latencies()?;
        let now = self.tally.counts();
        let elapsed = (at - self.last_at).as_secs_f64();
        let per_second = |now: u64, before: u64| (now - before) as f64 / elapsed;
        let space = Footprint::of(&self.data)?;
        let descriptors = fs::read_dir(format!("/proc/{}/fd", self.pid))?.count() as u64;
        let sample = Sample {
            seconds: at.as_secs_f64(),
            disk_bytes: space.disk,
            apparent_bytes: space.apparent,
            files: space.files,
            rss_bytes: processor::memory_of_process(self.pid, "VmRSS")?,
            descriptors,
            p50_us: latencies.microseconds(0.5),
            p99_us: latencies.microseconds(0.99),
            max_us: latencies.microseconds(1.0),
            updates_per_s: per_second(now.updates, self.last.updates),
            checks_per_s: per_second(now.checks, self.last.checks),
            live_bytes: now.live_bytes,
        };
        (self.last, self.last_at) = (now, at);
        Ok(sample)
    }

    /// Changes and checks since the beginning.
    pub fn counts(&self) -> Counts {
        let now = self.tally.counts();
        Counts {
            acknowledged: now.acknowledged - self.begun.acknowledged,
            updates: now.updates - self.begun.updates,
            checks: now.checks - self.begun.checks,
            ..now
        }
    }
}

impl Sample {
    /// As a line of CSV.
    pub fn line(&self) -> String {
        format!(
            "{:.1},{},{},{},{},{},{:.1},{:.1},{:.1},{:.1},{:.1},{}",
            self.seconds,
            self.disk_bytes,
            self.apparent_bytes,
            self.files,
            self.rss_bytes,
            self.descriptors,
            self.p50_us,
            self.p99_us,
            self.max_us,
            self.updates_per_s,
            self.checks_per_s,
            self.live_bytes
        )
    }

    /// For people who watch.
    pub fn message(&self) -> String {
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        format!(
            "{:.0}/s p99 {:.1} ms, {:.0} MiB disk, {:.0} rss",
            self.updates_per_s,
            self.p99_us / 1000.0,
            mib(self.disk_bytes),
            mib(self.rss_bytes)
        )
    }
}
