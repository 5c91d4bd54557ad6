//! Redis with its append-only file synced before every answer, and a script that does the whole
//! update: nothing comes between its commands, and they go to the file as one.

use std::path::Path;
use std::process::Command;

use super::process::{self, Program};
use super::resp::{Reply, Resp};
use super::{Row, Seen};
use crate::failure::{Result, fail};
use crate::workload::{Update, Workload};

const SCRIPT: &str = include_str!("update.lua");
/// The stream of all updates.
const FEED: &str = "feed";

/// The server's program, or what is missing.
pub fn find() -> std::result::Result<Program, String> {
    let path = process::in_path("redis-server")
        .ok_or("there is no redis-server in the PATH; on Debian the package redis-server has it")?;
    Program::new(path, None)
}

/// Starts it on a port. Snapshots are off, since the append-only file has everything.
pub fn command(program: &Program, directory: &Path, port: u16) -> Command {
    let mut command = program.command(&program.path);
    command
        .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
        .args(["--appendonly", "yes", "--appendfsync", "always"])
        .args(["--save", "", "--dir"])
        .arg(directory);
    command
}

/// Fails unless the server on a port is the process with this number, and has read its file.
pub async fn greet(port: u16, pid: u32) -> Result<()> {
    let about = Resp::open(port).await?.call(&["INFO"]).await?.text()?;
    let says = |wanted: &str| about.lines().any(|line| line.trim() == wanted);
    if !says(&format!("process_id:{pid}")) {
        return fail(format!("another Redis has port {port}"));
    }
    if !says("loading:0") {
        return fail("it still reads its file");
    }
    Ok(())
}

/// A connection, and what the script is called by.
pub struct Session {
    resp: Resp,
    script: String,
}

/// The keys that an update changes.
struct Keys {
    record: String,
    dataset: String,
    identity: String,
    pool: String,
}

impl Keys {
    fn of(update: &Update<'_>) -> Self {
        let (pool, identity) = (&update.dataset.pool, &update.dataset.identity);
        let (pool, identity) = (pool.as_str(), identity.as_str());
        let name = update.dataset.name.as_str();
        let key = update.keys[0].as_str();
        Self {
            record: format!("record:{pool}:{identity}:{name}:{key}"),
            dataset: format!("dataset:{pool}:{identity}:{name}"),
            identity: format!("identity:{pool}:{identity}"),
            pool: format!("pool:{pool}"),
        }
    }
}

impl Session {
    pub async fn open(port: u16) -> Result<Self> {
        let mut resp = Resp::open(port).await?;
        let script = resp.call(&["SCRIPT", "LOAD", SCRIPT]).await?.text()?;
        Ok(Self { resp, script })
    }

    /// The first record of an update.
    pub async fn update(&mut self, update: Update<'_>) -> Result<u64> {
        let keys = Keys::of(&update);
        let (expected, value) = (update.sync_count.to_string(), update.value(0));
        let parts = [
            "EVALSHA",
            &self.script,
            "5",
            &keys.record,
            &keys.dataset,
            &keys.identity,
            &keys.pool,
            FEED,
            &expected,
            update.keys[0].as_str(),
            &value,
        ];
        self.resp.call(&parts).await?.number()
    }

    pub async fn look(&mut self, workload: &Workload) -> Result<Seen> {
        let mut rows = Vec::with_capacity(workload.datasets.len());
        for number in 0..workload.datasets.len() {
            let keys = Keys::of(&workload.update(number, 0));
            let [count] = self.fields(&keys.dataset, ["count"]).await?;
            let [record_count, value] = self.fields(&keys.record, ["count", "value"]).await?;
            rows.push(Row {
                count: count.number()?,
                record_count: record_count.number()?,
                value: value.text()?,
            });
        }
        let pool = Keys::of(&workload.update(0, 0)).pool;
        let [bytes, datasets] = self.fields(&pool, ["bytes", "datasets"]).await?;
        Ok(Seen {
            rows,
            commits: self.resp.call(&["XLEN", FEED]).await?.number()?,
            bytes: bytes.number()?,
            datasets: datasets.number()?,
        })
    }

    async fn fields<const N: usize>(&mut self, key: &str, names: [&str; N]) -> Result<[Reply; N]> {
        let parts = [&["HMGET", key], &names[..]].concat();
        let found = self.resp.call(&parts).await?.list()?;
        <[Reply; N]>::try_from(found).map_err(|_| "Redis left fields out".into())
    }
}
