//! What `upkeep` leaves: each of its four measurements may be missing.

use serde::Deserialize;

use crate::figure::Spread;
use crate::report::number;

/// The four measurements.
#[derive(Default, Deserialize)]
pub struct Upkeep {
    pub opening: Option<Opening>,
    pub amplification: Option<Vec<Mix>>,
    pub space: Option<Space>,
    pub latency: Option<Vec<Beside>>,
}

/// Stores that were opened.
#[derive(Deserialize)]
pub struct Opening {
    pub stores: Vec<Opened>,
    pub memory: Option<Places>,
    /// Other stores that were opened as often.
    #[serde(default)]
    pub beside: Vec<Rival>,
}

/// Another store: seconds to open it, and bytes.
#[derive(Deserialize)]
pub struct Rival {
    pub contestant: String,
    pub datasets: u64,
    pub bytes: u64,
    pub closed: Spread,
    pub killed_soon: Spread,
    pub killed_late: Spread,
    pub resident: f64,
}

/// One of them.
#[derive(Deserialize)]
pub struct Opened {
    pub datasets: u64,
    pub identities: u64,
    pub checkpoint: Flow,
    pub checkpoint_bytes: u64,
    pub feed: Flow,
    pub export: Flow,
    pub closed: Vec<Seen>,
    pub killed_soon: Vec<Seen>,
    pub killed_late: Vec<Seen>,
}

/// What a process saw that opened it.
#[derive(Deserialize)]
pub struct Seen {
    pub seconds: f64,
    pub resident: u64,
    pub resident_most: u64,
    pub replayed_bytes: u64,
}

/// Bytes that went somewhere in some time.
#[derive(Deserialize)]
pub struct Flow {
    pub bytes: u64,
    pub seconds: f64,
}

/// Bytes of memory.
#[derive(Deserialize)]
pub struct Places {
    pub bytes_per_dataset: f64,
    pub bytes_per_identity: f64,
}

/// Bytes written for bytes updated.
#[derive(Deserialize)]
pub struct Mix {
    pub name: String,
    pub datasets: u64,
    pub live_bytes: u64,
    pub logical_before: u64,
    pub log_before: u64,
    pub logical: u64,
    pub log: u64,
    pub moved: u64,
    pub checkpoint_bytes: u64,
}

/// What a directory takes while all of it is overwritten.
#[derive(Deserialize)]
pub struct Space {
    pub datasets: u64,
    pub live: u64,
    pub live_frames: u64,
    /// Log that the feed is to reach back to. Without it, the feed at rest stands for it.
    pub retention: Option<u64>,
    pub to_device: Option<u64>,
    pub filled: Look,
    pub most: Look,
    pub written: Look,
    pub idle: Look,
    pub compact: Look,
}

/// A look at the directory, in bytes.
#[derive(Deserialize)]
pub struct Look {
    pub disk: u64,
    pub cold: u64,
    pub checkpoints: u64,
    pub hot: u64,
    pub feed: u64,
}

/// A store that is tended beside one that is left alone.
#[derive(Deserialize)]
pub struct Beside {
    pub threads: u64,
    pub lanes: Vec<Lane>,
    pub ratios: Vec<(String, Spread)>,
}

/// One of the two.
#[derive(Deserialize)]
pub struct Lane {
    pub name: String,
    pub per_second: Spread,
    pub p50_us: f64,
    pub p99_us: f64,
    pub p999_us: f64,
    pub checkpoints: u64,
    pub retired_segments: u64,
    pub cleaned_segments: u64,
}

impl Opened {
    /// By its size.
    pub fn name(&self) -> String {
        format!(
            "{} datasets of {} identities",
            number::whole(self.datasets as f64),
            number::whole(self.identities as f64)
        )
    }

    /// Seconds of opening after a clean close, killed soon after a checkpoint, and killed late.
    pub fn seconds(&self) -> [Spread; 3] {
        [&self.closed, &self.killed_soon, &self.killed_late]
            .map(|seen| Spread::of(seen.iter().map(|seen| seen.seconds)))
    }
}

impl Rival {
    /// Seconds as of [`Opened::seconds`].
    pub fn seconds(&self) -> [Spread; 3] {
        [self.closed, self.killed_soon, self.killed_late]
    }
}

impl Flow {
    /// Megabytes a second.
    pub fn rate(&self) -> f64 {
        self.bytes as f64 / 1e6 / self.seconds
    }
}

impl Space {
    /// A directory by what it may take: half as much again as what lives, and what is retained.
    pub fn by_allowed(&self, look: &Look) -> f64 {
        let retention = self.retention.unwrap_or(self.idle.feed);
        look.disk as f64 / (1.5 * self.live as f64 + retention as f64)
    }
}
