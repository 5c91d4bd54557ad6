//! Roles and principal tags of a pool: kept and shown as they came, since nothing here has roles.

use bincode::{Decode, Encode};
use sha2::{Digest, Sha256};
use syncline_engine::MetadataKey;
use uuid::Uuid;

use super::{PRINCIPAL_TAGS, ROLES, key};

/// The key of a pool's roles.
#[must_use]
pub fn roles_key(pool: Uuid) -> MetadataKey {
    key(ROLES, &[pool.as_bytes()])
}

/// The key of the principal tags of a pool's provider.
#[must_use]
pub fn principal_tags_key(pool: Uuid, provider: &str) -> MetadataKey {
    key(
        PRINCIPAL_TAGS,
        &[pool.as_bytes(), &Sha256::digest(provider)],
    )
}

/// What the keys of all principal tags of a pool begin with.
#[must_use]
pub fn principal_tags_prefix(pool: Uuid) -> Vec<u8> {
    [&[PRINCIPAL_TAGS], pool.as_bytes().as_slice()].concat()
}

/// The roles of a pool.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct RolesRecord {
    /// Role by kind of identity.
    pub roles: Vec<(String, String)>,
    /// How a role is chosen, by provider.
    pub mappings: Vec<(String, RoleMapping)>,
}

/// How the role of a provider's users is chosen.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct RoleMapping {
    /// `Token` or `Rules`.
    pub kind: String,
    /// `AuthenticatedRole` or `Deny`.
    pub ambiguous: Option<String>,
    /// The first that fits decides.
    pub rules: Option<Vec<RoleRule>>,
}

/// A rule that chooses a role.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct RoleRule {
    /// The claim that it looks at.
    pub claim: String,
    /// How it compares.
    pub match_type: String,
    /// With what.
    pub value: String,
    /// The role.
    pub role: String,
}

/// The principal tags of a provider.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct PrincipalTagsRecord {
    /// The provider.
    pub provider: String,
    /// Whether the default tags are used.
    pub use_defaults: Option<bool>,
    /// Claim by tag.
    pub tags: Vec<(String, String)>,
}
