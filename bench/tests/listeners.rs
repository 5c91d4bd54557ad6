//! `listeners` at a tiny size: that every change arrives and that its report says so.

#![allow(clippy::unwrap_used)]

use std::process::Command;

use serde_json::Value;

mod built;

#[test]
fn listeners_and_devices_are_told_of_every_update() {
    let scratch = tempfile::tempdir().unwrap();
    let (data, reports) = (scratch.path().join("data"), scratch.path().join("report"));
    let output = Command::new(env!("CARGO_BIN_EXE_syncline-bench"))
        .args([
            "listeners",
            "--listeners",
            "20",
            "--listener-seconds",
            "0.3",
        ])
        .arg("--server")
        .arg(built::server())
        .arg("--data")
        .arg(&data)
        .arg("--report")
        .arg(&reports)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let report = std::fs::read(reports.join("listeners.json")).unwrap();
    let report: Value = serde_json::from_slice(&report).unwrap();
    let report = &report["listeners"];
    assert_eq!(report["listeners"], 20);
    for part in ["events", "messages"] {
        let told = &report[part];
        assert!(told["updates"].as_u64().unwrap() > 0, "{told}");
        let after = |from: &str| told[from]["most_us"].as_f64().unwrap();
        assert!(after("after_sending") >= after("after_answer"), "{told}");
    }
    let left = std::fs::read_dir(&data).unwrap().count();
    assert_eq!(left, 0, "the data of a run are removed");
}
