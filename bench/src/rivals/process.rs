//! A server of others as a process: started on a free port, asked to end, and gone with the run.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::{Kind, postgres, redis};
use crate::failure::{Result, fail};

/// How long one may take until it answers.
const START_WITHIN: Duration = Duration::from_secs(60);
/// How long one may take to end before it is killed, when nobody needs what it holds.
const END_WITHIN: Duration = Duration::from_secs(10);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Somebody else may take a free port before the server does.
const PORTS: usize = 3;

/// What is started, and as whom.
#[derive(Clone)]
pub struct Program {
    pub path: PathBuf,
    pub version: String,
    /// User and group, if not those of this process.
    owner: Option<(u32, u32)>,
}

/// The program of this name, where the shell would find it.
pub fn in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .filter(|directory| directory.is_absolute())
        .map(|directory| directory.join(name))
        .find(|path| path.is_file())
}

impl Program {
    /// Fails, in words, if it does not even tell its version.
    pub fn new(path: PathBuf, owner: Option<(u32, u32)>) -> std::result::Result<Self, String> {
        let cannot = |why: String| format!("{} does not run: {why}", path.display());
        let told = Command::new(&path).arg("--version").output();
        let told = told.map_err(|error| cannot(error.to_string()))?;
        let text = String::from_utf8_lossy(&told.stdout).into_owned();
        let words = text
            .split_whitespace()
            .map(|word| word.trim_start_matches("v="));
        let number = words
            .into_iter()
            .find(|word| word.starts_with(|first: char| first.is_ascii_digit()));
        let version = number.ok_or_else(|| cannot(format!("it says {text:?}")))?;
        Ok(Self {
            version: version.to_owned(),
            path,
            owner,
        })
    }

    /// This program or one beside it, run by its owner.
    pub fn command(&self, path: &Path) -> Command {
        let mut command = Command::new(path);
        command.env("LC_ALL", "C").stdin(Stdio::null());
        if let Some((user, group)) = self.owner {
            command.uid(user).gid(group);
        }
        command
    }

    /// Makes a directory that is its owner's alone.
    pub fn make_directory(&self, directory: &Path) -> Result<()> {
        std::fs::create_dir(directory)?;
        std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o700))?;
        if let Some((user, group)) = self.owner {
            chown(directory, Some(user), Some(group))?;
        }
        Ok(())
    }
}

/// A running server; ends when dropped.
pub struct Process {
    child: Child,
    pub port: u16,
}

impl Process {
    /// Starts a server with its data in a directory, and waits until it answers.
    pub async fn start(
        kind: Kind,
        program: &Program,
        directory: &Path,
        connections: usize,
    ) -> Result<Self> {
        let directory = directory.canonicalize()?;
        let log = directory.join("log");
        for _ in 0..PORTS {
            let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
                .local_addr()?
                .port();
            let mut command = match kind {
                Kind::Redis => redis::command(program, &directory, port),
                Kind::Postgres => postgres::command(program, &directory, port, connections),
            };
            let told = File::create(&log)?;
            command
                .current_dir(&directory)
                .stdout(told.try_clone()?)
                .stderr(told);
            let child = command.spawn();
            let child = child.map_err(|error| format!("{}: {error}", program.path.display()))?;
            let mut process = Self { child, port };
            if process.comes_up(kind, &directory).await? {
                return Ok(process);
            }
        }
        let log = std::fs::read_to_string(log).unwrap_or_default();
        let name = kind.name();
        fail(format!("{name} does not start:\n{log}"))
    }

    /// Whether it answers before it ends.
    async fn comes_up(&mut self, kind: Kind, directory: &Path) -> Result<bool> {
        let began = Instant::now();
        while self.child.try_wait()?.is_none() {
            let greeted = match kind {
                Kind::Redis => redis::greet(self.port, self.pid()).await,
                Kind::Postgres => postgres::greet(self.port, directory).await,
            };
            match greeted {
                Ok(()) => return Ok(true),
                Err(failure) if began.elapsed() > START_WITHIN => {
                    let name = kind.name();
                    return fail(format!("{name} does not answer: {failure}"));
                }
                Err(_) => tokio::time::sleep(LOOK_EVERY).await,
            }
        }
        Ok(false)
    }

    /// The number by which the system knows it.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to end and fails unless it does so in good order.
    pub fn stop(&mut self) -> Result<()> {
        self.interrupt()?;
        let status = self.child.wait()?;
        if status.success() {
            return Ok(());
        }
        fail(format!("a server ended with {status}"))
    }

    /// Both understand this as an order to end without waiting for their clients.
    fn interrupt(&self) -> Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.ok_or("a child has no id")?, Signal::INT)?;
        Ok(())
    }

    fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Not killed at once: PostgreSQL's other processes would be left behind.
        if self.has_ended() || self.interrupt().is_err() {
            return;
        }
        let began = Instant::now();
        while began.elapsed() < END_WITHIN {
            if self.has_ended() {
                return;
            }
            std::thread::sleep(LOOK_EVERY);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_tells_its_version_or_is_not_there() {
        let cargo = Program::new(PathBuf::from(env!("CARGO")), None).unwrap();
        assert!(cargo.version.starts_with("1."), "{}", cargo.version);
        assert!(in_path("no-program-is-called-so").is_none());
        assert!(Program::new(PathBuf::from("/nowhere"), None).is_err());
    }
}
