//! GetId: the identity of a login, or a new guest.

use syncline_engine::{Error, Refusal};

use super::{birth, find, logins, pool, required_id};
use crate::error::ApiError;
use crate::site::Site;
use crate::wire::{Violations, constraint, identity as wire};

/// Gives the identity of the user whose token came; without logins, a guest that did not exist
/// before.
pub(super) async fn get_id(
    site: &Site,
    input: wire::GetIdInput,
) -> Result<wire::GetIdOutput, ApiError> {
    let mut violations = Violations::new();
    required_id(
        &mut violations,
        "identityPoolId",
        input.identity_pool_id.as_ref(),
    );
    if let Some(account) = &input.account_id {
        violations.text("accountId", account, 15, &constraint::ACCOUNT_ID);
    }
    logins::check(&mut violations, input.logins.as_ref());
    violations.finish()?;
    let (id, record) = pool(site, &input.identity_pool_id.unwrap_or_default()).await?;
    if let Some(claims) = logins::developer_token(site, &record, input.logins.as_ref())? {
        if claims.aud != id.to_string() {
            return Err(logins::no_match());
        }
        let found = find(site, &claims.sub).await?;
        logins::prove(site, found, &claims.sub, input.logins.as_ref())?;
        return Ok(wire::GetIdOutput {
            identity_id: claims.sub,
        });
    }
    if !record.allow_guests {
        return Err(logins::no_guests());
    }
    let place = birth::reserve(site, &id)?;
    birth::admit_guest(site, &id)?;
    let born = birth::bear(&site.store, place, &id, None, site.now().get()).await;
    match born {
        Ok(identity) => Ok(wire::GetIdOutput {
            identity_id: identity.to_string(),
        }),
        Err(Error::Refusal(Refusal::Unexpected { .. })) => Err(ApiError::not_found(format!(
            "IdentityPool '{id}' not found"
        ))),
        Err(error) => Err(error.into()),
    }
}
