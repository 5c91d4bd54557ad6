//! The program itself: flags, files, lines and signals.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::client::Client;
use crate::server::ROOT;
use crate::signed::Guest;

const HEALTH: &str = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";

/// The program, with nothing of our environment that it looks at.
pub(crate) fn syncline(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_syncline"));
    for variable in [
        "RUST_LOG",
        "SYNCLINE_CONFIG",
        "SYNCLINE_DATA",
        "SYNCLINE_LISTEN",
        "SYNCLINE_ROOT_ACCESS_KEY_ID",
        "SYNCLINE_ROOT_SECRET_ACCESS_KEY",
    ] {
        command.env_remove(variable);
    }
    command
        .args(arguments)
        .current_dir(directory)
        .stdin(Stdio::null());
    command
}

pub(crate) fn refused(mut command: Command) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    assert_eq!(
        status.code(),
        Some(1),
        "{}",
        String::from_utf8_lossy(&stderr)
    );
    assert!(stdout.is_empty());
    String::from_utf8(stderr).unwrap()
}

/// A running program that said it is ready.
pub(crate) struct Running {
    child: Child,
    pub(crate) address: SocketAddr,
    stdout: BufReader<std::process::ChildStdout>,
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let address = line
            .strip_prefix("syncline listening on http://")
            .and_then(|rest| rest.strip_suffix('\n'))
            .unwrap_or_else(|| panic!("not the ready line: {line:?}"));
        Self {
            child,
            address: address.parse().unwrap(),
            stdout,
        }
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(self.address).await
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    /// Waits for the end; nothing but the ready line may be on stdout.
    pub(crate) fn ended(mut self) -> (ExitStatus, String) {
        let (mut rest, mut log) = (String::new(), String::new());
        self.stdout.read_to_string(&mut rest).unwrap();
        self.child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut log)
            .unwrap();
        assert_eq!(rest, "");
        (self.child.wait().unwrap(), log)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Fails if it has ended, which is what we want.
        let _ = self.child.kill();
    }
}

#[tokio::test]
async fn it_says_ready_serves_and_stops_on_either_signal() {
    let directory = tempfile::tempdir().unwrap();
    for signal in [Signal::TERM, Signal::INT] {
        let arguments = ["serve", "--data", "here/data", "--listen", "127.0.0.1:0"];
        let running = Running::start(syncline(directory.path(), &arguments));
        assert_ne!(running.address.port(), 0);
        assert_eq!(running.client().await.ask(HEALTH).await.status, 200);
        running.signal(signal);
        let (status, log) = running.ended();
        assert_eq!(status.code(), Some(0), "{log}");
        for words in [
            "store opened",
            "here/data/credentials",
            "stopping",
            "stopped",
        ] {
            assert!(log.contains(words), "no {words:?} in\n{log}");
        }
    }
    let mode = |name: &str| {
        let path = directory.path().join("here/data").join(name);
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    };
    assert_eq!(mode(""), 0o700);
    for file in ["credentials", "keys", "LOCK"] {
        assert_eq!(mode(file), 0o600, "{file}");
    }
}

#[tokio::test]
async fn what_was_answered_is_there_after_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    let start = || {
        let mut command = syncline(
            directory.path(),
            &["--data", "data", "--listen", "127.0.0.1:0"],
        );
        command.env("SYNCLINE_ROOT_ACCESS_KEY_ID", ROOT.0);
        command.env("SYNCLINE_ROOT_SECRET_ACCESS_KEY", ROOT.1);
        Running::start(command)
    };
    let running = start();
    let mut client = running.client().await;
    let guest = Guest::new(&mut client).await;
    for count in 0..20_u64 {
        let answer = guest
            .put(&mut client, "level", &count.to_string(), count)
            .await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    running.signal(Signal::KILL);
    let (status, _) = running.ended();
    assert_eq!(status.code(), None);
    assert!(!directory.path().join("data/credentials").exists());
    // The same credentials still sign, and the next write goes on where the last one ended.
    let running = start();
    let mut client = running.client().await;
    let listed = guest.list(&mut client).await;
    assert_eq!(listed["DatasetSyncCount"], 20);
    assert_eq!(listed["Records"][0]["Value"], "19");
    let answer = guest.put(&mut client, "level", "20", 20).await;
    assert_eq!(
        answer.json()["Records"][0]["SyncCount"],
        21,
        "{}",
        answer.text()
    );
}

