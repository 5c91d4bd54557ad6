//! OpenID tokens: RS512, signed by the server's own key.
//!
//! Two uses, told apart by a claim: a *login* token proves a developer's user to this server; a
//! *web identity* token is for others. Only the first is believed here, so that a token given out
//! for ten minutes cannot be exchanged for the next one for ever.

use jsonwebtoken::{Algorithm, Header, Validation};
use serde::{Deserialize, Serialize};

use crate::error::ApiError;
use crate::realm::Realm;
use crate::seal::Keys;
use crate::site::stored::{Id, Login};
use crate::wire::Pairs;

/// The provider name under which a login token comes back.
pub const OWN_PROVIDER: &str = "cognito-identity.amazonaws.com";
/// The first method of whoever proved a login.
const AUTHENTICATED: &str = "authenticated";
/// The only method of a guest.
const UNAUTHENTICATED: &str = "unauthenticated";

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The identity.
    pub sub: String,
    /// The pool.
    pub aud: String,
    /// How the identity was proved.
    pub amr: Vec<String>,
    /// This server.
    pub iss: String,
    /// The pool as a resource.
    #[serde(rename = "https://cognito-identity.amazonaws.com/identity-pool-arn")]
    pub pool_arn: String,
    /// Since when, in seconds since 1970.
    pub iat: u64,
    /// Until when.
    pub exp: u64,
    /// What the token is for.
    #[serde(rename = "syncline:use")]
    pub token_use: Use,
    /// What the developer wants said of the user.
    #[serde(
        rename = "https://aws.amazon.com/tags",
        skip_serializing_if = "Option::is_none"
    )]
    pub tags: Option<Tags>,
}

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Use {
    /// Proves a developer's user here.
    Login,
    /// Tells others who the identity is.
    WebIdentity,
}

/// Principal tags in the form that role sessions read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tags {
    principal_tags: std::collections::BTreeMap<String, Vec<String>>,
}

impl Tags {
    /// Tags as they came; `None` if there are none.
    pub fn new(pairs: Option<Pairs>) -> Option<Self> {
        let pairs = pairs.filter(|pairs| !pairs.0.is_empty())?;
        let tags = pairs.0.into_iter().map(|(name, value)| (name, vec![value]));
        Some(Self {
            principal_tags: tags.collect(),
        })
    }
}

impl Claims {
    /// What a token says of an identity that proved these logins; of a guest, none.
    pub fn new(
        issuer: String,
        realm: Realm<'_>,
        pool: &Id,
        identity: &Id,
        logins: &[Login],
    ) -> Self {
        let mut amr = Vec::with_capacity(1 + 2 * logins.len());
        amr.push(
            if logins.is_empty() {
                UNAUTHENTICATED
            } else {
                AUTHENTICATED
            }
            .to_owned(),
        );
        for login in logins {
            amr.push(login.provider.clone());
            amr.push(method(pool, login));
        }
        let Realm { account, .. } = realm;
        Self {
            sub: identity.to_string(),
            aud: pool.to_string(),
            amr,
            iss: issuer,
            pool_arn: format!(
                "arn:aws:cognito-identity:{}:{account}:identitypool/{pool}",
                pool.region
            ),
            iat: 0,
            exp: 0,
            token_use: Use::WebIdentity,
            tags: None,
        }
    }

    /// Whether the token proves one of these logins.
    pub fn proves(&self, pool: &Id, logins: &[Login]) -> bool {
        self.token_use == Use::Login && self.tells(pool, logins)
    }

    /// Whether the token is a guest's.
    pub fn is_guest(&self) -> bool {
        self.amr.iter().any(|amr| amr == UNAUTHENTICATED)
    }

    /// Whether the token tells of one of these logins, to whomever.
    pub fn tells(&self, pool: &Id, logins: &[Login]) -> bool {
        self.amr.iter().any(|amr| amr == AUTHENTICATED)
            && logins
                .iter()
                .any(|login| self.amr.contains(&method(pool, login)))
    }
}

/// How a login is written among the methods.
fn method(pool: &Id, login: &Login) -> String {
    format!("{}:{pool}:{}", login.provider, login.user)
}

/// Signs a token that is good from now for so many seconds.
///
/// # Errors
/// When the key cannot sign, which is our fault.
pub fn sign(
    keys: &Keys,
    mut claims: Claims,
    token_use: Use,
    now_ms: u64,
    seconds: u64,
) -> Result<String, ApiError> {
    claims.token_use = token_use;
    claims.iat = now_ms / 1000;
    claims.exp = claims.iat + seconds;
    let key = keys.signing();
    let header = Header {
        kid: Some(key.id.clone()),
        ..Header::new(Algorithm::RS512)
    };
    jsonwebtoken::encode(&header, &claims, &key.encoding)
        .map_err(|error| ApiError::fault("signing a token", &error))
}

/// What a token of this server says, if it is one and its time is not over.
///
/// The issuer is not compared: it follows the address of the server, which may change, and nobody
/// else has the key.
///
/// # Errors
/// `NotAuthorizedException` that says why it is not believed.
pub fn verify(keys: &Keys, token: &str, now_ms: u64) -> Result<Claims, ApiError> {
    let claims = read(keys, token, now_ms)?;
    let now = now_ms / 1000;
    if now >= claims.exp {
        return Err(ApiError::not_authorized(format!(
            "Invalid login token. Token expired: {now} >= {}",
            claims.exp
        )));
    }
    Ok(claims)
}

