//! New keys in the place of old ones.

use std::path::Path;

use super::file::{self, Stored, StoredMaster, StoredSigning};
use super::{KeysError, SEALED_LIFE_MS, SIGNED_LIFE_MS};

/// Keys of a kind that may be believed at once: a change every hour for a day, and a few more.
const KEYS_MAX: usize = 32;

/// What changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotated {
    /// The key that seals from now on.
    pub sealing: u32,
    /// Older keys that are still believed for a while.
    pub kept: usize,
    /// Whether the secrets of developers' keys ended.
    pub developers_ended: bool,
}

/// Makes new keys for a data directory, which must be held by this process. What was sealed and
/// signed by the old ones is believed until it expires, unless they are revoked: then nothing of
/// theirs is believed any more, and the secrets of developers' keys, which whoever has the file
/// can compute, end with them.
///
/// # Errors
/// When the file cannot be read, written or understood, or holds too many keys.
pub fn rotate(directory: &Path, revoke: bool, now_ms: u64) -> Result<Rotated, KeysError> {
    let mut stored = file::read(directory)?.ok_or_else(|| KeysError::Missing {
        path: file::path(directory),
    })?;
    let sealing = next(stored.sealing.iter().map(|key| key.id));
    if revoke {
        let developer = next(stored.developer.iter().map(|key| key.id));
        stored.sealing.clear();
        stored.signing.clear();
        stored.developer = Some(StoredMaster::generate(developer));
    }
    retire(&mut stored, now_ms);
    if stored.sealing.len() >= KEYS_MAX || stored.signing.len() >= KEYS_MAX {
        return Err(KeysError::Content {
            path: file::path(directory),
            why: "holds 32 keys that are still believed: wait a day, or revoke them",
        });
    }
    let kept = stored.sealing.len() + stored.signing.len();
    stored.sealing.push(StoredMaster::generate(sealing));
    stored.signing.push(StoredSigning::generate()?);
    if stored.developer.is_none() {
        stored.developer = Some(StoredMaster::generate(1));
    }
    file::store(directory, &stored)?;
    Ok(Rotated {
        sealing,
        kept,
        developers_ended: revoke,
    })
}

/// An id that none of these has, nor had: ids only rise.
fn next(ids: impl Iterator<Item = u32>) -> u32 {
    ids.max().unwrap_or(0).wrapping_add(1)
}

/// Ends the time of the keys in use, and forgets those whose time is over.
fn retire(stored: &mut Stored, now_ms: u64) {
    for key in &mut stored.sealing {
        key.retired_ms.get_or_insert(now_ms);
    }
    for key in &mut stored.signing {
        key.retired_ms.get_or_insert(now_ms);
    }
    let good = |retired_ms: Option<u64>, life_ms: u64| {
        retired_ms.is_none_or(|retired_ms| now_ms < retired_ms.saturating_add(life_ms))
    };
    stored
        .sealing
        .retain(|key| good(key.retired_ms, SEALED_LIFE_MS));
    stored
        .signing
        .retain(|key| good(key.retired_ms, SIGNED_LIFE_MS));
}

#[cfg(test)]
mod tests {
    use super::super::{Keys, Purpose};
    use super::*;

    const NOW_MS: u64 = 1_700_000_000_000;

    #[test]
    fn old_keys_are_believed_for_a_while_and_then_forgotten() {
        let directory = tempfile::tempdir().unwrap();
        let first = Keys::obtain(directory.path()).unwrap();
        let text = first.seal(Purpose::Session, &[], b"body");
        let rotated = rotate(directory.path(), false, NOW_MS).unwrap();
        assert_eq!((rotated.sealing, rotated.kept), (2, 2));
        let keys = Keys::obtain(directory.path()).unwrap();
        let opened = keys.open(Purpose::Session, &[], &text).unwrap();
        assert_eq!(opened.until_ms, NOW_MS + SEALED_LIFE_MS);
        let newer = keys.seal(Purpose::Session, &[], b"body");
        let opened = keys.open(Purpose::Session, &[], &newer).unwrap();
        assert_eq!(opened.until_ms, u64::MAX);
        assert!(first.open(Purpose::Session, &[], &newer).is_none());
        assert_ne!(keys.signing().id, first.signing().id);
        assert_eq!(keys.signing_keys()[0].id, first.signing().id);
        assert_eq!(keys.signing_keys()[0].until_ms, NOW_MS + SIGNED_LIFE_MS);
        let secret = |keys: &Keys| keys.developer_secret(1, "AKIA", &[1; 16]);
        assert!(secret(&keys).is_some());
        assert_eq!(secret(&keys), secret(&first));
        // Two hours later the first sealing key is gone, but not its signing key.
        let rotated = rotate(directory.path(), false, NOW_MS + 2 * SEALED_LIFE_MS).unwrap();
        assert_eq!((rotated.sealing, rotated.kept), (3, 3));
        let keys = Keys::obtain(directory.path()).unwrap();
        assert!(keys.open(Purpose::Session, &[], &text).is_none());
        assert!(keys.open(Purpose::Session, &[], &newer).is_some());
    }

    #[test]
    fn what_is_revoked_is_not_believed() {
        let directory = tempfile::tempdir().unwrap();
        let first = Keys::obtain(directory.path()).unwrap();
        let text = first.seal(Purpose::Session, &[], b"body");
        let rotated = rotate(directory.path(), true, NOW_MS).unwrap();
        assert_eq!((rotated.sealing, rotated.kept), (2, 0));
        let keys = Keys::obtain(directory.path()).unwrap();
        assert!(keys.open(Purpose::Session, &[], &text).is_none());
        assert_eq!(keys.signing_keys().len(), 1);
        assert_ne!(keys.signing().id, first.signing().id);
        assert_eq!(keys.developer_secret(1, "AKIA", &[1; 16]), None);
        assert_eq!(keys.developer_master(), Some(2));
    }

    #[test]
    fn there_must_be_something_to_replace_and_an_end_to_it() {
        let directory = tempfile::tempdir().unwrap();
        assert!(rotate(directory.path(), false, NOW_MS).is_err());
        Keys::obtain(directory.path()).unwrap();
        let mut stored = file::read(directory.path()).unwrap().unwrap();
        stored.sealing = (1..).map(StoredMaster::generate).take(KEYS_MAX).collect();
        file::store(directory.path(), &stored).unwrap();
        let error = rotate(directory.path(), false, NOW_MS).unwrap_err();
        assert!(error.to_string().contains("32 keys"), "{error}");
        rotate(directory.path(), true, NOW_MS).unwrap();
    }
}
