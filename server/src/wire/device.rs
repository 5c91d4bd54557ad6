//! The shapes of registering devices and following datasets.

use serde::{Deserialize, Serialize};

/// Body of `RegisterDevice`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RegisterDeviceInput {
    /// Who delivers to the device.
    pub platform: Option<String>,
    /// Its address there.
    pub token: Option<String>,
}

/// Answer of `RegisterDevice`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct RegisterDeviceOutput {
    /// For subscriptions and updates.
    pub device_id: String,
}

/// The answer of operations that have nothing to say.
#[derive(Debug, Serialize)]
pub struct EmptyOutput {}
