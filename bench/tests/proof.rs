//! The runs that prove: that they go through with a server that keeps its word, and that they fail
//! with one that forgot something.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

mod built;

use built::server;

/// Rounds of this seed and the next kill no start, so the second round ends with the third start.
const SEED_WITHOUT_STUMBLE: &str = "6";

fn killing(scratch: &TempDir, server: &Path) -> (Output, String) {
    let log = scratch.path().join("killing.log");
    let output = Command::new(env!("CARGO_BIN_EXE_syncline-bench"))
        .args(["killing", "--rounds", "2", "--clients", "3"])
        .args(["--changes", "200", "--seed", SEED_WITHOUT_STUMBLE])
        .arg("--server")
        .arg(server)
        .arg("--data")
        .arg(scratch.path().join("data"))
        .arg("--log")
        .arg(&log)
        .output()
        .unwrap();
    (output, fs::read_to_string(log).unwrap())
}

#[test]
fn a_server_that_keeps_its_word_is_killed_in_vain() {
    let scratch = tempfile::tempdir().unwrap();
    let (output, log) = killing(&scratch, &server());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(
        !log.contains("killed again"),
        "the next test needs another seed"
    );
    assert!(log.ends_with("2 rounds, 288 datasets compared, nothing lost, nothing invented\n"));
}

/// The data are as they were after the round before: consistent, but not what was acknowledged.
#[test]
fn a_server_that_forgot_a_round_is_found_out() {
    let scratch = tempfile::tempdir().unwrap();
    let forgetful = forgetful(scratch.path());
    let (output, log) = killing(&scratch, &forgetful);
    assert!(!output.status.success());
    let last = log.lines().last().unwrap();
    assert!(last.starts_with("round 2, seed 7: FAILED: "), "{last}");
    let found = ["should be", "and should", "is lost", "nobody made"];
    assert!(found.iter().any(|words| last.contains(words)), "{last}");
}

/// A server that puts a copy aside at its second start and goes back to it at the third.
fn forgetful(directory: &Path) -> PathBuf {
    let path = directory.join("forgetful");
    let script = format!(
        r#"#!/bin/sh
set -e
case "$1" in serve) ;; *) exit 2 ;; esac
data=
previous=
for argument; do
    if [ "$previous" = --data ]; then data=$argument; fi
    previous=$argument
done
starts=$data.starts
echo start >>"$starts"
case $(wc -l <"$starts") in
2) cp -r "$data" "$data.old" ;;
3) rm -r "$data" && mv "$data.old" "$data" ;;
esac
exec '{}' "$@"
"#,
        server().display()
    );
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    path
}

#[test]
fn a_soak_leaves_samples_of_everything() {
    let scratch = tempfile::tempdir().unwrap();
    let csv = scratch.path().join("soak.csv");
    let output = Command::new(env!("CARGO_BIN_EXE_syncline-bench"))
        .args([
            "soak",
            "--minutes",
            "0.05",
            "--connections",
            "2",
            "--identities",
            "6",
        ])
        .arg("--server")
        .arg(server())
        .arg("--data")
        .arg(scratch.path().join("data"))
        .arg("--csv")
        .arg(&csv)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let text = fs::read_to_string(csv).unwrap();
    let mut lines = text.lines().filter(|line| !line.starts_with('#'));
    let columns = lines.next().unwrap().split(',').count();
    let samples: Vec<Vec<f64>> = lines
        .map(|line| {
            line.split(',')
                .map(|number| number.parse().unwrap())
                .collect()
        })
        .collect();
    assert!(samples.len() >= 2);
    for sample in samples {
        assert_eq!(sample.len(), columns);
        assert!(sample.iter().all(|number| *number > 0.0), "{sample:?}");
    }
}
