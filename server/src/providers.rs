//! OpenID Connect providers: who they say that a token's bearer is.
//!
//! A provider's keys are kept and fetched anew when they are old or a token names one that is not
//! among them, at most once a minute, so that neither a forged token nor a provider that is down
//! makes the server ask for ever.

mod claims;
mod key_set;

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, Header};
use tokio::sync::Semaphore;

use crate::config::OpenIdConfig;
use crate::error::{ApiError, Chain, ErrorKind};
use crate::outbound::{self, Bounds};

use key_set::KeySet;

/// How long keys are used without asking again.
const FRESH_MS: u64 = 3600 * 1000;
/// How long keys are used when the provider cannot be asked.
const USABLE_MS: u64 = 24 * FRESH_MS;
/// Time between two attempts to fetch.
const RETRY_MS: u64 = 60 * 1000;
/// Largest key set: a hundred keys of 2,048 bits with their certificates.
const SET_BYTES_MAX: usize = 512 << 10;
/// Longest time to fetch one; the caller waits for it.
const FETCH_TIME: Duration = Duration::from_secs(5);

/// All providers of the configuration.
#[derive(Debug, Default)]
pub struct Providers {
    by_name: BTreeMap<String, Provider>,
}

/// Who bears a token, as the provider says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The user's name at the provider.
    pub user: String,
    /// The apps that the token is for, of those that the configuration names.
    pub audience: Vec<String>,
}

#[derive(Debug)]
struct Provider {
    config: OpenIdConfig,
    known: Mutex<Known>,
    /// One fetch at a time.
    fetching: Semaphore,
}

#[derive(Debug, Default)]
struct Known {
    keys: Arc<KeySet>,
    fetched_ms: Option<u64>,
    tried_ms: Option<u64>,
}

impl Providers {
    /// Nothing fetched yet.
    #[must_use]
    pub fn new(config: &BTreeMap<String, OpenIdConfig>) -> Self {
        let provider = |config: &OpenIdConfig| Provider {
            config: config.clone(),
            known: Mutex::default(),
            fetching: Semaphore::new(1),
        };
        let by_name = config
            .iter()
            .map(|(name, config)| (name.clone(), provider(config)))
            .collect();
        Self { by_name }
    }

    /// Whether the configuration has a provider.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// Whom a provider's token names, if its signature, issuer, audience and time are right.
    ///
    /// # Errors
    /// `NotAuthorizedException` that says what is wrong; `ExternalServiceException` if the
    /// provider's keys cannot be had.
    pub async fn verify(&self, name: &str, token: &str, now_ms: u64) -> Result<Subject, ApiError> {
        let provider = self.by_name.get(name).ok_or_else(unsupported)?;
        let header = jsonwebtoken::decode_header(token).map_err(|_| claims::no_token())?;
        if !key_set::ALGORITHMS.contains(&header.alg) {
            return Err(claims::no_token());
        }
        let claims = claims::unverified(token)?;
        // What cannot be right whoever signed it is not worth asking the provider.
        claims.check(&provider.config, now_ms)?;
        let key = provider.key(name, &header, now_ms).await?;
        claims::verified(token, &key, header.alg)?.check(&provider.config, now_ms)
    }
}

/// The answer to a provider that the configuration or the pool does not name.
#[must_use]
pub fn unsupported() -> ApiError {
    ApiError::not_authorized("Token is not from a supported provider of this identity pool.")
}

impl Provider {
    async fn key(&self, name: &str, header: &Header, now_ms: u64) -> Result<Jwk, ApiError> {
        let (kid, algorithm) = (header.kid.as_deref(), header.alg);
        if let Some(key) = self.known(kid, algorithm, now_ms, FRESH_MS) {
            return Ok(key);
        }
        self.refresh(name, kid, algorithm, now_ms).await;
        match self.known(kid, algorithm, now_ms, USABLE_MS) {
            Some(key) => Ok(key),
            None if self.is_usable(now_ms) => Err(claims::no_signature()),
            None => Err(ApiError::new(
                ErrorKind::ExternalService,
                format!("The keys of '{name}' cannot be had at the moment; try again."),
            )),
        }
    }

    fn known(
        &self,
        kid: Option<&str>,
        algorithm: Algorithm,
        now_ms: u64,
        age_ms: u64,
    ) -> Option<Jwk> {
        let known = self.lock();
        let fetched_ms = known.fetched_ms?;
        if now_ms.saturating_sub(fetched_ms) >= age_ms {
            return None;
        }
        known.keys.find(kid, algorithm).cloned()
    }

    /// Whether there are keys that may be used at all.
    fn is_usable(&self, now_ms: u64) -> bool {
        let fetched_ms = self.lock().fetched_ms;
        fetched_ms.is_some_and(|at| now_ms.saturating_sub(at) < USABLE_MS)
    }

    /// Fetches the keys unless that was tried within the last minute.
    async fn refresh(&self, name: &str, kid: Option<&str>, algorithm: Algorithm, now_ms: u64) {
        let _one = self.fetching.acquire().await;
        // Whoever waited finds what the one before fetched.
        if self.known(kid, algorithm, now_ms, FRESH_MS).is_some() || !self.may_try(now_ms) {
            return;
        }
        match self.fetch().await {
            Ok(set) => {
                let mut known = self.lock();
                known.keys = Arc::new(set);
                known.fetched_ms = Some(now_ms);
            }
            Err(error) => tracing::warn!("fetching the keys of {name:?}: {}", Chain(&*error)),
        }
    }

    /// Whether it is time for an attempt, which then counts as made.
    fn may_try(&self, now_ms: u64) -> bool {
        let mut known = self.lock();
        let tried = |at: u64| now_ms.saturating_sub(at) < RETRY_MS;
        if known.tried_ms.is_some_and(tried) {
            return false;
        }
        known.tried_ms = Some(now_ms);
        true
    }

    async fn fetch(&self) -> Result<KeySet, Box<dyn std::error::Error + Send + Sync>> {
        let bytes = match (&self.config.jwks_url, &self.config.jwks_file) {
            (Some(url), _) => {
                let bounds = Bounds {
                    bytes_max: SET_BYTES_MAX,
                    timeout: FETCH_TIME,
                };
                outbound::get(url, bounds).await?.to_vec()
            }
            (None, Some(path)) => {
                let path = path.clone();
                tokio::task::spawn_blocking(move || read(&path)).await??
            }
            (None, None) => return Err("no place of keys is configured".into()),
        };
        KeySet::parse(&bytes)
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path)?;
    file.take(SET_BYTES_MAX as u64 + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() > SET_BYTES_MAX {
        return Err(std::io::Error::other("the key set is too large"));
    }
    Ok(bytes)
}

#[cfg(test)]
pub(crate) mod tests;
