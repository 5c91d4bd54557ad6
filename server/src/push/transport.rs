//! How messages get to a service that delivers them.

use std::time::Duration;

use super::apns::Apns;
use super::fcm::Fcm;
use super::message::{Parcel, Verdict};
use super::sns::Sns;
use super::webhook::Webhook;
use crate::config::PushConfig;
use crate::outbound::{Bounds, Line, OutboundError, Peer};

/// What a request to a service may take.
pub(super) const BOUNDS: Bounds = Bounds {
    bytes_max: 256 << 10,
    timeout: Duration::from_secs(10),
};
/// Connections to one service: so many messages are on their way at once where each takes a
/// request of its own.
pub(super) const CONNECTIONS: usize = 16;

/// Requests at once over the one connection of a service that takes many on it.
const REQUESTS: usize = 100;

/// A service.
pub(super) enum Transport {
    Webhook(Webhook),
    Sns(Sns),
    Fcm(Fcm),
    Apns(Apns),
}

impl Transport {
    pub(super) fn new(application: &str, config: &PushConfig) -> Self {
        Self::try_new(application, config).expect("the configuration was checked when it was read")
    }

    fn try_new(application: &str, config: &PushConfig) -> Result<Self, OutboundError> {
        let url = config.url(application);
        let peer = || Peer::new(&url, CONNECTIONS);
        Ok(match config {
            PushConfig::Webhook { secret, .. } => Self::Webhook(Webhook {
                application: application.to_owned(),
                peer: peer()?,
                secret: secret.clone(),
            }),
            PushConfig::Sns {
                region,
                access_key_id,
                secret_access_key,
                ..
            } => Self::Sns(Sns::new(
                application,
                peer()?,
                region,
                access_key_id,
                secret_access_key,
            )),
            PushConfig::Fcm {
                service_account, ..
            } => Self::Fcm(Fcm::new(application, peer()?, service_account.clone())),
            PushConfig::Apns(sender) => {
                let line = Line::new(&url, REQUESTS)?;
                Self::Apns(Apns::new(application, line, sender.clone()))
            }
        })
    }

    /// Sends messages; a verdict for each, in their order.
    pub(super) async fn send(&self, parcels: &[Parcel], seconds: u64) -> Vec<Verdict> {
        if parcels.is_empty() {
            return Vec::new();
        }
        match self {
            Self::Webhook(webhook) => webhook.send(parcels, seconds).await,
            Self::Sns(sns) => sns.send(parcels, seconds).await,
            Self::Fcm(fcm) => fcm.send(parcels, seconds).await,
            Self::Apns(apns) => apns.send(parcels, seconds).await,
        }
    }
}

#[cfg(test)]
mod tests;
