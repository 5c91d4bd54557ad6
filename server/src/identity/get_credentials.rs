//! GetCredentialsForIdentity: an hour of signing for whoever may act as an identity.

use super::{acting, logins, required_id};
use crate::access;
use crate::error::ApiError;
use crate::site::Site;
use crate::wire::{EpochSeconds, Violations, identity as wire};

/// Gives temporary credentials to a guest, or to the user whose token came.
pub(super) async fn get_credentials(
    site: &Site,
    input: wire::GetCredentialsForIdentityInput,
) -> Result<wire::GetCredentialsForIdentityOutput, ApiError> {
    let mut violations = Violations::new();
    required_id(&mut violations, "identityId", input.identity_id.as_ref());
    if let Some(role) = &input.custom_role_arn {
        violations.length("customRoleArn", role, 20, 2048);
    }
    logins::check(&mut violations, input.logins.as_ref());
    violations.finish()?;
    let identity_id = input.identity_id.unwrap_or_default();
    let acting = acting::act_as(site, &identity_id, input.logins.as_ref()).await?;
    let identity_id = acting.identity.to_string();
    let given = access::give(
        &site.keys,
        &acting.pool.to_string(),
        &identity_id,
        !acting.record.logins.is_empty(),
        site.now().get(),
    );
    Ok(wire::GetCredentialsForIdentityOutput {
        identity_id,
        credentials: wire::Credentials {
            access_key_id: given.access_key_id,
            secret_key: given.secret.expose().to_owned(),
            session_token: given.session_token,
            expiration: EpochSeconds::from_ms(given.expires_ms),
        },
    })
}
