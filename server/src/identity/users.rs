//! LookupDeveloperIdentity, MergeDeveloperIdentities and UnlinkDeveloperIdentity: the developer's
//! own users.

use super::developer::USER_CHARS_MAX;
use super::owner::{self, Ground, Owner, is_stale};
use super::{TRIES, merge, no_identity, pool, required_id, unlink};
use crate::error::ApiError;
use crate::seal::Purpose;
use crate::site::Site;
use crate::site::stored::{Id, Login, PoolRecord};
use crate::wire::constraint::{DEVELOPER_PROVIDER, PAGINATION_KEY};
use crate::wire::{Violations, linking as wire, roles::Empty};

/// Most users of a page.
const PAGE_MAX: i64 = 60;

/// Tells which identity a user is, and which users an identity is.
pub(super) async fn lookup(
    site: &Site,
    input: wire::LookupDeveloperIdentityInput,
) -> Result<wire::LookupDeveloperIdentityOutput, ApiError> {
    check_lookup(&input)?;
    let (pool, record) = pool(site, &input.identity_pool_id.unwrap_or_default()).await?;
    let provider = record.developer_provider.clone().unwrap_or_default();
    let by_user = match &input.developer_user_identifier {
        Some(user) => Some(owner(site, &pool, &provider, user).await?),
        None => None,
    };
    let by_id = match &input.identity_id {
        Some(id) => Some(identity(site, &pool, id).await?),
        None => None,
    };
    let found = match (by_user, by_id) {
        (Some(one), Some(other)) if one.identity != other.identity => {
            return Err(ApiError::conflict(
                "The developer user identifier belongs to another identity.",
            ));
        }
        (Some(one), Some(_)) => {
            return Ok(wire::LookupDeveloperIdentityOutput {
                identity_id: one.identity.to_string(),
                developer_user_identifier_list: input
                    .developer_user_identifier
                    .into_iter()
                    .collect(),
                next_token: None,
            });
        }
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => return Err(ApiError::bug("a lookup of nothing")),
    };
    let identity_id = found.identity.to_string();
    let listing = ["LookupDeveloperIdentity", identity_id.as_str()];
    let skipped = match &input.next_token {
        None => 0,
        Some(token) => skipped(site, &listing, token)?,
    };
    let logins = found.record.logins.into_iter();
    let mut users = logins.filter(|login| login.provider == provider);
    let limit = usize::try_from(input.max_results.unwrap_or(PAGE_MAX)).unwrap_or(1);
    let page: Vec<_> = users
        .by_ref()
        .skip(skipped)
        .take(limit)
        .map(|l| l.user)
        .collect();
    let next = (skipped + page.len()) as u64;
    let next_token = users
        .next()
        .map(|_| site.keys.seal(Purpose::Page, &listing, &next.to_le_bytes()));
    Ok(wire::LookupDeveloperIdentityOutput {
        identity_id,
        developer_user_identifier_list: page,
        next_token,
    })
}

fn skipped(site: &Site, listing: &[&str], token: &str) -> Result<usize, ApiError> {
    let opened = site.keys.open(Purpose::Page, listing, token);
    let bytes = opened.and_then(|opened| <[u8; 8]>::try_from(opened.body).ok());
    bytes
        .and_then(|bytes| usize::try_from(u64::from_le_bytes(bytes)).ok())
        .ok_or_else(|| ApiError::invalid_parameter("NextToken not valid for these inputs"))
}

fn check_lookup(input: &wire::LookupDeveloperIdentityInput) -> Result<(), ApiError> {
    let mut violations = Violations::new();
    let v = &mut violations;
    required_id(v, "identityPoolId", input.identity_pool_id.as_ref());
    if let Some(identity) = &input.identity_id {
        v.id("identityId", identity);
    }
    if let Some(user) = &input.developer_user_identifier {
        v.length("developerUserIdentifier", user, 1, USER_CHARS_MAX);
    }
    if let Some(limit) = input.max_results {
        v.at_least("maxResults", limit, 1);
        v.at_most("maxResults", limit, PAGE_MAX);
    }
    if let Some(token) = &input.next_token {
        v.text("nextToken", token, 65_535, &PAGINATION_KEY);
    }
    violations.finish()?;
    if input.identity_id.is_none() && input.developer_user_identifier.is_none() {
        return Err(ApiError::invalid_parameter(
            "Either IdentityId or DeveloperUserIdentifier must be given.",
        ));
    }
    Ok(())
}

