//! `syncline key` and `syncline config`, as they are typed.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::client::{Answer, Client};
use crate::commands::{self, serve, stop, told};
use crate::process::{refused, syncline};
use crate::signed::{Guest, developer};
use crate::signer::Signer;

fn key(directory: &Path, arguments: &[&str]) -> Command {
    let data = ["--data", "data"];
    syncline(directory, &[&["key"], arguments, &data].concat())
}

fn key_json(directory: &Path, arguments: &[&str]) -> Value {
    commands::json(key(directory, &[arguments, &["--json"]].concat()))
}

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap()
}

fn signer(key: &Value) -> Signer<'_> {
    Signer {
        access_key_id: text(key, "access_key_id"),
        secret: text(key, "secret_access_key"),
        ..developer("cognito-sync")
    }
}

async fn usage(client: &mut Client, signer: &Signer<'_>, pool: &str) -> Answer {
    let path = format!("/identitypools/{}", pool.replace(':', "%3A"));
    client.signed(signer, "GET", &path, &[], b"").await
}

#[tokio::test]
async fn a_key_is_made_used_disabled_and_deleted() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let log = refused(key(directory, &["list"]));
    assert!(log.contains("data is not a data directory"), "{log}");
    assert!(!directory.join("data").exists());

    let running = serve(directory, "data");
    let pool = Guest::new(&mut running.client().await).await.pool;
    let other = Guest::new(&mut running.client().await).await.pool;
    let log = refused(key(directory, &["create"]));
    assert!(
        log.contains("stop the server, then run this again"),
        "{log}"
    );
    stop(running);

    assert_eq!(key_json(directory, &["list"]), json!([]));
    let made = key_json(directory, &["create", "--pool", &pool, "--name", "ci"]);
    let reader = key_json(directory, &["create", "--read-only"]);
    assert_eq!(text(&made, "access_key_id").len(), 20);
    assert!(text(&made, "access_key_id").starts_with("AKIA"));
    assert_eq!(text(&made, "secret_access_key").len(), 40);
    secrets_are_nowhere(directory, &[&made, &reader]);
    let running = serve(directory, "data");
    let mut client = running.client().await;
    assert_eq!(usage(&mut client, &signer(&made), &pool).await.status, 200);
    let answer = usage(&mut client, &signer(&made), &other).await;
    let message = answer.exception(403, "AccessDeniedException");
    let action = "is not authorized to perform: cognito-sync:DescribeIdentityPoolUsage";
    assert!(message.contains(action), "{message}");
    assert_eq!(
        usage(&mut client, &signer(&reader), &other).await.status,
        200
    );
    drop(client);
    stop(running);

    let id = text(&made, "access_key_id");
    assert_eq!(key_json(directory, &["disable", id])["state"], "disabled");
    let running = serve(directory, "data");
    let mut client = running.client().await;
    let unknown = Signer {
        access_key_id: id,
        ..developer("cognito-sync")
    };
    let answer = usage(&mut client, &signer(&made), &pool).await;
    answer.exception(403, "InvalidSignatureException");
    let wrong = usage(&mut client, &unknown, &pool).await;
    wrong.exception(403, "InvalidSignatureException");
    assert_eq!(first_line(&answer), first_line(&wrong));
    drop(client);
    stop(running);

    assert_eq!(key_json(directory, &["enable", id])["state"], "enabled");
    let listed = key_json(directory, &["list"]);
    assert_eq!(listed.as_array().unwrap().len(), 2);
    let found = listed.as_array().unwrap().iter();
    let found: Vec<_> = found.filter(|key| key["access_key_id"] == id).collect();
    assert_eq!(found[0]["pools"], json!([pool]));
    assert_eq!(found[0]["name"], "ci");
    assert_eq!(found[0].get("secret_access_key"), None);
    let running = serve(directory, "data");
    let mut client = running.client().await;
    assert_eq!(usage(&mut client, &signer(&made), &pool).await.status, 200);
    drop(client);
    stop(running);

    assert!(told(key(directory, &["delete", id])).contains("is deleted"));
    let log = refused(key(directory, &["disable", id]));
    assert!(log.contains(&format!("there is no key {id}")), "{log}");
    let running = serve(directory, "data");
    let answer = usage(&mut running.client().await, &signer(&made), &pool).await;
    answer.exception(403, "InvalidSignatureException");
}

