//! What a map of logins proves.

use super::Found;
use super::open_id::{self, Claims, OWN_PROVIDER};
use crate::access;
use crate::error::ApiError;
use crate::site::Site;
use crate::site::stored::PoolRecord;
use crate::wire::{Pairs, Violations};

/// Most logins of one call.
const LOGINS_MAX: usize = 10;
/// Longest name of a provider, in characters.
const PROVIDER_CHARS_MAX: usize = 128;
/// Longest token, in characters.
const TOKEN_CHARS_MAX: usize = 50_000;

/// Checks the form of a map of logins.
pub(super) fn check(violations: &mut Violations, logins: Option<&Pairs>) {
    let logins = logins.map_or(&[][..], |logins| &logins.0);
    if logins.len() > LOGINS_MAX {
        let rule = format!("Member must have length less than or equal to {LOGINS_MAX}");
        violations.add("logins", Some("{...}"), &rule);
    }
    for (provider, token) in logins {
        violations.length("logins", provider, 1, PROVIDER_CHARS_MAX);
        // A token is not shown, however malformed.
        if token.is_empty() || token.chars().nth(TOKEN_CHARS_MAX).is_some() {
            let rule = format!("Member must have length between 1 and {TOKEN_CHARS_MAX}");
            violations.add("logins", Some(provider), &rule);
        }
    }
}

/// The token of a developer's user among the logins; `None` if there are no logins at all.
///
/// # Errors
/// `NotAuthorizedException` for logins that prove nothing here.
pub(super) fn developer_token(
    site: &Site,
    pool: &PoolRecord,
    logins: Option<&Pairs>,
) -> Result<Option<Claims>, ApiError> {
    let mut claims = None;
    for (provider, token) in logins.map_or(&[][..], |logins| &logins.0) {
        if provider != OWN_PROVIDER {
            return Err(unsupported(pool, provider));
        }
        claims = Some(open_id::verify(&site.keys, token, site.now().get())?);
    }
    Ok(claims)
}

/// The identity as which the caller may act: a guest, or one whose login was proved.
///
/// Whoever proves nothing is not told whether the identity exists: the answers are alike.
///
/// # Errors
/// `NotAuthorizedException` unless the caller may act as this identity.
pub(super) fn prove(
    site: &Site,
    found: Option<Found>,
    identity: &str,
    logins: Option<&Pairs>,
) -> Result<Found, ApiError> {
    let nobody = PoolRecord::default();
    let pool_record = found.as_ref().map_or(&nobody, |found| &found.pool_record);
    let claims = developer_token(site, pool_record, logins)?;
    let Some(found) = found else {
        return Err(if claims.is_some() {
            no_match()
        } else {
            access::forbidden(identity)
        });
    };
    let known = &found.record.logins;
    match claims {
        None if !known.is_empty() => Err(access::forbidden(identity)),
        None if !found.pool_record.allow_guests => Err(no_guests()),
        None => Ok(found),
        Some(claims) => {
            let same = claims.sub == identity && claims.aud == found.pool.to_string();
            let proved = same && claims.proves(&found.pool, known);
            if proved { Ok(found) } else { Err(no_match()) }
        }
    }
}

/// The answer to a guest where there may be none.
pub(super) fn no_guests() -> ApiError {
    ApiError::not_authorized("Unauthenticated access is not supported for this identity pool.")
}

/// The answer to logins of somebody else.
pub(super) fn no_match() -> ApiError {
    ApiError::not_authorized(
        "Logins don't match. Please include at least one valid login for this identity or \
         identity pool.",
    )
}

/// The answer to a provider that the pool does not name, or that this version cannot ask.
pub(super) fn unsupported(pool: &PoolRecord, provider: &str) -> ApiError {
    let named = pool
        .login_providers
        .iter()
        .any(|(name, _)| name == provider)
        || pool
            .user_pools
            .iter()
            .any(|user_pool| user_pool.provider.as_deref() == Some(provider))
        || pool
            .open_id_connect
            .iter()
            .chain(&pool.saml)
            .any(|arn| arn.ends_with(provider));
    if named {
        return ApiError::not_implemented(format!(
            "Logins of '{provider}' are not implemented in this version"
        ));
    }
    ApiError::not_authorized("Token is not from a supported provider of this identity pool.")
}
