//! The keys that seal: every token that this server gives out and later believes is bound to them.
//!
//! They live in the file `keys` of the data directory, so tokens survive a restart. A sealed text
//! is `base64url(version, key id, body, HMAC-SHA256)`: authentic, not secret. What the body means
//! is known to the one who sealed it; each [`Purpose`] has a key of its own, derived from the
//! master secret, so that a token of one kind is never taken for another.

mod file;
mod rotation;
mod signing;

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::config::Secret;

pub use file::{FILE as KEYS_FILE, KeysError, verify};
pub use rotation::{Rotated, rotate};
pub use signing::SigningKey;

/// Version of the sealed form.
const VERSION: u8 = 1;
/// Version and key id.
const HEAD_BYTES: usize = 5;
/// An HMAC-SHA256.
const MAC_BYTES: usize = 32;
/// Longest sealed text that is looked at: a page token with a key of 4,096 bytes needs 5,700.
const TEXT_CHARS_MAX: usize = 8192;
/// Bytes of a temporary secret key before base64: 40 characters, the length that clients know.
const SECRET_BYTES: usize = 30;

/// How long after its retirement a key is believed under seals: as long as what it sealed may be
/// good, temporary credentials being the longest.
pub const SEALED_LIFE_MS: u64 = 3600 * 1000;
/// How long after its retirement the signature of a key is believed: a day, as long as a login
/// token may be good.
pub const SIGNED_LIFE_MS: u64 = 24 * 3600 * 1000;

/// What a sealed text is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The session token of temporary credentials.
    Credentials,
    /// The token of a sync session.
    Session,
    /// Where the next page of a listing begins.
    Page,
    /// The link to the records of a stream's event.
    StreamLink,
    /// Where a reader is in the built-in stream.
    StreamPlace,
}

impl Purpose {
    const ALL: [Self; 5] = [
        Self::Credentials,
        Self::Session,
        Self::Page,
        Self::StreamLink,
        Self::StreamPlace,
    ];

    fn label(self) -> &'static [u8] {
        match self {
            Self::Credentials => b"syncline 1 credentials",
            Self::Session => b"syncline 1 sync session",
            Self::Page => b"syncline 1 page",
            Self::StreamLink => b"syncline 1 stream link",
            Self::StreamPlace => b"syncline 1 stream place",
        }
    }
}

/// All keys of the server: the newest of each kind is used, every one is believed.
pub struct Keys {
    sealing: Vec<SealingKey>,
    signing: Vec<SigningKey>,
    developers: Option<(u32, [u8; 32])>,
}

/// A master secret as it is stored.
#[derive(Clone)]
pub(crate) struct Master {
    pub(crate) id: u32,
    pub(crate) secret: [u8; 32],
    /// When it is no longer believed.
    pub(crate) until_ms: u64,
}

/// A master secret, taken apart. Each key has been hashed in already, which is half of a short
/// HMAC's work.
struct SealingKey {
    id: u32,
    until_ms: u64,
    purposes: [Hmac<Sha256>; Purpose::ALL.len()],
    secrets: Hmac<Sha256>,
}

/// What was found under a good seal.
#[derive(Debug, PartialEq, Eq)]
pub struct Opened {
    /// The body as it was sealed.
    pub body: Vec<u8>,
    /// When its key is no longer believed.
    pub until_ms: u64,
    key_id: u32,
}

impl Keys {
    /// The keys of a data directory, made at the first start. The directory must exist, and be
    /// held by this process.
    ///
    /// # Errors
    /// When the file cannot be read, written or understood.
    pub fn obtain(directory: &Path) -> Result<Self, KeysError> {
        file::obtain(directory)
    }

    /// Keys from their stored form, at least one of the first two kinds each.
    pub(crate) fn new(
        sealing: &[Master],
        signing: Vec<SigningKey>,
        developers: Option<&Master>,
    ) -> Self {
        assert!(
            !sealing.is_empty() && !signing.is_empty(),
            "at least one key of each kind"
        );
        let label = b"syncline 1 developers' secret access keys";
        Self {
            sealing: sealing.iter().map(SealingKey::new).collect(),
            signing,
            developers: developers.map(|master| (master.id, derive(&master.secret, label))),
        }
    }

