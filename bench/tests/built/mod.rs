//! The real server for the tests of this package.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The real server, built as this test was, since a test knows only the programs of its own
/// package.
pub fn server() -> PathBuf {
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
