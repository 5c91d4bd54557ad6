//! `POST /syncline/v1/backup`: backups of a server at work.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::{Value, json};

use crate::client::{Answer, Client};
use crate::commands::{json as ran_json, serve, serve_with, stop};
use crate::process::syncline;
use crate::server::Server;
use crate::signed::{Guest, developer};

const PATH: &str = "/syncline/v1/backup";
/// Keys that each writer writes in turn, so that most of what is written is overwritten.
const KEYS: u64 = 7;

async fn ask(client: &mut Client, body: &Value) -> Answer {
    let body = body.to_string();
    let root = developer("cognito-sync");
    client
        .signed(&root, "POST", PATH, &[], body.as_bytes())
        .await
}

/// A write, and between which ticks of the clock of all writers it was sent and answered.
#[derive(Clone, Copy)]
struct Write {
    sent: u64,
    answered: u64,
}

/// One writer: its dataset has the count `n` after its first `n` writes.
struct Writer {
    guest: Guest,
    writes: Vec<Write>,
}

impl Writer {
    async fn write(mut self, address: SocketAddr, ticks: &AtomicU64, stop: &AtomicBool) -> Self {
        let mut client = Client::connect(address).await;
        let tick = || ticks.fetch_add(1, Ordering::SeqCst);
        while !stop.load(Ordering::SeqCst) {
            let number = self.writes.len() as u64;
            let key = format!("key {}", number % KEYS);
            let known = (number + 1).saturating_sub(KEYS);
            let sent = tick();
            let value = number.to_string();
            let answer = self.guest.put(&mut client, &key, &value, known).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            let answered = tick();
            self.writes.push(Write { sent, answered });
        }
        self
    }

    /// What its dataset holds after so many writes: the count and value of each key.
    fn after(count: u64) -> BTreeMap<String, (u64, String)> {
        let written = |number: u64| {
            let key = format!("key {}", number % KEYS);
            (key, (number + 1, number.to_string()))
        };
        (0..count).map(written).collect()
    }

    /// Compares what a server has of this writer; tells how many of the writes that are. The count
    /// of the dataset does not tell that: a restore lifts it.
    async fn compared(&self, client: &mut Client) -> usize {
        let listed = self.guest.list(client).await;
        let records = listed["Records"].as_array().unwrap().iter().map(|record| {
            let text = |member: &str| record[member].as_str().unwrap().to_owned();
            let count = record["SyncCount"].as_u64().unwrap();
            (text("Key"), (count, text("Value")))
        });
        let found: BTreeMap<_, _> = records.collect();
        let count = found.values().map(|(count, _)| *count).max().unwrap_or(0);
        assert_eq!(found, Self::after(count));
        usize::try_from(count).unwrap()
    }
}

/// Serves what a backup gives, and compares it with what was written: all that was answered before
/// tick `before`, nothing that was sent after tick `after`, and with each write those that were
/// answered before it was sent.
async fn is_a_prefix(directory: &Path, made: &Value, writers: &[Writer], span: (u64, u64)) {
    let name = made["backup"].as_str().unwrap();
    let from = format!("safe/{name}");
    let restore = ["restore", "--from", &from, "--data", name, "--json"];
    let restored = ran_json(syncline(directory, &restore));
    assert_eq!(restored["sequence"], made["sequence"]);
    let running = serve(directory, name);
    let mut client = running.client().await;
    let (mut last_sent, mut first_missing) = (0, u64::MAX);
    for writer in writers {
        let count = writer.compared(&mut client).await;
        let (there, missing) = writer.writes.split_at(count);
        last_sent = last_sent.max(there.last().map_or(0, |write| write.sent));
        if let Some(write) = missing.first() {
            first_missing = first_missing.min(write.answered);
        }
    }
    let (before, after) = span;
    assert!(first_missing > before, "an acknowledged write is missing");
    assert!(last_sent < after, "a write of later is there");
    assert!(last_sent < first_missing, "not as it was at one moment");
    drop(client);
    stop(running);
}

