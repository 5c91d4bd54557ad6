//! Temporary credentials: given out, and recognised again without having been stored.
//!
//! The session token is a sealed text that names pool, identity, access key and expiry; the secret
//! key follows from the same body by a key of the server. Nothing secret is inside the token.

use std::sync::Arc;

use uuid::Uuid;

use super::{Caller, Developer, DeveloperKeys};
use crate::config::{RootKey, Secret};
use crate::error::ApiError;
use crate::seal::{Keys, Purpose, SEALED_LIFE_MS};

/// How long temporary credentials are good: one hour, as the service's.
pub const CREDENTIALS_LIFE_MS: u64 = 3600 * 1000;
const _: () = assert!(CREDENTIALS_LIFE_MS <= SEALED_LIFE_MS);
/// What the id of a temporary access key begins with.
const PREFIX: &str = "ASIA";
/// Random bytes of an access key id: 16 characters of five bits.
const KEY_BYTES: usize = 10;
/// Flags, expiry, access key, length of the pool id.
const HEAD_BYTES: usize = 1 + 8 + KEY_BYTES + 1;
/// Flag: a login was proved.
const AUTHENTICATED: u8 = 1;

/// Credentials as they are handed out.
#[derive(Debug)]
pub struct Temporary {
    /// `ASIA` and 16 of `[A-Z2-7]`.
    pub access_key_id: String,
    /// Signs.
    pub secret: Secret,
    /// Must come with every request.
    pub session_token: String,
    /// When they end.
    pub expires_ms: u64,
}

/// Makes credentials for an identity, good for an hour.
#[must_use]
pub fn give(
    keys: &Keys,
    pool: &str,
    identity: &str,
    authenticated: bool,
    now_ms: u64,
) -> Temporary {
    let expires_ms = now_ms + CREDENTIALS_LIFE_MS;
    let key = random_key();
    let body = Body {
        authenticated,
        expires_ms,
        key,
        pool,
        identity,
    }
    .to_bytes();
    Temporary {
        access_key_id: format!("{PREFIX}{}", base32(key)),
        secret: keys.secret_for_new(&body),
        session_token: keys.seal(Purpose::Credentials, &[], &body),
        expires_ms,
    }
}

/// What an access key id and a security token stand for, before the signature is checked.
#[derive(Debug)]
pub struct Resolved {
    /// What the request must be signed with. For a key that does not exist, something that nobody
    /// knows, so that the same work is done and the same answer given as for a wrong signature.
    pub secret: Secret,
    standing: Standing,
    /// When temporary credentials end.
    expires_ms: Option<u64>,
}

#[derive(Debug)]
enum Standing {
    Good(Caller),
    Expired,
    Unknown,
}

impl Resolved {
    /// When the credentials end, in milliseconds since 1970; `None` if they do not.
    #[must_use]
    pub fn expires_ms(&self) -> Option<u64> {
        self.expires_ms
    }

    /// The caller; to be asked only after the signature was found right.
    ///
    /// # Errors
    /// `ExpiredTokenException` if the time of the credentials is over.
    pub fn caller(self) -> Result<Caller, ApiError> {
        match self.standing {
            Standing::Good(caller) => Ok(caller),
            Standing::Expired => {
                let message = "The security token included in the request is expired";
                Err(ApiError::expired_token(message))
            }
            // Only someone who guessed 240 bits comes here.
            Standing::Unknown => Err(ApiError::invalid_signature("The signature is not valid.")),
        }
    }
}

/// Finds out what a request claims to be signed with.
#[must_use]
pub fn resolve(
    keys: &Keys,
    root: &RootKey,
    developers: &DeveloperKeys,
    access_key_id: &str,
    security_token: Option<&str>,
    now_ms: u64,
) -> Resolved {
    let stranger = keys.secret_for_new(access_key_id.as_bytes());
    let found = match security_token {
        None => developer(root, developers, access_key_id),
        Some(token) => temporary(keys, access_key_id, token, now_ms),
    };
    found.unwrap_or(Resolved {
        secret: stranger,
        standing: Standing::Unknown,
        expires_ms: None,
    })
}

