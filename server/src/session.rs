//! Sync sessions: what a listing opens and the update after it closes.
//!
//! A session is known by its token alone; the server remembers only those that are [spent](Spent).
//! The token is sealed for one dataset of one identity, so it carries no names and is short
//! however long they are. It is not tied to a sync count: two sessions of one dataset may both
//! commit, since the compare of each record decides.

mod note;
mod spent;

use uuid::Uuid;

use crate::seal::{Keys, Purpose};

pub use note::{digest, note, session_of};
pub use spent::{Claim, Spent, Unclaimed};

/// How long a session can be used: 5 minutes, as the service's tokens show.
pub const LIFE_MS: u64 = 5 * 60 * 1000;
/// How many spent sessions are remembered unless a test wants fewer.
pub const SPENT_MAX: usize = 1_000_000;

/// The dataset that a session is for.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The pool.
    pub pool: &'a str,
    /// The identity.
    pub identity: &'a str,
    /// The dataset.
    pub dataset: &'a str,
}

impl<'a> Place<'a> {
    /// The names, to bind a seal to them.
    #[must_use]
    pub fn parts(&self) -> [&'a str; 3] {
        [self.pool, self.identity, self.dataset]
    }
}

/// A session, wherever its token came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Session {
    /// Its name among the spent ones.
    pub id: Uuid,
    /// When it can no longer be used, in milliseconds since 1970.
    pub expires_ms: u64,
}

impl Session {
    /// A new session, beginning now.
    #[must_use]
    pub fn begin(now_ms: u64) -> Self {
        Self {
            id: Uuid::new_v4(),
            expires_ms: now_ms + LIFE_MS,
        }
    }

    /// The token that proves this session for a dataset: 82 characters.
    #[must_use]
    pub fn token(&self, keys: &Keys, place: &Place<'_>) -> String {
        keys.seal(Purpose::Session, &place.parts(), &self.to_bytes())
    }

    /// The session of a token, if this server gave it out for this dataset and its time is not
    /// over.
    #[must_use]
    pub fn read(keys: &Keys, place: &Place<'_>, token: &str, now_ms: u64) -> Option<Self> {
        let opened = keys.open(Purpose::Session, &place.parts(), token)?;
        Self::from_bytes(&opened.body)
            .filter(|session| session.is_valid(now_ms) && now_ms < opened.until_ms)
    }

    /// Whether its time is not over.
    #[must_use]
    pub fn is_valid(&self, now_ms: u64) -> bool {
        now_ms < self.expires_ms
    }

    /// Id and expiry, 24 bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 24] {
        let mut bytes = [0; 24];
        bytes[..16].copy_from_slice(self.id.as_bytes());
        bytes[16..].copy_from_slice(&self.expires_ms.to_le_bytes());
        bytes
    }

    /// What [`Session::to_bytes`] gave.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (id, expires) = bytes.split_at_checked(16)?;
        Some(Self {
            id: Uuid::from_slice(id).ok()?,
            expires_ms: u64::from_le_bytes(expires.try_into().ok()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::tests::keys;

    const PLACE: Place<'_> = Place {
        pool: "r:1",
        identity: "r:2",
        dataset: "settings",
    };

    #[test]
    fn a_token_is_good_for_its_dataset_and_its_time() {
        let keys = keys();
        let session = Session::begin(1_000);
        let token = session.token(&keys, &PLACE);
        assert_eq!(Session::read(&keys, &PLACE, &token, 1_000), Some(session));
        assert_eq!(
            Session::read(&keys, &PLACE, &token, 1_000 + LIFE_MS - 1),
            Some(session)
        );
        assert_eq!(Session::read(&keys, &PLACE, &token, 1_000 + LIFE_MS), None);
        for other in [
            Place {
                pool: "r:3",
                ..PLACE
            },
            Place {
                identity: "r:3",
                ..PLACE
            },
            Place {
                dataset: "saves",
                ..PLACE
            },
        ] {
            assert_eq!(Session::read(&keys, &other, &token, 1_000), None);
        }
        assert_eq!(Session::read(&keys, &PLACE, "", 1_000), None);
        assert_eq!(Session::read(&keys, &PLACE, "no token", 1_000), None);
    }

    #[test]
    fn a_token_is_short_and_needs_no_encoding_however_long_the_names() {
        let keys = keys();
        let long = "n".repeat(1000);
        let place = Place {
            pool: &long,
            identity: &long,
            dataset: &long,
        };
        let token = Session::begin(u64::MAX / 2).token(&keys, &place);
        assert_eq!(token.len(), 82);
        assert!(
            token
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        );
    }
}