#[tokio::test]
async fn a_backup_under_load_is_a_prefix_of_what_was_acknowledged() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path();
    let small = "[backup]\ndirectory = \"safe\"\n[engine]\nsegment_bytes = 65536\n\
                 checkpoint_bytes = 1048576\n";
    fs::write(directory.join("c.toml"), small).unwrap();
    let running = serve_with(directory, "data", &["--config", "c.toml"]);
    let address = running.address;
    let (ticks, stopped) = (
        Arc::new(AtomicU64::new(0)),
        Arc::new(AtomicBool::new(false)),
    );
    let mut client = running.client().await;
    let mut writing = Vec::new();
    for _ in 0..4 {
        let writer = Writer {
            guest: Guest::new(&mut client).await,
            writes: Vec::new(),
        };
        let (ticks, stopped) = (Arc::clone(&ticks), Arc::clone(&stopped));
        writing.push(tokio::spawn(async move {
            writer.write(address, &ticks, &stopped).await
        }));
    }
    let mut backups = Vec::new();
    for name in ["one", "two", "three"] {
        // Some writes lie between any two, of which each takes two ticks.
        let until = ticks.load(Ordering::SeqCst) + 200;
        while ticks.load(Ordering::SeqCst) < until {
            tokio::task::yield_now().await;
        }
        let before = ticks.load(Ordering::SeqCst);
        let answer = ask(&mut client, &json!({ "to": name })).await;
        let after = ticks.load(Ordering::SeqCst);
        assert_eq!(answer.status, 200, "{}", answer.text());
        let made = answer.json();
        assert_eq!(made["backup"], name);
        assert!(made["earliest_sequence"].as_u64() <= made["sequence"].as_u64());
        assert!(made["files"].as_u64() > Some(0) && made["bytes"].as_u64() > Some(0));
        assert_eq!(made["damaged"], json!([]));
        assert!(directory.join("safe").join(name).join("keys").exists());
        backups.push((made, (before, after)));
    }
    let again = ask(&mut client, &json!({ "to": "one" })).await;
    let message = again.exception(409, "ResourceConflictException");
    assert!(message.starts_with("one exists already"), "{message}");
    stopped.store(true, Ordering::SeqCst);
    let mut writers = Vec::new();
    for writer in writing {
        writers.push(writer.await.unwrap());
    }
    drop(client);
    let log = stop(running);
    assert_eq!(log.matches("made the backup safe/").count(), 3, "{log}");
    for (made, span) in &backups {
        is_a_prefix(directory, made, &writers, *span).await;
    }
}

#[tokio::test]
async fn what_cannot_be_made_is_refused_and_leaves_nothing() {
    let home = tempfile::tempdir().unwrap();
    let safe = home.path().join("safe");
    let server = Server::start_with(|config| config.backup.directory = Some(safe.clone())).await;
    let mut client = server.client().await;
    let long = "n".repeat(300);
    for name in ["../x", "", ".hidden", "a/b", "a\\b", "a.partial", &long] {
        let answer = ask(&mut client, &json!({ "to": name })).await;
        let message = answer.exception(400, "InvalidParameterException");
        assert!(message.contains("must be 1 to 128 of"), "{message}");
    }
    let answer = ask(&mut client, &json!({})).await;
    answer.exception(400, "InvalidParameterException");
    let answer = ask(&mut client, &json!({ "to": 7 })).await;
    answer.exception(400, "SerializationException");
    let root = developer("cognito-sync");
    let answer = client.signed(&root, "GET", PATH, &[], b"").await;
    answer.exception(405, "MethodNotAllowedException");
    let elsewhere = "/syncline/v1/backups";
    let answer = client.signed(&root, "POST", elsewhere, &[], b"{}").await;
    answer.exception(404, "UnknownOperationException");
    assert!(!safe.exists(), "nothing was made");

    fs::create_dir_all(safe.join("half.partial")).unwrap();
    fs::write(safe.join("file"), "").unwrap();
    for (name, words) in [("half", "interrupted"), ("file", "exists already")] {
        let answer = ask(&mut client, &json!({ "to": name })).await;
        let message = answer.exception(409, "ResourceConflictException");
        assert!(message.contains(words), "{message}");
    }
    assert_eq!(fs::read_dir(&safe).unwrap().count(), 2);
    let answer = ask(&mut client, &json!({ "to": "good" })).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[tokio::test]
async fn without_a_directory_the_answer_says_what_to_configure() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let answer = ask(&mut client, &json!({ "to": "x" })).await;
    let message = answer.exception(400, "InvalidConfigurationException");
    for words in ["[backup]", "SYNCLINE_BACKUP_DIRECTORY"] {
        assert!(message.contains(words), "{message}");
    }
}

#[tokio::test]
async fn a_disk_that_fails_the_backup_fails_nothing_else() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path();
    // Nothing can be made beneath a file.
    fs::write(directory.join("safe"), "").unwrap();
    fs::write(directory.join("c.toml"), "[backup]\ndirectory = \"safe\"\n").unwrap();
    let running = serve_with(directory, "data", &["--config", "c.toml"]);
    let mut client = running.client().await;
    let guest = Guest::new(&mut client).await;
    let answer = ask(&mut client, &json!({ "to": "x" })).await;
    let message = answer.exception(500, "InternalErrorException");
    assert!(!message.contains("safe"), "{message}");
    assert_eq!(guest.put(&mut client, "level", "1", 0).await.status, 200);
    let health = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    assert_eq!(client.ask(health).await.status, 200);
    drop(client);
    let log = stop(running);
    assert!(log.contains("making the backup safe/x: "), "{log}");
}

#[test]
fn backups_do_not_go_into_the_data_directory() {
    let home = tempfile::tempdir().unwrap();
    let mut check = syncline(home.path(), &["config", "check", "--data", "d"]);
    check.env("SYNCLINE_BACKUP_DIRECTORY", "d/backups");
    let log = crate::process::refused(check);
    let words = "backup.directory must be outside of the data directory";
    assert!(log.contains(words), "{log}");
}
