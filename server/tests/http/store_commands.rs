//! `syncline check`, `repair` and `stats`, as they are typed.

use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::commands::{ran, serve, stop};
use crate::process::{refused, syncline};
use crate::signed::Guest;

fn command(directory: &Path, arguments: &[&str]) -> Command {
    syncline(directory, &[arguments, &["--data", "data"]].concat())
}

fn json(directory: &Path, arguments: &[&str], code: i32) -> Value {
    let (text, _) = ran(command(directory, &[arguments, &["--json"]].concat()), code);
    serde_json::from_str(&text).unwrap()
}

fn damage(path: PathBuf, offset: u64) {
    let file = std::fs::File::options().read(true).write(true).open(path);
    let file = file.unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[byte[0] ^ 4], offset).unwrap();
}

#[tokio::test]
async fn damage_is_found_named_and_repaired() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let running = serve(directory, "data");
    let mut client = running.client().await;
    let guest = Guest::new(&mut client).await;
    assert_eq!(guest.put(&mut client, "level", "1", 0).await.status, 200);
    let log = refused(command(directory, &["check"]));
    assert!(log.contains("in use by"), "{log}");
    drop(client);
    stop(running);

    let (text, _) = ran(command(directory, &["check"]), 0);
    assert!(text.starts_with("Everything holds"), "{text}");
    let checked = json(directory, &["check"], 0);
    assert_eq!(
        (&checked["sound"], &checked["datasets"]),
        (&true.into(), &1.into())
    );
    let stats = json(directory, &["stats"], 0);
    assert_eq!(stats["datasets"], 1);
    assert_eq!(stats["store"], checked["store"]);
    let (text, _) = ran(command(directory, &["stats"]), 0);
    assert!(text.contains("datasets              1\n"), "{text}");
    let (text, _) = ran(command(directory, &["repair"]), 0);
    assert!(text.contains("sound"), "{text}");

    // The newest checkpoint, which nothing needs: the log reaches back.
    let checkpoints = std::fs::read_dir(directory.join("data/checkpoint")).unwrap();
    let mut checkpoints: Vec<_> = checkpoints.map(|found| found.unwrap().path()).collect();
    checkpoints.sort();
    damage(checkpoints.pop().unwrap(), 60);
    let (text, log) = ran(command(directory, &["check"]), 1);
    assert!(text.contains("checkpoint/0000000"), "{text}");
    assert!(text.contains(".ckp: offset "), "{text}");
    assert!(log.contains("syncline repair --data data"), "{log}");
    let checked = json(directory, &["check"], 1);
    assert!(checked["problems"][0]["why"].is_string(), "{checked}");
    let planned = json(directory, &["repair", "--dry-run"], 0);
    assert_eq!(planned["lossy"], false);
    assert_eq!(
        json(directory, &["check"], 1)["problems"],
        checked["problems"]
    );
    let (text, _) = ran(command(directory, &["repair"]), 0);
    assert!(text.contains("Nothing that lives is lost"), "{text}");
    assert!(text.contains("set aside: quarantine/"), "{text}");
    assert_eq!(
        json(directory, &["check"], 0)["problems"],
        Value::Array(vec![])
    );
    assert_eq!(json(directory, &["stats"], 0)["store"], stats["store"]);

    let running = serve(directory, "data");
    let mut client = running.client().await;
    assert_eq!(guest.put(&mut client, "level", "2", 1).await.status, 200);
    drop(client);
    stop(running);
}

#[tokio::test]
async fn the_server_says_what_to_do_with_a_damaged_directory() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let running = serve(directory, "data");
    let mut client = running.client().await;
    let guest = Guest::new(&mut client).await;
    assert_eq!(guest.put(&mut client, "level", "1", 0).await.status, 200);
    drop(client);
    stop(running);
    let before = json(directory, &["stats"], 0);
    damage(directory.join("data/STORE"), 30);
    let log = refused(command(directory, &["serve", "--listen", "127.0.0.1:0"]));
    assert!(log.contains("STORE is corrupt at offset"), "{log}");
    assert!(log.contains("syncline check --data data"), "{log}");
    let repaired = json(directory, &["repair"], 0);
    assert_eq!(
        (&repaired["root_lost"], &repaired["lossy"]),
        (&true.into(), &true.into())
    );
    assert_eq!(repaired["lost_datasets"], Value::Array(vec![]));
    let after = json(directory, &["stats"], 0);
    assert_eq!(after["datasets"], before["datasets"]);
    assert_eq!(after["metadata"], before["metadata"]);
    assert_ne!(after["store"], before["store"]);
    let running = serve(directory, "data");
    stop(running);
}

#[test]
fn what_is_not_there_is_not_made() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["check", "repair", "stats"] {
        let log = refused(command(directory.path(), &[name]));
        assert!(log.contains("data is not a data directory"), "{log}");
        // One that belongs to someone else stays as it is.
        let log = refused(syncline(directory.path(), &[name, "--data", "."]));
        assert!(log.contains("is not a data directory"), "{log}");
        let (_, log) = ran(syncline(directory.path(), &[name, "--dta", "data"]), 2);
        assert!(log.contains("--data"), "{log}");
    }
    let left = std::fs::read_dir(directory.path()).unwrap();
    assert_eq!(left.count(), 0, "nothing was made");
}

#[test]
fn files_beside_the_store_are_verified_too() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    stop(serve(directory, "data"));
    let keys = directory.join("data/keys");
    let good = std::fs::read_to_string(&keys).unwrap();
    let lines: Vec<&str> = good.lines().collect();
    let number = lines.iter().position(|line| line.starts_with("secret"));
    let secret = lines[number.unwrap()];
    std::fs::write(&keys, good.replacen(secret, "secret = \"short\"", 1)).unwrap();
    let (text, log) = ran(command(directory, &["check"]), 1);
    let place = format!(
        "line {}: a sealing key is not 32 bytes",
        number.unwrap() + 1
    );
    assert!(
        text.contains("keys: offset ") && text.contains(&place),
        "{text}"
    );
    assert!(log.contains("the store itself is sound"), "{log}");
    std::fs::write(&keys, &good).unwrap();

    let credentials = directory.join("data/credentials");
    let text = "[default]\naws_access_key_id = AKIA\naws_secret_access_key = x y\n";
    std::fs::write(&credentials, text).unwrap();
    let problem = &json(directory, &["check"], 1)["problems"][0];
    assert_eq!(
        (&problem["file"], &problem["offset"]),
        (&"credentials".into(), &35.into())
    );
    let why = problem["why"].as_str().unwrap();
    assert!(why.starts_with("line 3: the secret is not"), "{why}");
    std::fs::write(&credentials, text.replace("x y", "a-secret")).unwrap();
    let checked = json(directory, &["check"], 0);
    assert_eq!(checked["notes"], Value::Array(vec![]));
}

#[test]
fn options_before_the_command_are_told_their_place() {
    let directory = tempfile::tempdir().unwrap();
    for (typed, meant) in [
        (&["--data", "d2", "check"][..], "`syncline check --data d2`"),
        (
            &["--data=d2", "key", "list", "--json"],
            "`syncline key list --json --data=d2`",
        ),
    ] {
        let (text, log) = ran(syncline(directory.path(), typed), 2);
        assert_eq!(text, "");
        assert!(log.contains("options go behind the command"), "{log}");
        assert!(log.contains(meant), "{log}");
    }
}
