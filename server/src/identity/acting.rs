//! As whom a caller acts that names an identity and shows logins.

use super::owner::{self, Ground, Named};
use super::{find, home, logins};
use crate::access;
use crate::error::ApiError;
use crate::site::Site;
use crate::site::stored::{Id, IdentityRecord};
use crate::wire::Pairs;

/// An identity as which the caller may act. It may be another than the one named: the owner of the
/// logins, if identities were merged.
pub(super) struct Acting {
    pub(super) pool: Id,
    pub(super) identity: Id,
    pub(super) record: IdentityRecord,
}

/// Finds out as whom a caller may act: as a guest whose id it knows, or as the owner of logins that
/// it proves. Logins that are new are linked, and other identities of theirs merged.
///
/// Whoever proves nothing is not told whether the identity exists: the answers are alike.
///
/// # Errors
/// `NotAuthorizedException` unless the caller may act as somebody.
pub(super) async fn act_as(
    site: &Site,
    identity_id: &str,
    logins: Option<&Pairs>,
) -> Result<Acting, ApiError> {
    let Some(tokens) = logins::verify(site, logins).await? else {
        return guest(site, identity_id).await;
    };
    let Some((identity, pool, pool_record)) = home(site, identity_id).await? else {
        return Err(logins::no_match());
    };
    let proved = tokens.prove(site, &pool, &pool_record).await;
    let ground = Ground {
        pool: &pool,
        developer: pool_record.developer_provider.as_deref(),
    };
    let named = Named::Claimed(identity);
    let owner = owner::settle(site, ground, &proved.map_err(logins::hide)?, named).await?;
    Ok(Acting {
        identity: owner.identity,
        record: owner.record,
        pool,
    })
}

async fn guest(site: &Site, identity_id: &str) -> Result<Acting, ApiError> {
    let found = find(site, identity_id).await?;
    let found = found.filter(|found| found.record.is_guest());
    let found = found.ok_or_else(|| access::forbidden(identity_id))?;
    if !found.pool_record.allow_guests {
        return Err(logins::no_guests());
    }
    Ok(Acting {
        pool: found.pool,
        identity: found.identity,
        record: found.record,
    })
}
