//! `streams` at a tiny size: that it runs to its end, and that its report and the document say what
//! was asked for. How fast it was is not looked at.

#![allow(clippy::unwrap_used)]

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use serde_json::Value;

mod built;

#[test]
fn every_change_is_delivered_and_every_record_published() {
    let scratch = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_syncline-bench"))
            .args(arguments)
            .current_dir(scratch.path())
            .args(["--data", "data", "--report", "report", "--server"])
            .arg(built::server())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}");
    };
    run(&[
        "streams",
        "--stream-datasets",
        "300",
        "--stream-rounds",
        "1",
    ]);
    let text = std::fs::read(scratch.path().join("report/streams.json")).unwrap();
    let report: Value = serde_json::from_slice(&text).unwrap();
    let report = &report["streams"];
    let sinks = report["sinks"].as_array().unwrap();
    assert_eq!(sinks[0]["sink"], "file");
    for sink in sinks {
        assert_eq!(sink["events"], 300);
        assert!(sink["file_bytes"].as_u64().unwrap() > 1000);
    }
    assert_eq!(report["publish"]["records"], 3000);
    assert!(report["publish"]["resident_most"].as_u64().unwrap() > 1 << 20);
    let left = std::fs::read_dir(scratch.path().join("data")).unwrap();
    assert_eq!(left.count(), 0, "the data of a run are removed");
    let prose = concat!(env!("CARGO_MANIFEST_DIR"), "/report");
    run(&["report", "--prose", prose, "--into", "document"]);
    let text = std::fs::read_to_string(scratch.path().join("document/BENCHMARKS.md")).unwrap();
    assert!(text.contains("| 3,000 records |"), "{text}");
    assert!(!text.contains("Not measured: `syncline-bench streams`"));
}

#[test]
fn a_server_that_cannot_be_asked_is_not_one_without_a_feature() {
    let scratch = tempfile::tempdir().unwrap();
    let server = scratch.path().join("server");
    std::fs::write(&server, "#!/bin/sh\necho it is broken >&2\nexit 3\n").unwrap();
    std::fs::set_permissions(&server, std::fs::Permissions::from_mode(0o700)).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_syncline-bench"))
        .args(["--data", "data", "--report", "report", "streams"])
        .arg("--server")
        .arg(&server)
        .current_dir(scratch.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(
        said.contains("the server refuses compress = \"zstd\": it is broken"),
        "{said}"
    );
}