fn developer(root: &RootKey, developers: &DeveloperKeys, access_key_id: &str) -> Option<Resolved> {
    let (secret, developer) = if same(access_key_id, &root.access_key_id) {
        let developer = Developer::unrestricted(access_key_id);
        (root.secret.clone(), Arc::new(developer))
    } else {
        developers.find(access_key_id)?
    };
    Some(Resolved {
        secret,
        standing: Standing::Good(Caller::Developer(developer)),
        expires_ms: None,
    })
}

fn temporary(keys: &Keys, access_key_id: &str, token: &str, now_ms: u64) -> Option<Resolved> {
    let opened = keys.open(Purpose::Credentials, &[], token)?;
    // Whatever it says: a key that was replaced long ago may be in other hands by now.
    if now_ms >= opened.until_ms {
        return None;
    }
    let body = Body::from_bytes(&opened.body)?;
    if access_key_id.strip_prefix(PREFIX)? != base32(body.key) {
        return None;
    }
    let standing = if now_ms < body.expires_ms {
        Standing::Good(Caller::Identity {
            pool: body.pool.to_owned(),
            identity: body.identity.to_owned(),
            authenticated: body.authenticated,
        })
    } else {
        Standing::Expired
    };
    Some(Resolved {
        secret: keys.secret_for(&opened)?,
        standing,
        expires_ms: Some(body.expires_ms),
    })
}

/// What is under the seal of a session token.
struct Body<'a> {
    authenticated: bool,
    expires_ms: u64,
    key: [u8; KEY_BYTES],
    pool: &'a str,
    identity: &'a str,
}

impl<'a> Body<'a> {
    fn to_bytes(&self) -> Vec<u8> {
        let pool_length = u8::try_from(self.pool.len()).expect("a pool id has at most 55 bytes");
        let mut bytes = vec![u8::from(self.authenticated) * AUTHENTICATED];
        bytes.extend_from_slice(&self.expires_ms.to_le_bytes());
        bytes.extend_from_slice(&self.key);
        bytes.push(pool_length);
        bytes.extend_from_slice(self.pool.as_bytes());
        bytes.extend_from_slice(self.identity.as_bytes());
        bytes
    }

    fn from_bytes(bytes: &'a [u8]) -> Option<Self> {
        let (head, names) = bytes.split_at_checked(HEAD_BYTES)?;
        let (pool, identity) = names.split_at_checked(usize::from(head[HEAD_BYTES - 1]))?;
        Some(Self {
            authenticated: head[0] & AUTHENTICATED != 0,
            expires_ms: u64::from_le_bytes(head[1..9].try_into().ok()?),
            key: head[9..9 + KEY_BYTES].try_into().ok()?,
            pool: std::str::from_utf8(pool).ok()?,
            identity: std::str::from_utf8(identity).ok()?,
        })
    }
}

/// Random bytes for an access key id.
pub(super) fn random_key() -> [u8; KEY_BYTES] {
    // Version and variant bits are at bytes 6 and 8; fold the other half over them.
    let random = Uuid::new_v4().into_bytes();
    let mut key = [0; KEY_BYTES];
    for (place, byte) in random.iter().enumerate() {
        key[place % KEY_BYTES] ^= byte;
    }
    key
}

pub(super) fn base32(bytes: [u8; KEY_BYTES]) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let bits = bytes
        .iter()
        .fold(0_u128, |bits, &byte| bits << 8 | u128::from(byte));
    let character = |place: usize| char::from(ALPHABET[(bits >> (5 * place) & 31) as usize]);
    (0..KEY_BYTES * 8 / 5).rev().map(character).collect()
}

