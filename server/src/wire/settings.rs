//! The shapes of what a developer sets for a pool: push, streams, functions, bulk publish.

use serde::{Deserialize, Serialize};

use super::{EpochSeconds, Object, Pairs};

/// Body of `SetIdentityPoolConfiguration`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SetIdentityPoolConfigurationInput {
    /// Absent: stays as it is. Empty: cleared.
    pub push_sync: Option<Object<PushSync>>,
    /// Absent: stays as they are. Empty: cleared.
    pub cognito_streams: Option<Object<CognitoStreams>>,
}

/// Push synchronization.
#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct PushSync {
    /// Names of the platform applications.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[serde(default, deserialize_with = "crate::wire::json::at_most::<1000, _, _>")]
    pub application_arns: Option<Vec<String>>,
    /// The role for using them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role_arn: Option<String>,
}

/// Streams.
#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CognitoStreams {
    /// The stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream_name: Option<String>,
    /// The role for writing to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role_arn: Option<String>,
    /// `ENABLED` or `DISABLED`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub streaming_status: Option<String>,
    /// Why the server stopped streaming; not taken from a caller.
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    pub disabled_reason: Option<String>,
}

/// Answer of `GetIdentityPoolConfiguration` and `SetIdentityPoolConfiguration`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct IdentityPoolConfigurationOutput {
    /// The pool.
    pub identity_pool_id: String,
    /// Absent if not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub push_sync: Option<PushSync>,
    /// Absent if not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cognito_streams: Option<CognitoStreams>,
}

/// Body of `SetCognitoEvents`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SetCognitoEventsInput {
    /// Functions by the name of their event; an empty one removes it.
    pub events: Option<Pairs>,
}

/// Answer of `GetCognitoEvents`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetCognitoEventsOutput {
    /// Functions by the name of their event.
    pub events: Pairs,
}

/// Answer of `BulkPublish`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct BulkPublishOutput {
    /// The pool.
    pub identity_pool_id: String,
}

/// Answer of `GetBulkPublishDetails`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetBulkPublishDetailsOutput {
    /// The pool.
    pub identity_pool_id: String,
    /// When the last bulk publish began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bulk_publish_start_time: Option<EpochSeconds>,
    /// When it succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bulk_publish_complete_time: Option<EpochSeconds>,
    /// `NOT_STARTED`, `IN_PROGRESS`, `FAILED` or `SUCCEEDED`.
    pub bulk_publish_status: &'static str,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure_message: Option<String>,
}
