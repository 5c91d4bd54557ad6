//! Developers' access keys: the root key and those made beside it, which may be held to some
//! pools, and to reading.
//!
//! Nothing secret is stored of them. A key's secret follows from its id and a random nonce by a
//! master secret of the server; it is computed once, at start.

use std::collections::HashMap;
use std::sync::Arc;

use crate::config::Secret;
use crate::seal::Keys;

use super::credentials;

/// What the id of a developer's key begins with.
const PREFIX: &str = "AKIA";
/// Keys beside the root key; all are in memory.
pub const KEYS_MAX: usize = 1000;

/// What a developer's key may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Developer {
    /// The access key id.
    pub key: String,
    /// The pools that it reaches; none named: all, and what is not of one pool.
    pub pools: Vec<String>,
    /// Whether it may only read.
    pub read_only: bool,
}

impl Developer {
    /// Whoever has the root key, or another one without restrictions.
    #[must_use]
    pub fn unrestricted(key: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            pools: Vec::new(),
            read_only: false,
        }
    }

    /// Whether it reaches a pool. What is not of one pool has an empty id.
    #[must_use]
    pub fn reaches(&self, pool: &str) -> bool {
        self.pools.is_empty() || self.pools.iter().any(|own| own == pool)
    }
}

/// A new access key id: `AKIA` and 16 of `[A-Z2-7]`.
#[must_use]
pub fn new_key_id() -> String {
    format!("{PREFIX}{}", credentials::base32(credentials::random_key()))
}

/// The developers' keys that are good, beside the root key.
#[derive(Debug, Default)]
pub struct DeveloperKeys {
    known: HashMap<String, (Secret, Arc<Developer>)>,
}

impl DeveloperKeys {
    /// Takes a key in. One whose master secret is gone has no secret any more and is passed over.
    pub fn add(&mut self, keys: &Keys, developer: Developer, master: u32, nonce: &[u8; 16]) {
        if let Some(secret) = keys.developer_secret(master, &developer.key, nonce) {
            let key = developer.key.clone();
            self.known.insert(key, (secret, Arc::new(developer)));
        }
    }

    pub(super) fn find(&self, key: &str) -> Option<(Secret, Arc<Developer>)> {
        self.known.get(key).cloned()
    }
}
