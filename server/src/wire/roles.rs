//! The shapes of Cognito Identity about roles and tags of a pool.

use std::fmt;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Object, Pairs};

/// Most providers that are read; the model allows fewer.
const MAPPINGS_MAX: usize = 64;

/// Body of `GetIdentityPoolRoles`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetIdentityPoolRolesInput {
    /// Which pool.
    pub identity_pool_id: Option<String>,
}

/// Body of `SetIdentityPoolRoles`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SetIdentityPoolRolesInput {
    /// Which pool.
    pub identity_pool_id: Option<String>,
    /// Role by kind of identity.
    pub roles: Option<Pairs>,
    /// How a role is chosen, by provider.
    pub role_mappings: Option<RoleMappings>,
}

/// Answer of `GetIdentityPoolRoles`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetIdentityPoolRolesOutput {
    /// The pool.
    pub identity_pool_id: String,
    /// Role by kind of identity.
    pub roles: Pairs,
    /// How a role is chosen, by provider.
    #[serde(skip_serializing_if = "RoleMappings::is_empty")]
    pub role_mappings: RoleMappings,
}

/// How a role is chosen, by provider; no provider twice.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoleMappings(pub Vec<(String, RoleMapping)>);

impl RoleMappings {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'de> Deserialize<'de> for RoleMappings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = RoleMappings;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of role mappings")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RoleMappings, A::Error> {
                let mut found: Vec<(String, RoleMapping)> = Vec::new();
                while let Some((name, mapping)) = map.next_entry::<String, Object<_>>()? {
                    if found.iter().any(|(known, _)| *known == name) {
                        return Err(A::Error::custom("a map has the same name twice"));
                    }
                    if found.len() == MAPPINGS_MAX {
                        return Err(A::Error::custom("a map has more than 64 members"));
                    }
                    found.push((name, mapping.0));
                }
                Ok(RoleMappings(found))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

impl Serialize for RoleMappings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, mapping)| (name, mapping)))
    }
}

/// How the role of a provider's users is chosen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct RoleMapping {
    /// `Token` or `Rules`.
    #[serde(rename = "Type")]
    pub kind: Option<String>,
    /// `AuthenticatedRole` or `Deny`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ambiguous_role_resolution: Option<String>,
    /// The rules.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rules_configuration: Option<Object<RulesConfiguration>>,
}

/// Rules that choose a role.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct RulesConfiguration {
    /// The first that fits decides.
    #[serde(default, deserialize_with = "crate::wire::json::at_most::<1000, _, _>")]
    pub rules: Option<Vec<Object<MappingRule>>>,
}

/// A rule that chooses a role.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct MappingRule {
    /// The claim that it looks at.
    pub claim: Option<String>,
    /// How it compares.
    pub match_type: Option<String>,
    /// With what.
    pub value: Option<String>,
    /// The role.
    #[serde(rename = "RoleARN")]
    pub role_arn: Option<String>,
}

/// Body of `GetPrincipalTagAttributeMap`, and most of `SetPrincipalTagAttributeMap`'s.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct PrincipalTagAttributeMapInput {
    /// Which pool.
    pub identity_pool_id: Option<String>,
    /// Which provider.
    pub identity_provider_name: Option<String>,
    /// Whether the default tags are used.
    pub use_defaults: Option<bool>,
    /// Claim by tag.
    pub principal_tags: Option<Pairs>,
}

/// Answer of both.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct PrincipalTagAttributeMapOutput {
    /// The pool.
    pub identity_pool_id: String,
    /// The provider.
    pub identity_provider_name: String,
    /// Whether the default tags are used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub use_defaults: Option<bool>,
    /// Claim by tag.
    pub principal_tags: Pairs,
}

/// Body of `TagResource`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct TagResourceInput {
    /// The name of a pool as a resource.
    pub resource_arn: Option<String>,
    /// Added, or put in the place of those of the same name.
    pub tags: Option<Pairs>,
}

/// Body of `UntagResource`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct UntagResourceInput {
    /// The name of a pool as a resource.
    pub resource_arn: Option<String>,
    /// The names of tags that are taken away.
    #[serde(default, deserialize_with = "crate::wire::json::at_most::<1000, _, _>")]
    pub tag_keys: Option<Vec<String>>,
}

/// Body of `ListTagsForResource`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListTagsForResourceInput {
    /// The name of a pool as a resource.
    pub resource_arn: Option<String>,
}

/// Answer of `ListTagsForResource`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListTagsForResourceOutput {
    /// All of them.
    pub tags: Pairs,
}

/// Answer of operations that have nothing to say.
#[derive(Debug, Default, Serialize)]
pub struct Empty {}
