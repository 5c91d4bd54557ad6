//! The operations of Cognito Identity that signing in needs, and what is common to them.
//!
//! Pools, identities and logins are records in the engine's metadata. Whatever belongs together is
//! changed in one proposal that names the versions it was decided on, so that two calls at once
//! never make two identities of one user.

mod birth;
mod developer;
mod get_credentials;
mod get_id;
mod get_open_id_token;
mod jwks;
mod logins;
mod open_id;
mod pools;

use serde::Serialize;
use uuid::Uuid;

use crate::access::{self, Caller};
use crate::error::ApiError;
use crate::routes::IdentityOperation;
use crate::site::Site;
use crate::site::stored::{self, HomeRecord, Id, IdentityRecord, PoolRecord};
use crate::wire::{Violations, json};

pub use jwks::well_known;

/// Answers one operation: the JSON of its output. `caller` is who signed it, if it is signed.
///
/// # Errors
/// Whatever the operation refuses, or `NotImplementedException`.
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
        access::permit_identity(operation, caller, site.realm())?;
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
        _ => Err(ApiError::not_implemented(format!(
            "{} is not implemented in this version",
            operation.name()
        ))),
    }
}

fn output<T: Serialize>(output: &T) -> Result<Vec<u8>, ApiError> {
    serde_json::to_vec(output).map_err(|error| ApiError::fault("laying out an answer", &error))
}

/// A pool that exists.
async fn pool(site: &Site, pool: &str) -> Result<(Id, PoolRecord), ApiError> {
    let missing = || ApiError::not_found(format!("IdentityPool '{pool}' not found"));
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

/// The identity of an id that came without its pool; `None` if it does not exist, or no longer.
async fn find(site: &Site, identity: &str) -> Result<Option<Found>, ApiError> {
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
    let Some((pool_record, _)) = site.load(stored::pool_key(&pool)).await? else {
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
