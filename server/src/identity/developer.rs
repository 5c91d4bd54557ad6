//! GetOpenIdTokenForDeveloperIdentity: the identity of a developer's user, and the proof of it.
//!
//! A user belongs to one identity. Named without one, the user's own is found or made; named with
//! one, a user that is new becomes a login of it.

use syncline_engine::{Error, Expected, Proposal, Refusal};

use super::birth::{self, put};
use super::open_id::{self, Claims, Tags, Use};
use super::{logins, no_identity, pool, required_id};
use crate::error::ApiError;
use crate::site::Site;
use crate::site::stored::{self, Id, IdentityRecord, Login, LoginRecord, PoolRecord};
use crate::wire::{Pairs, Violations, identity as wire};

/// How long a token is good unless asked otherwise: 15 minutes.
const SECONDS: i64 = 900;
/// Longest that may be asked for: a day.
const SECONDS_MAX: i64 = 86_400;
/// Longest name of a user, in characters.
const USER_CHARS_MAX: usize = 1024;
/// Most logins of an identity.
const LOGINS_MAX: usize = 20;
/// Most bytes of their names: all of them fit one metadata value.
const LOGIN_BYTES_MAX: usize = 48 << 10;
/// How often a change is decided anew when another one came first.
const TRIES: usize = 16;

/// Finds or makes the user's identity and gives a token that proves it.
pub(super) async fn get_open_id_token(
    site: &Site,
    input: wire::GetOpenIdTokenForDeveloperIdentityInput,
) -> Result<wire::OpenIdTokenOutput, ApiError> {
    check(&input)?;
    let logins = input.logins.unwrap_or_default();
    let pool_id = input.identity_pool_id.unwrap_or_default();
    let wanted = input.identity_id.as_deref();
    let (pool, identity, record) = resolve(site, &pool_id, &logins, wanted).await?;
    let issuer = site.config.public_url();
    let mut claims = Claims::new(issuer, site.realm(), &pool, &identity, &record.logins);
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

/// The user that the map of logins names: one of the pool's developer provider.
fn login(pool: &PoolRecord, logins: &Pairs) -> Result<Login, ApiError> {
    let own = |provider: &str| pool.developer_provider.as_deref() == Some(provider);
    if let Some((provider, _)) = logins.0.iter().find(|(provider, _)| !own(provider)) {
        return Err(logins::unsupported(pool, provider));
    }
    let Some((provider, user)) = logins.0.first() else {
        return Err(logins::no_match());
    };
    let mut violations = Violations::new();
    violations.length("logins", user, 1, USER_CHARS_MAX);
    violations.finish()?;
    Ok(Login {
        provider: provider.clone(),
        user: user.clone(),
    })
}

/// Decides on what is stored, and again when it changed before the decision was.
async fn resolve(
    site: &Site,
    pool_id: &str,
    logins: &Pairs,
    wanted: Option<&str>,
) -> Result<(Id, Id, IdentityRecord), ApiError> {
    for _ in 0..TRIES {
        let (pool, pool_record) = pool(site, pool_id).await?;
        let login = login(&pool_record, logins)?;
        let key = stored::login_key(pool.uuid, &login);
        let known: Option<(LoginRecord, _)> = site.load(key).await?;
        let tried = match (known, wanted) {
            (Some((known, _)), wanted) => {
                let uuid = uuid::Uuid::from_bytes(known.identity);
                let identity = Id {
                    region: pool.region.clone(),
                    uuid,
                };
                if wanted.is_some_and(|wanted| wanted != identity.to_string()) {
                    return Err(already_registered(&login));
                }
                Ok(identity)
            }
            (None, Some(wanted)) => link(site, &pool, wanted, login).await?,
            (None, None) => {
                let place = birth::reserve(site, &pool)?;
                let now_ms = site.now().get();
                birth::bear(&site.store, place, &pool, Some(login), now_ms).await
            }
        };
        match tried {
            Ok(identity) => {
                let key = stored::identity_key(pool.uuid, identity.uuid);
                // Gone again at once: decide anew.
                if let Some((record, _)) = site.load::<IdentityRecord>(key).await? {
                    return Ok((pool, identity, record));
                }
            }
            Err(Error::Refusal(Refusal::Unexpected { .. })) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(ApiError::too_many_requests(
        "Another request changes the same user; try again.",
    ))
}

/// Makes a new user a login of an identity that exists.
async fn link(
    site: &Site,
    pool: &Id,
    wanted: &str,
    login: Login,
) -> Result<Result<Id, Error>, ApiError> {
    let identity = Id::parse(wanted)
        .filter(|identity| identity.region == pool.region)
        .ok_or_else(|| no_identity(wanted))?;
    let key = stored::identity_key(pool.uuid, identity.uuid);
    let found: Option<(IdentityRecord, _)> = site.load(key.clone()).await?;
    let (mut record, version) = found.ok_or_else(|| no_identity(wanted))?;
    let login_key = stored::login_key(pool.uuid, &login);
    record.logins.push(login);
    record.modified_ms = site.now().get();
    let bytes: usize = record
        .logins
        .iter()
        .map(|login| login.provider.len() + login.user.len())
        .sum();
    if record.logins.len() > LOGINS_MAX || bytes > LOGIN_BYTES_MAX {
        return Err(ApiError::limit_exceeded(format!(
            "the logins of the identity would pass the limit of {LOGINS_MAX}, or of \
             {LOGIN_BYTES_MAX} bytes"
        )));
    }
    let owner = LoginRecord {
        identity: *identity.uuid.as_bytes(),
    };
    let proposal = Proposal {
        expect: vec![(stored::pool_key(pool), Expected::Something)],
        wishes: vec![
            put(key, &record, Expected::Version(version)),
            put(login_key, &owner, Expected::Nothing),
        ],
        ..Proposal::default()
    };
    Ok(site.store.commit(proposal).await.map(|_| identity))
}

fn already_registered(login: &Login) -> ApiError {
    ApiError::developer_user_already_registered(format!(
        "Developer user identifier '{}' is already registered with another identity.",
        login.user
    ))
}
