//! Push messages: who is told of a change, in which form, and what comes of failures.

mod apns;
mod fcm;
mod sns;

use std::path::Path;

use rustix::process::Signal;
use serde_json::{Value, json};
use syncline_server::config::PushConfig;

use crate::client::{Answer, Client};
use crate::commands::serve_with;
use crate::process::Running;
use crate::server::Server;
use crate::signed::{Guest, developer};
use crate::webservice::{Seen, Told, WebService};

const GCM: &str = "arn:aws:sns:us-east-1:000000000000:app/GCM/game";
const APNS: &str = "arn:aws:sns:us-east-1:000000000000:app/APNS/game";

/// A pool with the applications, and a guest of it with a dataset.
struct Scene {
    client: Client,
    guest: Guest,
    /// The dataset's count, which all writes of the one record go by.
    count: u64,
}

impl Scene {
    async fn new(mut client: Client) -> Self {
        let guest = Guest::new(&mut client).await;
        let pool = guest.pool.replace(':', "%3A");
        let path = format!("/identitypools/{pool}/configuration");
        let body = json!({ "PushSync": { "ApplicationArns": [GCM, APNS] } }).to_string();
        let root = developer("cognito-sync");
        let answer = client.signed(&root, "POST", &path, &[], body.as_bytes());
        assert_eq!(answer.await.status, 200);
        let mut scene = Self {
            client,
            guest,
            count: 0,
        };
        scene.write(None, false).await;
        // Else who follows from now on might be told of that, too.
        let level = "syncline_reader_behind_commits{reader=\"push\"} 0";
        while !scene.metrics().await.lines().any(|line| line == level) {
            tokio::task::yield_now().await;
        }
        scene
    }

    async fn post(&mut self, path: &str, body: &Value) -> Answer {
        let signer = self.guest.signer();
        let body = body.to_string();
        let answer = self
            .client
            .signed(&signer, "POST", path, &[], body.as_bytes());
        answer.await
    }

