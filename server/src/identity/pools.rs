//! CreateIdentityPool, UpdateIdentityPool, DescribeIdentityPool and ListIdentityPools.

use syncline_engine::{Error, Expected, MetadataKey, Proposal, Refusal, Sequence, Wish};

use super::{logins, no_pool, pool, required_id};
use crate::error::ApiError;
use crate::seal::Purpose;
use crate::site::Site;
use crate::site::stored::{self, Id, PoolRecord, UserPool};
use crate::wire::constraint::{
    DEVELOPER_PROVIDER, PAGINATION_KEY, POOL_NAME, PROVIDER_ID, USER_POOL, USER_POOL_CLIENT,
};
use crate::wire::{Object, Pairs, Violations, identity as wire};

/// Most public providers of a pool.
const PROVIDERS_MAX: usize = 10;
/// Most tags of a pool.
pub(super) const TAGS_MAX: usize = 50;
/// Most pools of a page.
const PAGE_MAX: i64 = 60;
/// Names this listing in its page tokens.
const LISTING: [&str; 1] = ["ListIdentityPools"];

/// Makes a pool.
pub(super) async fn create(
    site: &Site,
    input: wire::CreateIdentityPoolInput,
) -> Result<wire::IdentityPool, ApiError> {
    let mut violations = Violations::new();
    check_members(&mut violations, &input);
    violations.finish()?;
    let id = Id::new(&site.config.region);
    let record = record(input, site.now().get());
    check_provider(&record)?;
    let value = stored::encode(&record).ok_or_else(too_large)?;
    let key = stored::pool_key(&id);
    let wishes = vec![Wish::PutMetadata {
        key,
        value,
        expected: Expected::Nothing,
    }];
    site.store
        .commit(Proposal {
            wishes,
            ..Proposal::default()
        })
        .await?;
    Ok(shape(&id, record))
}

/// Sets a pool up anew. Tags and the developer's provider stay unless they are named; the provider
/// cannot become another one, since users are known by it.
pub(super) async fn update(
    site: &Site,
    named: wire::DescribeIdentityPoolInput,
    input: wire::CreateIdentityPoolInput,
) -> Result<wire::IdentityPool, ApiError> {
    let mut violations = Violations::new();
    let pool_id = named.identity_pool_id;
    required_id(&mut violations, "identityPoolId", pool_id.as_ref());
    check_members(&mut violations, &input);
    violations.finish()?;
    let pool_id = pool_id.unwrap_or_default();
    let wanted = record(input, 0);
    let change = |now: &PoolRecord| {
        let mut changed = PoolRecord {
            created_ms: now.created_ms,
            ..wanted.clone()
        };
        if changed.tags.is_empty() {
            changed.tags.clone_from(&now.tags);
        }
        match (&now.developer_provider, &changed.developer_provider) {
            (Some(known), Some(other)) if known != other => {
                return Err(ApiError::invalid_parameter(
                    "The developer provider name of an identity pool cannot be changed.",
                ));
            }
            (known, None) => changed.developer_provider.clone_from(known),
            _ => {}
        }
        check_provider(&changed)?;
        Ok(changed)
    };
    let (id, record) = change_pool(site, &pool_id, change).await?;
    Ok(shape(&id, record))
}

