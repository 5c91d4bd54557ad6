//! Devices that are told of changes by a webhook.

use std::collections::HashMap;
use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::failure::Result;
use crate::load::signature::{Request, Signer};
use crate::load::{Account, Connection, account};

const APPLICATION: &str = "arn:aws:sns:us-east-1:000000000000:app/GCM/benchmark";

/// The server's settings: room for so many listeners, and the webhook.
pub fn settings(webhook: SocketAddr, listeners: usize) -> String {
    let connections = listeners + 1000;
    format!(
        "[limits]\nguest_identities_per_second = 0\nconnections = {connections}\n\
         listeners = {connections}\n\
         [push.\"{APPLICATION}\"]\ntype = \"webhook\"\nurl = \"http://{webhook}/push\"\n"
    )
}

/// Registers a device for each of the first so many datasets, which it follows; tells which
/// dataset each device is of.
pub async fn register(account: &Account, devices: usize) -> Result<HashMap<String, usize>> {
    let mut connection = Connection::open(account.address).await?;
    let mut signer = account.signer();
    let pool = account.pool.replace(':', "%3A");
    let path = format!("/identitypools/{pool}/configuration");
    let push = json!({ "PushSync": { "ApplicationArns": [APPLICATION] } });
    post(&mut connection, &mut signer, &path, &push).await?;
    let mut known = HashMap::new();
    for (number, place) in account.datasets.iter().take(devices).enumerate() {
        let identity = place.identity.replace(':', "%3A");
        // A developer has no devices.
        let mut signer = account.signer_of(&mut connection, number).await?;
        let path = format!("/identitypools/{pool}/identity/{identity}/device");
        let device = json!({ "Platform": "GCM", "Token": format!("token-{number}") });
        let made = post(&mut connection, &mut signer, &path, &device).await?;
        let device = made["DeviceId"].as_str().ok_or("a device has no id")?;
        let dataset = format!("/identitypools/{pool}/identities/{identity}/datasets/progress");
        let path = format!("{dataset}/subscriptions/{device}");
        post(&mut connection, &mut signer, &path, &json!({})).await?;
        known.insert(device.to_owned(), number);
    }
    Ok(known)
}

async fn post(
    connection: &mut Connection,
    signer: &mut Signer,
    path: &str,
    body: &Value,
) -> Result<Value> {
    let (canonical, body) = (path.replace('%', "%25"), body.to_string());
    let request = Request {
        method: "POST",
        path,
        canonical_path: &canonical,
        query: "",
        target: None,
        content_type: account::SYNC_TYPE,
        body: body.as_bytes(),
        signed: true,
    };
    let answer = connection.call(&request, signer).await?;
    answer
        .json()
        .map_err(|failure| format!("{path}: {failure}").into())
}
