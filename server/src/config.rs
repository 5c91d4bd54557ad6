//! What the operator decides: the configuration file, its defaults and its bounds.
//!
//! Flags and environment are laid over it by the command line; what comes out of
//! [`Config::check`] is believed by everyone else. Unknown keys are refused, since a misspelt
//! limit that is silently ignored is no limit.

mod backups;
mod environment;
mod flaw;
mod functions;
mod nearest;
mod open_id;
mod push;
mod root_key;
mod sections;
mod streams;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use thiserror::Error;

pub use backups::BackupConfig;
pub use environment::misspelt;
pub use flaw::Flaw;
pub use functions::{FunctionConfig, FunctionTarget};
pub use open_id::OpenIdConfig;
pub use push::{ApnsConfig, PushConfig};
pub use root_key::{CREDENTIALS_FILE, RootKey, RootKeyError, Secret};
pub use sections::{EngineConfig, LimitsConfig, TimeoutsConfig};
pub use streams::{BATCH_EVENTS_MAX, Compress, GIVE_UP_SECONDS_MAX, StreamConfig, StreamingConfig};

/// A complete file, with every setting, its default and what it is for.
pub const EXAMPLE: &str = include_str!("config/example.toml");

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
    /// Where a running server may be told to put backups.
    pub backup: BackupConfig,
    /// Providers whose users may sign in, by name.
    pub openid: BTreeMap<String, OpenIdConfig>,
    /// Streams, by the name that a pool's configuration has for them.
    pub streams: BTreeMap<String, StreamConfig>,
    /// What all streams have in common.
    pub streaming: StreamingConfig,
    /// Functions, by their ARN.
    pub functions: BTreeMap<String, FunctionConfig>,
    /// Who delivers push messages, by the ARN of the application.
    pub push: BTreeMap<String, PushConfig>,
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
    #[error("the configuration file {} is not valid{hint}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// What may have been meant.
        hint: String,
        /// Where and why.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// A variable of the environment cannot be used.
    #[error("the environment variable {variable} {why}")]
    Variable {
        /// Its name.
        variable: String,
        /// The rule.
        why: String,
    },
    /// Something that this version does not do.
    #[error(
        "configuration: {section} is set, but this version {what} yet; take the section out, \
         since nothing would reach it"
    )]
    Unsupported {
        /// The section.
        section: String,
        /// What it does not do.
        what: &'static str,
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
    /// The defaults, a file over them, and over that the environment, which `variable` reads. The
    /// result is not checked yet.
    ///
    /// # Errors
    /// When the file cannot be read or is not a configuration, or a variable is not a value.
    pub fn layered(
        path: Option<&Path>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let (config, table) = match path {
            Some(path) => Self::read(path)?,
            None => (Self::default(), toml::Table::new()),
        };
        environment::overlay(config, table, variable)
    }

    fn read(path: &Path) -> Result<(Self, toml::Table), ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.into(),
            source,
        })?;
        let wrong = |error: toml::de::Error| ConfigError::Parse {
            path: path.into(),
            hint: environment::hint(error.message()),
            source: Box::new(error),
        };
        let config = toml::from_str(&text).map_err(wrong)?;
        Ok((config, toml::from_str(&text).map_err(wrong)?))
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
        streams::check(&self.streams, &self.data)?;
        self.streaming.check()?;
        for (application, push) in &self.push {
            push.check(application)?;
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
        open_id::check_number(self.openid.len())?;
        for (name, provider) in &self.openid {
            provider.check(name)?;
        }
        self.limits.check()?;
        self.timeouts.check()?;
        self.engine.check()?;
        self.backup.check(&self.data)
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
            backup: BackupConfig::default(),
            openid: BTreeMap::new(),
            streams: BTreeMap::new(),
            streaming: StreamingConfig::default(),
            functions: BTreeMap::new(),
            push: BTreeMap::new(),
        }
    }
}

fn refuse(name: &'static str, why: impl Into<String>) -> Result<(), ConfigError> {
    Err(ConfigError::Value {
        name,
        why: why.into(),
    })
}

/// The part of an address that anyone may see: where it leads to, without names and passwords
/// before that and tokens behind it.
#[must_use]
pub fn shown_url(url: &str) -> &str {
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url[start..].find(['/', '?', '#']);
    let end = end.map_or(url.len(), |at| start + at);
    match url[start..end].rfind('@') {
        Some(at) => &url[start + at + 1..end],
        None => &url[..end],
    }
}

/// An id is `<region>:<uuid>` in at most 55 bytes, and a uuid has 36.
fn check_region(region: &str) -> Result<(), ConfigError> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if region.is_empty() || region.len() > 18 || !region.bytes().all(allowed) {
        return refuse("region", "must be 1 to 18 of [a-zA-Z0-9_-]");
    }
    Ok(())
}
