//! What the world needs to verify our tokens: the key set and where to find it.

use serde_json::{Value, json};

use crate::seal::Keys;
use crate::site::Site;

/// Where the key set is.
const JWKS_PATH: &str = "/.well-known/jwks.json";
/// Where the description of the issuer is.
const CONFIGURATION_PATH: &str = "/.well-known/openid-configuration";

/// The JSON at a well-known path; `None` for any other path.
#[must_use]
pub fn well_known(site: &Site, path: &str) -> Option<String> {
    match path {
        JWKS_PATH => Some(jwks(&site.keys, site.now().get()).to_string()),
        CONFIGURATION_PATH => Some(configuration(&site.config.public_url()).to_string()),
        _ => None,
    }
}

/// Every key whose tokens are believed now.
fn jwks(keys: &Keys, now_ms: u64) -> Value {
    let keys: Vec<_> = keys
        .signing_keys()
        .iter()
        .filter(|key| now_ms < key.until_ms)
        .map(|key| {
            json!({
                "kty": "RSA",
                "alg": "RS512",
                "use": "sig",
                "kid": key.id,
                "n": key.modulus,
                "e": key.exponent,
            })
        })
        .collect();
    json!({ "keys": keys })
}

fn configuration(issuer: &str) -> Value {
    json!({
        "issuer": issuer,
        "jwks_uri": format!("{issuer}{JWKS_PATH}"),
        "response_types_supported": ["token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS512"],
    })
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::jwk::JwkSet;

    use super::*;
    use crate::seal::tests::keys;

    #[test]
    fn the_key_set_verifies_what_the_key_signed() {
        let keys = keys();
        let set: JwkSet = serde_json::from_value(jwks(&keys, 0)).unwrap();
        let key = set.find(&keys.signing().id).unwrap();
        let claims = json!({ "sub": "me", "exp": 4_000_000_000_u64 });
        let header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::RS512);
        let token = jsonwebtoken::encode(&header, &claims, &keys.signing().encoding).unwrap();
        let key = jsonwebtoken::DecodingKey::from_jwk(key).unwrap();
        let rules = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::RS512);
        let found = jsonwebtoken::decode::<Value>(&token, &key, &rules).unwrap();
        assert_eq!(found.claims["sub"], "me");
    }

    #[test]
    fn the_issuer_names_its_keys() {
        let value = configuration("http://127.0.0.1:7070");
        assert_eq!(
            value["jwks_uri"],
            "http://127.0.0.1:7070/.well-known/jwks.json"
        );
    }
}
