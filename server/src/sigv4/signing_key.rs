//! Signing keys: derived from a secret for one day, region and service, and kept for that day.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use hmac::Mac;

use super::authorization::Scope;
use super::{TERMINATOR, hmac};

/// Keys kept: 4,096 callers of one day in 1 MiB. Twice as many live for a moment, since a full
/// generation is kept until the next one is full.
const GENERATION_MAX: usize = 4096;

type Key = [u8; 32];

/// A bounded memory of derived keys.
///
/// Every derivation is kept, those for unknown keys and wrong signatures too: if only good ones
/// were, a quick answer would tell that a key exists.
pub struct SigningKeys {
    generations: Mutex<Generations>,
}

#[derive(Default)]
struct Generations {
    /// The latest day of a scope; keys of another day are not kept.
    date: String,
    young: HashMap<String, Key>,
    old: HashMap<String, Key>,
}

impl SigningKeys {
    /// Nothing derived yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            generations: Mutex::default(),
        }
    }

    pub(super) fn get(&self, secret: &str, scope: &Scope<'_>) -> Key {
        // A scope has neither line breaks nor unbounded parts: it came in one header.
        let name = [scope.text, secret].join("\n");
        // What is kept is whole whatever panicked beside it.
        let lock = || {
            self.generations
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        if let Some(key) = lock().get(&name) {
            return key;
        }
        let key = derive(secret, scope);
        lock().keep(name, key, scope.date);
        key
    }
}

impl Default for SigningKeys {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKeys")
    }
}

impl Generations {
    fn get(&mut self, name: &str) -> Option<Key> {
        if let Some(key) = self.young.get(name) {
            return Some(*key);
        }
        let (name, key) = self.old.remove_entry(name)?;
        self.insert(name, key);
        Some(key)
    }

    /// Dates are of one form, so their order is that of their letters. The signed time was
    /// checked, so nobody can push the day more than five minutes ahead.
    fn keep(&mut self, name: String, key: Key, date: &str) {
        if date > self.date.as_str() {
            *self = Self {
                date: date.to_owned(),
                ..Self::default()
            };
        }
        if date == self.date {
            self.insert(name, key);
        }
    }

    fn insert(&mut self, name: String, key: Key) {
        if self.young.len() >= GENERATION_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(name, key);
    }
}

pub(super) fn derive(secret: &str, scope: &Scope<'_>) -> Key {
    let step = |key: &[u8], text: &str| -> Key {
        let mut mac = hmac(key);
        mac.update(text.as_bytes());
        mac.finalize().into_bytes().into()
    };
    let day = step(format!("AWS4{secret}").as_bytes(), scope.date);
    let region = step(&day, scope.region);
    let service = step(&region, scope.service);
    step(&service, TERMINATOR)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope<'a>(text: &'a str) -> Scope<'a> {
        let parts: Vec<&str> = text.split('/').collect();
        Scope {
            text,
            date: parts[0],
            region: parts[1],
            service: parts[2],
        }
    }

    #[test]
    fn the_documented_example_comes_out() {
        let scope = scope("20150830/us-east-1/iam/aws4_request");
        let key = derive("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", &scope);
        let expected = "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9";
        assert_eq!(super::super::hex(&key), expected);
    }

    #[test]
    fn kept_keys_are_those_that_would_be_derived() {
        let keys = SigningKeys::new();
        let scopes = [
            "20150830/us-east-1/iam/aws4_request",
            "20150830/us-east-1/s3/aws4_request",
        ];
        for _ in 0..2 {
            for text in scopes {
                for secret in ["one", "two"] {
                    assert_eq!(keys.get(secret, &scope(text)), derive(secret, &scope(text)));
                }
            }
        }
        assert_eq!(keys.generations.lock().unwrap().young.len(), 4);
    }

    #[test]
    fn memory_is_bounded_and_ends_with_the_day() {
        let keys = SigningKeys::new();
        let today = scope("20150830/us-east-1/iam/aws4_request");
        for at in 0..3 * GENERATION_MAX {
            keys.get(&at.to_string(), &today);
            let generations = keys.generations.lock().unwrap();
            assert!(generations.young.len() <= GENERATION_MAX);
            assert!(generations.old.len() <= GENERATION_MAX);
        }
        keys.get("x", &scope("20150831/us-east-1/iam/aws4_request"));
        keys.get("late", &today);
        let generations = keys.generations.lock().unwrap();
        assert_eq!((generations.young.len(), generations.old.len()), (1, 0));
    }
}
