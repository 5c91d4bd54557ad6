//! GetId: the identity of logins, found or made, or a new guest.

use syncline_engine::{Error, Refusal};

use super::owner::{self, Ground, Named};
use super::{birth, logins, no_pool, pool, required_id};
use crate::error::ApiError;
use crate::site::Site;
use crate::wire::{Violations, constraint, identity as wire};

/// Gives the identity of the user whose tokens came; without logins, a guest that did not exist
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
    if let Some(tokens) = logins::verify(site, input.logins.as_ref()).await? {
        let proved = tokens.prove(site, &id, &record).await?;
        let ground = Ground {
            pool: &id,
            developer: record.developer_provider.as_deref(),
        };
        let owner = owner::settle(site, ground, &proved, Named::Nobody).await?;
        return Ok(wire::GetIdOutput {
            identity_id: owner.identity.to_string(),
        });
    }
    if !record.allow_guests {
        return Err(logins::no_guests());
    }
    let place = birth::reserve(site, &id)?;
    birth::admit_guest(site, &id)?;
    let born = birth::bear(&site.store, place, &id, Vec::new(), site.now().get()).await;
    match born {
        Ok(identity) => Ok(wire::GetIdOutput {
            identity_id: identity.to_string(),
        }),
        Err(Error::Refusal(Refusal::Unexpected { .. })) => Err(no_pool(&id.to_string())),
        Err(error) => Err(error.into()),
    }
}
