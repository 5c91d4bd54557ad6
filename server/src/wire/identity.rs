//! The shapes of Cognito Identity that this version answers.

use serde::{Deserialize, Serialize};

use super::{EpochSeconds, Object, Pairs};

/// Body of `CreateIdentityPool`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateIdentityPoolInput {
    /// For people.
    pub identity_pool_name: Option<String>,
    /// Whether guests may come to be.
    pub allow_unauthenticated_identities: Option<bool>,
    /// Whether the basic flow is allowed.
    pub allow_classic_flow: Option<bool>,
    /// App ids by public provider.
    pub supported_login_providers: Option<Pairs>,
    /// How the developer's own login system is called.
    pub developer_provider_name: Option<String>,
    /// OpenID Connect providers.
    #[serde(rename = "OpenIdConnectProviderARNs")]
    #[serde(default, deserialize_with = "crate::wire::json::at_most::<1000, _, _>")]
    pub open_id_connect_provider_arns: Option<Vec<String>>,
    /// User pools.
    #[serde(default, deserialize_with = "crate::wire::json::at_most::<1000, _, _>")]
    pub cognito_identity_providers: Option<Vec<Object<CognitoIdentityProvider>>>,
    /// SAML providers.
    #[serde(rename = "SamlProviderARNs")]
    #[serde(default, deserialize_with = "crate::wire::json::at_most::<1000, _, _>")]
    pub saml_provider_arns: Option<Vec<String>>,
    /// Free for the developer.
    pub identity_pool_tags: Option<Pairs>,
}

/// A user pool that a pool trusts.
#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CognitoIdentityProvider {
    /// The user pool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider_name: Option<String>,
    /// Its client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// Whether its tokens are checked for revocation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_side_token_check: Option<bool>,
}

/// An identity pool.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct IdentityPool {
    /// Its id.
    pub identity_pool_id: String,
    /// For people.
    pub identity_pool_name: String,
    /// Whether guests may come to be.
    pub allow_unauthenticated_identities: bool,
    /// Whether the basic flow is allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_classic_flow: Option<bool>,
    /// App ids by public provider.
    #[serde(skip_serializing_if = "is_empty")]
    pub supported_login_providers: Pairs,
    /// How the developer's own login system is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub developer_provider_name: Option<String>,
    /// OpenID Connect providers.
    #[serde(
        rename = "OpenIdConnectProviderARNs",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub open_id_connect_provider_arns: Vec<String>,
    /// User pools.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cognito_identity_providers: Vec<CognitoIdentityProvider>,
    /// SAML providers.
    #[serde(rename = "SamlProviderARNs", skip_serializing_if = "Vec::is_empty")]
    pub saml_provider_arns: Vec<String>,
    /// Free for the developer.
    #[serde(skip_serializing_if = "is_empty")]
    pub identity_pool_tags: Pairs,
}

fn is_empty(pairs: &Pairs) -> bool {
    pairs.0.is_empty()
}

/// Body of `DescribeIdentityPool`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeIdentityPoolInput {
    /// Which pool.
    pub identity_pool_id: Option<String>,
}

/// Body of `ListIdentityPools`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListIdentityPoolsInput {
    /// 1 to 60.
    pub max_results: Option<i64>,
    /// From the page before.
    pub next_token: Option<String>,
}

/// Answer of `ListIdentityPools`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListIdentityPoolsOutput {
    /// In order of their ids.
    pub identity_pools: Vec<IdentityPoolShortDescription>,
    /// Where the next page begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// A pool in a list.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct IdentityPoolShortDescription {
    /// Its id.
    pub identity_pool_id: String,
    /// For people.
    pub identity_pool_name: String,
}

/// Body of `GetId`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetIdInput {
    /// Checked for its form only.
    pub account_id: Option<String>,
    /// Which pool.
    pub identity_pool_id: Option<String>,
    /// Tokens by provider.
    pub logins: Option<Pairs>,
}

/// Answer of `GetId`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetIdOutput {
    /// The identity.
    pub identity_id: String,
}

/// Body of `GetCredentialsForIdentity`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetCredentialsForIdentityInput {
    /// Which identity.
    pub identity_id: Option<String>,
    /// Tokens by provider.
    pub logins: Option<Pairs>,
    /// Checked for its form only: there are no roles here.
    pub custom_role_arn: Option<String>,
}

/// Answer of `GetCredentialsForIdentity`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetCredentialsForIdentityOutput {
    /// The identity.
    pub identity_id: String,
    /// What it may sign with.
    pub credentials: Credentials,
}

/// Temporary credentials. No `Debug`: they hold a secret.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Credentials {
    /// Names the key.
    pub access_key_id: String,
    /// Signs.
    pub secret_key: String,
    /// Proves whose key it is.
    pub session_token: String,
    /// Until when.
    pub expiration: EpochSeconds,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Credentials {{ access_key_id: {:?}, .. }}",
            self.access_key_id
        )
    }
}

/// Body of `GetOpenIdToken`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetOpenIdTokenInput {
    /// Which identity.
    pub identity_id: Option<String>,
    /// Tokens by provider.
    pub logins: Option<Pairs>,
}

/// Body of `GetOpenIdTokenForDeveloperIdentity`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetOpenIdTokenForDeveloperIdentityInput {
    /// Which pool.
    pub identity_pool_id: Option<String>,
    /// An identity to which the user is to belong.
    pub identity_id: Option<String>,
    /// The developer's provider and the user's name there.
    pub logins: Option<Pairs>,
    /// Goes into the token.
    pub principal_tags: Option<Pairs>,
    /// Seconds, 1 to 86,400.
    pub token_duration: Option<i64>,
}

/// Answer of both calls that give a token.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct OpenIdTokenOutput {
    /// The identity.
    pub identity_id: String,
    /// A signed token.
    pub token: String,
}
