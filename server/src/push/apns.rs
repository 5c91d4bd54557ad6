//! Apple's push service: a silent message for each device over one HTTP/2 connection, with a token
//! that the team's key signs.
//!
//! Apple wants a token used for 20 minutes at least and 60 at most. The file of the key is read
//! whenever one is made.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use percent_encoding::utf8_percent_encode;
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;
use uuid::Uuid;

use super::each::{Deliver, each};
use super::message::{Parcel, Unanswered, Verdict};
use super::proof;
use super::transport::BOUNDS;
use crate::config::ApnsConfig;
use crate::outbound::{Line, Post};
use crate::sigv4::ENCODED;

/// A token is used for so long.
const USED_SECONDS: u64 = 40 * 60;
/// And for so long at least, or Apple refuses the next one.
const USED_SECONDS_MIN: u64 = 20 * 60;
/// How long Apple keeps a message for a device that it cannot reach: whoever was not told in a
/// day has synchronized, or never will.
const KEPT_SECONDS: u64 = 24 * 60 * 60;
/// How far ahead of the clock the time of a token may be: further, and the clock was put back.
const AHEAD_SECONDS: u64 = 60;
/// No device token of Apple's is longer.
const DEVICE_TOKEN_BYTES_MAX: usize = 400;

/// See the module.
pub(super) struct Apns {
    shared: Arc<Shared>,
}

struct Shared {
    application: String,
    line: Line,
    sender: ApnsConfig,
    /// Held while one is made, so that one is made for all.
    token: Mutex<Option<Token>>,
    /// Whether Apple has ever taken a message: topic and environment are right then.
    accepted: AtomicBool,
}

#[derive(Clone)]
struct Token {
    bearer: String,
    made: u64,
}

/// What a refusal says.
#[derive(Default, Deserialize)]
struct Said {
    #[serde(skip)]
    status: u16,
    #[serde(default)]
    reason: String,
    /// Since when the token is of nobody, in milliseconds since 1970.
    timestamp: Option<u64>,
}

impl Apns {
    pub(super) fn new(application: &str, line: Line, sender: ApnsConfig) -> Self {
        Self {
            shared: Arc::new(Shared {
                application: application.to_owned(),
                line,
                sender,
                token: Mutex::default(),
                accepted: AtomicBool::new(false),
            }),
        }
    }

    /// A verdict for each message, in their order.
    pub(super) async fn send(&self, parcels: &[Parcel], seconds: u64) -> Vec<Verdict> {
        each(&self.shared, parcels, seconds).await
    }
}

impl Deliver for Shared {
    async fn deliver(&self, parcel: &Parcel, seconds: u64) -> Verdict {
        let (verdict, why) = match self.post_with_token(parcel, seconds).await {
            Ok(None) => {
                self.accepted.store(true, Ordering::Relaxed);
                return Verdict::Delivered;
            }
            Ok(Some(said)) => {
                let accepted = self.accepted.load(Ordering::Relaxed);
                let (status, reason) = (said.status, &said.reason);
                let why = format!("status {status}, {reason}{}", said.advice(accepted));
                (said.verdict(parcel, accepted), why)
            }
            Err(unanswered) => (unanswered.verdict, unanswered.why),
        };
        tracing::warn!("pushing by {}: {why}", self.application);
        verdict
    }
}

impl Shared {
    /// Posts, and does so again with a new token if this one has expired. A refusal, if there is
    /// one.
    async fn post_with_token(
        &self,
        parcel: &Parcel,
        seconds: u64,
    ) -> Result<Option<Said>, Unanswered> {
        let bytes = parcel.device.token.len();
        if bytes > DEVICE_TOKEN_BYTES_MAX {
            return Err(Unanswered {
                verdict: Verdict::Dead,
                why: format!("no token of Apple's has {bytes} bytes: the device is dropped"),
            });
        }
        let token = self.token(seconds, None).await?;
        let refused = self.post(parcel, &token, seconds).await?;
        let is_expired = |said: &Said| said.reason == "ExpiredProviderToken";
        if !refused.as_ref().is_some_and(is_expired) {
            return Ok(refused);
        }
        let token = self.token(seconds, Some(&token)).await?;
        self.post(parcel, &token, seconds).await
    }

    async fn post(
        &self,
        parcel: &Parcel,
        token: &Token,
        seconds: u64,
    ) -> Result<Option<Said>, Unanswered> {
        let device = utf8_percent_encode(&parcel.device.token, ENCODED);
        let until = seconds + KEPT_SECONDS;
        let post = Post {
            path: format!("/3/device/{device}"),
            headers: vec![
                ("authorization", format!("bearer {}", token.bearer)),
                ("apns-id", Uuid::new_v4().to_string()),
                ("apns-topic", self.sender.topic.clone()),
                ("apns-push-type", "background".to_owned()),
                ("apns-priority", "5".to_owned()),
                ("apns-expiration", until.to_string()),
                ("apns-collapse-id", collapse_id(parcel)),
            ],
            body: Bytes::from(parcel.for_apple().to_string()),
        };
        let answer = self.line.post(post, BOUNDS).await?;
        Ok((!answer.is_success()).then(|| Said {
            status: answer.status,
            ..serde_json::from_slice(&answer.body).unwrap_or_default()
        }))
    }

