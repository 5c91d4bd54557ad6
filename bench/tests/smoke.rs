//! Every measurement at tiny sizes: that it runs to its end, that its own checks pass, and that its
//! report says what was asked for. How fast it was is not looked at.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

fn bench(scratch: &TempDir, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_syncline-bench"))
        .args(arguments)
        .arg("--data")
        .arg(scratch.path().join("data"))
        .arg("--report")
        .arg(scratch.path().join("report"))
        .output()
        .unwrap()
}

fn report(scratch: &TempDir, name: &str, arguments: &[&str]) -> Value {
    let output = bench(scratch, arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
    let report = scratch
        .path()
        .join("report")
        .join(name)
        .with_extension("json");
    let report: Value = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
    assert!(report["machine"]["cores"].as_u64().unwrap() > 0);
    let left = std::fs::read_dir(scratch.path().join("data"))
        .unwrap()
        .count();
    assert_eq!(left, 0, "the data of a run are removed");
    report[name].clone()
}

fn callers(figures: &Value) -> Vec<(String, u64)> {
    let figures = figures.as_array().unwrap().iter();
    figures
        .map(|figure| {
            assert!(figure["updates"].as_u64().unwrap() > 0);
            let name = figure["contestant"].as_str().unwrap().to_owned();
            (name, figure["callers"].as_u64().unwrap())
        })
        .collect()
}

#[test]
fn commits_measures_every_contestant_in_one_run() {
    let scratch = tempfile::tempdir().unwrap();
    let sizes = ["--threads", "1,3", "--datasets", "30", "--few", "3"];
    let times = ["--seconds", "0.05", "--rounds", "2"];
    let report = report(
        &scratch,
        "commits",
        &[&["commits"], &sizes[..], &times[..]].concat(),
    );
    let names = ["engine", "raw-group", "engine-few", "raw-alone"].map(str::to_owned);
    let expected: Vec<_> = [1, 3]
        .into_iter()
        .flat_map(|threads| names.iter().map(move |name| (name.clone(), threads)))
        .filter(|found| *found != ("raw-alone".to_owned(), 3))
        .collect();
    assert_eq!(callers(&report["figures"]), expected);
    // Both engines by both limits on one thread, by one on three.
    assert_eq!(report["ratios"].as_array().unwrap().len(), 6);
}

#[test]
fn commits_refuses_more_threads_than_datasets() {
    let scratch = tempfile::tempdir().unwrap();
    let output = bench(
        &scratch,
        &[
            "commits",
            "--threads",
            "4",
            "--datasets",
            "3",
            "--contestants",
            "engine",
        ],
    );
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("4 threads need at least one dataset each"),
        "{said}"
    );
}

#[test]
fn memory_fills_kills_reopens_and_keeps_its_bound() {
    let scratch = tempfile::tempdir().unwrap();
    let sizes = ["--memory-identities", "50", "--records-per-identity", "6"];
    let more = ["--datasets-per-identity", "1,3", "--cache-mib", "1"];
    let report = report(
        &scratch,
        "memory",
        &[&["memory"], &sizes[..], &more[..]].concat(),
    );
    let stores = report.as_array().unwrap();
    assert_eq!(stores.len(), 2);
    for (store, datasets) in stores.iter().zip([50, 150]) {
        for stage in ["filled", "after_kill", "after_close"] {
            assert_eq!(store[stage]["records"], 300, "{stage}");
            assert_eq!(store[stage]["datasets"], datasets, "{stage}");
            assert_eq!(store[stage]["identities"], 50, "{stage}");
        }
        assert_eq!(store["after_kill"]["clean"], false);
        assert_eq!(store["after_close"]["clean"], true);
    }
}

#[test]
fn http_updates_exactly_as_often_as_it_is_answered() {
    let scratch = tempfile::tempdir().unwrap();
    let server = server();
    let sizes = [
        "--connections",
        "1,5",
        "--identities",
        "10",
        "--updates",
        "64",
    ];
    let run = ["--http-rounds", "2", "--server", server.to_str().unwrap()];
    let report = report(
        &scratch,
        "http",
        &[&["http"], &sizes[..], &run[..]].concat(),
    );
    let expected = [
        ("syncline serve", 1),
        ("bare hyper echo", 1),
        ("syncline serve", 5),
        ("bare hyper echo", 5),
    ];
    let expected: Vec<_> = expected
        .map(|(name, callers)| (name.to_owned(), callers))
        .into();
    assert_eq!(callers(&report["figures"]), expected);
}

/// The real server, built as this test was, since a test knows only the programs of its own
/// package.
fn server() -> PathBuf {
    let profile = Path::new(env!("CARGO_BIN_EXE_syncline-bench"))
        .parent()
        .unwrap();
    let mut build = Command::new(env!("CARGO"));
    build.args([
        "build",
        "--quiet",
        "--package",
        "syncline-server",
        "--bin",
        "syncline",
    ]);
    build.arg("--target-dir").arg(profile.parent().unwrap());
    if profile.ends_with("release") {
        build.arg("--release");
    }
    assert!(build.status().unwrap().success());
    profile.join("syncline")
}
