//! Fresh processes of this program: each does one stage of a measurement on a store, so that
//! nothing of one stage is counted in another, and says in one line what it saw.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::arguments::Shape;
use crate::failure::{Result, fail};

/// A process that said what it saw.
pub struct Fresh<S> {
    child: Child,
    seen: S,
}

impl<S: DeserializeOwned> Fresh<S> {
    /// Starts one and waits for what it saw.
    pub fn start(arguments: &[String], shape: &Shape) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(arguments)
            .arg("--store")
            .arg(&shape.store)
            .args(["--identities", &shape.identities.to_string()])
            .args(["--datasets", &shape.datasets.to_string()])
            .args(["--records", &shape.records.to_string()])
            .args(["--cache-bytes", &shape.cache_bytes.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        if line.is_empty() {
            let status = child.wait()?;
            return fail(format!("{} ended with {status}", arguments.join(" ")));
        }
        let seen = serde_json::from_str(&line)?;
        Ok(Self { child, seen })
    }

    /// What one saw that ends by itself.
    pub fn ended(mut self) -> Result<S> {
        let status = self.child.wait()?;
        if status.success() {
            Ok(self.seen)
        } else {
            fail(format!("a stage ended with {status}"))
        }
    }

    /// What one saw that waits in the middle of its work, with nothing closed.
    pub fn killed(mut self) -> Result<S> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(self.seen)
    }
}

/// Says what this process saw to the one that started it.
pub fn tell(seen: &impl Serialize) -> Result<()> {
    let line = serde_json::to_string(seen)?;
    writeln!(std::io::stdout().lock(), "{line}")?;
    Ok(())
}

/// Waits to be killed by the process that started this one; without it, this ends with it.
pub fn wait_to_be_killed() -> Result<()> {
    std::io::stdin().lock().read_to_end(&mut Vec::new())?;
    fail("nobody killed this process")
}
