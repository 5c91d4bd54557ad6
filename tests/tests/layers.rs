//! The order of the modules of both crates, as `docs/ARCHITECTURE.md` draws it.

use syncline_tests::layers::{Layers, deviations};
use syncline_tests::workspace;

const ENGINE: Layers<'_> = &[
    &["disk", "limits"],
    &["codec", "types"],
    &["error", "frame", "options", "record"],
    &["commit", "proposal", "segment"],
    &["page", "scan", "spare", "state", "ticket"],
    &["cache", "draft", "log", "plan"],
    &["recovery", "watermark"],
    &["store"],
    &["feed", "queue", "reader"],
    &["batch"],
    &["writer"],
    &["engine"],
];

const SERVER: Layers<'_> = &[
    &["config", "error", "guests", "metrics", "realm"],
    &["routes", "seal", "sigv4", "wire"],
    &["access", "session"],
    &["site"],
    &["identity", "ops"],
    &["service"],
    &["listen"],
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
