//! The order of the modules of both crates, as `docs/ARCHITECTURE.md` draws it.

#![allow(clippy::unwrap_used)]

use syncline_tests::layers::{Layers, deviations};
use syncline_tests::workspace;

const ENGINE: Layers<'_> = &[
    &["limits", "sync"],
    &["bell", "codec", "refill", "types"],
    &["disk", "error", "frame", "record"],
    &["records", "whole"],
    &["commit"],
    &["content"],
    &["proposal", "quarantine", "root", "transfer", "unfinished"],
    &["manifest", "options", "page", "segment"],
    &["state"],
    &[
        "cache", "draft", "files", "pins", "plan", "readers", "scan", "spare",
    ],
    &["cold", "errand", "ticket"],
    &["checkpoint", "log", "snapshot"],
    &["backup", "tail", "watermark"],
    &["recovery"],
    &["restore", "store"],
    &["feed", "queue", "reader"],
    &["batch", "export"],
    &["writer"],
    &["cleaner"],
    &["engine"],
    &["check"],
    &["inspect", "repair"],
    &["fuzzing"],
];

const SERVER: Layers<'_> = &[
    &["bucket", "error", "metrics", "realm"],
    &["config"],
    &[
        "guests", "lines", "outbound", "routes", "seal", "sigv4", "throttle", "wire",
    ],
    &["access", "providers", "session", "webhook"],
    &["live", "trigger"],
    &["site"],
    &["stream"],
    &["sink"],
    &[
        "backup", "changes", "events", "identity", "kinesis", "ops", "pump", "push", "start",
    ],
    &["keyring", "service"],
    &["listen"],
    &["cli"],
    &["main"],
];

fn check(crate_directory: &str, crate_name: &str, layers: Layers<'_>) {
    let src = workspace().join(crate_directory).join("src");
    let found = deviations(&src, crate_name, layers).unwrap();
    assert!(found.is_empty(), "{crate_directory}:\n{}", found.join("\n"));
}

#[test]
fn the_engine_imports_downwards() {
    check("engine", "syncline_engine", ENGINE);
}

#[test]
fn the_server_imports_downwards() {
    check("server", "syncline_server", SERVER);
}
