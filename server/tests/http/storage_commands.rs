//! `syncline backup`, `restore`, `compact` and `purge`, as they are typed.

use std::process::Command;

use serde_json::{Value, json};

use crate::commands::{json as ran_json, ran, serve, stop, told};
use crate::process::{refused, syncline};
use crate::signed::{Guest, developer};

#[tokio::test]
async fn a_server_goes_on_from_its_backup() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let backup = |more: &[&str]| {
        let arguments = ["backup", "--data", "data", "--to", "safe"];
        syncline(directory, &[&arguments, more].concat())
    };
    let log = refused(backup(&[]));
    assert!(log.contains("data is not a data directory"), "{log}");
    let running = serve(directory, "data");
    let guest = Guest::new(&mut running.client().await).await;
    let log = refused(backup(&[]));
    for words in ["stop the server, then run this", "/syncline/v1/backup"] {
        assert!(log.contains(words), "{log}");
    }
    stop(running);

    let made = ran_json(backup(&["--json"]));
    assert_eq!(made["copied_files"], 1, "the file of keys: {made}");
    assert!(made["linked_files"].as_u64() > Some(0), "{made}");
    assert_eq!(made["earliest_sequence"], 0, "{made}");
    let log = refused(backup(&[]));
    assert!(log.contains("safe exists and is not empty"), "{log}");
    let running = Command::new(env!("CARGO_BIN_EXE_syncline"))
        .args(["serve", "--data", "safe", "--listen", "127.0.0.1:0"])
        .current_dir(directory)
        .output()
        .unwrap();
    let log = String::from_utf8_lossy(&running.stderr).into_owned();
    assert!(log.contains("is a backup"), "{log}");

    let restore = |more: &[&str]| {
        let arguments = ["restore", "--data", "again", "--from", "safe"];
        syncline(directory, &[&arguments, more].concat())
    };
    let log = refused(restore(&["--sequence", "99999"]));
    assert!(log.contains("the backup ends with"), "{log}");
    assert!(!directory.join("again").exists());
    let done = ran_json(restore(&["--json"]));
    assert_eq!(done["sequence"], made["sequence"]);
    // The pool is there, and the root key of the environment still reads it.
    let running = serve(directory, "again");
    let path = format!("/identitypools/{}", guest.pool.replace(':', "%3A"));
    let mut client = running.client().await;
    let signer = developer("cognito-sync");
    let answer = client.signed(&signer, "GET", &path, &[], b"").await;
    assert_eq!(answer.status, 200);
    stop(running);
}

#[test]
fn compact_and_purge_say_what_they_did() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    stop(serve(directory, "data"));
    let compact = syncline(directory, &["compact", "--data", "data"]);
    assert!(told(compact).contains("segments of the log retired"));
    let explained = told(syncline(directory, &["purge", "--data", "data"]));
    assert!(explained.contains("after 25 hours"), "{explained}");
    let purge = ["purge", "--now", "--data", "data", "--json"];
    let purged = ran_json(syncline(directory, &purge));
    assert!(purged["feed_floor"].is_u64(), "{purged}");
    assert_eq!(purged["cut_off"], json!([]));
    stop(serve(directory, "data"));
}

#[test]
fn a_backup_is_checked_as_one() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    stop(serve(directory, "data"));
    let backup = ["backup", "--data", "data", "--to", "safe"];
    assert!(told(syncline(directory, &backup)).starts_with("safe holds everything"));
    let check = |code| {
        let check = ["check", "--data", "safe", "--json"];
        let (text, _) = ran(syncline(directory, &check), code);
        serde_json::from_str::<Value>(&text).unwrap()
    };
    let sound = check(0);
    assert_eq!(
        (&sound["backup"], &sound["sound"]),
        (&true.into(), &true.into())
    );
    assert_eq!(sound["notes"], json!([]));
    for (name, why) in [
        ("keys", "the file of the backup is missing"),
        ("BACKUP", "empty"),
    ] {
        let (path, aside) = (directory.join("safe").join(name), directory.join("aside"));
        std::fs::rename(&path, &aside).unwrap();
        if name == "BACKUP" {
            std::fs::write(&path, "").unwrap();
        }
        let problem = &check(1)["problems"][0];
        assert_eq!(problem["file"], name);
        assert!(problem["why"].as_str().unwrap().contains(why), "{problem}");
        std::fs::rename(&aside, &path).unwrap();
    }
    let told_of = told(syncline(directory, &["check", "--data", "safe"]));
    assert!(
        told_of.starts_with("This is a backup, and everything"),
        "{told_of}"
    );
}
