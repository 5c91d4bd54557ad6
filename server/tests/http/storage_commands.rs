//! `syncline backup`, `restore`, `compact` and `purge`, as they are typed.

use std::path::Path;
use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;

use crate::process::{Running, refused, syncline};
use crate::server::ROOT;
use crate::signed::{Guest, developer};

/// Text of a command that succeeds.
fn told(mut command: Command) -> String {
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    assert_eq!(stderr, "");
    String::from_utf8(output.stdout).unwrap()
}

fn json(command: Command) -> Value {
    serde_json::from_str(&told(command)).unwrap()
}

fn serve(directory: &Path, data: &str) -> Running {
    let arguments = ["serve", "--data", data, "--listen", "127.0.0.1:0"];
    let mut command = syncline(directory, &arguments);
    command.env("SYNCLINE_ROOT_ACCESS_KEY_ID", ROOT.0);
    command.env("SYNCLINE_ROOT_SECRET_ACCESS_KEY", ROOT.1);
    Running::start(command)
}

fn stop(running: Running) {
    running.signal(Signal::TERM);
    let (status, log) = running.ended();
    assert_eq!(status.code(), Some(0), "{log}");
}

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
    assert!(log.contains("stop the server, then run this"), "{log}");
    stop(running);

    let made = json(backup(&["--json"]));
    assert_eq!(made["files_copied"], 1, "the file of keys: {made}");
    assert!(made["files_linked"].as_u64() > Some(0), "{made}");
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
    let done = json(restore(&["--json"]));
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
    let purged = json(syncline(directory, &purge));
    assert!(purged["floor"].is_u64(), "{purged}");
    assert_eq!(purged["cut_off"], serde_json::json!([]));
    stop(serve(directory, "data"));
}