/// Changes the record of a pool, deciding anew when another change came first.
pub(super) async fn change_pool(
    site: &Site,
    pool_id: &str,
    change: impl Fn(&PoolRecord) -> Result<PoolRecord, ApiError>,
) -> Result<(Id, PoolRecord), ApiError> {
    for _ in 0..super::TRIES {
        let missing = || no_pool(pool_id);
        let id = Id::parse(pool_id).ok_or_else(missing)?;
        let key = stored::pool_key(&id);
        let found: Option<(PoolRecord, Sequence)> = site.load(key.clone()).await?;
        let (now, version) = found.ok_or_else(missing)?;
        let changed = change(&now)?;
        let proposal = Proposal::from(Wish::PutMetadata {
            key,
            value: stored::encode(&changed).ok_or_else(too_large)?,
            expected: Expected::Version(version),
        });
        match site.store.commit(proposal).await {
            Ok(_) => return Ok((id, changed)),
            Err(Error::Refusal(Refusal::Unexpected { .. })) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(ApiError::concurrent_modification(
        "Another request changes the same pool; try again.",
    ))
}

fn too_large() -> ApiError {
    ApiError::limit_exceeded("the configuration of the pool would pass the limit of 64 KiB")
}

/// The developer's users and those of other providers are told apart by the provider's name.
fn check_provider(record: &PoolRecord) -> Result<(), ApiError> {
    let Some(own) = &record.developer_provider else {
        return Ok(());
    };
    if own == super::open_id::OWN_PROVIDER || logins::names(record, own) {
        return Err(ApiError::invalid_parameter(format!(
            "The developer provider name '{own}' must not be that of another provider."
        )));
    }
    Ok(())
}

/// Tells about a pool.
pub(super) async fn describe(
    site: &Site,
    input: wire::DescribeIdentityPoolInput,
) -> Result<wire::IdentityPool, ApiError> {
    let mut violations = Violations::new();
    required_id(
        &mut violations,
        "identityPoolId",
        input.identity_pool_id.as_ref(),
    );
    violations.finish()?;
    let (id, record) = pool(site, &input.identity_pool_id.unwrap_or_default()).await?;
    Ok(shape(&id, record))
}

/// Lists all pools.
pub(super) async fn list(
    site: &Site,
    input: wire::ListIdentityPoolsInput,
) -> Result<wire::ListIdentityPoolsOutput, ApiError> {
    let mut violations = Violations::new();
    violations.required("maxResults", input.max_results.as_ref());
    let limit = input.max_results.unwrap_or(PAGE_MAX);
    violations.at_least("maxResults", limit, 1);
    violations.at_most("maxResults", limit, PAGE_MAX);
    if let Some(token) = &input.next_token {
        violations.text("nextToken", token, 65_535, &PAGINATION_KEY);
    }
    violations.finish()?;
    let limit = usize::try_from(limit).unwrap_or(1);
    let not_valid = || ApiError::invalid_parameter("NextToken not valid for these inputs");
    let after = match &input.next_token {
        None => None,
        Some(token) => {
            let last = site
                .keys
                .open(Purpose::Page, &LISTING, token)
                .ok_or_else(not_valid)?;
            Some(MetadataKey::new(last.body).map_err(|_| not_valid())?)
        }
    };
    let read = site
        .store
        .read(move |reader| reader.scan(&[stored::POOL], after.as_ref(), limit + 1));
    let mut found = read.await?;
    let more = found.len() > limit;
    found.truncate(limit);
    let last = found.last().filter(|_| more);
    let next_token = last.map(|last| site.keys.seal(Purpose::Page, &LISTING, last.key.as_bytes()));
    let mut identity_pools = Vec::with_capacity(found.len());
    for metadata in &found {
        let record: PoolRecord =
            stored::decode(metadata).map_err(|error| ApiError::fault("reading a pool", &error))?;
        let id = stored::pool_of(&metadata.key)
            .ok_or_else(|| ApiError::bug("a pool under the key of something else"))?;
        identity_pools.push(wire::IdentityPoolShortDescription {
            identity_pool_id: id.to_string(),
            identity_pool_name: record.name,
        });
    }
    Ok(wire::ListIdentityPoolsOutput {
        identity_pools,
        next_token,
    })
}

fn check_members(v: &mut Violations, input: &wire::CreateIdentityPoolInput) {
    v.required("identityPoolName", input.identity_pool_name.as_ref());
    if let Some(name) = &input.identity_pool_name {
        v.text("identityPoolName", name, 128, &POOL_NAME);
    }
    let allowed = input.allow_unauthenticated_identities.as_ref();
    v.required("allowUnauthenticatedIdentities", allowed);
    if let Some(provider) = &input.developer_provider_name {
        v.text("developerProviderName", provider, 128, &DEVELOPER_PROVIDER);
    }
    let providers = pairs(input.supported_login_providers.as_ref());
    at_most(v, "supportedLoginProviders", providers.len(), PROVIDERS_MAX);
    for (provider, id) in providers {
        v.length("supportedLoginProviders", provider, 1, 128);
        v.text("supportedLoginProviders", id, 128, &PROVIDER_ID);
    }
    check_arns(
        v,
        "openIdConnectProviderARNs",
        input.open_id_connect_provider_arns.as_deref(),
    );
    check_arns(v, "samlProviderARNs", input.saml_provider_arns.as_deref());
    let user_pools = input.cognito_identity_providers.iter().flatten();
    for (place, Object(user_pool)) in user_pools.enumerate() {
        let at = |member| format!("cognitoIdentityProviders.{}.member.{member}", place + 1);
        if let Some(name) = &user_pool.provider_name {
            v.text(&at("providerName"), name, 128, &USER_POOL);
        }
        if let Some(client) = &user_pool.client_id {
            v.text(&at("clientId"), client, 128, &USER_POOL_CLIENT);
        }
    }
    check_tags(
        v,
        "identityPoolTags",
        pairs(input.identity_pool_tags.as_ref()),
    );
}

/// Checks the form of tags.
pub(super) fn check_tags(violations: &mut Violations, at: &str, tags: &[(String, String)]) {
    at_most(violations, at, tags.len(), TAGS_MAX);
    for (name, value) in tags {
        violations.length(at, name, 1, 128);
        violations.length(at, value, 0, 256);
    }
}

/// The pairs of a map that may be missing.
pub(super) fn pairs(pairs: Option<&Pairs>) -> &[(String, String)] {
    pairs.map_or(&[], |pairs| &pairs.0)
}

/// A list or map that is not too long.
pub(super) fn at_most(violations: &mut Violations, at: &str, found: usize, max: usize) {
    if found > max {
        let rule = format!("Member must have length less than or equal to {max}");
        violations.add(at, Some("{...}"), &rule);
    }
}

fn check_arns(violations: &mut Violations, at: &str, arns: Option<&[String]>) {
    for (place, arn) in arns.unwrap_or_default().iter().enumerate() {
        violations.length(&format!("{at}.{}.member", place + 1), arn, 20, 2048);
    }
}

fn record(input: wire::CreateIdentityPoolInput, now_ms: u64) -> PoolRecord {
    let user_pool = |Object(user_pool): Object<wire::CognitoIdentityProvider>| UserPool {
        provider: user_pool.provider_name,
        client: user_pool.client_id,
        token_check: user_pool.server_side_token_check,
    };
    let user_pools = input.cognito_identity_providers.unwrap_or_default();
    PoolRecord {
        name: input.identity_pool_name.unwrap_or_default(),
        allow_guests: input.allow_unauthenticated_identities.unwrap_or(false),
        allow_classic_flow: input.allow_classic_flow,
        developer_provider: input.developer_provider_name,
        login_providers: input.supported_login_providers.unwrap_or_default().0,
        open_id_connect: input.open_id_connect_provider_arns.unwrap_or_default(),
        user_pools: user_pools.into_iter().map(user_pool).collect(),
        saml: input.saml_provider_arns.unwrap_or_default(),
        tags: input.identity_pool_tags.unwrap_or_default().0,
        created_ms: now_ms,
    }
}

fn shape(id: &Id, record: PoolRecord) -> wire::IdentityPool {
    let user_pool = |user_pool: UserPool| wire::CognitoIdentityProvider {
        provider_name: user_pool.provider,
        client_id: user_pool.client,
        server_side_token_check: user_pool.token_check,
    };
    wire::IdentityPool {
        identity_pool_id: id.to_string(),
        identity_pool_name: record.name,
        allow_unauthenticated_identities: record.allow_guests,
        allow_classic_flow: record.allow_classic_flow,
        supported_login_providers: Pairs(record.login_providers),
        developer_provider_name: record.developer_provider,
        open_id_connect_provider_arns: record.open_id_connect,
        cognito_identity_providers: record.user_pools.into_iter().map(user_pool).collect(),
        saml_provider_arns: record.saml,
        identity_pool_tags: Pairs(record.tags),
    }
}
