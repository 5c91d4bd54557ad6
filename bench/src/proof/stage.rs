//! A server and its clients: started, driven, killed, started again.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use super::link::{Link, Outcome, Trouble};
use super::settle::{Settled, settle};
use super::tally::Tally;
use super::walk::{Shape, Walk};
use crate::failure::{Result, fail};
use crate::server::Server;
use crate::workload::{Dice, mix};

/// Small files and little patience, so that segments are cut, checkpoints are taken and the log is
/// cleaned all the time.
const SETTINGS: &str = "[limits]\nguest_identities_per_second = 0\n[engine]\n\
     segment_bytes = 1048576\ncheckpoint_bytes = 1048576\nfeed_retention_bytes = 8388608\n\
     cache_bytes = 16777216\n";

/// Where a server's files are.
pub struct Place {
    pub binary: PathBuf,
    /// For its log and configuration.
    pub directory: PathBuf,
    pub data: PathBuf,
}

/// What clients do until they are stopped.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Make all of their identities, and no more.
    Fill,
    /// Walk at random.
    Walk,
    /// Make one identity after the other.
    Grow,
    /// Walk so many steps.
    Steps(usize),
    /// Delete one half of the identities, and one dataset of each before.
    Shrink,
}

/// The server and the clients that wait.
pub struct Stage {
    pub place: Place,
    pub tally: Arc<Tally>,
    runtime: Runtime,
    server: Option<Server>,
    pool: Arc<str>,
    walks: Vec<Walk>,
}

/// Clients under way.
pub struct Running {
    tasks: JoinSet<(Walk, Outcome<()>)>,
    stop: Arc<AtomicBool>,
}

