//! GetOpenIdTokenForDeveloperIdentity: the identity of a developer's user, and the proof of it.
//!
//! A user belongs to one identity. Named without one, the user's own is found or made; named with
//! one, a user that is new becomes a login of it.

use super::logins::{self, Proved};
use super::open_id::{self, Claims, Tags, Use};
use super::owner::{self, Ground, Named, Owner};
use super::{no_identity, pool, required_id};
use crate::error::ApiError;
use crate::site::Site;
use crate::site::stored::{Id, Login};
use crate::wire::{Pairs, Violations, identity as wire};

/// How long a token is good unless asked otherwise: 15 minutes.
const SECONDS: i64 = 900;
/// Longest that may be asked for: a day.
const SECONDS_MAX: i64 = 86_400;
/// Longest name of a user, in characters.
pub(super) const USER_CHARS_MAX: usize = 1024;

/// Finds or makes the user's identity and gives a token that proves it.
pub(super) async fn get_open_id_token(
    site: &Site,
    input: wire::GetOpenIdTokenForDeveloperIdentityInput,
) -> Result<wire::OpenIdTokenOutput, ApiError> {
    check(&input)?;
    let logins = input.logins.unwrap_or_default();
    let pool_id = input.identity_pool_id.unwrap_or_default();
    let wanted = input.identity_id.as_deref();
    let (pool, owner, proved) = resolve(site, &pool_id, logins, wanted).await?;
    let identity = owner.identity;
    let issuer = site.config.public_url();
    // Only what this call proved: a user who is unlinked later must not live on in a token that was
    // made for another one.
    let mut claims = Claims::new(issuer, site.realm(), &pool, &identity, &proved);
    claims.tags = Tags::new(input.principal_tags);
    let seconds = input.token_duration.unwrap_or(SECONDS).unsigned_abs();
    let token = open_id::sign(&site.keys, claims, Use::Login, site.now().get(), seconds)?;
    Ok(wire::OpenIdTokenOutput {
        identity_id: identity.to_string(),
        token,
    })
}

fn check(input: &wire::GetOpenIdTokenForDeveloperIdentityInput) -> Result<(), ApiError> {
    let mut violations = Violations::new();
    required_id(
        &mut violations,
        "identityPoolId",
        input.identity_pool_id.as_ref(),
    );
    violations.required("logins", input.logins.as_ref());
    logins::check(&mut violations, input.logins.as_ref());
    if let Some(identity) = &input.identity_id {
        violations.id("identityId", identity);
    }
    if let Some(seconds) = input.token_duration {
        violations.at_least("tokenDuration", seconds, 1);
        violations.at_most("tokenDuration", seconds, SECONDS_MAX);
    }
    let tags = input
        .principal_tags
        .as_ref()
        .map_or(&[][..], |tags| &tags.0);
    if tags.len() > 50 {
        let rule = "Member must have length less than or equal to 50";
        violations.add("principalTags", Some("{...}"), rule);
    }
    for (name, value) in tags {
        violations.length("principalTags", name, 1, 128);
        violations.length("principalTags", value, 1, 256);
    }
    violations.finish()
}

/// The identity of all users that the map of logins names, one of the developer's and those whom
/// tokens prove; and their logins.
async fn resolve(
    site: &Site,
    pool_id: &str,
    mut logins: Pairs,
    wanted: Option<&str>,
) -> Result<(Id, Owner, Vec<Login>), ApiError> {
    let (pool, record) = pool(site, pool_id).await?;
    let developer = record.developer_provider.as_deref();
    let own = |(provider, _): &(String, String)| Some(provider.as_str()) == developer;
    let own = logins.0.iter().position(own).map(|at| logins.0.remove(at));
    let tokens = logins::verify(site, Some(&logins)).await?;
    let (provider, user) = own.ok_or_else(logins::no_match)?;
    check_user(&user)?;
    let mut proved = match tokens {
        Some(tokens) => tokens.prove(site, &pool, &record).await?,
        None => Vec::new(),
    };
    proved.push(Proved {
        login: Login { provider, user },
        may_link: true,
    });
    let named = match wanted {
        Some(wanted) => Named::Vouched(Id::parse(wanted).ok_or_else(|| no_identity(wanted))?),
        None => Named::Nobody,
    };
    let ground = Ground {
        pool: &pool,
        developer,
    };
    let owner = owner::settle(site, ground, &proved, named).await?;
    let proved = proved.into_iter().map(|proved| proved.login);
    let owned = proved
        .filter(|login| owner.record.logins.contains(login))
        .collect();
    Ok((pool, owner, owned))
}

fn check_user(user: &str) -> Result<(), ApiError> {
    let mut violations = Violations::new();
    violations.length("logins", user, 1, USER_CHARS_MAX);
    violations.finish()
}
