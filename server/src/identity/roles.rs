//! Get- and SetIdentityPoolRoles, Get- and SetPrincipalTagAttributeMap: kept and shown, so that
//! tools which set up pools find what they wrote. Nothing here takes a role.

use syncline_engine::{Expected, Proposal, Wish};

use super::pools::{at_most, pairs};
use super::{pool, required_id};
use crate::error::ApiError;
use crate::site::Site;
use crate::site::stored::{self, Id, PrincipalTagsRecord, RoleMapping, RoleRule, RolesRecord};
use crate::wire::constraint::Pattern;
use crate::wire::{Object, Pairs, Violations, roles as wire};

/// Providers of a pool whose role is chosen by a mapping.
const MAPPINGS_MAX: usize = 10;
/// Rules of a mapping.
const RULES_MAX: usize = 400;
/// Tags of a provider.
const TAGS_MAX: usize = 50;
/// Providers of a pool that have principal tags.
const TAGGED_MAX: usize = 50;

/// Kinds of identities that have a role.
const ROLE_TYPE: Pattern = Pattern {
    text: "(un)?authenticated",
    matches: |text| matches!(text, "authenticated" | "unauthenticated"),
};

/// Tells the roles of a pool.
pub(super) async fn get_roles(
    site: &Site,
    input: wire::GetIdentityPoolRolesInput,
) -> Result<wire::GetIdentityPoolRolesOutput, ApiError> {
    let mut violations = Violations::new();
    let pool_id = input.identity_pool_id;
    required_id(&mut violations, "identityPoolId", pool_id.as_ref());
    violations.finish()?;
    let (id, _) = pool(site, &pool_id.unwrap_or_default()).await?;
    let found = site.load(stored::roles_key(id.uuid)).await?;
    let record: RolesRecord = found.map(|(record, _)| record).unwrap_or_default();
    let mappings = record.mappings.into_iter();
    Ok(wire::GetIdentityPoolRolesOutput {
        identity_pool_id: id.to_string(),
        roles: Pairs(record.roles),
        role_mappings: wire::RoleMappings(mappings.map(|(name, m)| (name, shape(m))).collect()),
    })
}

/// Sets the roles of a pool, in the place of those before.
pub(super) async fn set_roles(
    site: &Site,
    input: wire::SetIdentityPoolRolesInput,
) -> Result<wire::Empty, ApiError> {
    let mut violations = Violations::new();
    let v = &mut violations;
    required_id(v, "identityPoolId", input.identity_pool_id.as_ref());
    v.required("roles", input.roles.as_ref());
    let roles = pairs(input.roles.as_ref());
    at_most(v, "roles", roles.len(), 2);
    for (kind, role) in roles {
        v.text("roles", kind, 128, &ROLE_TYPE);
        v.length("roles", role, 20, 2048);
    }
    let mappings = input.role_mappings.unwrap_or_default().0;
    at_most(v, "roleMappings", mappings.len(), MAPPINGS_MAX);
    for (provider, mapping) in &mappings {
        v.length("roleMappings", provider, 1, 128);
        check_mapping(v, mapping);
    }
    violations.finish()?;
    let (id, _) = pool(site, &input.identity_pool_id.unwrap_or_default()).await?;
    let mappings = mappings.into_iter();
    let record = RolesRecord {
        roles: input.roles.unwrap_or_default().0,
        mappings: mappings
            .map(|(name, m)| (name, stored_mapping(m)))
            .collect(),
    };
    put(site, &id, stored::roles_key(id.uuid), &record).await?;
    Ok(wire::Empty {})
}

fn check_mapping(v: &mut Violations, mapping: &wire::RoleMapping) {
    v.required("roleMappings.type", mapping.kind.as_ref());
    if let Some(kind) = &mapping.kind {
        v.one_of("roleMappings.type", kind, &["Token", "Rules"]);
    }
    if let Some(resolution) = &mapping.ambiguous_role_resolution {
        let at = "roleMappings.ambiguousRoleResolution";
        v.one_of(at, resolution, &["AuthenticatedRole", "Deny"]);
    }
    let Some(Object(configuration)) = &mapping.rules_configuration else {
        return;
    };
    let at = |member: &str| format!("roleMappings.rulesConfiguration.rules{member}");
    v.required(&at(""), configuration.rules.as_ref());
    let rules = configuration.rules.as_deref().unwrap_or_default();
    at_most(v, &at(""), rules.len(), RULES_MAX);
    if configuration.rules.is_some() && rules.is_empty() {
        let rule = "Member must have length greater than or equal to 1";
        v.add(&at(""), Some("[]"), rule);
    }
    for Object(rule) in rules {
        let members = [
            (".claim", &rule.claim, 1, 64),
            (".matchType", &rule.match_type, 1, 64),
            (".value", &rule.value, 1, 128),
            (".roleARN", &rule.role_arn, 20, 2048),
        ];
        for (member, value, min, max) in members {
            v.required(&at(member), value.as_ref());
            if let Some(value) = value {
                v.length(&at(member), value, min, max);
            }
        }
        if let Some(kind) = &rule.match_type {
            let kinds = ["Equals", "Contains", "StartsWith", "NotEqual"];
            v.one_of(&at(".matchType"), kind, &kinds);
        }
    }
}