/// Compares in a time that depends on the lengths only.
fn same(a: &str, b: &str) -> bool {
    a.len() == b.len()
        && a.bytes()
            .zip(b.bytes())
            .fold(0, |sum, (a, b)| sum | (a ^ b))
            == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::tests::keys;

    fn root() -> RootKey {
        RootKey {
            access_key_id: "AKIAROOT".to_owned(),
            secret: Secret::new("root-secret"),
            file: None,
        }
    }

    fn identity(authenticated: bool) -> Caller {
        Caller::Identity {
            pool: "r:1".to_owned(),
            identity: "r:22".to_owned(),
            authenticated,
        }
    }

    #[test]
    fn given_credentials_are_recognised_for_an_hour() {
        let (keys, root) = (keys(), root());
        for authenticated in [true, false] {
            let given = give(&keys, "r:1", "r:22", authenticated, 1000);
            assert_eq!(given.access_key_id.len(), 20);
            assert!(given.session_token.len() < 400);
            let ask = |now_ms| {
                resolve(
                    &keys,
                    &root,
                    &DeveloperKeys::default(),
                    &given.access_key_id,
                    Some(&given.session_token),
                    now_ms,
                )
            };
            let found = ask(1000 + CREDENTIALS_LIFE_MS - 1);
            assert_eq!(found.secret, given.secret);
            assert_eq!(found.caller().unwrap(), identity(authenticated));
            let late = ask(1000 + CREDENTIALS_LIFE_MS);
            assert_eq!(late.secret, given.secret, "the signature is checked first");
            assert_eq!(
                late.caller().unwrap_err().kind.name(),
                "ExpiredTokenException"
            );
        }
    }

    #[test]
    fn every_key_has_its_own_secret() {
        let keys = keys();
        let one = give(&keys, "r:1", "r:22", true, 1000);
        let two = give(&keys, "r:1", "r:22", true, 1000);
        assert_ne!(one.access_key_id, two.access_key_id);
        assert_ne!(one.secret, two.secret);
        let mixed = resolve(
            &keys,
            &root(),
            &DeveloperKeys::default(),
            &two.access_key_id,
            Some(&one.session_token),
            1000,
        );
        assert_ne!(mixed.secret, one.secret);
        assert_eq!(
            mixed.caller().unwrap_err().kind.name(),
            "InvalidSignatureException"
        );
    }

    #[test]
    fn the_root_key_is_the_developer_and_only_without_a_token() {
        let (keys, root) = (keys(), root());
        let none = DeveloperKeys::default();
        let found = resolve(&keys, &root, &none, "AKIAROOT", None, 0);
        assert_eq!(found.secret, root.secret);
        assert_eq!(found.caller().unwrap(), Caller::root("AKIAROOT"));
        let given = give(&keys, "r:1", "r:22", true, 0);
        let wrong = [
            ("AKIAROOT", Some(given.session_token.as_str())),
            ("AKIAROOT", Some("")),
            ("AKIAROO", None),
            ("AKIAROOS", None),
            ("", None),
            (&given.access_key_id, None),
            (&given.access_key_id[4..], Some(&given.session_token)),
        ];
        for (id, token) in wrong {
            let found = resolve(&keys, &root, &none, id, token, 0);
            assert_ne!(found.secret, root.secret);
            assert_ne!(found.secret, given.secret);
            assert!(found.caller().is_err());
        }
    }

    #[test]
    fn a_developers_key_is_who_it_is_and_only_without_a_token() {
        let (keys, root) = (keys(), root());
        let developer = Developer {
            pools: vec!["r:1".to_owned()],
            ..Developer::unrestricted("AKIAONE")
        };
        let mut developers = DeveloperKeys::default();
        developers.add(&keys, developer.clone(), 1, &[9; 16]);
        developers.add(&keys, Developer::unrestricted("AKIAGONE"), 2, &[9; 16]);
        let ask = |id, token| resolve(&keys, &root, &developers, id, token, 0);
        let found = ask("AKIAONE", None);
        assert_eq!(
            Some(found.secret.clone()),
            keys.developer_secret(1, "AKIAONE", &[9; 16])
        );
        assert_eq!(
            found.caller().unwrap(),
            Caller::Developer(Arc::new(developer))
        );
        for (id, token) in [("AKIAONE", Some("")), ("AKIAGONE", None), ("AKIATWO", None)] {
            let error = ask(id, token).caller().unwrap_err();
            assert_eq!(error.kind.name(), "InvalidSignatureException", "{id}");
        }
    }

    #[test]
    fn base32_is_the_usual_one() {
        assert_eq!(base32(*b"foobarfoob"), "MZXW6YTBOJTG633C");
    }
}