/// Nothing in the data directory holds the secrets of these keys, and nothing shows them.
fn secrets_are_nowhere(directory: &Path, made: &[&Value]) {
    let listed = told(key(directory, &["list"]));
    for key in made {
        let secret = text(key, "secret_access_key");
        assert!(!listed.contains(secret));
        for file in files(&directory.join("data")) {
            let bytes = std::fs::read(&file).unwrap();
            let found = bytes
                .windows(secret.len())
                .any(|window| window == secret.as_bytes());
            assert!(!found, "{}", file.display());
        }
    }
}

fn first_line(answer: &Answer) -> String {
    let message = answer.json()["message"].as_str().unwrap().to_owned();
    message.lines().next().unwrap().to_owned()
}

fn files(directory: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for file in std::fs::read_dir(directory).unwrap() {
        let path = file.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

async fn published(client: &mut Client) -> usize {
    let page = "GET /.well-known/jwks.json HTTP/1.1\r\nHost: x\r\n\r\n";
    client.ask(page).await.json()["keys"]
        .as_array()
        .unwrap()
        .len()
}

#[tokio::test]
async fn rotation_keeps_what_was_given_out_and_revocation_does_not() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let running = serve(directory, "data");
    let guest = Guest::new(&mut running.client().await).await;
    let log = refused(key(directory, &["rotate"]));
    assert!(log.contains("stop the server"), "{log}");
    stop(running);
    let made = key_json(directory, &["create"]);
    let rotated = key_json(directory, &["rotate"]);
    assert_eq!(rotated["sealing_key"], 2);
    assert_eq!(rotated["access_keys_ended"], false);

    let running = serve(directory, "data");
    let mut client = running.client().await;
    assert_eq!(published(&mut client).await, 2);
    let answer = guest.put(&mut client, "level", "1", 0).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(
        usage(&mut client, &signer(&made), &guest.pool).await.status,
        200
    );
    let newer = Guest::new(&mut client).await;
    assert_eq!(newer.put(&mut client, "level", "1", 0).await.status, 200);
    drop(client);
    stop(running);

    let rotated = key_json(directory, &["rotate", "--revoke"]);
    assert_eq!(rotated["older_keys_believed"], 0);
    assert_eq!(key_json(directory, &["list"])[0]["state"], "revoked");
    let id = text(&made, "access_key_id");
    let log = refused(key(directory, &["enable", id]));
    assert!(log.contains(&format!("{id} is revoked")), "{log}");
    let said = told(key(directory, &["disable", id]));
    assert!(said.contains("It is revoked"), "{said}");
    let running = serve(directory, "data");
    let mut client = running.client().await;
    assert_eq!(published(&mut client).await, 1);
    for guest in [&guest, &newer] {
        let path = guest.dataset("game");
        let answer = client.signed(&guest.signer(), "GET", &path, &[], b"").await;
        answer.exception(403, "InvalidSignatureException");
    }
    let answer = usage(&mut client, &signer(&made), &guest.pool).await;
    answer.exception(403, "InvalidSignatureException");
    let root = developer("cognito-sync");
    assert_eq!(usage(&mut client, &root, &guest.pool).await.status, 200);
}

#[test]
fn a_key_is_held_only_to_pools_that_exist_and_has_a_short_name() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    stop(serve(directory, "data"));
    let unknown = "us-east-1:00000000-0000-4000-8000-000000000000";
    let log = refused(key(directory, &["create", "--pool", unknown]));
    assert!(log.contains("there is no identity pool"), "{log}");
    let log = refused(key(directory, &["create", "--name", &"n".repeat(129)]));
    assert!(log.contains("at most 128 characters"), "{log}");
    assert_eq!(key_json(directory, &["list"]), json!([]));
}

#[test]
fn the_example_passes_its_own_check() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let example = told(syncline(directory, &["config", "example"]));
    std::fs::write(directory.join("e.toml"), &example).unwrap();
    let check = ["config", "check", "--config", "e.toml"];
    assert_eq!(
        told(syncline(directory, &check)),
        "The configuration is good.\n"
    );
    let mut odd = syncline(directory, &check);
    odd.env("SYNCLINE_LISTN", "x");
    let text = told(odd);
    assert!(text.contains("did you mean SYNCLINE_LISTEN?"), "{text}");
    std::fs::write(
        directory.join("e.toml"),
        example.replace("\nregion", "\nregoin"),
    )
    .unwrap();
    let log = refused(syncline(directory, &check));
    assert!(log.contains("did you mean `region`?"), "{log}");
    let mut bad = syncline(directory, &["config", "check"]);
    bad.env("SYNCLINE_LIMITS_CONNECTIONS", "0");
    let log = refused(bad);
    assert!(
        log.contains("limits.connections must be between 1"),
        "{log}"
    );
    assert!(!directory.join("syncline-data").exists());
}