#[tokio::test]
async fn a_second_process_on_the_same_data_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let arguments = ["serve", "--data", "data", "--listen", "127.0.0.1:0"];
    let running = Running::start(syncline(directory.path(), &arguments));
    let log = refused(syncline(directory.path(), &arguments));
    let holder = running.child.id().to_string();
    assert!(log.contains("in use") && log.contains(&holder), "{log}");
    assert_eq!(running.client().await.ask(HEALTH).await.status, 200);
    // A taken address is found before anything is opened.
    let listen = running.address.to_string();
    let log = refused(syncline(
        directory.path(),
        &["--data", "other", "--listen", &listen],
    ));
    assert!(log.contains(&format!("cannot listen on {listen}")), "{log}");
}

#[tokio::test]
async fn flags_go_before_environment_before_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("syncline.toml");
    fs::write(&file, "data = \"of-file\"\nlisten = \"127.0.0.1:1\"\n").unwrap();
    for (flags, variable, made) in [
        (
            &["--data", "of-flag"][..],
            Some("of-environment"),
            "of-flag",
        ),
        (&[], Some("of-environment"), "of-environment"),
        (&[], None, "of-file"),
    ] {
        let arguments = ["--config", "syncline.toml", "--listen", "127.0.0.1:0"];
        let mut command = syncline(
            directory.path(),
            &[&["serve"], flags, &arguments[..]].concat(),
        );
        if let Some(value) = variable {
            command.env("SYNCLINE_DATA", value);
        }
        let running = Running::start(command);
        assert!(directory.path().join(made).join("LOCK").exists(), "{made}");
        fs::remove_dir_all(directory.path().join(made)).unwrap();
        drop(running);
    }
}

#[test]
fn what_cannot_work_is_said_before_anything_is_made() {
    let directory = tempfile::tempdir().unwrap();
    for (text, words) in [
        ("dta = \"x\"", "unknown field `dta`"),
        ("[limits]\nrecords = 5", "unknown field `records`"),
        ("listen = 7070", "expected"),
        ("region = \"\"", "region must be"),
        (
            "[limits]\nconnections = 0",
            "limits.connections must be between 1",
        ),
        (
            "[streams.x]\ntype = \"file\"\npath = \"y\"\nrotate_bytes = 1",
            "\"x\": rotate_bytes must be between 4096",
        ),
        ("= x", "line 1"),
    ] {
        fs::write(directory.path().join("c.toml"), text).unwrap();
        let log = refused(syncline(directory.path(), &["--config", "c.toml"]));
        assert!(log.contains(words), "{text}\n{log}");
    }
    let log = refused(syncline(directory.path(), &["--config", "absent.toml"]));
    assert!(log.contains("absent.toml"), "{log}");
    let mut half = syncline(
        directory.path(),
        &["--data", "d", "--listen", "127.0.0.1:0"],
    );
    half.env("SYNCLINE_ROOT_ACCESS_KEY_ID", "AKIA");
    let log = refused(half);
    assert!(
        log.contains("SYNCLINE_ROOT_SECRET_ACCESS_KEY is missing"),
        "{log}"
    );
    assert!(!directory.path().join("syncline-data").exists());
}

#[tokio::test]
async fn few_open_files_mean_few_connections_and_a_warning() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new("sh");
    let program = env!("CARGO_BIN_EXE_syncline");
    let line = format!("ulimit -n 260; exec {program} --data data --listen 127.0.0.1:0");
    command
        .args(["-c", &line])
        .current_dir(directory.path())
        .env_remove("RUST_LOG");
    let running = Running::start(command);
    // Far more clients than the 4 places: all are served, some after others left.
    let mut clients = Vec::new();
    for _ in 0..300 {
        clients.push(running.client().await);
    }
    for mut client in clients {
        assert_eq!(client.ask(HEALTH).await.status, 200);
    }
    running.signal(Signal::TERM);
    let (status, log) = running.ended();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(
        log.contains("260 open files leave room for 4 connections"),
        "{log}"
    );
    assert!(!log.contains("cannot accept"), "{log}");
}

#[test]
fn help_says_what_to_type() {
    let directory = tempfile::tempdir().unwrap();
    let Output { status, stdout, .. } = syncline(directory.path(), &["--help"]).output().unwrap();
    let help = String::from_utf8(stdout).unwrap();
    assert!(status.success());
    for words in [
        "serve",
        "--data",
        "--listen",
        "--config",
        "127.0.0.1:7070",
        "./syncline-data",
    ] {
        assert!(help.contains(words), "no {words:?} in\n{help}");
    }
}
