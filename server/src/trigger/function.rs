//! One function, called over HTTP: plainly, or as AWS Lambda wants it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use percent_encoding::utf8_percent_encode;
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::breaker::{Attempt, Breaker};
use crate::config::{FunctionConfig, FunctionTarget, Secret};
use crate::error::Chain;
use crate::outbound::{Answer, Bounds, OutboundError, Peer, Post};
use crate::sigv4::{ENCODED, Signer};
use crate::webhook;

/// How long a function may take, as the service has it.
pub(super) const TIMEOUT: Duration = Duration::from_secs(5);

/// A function of the configuration.
#[derive(Debug)]
pub(super) struct Function {
    peer: Peer,
    call: Call,
    /// Calls that may be under way.
    free: Arc<Semaphore>,
    breaker: Arc<Breaker>,
    bounds: Bounds,
}

#[derive(Debug)]
enum Call {
    Http { secret: Option<Secret> },
    Lambda { path: String, signer: Signer },
}

/// Leave to call a function once. Dropped unused, it says nothing about the function.
#[derive(Debug)]
pub(super) struct Leave {
    /// To be told what came of the call.
    pub(super) attempt: Attempt,
    /// A place among the calls, until this is dropped.
    pub(super) free: OwnedSemaphorePermit,
}

/// Why there is no answer of a function.
#[derive(Debug, Error)]
pub(super) enum Failed {
    /// Too many calls under way, here or there.
    #[error("throttled")]
    Throttled,
    /// It is not asked at the moment, since the calls before failed.
    #[error("not asked, since it was down just now")]
    Down {
        /// Whether that showed as slowness.
        slow: bool,
    },
    /// No answer in time.
    #[error("no answer within {TIMEOUT:?}")]
    Slow,
    /// No answer.
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    /// An answer of another status than 200.
    #[error("answered with status {0}")]
    Status(u16),
    /// It ran and failed.
    #[error("failed")]
    Function,
    /// It answered what cannot be used.
    #[error("answered something unusable: {0}")]
    Output(String),
}

impl Failed {
    /// For the metrics.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Throttled => "throttled",
            Self::Down { .. } => "down",
            Self::Slow => "slow",
            Self::Unreachable(_) => "unreachable",
            Self::Status(_) | Self::Function => "failed",
            Self::Output(_) => "unusable",
        }
    }

    /// Whether an operator should look at the function.
    pub(super) fn is_trouble(&self) -> bool {
        self.is_down().is_some() || matches!(self, Self::Output(_))
    }

    /// Whether it tells that the function is down, and if so, whether by slowness. A function that
    /// refuses an update answers with some failure too, so only what proxies say of one that is
    /// gone counts.
    fn is_down(&self) -> Option<bool> {
        match self {
            Self::Slow => Some(true),
            Self::Unreachable(_) | Self::Status(502..=504) => Some(false),
            _ => None,
        }
    }
}

impl Function {
    pub(super) fn new(arn: &str, config: &FunctionConfig, reply_bytes_max: usize) -> Self {
        let (url, call) = match &config.target {
            FunctionTarget::Http { url, secret } => {
                let secret = secret.clone();
                (url, Call::Http { secret })
            }
            FunctionTarget::Lambda {
                endpoint_url,
                region,
                access_key_id,
                secret_access_key,
                function_name,
            } => {
                let name = function_name.as_deref().unwrap_or(arn);
                let name = utf8_percent_encode(name, ENCODED);
                let signer = Signer {
                    access_key_id: access_key_id.clone(),
                    secret: secret_access_key.clone(),
                    region: region.clone(),
                    service: "lambda",
                };
                let path = format!("/2015-03-31/functions/{name}/invocations");
                (endpoint_url, Call::Lambda { path, signer })
            }
        };
        Self {
            peer: Peer::new(url, config.concurrency)
                .expect("the configuration was checked when it was read"),
            call,
            free: Arc::new(Semaphore::new(config.concurrency)),
            breaker: Arc::default(),
            bounds: Bounds {
                bytes_max: reply_bytes_max,
                timeout: TIMEOUT,
            },
        }
    }

    /// Whether it is not asked at the moment.
    pub(super) fn is_down(&self) -> bool {
        self.breaker.is_open()
    }

    /// Leave for one call.
    pub(super) fn leave(&self) -> Result<Leave, Failed> {
        let free = Arc::clone(&self.free).try_acquire_owned();
        let free = free.map_err(|_| Failed::Throttled)?;
        let attempt = self.breaker.attempt(Instant::now());
        let attempt = attempt.map_err(|slow| Failed::Down { slow })?;
        Ok(Leave { attempt, free })
    }

    /// Sends what [`Function::post`] made and returns the answer, whatever is in it.
    pub(super) async fn call(&self, attempt: Attempt, post: Post) -> Result<Bytes, Failed> {
        let answer = self.exchange(post).await;
        match answer.as_ref().err().and_then(Failed::is_down) {
            Some(slow) => attempt.failed(slow, Instant::now()),
            None => attempt.answered(),
        }
        answer
    }

    async fn exchange(&self, post: Post) -> Result<Bytes, Failed> {
        let answer = match self.peer.post(post, self.bounds).await {
            Ok(answer) => answer,
            Err(OutboundError::Late(_)) => return Err(Failed::Slow),
            Err(error @ OutboundError::TooLarge(_)) => {
                return Err(Failed::Output(error.to_string()));
            }
            Err(error) => return Err(Failed::Unreachable(Chain(&error).to_string())),
        };
        match answer.status {
            200 if self.has_failed(&answer) => Err(Failed::Function),
            200 => Ok(answer.body),
            429 => Err(Failed::Throttled),
            status => Err(Failed::Status(status)),
        }
    }

    /// What is sent for an event, signed as of a time in seconds since 1970.
    pub(super) fn post(&self, event: Bytes, seconds: u64) -> Result<Post, Failed> {
        match &self.call {
            Call::Http { secret } => {
                let signed = |secret| webhook::signed_headers(secret, seconds, &event).to_vec();
                Ok(Post {
                    path: String::new(),
                    headers: secret.as_ref().map(signed).unwrap_or_default(),
                    body: event,
                })
            }
            Call::Lambda { path, signer } => {
                let mut headers = vec![
                    ("content-type", "application/json".to_owned()),
                    ("x-amz-invocation-type", "RequestResponse".to_owned()),
                ];
                let host = self.peer.authority();
                let signed = signer.sign(host, path, &headers, &event, seconds);
                headers.extend(signed.map_err(|error| Failed::Unreachable(error.to_string()))?);
                Ok(Post {
                    path: path.clone(),
                    headers,
                    body: event,
                })
            }
        }
    }

    /// Lambda answers 200 for functions that failed, too.
    fn has_failed(&self, answer: &Answer) -> bool {
        let is_lambda = matches!(self.call, Call::Lambda { .. });
        is_lambda && answer.header("x-amz-function-error").is_some()
    }
}