    /// A token that is good for a while, and another than the one that has expired.
    async fn token(&self, seconds: u64, expired: Option<&Token>) -> Result<Token, Unanswered> {
        let mut known = self.token.lock().await;
        if let Some(token) = known.as_ref() {
            // The clock was put back: for Apple, too, the token is of a time to come.
            let is_ahead = token.made > seconds + AHEAD_SECONDS;
            let age = seconds.saturating_sub(token.made);
            let is_expired = expired.is_some_and(|expired| expired.bearer == token.bearer);
            if !is_expired && !is_ahead && age < USED_SECONDS {
                return Ok(token.clone());
            }
            if !is_ahead && age < USED_SECONDS_MIN {
                return Err(Unanswered::away(format!(
                    "ExpiredProviderToken, though the token was made {age} seconds ago: \
                     is the clock of this machine right?"
                )));
            }
        }
        let token = Token {
            bearer: self.bearer(seconds).await.map_err(Unanswered::away)?,
            made: seconds,
        };
        *known = Some(token.clone());
        Ok(token)
    }

    async fn bearer(&self, seconds: u64) -> Result<String, String> {
        let path = self.sender.key_file.clone();
        let read = tokio::task::spawn_blocking(move || std::fs::read_to_string(path)).await;
        let place = self.sender.key_file.display();
        let text = read
            .map_err(|error| error.to_string())?
            .map_err(|error| format!("cannot read {place}: {error}"))?;
        // Why it does not parse might tell of what is in it.
        let unusable = || format!("{place} is no key of the kind that Apple gives out (.p8)");
        let pkcs8 = proof::pkcs8(&text).ok_or_else(unusable)?;
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8)
            .map_err(|_| unusable())?;
        let head = json!({ "alg": "ES256", "kid": self.sender.key_id });
        let claims = json!({ "iss": self.sender.team_id, "iat": seconds });
        let sign = |text: &[u8]| {
            let signature = pair.sign(&SystemRandom::new(), text).ok()?;
            Some(signature.as_ref().to_vec())
        };
        proof::signed(&head, &claims, sign).ok_or_else(unusable)
    }
}

impl Said {
    /// What becomes of the message. `accepted`: whether Apple has ever taken one.
    fn verdict(&self, parcel: &Parcel, accepted: bool) -> Verdict {
        match (self.status, self.reason.as_str()) {
            // It registered again since then, and Apple does not know yet. The next message may
            // arrive; this one would be answered in the same way for long.
            (410, _)
                if self
                    .timestamp
                    .is_some_and(|at| at < parcel.device.registered_ms) =>
            {
                Verdict::Refused
            }
            (410, _) => Verdict::Dead,
            (400, "BadDeviceToken" | "DeviceTokenNotForTopic") if accepted => Verdict::Dead,
            // Maybe of the device, and maybe of all: with the wrong topic or environment it would
            // be the end of every device.
            (400, "BadDeviceToken" | "DeviceTokenNotForTopic") => Verdict::Away,
            // Wrong for all, until the configuration is put right.
            (400, "BadTopic" | "MissingTopic" | "TopicDisallowed") => Verdict::Away,
            // Of one device, whose turn comes later.
            (429, "TooManyRequests") => Verdict::Failed,
            _ => Verdict::of_status(self.status),
        }
    }

    /// What is to be done about it, if it is up to the operator.
    fn advice(&self, accepted: bool) -> &'static str {
        match self.reason.as_str() {
            "InvalidProviderToken" => {
                ": key_file, key_id and team_id do not belong together, or the clock of this \
                 machine is wrong"
            }
            "BadEnvironmentKeyInToken" | "BadEnvironmentKeyIdInToken" => {
                ": the key is for the other of production and sandbox"
            }
            "BadTopic" | "TopicDisallowed" | "UnrelatedKeyIdInToken" => {
                ": the topic is not one that the key may send to"
            }
            "BadDeviceToken" | "DeviceTokenNotForTopic" if accepted => ": the device is dropped",
            "BadDeviceToken" => {
                ": Apple has not taken any message since the start, so the device is kept: is the \
                 application of the other of production and sandbox?"
            }
            "DeviceTokenNotForTopic" => {
                ": Apple has not taken any message since the start, so the device is kept: is the \
                 topic another app's?"
            }
            _ => "",
        }
    }
}

/// What a device has only the last message of: a name for the dataset, within Apple's 64 bytes.
fn collapse_id(parcel: &Parcel) -> String {
    let dataset = &parcel.message.dataset;
    let mut hash = Sha256::new();
    // No name has a zero byte in it.
    for part in [
        dataset.pool.as_str(),
        "\0",
        dataset.identity.as_str(),
        "\0",
        dataset.name.as_str(),
    ] {
        hash.update(part);
    }
    URL_SAFE_NO_PAD.encode(hash.finalize())
}

#[cfg(test)]
mod tests;
