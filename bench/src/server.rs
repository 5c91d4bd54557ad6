//! A server in a process of its own: the real one, or the echo.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::failure::{Result, fail};
use crate::load::account::{ACCESS_KEY, SECRET};
use crate::processor;

/// No limit on guests, since the run begins by making many.
const CONFIGURATION: &str = "[limits]\nguest_identities_per_second = 0\n";

/// The server's binary: the one that was named, or the one beside this program.
pub fn binary(named: Option<&Path>) -> Result<PathBuf> {
    if let Some(path) = named {
        return Ok(path.to_owned());
    }
    let beside = std::env::current_exe()?.with_file_name("syncline");
    if beside.exists() {
        return Ok(beside);
    }
    fail("the server's binary is not beside this program: build it, or name it with --server")
}

/// A running server; killed when dropped.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
    /// Kept open, so that the server may go on writing.
    _stdout: BufReader<ChildStdout>,
}

impl Server {
    /// `syncline serve` with its data, configuration and log below a directory.
    pub fn syncline(binary: &Path, directory: &Path) -> Result<Self> {
        Self::configured(binary, directory, &directory.join("data"), CONFIGURATION)
    }

    /// `syncline serve` with a configuration of its own, and data that may be elsewhere. The log of
    /// an earlier one is replaced.
    pub fn configured(
        binary: &Path,
        directory: &Path,
        data: &Path,
        settings: &str,
    ) -> Result<Self> {
        let configuration = directory.join("syncline.toml");
        std::fs::write(&configuration, settings)?;
        let log = std::fs::File::create(directory.join("log"))?;
        let mut command = Command::new(binary);
        command
            .arg("serve")
            .args(["--listen", "127.0.0.1:0"])
            .arg("--data")
            .arg(data)
            .arg("--config")
            .arg(configuration)
            .env("SYNCLINE_ROOT_ACCESS_KEY_ID", ACCESS_KEY)
            .env("SYNCLINE_ROOT_SECRET_ACCESS_KEY", SECRET)
            .stderr(log);
        let started = Self::start(command);
        started.map_err(|failure| {
            let log = std::fs::read_to_string(directory.join("log")).unwrap_or_default();
            format!("{} does not start: {failure}\n{log}", binary.display()).into()
        })
    }

    /// This program's echo, whose answers have so many bytes beside the header block; it appends to
    /// the log what it is sent, if it has one.
    pub fn echo(answer_bytes: usize, log: Option<&Path>) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .arg("echo")
            .args(["--answer-bytes", &answer_bytes.to_string()]);
        if let Some(log) = log {
            command.arg("--log").arg(log);
        }
        Self::start(command)
    }

    fn start(mut command: Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take().ok_or("a child has no stdout")?;
        let mut stdout = BufReader::new(stdout);
        let mut line = String::new();
        stdout.read_line(&mut line)?;
        let Some((_, address)) = line.trim_end().split_once(" listening on http://") else {
            let _ = child.kill();
            let status = child.wait()?;
            return fail(format!("it said {line:?} and ended with {status}"));
        };
        let address = address.parse()?;
        Ok(Self {
            child,
            address,
            _stdout: stdout,
        })
    }

    /// The number by which the system knows it.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Processor time so far.
    pub fn processor(&self) -> Result<Duration> {
        processor::of_process(self.child.id())
    }

    /// Asks the server to end and fails unless it does so in good order.
    pub fn stop(mut self) -> Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.ok_or("a child has no id")?, Signal::TERM)?;
        let status = self.child.wait()?;
        if status.success() {
            Ok(())
        } else {
            fail(format!("the server ended with {status}"))
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already, which is all that is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
