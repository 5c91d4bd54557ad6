//! What is outside of this server and is asked or told of changes: functions, push.
//!
//! The sections are read in full, so that a file is checked before it is needed. What this version
//! cannot do yet is refused, never ignored.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

use super::{ConfigError, Secret};

/// A section `[functions."ARN"]`: where the function of that name is.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FunctionConfig {
    /// Where the event is posted to.
    pub url: String,
}

/// A section `[push."APPLICATION-ARN"]`: who delivers the messages of that application.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
pub enum PushConfig {
    /// A service of the operator's.
    Webhook {
        /// Where the messages are posted to.
        url: String,
    },
    /// Amazon SNS, or what speaks like it.
    Sns {
        /// Where, if not Amazon's own.
        endpoint_url: Option<String>,
        /// The region.
        region: String,
        /// Signs.
        access_key_id: String,
        /// Signs.
        #[serde(deserialize_with = "secret")]
        secret_access_key: Secret,
    },
}

/// Refuses what this version cannot do.
pub(super) fn check(
    functions: &BTreeMap<String, FunctionConfig>,
    push: &BTreeMap<String, PushConfig>,
) -> Result<(), ConfigError> {
    let found = [
        ("functions", functions.keys().next(), "calls no functions"),
        ("push", push.keys().next(), "sends no push messages"),
    ];
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
