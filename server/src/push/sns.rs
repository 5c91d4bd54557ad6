//! Amazon SNS, or what speaks like it: an endpoint for each device, and a message to that.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use percent_encoding::utf8_percent_encode;
use serde_json::json;
use uuid::Uuid;

use super::each::{Deliver, each};
use super::message::{Parcel, Unanswered, Verdict};
use super::transport::BOUNDS;
use crate::config::Secret;
use crate::outbound::{Answer, Peer, Post};
use crate::sigv4::{ENCODED, Signer};
use crate::site::stored::Platform;

/// Endpoints that are remembered; beyond that one of them is asked for again for each new one.
const ENDPOINTS_MAX: usize = 65_536;

/// See the module.
pub(super) struct Sns {
    shared: Arc<Shared>,
}

struct Shared {
    application: String,
    peer: Peer,
    signer: Signer,
    /// Endpoints by device.
    endpoints: Mutex<HashMap<Uuid, Endpoint>>,
}

/// The endpoint of a device.
#[derive(Clone)]
struct Endpoint {
    arn: String,
    /// The token that it is of.
    token: String,
    /// For which registration of the device it was enabled.
    enabled_ms: Option<u64>,
}

/// Why a call did not succeed.
enum Failed {
    Dead,
    /// The endpoint takes nothing at the moment, or ever.
    Disabled,
    /// The token has an endpoint already, with other attributes than ours.
    Exists(String),
    /// The endpoint is not there, or what makes them.
    NotFound(String),
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
        each(&self.shared, parcels, seconds).await
    }
}

impl Deliver for Shared {
    async fn deliver(&self, parcel: &Parcel, seconds: u64) -> Verdict {
        let published = async {
            let endpoint = self.endpoint(parcel, seconds).await?;
            match self.publish(parcel, &endpoint.arn, seconds).await {
                // Whoever registers anew wants messages again; but who stays disabled after that
                // is gone.
                Err(Failed::Disabled) if !endpoint.is_enabled_for(parcel) => {
                    let enabled = self.enable(parcel, endpoint.arn, seconds).await?;
                    self.publish(parcel, &enabled.arn, seconds).await
                }
                published => published,
            }
        };
        match published.await {
            Ok(()) => Verdict::Delivered,
            Err(failed) => {
                // Anything else says nothing about the endpoint, nor about when it was enabled.
                if matches!(
                    failed,
                    Failed::NotFound(_) | Failed::Dead | Failed::Disabled
                ) {
                    self.lock().remove(&parcel.message.device);
                }
                match failed {
                    Failed::Dead | Failed::Disabled => Verdict::Dead,
                    Failed::Exists(arn) => {
                        tracing::warn!("pushing by {}: {arn} exists", self.application);
                        Verdict::Failed
                    }
                    Failed::NotFound(why) => {
                        tracing::warn!("pushing by {}: {why}", self.application);
                        Verdict::Failed
                    }
                    Failed::Other(verdict, why) => {
                        tracing::warn!("pushing by {}: {why}", self.application);
                        verdict
                    }
                }
            }
        }
    }
}

impl Shared {
    /// The endpoint of a device. Asked twice for one token the service answers the same.
    async fn endpoint(&self, parcel: &Parcel, seconds: u64) -> Result<Endpoint, Failed> {
        let (device, token) = (parcel.message.device, &parcel.device.token);
        if let Some(known) = self.lock().get(&device)
            && known.token == *token
        {
            return Ok(known.clone());
        }
        let form = [
            ("Action", "CreatePlatformEndpoint"),
            ("PlatformApplicationArn", &self.application),
            ("Token", token),
        ];
        let answer = match self.call(&form, seconds).await {
            // Made by somebody else, or disabled: the same device for all that.
            Err(Failed::Exists(arn)) => return self.enable(parcel, arn, seconds).await,
            answer => answer?,
        };
        let text = String::from_utf8_lossy(&answer.body);
        let arn = between(&text, "<EndpointArn>", "</EndpointArn>");
        let arn = arn.ok_or_else(|| {
            let why = "no EndpointArn came".to_owned();
            Failed::Other(Verdict::Failed, why)
        })?;
        Ok(self.remember(parcel, arn.to_owned(), None))
    }

