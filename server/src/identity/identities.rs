//! DescribeIdentity and ListIdentities.

use syncline_engine::{Metadata, MetadataKey};
use uuid::Uuid;

use super::{find, home, no_identity, pool, required_id};
use crate::error::ApiError;
use crate::seal::Purpose;
use crate::site::Site;
use crate::site::stored::{self, FormerRecord, Id, IdentityRecord};
use crate::wire::constraint::PAGINATION_KEY;
use crate::wire::{EpochSeconds, Violations, linking as wire};

/// Most identities of a page.
const PAGE_MAX: i64 = 60;

/// Tells about an identity. One that was merged into another is told of without logins.
pub(super) async fn describe(
    site: &Site,
    input: wire::DescribeIdentityInput,
) -> Result<wire::IdentityDescription, ApiError> {
    let mut violations = Violations::new();
    required_id(&mut violations, "identityId", input.identity_id.as_ref());
    violations.finish()?;
    let identity_id = input.identity_id.unwrap_or_default();
    if let Some(found) = find(site, &identity_id).await? {
        return Ok(shape(&found.identity, found.record));
    }
    let missing = || no_identity(&identity_id);
    let (identity, pool, _) = home(site, &identity_id).await?.ok_or_else(missing)?;
    let former = site.load(stored::former_key(pool.uuid, identity.uuid));
    let (former, _): (FormerRecord, _) = former.await?.ok_or_else(missing)?;
    Ok(former_shape(&identity, &former))
}

/// Lists the identities of a pool, and then, unless they are to be hidden, those that were merged
/// into others.
pub(super) async fn list(
    site: &Site,
    input: wire::ListIdentitiesInput,
) -> Result<wire::ListIdentitiesOutput, ApiError> {
    check(&input)?;
    let (pool, _) = pool(site, &input.identity_pool_id.unwrap_or_default()).await?;
    let identity_pool_id = pool.to_string();
    let hides = input.hide_disabled.unwrap_or(false);
    let listing = [
        "ListIdentities",
        identity_pool_id.as_str(),
        if hides { "hide" } else { "show" },
    ];
    let not_valid = || ApiError::invalid_parameter("NextToken not valid for these inputs");
    let after = match &input.next_token {
        None => None,
        Some(token) => {
            let opened = site.keys.open(Purpose::Page, &listing, token);
            let last = MetadataKey::new(opened.ok_or_else(not_valid)?.body);
            Some(last.map_err(|_| not_valid())?)
        }
    };
    let limit = usize::try_from(input.max_results.unwrap_or(PAGE_MAX)).unwrap_or(1);
    let mut found = page(site, pool.uuid, hides, after, limit + 1).await?;
    let more = found.len() > limit;
    found.truncate(limit);
    let last = found.last().filter(|_| more);
    let next_token = last.map(|last| site.keys.seal(Purpose::Page, &listing, last.key.as_bytes()));
    let described = found.iter().map(|metadata| description(&pool, metadata));
    Ok(wire::ListIdentitiesOutput {
        identities: described.collect::<Result<_, _>>()?,
        identity_pool_id,
        next_token,
    })
}

fn check(input: &wire::ListIdentitiesInput) -> Result<(), ApiError> {
    let mut violations = Violations::new();
    let v = &mut violations;
    required_id(v, "identityPoolId", input.identity_pool_id.as_ref());
    v.required("maxResults", input.max_results.as_ref());
    if let Some(limit) = input.max_results {
        v.at_least("maxResults", limit, 1);
        v.at_most("maxResults", limit, PAGE_MAX);
    }
    if let Some(token) = &input.next_token {
        v.text("nextToken", token, 65_535, &PAGINATION_KEY);
    }
    violations.finish()
}

async fn page(
    site: &Site,
    pool: Uuid,
    hides: bool,
    after: Option<MetadataKey>,
    limit: usize,
) -> Result<Vec<Metadata>, ApiError> {
    let kinds = [stored::IDENTITY, stored::FORMER];
    let kinds = &kinds[..if hides { 1 } else { 2 }];
    let mut found = Vec::new();
    for &kind in kinds {
        if after
            .as_ref()
            .is_some_and(|after| after.as_bytes()[0] > kind)
        {
            continue;
        }
        let (prefix, after) = (
            [&[kind], pool.as_bytes().as_slice()].concat(),
            after.clone(),
        );
        let left = limit - found.len();
        let read = site
            .store
            .read(move |reader| reader.scan(&prefix, after.as_ref(), left));
        found.extend(read.await?);
    }
    Ok(found)
}

fn description(pool: &Id, metadata: &Metadata) -> Result<wire::IdentityDescription, ApiError> {
    let fault = |error| ApiError::fault("reading an identity", &error);
    let key = metadata.key.as_bytes();
    let uuid = key.get(17..).and_then(|uuid| Uuid::from_slice(uuid).ok());
    let identity = Id {
        region: pool.region.clone(),
        uuid: uuid.ok_or_else(|| ApiError::bug("an identity under the key of something else"))?,
    };
    if key[0] == stored::FORMER {
        let former: FormerRecord = stored::decode(metadata).map_err(fault)?;
        return Ok(former_shape(&identity, &former));
    }
    let record: IdentityRecord = stored::decode(metadata).map_err(fault)?;
    Ok(shape(&identity, record))
}

fn shape(identity: &Id, record: IdentityRecord) -> wire::IdentityDescription {
    let mut logins = Vec::new();
    for login in record.logins {
        if !logins.contains(&login.provider) {
            logins.push(login.provider);
        }
    }
    wire::IdentityDescription {
        identity_id: identity.to_string(),
        logins,
        creation_date: EpochSeconds::from_ms(record.created_ms),
        last_modified_date: EpochSeconds::from_ms(record.modified_ms),
    }
}

fn former_shape(identity: &Id, former: &FormerRecord) -> wire::IdentityDescription {
    wire::IdentityDescription {
        identity_id: identity.to_string(),
        logins: Vec::new(),
        creation_date: EpochSeconds::from_ms(former.created_ms),
        last_modified_date: EpochSeconds::from_ms(former.merged_ms),
    }
}