/// What a token of this server says, if it is one, whether or not its time is over.
///
/// # Errors
/// `NotAuthorizedException` that says why it is not believed.
pub fn read(keys: &Keys, token: &str, now_ms: u64) -> Result<Claims, ApiError> {
    let no_token = || {
        ApiError::not_authorized("Invalid login token. Not a valid OpenId Connect identity token.")
    };
    let header = jsonwebtoken::decode_header(token).map_err(|_| no_token())?;
    let key = keys
        .signing_keys()
        .iter()
        .find(|key| Some(&key.id) == header.kid.as_ref() && now_ms < key.until_ms);
    let key = key.ok_or_else(|| {
        ApiError::not_authorized("Invalid login token. Issuer doesn't match providerName")
    })?;
    let mut rules = Validation::new(Algorithm::RS512);
    // The clock is ours, so the time is compared elsewhere.
    rules.validate_exp = false;
    rules.validate_aud = false;
    rules.required_spec_claims.clear();
    let decoded = jsonwebtoken::decode::<Claims>(token, &key.decoding, &rules);
    Ok(decoded.map_err(|_| no_token())?.claims)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::SigningKey;
    use crate::seal::tests::keys;

    fn id(text: &str) -> Id {
        Id::parse(text).unwrap()
    }

    fn sample() -> (Id, Id, Login) {
        (
            id("us-east-1:11112222-3333-4444-8555-666677778888"),
            id("us-east-1:aaaabbbb-cccc-4ddd-8eee-ffff00001111"),
            Login {
                provider: "login.game".to_owned(),
                user: "ann".to_owned(),
            },
        )
    }

    fn claims(logins: &[Login]) -> Claims {
        let (pool, identity, _) = sample();
        let realm = Realm {
            region: "us-east-1",
            account: "000000000000",
        };
        Claims::new(
            "http://127.0.0.1:7070".to_owned(),
            realm,
            &pool,
            &identity,
            logins,
        )
    }

    #[test]
    fn a_token_says_what_the_services_own_says() {
        let keys = keys();
        let (pool, identity, login) = sample();
        let token = sign(&keys, claims(&[login]), Use::Login, 5_000_000, 900).unwrap();
        let header = jsonwebtoken::decode_header(&token).unwrap();
        assert_eq!(header.alg, Algorithm::RS512);
        let claims = verify(&keys, &token, 5_000_000).unwrap();
        assert_eq!(claims.sub, identity.to_string());
        assert_eq!(claims.aud, pool.to_string());
        assert_eq!(
            claims.amr,
            [
                "authenticated",
                "login.game",
                &format!("login.game:{pool}:ann")
            ]
        );
        assert_eq!((claims.iat, claims.exp), (5000, 5900));
        assert!(claims.pool_arn.ends_with(&format!("identitypool/{pool}")));
    }

    #[test]
    fn a_token_proves_its_login_and_only_as_a_login_token() {
        let keys = keys();
        let (pool, _, login) = sample();
        let other = Login {
            user: "bob".to_owned(),
            ..login.clone()
        };
        for (token_use, proves) in [(Use::Login, true), (Use::WebIdentity, false)] {
            let token = sign(
                &keys,
                claims(std::slice::from_ref(&login)),
                token_use,
                0,
                900,
            );
            let claims = verify(&keys, &token.unwrap(), 0).unwrap();
            assert_eq!(claims.proves(&pool, std::slice::from_ref(&login)), proves);
            assert!(!claims.proves(&pool, std::slice::from_ref(&other)));
            assert!(!claims.proves(&pool, &[]));
        }
        let guest = sign(&keys, claims(&[]), Use::Login, 0, 900).unwrap();
        let guest = verify(&keys, &guest, 0).unwrap();
        assert_eq!(guest.amr, ["unauthenticated"]);
        assert!(!guest.proves(&pool, &[login]));
    }

    #[test]
    fn what_is_not_ours_or_not_now_is_not_believed() {
        let ours = keys();
        let foreign = SigningKey::generate().unwrap();
        let foreign = crate::seal::tests::keys_with(vec![foreign]);
        let (_, _, login) = sample();
        let token = sign(&ours, claims(&[login]), Use::Login, 0, 900).unwrap();
        assert!(verify(&ours, &token, 899_999).is_ok());
        let late = verify(&ours, &token, 900_000).unwrap_err();
        assert_eq!(
            late.message,
            "Invalid login token. Token expired: 900 >= 900"
        );
        let message = verify(&foreign, &token, 0).unwrap_err().message;
        assert_eq!(
            message,
            "Invalid login token. Issuer doesn't match providerName"
        );
        let mut parts: Vec<&str> = token.split('.').collect();
        let body = parts[1].replace(&parts[1][10..14], "AAAA");
        parts[1] = &body;
        for bad in [
            parts.join("."),
            String::new(),
            "a.b.c".to_owned(),
            token[1..].to_owned(),
        ] {
            let error = verify(&ours, &bad, 0).unwrap_err();
            assert_eq!(error.kind.name(), "NotAuthorizedException");
        }
    }

    #[test]
    fn a_token_without_a_signature_is_not_believed() {
        use base64::Engine as _;
        let keys = keys();
        let (_, _, login) = sample();
        let token = sign(&keys, claims(&[login]), Use::Login, 0, 900).unwrap();
        let body = token.split('.').nth(1).unwrap();
        for algorithm in ["none", "HS256", "HS512", "RS256"] {
            let kid = &keys.signing().id;
            let header = format!(r#"{{"alg":"{algorithm}","typ":"JWT","kid":"{kid}"}}"#);
            let header = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(header);
            assert!(
                verify(&keys, &format!("{header}.{body}."), 0).is_err(),
                "{algorithm}"
            );
        }
    }
}
