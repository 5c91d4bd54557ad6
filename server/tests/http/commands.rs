//! Commands as they are typed, and a server between them.

use std::path::Path;
use std::process::{Command, Output};

use rustix::process::Signal;
use serde_json::Value;

use crate::process::{Running, syncline};
use crate::server::ROOT;

/// What a command says on stdout and stderr, and ends with.
pub(crate) fn ran(mut command: Command, code: i32) -> (String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    let stderr = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(code), "{stderr}");
    (String::from_utf8(stdout).unwrap(), stderr)
}

/// Text of a command that succeeds and complains of nothing.
pub(crate) fn told(command: Command) -> String {
    let (stdout, stderr) = ran(command, 0);
    assert_eq!(stderr, "");
    stdout
}

/// The same of a command that prints JSON.
pub(crate) fn json(command: Command) -> Value {
    serde_json::from_str(&told(command)).unwrap()
}

/// A server on a data directory, whose developer is that of every test.
pub(crate) fn serve(directory: &Path, data: &str) -> Running {
    serve_with(directory, data, &[])
}

/// The same, with more arguments.
pub(crate) fn serve_with(directory: &Path, data: &str, more: &[&str]) -> Running {
    Running::start(serving(directory, data, more))
}

/// The command that starts it.
pub(crate) fn serving(directory: &Path, data: &str, more: &[&str]) -> Command {
    let arguments = ["serve", "--data", data, "--listen", "127.0.0.1:0"];
    let mut command = syncline(directory, &[&arguments, more].concat());
    command.env("SYNCLINE_ROOT_ACCESS_KEY_ID", ROOT.0);
    command.env("SYNCLINE_ROOT_SECRET_ACCESS_KEY", ROOT.1);
    command
}

/// Stops a server; tells its log.
pub(crate) fn stop(running: Running) -> String {
    running.signal(Signal::TERM);
    let (status, log) = running.ended();
    assert_eq!(status.code(), Some(0), "{log}");
    log
}
