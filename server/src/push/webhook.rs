//! A service of the operator's that delivers: messages are posted in batches.

use std::collections::HashSet;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::message::{Fields, Parcel, Unanswered, Verdict};
use super::transport::BOUNDS;
use crate::config::Secret;
use crate::outbound::{Answer, Peer, Post};
use crate::webhook;

/// See the module.
pub(super) struct Webhook {
    pub(super) application: String,
    pub(super) peer: Peer,
    pub(super) secret: Option<Secret>,
}

/// What is posted.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Batch<'a> {
    application_arn: &'a str,
    messages: Vec<Sent<'a>>,
}

/// One message of it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Sent<'a> {
    #[serde(flatten)]
    fields: Fields<'a>,
    device_id: String,
    platform: &'static str,
    token: &'a str,
}

/// What may come back.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    /// Devices whose tokens are of nobody any more.
    #[serde(default)]
    dead_devices: HashSet<String>,
}

impl Webhook {
    /// What is refused is sent again in halves, until it is known which of them it is.
    pub(super) async fn send(&self, parcels: &[Parcel], seconds: u64) -> Vec<Verdict> {
        let mut verdicts = Vec::with_capacity(parcels.len());
        let mut unsent = vec![parcels];
        while let Some(parcels) = unsent.pop() {
            let told = self.send_together(parcels, seconds).await;
            match told.first() {
                Some(Verdict::Refused) if parcels.len() > 1 => {
                    let (first, second) = parcels.split_at(parcels.len() / 2);
                    unsent.extend([second, first]);
                }
                Some(away) if away.is_away() => {
                    let rest = unsent.iter().map(|parcels| parcels.len()).sum();
                    let away = *away;
                    verdicts.extend(told);
                    verdicts.extend(vec![away; rest]);
                    break;
                }
                _ => verdicts.extend(told),
            }
        }
        verdicts
    }

    async fn send_together(&self, parcels: &[Parcel], seconds: u64) -> Vec<Verdict> {
        let answer = match self.post(parcels, seconds).await {
            Ok(answer) if answer.is_success() => answer,
            Ok(answer) => {
                let why = format!("the answer has status {}", answer.status);
                return self.failed(parcels, Verdict::of_answer(&answer), &why);
            }
            Err(unanswered) => {
                return self.failed(parcels, unanswered.verdict, &unanswered.why);
            }
        };
        // A service that says nothing, or something else, has delivered all.
        let told: Told = serde_json::from_slice(&answer.body).unwrap_or_default();
        let verdict = |parcel: &Parcel| {
            let device = parcel.message.device.to_string();
            if told.dead_devices.contains(&device) {
                Verdict::Dead
            } else {
                Verdict::Delivered
            }
        };
        parcels.iter().map(verdict).collect()
    }

    async fn post(&self, parcels: &[Parcel], seconds: u64) -> Result<Answer, Unanswered> {
        let batch = Batch {
            application_arn: &self.application,
            messages: parcels.iter().map(sent).collect(),
        };
        let body = serde_json::to_vec(&batch);
        let body = body.map_err(|error| Unanswered {
            verdict: Verdict::Failed,
            why: error.to_string(),
        })?;
        let sign = |secret| webhook::signed_headers(secret, seconds, &body).to_vec();
        let post = Post {
            path: String::new(),
            headers: self.secret.as_ref().map(sign).unwrap_or_default(),
            body: Bytes::from(body),
        };
        Ok(self.peer.post(post, BOUNDS).await?)
    }

    fn failed(&self, parcels: &[Parcel], verdict: Verdict, why: &str) -> Vec<Verdict> {
        let (count, application) = (parcels.len(), &self.application);
        tracing::warn!("pushing {count} messages of {application}: {why}");
        vec![verdict; count]
    }
}

fn sent(parcel: &Parcel) -> Sent<'_> {
    Sent {
        fields: parcel.fields(),
        device_id: parcel.message.device.to_string(),
        platform: parcel.device.platform.name(),
        token: &parcel.device.token,
    }
}
