//! Ids of requests: each unlike any other, without asking the system for random bytes.

use std::sync::atomic::{AtomicU64, Ordering};

use uuid::{Builder, Uuid};

/// Gives ids.
pub(super) struct RequestIds {
    /// Of this start of the server.
    random: [u8; 16],
    given: AtomicU64,
}

impl RequestIds {
    pub(super) fn new() -> Self {
        Self {
            random: Uuid::new_v4().into_bytes(),
            given: AtomicU64::new(0),
        }
    }

    /// One that was not given before: they differ in their last 48 bits.
    pub(super) fn next(&self) -> Uuid {
        let given = self.given.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let mut bytes = self.random;
        for (byte, counted) in bytes[10..].iter_mut().zip(&given[2..]) {
            *byte ^= counted;
        }
        Builder::from_random_bytes(bytes).into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_are_random_uuids_to_whoever_looks_and_differ() {
        let (one, other) = (RequestIds::new(), RequestIds::new());
        let ids: HashSet<_> = (0..70_000)
            .flat_map(|_| [one.next(), other.next()])
            .collect();
        assert_eq!(ids.len(), 140_000);
        assert!(ids.iter().all(|id| id.get_version_num() == 4));
    }
}
