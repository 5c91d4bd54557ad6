//! PostgreSQL with a cluster of its own, as it comes but for the number of connections; a function
//! does the whole update in one round trip, in a transaction that is synced before it answers.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tokio_postgres::{Client, Config, NoTls, Row as Found, Statement};

use super::process::{self, Program};
use super::{Row, Seen};
use crate::failure::{Result, fail};
use crate::workload::{Update, Workload};

const TABLES: &str = include_str!("tables.sql");
const CALL: &str = "SELECT change_record($1, $2, $3, $4, $5, $6)";
const ROWS: &str = "SELECT identity, d.count, r.count, r.value \
     FROM datasets d JOIN records r USING (pool, identity, dataset)";
const TOTALS: &str = "SELECT (SELECT count(*) FROM feed), \
     (SELECT sum(bytes)::bigint FROM pools), (SELECT sum(datasets)::bigint FROM pools)";
/// Whoever runs it if this process is root's: it refuses to be run by root.
const USER: &str = "postgres";
/// Where Debian has its versions, whose programs are not in the PATH.
const VERSIONS: &str = "/usr/lib/postgresql";
/// As many connections as it has room for anyway, and those for itself and for looking.
const CONNECTIONS_MIN: usize = 100;
const CONNECTIONS_SPARE: usize = 16;

/// The server's program, or what is missing.
pub fn find(directory: &Path) -> std::result::Result<Program, String> {
    let path = process::in_path("postgres")
        .or_else(newest)
        .ok_or("there is no postgres in the PATH; on Debian the package postgresql has it")?;
    // The one in the PATH may be a link, and initdb stands beside what it leads to.
    let path = path.canonicalize().map_err(|error| error.to_string())?;
    if !path.with_file_name("initdb").is_file() {
        return Err(format!("there is no initdb beside {}", path.display()));
    }
    if !rustix::process::geteuid().is_root() {
        return Program::new(path, None);
    }
    let owner = number("-u").zip(number("-g"));
    let owner = owner.ok_or(format!(
        "root may not run it, and there is no user {USER}; on Debian the package postgresql \
         makes one"
    ))?;
    if let Some(closed) = closed(directory, owner.0) {
        return Err(format!(
            "root may not run it, and the user {USER} may not enter {}; name another directory \
             with --data",
            closed.display()
        ));
    }
    Program::new(path, Some(owner))
}

/// Debian's newest version.
fn newest() -> Option<PathBuf> {
    let versions = std::fs::read_dir(VERSIONS).ok()?;
    let number = |path: &PathBuf| -> Option<u32> { path.file_name()?.to_str()?.parse().ok() };
    let newest = versions
        .filter_map(|version| Some(version.ok()?.path()))
        .filter(|path| path.join("bin/postgres").is_file())
        .max_by_key(number)?;
    Some(newest.join("bin/postgres"))
}

/// The number of the user or the group that runs it.
fn number(which: &str) -> Option<u32> {
    let told = Command::new("id").args([which, USER]).output().ok()?;
    String::from_utf8(told.stdout).ok()?.trim().parse().ok()
}

/// A directory on the way that a user may not enter.
fn closed(directory: &Path, user: u32) -> Option<PathBuf> {
    let directory = directory.canonicalize().ok()?;
    let is_closed = |path: &&Path| {
        let metadata = path.metadata();
        metadata.is_ok_and(|found| found.mode() & 0o001 == 0 && found.uid() != user)
    };
    directory.ancestors().find(is_closed).map(Path::to_owned)
}

fn data(directory: &Path) -> PathBuf {
    directory.join("data")
}

/// Makes the cluster, whose superuser needs no password.
pub fn prepare(program: &Program, directory: &Path) -> Result<()> {
    let directory = directory.canonicalize()?;
    let mut initdb = program.command(&program.path.with_file_name("initdb"));
    initdb
        .current_dir(&directory)
        .args(["--auth=trust", "--encoding=UTF8", "--no-locale"])
        .args(["--username", USER, "--pgdata"])
        .arg(data(&directory));
    let told = initdb.output()?;
    if told.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&told.stderr);
    fail(format!("initdb ended with {}: {said}", told.status))
}

/// Starts it on a port.
pub fn command(program: &Program, directory: &Path, port: u16, connections: usize) -> Command {
    // Those of the last turn may still be leaving when the next ones come.
    let connections = (2 * connections + CONNECTIONS_SPARE).max(CONNECTIONS_MIN);
    let mut command = program.command(&program.path);
    command
        .arg("-D")
        .arg(data(directory))
        .args(["-p", &port.to_string()])
        .args(["-c", "listen_addresses=127.0.0.1"])
        .args(["-c", "unix_socket_directories="])
        .args(["-c", &format!("max_connections={connections}")]);
    command
}

/// Fails unless the server on a port has its data in this directory.
pub async fn greet(port: u16, directory: &Path) -> Result<()> {
    let row = connect(port)
        .await?
        .query_one("SELECT current_setting('data_directory')", &[])
        .await?;
    let found: String = row.try_get(0)?;
    if Path::new(&found) == data(directory) {
        return Ok(());
    }
    fail(format!("another PostgreSQL has port {port}"))
}

async fn connect(port: u16) -> Result<Client> {
    let (client, connection) = Config::new()
        .host("127.0.0.1")
        .port(port)
        .user(USER)
        .dbname(USER)
        .connect(NoTls)
        .await?;
    // It ends with its client, who is told whatever goes wrong.
    tokio::spawn(connection);
    Ok(client)
}

/// A connection, and the statement that updates.
pub struct Session {
    client: Client,
    statement: Option<Statement>,
}

impl Session {
    pub async fn open(port: u16) -> Result<Self> {
        Ok(Self {
            client: connect(port).await?,
            statement: None,
        })
    }

    /// In a cluster that has none.
    pub async fn make_tables(&mut self) -> Result<()> {
        Ok(self.client.batch_execute(TABLES).await?)
    }

    /// The first record of an update.
    pub async fn update(&mut self, update: Update<'_>) -> Result<u64> {
        let statement = match &mut self.statement {
            Some(statement) => statement,
            none => none.insert(self.client.prepare(CALL).await?),
        };
        let dataset = update.dataset;
        let (pool, identity) = (dataset.pool.as_str(), dataset.identity.as_str());
        let (name, key) = (dataset.name.as_str(), update.keys[0].as_str());
        let (expected, value) = (i64::try_from(update.sync_count)?, update.value(0));
        let row = self
            .client
            .query_one(
                &*statement,
                &[&pool, &identity, &name, &key, &expected, &value],
            )
            .await?;
        count(&row, 0)
    }

    pub async fn look(&mut self, workload: &Workload) -> Result<Seen> {
        let found = self.client.query(ROWS, &[]).await?;
        let mut by_identity = std::collections::HashMap::with_capacity(found.len());
        for row in &found {
            let identity: String = row.try_get(0)?;
            let row = Row {
                count: count(row, 1)?,
                record_count: count(row, 2)?,
                value: row.try_get(3)?,
            };
            by_identity.insert(identity, row);
        }
        let datasets = workload.datasets.iter();
        let rows = datasets.filter_map(|dataset| by_identity.remove(dataset.identity.as_str()));
        let totals = self.client.query_one(TOTALS, &[]).await?;
        Ok(Seen {
            rows: rows.collect(),
            commits: count(&totals, 0)?,
            bytes: count(&totals, 1)?,
            datasets: count(&totals, 2)?,
        })
    }
}

fn count(row: &Found, column: usize) -> Result<u64> {
    let number: i64 = row.try_get(column)?;
    Ok(u64::try_from(number)?)
}
