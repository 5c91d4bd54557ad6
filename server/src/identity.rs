//! The operations of Cognito Identity, and what is common to them.
//!
//! Pools, identities and logins are records in the engine's metadata. Whatever belongs together is
//! changed in one proposal that names the versions it was decided on, so that two calls at once
//! never make two identities of one user.

mod acting;
mod birth;
mod developer;
mod get_credentials;
mod get_id;
mod get_open_id_token;
mod identities;
mod jwks;
mod logins;
mod merge;
mod open_id;
mod owner;
mod pools;
mod removal;
mod roles;
pub mod sts;
mod tags;
mod unlink;
mod users;

use serde::Serialize;
use uuid::Uuid;

use crate::access::{self, Caller};
use crate::error::ApiError;
use crate::routes::IdentityOperation;
use crate::site::Site;
use crate::site::stored::{self, HomeRecord, Id, IdentityRecord, PoolRecord};
use crate::wire::{Violations, json};

pub use jwks::well_known;

/// How often a change is decided anew when another one came first.
const TRIES: usize = 16;

/// Answers one operation: the JSON of its output. `caller` is who signed it, if it is signed.
///
/// # Errors
/// Whatever the operation refuses.
pub async fn answer(
    site: &Site,
    caller: Option<&Caller>,
    operation: IdentityOperation,
    body: &[u8],
) -> Result<Vec<u8>, ApiError> {
    use IdentityOperation as O;
    if operation.is_signed() {
        let caller = caller.ok_or_else(|| {
            ApiError::missing_authentication_token("Missing Authentication Token")
        })?;
        access::permit_identity(operation, caller, body, site.realm(), |pool, identity| {
            site.has_identity(pool, identity)
        })?;
    }
    match operation {
        O::CreateIdentityPool => output(&pools::create(site, json::read(body)?).await?),
        O::DescribeIdentityPool => output(&pools::describe(site, json::read(body)?).await?),
        O::ListIdentityPools => output(&pools::list(site, json::read(body)?).await?),
        O::GetId => output(&get_id::get_id(site, json::read(body)?).await?),
        O::GetCredentialsForIdentity => {
            output(&get_credentials::get_credentials(site, json::read(body)?).await?)
        }
        O::GetOpenIdToken => {
            output(&get_open_id_token::get_open_id_token(site, json::read(body)?).await?)
        }
        O::GetOpenIdTokenForDeveloperIdentity => {
            output(&developer::get_open_id_token(site, json::read(body)?).await?)
        }
        _ => answer_more(site, operation, body).await,
    }
}

/// What the developer does with pools, users and identities beside signing them in.
async fn answer_more(
    site: &Site,
    operation: IdentityOperation,
    body: &[u8],
) -> Result<Vec<u8>, ApiError> {
    use IdentityOperation as O;
    match operation {
        O::UpdateIdentityPool => {
            let named = json::read(body)?;
            output(&pools::update(site, named, json::read(body)?).await?)
        }
        O::DeleteIdentityPool => output(&removal::delete_pool(site, json::read(body)?).await?),
        O::DeleteIdentities => output(&removal::delete_identities(site, json::read(body)?).await?),
        O::DescribeIdentity => output(&identities::describe(site, json::read(body)?).await?),
        O::ListIdentities => output(&identities::list(site, json::read(body)?).await?),
        O::LookupDeveloperIdentity => output(&users::lookup(site, json::read(body)?).await?),
        O::MergeDeveloperIdentities => output(&users::merge_users(site, json::read(body)?).await?),
        O::UnlinkDeveloperIdentity => output(&users::unlink_user(site, json::read(body)?).await?),
        O::UnlinkIdentity => output(&unlink::unlink_identity(site, json::read(body)?).await?),
        O::GetIdentityPoolRoles => output(&roles::get_roles(site, json::read(body)?).await?),
        O::SetIdentityPoolRoles => output(&roles::set_roles(site, json::read(body)?).await?),
        O::GetPrincipalTagAttributeMap => {
            output(&roles::get_principal_tags(site, json::read(body)?).await?)
        }
        O::SetPrincipalTagAttributeMap => {
            output(&roles::set_principal_tags(site, json::read(body)?).await?)
        }
        O::TagResource => output(&tags::tag(site, json::read(body)?).await?),
        O::UntagResource => output(&tags::untag(site, json::read(body)?).await?),
        O::ListTagsForResource => output(&tags::list(site, json::read(body)?).await?),
        _ => Err(ApiError::bug("an operation that nothing answers")),
    }
}

fn output<T: Serialize>(output: &T) -> Result<Vec<u8>, ApiError> {
    serde_json::to_vec(output).map_err(|error| ApiError::fault("laying out an answer", &error))
}

/// A pool that exists.
async fn pool(site: &Site, pool: &str) -> Result<(Id, PoolRecord), ApiError> {
    let missing = || no_pool(pool);
    let id = Id::parse(pool).ok_or_else(missing)?;
    let (record, _) = site
        .load(stored::pool_key(&id))
        .await?
        .ok_or_else(missing)?;
    Ok((id, record))
}

/// An identity that exists, with its pool.
struct Found {
    pool: Id,
    pool_record: PoolRecord,
    identity: Id,
    record: IdentityRecord,
}

/// Where the identity of an id is at home that came without its pool, also if it was merged into
/// another one; `None` if it does not exist, or was deleted.
async fn home(site: &Site, identity: &str) -> Result<Option<(Id, Id, PoolRecord)>, ApiError> {
    let Some(identity) = Id::parse(identity) else {
        return Ok(None);
    };
    let home = site
        .load::<HomeRecord>(stored::home_key(identity.uuid))
        .await?;
    let Some((home, _)) = home.filter(|(home, _)| home.region == identity.region) else {
        return Ok(None);
    };
    let pool = Id {
        region: home.region,
        uuid: Uuid::from_bytes(home.pool),
    };
    let record = site.load(stored::pool_key(&pool)).await?;
    Ok(record.map(|(record, _)| (identity, pool, record)))
}

/// The identity of an id that came without its pool; `None` if it does not exist, or no longer.
async fn find(site: &Site, identity: &str) -> Result<Option<Found>, ApiError> {
    let Some((identity, pool, pool_record)) = home(site, identity).await? else {
        return Ok(None);
    };
    let record = site
        .load(stored::identity_key(pool.uuid, identity.uuid))
        .await?;
    Ok(record.map(|(record, _)| Found {
        pool,
        pool_record,
        identity,
        record,
    }))
}

fn no_pool(pool: &str) -> ApiError {
    ApiError::not_found(format!("IdentityPool '{pool}' not found"))
}

fn no_identity(identity: &str) -> ApiError {
    ApiError::not_found(format!("Identity '{identity}' not found"))
}

/// A member that must be there and name something.
fn required_id(violations: &mut Violations, at: &str, value: Option<&String>) {
    violations.required(at, value);
    if let Some(value) = value {
        violations.id(at, value);
    }
}

#[cfg(test)]
mod tests;
