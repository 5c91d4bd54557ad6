//! GetOpenIdToken: tells others who an identity is, for ten minutes.

use super::open_id::{self, Claims, Use};
use super::{acting, logins, required_id};
use crate::error::ApiError;
use crate::site::Site;
use crate::wire::{Violations, identity as wire};

/// How long such a token is good.
const SECONDS: u64 = 600;

/// Gives a token to a guest, or to the user whose token came.
pub(super) async fn get_open_id_token(
    site: &Site,
    input: wire::GetOpenIdTokenInput,
) -> Result<wire::OpenIdTokenOutput, ApiError> {
    let mut violations = Violations::new();
    required_id(&mut violations, "identityId", input.identity_id.as_ref());
    logins::check(&mut violations, input.logins.as_ref());
    violations.finish()?;
    let identity_id = input.identity_id.unwrap_or_default();
    let acting = acting::act_as(site, &identity_id, input.logins.as_ref()).await?;
    let issuer = site.config.public_url();
    let (identity, logins) = (&acting.identity, &acting.record.logins);
    let claims = Claims::new(issuer, site.realm(), &acting.pool, identity, logins);
    let token = open_id::sign(
        &site.keys,
        claims,
        Use::WebIdentity,
        site.now().get(),
        SECONDS,
    )?;
    Ok(wire::OpenIdTokenOutput {
        identity_id: identity.to_string(),
        token,
    })
}