    /// Has an endpoint take messages for the token, as the service wants of whoever finds one that
    /// does not.
    async fn enable(&self, parcel: &Parcel, arn: String, seconds: u64) -> Result<Endpoint, Failed> {
        let form = [
            ("Action", "SetEndpointAttributes"),
            ("EndpointArn", &arn),
            ("Attributes.entry.1.key", "Enabled"),
            ("Attributes.entry.1.value", "true"),
            ("Attributes.entry.2.key", "Token"),
            ("Attributes.entry.2.value", &parcel.device.token),
        ];
        self.call(&form, seconds).await?;
        Ok(self.remember(parcel, arn, Some(parcel.device.registered_ms)))
    }

    fn remember(&self, parcel: &Parcel, arn: String, enabled_ms: Option<u64>) -> Endpoint {
        let endpoint = Endpoint {
            arn,
            token: parcel.device.token.clone(),
            enabled_ms,
        };
        let mut endpoints = self.lock();
        make_room(&mut endpoints, parcel.message.device, ENDPOINTS_MAX);
        endpoints.insert(parcel.message.device, endpoint.clone());
        endpoint
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
        let answer = answer.map_err(|error| {
            let Unanswered { verdict, why } = error.into();
            Failed::Other(verdict, why)
        })?;
        if answer.is_success() {
            return Ok(answer);
        }
        let text = String::from_utf8_lossy(&answer.body);
        let code = between(&text, "<Code>", "</Code>").unwrap_or("no code");
        let said = between(&text, "<Message>", "</Message>").unwrap_or_default();
        let is_invalid = code == "InvalidParameter";
        let existing = between(said, "Endpoint ", " already exists with the same");
        if let Some(arn) = existing.filter(|_| is_invalid) {
            return Err(Failed::Exists(arn.to_owned()));
        }
        if code.starts_with("EndpointDisabled") {
            return Err(Failed::Disabled);
        }
        if is_invalid && said.contains("Token Reason:") {
            return Err(Failed::Dead);
        }
        let status = answer.status;
        let why = format!("status {status}, {code}: {said}");
        Err(match code {
            "NotFound" => Failed::NotFound(why),
            // How the service says it of what is published to.
            _ if is_invalid && said.contains("TargetArn Reason:") => Failed::NotFound(why),
            // What the service calls a client's error though it will pass.
            code if code.starts_with("Throttl") => Failed::Other(Verdict::Away, why),
            _ => Failed::Other(Verdict::of_answer(&answer), why),
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Uuid, Endpoint>> {
        self.endpoints
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Has one more go in, at the cost of any that is not needed for that.
fn make_room(endpoints: &mut HashMap<Uuid, Endpoint>, device: Uuid, most: usize) {
    if endpoints.len() < most || endpoints.contains_key(&device) {
        return;
    }
    let any = endpoints.keys().next().copied();
    if let Some(any) = any {
        endpoints.remove(&any);
    }
}

impl Endpoint {
    /// Whether it was enabled since the device registered.
    fn is_enabled_for(&self, parcel: &Parcel) -> bool {
        self.enabled_ms == Some(parcel.device.registered_ms)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_endpoint_makes_room_for_another() {
        let endpoint = Endpoint {
            arn: String::new(),
            token: String::new(),
            enabled_ms: None,
        };
        let mut endpoints = HashMap::new();
        for device in [1, 2, 3, 3, 4] {
            let device = Uuid::from_u128(device);
            make_room(&mut endpoints, device, 3);
            endpoints.insert(device, endpoint.clone());
        }
        assert_eq!(endpoints.len(), 3);
        assert!(endpoints.contains_key(&Uuid::from_u128(4)));
        make_room(&mut endpoints, Uuid::from_u128(4), 3);
        assert_eq!(endpoints.len(), 3);
    }
}
