//! Firebase Cloud Messaging (HTTP v1): a message for each device, with a token that a service
//! account is given for an hour.
//!
//! The file of the account is read whenever a token is fetched, so it may be replaced meanwhile.

use std::path::PathBuf;
use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::each::{Deliver, each};
use super::message::{Parcel, Verdict};
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

/// See the module.
pub(super) struct Fcm {
    shared: Arc<Shared>,
}

struct Shared {
    application: String,
    peer: Peer,
    account: PathBuf,
    /// Held while one is fetched, so that one is fetched for all.
    token: Mutex<Option<Token>>,
}

#[derive(Clone)]
struct Token {
    bearer: String,
    project: String,
    until: u64,
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
        let sent = async {
            let token = self.token(seconds).await?;
            self.post(parcel, &token).await
        };
        let (verdict, why) = match sent.await {
            Ok(answer) if answer.is_success() => return Verdict::Delivered,
            Ok(answer) => {
                if is_dead(&answer) {
                    return Verdict::Dead;
                }
                if answer.status == 401 {
                    *self.token.lock().await = None;
                }
                let why = format!("the answer has status {}", answer.status);
                (Verdict::of_status(answer.status), why)
            }
            Err(why) => (Verdict::Away, why),
        };
        tracing::warn!("pushing by {}: {why}", self.application);
        verdict
    }
}

impl Shared {
    async fn post(&self, parcel: &Parcel, token: &Token) -> Result<Answer, String> {
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
        let answer = self.peer.post(post, BOUNDS).await;
        answer.map_err(|error| Chain(&error).to_string())
    }

    /// A token that is good for a while.
    async fn token(&self, seconds: u64) -> Result<Token, String> {
        let mut known = self.token.lock().await;
        if let Some(token) = known.as_ref().filter(|token| seconds < token.until) {
            return Ok(token.clone());
        }
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
        let token = Token {
            bearer: bearer.to_owned(),
            project: account.project_id,
            until: seconds + life.saturating_sub(SPARE_SECONDS),
        };
        *known = Some(token.clone());
        Ok(token)
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

/// Whether an answer says that the token is of nobody any more, or was never one of this sender's.
fn is_dead(answer: &Answer) -> bool {
    let said: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let details = said["error"]["details"].as_array();
    let mut codes = details
        .into_iter()
        .flatten()
        .filter_map(|detail| detail["errorCode"].as_str());
    let message = said["error"]["message"].as_str().unwrap_or_default();
    let is_malformed = answer.status == 400 && message.contains("registration token");
    is_malformed || codes.any(|code| ["UNREGISTERED", "SENDER_ID_MISMATCH"].contains(&code))
}
