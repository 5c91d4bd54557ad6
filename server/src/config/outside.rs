//! Streams that are outside of this server and are told of changes.
//!
//! The sections are read in full, so that a file is checked before it is needed. What this version
//! cannot do yet is refused, never ignored.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Deserializer};

use super::{ConfigError, Secret};

/// A section `[streams.NAME]`: where a stream that a pool names goes to.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
pub enum StreamConfig {
    /// Files of one JSON text a line.
    File {
        /// The directory of the files.
        path: PathBuf,
    },
    /// Amazon Kinesis, or what speaks like it.
    Kinesis {
        /// Where, if not Amazon's own.
        endpoint_url: Option<String>,
        /// The region.
        region: String,
        /// Signs.
        access_key_id: String,
        /// Signs.
        #[serde(deserialize_with = "secret")]
        secret_access_key: Secret,
        /// The stream there.
        stream_name: String,
    },
    /// A NATS server.
    Nats {
        /// Where.
        url: String,
        /// The subject of the messages.
        subject: String,
    },
}

/// Refuses what this version cannot do.
pub(super) fn check(streams: &BTreeMap<String, StreamConfig>) -> Result<(), ConfigError> {
    let found = [("streams", streams.keys().next(), "publishes no streams")];
    for (section, name, what) in found {
        if let Some(name) = name {
            let section = format!("[{section}.{name:?}]");
            return Err(ConfigError::Unsupported { section, what });
        }
    }
    Ok(())
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
    String::deserialize(deserializer).map(Secret::new)
}
