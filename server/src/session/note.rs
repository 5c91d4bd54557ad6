//! The note that an update's commit keeps: its session, and what was asked.
//!
//! `1 byte version, 16 bytes session id, 16 bytes request digest`. From the notes of the last
//! minutes the spent sessions are known again after a restart; the digest tells a repeated request
//! from another one with the same session.

use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Version of the layout.
const VERSION: u8 = 1;
/// Bytes of a note.
const NOTE_BYTES: usize = 33;

/// The first half of the SHA-256 over the operation's name, a zero byte and the body as sent.
#[must_use]
pub fn digest(operation: &str, body: &[u8]) -> [u8; 16] {
    let hash = Sha256::new()
        .chain_update(operation)
        .chain_update([0])
        .chain_update(body);
    let mut half = [0; 16];
    half.copy_from_slice(&hash.finalize()[..16]);
    half
}

/// The note of a commit.
#[must_use]
pub fn note(session: Uuid, digest: [u8; 16]) -> [u8; NOTE_BYTES] {
    let mut bytes = [VERSION; NOTE_BYTES];
    bytes[1..17].copy_from_slice(session.as_bytes());
    bytes[17..].copy_from_slice(&digest);
    bytes
}

/// The session that a commit's note names; `None` for a note of another kind.
#[must_use]
pub fn session_of(note: &[u8]) -> Option<Uuid> {
    if note.len() != NOTE_BYTES || note[0] != VERSION {
        return None;
    }
    Uuid::from_slice(&note[1..17]).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_is_pinned() {
        let session = Uuid::from_bytes([0xab; 16]);
        let bytes = note(session, digest("UpdateRecords", b"{}"));
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hex,
            "01abababababababababababababababab".to_owned() + "8ce72d485eae55f9acdc291421921338"
        );
        assert_eq!(session_of(&bytes), Some(session));
        assert_eq!(session_of(&bytes[..32]), None);
        assert_eq!(session_of(&[2; NOTE_BYTES]), None);
        assert_eq!(session_of(b""), None);
    }

    #[test]
    fn another_body_or_operation_has_another_digest() {
        assert_ne!(
            digest("UpdateRecords", b"{}"),
            digest("UpdateRecords", b"{ }")
        );
        assert_ne!(digest("A", b"{}"), digest("B", b"{}"));
    }
}
