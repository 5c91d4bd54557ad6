//! The sections of the file whose keys are numbers: `[limits]`, `[timeouts]`, `[engine]`.

use std::time::Duration;

use serde::Deserialize;
use syncline_engine::limits as walls;

use super::{ConfigError, refuse};
use crate::bucket::Rate;

/// Section `[limits]`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// Live datasets of one identity.
    pub datasets_per_identity: usize,
    /// Live records of one dataset.
    pub records_per_dataset: usize,
    /// Bytes of keys and values of one dataset.
    pub dataset_bytes: usize,
    /// Identities of one pool; 0: no limit.
    pub identities_per_pool: u64,
    /// Bytes of keys and values of one pool; 0: no limit.
    pub pool_bytes: u64,
    /// Guest identities that may come to be per pool and second; 0: no limit.
    pub guest_identities_per_second: u32,
    /// Connections open at once; more wait to be accepted.
    pub connections: usize,
    /// Event streams and long polls that may wait for changes at once; each holds a connection.
    pub listeners: usize,
    /// How many of them may be of one pool; 0: all.
    pub pool_listeners: usize,
    /// Signed requests of one identity a second; 0: no limit.
    pub requests_per_second_per_identity: u32,
    /// How many of them at once; 0: what ten seconds bring.
    pub request_burst_per_identity: u32,
    /// Signed requests of one developer's key a second; 0: no limit.
    pub requests_per_second_per_key: u32,
    /// How many of them at once; 0: what ten seconds bring.
    pub request_burst_per_key: u32,
}

/// Section `[timeouts]`, in milliseconds.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TimeoutsConfig {
    /// From the first byte of a request to the end of its headers.
    pub header_ms: u64,
    /// From the end of the headers to the end of the body.
    pub body_ms: u64,
    /// A connection without a request, or a client that takes nothing of its answer.
    pub idle_ms: u64,
    /// A connection that we closed may go on sending for so long before its socket goes: cut off
    /// at once, its peer might lose the answer that says why.
    pub linger_ms: u64,
    /// What runs when the server is told to stop may take this long; at most 9 seconds, since
    /// the server promises to be gone after 10.
    pub shutdown_ms: u64,
}

/// Section `[engine]`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EngineConfig {
    /// Size of a log segment.
    pub segment_bytes: u64,
    /// Pages and values kept in memory.
    pub cache_bytes: usize,
    /// Bytes of log between checkpoints, or twice the last one if that is more.
    pub checkpoint_bytes: u64,
    /// How long the feed reaches back, and what was deleted may still be found in it.
    pub feed_retention_hours: u64,
    /// How many bytes of log the feed may keep; what is passed first releases the oldest segment.
    pub feed_retention_bytes: u64,
    /// How many bytes slow readers, exports and backups may hold beyond that.
    pub pin_bytes: u64,
}

impl LimitsConfig {
    /// How fast one identity may ask; `None`: as fast as it can.
    #[must_use]
    pub fn identity_rate(&self) -> Option<Rate> {
        rate(
            self.requests_per_second_per_identity,
            self.request_burst_per_identity,
        )
    }

    /// How fast one developer's key may ask; `None`: as fast as it can.
    #[must_use]
    pub fn key_rate(&self) -> Option<Rate> {
        rate(self.requests_per_second_per_key, self.request_burst_per_key)
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let to = |name, value: usize, max: usize| within(name, value as u64, 1, max as u64);
        to(
            "limits.datasets_per_identity",
            self.datasets_per_identity,
            walls::DATASETS_PER_IDENTITY_MAX,
        )?;
        to(
            "limits.records_per_dataset",
            self.records_per_dataset,
            walls::RECORDS_PER_DATASET_MAX,
        )?;
        to(
            "limits.dataset_bytes",
            self.dataset_bytes,
            walls::DATASET_BYTES_MAX,
        )?;
        to("limits.connections", self.connections, CONNECTIONS_MAX)?;
        for (name, listeners) in [
            ("limits.listeners", self.listeners),
            ("limits.pool_listeners", self.pool_listeners),
        ] {
            within(name, listeners as u64, 0, CONNECTIONS_MAX as u64)?;
        }
        Ok(())
    }

