//! Firebase Cloud Messaging (HTTP v1): a message for each device, with a token that a service
//! account is given for an hour.
//!
//! The file of the account is read whenever a token is fetched, so it may be replaced meanwhile.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::each::{Deliver, each};
use super::message::{Parcel, Unanswered, Verdict};
use super::proof;
use super::transport::BOUNDS;
use crate::error::Chain;
use crate::outbound::{Answer, Peer, Post};

/// What a token is to be good for.
const SCOPE: &str = "https://www.googleapis.com/auth/firebase.messaging";
/// How long a token is asked for.
const TOKEN_SECONDS: u64 = 3600;
/// A token is not used any more so long before its end.
const SPARE_SECONDS: u64 = 60;
/// After none could be had, none is asked for so long: a batch of messages waits for the same one.
const PAUSE: Duration = Duration::from_millis(500);

/// Firebase's word for a token of another project's app.
const MISMATCH: &str = "SENDER_ID_MISMATCH";
/// And for a refusal that is not its own.
const THIRD_PARTY: &str = "THIRD_PARTY_AUTH_ERROR";

/// See the module.
pub(super) struct Fcm {
    shared: Arc<Shared>,
}

struct Shared {
    application: String,
    peer: Peer,
    account: PathBuf,
    /// Held while one is fetched, so that one is fetched for all.
    token: Mutex<Known>,
    pause: Duration,
    /// Whether Firebase has ever taken a message: the account is of the apps' project then.
    accepted: AtomicBool,
}

#[derive(Default)]
struct Known {
    token: Option<Token>,
    /// When none could be had last, and why, unless one could since.
    failed: Option<(Instant, String)>,
}

#[derive(Clone)]
struct Token {
    bearer: String,
    project: String,
    until: u64,
}

/// What a refusal says.
struct Said {
    code: String,
    /// Whether the token is no token at all.
    of_token: bool,
}

/// What is needed of a service account's file.
#[derive(Deserialize)]
struct Account {
    project_id: String,
    client_email: String,
    private_key: String,
    token_uri: String,
}

