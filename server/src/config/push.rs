//! Who delivers push messages: sections `[push."APPLICATION-ARN"]`.

use std::path::PathBuf;

use serde::Deserialize;

use super::functions::{address, needed, secret};
use super::{ConfigError, Secret, refuse};

/// A section `[push."APPLICATION-ARN"]`: who delivers the messages of that application.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
pub enum PushConfig {
    /// A service of the operator's.
    Webhook {
        /// Where the messages are posted to.
        url: String,
        /// Signs the request, so that the service knows whose it is.
        #[serde(default, deserialize_with = "secret")]
        secret: Option<Secret>,
    },
    /// Amazon SNS, or what speaks like it.
    Sns {
        /// Where, if not Amazon's own.
        endpoint_url: Option<String>,
        /// The region.
        region: String,
        /// Signs.
        access_key_id: String,
        /// Signs.
        #[serde(deserialize_with = "needed")]
        secret_access_key: Secret,
    },
    /// Firebase Cloud Messaging, for applications of the platform GCM.
    Fcm {
        /// The file of the service account, read again whenever a token is fetched.
        service_account: PathBuf,
        /// Where, if not Google's own.
        endpoint_url: Option<String>,
    },
    /// Apple's push service, for applications of the platforms APNS and `APNS_SANDBOX`.
    Apns(ApnsConfig),
}

/// What Apple knows a sender by.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApnsConfig {
    /// The file of the key (`AuthKey_....p8`), read again whenever a token is made of it.
    pub key_file: PathBuf,
    /// The key's id: 10 letters and digits.
    pub key_id: String,
    /// The team's id: 10 letters and digits.
    pub team_id: String,
    /// The app's bundle id.
    pub topic: String,
    /// Where, if not Apple's own service for the platform.
    pub endpoint_url: Option<String>,
}

impl ApnsConfig {
    fn flaw(&self) -> Option<String> {
        for (name, id) in [("key_id", &self.key_id), ("team_id", &self.team_id)] {
            if id.len() != 10 || !id.bytes().all(|b| b.is_ascii_alphanumeric()) {
                return Some(format!("{name} must be 10 letters and digits, not {id:?}"));
            }
        }
        let topic = &self.topic;
        let of_bundle = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
        let is_sound = !topic.is_empty() && topic.bytes().all(of_bundle);
        (!is_sound).then(|| format!("topic must be the app's bundle id, not {topic:?}"))
    }
}

impl PushConfig {
    /// Where requests of an application go.
    #[must_use]
    pub fn url(&self, application: &str) -> String {
        match self {
            Self::Webhook { url, .. } => url.clone(),
            Self::Sns {
                endpoint_url: Some(url),
                ..
            }
            | Self::Fcm {
                endpoint_url: Some(url),
                ..
            }
            | Self::Apns(ApnsConfig {
                endpoint_url: Some(url),
                ..
            }) => url.clone(),
            Self::Fcm { .. } => "https://fcm.googleapis.com".to_owned(),
            Self::Apns(_) if is_of(application, "APNS_SANDBOX") => {
                "https://api.sandbox.push.apple.com".to_owned()
            }
            Self::Apns(_) => "https://api.push.apple.com".to_owned(),
            Self::Sns { region, .. } => format!("https://sns.{region}.amazonaws.com"),
        }
    }

    pub(super) fn check(&self, application: &str) -> Result<(), ConfigError> {
        let flaw = self.of_platform(application).or_else(|| match self {
            Self::Apns(sender) => sender.flaw(),
            _ => None,
        });
        let flaw = flaw.or_else(|| address(self.url(application)).err());
        flaw.map_or(Ok(()), |why| {
            refuse("[push]", format!("{application:?}: {why}"))
        })
    }

    /// What is wrong about its platform.
    fn of_platform(&self, application: &str) -> Option<String> {
        let is_apple = is_of(application, "APNS") || is_of(application, "APNS_SANDBOX");
        match self {
            Self::Fcm { .. } if !is_of(application, "GCM") => {
                Some("type fcm is for the platform GCM".to_owned())
            }
            Self::Apns(_) if !is_apple => {
                Some("type apns is for the platforms APNS and APNS_SANDBOX".to_owned())
            }
            _ => None,
        }
    }
}

fn is_of(application: &str, platform: &str) -> bool {
    application.contains(&format!(":app/{platform}/"))
}