fn stored_mapping(mapping: wire::RoleMapping) -> RoleMapping {
    let rule = |Object(rule): Object<wire::MappingRule>| RoleRule {
        claim: rule.claim.unwrap_or_default(),
        match_type: rule.match_type.unwrap_or_default(),
        value: rule.value.unwrap_or_default(),
        role: rule.role_arn.unwrap_or_default(),
    };
    let rules = mapping.rules_configuration.and_then(|it| it.0.rules);
    RoleMapping {
        kind: mapping.kind.unwrap_or_default(),
        ambiguous: mapping.ambiguous_role_resolution,
        rules: rules.map(|rules| rules.into_iter().map(rule).collect()),
    }
}

fn shape(mapping: RoleMapping) -> wire::RoleMapping {
    let rule = |rule: RoleRule| {
        Object(wire::MappingRule {
            claim: Some(rule.claim),
            match_type: Some(rule.match_type),
            value: Some(rule.value),
            role_arn: Some(rule.role),
        })
    };
    let rules = mapping.rules.map(|rules| {
        Object(wire::RulesConfiguration {
            rules: Some(rules.into_iter().map(rule).collect()),
        })
    });
    wire::RoleMapping {
        kind: Some(mapping.kind),
        ambiguous_role_resolution: mapping.ambiguous,
        rules_configuration: rules,
    }
}

/// Tells the principal tags of a provider.
pub(super) async fn get_principal_tags(
    site: &Site,
    input: wire::PrincipalTagAttributeMapInput,
) -> Result<wire::PrincipalTagAttributeMapOutput, ApiError> {
    check_principal_tags(&input)?;
    let (id, _) = pool(site, &input.identity_pool_id.unwrap_or_default()).await?;
    let provider = input.identity_provider_name.unwrap_or_default();
    let found = site.load(stored::principal_tags_key(id.uuid, &provider));
    let (record, _): (PrincipalTagsRecord, _) = found.await?.ok_or_else(|| {
        ApiError::not_found(format!("'{provider}' has no principal tags in '{id}'"))
    })?;
    Ok(principal_tags_shape(&id, record))
}

/// Sets the principal tags of a provider.
pub(super) async fn set_principal_tags(
    site: &Site,
    input: wire::PrincipalTagAttributeMapInput,
) -> Result<wire::PrincipalTagAttributeMapOutput, ApiError> {
    check_principal_tags(&input)?;
    let (id, _) = pool(site, &input.identity_pool_id.unwrap_or_default()).await?;
    let record = PrincipalTagsRecord {
        provider: input.identity_provider_name.unwrap_or_default(),
        use_defaults: input.use_defaults,
        tags: input.principal_tags.unwrap_or_default().0,
    };
    let key = stored::principal_tags_key(id.uuid, &record.provider);
    let reader = site.store.engine().resident_reader();
    let tagged = reader.scan_keys(&stored::principal_tags_prefix(id.uuid), None, TAGGED_MAX);
    if tagged.len() == TAGGED_MAX && reader.metadata_version(&key).is_none() {
        return Err(ApiError::limit_exceeded(format!(
            "the providers with principal tags would pass the limit of {TAGGED_MAX}"
        )));
    }
    put(site, &id, key, &record).await?;
    Ok(principal_tags_shape(&id, record))
}

fn check_principal_tags(input: &wire::PrincipalTagAttributeMapInput) -> Result<(), ApiError> {
    let mut violations = Violations::new();
    let v = &mut violations;
    required_id(v, "identityPoolId", input.identity_pool_id.as_ref());
    v.required(
        "identityProviderName",
        input.identity_provider_name.as_ref(),
    );
    if let Some(provider) = &input.identity_provider_name {
        v.length("identityProviderName", provider, 1, 128);
    }
    let tags = pairs(input.principal_tags.as_ref());
    at_most(v, "principalTags", tags.len(), TAGS_MAX);
    for (name, value) in tags {
        v.length("principalTags", name, 1, 128);
        v.length("principalTags", value, 1, 256);
    }
    violations.finish()
}

fn principal_tags_shape(
    id: &Id,
    record: PrincipalTagsRecord,
) -> wire::PrincipalTagAttributeMapOutput {
    wire::PrincipalTagAttributeMapOutput {
        identity_pool_id: id.to_string(),
        identity_provider_name: record.provider,
        use_defaults: record.use_defaults,
        principal_tags: Pairs(record.tags),
    }
}

async fn put<T: bincode::Encode>(
    site: &Site,
    pool: &Id,
    key: syncline_engine::MetadataKey,
    record: &T,
) -> Result<(), ApiError> {
    let value = stored::encode(record).ok_or_else(|| {
        ApiError::limit_exceeded("the roles of the pool would pass the limit of 64 KiB")
    })?;
    let wish = Wish::PutMetadata {
        key,
        value,
        expected: Expected::Anything,
    };
    let proposal = Proposal {
        expect: vec![(stored::pool_key(pool), Expected::Something)],
        wishes: vec![wish],
        ..Proposal::default()
    };
    site.store
        .commit(proposal)
        .await
        .map_err(|error| match error {
            syncline_engine::Error::Refusal(syncline_engine::Refusal::Unexpected { .. }) => {
                super::no_pool(&pool.to_string())
            }
            error => error.into(),
        })?;
    Ok(())
}
