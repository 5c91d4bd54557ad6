//! What the operator decides: the configuration file, its defaults and its bounds.
//!
//! Flags and environment are laid over it by the command line; what comes out of
//! [`Config::check`] is believed by everyone else. Unknown keys are refused, since a misspelt
//! limit that is silently ignored is no limit.

mod root_key;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use syncline_engine::limits as walls;
use thiserror::Error;

pub use root_key::{RootKey, Secret};

/// Everything that can be configured, with the defaults of the documentation.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where to accept connections; port 0 picks a free one, and is replaced by the real one once
    /// it is known.
    pub listen: SocketAddr,
    /// The data directory.
    pub data: PathBuf,
    /// How clients reach this server: used in links, as token issuer and for the key set.
    /// [`Config::public_url`] knows the default.
    pub public_url: Option<String>,
    /// The region that new pool and identity ids begin with.
    pub region: String,
    /// Regions that a signature's scope may name; empty: any.
    pub regions: Vec<String>,
    /// The account id in resource names, and the modifier of what a developer writes.
    pub account_id: String,
    /// How much is allowed.
    pub limits: LimitsConfig,
    /// How long a peer may take.
    pub timeouts: TimeoutsConfig,
    /// How the store works.
    pub engine: EngineConfig,
    // Accepted here only to say clearly that this version has no such thing.
    streams: toml::Table,
    functions: toml::Table,
    push: toml::Table,
}

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
    /// Hot log written between checkpoints.
    pub checkpoint_bytes: u64,
    /// How long the feed reaches back.
    pub feed_retention_hours: u64,
    /// How many bytes of log the feed may keep.
    pub feed_retention_bytes: u64,
    /// How many bytes enabled streams may hold beyond retention.
    pub pin_bytes: u64,
}

/// A configuration that cannot be used, in words for the operator.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is not TOML, or has an unknown key or a value of the wrong type.
    #[error("the configuration file {} is not valid", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// A value is out of its bounds.
    #[error("configuration: {name} {why}")]
    Value {
        /// The key, with its section.
        name: &'static str,
        /// The rule.
        why: String,
    },
}

impl Config {
    /// Reads a TOML file over the defaults. The result is not checked yet.
    ///
    /// # Errors
    /// When the file cannot be read or is not a configuration.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.into(), source })?;
        toml::from_str(&text)
            .map_err(|source| ConfigError::Parse { path: path.into(), source: Box::new(source) })
    }

    /// How clients reach this server: what is configured, else the address it listens on.
    #[must_use]
    pub fn public_url(&self) -> String {
        match &self.public_url {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => format!("http://{}", self.listen),
        }
    }

    /// The largest request body: a full dataset whose every byte is escaped (`\u00e4` takes six
    /// bytes) and 2 KiB for the names, numbers and long keys around each record. 8 MiB at the
    /// default limits.
    #[must_use]
    pub fn body_bytes_max(&self) -> usize {
        self.limits.dataset_bytes * 6 + self.limits.records_per_dataset * 2048
    }

    /// Refuses what cannot work.
    ///
    /// # Errors
    /// The first value that is out of its bounds.
    pub fn check(&self) -> Result<(), ConfigError> {
        for (name, table) in
            [("[streams]", &self.streams), ("[functions]", &self.functions), ("[push]", &self.push)]
        {
            if !table.is_empty() {
                return refuse(name, "is not supported by this version");
            }
        }
        if let Some(url) = &self.public_url
            && !(url.starts_with("http://") || url.starts_with("https://"))
        {
            return refuse("public_url", "must begin with http:// or https://");
        }
        for region in std::iter::once(&self.region).chain(&self.regions) {
            check_region(region)?;
        }
        if self.account_id.len() != 12 || !self.account_id.bytes().all(|b| b.is_ascii_digit()) {
            return refuse("account_id", "must be 12 digits");
        }
        self.limits.check()?;
        self.timeouts.check()?;
        self.engine.check()
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 7070)),
            data: PathBuf::from("./syncline-data"),
            public_url: None,
            region: "us-east-1".to_owned(),
            regions: Vec::new(),
            account_id: "000000000000".to_owned(),
            limits: LimitsConfig::default(),
            timeouts: TimeoutsConfig::default(),
            engine: EngineConfig::default(),
            streams: toml::Table::new(),
            functions: toml::Table::new(),
            push: toml::Table::new(),
        }
    }
}

impl LimitsConfig {
    fn check(&self) -> Result<(), ConfigError> {
        let to = |name, value: usize, max: usize| within(name, value as u64, 1, max as u64);
        to(
            "limits.datasets_per_identity",
            self.datasets_per_identity,
            walls::DATASETS_PER_IDENTITY_MAX,
        )?;
        to("limits.records_per_dataset", self.records_per_dataset, walls::RECORDS_PER_DATASET_MAX)?;
        to("limits.dataset_bytes", self.dataset_bytes, walls::DATASET_BYTES_MAX)?;
        to("limits.connections", self.connections, CONNECTIONS_MAX)
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

    /// See [`TimeoutsConfig::shutdown_ms`].
    #[must_use]
    pub fn shutdown(&self) -> Duration {
        Duration::from_millis(self.shutdown_ms)
    }

    fn check(&self) -> Result<(), ConfigError> {
        within("timeouts.header_ms", self.header_ms, 1, TIMEOUT_MS_MAX)?;
        within("timeouts.body_ms", self.body_ms, 1, TIMEOUT_MS_MAX)?;
        within("timeouts.idle_ms", self.idle_ms, 1, TIMEOUT_MS_MAX)?;
        within("timeouts.shutdown_ms", self.shutdown_ms, 0, SHUTDOWN_MS_MAX)
    }
}

impl Default for TimeoutsConfig {
    fn default() -> Self {
        Self { header_ms: 10_000, body_ms: 60_000, idle_ms: 60_000, shutdown_ms: 8_000 }
    }
}

impl EngineConfig {
    fn check(&self) -> Result<(), ConfigError> {
        within(
            "engine.segment_bytes",
            self.segment_bytes,
            walls::SEGMENT_BYTES_MIN,
            walls::SEGMENT_BYTES_MAX,
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

/// More sockets than a process may usually open anyway.
const CONNECTIONS_MAX: usize = 1_000_000;
/// An hour: whoever wants "for ever" still gets rid of dead peers.
const TIMEOUT_MS_MAX: u64 = 3_600_000;
/// One second less than the 10 seconds in which the server promises to stop.
const SHUTDOWN_MS_MAX: u64 = 9_000;

fn refuse(name: &'static str, why: impl Into<String>) -> Result<(), ConfigError> {
    Err(ConfigError::Value { name, why: why.into() })
}

fn within(name: &'static str, value: u64, min: u64, max: u64) -> Result<(), ConfigError> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    refuse(name, format!("must be between {min} and {max}, not {value}"))
}

/// An id is `<region>:<uuid>` in at most 55 bytes, and a uuid has 36.
fn check_region(region: &str) -> Result<(), ConfigError> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if region.is_empty() || region.len() > 18 || !region.bytes().all(allowed) {
        return refuse("region", "must be 1 to 18 of [a-zA-Z0-9_-]");
    }
    Ok(())
}
