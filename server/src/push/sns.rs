//! Amazon SNS, or what speaks like it: an endpoint for each device, and a message to that.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use percent_encoding::utf8_percent_encode;
use serde_json::json;
use uuid::Uuid;

use super::each::each;
use super::message::{Parcel, Verdict};
use super::transport::BOUNDS;
use crate::config::Secret;
use crate::error::Chain;
use crate::outbound::{Answer, Peer, Post};
use crate::sigv4::{ENCODED, Signer};
use crate::site::stored::Platform;

/// Endpoints that are remembered; beyond that all are asked for again.
const ENDPOINTS_MAX: usize = 65_536;

/// See the module.
pub(super) struct Sns {
    shared: Arc<Shared>,
}

struct Shared {
    application: String,
    peer: Peer,
    signer: Signer,
    /// Endpoints by device, with the token that each is of.
    endpoints: Mutex<HashMap<Uuid, (String, String)>>,
}

/// Why a call did not succeed.
enum Failed {
    Dead,
    Other(Verdict, String),
}

impl Sns {
    pub(super) fn new(
        application: &str,
        peer: Peer,
        region: &str,
        access_key_id: &str,
        secret: &Secret,
    ) -> Self {
        let signer = Signer {
            access_key_id: access_key_id.to_owned(),
            secret: secret.clone(),
            region: region.to_owned(),
            service: "sns",
        };
        Self {
            shared: Arc::new(Shared {
                application: application.to_owned(),
                peer,
                signer,
                endpoints: Mutex::default(),
            }),
        }
    }

    /// A verdict for each message, in their order.
    pub(super) async fn send(&self, parcels: &[Parcel], seconds: u64) -> Vec<Verdict> {
        each(parcels, |parcel| {
            let shared = Arc::clone(&self.shared);
            async move { shared.deliver(&parcel, seconds).await }
        })
        .await
    }
}

impl Shared {
    async fn deliver(&self, parcel: &Parcel, seconds: u64) -> Verdict {
        let published = async {
            let endpoint = self.endpoint(parcel, seconds).await?;
            self.publish(parcel, &endpoint, seconds).await
        };
        match published.await {
            Ok(()) => Verdict::Delivered,
            Err(failed) => {
                // Whatever is wrong, the endpoint may be it.
                self.lock().remove(&parcel.message.device);
                match failed {
                    Failed::Dead => Verdict::Dead,
                    Failed::Other(verdict, why) => {
                        tracing::warn!("pushing by {}: {why}", self.application);
                        verdict
                    }
                }
            }
        }
    }

    /// The endpoint of a device. Asked twice for one token the service answers the same.
    async fn endpoint(&self, parcel: &Parcel, seconds: u64) -> Result<String, Failed> {
        let (device, token) = (parcel.message.device, &parcel.device.token);
        if let Some((known, endpoint)) = self.lock().get(&device)
            && known == token
        {
            return Ok(endpoint.clone());
        }
        let form = [
            ("Action", "CreatePlatformEndpoint"),
            ("PlatformApplicationArn", &self.application),
            ("Token", token),
        ];
        let answer = self.call(&form, seconds).await?;
        let text = String::from_utf8_lossy(&answer.body);
        let endpoint = between(&text, "<EndpointArn>", "</EndpointArn>");
        let endpoint = endpoint.ok_or_else(|| {
            let why = "no EndpointArn came".to_owned();
            Failed::Other(Verdict::Failed, why)
        })?;
        let mut endpoints = self.lock();
        if endpoints.len() >= ENDPOINTS_MAX {
            endpoints.clear();
        }
        endpoints.insert(device, (token.clone(), endpoint.to_owned()));
        Ok(endpoint.to_owned())
    }

    async fn publish(&self, parcel: &Parcel, endpoint: &str, seconds: u64) -> Result<(), Failed> {
        let message = message(parcel);
        let mut form = vec![
            ("Action", "Publish"),
            ("TargetArn", endpoint),
            ("MessageStructure", "json"),
            ("Message", &message),
        ];
        if matches!(
            parcel.device.platform,
            Platform::Apns | Platform::ApnsSandbox
        ) {
            // Apple delivers silent messages only if they say that they are.
            form.extend([
                (
                    "MessageAttributes.entry.1.Name",
                    "AWS.SNS.MOBILE.APNS.PUSH_TYPE",
                ),
                ("MessageAttributes.entry.1.Value.DataType", "String"),
                ("MessageAttributes.entry.1.Value.StringValue", "background"),
                (
                    "MessageAttributes.entry.2.Name",
                    "AWS.SNS.MOBILE.APNS.PRIORITY",
                ),
                ("MessageAttributes.entry.2.Value.DataType", "String"),
                ("MessageAttributes.entry.2.Value.StringValue", "5"),
            ]);
        }
        self.call(&form, seconds).await.map(|_| ())
    }

    async fn call(&self, form: &[(&str, &str)], seconds: u64) -> Result<Answer, Failed> {
        let encode = |text| utf8_percent_encode(text, ENCODED);
        let mut body = "Version=2010-03-31".to_owned();
        for (name, value) in form {
            body.push_str(&format!("&{}={}", encode(name), encode(value)));
        }
        let media_type = "application/x-www-form-urlencoded; charset=utf-8";
        let mut headers = vec![("content-type", media_type.to_owned())];
        let path = self.peer.path();
        let signed = self
            .signer
            .sign(
                self.peer.authority(),
                path,
                &headers,
                body.as_bytes(),
                seconds,
            )
            .map_err(|error| Failed::Other(Verdict::Failed, error.to_string()))?;
        headers.extend(signed);
        let post = Post {
            path: path.to_owned(),
            headers,
            body: Bytes::from(body),
        };
        let answer = self.peer.post(post, BOUNDS).await;
        let answer =
            answer.map_err(|error| Failed::Other(Verdict::Away, Chain(&error).to_string()))?;
        if answer.is_success() {
            return Ok(answer);
        }
        let text = String::from_utf8_lossy(&answer.body);
        let code = between(&text, "<Code>", "</Code>").unwrap_or("no code");
        let said = between(&text, "<Message>", "</Message>").unwrap_or_default();
        let of_token = code == "InvalidParameter" && said.contains("Token");
        if code.starts_with("EndpointDisabled") || of_token {
            return Err(Failed::Dead);
        }
        let status = answer.status;
        let verdict = match code {
            // What the service calls a client's error though it will pass.
            code if code.starts_with("Throttl") => Verdict::Away,
            "NotFound" => Verdict::Failed,
            _ => Verdict::of_status(status),
        };
        let why = format!("status {status}, {code}: {said}");
        Err(Failed::Other(verdict, why))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Uuid, (String, String)>> {
        self.endpoints
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The message as the device's platform wants it, inside of what the service wants.
fn message(parcel: &Parcel) -> String {
    let platform = parcel.device.platform;
    let inner = match platform {
        Platform::Apns | Platform::ApnsSandbox => parcel.for_apple(),
        Platform::Gcm | Platform::Adm => json!({ "data": parcel.fields() }),
    };
    json!({ "default": "", platform.name(): inner.to_string() }).to_string()
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(start)?;
    Some(rest.split_once(end)?.0)
}