impl Stage {
    /// A server on an empty directory, and clients without identities. The seed decides what they
    /// do, as far as one client alone can decide it.
    pub fn open(place: Place, clients: usize, shape: Shape, seed: u64) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?;
        let server = start(&place)?;
        let tally = Arc::new(Tally::new()?);
        let pool = async { Link::open(server.address).await?.make_pool().await };
        let pool: Arc<str> = runtime.block_on(pool)?.into();
        let mut walks = Vec::with_capacity(clients);
        for number in 0..clients {
            let link = runtime.block_on(Link::open(server.address))?;
            let dice = Dice::new(usize::try_from(mix(seed) >> 8)? ^ number);
            let (pool, tally) = (Arc::clone(&pool), Arc::clone(&tally));
            walks.push(Walk::new(pool, link, shape, dice, tally));
        }
        Ok(Self {
            place,
            tally,
            runtime,
            server: Some(server),
            pool,
            walks,
        })
    }

    /// Sends the clients on their way.
    pub fn begin(&mut self, mode: Mode) -> Running {
        self.tally.begin(self.live_bytes());
        let stop = Arc::new(AtomicBool::new(false));
        let mut tasks = JoinSet::new();
        for mut walk in self.walks.drain(..) {
            let (tally, stop) = (Arc::clone(&self.tally), Arc::clone(&stop));
            let task = async move {
                let ended = go(&mut walk, mode, &stop).await;
                tally.end();
                (walk, ended)
            };
            tasks.spawn_on(task, self.runtime.handle());
        }
        Running { tasks, stop }
    }

    /// Waits for all clients; gives what ended them before they were stopped.
    pub fn end(&mut self, mut running: Running) -> Result<Vec<Trouble>> {
        let mut troubles = Vec::new();
        while let Some(ended) = self.runtime.block_on(running.tasks.join_next()) {
            let (walk, ended) = ended?;
            troubles.extend(ended.err());
            self.walks.push(walk);
        }
        Ok(troubles)
    }

    /// Lets the clients do what ends by itself, or by a trouble.
    pub fn play(&mut self, mode: Mode) -> Result<Vec<Trouble>> {
        let running = self.begin(mode);
        self.end(running)
    }

    /// Makes all identities.
    pub fn fill(&mut self) -> Result<()> {
        match self.play(Mode::Fill)?.into_iter().next() {
            Some(trouble) => Err(trouble.into()),
            None => Ok(()),
        }
    }

    /// What was refused was not made, so nothing is under way.
    pub fn take_refusals_for_true(&mut self) {
        for walk in &mut self.walks {
            walk.pending = None;
        }
    }

    /// Compares everything with what was acknowledged.
    pub fn verify(&mut self) -> Result<Settled> {
        let address = self.address()?;
        let settled = settle(address, &self.pool, std::mem::take(&mut self.walks));
        let (walks, settled) = self.runtime.block_on(settled)?;
        self.walks = walks;
        Ok(settled)
    }

    /// kill -9.
    pub fn kill(&mut self) {
        drop(self.server.take());
    }

    /// A polite end.
    pub fn stop(&mut self) -> Result<()> {
        self.server.take().ok_or("no server runs")?.stop()
    }

    /// Starts the server again and connects all clients; gives how long it took to be ready.
    pub fn start(&mut self) -> Result<Duration> {
        let began = Instant::now();
        let server = start(&self.place)?;
        let ready = began.elapsed();
        for walk in &mut self.walks {
            walk.link = self.runtime.block_on(Link::open(server.address))?;
        }
        self.server = Some(server);
        Ok(ready)
    }

    /// Starts the server and kills it after a moment, ready or not.
    pub fn stumble(&self, moment: Duration) -> Result<()> {
        let mut child = self
            .place
            .command("serve")
            .args(["--listen", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        std::thread::sleep(moment);
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Runs `syncline check` while no server does; false if the binary has none.
    pub fn check(&self) -> Result<bool> {
        let knows = Command::new(&self.place.binary)
            .args(["check", "--help"])
            .output()?;
        if !knows.status.success() {
            return Ok(false);
        }
        let checked = self.place.command("check").output()?;
        if checked.status.success() {
            return Ok(true);
        }
        fail(format!(
            "syncline check ended with {}: {}{}",
            checked.status,
            String::from_utf8_lossy(&checked.stdout),
            String::from_utf8_lossy(&checked.stderr)
        ))
    }

    /// What the server wrote since it was started last.
    pub fn log(&self) -> Result<String> {
        Ok(std::fs::read_to_string(self.place.directory.join("log"))?)
    }

    pub fn pid(&self) -> Result<u32> {
        Ok(self.server.as_ref().ok_or("no server runs")?.pid())
    }

    /// Keys and values that were acknowledged and not removed, while the clients wait.
    pub fn live_bytes(&self) -> u64 {
        self.walks.iter().map(Walk::live_bytes).sum()
    }

    fn address(&self) -> Result<SocketAddr> {
        Ok(self.server.as_ref().ok_or("no server runs")?.address)
    }
}

impl Running {
    /// Asks all clients to end after their step.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Place {
    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(&self.binary);
        command.arg(name).arg("--data").arg(&self.data);
        command
    }
}

fn start(place: &Place) -> Result<Server> {
    let (directory, data): (&Path, &Path) = (&place.directory, &place.data);
    Server::configured(&place.binary, directory, data, SETTINGS)
}

async fn go(walk: &mut Walk, mode: Mode, stop: &AtomicBool) -> Outcome<()> {
    match mode {
        Mode::Fill => {
            while !walk.is_full() {
                walk.grow().await?;
            }
        }
        Mode::Walk => {
            while !stop.load(Ordering::Relaxed) {
                walk.step().await?;
            }
        }
        Mode::Grow => {
            while !stop.load(Ordering::Relaxed) {
                walk.grow().await?;
            }
        }
        Mode::Steps(steps) => {
            for _ in 0..steps {
                walk.step().await?;
            }
        }
        Mode::Shrink => {
            for _ in 0..walk.owners.len() / 2 {
                walk.delete_dataset(0, 0).await?;
                walk.delete_identity(0).await?;
            }
        }
    }
    Ok(())
}
