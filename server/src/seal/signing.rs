//! The RSA key that signs OpenID tokens (RS512), and what the world needs to verify them.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{DecodingKey, EncodingKey};
use sha2::{Digest, Sha256};

/// An RSA-2048 key pair.
pub struct SigningKey {
    /// Names the key in tokens and in the published set: 16 hexadecimal digits of the hash of its
    /// modulus.
    pub id: String,
    /// Signs.
    pub encoding: EncodingKey,
    /// Verifies.
    pub decoding: DecodingKey,
    /// The modulus as key sets show it.
    pub modulus: String,
    /// The exponent as key sets show it.
    pub exponent: String,
    /// When its tokens are no longer believed.
    pub until_ms: u64,
    pkcs8: Vec<u8>,
}

impl SigningKey {
    /// Makes a new key; `None` if the system has no randomness to give.
    #[must_use]
    pub fn generate() -> Option<Self> {
        let pair = KeyPair::generate(KeySize::Rsa2048).ok()?;
        let der: Pkcs8V1Der<'static> = pair.as_der().ok()?;
        Self::from_pkcs8(der.as_ref())
    }

    /// Takes a key as it is stored; `None` if it is not an RSA key in PKCS #8 form.
    #[must_use]
    pub fn from_pkcs8(pkcs8: &[u8]) -> Option<Self> {
        let pair = KeyPair::from_pkcs8(pkcs8).ok()?;
        let modulus = pair
            .public_key()
            .modulus()
            .big_endian_without_leading_zero()
            .to_vec();
        let exponent = pair
            .public_key()
            .exponent()
            .big_endian_without_leading_zero()
            .to_vec();
        let digest = Sha256::digest(&modulus);
        Some(Self {
            id: digest[..8]
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect(),
            encoding: EncodingKey::from_rsa_der(inner_key(pkcs8)?),
            decoding: DecodingKey::from_rsa_raw_components(&modulus, &exponent),
            modulus: URL_SAFE_NO_PAD.encode(&modulus),
            exponent: URL_SAFE_NO_PAD.encode(&exponent),
            until_ms: u64::MAX,
            pkcs8: pkcs8.to_vec(),
        })
    }

    /// The form in which the key is stored.
    #[must_use]
    pub fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }
}

/// The `RSAPrivateKey` inside a PKCS #8 envelope, which is what the token library wants:
/// SEQUENCE { version INTEGER, algorithm SEQUENCE, key OCTET STRING }.
fn inner_key(pkcs8: &[u8]) -> Option<&[u8]> {
    let (envelope, _) = der_element(pkcs8, 0x30)?;
    let (_version, rest) = der_element(envelope, 0x02)?;
    let (_algorithm, rest) = der_element(rest, 0x30)?;
    Some(der_element(rest, 0x04)?.0)
}

/// The contents of a DER element with this tag, and what follows it.
fn der_element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    if found != tag {
        return None;
    }
    if first < 0x80 {
        return rest.split_at_checked(usize::from(first));
    }
    let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
    if length.len() > 2 {
        return None;
    }
    let length = length
        .iter()
        .fold(0, |sum, &byte| sum << 8 | usize::from(byte));
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_survives_its_stored_form() {
        let key = SigningKey::generate().unwrap();
        let again = SigningKey::from_pkcs8(key.pkcs8()).unwrap();
        assert_eq!(again.id, key.id);
        assert_eq!(again.modulus, key.modulus);
        assert_eq!(key.exponent, "AQAB");
        assert!(SigningKey::from_pkcs8(&key.pkcs8()[1..]).is_none());
        assert!(SigningKey::from_pkcs8(b"").is_none());
    }
}
