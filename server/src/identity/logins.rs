//! What a map of logins proves.

use super::open_id::{self, Claims, OWN_PROVIDER};
use crate::error::{ApiError, ErrorKind};
use crate::providers::{self, Subject};
use crate::site::Site;
use crate::site::stored::{self, Id, IdentityRecord, Login, PoolRecord};
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

/// What the tokens of a call say, before the pool is known that they are shown to.
#[derive(Debug)]
pub(super) struct Tokens {
    own: Option<Claims>,
    subjects: Vec<(String, Subject)>,
}

/// A user whom the caller proved to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Proved {
    /// The user.
    pub(super) login: Login,
    /// Whether it may become a login of an identity. A token of this server tells of logins as they
    /// were when it was made: one that was taken away since is not given back by it.
    pub(super) may_link: bool,
}

/// Checks every token of a map of logins; `None` if there are no logins at all.
///
/// # Errors
/// `NotAuthorizedException` for a token that is not believed.
pub(super) async fn verify(
    site: &Site,
    logins: Option<&Pairs>,
) -> Result<Option<Tokens>, ApiError> {
    let logins = logins.map_or(&[][..], |logins| &logins.0);
    if logins.is_empty() {
        return Ok(None);
    }
    let now_ms = site.now().get();
    let (mut own, mut subjects) = (None, Vec::new());
    for (provider, token) in logins {
        if provider == OWN_PROVIDER {
            own = Some(open_id::verify(&site.keys, token, now_ms)?);
        } else {
            let subject = site.providers.verify(provider, token, now_ms).await?;
            subjects.push((provider.clone(), subject));
        }
    }
    Ok(Some(Tokens { own, subjects }))
}

impl Tokens {
    /// Which users the caller is, in the eyes of a pool.
    ///
    /// # Errors
    /// `NotAuthorizedException` for a provider that the pool does not trust, and for a token of
    /// this server that is for another pool or proves nothing any more.
    pub(super) async fn prove(
        self,
        site: &Site,
        pool: &Id,
        record: &PoolRecord,
    ) -> Result<Vec<Proved>, ApiError> {
        let mut proved = Vec::new();
        for (provider, subject) in self.subjects {
            if !trusts(record, &provider, &subject.audience) {
                return Err(providers::unsupported());
            }
            let user = subject.user;
            proved.push(Proved {
                login: Login { provider, user },
                may_link: true,
            });
        }
        let Some(claims) = self.own else {
            return Ok(proved);
        };
        let own = own_logins(site, pool, &claims).await?;
        if own.is_empty() {
            return Err(no_match());
        }
        proved.extend(own.into_iter().map(|login| Proved {
            login,
            may_link: false,
        }));
        Ok(proved)
    }
}

/// The logins that a token of this server proves: those that its identity still has.
async fn own_logins(site: &Site, pool: &Id, claims: &Claims) -> Result<Vec<Login>, ApiError> {
    let identity = Id::parse(&claims.sub).filter(|identity| identity.region == pool.region);
    let Some(identity) = identity.filter(|_| claims.aud == pool.to_string()) else {
        return Ok(Vec::new());
    };
    let key = stored::identity_key(pool.uuid, identity.uuid);
    let found: Option<(IdentityRecord, _)> = site.load(key).await?;
    let mut logins = found.map_or_else(Vec::new, |(record, _)| record.logins);
    logins.retain(|login| claims.proves(pool, std::slice::from_ref(login)));
    Ok(logins)
}

/// Whether a pool takes tokens of a provider that are for one of these apps.
fn trusts(pool: &PoolRecord, provider: &str, audience: &[String]) -> bool {
    if pool.developer_provider.as_deref() == Some(provider) {
        // Its users would be taken for the developer's.
        return false;
    }
    let is_for = |app: &str| audience.iter().any(|known| known == app);
    let public = pool
        .login_providers
        .iter()
        .any(|(name, apps)| name == provider && apps.split(';').any(is_for));
    let user_pool = pool.user_pools.iter().any(|user_pool| {
        let client = user_pool.client.as_deref();
        user_pool.provider.as_deref() == Some(provider) && client.is_none_or(is_for)
    });
    public || user_pool || names_arn(&pool.open_id_connect, ":oidc-provider/", provider)
}

/// Whether a pool names a provider of public users.
pub(super) fn names(pool: &PoolRecord, provider: &str) -> bool {
    let mut user_pools = pool.user_pools.iter();
    pool.login_providers
        .iter()
        .any(|(name, _)| name == provider)
        || user_pools.any(|user_pool| user_pool.provider.as_deref() == Some(provider))
        || names_arn(&pool.open_id_connect, ":oidc-provider/", provider)
        || names_arn(&pool.saml, ":saml-provider/", provider)
}

fn names_arn(arns: &[String], kind: &str, provider: &str) -> bool {
    arns.iter()
        .filter_map(|arn| arn.split_once(kind))
        .any(|(_, name)| name == provider)
}

/// Hides from someone who names an identity what the pool of that identity thinks of the logins.
pub(super) fn hide(error: ApiError) -> ApiError {
    match error.kind {
        ErrorKind::NotAuthorized => no_match(),
        _ => error,
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