    /// Registers a device; returns its id.
    async fn register(&mut self, platform: &str, token: &str) -> String {
        let (pool, identity) = (
            self.guest.pool.replace(':', "%3A"),
            self.guest.identity.replace(':', "%3A"),
        );
        let path = format!("/identitypools/{pool}/identity/{identity}/device");
        let body = json!({ "Platform": platform, "Token": token });
        let answer = self.post(&path, &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["DeviceId"].as_str().unwrap().to_owned()
    }

    async fn subscribe(&mut self, device: &str) -> Answer {
        let path = format!("{}/subscriptions/{device}", self.guest.dataset("game"));
        self.post(&path, &json!({})).await
    }

    /// A device that follows the dataset.
    async fn follower(&mut self, platform: &str, token: &str) -> String {
        let device = self.register(platform, token).await;
        assert_eq!(self.subscribe(&device).await.status, 200);
        device
    }

    /// Changes the dataset, as a device or nobody in particular, or as the developer.
    async fn write(&mut self, device: Option<&str>, as_developer: bool) {
        let listed = self.guest.list(&mut self.client).await;
        let patch = json!({ "Op": "replace", "Key": "k", "Value": "v", "SyncCount": self.count });
        let mut body = json!({
            "SyncSessionToken": listed["SyncSessionToken"],
            "RecordPatches": [patch],
        });
        if let Some(device) = device {
            body["DeviceId"] = json!(device);
        }
        let signer = if as_developer {
            developer("cognito-sync")
        } else {
            self.guest.signer()
        };
        let (path, body) = (self.guest.dataset("game"), body.to_string());
        let answer = self
            .client
            .signed(&signer, "POST", &path, &[], body.as_bytes());
        let answer = answer.await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        self.count += 1;
    }

    async fn metrics(&mut self) -> String {
        let page = self
            .client
            .ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            .await;
        page.text().to_owned()
    }

    /// Waits until so many messages of an application have had an outcome, or more.
    async fn counted(&mut self, application: &str, outcome: &str, count: u32) {
        let name = format!(
            "syncline_push_messages_total{{application=\"{application}\",outcome=\"{outcome}\"}} "
        );
        loop {
            let page = self.metrics().await;
            let value = page.lines().find_map(|line| line.strip_prefix(&name));
            if value.is_some_and(|value| value.parse::<u32>().unwrap() >= count) {
                return;
            }
            tokio::task::yield_now().await;
        }
    }
}

async fn server(service: &WebService) -> Server {
    let (url, address) = (service.url(), service.address);
    let config = move |text: String| toml::from_str::<PushConfig>(&text).unwrap();
    let webhook = config(format!(
        "type = \"webhook\"\nurl = \"{url}\"\nsecret = \"s\""
    ));
    let sns = config(format!(
        "type = \"sns\"\nendpoint_url = \"http://{address}\"\nregion = \"eu-west-1\"\n\
         access_key_id = \"AKIAS\"\nsecret_access_key = \"s3cret\""
    ));
    Server::start_with(|config| {
        config.push.insert(GCM.to_owned(), webhook);
        config.push.insert(APNS.to_owned(), sns);
    })
    .await
}

/// Devices and counts of the messages that a webhook was sent.
fn told(seen: &[Seen]) -> Value {
    let batches: Vec<Value> = seen.iter().map(Seen::json).collect();
    let messages = batches
        .iter()
        .flat_map(|batch| batch["messages"].as_array().unwrap());
    messages
        .map(|message| json!([message["deviceId"], message["syncCount"]]))
        .collect()
}

#[tokio::test]
async fn every_device_that_follows_is_told_but_the_one_that_made_the_change() {
    let service = WebService::start().await;
    let server = server(&service).await;
    let mut scene = Scene::new(server.client().await).await;
    let one = scene.follower("GCM", "token-1").await;
    let two = scene.follower("GCM", "token-2").await;
    scene.register("GCM", "of nobody who follows").await;
    scene.write(Some(&one), false).await;
    let seen = service.has_seen(1).await;
    assert_eq!(told(&seen), json!([[two, "2"]]));
    assert_eq!(seen[0].path, "/called");
    let signature = seen[0].header("x-syncline-signature").unwrap();
    assert!(signature.starts_with("v1="), "{signature}");
    let message = json!({
        "applicationArn": GCM,
        "messages": [{
            "source": "cognito-sync",
            "identityPoolId": scene.guest.pool,
            "identityId": scene.guest.identity,
            "datasetName": "game",
            "syncCount": "2",
            "deviceId": two,
            "platform": "GCM",
            "token": "token-2",
        }],
    });
    assert_eq!(seen[0].json(), message);
    scene.write(Some(&two), false).await;
    let seen = service.has_seen(2).await;
    assert_eq!(told(&seen[1..]), json!([[one, "3"]]));
    // What names no device of theirs is told to both, whoever wrote it.
    let mut both = [one.clone(), two.clone()];
    both.sort();
    for (device, as_developer) in [(None, false), (Some("another"), false), (None, true)] {
        let before = service.seen().len();
        scene.write(device, as_developer).await;
        let count = scene.count.to_string();
        let expected = json!([[both[0], count], [both[1], count]]);
        // One request or two, as they come.
        let mut requests = before + 1;
        while told(&service.has_seen(requests).await[before..]) != expected {
            requests += 1;
        }
    }
    let path = format!("{}/subscriptions/{one}", scene.guest.dataset("game"));
    let signer = scene.guest.signer();
    let answer = scene
        .client
        .signed(&signer, "DELETE", &path, &[], b"")
        .await;
    assert_eq!(answer.status, 200);
    let before = service.seen().len();
    scene.write(None, false).await;
    let seen = service.has_seen(before + 1).await;
    assert_eq!(told(&seen[before..]), json!([[two, "7"]]));
}

#[tokio::test]
async fn what_fails_is_tried_again_and_only_the_last_count_counts() {
    let service = WebService::start().await;
    let server = server(&service).await;
    let mut scene = Scene::new(server.client().await).await;
    let device = scene.follower("GCM", "token").await;
    service.answers(|_| Told::status(503));
    scene.write(None, false).await;
    service.has_seen(1).await;
    for _ in 0..3 {
        scene.write(None, false).await;
    }
    service.answers(|_| Told::status(204));
    scene.counted(GCM, "delivered", 1).await;
    let seen = service.seen();
    let last = told(&seen[seen.len() - 1..]);
    assert_eq!(last, json!([[device, "5"]]));
}

#[tokio::test]
async fn a_device_whose_token_is_dead_is_dropped() {
    let service = WebService::start().await;
    let server = server(&service).await;
    let mut scene = Scene::new(server.client().await).await;
    let dead = scene.follower("GCM", "dead").await;
    let alive = scene.follower("GCM", "alive").await;
    let answer = json!({ "deadDevices": [dead] });
    service.answers(move |_| Told::json(&answer));
    scene.write(None, false).await;
    scene.counted(GCM, "dead", 1).await;
    scene
        .subscribe(&dead)
        .await
        .exception(404, "ResourceNotFoundException");
    scene.write(None, false).await;
    let seen = service.has_seen(2).await;
    assert_eq!(told(&seen[1..]), json!([[alive, "3"]]));
}

#[tokio::test]
async fn a_message_that_the_service_does_not_want_spoils_no_other() {
    let service = WebService::start().await;
    let is_bad = |seen: &Seen| {
        let batch = seen.json();
        let mut messages = batch["messages"].as_array().unwrap().iter();
        messages.any(|message| message["token"] == "bad")
    };
    service.answers(move |seen| Told::status(if is_bad(seen) { 413 } else { 200 }));
    let server = server(&service).await;
    let mut scene = Scene::new(server.client().await).await;
    for token in ["one", "bad", "two", "three"] {
        scene.follower("GCM", token).await;
    }
    scene.write(None, false).await;
    scene.counted(GCM, "delivered", 3).await;
    scene.counted(GCM, "refused", 1).await;
}

/// The members of a form.
fn form(seen: &Seen) -> Vec<(String, String)> {
    let body = String::from_utf8(seen.body.clone()).unwrap();
    let decode = |text: &str| {
        let decoded = percent_encoding::percent_decode_str(text);
        decoded.decode_utf8().unwrap().into_owned()
    };
    let pairs = body.split('&').map(|pair| pair.split_once('=').unwrap());
    pairs
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

fn member(seen: &Seen, name: &str) -> String {
    let found = form(seen).into_iter().find(|(found, _)| found == name);
    found.unwrap_or_else(|| panic!("no {name}")).1
}

#[tokio::test]
async fn a_device_that_comes_back_after_it_was_dropped_follows_nothing() {
    let service = WebService::start().await;
    let server = server(&service).await;
    let mut scene = Scene::new(server.client().await).await;
    let one = scene.follower("GCM", "token").await;
    let other = scene.follower("GCM", "other").await;
    let answer = json!({ "deadDevices": [one] });
    service.answers(move |_| Told::json(&answer));
    scene.write(None, false).await;
    scene.counted(GCM, "dead", 1).await;
    service.answers(|_| Told::status(200));
    assert_eq!(scene.register("GCM", "token").await, one);
    let before = service.seen().len();
    scene.write(None, false).await;
    let seen = service.has_seen(before + 1).await;
    assert_eq!(told(&seen[before..]), json!([[other, "3"]]));
    // Registered again while it is registered it keeps what it follows.
    assert_eq!(scene.register("GCM", "other").await, other);
    let before = service.seen().len();
    scene.write(None, false).await;
    let seen = service.has_seen(before + 1).await;
    assert_eq!(told(&seen[before..]), json!([[other, "4"]]));
    assert_eq!(scene.subscribe(&one).await.status, 200);
}

fn start(directory: &Path) -> Running {
    serve_with(directory, "data", &["--config", "c.toml"])
}

#[tokio::test]
async fn what_was_not_delivered_before_a_kill_is_delivered_after_it() {
    let service = WebService::start().await;
    service.answers(|_| Told::status(503));
    let directory = tempfile::tempdir().unwrap();
    let config = format!(
        "[push.\"{GCM}\"]\ntype = \"webhook\"\nurl = \"{}\"\n",
        service.url()
    );
    std::fs::write(directory.path().join("c.toml"), config).unwrap();
    let running = start(directory.path());
    let mut scene = Scene::new(running.client().await).await;
    let device = scene.follower("GCM", "token").await;
    scene.write(None, false).await;
    service.has_seen(1).await;
    // As long as it waits the log is kept for it.
    let level = "syncline_reader_behind_commits{reader=\"push\"} ";
    let page = scene.metrics().await;
    let behind = page.lines().find_map(|line| line.strip_prefix(level));
    assert_ne!(behind.unwrap(), "0");
    running.signal(Signal::KILL);
    running.ended();
    let before = service.seen().len();
    service.answers(|_| Told::status(200));
    let _running = start(directory.path());
    let seen = service.has_seen(before + 1).await;
    assert_eq!(told(&seen[before..]), json!([[device, "2"]]));
}
