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
}

impl PushConfig {
    /// Where requests go.
    #[must_use]
    pub fn url(&self) -> String {
        match self {
            Self::Webhook { url, .. } => url.clone(),
            Self::Sns {
                endpoint_url: Some(url),
                ..
            }
            | Self::Fcm {
                endpoint_url: Some(url),
                ..
            } => url.clone(),
            Self::Fcm { .. } => "https://fcm.googleapis.com".to_owned(),
            Self::Sns { region, .. } => format!("https://sns.{region}.amazonaws.com"),
        }
    }

    pub(super) fn check(&self, application: &str) -> Result<(), ConfigError> {
        if matches!(self, Self::Fcm { .. }) && !application.contains(":app/GCM/") {
            let why = format!("{application:?}: type fcm is for the platform GCM");
            return refuse("[push]", why);
        }
        match address(self.url()) {
            Ok(_) => Ok(()),
            Err(why) => refuse("[push]", format!("{application:?}: {why}")),
        }
    }
}
