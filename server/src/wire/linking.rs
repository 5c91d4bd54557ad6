//! The shapes of Cognito Identity about identities and whose they are.

use serde::{Deserialize, Serialize};

use super::{EpochSeconds, Pairs};

/// Body of `LookupDeveloperIdentity`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct LookupDeveloperIdentityInput {
    /// Which pool.
    pub identity_pool_id: Option<String>,
    /// Which identity.
    pub identity_id: Option<String>,
    /// Which user of the developer's.
    pub developer_user_identifier: Option<String>,
    /// 1 to 60.
    pub max_results: Option<i64>,
    /// From the page before.
    pub next_token: Option<String>,
}

/// Answer of `LookupDeveloperIdentity`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct LookupDeveloperIdentityOutput {
    /// The identity.
    pub identity_id: String,
    /// The users of the developer's that it is.
    pub developer_user_identifier_list: Vec<String>,
    /// Where the next page begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// Body of `MergeDeveloperIdentities`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct MergeDeveloperIdentitiesInput {
    /// The user whose identity ends.
    pub source_user_identifier: Option<String>,
    /// The user whose identity stays.
    pub destination_user_identifier: Option<String>,
    /// The developer's provider.
    pub developer_provider_name: Option<String>,
    /// Which pool.
    pub identity_pool_id: Option<String>,
}

/// Answer of `MergeDeveloperIdentities`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct MergeDeveloperIdentitiesOutput {
    /// The identity that stays.
    pub identity_id: String,
}

/// Body of `UnlinkIdentity`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct UnlinkIdentityInput {
    /// Which identity.
    pub identity_id: Option<String>,
    /// Tokens by provider.
    pub logins: Option<Pairs>,
    /// Providers whose logins are taken away.
    #[serde(default, deserialize_with = "crate::wire::json::at_most::<1000, _, _>")]
    pub logins_to_remove: Option<Vec<String>>,
}

/// Body of `UnlinkDeveloperIdentity`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct UnlinkDeveloperIdentityInput {
    /// Which identity.
    pub identity_id: Option<String>,
    /// Which pool.
    pub identity_pool_id: Option<String>,
    /// The developer's provider.
    pub developer_provider_name: Option<String>,
    /// The user that is taken away.
    pub developer_user_identifier: Option<String>,
}

/// Body of `DescribeIdentity`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeIdentityInput {
    /// Which identity.
    pub identity_id: Option<String>,
}

/// An identity.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct IdentityDescription {
    /// Its id.
    pub identity_id: String,
    /// The providers of its logins.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub logins: Vec<String>,
    /// When it came to be.
    pub creation_date: EpochSeconds,
    /// When its logins last changed.
    pub last_modified_date: EpochSeconds,
}

/// Body of `ListIdentities`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListIdentitiesInput {
    /// Which pool.
    pub identity_pool_id: Option<String>,
    /// 1 to 60.
    pub max_results: Option<i64>,
    /// From the page before.
    pub next_token: Option<String>,
    /// Whether those that were merged into others are left out.
    pub hide_disabled: Option<bool>,
}

/// Answer of `ListIdentities`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListIdentitiesOutput {
    /// The pool.
    pub identity_pool_id: String,
    /// In order of their ids; those that were merged into others last.
    pub identities: Vec<IdentityDescription>,
    /// Where the next page begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// Body of `DeleteIdentities`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteIdentitiesInput {
    /// Which, 1 to 60.
    #[serde(default, deserialize_with = "crate::wire::json::at_most::<1000, _, _>")]
    pub identity_ids_to_delete: Option<Vec<String>>,
}

/// Answer of `DeleteIdentities`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteIdentitiesOutput {
    /// Those that are still there.
    pub unprocessed_identity_ids: Vec<UnprocessedIdentityId>,
}

/// An identity that was not deleted.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct UnprocessedIdentityId {
    /// Its id.
    pub identity_id: String,
    /// Why.
    pub error_code: &'static str,
}