    /// How many may listen to identities of one pool.
    #[must_use]
    pub fn pool_listeners(&self) -> usize {
        match self.pool_listeners {
            0 => self.listeners,
            bound => bound,
        }
    }
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            datasets_per_identity: 20,
            records_per_dataset: 1024,
            dataset_bytes: 1 << 20,
            identities_per_pool: 0,
            pool_bytes: 0,
            guest_identities_per_second: 25,
            connections: 10_000,
            listeners: 8_000,
            pool_listeners: 0,
            requests_per_second_per_identity: 0,
            request_burst_per_identity: 0,
            requests_per_second_per_key: 0,
            request_burst_per_key: 0,
        }
    }
}

impl TimeoutsConfig {
    /// See [`TimeoutsConfig::header_ms`].
    #[must_use]
    pub fn header(&self) -> Duration {
        Duration::from_millis(self.header_ms)
    }

    /// See [`TimeoutsConfig::body_ms`].
    #[must_use]
    pub fn body(&self) -> Duration {
        Duration::from_millis(self.body_ms)
    }

    /// See [`TimeoutsConfig::idle_ms`].
    #[must_use]
    pub fn idle(&self) -> Duration {
        Duration::from_millis(self.idle_ms)
    }

    /// See [`TimeoutsConfig::linger_ms`].
    #[must_use]
    pub fn linger(&self) -> Duration {
        Duration::from_millis(self.linger_ms)
    }

    /// See [`TimeoutsConfig::shutdown_ms`].
    #[must_use]
    pub fn shutdown(&self) -> Duration {
        Duration::from_millis(self.shutdown_ms)
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        within("timeouts.header_ms", self.header_ms, 1, TIMEOUT_MS_MAX)?;
        within("timeouts.body_ms", self.body_ms, 1, TIMEOUT_MS_MAX)?;
        within("timeouts.idle_ms", self.idle_ms, 1, TIMEOUT_MS_MAX)?;
        within("timeouts.linger_ms", self.linger_ms, 0, TIMEOUT_MS_MAX)?;
        within("timeouts.shutdown_ms", self.shutdown_ms, 0, SHUTDOWN_MS_MAX)
    }
}

impl Default for TimeoutsConfig {
    fn default() -> Self {
        Self {
            header_ms: 10_000,
            body_ms: 60_000,
            idle_ms: 60_000,
            linger_ms: 1_000,
            shutdown_ms: 8_000,
        }
    }
}

impl EngineConfig {
    /// See [`EngineConfig::feed_retention_hours`].
    #[must_use]
    pub fn feed_retention(&self) -> Duration {
        Duration::from_secs(self.feed_retention_hours * 3600)
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        within(
            "engine.segment_bytes",
            self.segment_bytes,
            walls::SEGMENT_BYTES_MIN,
            walls::SEGMENT_BYTES_MAX,
        )?;
        within(
            "engine.checkpoint_bytes",
            self.checkpoint_bytes,
            CHECKPOINT_BYTES_MIN,
            u64::MAX,
        )?;
        within(
            "engine.feed_retention_hours",
            self.feed_retention_hours,
            0,
            RETENTION_HOURS_MAX,
        )
    }
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            cache_bytes: 256 << 20,
            checkpoint_bytes: 64 << 20,
            feed_retention_hours: 24,
            feed_retention_bytes: 1 << 30,
            pin_bytes: 8 << 30,
        }
    }
}

fn rate(per_second: u32, burst: u32) -> Option<Rate> {
    let per_second = u64::from(per_second);
    let burst = match u64::from(burst) {
        0 => per_second * 10,
        burst => burst,
    };
    (per_second > 0).then_some(Rate { per_second, burst })
}

/// A checkpoint for every few commits would only wear the disk out.
const CHECKPOINT_BYTES_MIN: u64 = 1 << 20;
/// Ten years.
const RETENTION_HOURS_MAX: u64 = 24 * 3660;
/// More sockets than a process may usually open anyway.
const CONNECTIONS_MAX: usize = 1_000_000;
/// An hour: whoever wants "for ever" still gets rid of dead peers.
const TIMEOUT_MS_MAX: u64 = 3_600_000;
/// One second less than the 10 seconds in which the server promises to stop.
const SHUTDOWN_MS_MAX: u64 = 9_000;

fn within(name: &'static str, value: u64, min: u64, max: u64) -> Result<(), ConfigError> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    refuse(
        name,
        format!("must be between {min} and {max}, not {value}"),
    )
}