/// Makes one identity of those of two users: the destination's.
pub(super) async fn merge_users(
    site: &Site,
    input: wire::MergeDeveloperIdentitiesInput,
) -> Result<wire::MergeDeveloperIdentitiesOutput, ApiError> {
    let mut violations = Violations::new();
    let v = &mut violations;
    required_user(
        v,
        "sourceUserIdentifier",
        input.source_user_identifier.as_ref(),
    );
    let destination = input.destination_user_identifier.as_ref();
    required_user(v, "destinationUserIdentifier", destination);
    required_provider(v, input.developer_provider_name.as_ref());
    required_id(v, "identityPoolId", input.identity_pool_id.as_ref());
    violations.finish()?;
    let (pool, record) = pool(site, &input.identity_pool_id.unwrap_or_default()).await?;
    let provider = input.developer_provider_name.unwrap_or_default();
    check_provider(&record, &provider)?;
    let ground = Ground {
        pool: &pool,
        developer: Some(&provider),
    };
    let source = input.source_user_identifier.unwrap_or_default();
    let destination = input.destination_user_identifier.unwrap_or_default();
    for _ in 0..TRIES {
        let loser = owner(site, &pool, &provider, &source).await?;
        let winner = owner(site, &pool, &provider, &destination).await?;
        let identity_id = winner.identity.to_string();
        let merged = wire::MergeDeveloperIdentitiesOutput { identity_id };
        if winner.identity == loser.identity {
            return Ok(merged);
        }
        match merge::merge(site, ground, winner, loser).await? {
            Ok(()) => return Ok(merged),
            Err(error) if is_stale(&error) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(owner::busy())
}

/// Takes a user away from an identity.
pub(super) async fn unlink_user(
    site: &Site,
    input: wire::UnlinkDeveloperIdentityInput,
) -> Result<Empty, ApiError> {
    let mut violations = Violations::new();
    let v = &mut violations;
    required_id(v, "identityId", input.identity_id.as_ref());
    required_id(v, "identityPoolId", input.identity_pool_id.as_ref());
    required_provider(v, input.developer_provider_name.as_ref());
    let user = input.developer_user_identifier.as_ref();
    required_user(v, "developerUserIdentifier", user);
    violations.finish()?;
    let (pool, record) = pool(site, &input.identity_pool_id.unwrap_or_default()).await?;
    let provider = input.developer_provider_name.unwrap_or_default();
    check_provider(&record, &provider)?;
    let user = input.developer_user_identifier.unwrap_or_default();
    let identity_id = input.identity_id.unwrap_or_default();
    for _ in 0..TRIES {
        let wanted = identity(site, &pool, &identity_id).await?;
        let found = owner(site, &pool, &provider, &user).await?;
        if found.identity != wanted.identity {
            return Err(ApiError::conflict(
                "The developer user identifier belongs to another identity.",
            ));
        }
        let is_it = |login: &Login| login.provider == provider && login.user == user;
        match unlink::take_away(site, &pool, found, is_it).await {
            Ok(()) => return Ok(Empty {}),
            Err(error) if is_stale(&error) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(owner::busy())
}

fn required_user(violations: &mut Violations, at: &str, user: Option<&String>) {
    violations.required(at, user);
    if let Some(user) = user {
        violations.length(at, user, 1, USER_CHARS_MAX);
    }
}

fn required_provider(violations: &mut Violations, provider: Option<&String>) {
    violations.required("developerProviderName", provider);
    if let Some(provider) = provider {
        violations.text("developerProviderName", provider, 128, &DEVELOPER_PROVIDER);
    }
}

fn check_provider(record: &PoolRecord, provider: &str) -> Result<(), ApiError> {
    if record.developer_provider.as_deref() == Some(provider) {
        return Ok(());
    }
    Err(ApiError::invalid_parameter(format!(
        "'{provider}' is not the developer provider of this identity pool."
    )))
}

/// The identity of a developer's user.
async fn owner(site: &Site, pool: &Id, provider: &str, user: &str) -> Result<Owner, ApiError> {
    let missing = || ApiError::not_found(format!("Developer user identifier '{user}' not found"));
    let login = Login {
        provider: provider.to_owned(),
        user: user.to_owned(),
    };
    let uuid = owner::owner_of(site, pool, &login).await?;
    let identity = Id {
        region: pool.region.clone(),
        uuid: uuid.ok_or_else(missing)?,
    };
    owner::load(site, pool, identity).await?.ok_or_else(missing)
}

async fn identity(site: &Site, pool: &Id, id: &str) -> Result<Owner, ApiError> {
    let missing = || no_identity(id);
    let identity = Id::parse(id).ok_or_else(missing)?;
    owner::load(site, pool, identity).await?.ok_or_else(missing)
}
