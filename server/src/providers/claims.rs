//! What a provider's token says, and whether that is for us and now.

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;

use super::Subject;
use crate::config::OpenIdConfig;
use crate::error::ApiError;

/// How much a provider's clock may be ahead of ours when it says that a token begins.
const AHEAD_SECONDS: u64 = 300;
/// Longest name of a user, in characters.
const USER_CHARS_MAX: usize = 1024;

/// The claims that matter here.
#[derive(Debug, Deserialize)]
pub(super) struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    exp: f64,
    nbf: Option<f64>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

/// What a token claims, whoever wrote it.
pub(super) fn unverified(token: &str) -> Result<Claims, ApiError> {
    jsonwebtoken::dangerous::insecure_decode_claims(token).map_err(|_| no_token())
}

/// What a token says that was signed with a key.
pub(super) fn verified(token: &str, key: &Jwk, algorithm: Algorithm) -> Result<Claims, ApiError> {
    let mut rules = Validation::new(algorithm);
    // The clock is ours, and the configuration names issuer and audience: all compared below.
    rules.validate_exp = false;
    rules.validate_aud = false;
    rules.required_spec_claims.clear();
    let key = DecodingKey::from_jwk(key).map_err(|_| no_signature())?;
    jsonwebtoken::decode(token, &key, &rules)
        .map(|token| token.claims)
        .map_err(|_| no_signature())
}

impl Claims {
    /// Who bears the token, if it is from the provider, for us, and now.
    pub(super) fn check(self, config: &OpenIdConfig, now_ms: u64) -> Result<Subject, ApiError> {
        if self.iss != config.issuer {
            return Err(invalid("Issuer doesn't match providerName"));
        }
        let mut audience = match self.aud {
            Audience::One(one) => vec![one],
            Audience::Many(many) => many,
        };
        audience.retain(|app| config.audience.contains(app));
        if audience.is_empty() {
            return Err(invalid("Incorrect token audience."));
        }
        let now = now_ms / 1000;
        #[expect(
            clippy::cast_precision_loss,
            reason = "seconds of our time are far below 2^52"
        )]
        let (now_f64, ahead) = (now as f64, (now + AHEAD_SECONDS) as f64);
        if self.exp <= now_f64 {
            return Err(invalid(&format!("Token expired: {now} >= {}", self.exp)));
        }
        if self.nbf.is_some_and(|begin| begin > ahead) {
            return Err(invalid("Token is not valid yet."));
        }
        if self.sub.is_empty() || self.sub.chars().nth(USER_CHARS_MAX).is_some() {
            return Err(no_token());
        }
        Ok(Subject {
            user: self.sub,
            audience,
        })
    }
}

fn invalid(why: &str) -> ApiError {
    ApiError::not_authorized(format!("Invalid login token. {why}"))
}

/// The answer to what is no token.
pub(super) fn no_token() -> ApiError {
    invalid("Not a valid OpenId Connect identity token.")
}

/// The answer to a token that no key of the provider signed.
pub(super) fn no_signature() -> ApiError {
    invalid("Couldn't verify signed token.")
}
