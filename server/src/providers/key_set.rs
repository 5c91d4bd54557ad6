//! A provider's keys, those of them that can verify a token here.

use std::error::Error;

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

/// What a token may be signed with.
pub(super) const ALGORITHMS: [Algorithm; 3] =
    [Algorithm::RS256, Algorithm::RS512, Algorithm::ES256];
/// Most keys of a set.
const KEYS_MAX: usize = 100;

/// The keys.
#[derive(Debug, Default)]
pub(super) struct KeySet {
    keys: Vec<Jwk>,
}

#[derive(Deserialize)]
struct Published {
    keys: Vec<Value>,
}

impl KeySet {
    /// Reads a published set. Keys of kinds that are not known here are passed over.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let published: Published = serde_json::from_slice(bytes)?;
        if published.keys.len() > KEYS_MAX {
            return Err(format!("more than {KEYS_MAX} keys").into());
        }
        let keys = published.keys.into_iter();
        let keys: Vec<Jwk> = keys
            .filter_map(|key| serde_json::from_value::<Jwk>(key).ok())
            .filter(|key| ALGORITHMS.iter().any(|algorithm| fits(key, *algorithm)))
            .filter(|key| DecodingKey::from_jwk(key).is_ok())
            .collect();
        if keys.is_empty() {
            return Err("no RSA or P-256 key for signatures".into());
        }
        Ok(Self { keys })
    }

    /// The key of an id; without one, the only key there is.
    pub(super) fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Option<&Jwk> {
        let mut fitting = self.keys.iter().filter(|key| fits(key, algorithm));
        let Some(kid) = kid else {
            let only = fitting.next()?;
            return fitting.next().is_none().then_some(only);
        };
        fitting.find(|key| key.common.key_id.as_deref() == Some(kid))
    }
}

/// Whether a key is for signatures by an algorithm.
fn fits(key: &Jwk, algorithm: Algorithm) -> bool {
    let for_signatures = matches!(
        key.common.public_key_use,
        None | Some(PublicKeyUse::Signature)
    );
    let named = key.common.key_algorithm;
    let same = named.is_none_or(|named| named == KeyAlgorithm::from(algorithm));
    let kind = match (&key.algorithm, algorithm) {
        (AlgorithmParameters::RSA(_), Algorithm::RS256 | Algorithm::RS512) => true,
        (AlgorithmParameters::EllipticCurve(key), Algorithm::ES256) => {
            key.curve == EllipticCurve::P256
        }
        _ => false,
    };
    for_signatures && same && kind
}