    /// Seals a body. `bound` is not carried, but the seal only opens for the same parts.
    #[must_use]
    pub fn seal(&self, purpose: Purpose, bound: &[&str], body: &[u8]) -> String {
        let key = self.newest();
        let mut bytes = Vec::with_capacity(HEAD_BYTES + body.len() + MAC_BYTES);
        bytes.push(VERSION);
        bytes.extend_from_slice(&key.id.to_le_bytes());
        bytes.extend_from_slice(body);
        let mac = key.mac(purpose, bound, &bytes).finalize().into_bytes();
        bytes.extend_from_slice(&mac);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Opens what [`Keys::seal`] made for the same purpose and parts; `None` for anything else.
    #[must_use]
    pub fn open(&self, purpose: Purpose, bound: &[&str], text: &str) -> Option<Opened> {
        if text.len() > TEXT_CHARS_MAX {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (sealed, mac) = bytes.split_at_checked(bytes.len().checked_sub(MAC_BYTES)?)?;
        let (head, body) = sealed.split_at_checked(HEAD_BYTES)?;
        if head[0] != VERSION {
            return None;
        }
        let key_id = u32::from_le_bytes(head[1..].try_into().ok()?);
        let key = self.sealing.iter().find(|key| key.id == key_id)?;
        // Compares in constant time.
        key.mac(purpose, bound, sealed).verify_slice(mac).ok()?;
        Some(Opened {
            body: body.to_vec(),
            until_ms: key.until_ms,
            key_id,
        })
    }

    /// The secret access key that belongs to a credentials body sealed by the newest key.
    #[must_use]
    pub fn secret_for_new(&self, body: &[u8]) -> Secret {
        self.newest().secret(body)
    }

    /// The secret access key that was given out with these credentials.
    #[must_use]
    pub fn secret_for(&self, opened: &Opened) -> Option<Secret> {
        let key = self.sealing.iter().find(|key| key.id == opened.key_id)?;
        Some(key.secret(&opened.body))
    }

    /// The master secret that new developers' keys follow from.
    #[must_use]
    pub fn developer_master(&self) -> Option<u32> {
        self.developers.map(|(id, _)| id)
    }

    /// The secret access key of a developer's key; `None` if its master secret is gone.
    #[must_use]
    pub fn developer_secret(&self, master: u32, key: &str, nonce: &[u8; 16]) -> Option<Secret> {
        let (_, secrets) = self.developers.filter(|(id, _)| *id == master)?;
        Some(access_secret(keyed(&secrets), &[nonce, key.as_bytes()]))
    }

    /// The key that signs OpenID tokens.
    #[must_use]
    pub fn signing(&self) -> &SigningKey {
        self.signing.last().expect("at least one, as `new` asserts")
    }

    /// Every key whose OpenID tokens are believed.
    #[must_use]
    pub fn signing_keys(&self) -> &[SigningKey] {
        &self.signing
    }

    fn newest(&self) -> &SealingKey {
        self.sealing.last().expect("at least one, as `new` asserts")
    }
}

impl SealingKey {
    fn new(master: &Master) -> Self {
        let secret = &master.secret;
        let purposes = Purpose::ALL.map(|purpose| keyed(&derive(secret, purpose.label())));
        Self {
            id: master.id,
            until_ms: master.until_ms,
            purposes,
            secrets: keyed(&derive(secret, b"syncline 1 secret access keys")),
        }
    }

    fn mac(&self, purpose: Purpose, bound: &[&str], sealed: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.purposes[purpose as usize].clone();
        // Lengths first, so that no two lists of parts read alike.
        for part in bound {
            mac.update(&(part.len() as u64).to_le_bytes());
            mac.update(part.as_bytes());
        }
        mac.update(&u64::MAX.to_le_bytes());
        mac.update(sealed);
        mac
    }

    fn secret(&self, body: &[u8]) -> Secret {
        access_secret(self.secrets.clone(), &[body])
    }
}

/// What follows from a key and these parts, in the form of a secret access key.
fn access_secret(mut mac: Hmac<Sha256>, parts: &[&[u8]]) -> Secret {
    parts.iter().for_each(|part| mac.update(part));
    Secret::new(STANDARD.encode(&mac.finalize().into_bytes()[..SECRET_BYTES]))
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("an HMAC takes keys of any length")
}

fn derive(master: &[u8], label: &[u8]) -> [u8; 32] {
    keyed(master)
        .chain_update(label)
        .finalize()
        .into_bytes()
        .into()
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::LazyLock;

    use super::*;

    /// The same keys for every test.
    pub(crate) fn keys() -> Keys {
        static PKCS8: LazyLock<Vec<u8>> =
            LazyLock::new(|| SigningKey::generate().unwrap().pkcs8().to_vec());
        keys_with(vec![SigningKey::from_pkcs8(&PKCS8).unwrap()])
    }

    /// Those with other keys that sign.
    pub(crate) fn keys_with(signing: Vec<SigningKey>) -> Keys {
        Keys::new(&[master(1, 7)], signing, Some(&master(1, 5)))
    }

    fn master(id: u32, byte: u8) -> Master {
        Master {
            id,
            secret: [byte; 32],
            until_ms: u64::MAX,
        }
    }

    #[test]
    fn a_seal_opens_for_its_purpose_and_parts_only() {
        let keys = keys();
        let text = keys.seal(Purpose::Session, &["pool", "identity"], b"body");
        let opened = keys
            .open(Purpose::Session, &["pool", "identity"], &text)
            .unwrap();
        assert_eq!(opened.body, b"body");
        assert!(
            keys.open(Purpose::Page, &["pool", "identity"], &text)
                .is_none()
        );
        assert!(
            keys.open(Purpose::Session, &["poolidentity"], &text)
                .is_none()
        );
        assert!(
            keys.open(Purpose::Session, &["pooli", "dentity"], &text)
                .is_none()
        );
        assert!(
            keys.open(Purpose::Session, &["pool", "identity", ""], &text)
                .is_none()
        );
    }

    #[test]
    fn what_was_given_out_by_an_older_version_still_opens() {
        let text = "AQEAAABib2R5bitcaUyXQcy3gdXnmYjcKcnPwxBGYrZmGYC32bbcV14";
        assert_eq!(keys().seal(Purpose::Session, &["pool"], b"body"), text);
        let secret = keys().secret_for_new(b"who");
        assert_eq!(secret.expose(), "2n6XA0CkoiDs+nSevYIHm8STSn/gkqPucoWdFj8B");
        let secret = keys().developer_secret(1, "AKIAAAAABBBBCCCCDDDD", &[3; 16]);
        assert_eq!(
            secret.unwrap().expose(),
            "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"
        );
    }

    #[test]
    fn every_changed_character_breaks_the_seal() {
        let keys = keys();
        let text = keys.seal(Purpose::Session, &[], b"body");
        for position in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[position] = if changed[position] == b'A' {
                b'B'
            } else {
                b'A'
            };
            let changed = String::from_utf8(changed).unwrap();
            assert!(
                keys.open(Purpose::Session, &[], &changed).is_none(),
                "at {position}"
            );
        }
        for length in 0..text.len() {
            assert!(keys.open(Purpose::Session, &[], &text[..length]).is_none());
        }
        assert!(
            keys.open(Purpose::Session, &[], "\u{fc}nd so weiter")
                .is_none()
        );
    }

    #[test]
    fn an_older_key_still_opens_and_a_foreign_one_does_not() {
        let old = keys();
        let text = old.seal(Purpose::Page, &[], b"here");
        let rotated = Keys::new(
            &[master(1, 7), master(2, 8)],
            vec![SigningKey::generate().unwrap()],
            None,
        );
        assert!(rotated.open(Purpose::Page, &[], &text).is_some());
        let newer = rotated.seal(Purpose::Page, &[], b"here");
        assert!(old.open(Purpose::Page, &[], &newer).is_none());
        let foreign = Keys::new(&[master(1, 9)], vec![SigningKey::generate().unwrap()], None);
        assert!(foreign.open(Purpose::Page, &[], &text).is_none());
    }

    #[test]
    fn the_secret_follows_the_body_and_its_key() {
        let keys = keys();
        let text = keys.seal(Purpose::Credentials, &[], b"who");
        let opened = keys.open(Purpose::Credentials, &[], &text).unwrap();
        let secret = keys.secret_for_new(b"who");
        assert_eq!(keys.secret_for(&opened), Some(secret.clone()));
        assert_eq!(secret.expose().len(), 40);
        assert_ne!(keys.secret_for_new(b"whom"), secret);
    }
}