impl Fcm {
    pub(super) fn new(application: &str, peer: Peer, account: PathBuf) -> Self {
        Self {
            shared: Arc::new(Shared {
                application: application.to_owned(),
                peer,
                account,
                token: Mutex::default(),
                pause: PAUSE,
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
            Ok(answer) if answer.is_success() => {
                self.accepted.store(true, Ordering::Relaxed);
                return Verdict::Delivered;
            }
            Ok(answer) => {
                let accepted = self.accepted.load(Ordering::Relaxed);
                let (status, said) = (answer.status, Said::of(&answer));
                let why = format!("status {status}, {}{}", said.code, said.advice(accepted));
                (said.verdict(&answer, accepted), why)
            }
            Err(unanswered) => (unanswered.verdict, unanswered.why),
        };
        tracing::warn!("pushing by {}: {why}", self.application);
        verdict
    }
}

impl Shared {
    /// Posts; a bearer that is refused is used by nobody any more.
    async fn post_with_token(&self, parcel: &Parcel, seconds: u64) -> Result<Answer, Unanswered> {
        let token = self.token(seconds).await;
        let token = token.map_err(Unanswered::away)?;
        let answer = self.post(parcel, &token).await?;
        if answer.status == 401 && Said::of(&answer).code != THIRD_PARTY {
            self.forget(&token.bearer).await;
        }
        Ok(answer)
    }

    /// Another may be there already, which somebody else fetched.
    async fn forget(&self, refused: &str) {
        let mut known = self.token.lock().await;
        known.token.take_if(|known| known.bearer == refused);
    }

    async fn post(&self, parcel: &Parcel, token: &Token) -> Result<Answer, Unanswered> {
        let message = json!({
            "token": parcel.device.token,
            "data": parcel.fields(),
            "android": { "priority": "high" },
        });
        let post = Post {
            path: format!("/v1/projects/{}/messages:send", token.project),
            headers: vec![("authorization", format!("Bearer {}", token.bearer))],
            body: Bytes::from(json!({ "message": message }).to_string()),
        };
        Ok(self.peer.post(post, BOUNDS).await?)
    }

    /// A token that is good for a while: one, and one try, for all who ask meanwhile.
    async fn token(&self, seconds: u64) -> Result<Token, String> {
        let mut known = self.token.lock().await;
        let good = known.token.as_ref();
        if let Some(token) = good.filter(|token| seconds < token.until) {
            return Ok(token.clone());
        }
        if let Some((when, why)) = &known.failed
            && when.elapsed() < self.pause
        {
            return Err(why.clone());
        }
        let fetched = self.fetch(seconds).await;
        match &fetched {
            Ok(token) => {
                known.token = Some(token.clone());
                known.failed = None;
            }
            Err(why) => known.failed = Some((Instant::now(), why.clone())),
        }
        fetched
    }

    async fn fetch(&self, seconds: u64) -> Result<Token, String> {
        let account = self.account().await?;
        let grant = "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer";
        let assertion = account.assertion(seconds)?;
        let form = "application/x-www-form-urlencoded".to_owned();
        let post = Post {
            path: String::new(),
            headers: vec![("content-type", form)],
            body: Bytes::from(format!("grant_type={grant}&assertion={assertion}")),
        };
        let peer = Peer::new(&account.token_uri, 1).map_err(|error| error.to_string())?;
        let answer = peer.post(post, BOUNDS).await;
        let answer = answer.map_err(|error| Chain(&error).to_string())?;
        let said: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let Some(bearer) = said["access_token"].as_str() else {
            let status = answer.status;
            return Err(format!("no access token for the account, status {status}"));
        };
        let life = said["expires_in"].as_u64().unwrap_or(TOKEN_SECONDS);
        Ok(Token {
            bearer: bearer.to_owned(),
            project: account.project_id,
            until: seconds + life.saturating_sub(SPARE_SECONDS),
        })
    }

    async fn account(&self) -> Result<Account, String> {
        let path = self.account.clone();
        let read = tokio::task::spawn_blocking(move || std::fs::read(path)).await;
        let place = self.account.display();
        let bytes = read
            .map_err(|error| error.to_string())?
            .map_err(|error| format!("cannot read {place}: {error}"))?;
        // Why it does not parse might tell of what is in it.
        serde_json::from_slice(&bytes).map_err(|_| format!("{place} is no service account"))
    }
}

impl Account {
    /// What proves who asks: claims, signed with the account's key.
    fn assertion(&self, seconds: u64) -> Result<String, String> {
        let head = json!({ "alg": "RS256", "typ": "JWT" });
        let claims = json!({
            "iss": self.client_email,
            "scope": SCOPE,
            "aud": self.token_uri,
            "iat": seconds,
            "exp": seconds + TOKEN_SECONDS,
        });
        let unusable = || "the private key of the service account cannot be used".to_owned();
        let pkcs8 = proof::pkcs8(&self.private_key).ok_or_else(unusable)?;
        let pair = RsaKeyPair::from_pkcs8(&pkcs8).map_err(|_| unusable())?;
        let sign = |text: &[u8]| {
            let mut signature = vec![0; pair.public_modulus_len()];
            let random = SystemRandom::new();
            let signed = pair.sign(&RSA_PKCS1_SHA256, &random, text, &mut signature);
            signed.ok().map(|()| signature)
        };
        proof::signed(&head, &claims, sign).ok_or_else(unusable)
    }
}

impl Said {
    fn of(answer: &Answer) -> Self {
        let said: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let error = &said["error"];
        let details = error["details"].as_array().map_or(&[][..], Vec::as_slice);
        let code = details
            .iter()
            .find_map(|detail| detail["errorCode"].as_str());
        let code = code.or(error["status"].as_str()).unwrap_or("no code");
        let violations = details
            .iter()
            .filter_map(|detail| detail["fieldViolations"].as_array())
            .flatten();
        let mut fields = violations.filter_map(|violation| violation["field"].as_str());
        let message = error["message"].as_str().unwrap_or_default();
        Self {
            code: code.to_owned(),
            of_token: fields.any(|field| field == "message.token")
                || message.contains("registration token"),
        }
    }

    /// What becomes of the message. `accepted`: whether Firebase has ever taken one.
    fn verdict(&self, answer: &Answer, accepted: bool) -> Verdict {
        match (answer.status, self.code.as_str()) {
            (_, "UNREGISTERED") => Verdict::Dead,
            (400, _) if self.of_token => Verdict::Dead,
            (_, MISMATCH) if accepted => Verdict::Dead,
            // With the account of another project it would be the end of every device.
            (_, MISMATCH) => Verdict::Away,
            // Of one device, as far as can be seen: others need not wait for it.
            (429, _) => Verdict::of_one(answer),
            (_, THIRD_PARTY) => Verdict::Failed,
            _ => Verdict::of_answer(answer),
        }
    }

    /// What is to be done about it, if it is up to the operator.
    fn advice(&self, accepted: bool) -> &'static str {
        match self.code.as_str() {
            MISMATCH if accepted => ": the device is dropped",
            MISMATCH => {
                ": Firebase has not taken any message since the start, so the device is kept: is \
                 the service account of another project than the app?"
            }
            THIRD_PARTY => ": what Firebase knows of Apple or of web push for this app is wrong",
            "PERMISSION_DENIED" => ": the service account may not send messages",
            _ => "",
        }
    }
}

#[cfg(test)]
mod tests;
