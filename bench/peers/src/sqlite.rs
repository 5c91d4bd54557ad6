//! SQLite: a write-ahead log that is synced with every transaction (`synchronous = FULL`).

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OptionalExtension};

use crate::{Look, Peer, Reads, Result, Rows, Table, Visit, Work};

/// Sets a connection up.
const SET_UP: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA cache_size = -262144;
    PRAGMA mmap_size = 1073741824;
    PRAGMA wal_autocheckpoint = 4000;
    PRAGMA temp_store = MEMORY;
";

pub(crate) struct Sqlite {
    writer: Mutex<Connection>,
    reader: Mutex<Connection>,
}

struct Queries<'c>(&'c Connection);

fn connect(directory: &Path) -> Result<Connection> {
    let connection = Connection::open(directory.join("data.sqlite"))?;
    connection.execute_batch(SET_UP)?;
    for table in Table::ALL {
        connection.execute_batch(&format!(
            "CREATE TABLE IF NOT EXISTS {} (key BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID",
            table.name()
        ))?;
    }
    Ok(connection)
}

fn lock(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sqlite {
    pub(crate) fn open(directory: &Path) -> Result<Self> {
        Ok(Self {
            writer: Mutex::new(connect(directory)?),
            reader: Mutex::new(connect(directory)?),
        })
    }
}

impl Peer for Sqlite {
    fn write(&self, work: &mut Work<'_>) -> Result<()> {
        let connection = lock(&self.writer);
        let mut queries = Queries(&connection);
        queries.run("BEGIN IMMEDIATE")?;
        match work(&mut queries) {
            Ok(()) => queries.run("COMMIT"),
            Err(failure) => {
                queries.run("ROLLBACK")?;
                Err(failure)
            }
        }
    }

    fn read(&self, work: &mut Reads<'_>) -> Result<()> {
        let connection = lock(&self.reader);
        let mut queries = Queries(&connection);
        queries.run("BEGIN")?;
        let done = work(&mut queries);
        queries.run("COMMIT")?;
        done
    }
}

impl Queries<'_> {
    fn run(&self, statement: &str) -> Result<()> {
        self.0.prepare_cached(statement)?.execute([])?;
        Ok(())
    }

    fn find(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let query = match table {
            Table::Datasets => "SELECT value FROM datasets WHERE key = ?1",
            Table::Records => "SELECT value FROM records WHERE key = ?1",
            Table::Identities => "SELECT value FROM identities WHERE key = ?1",
            Table::Pools => "SELECT value FROM pools WHERE key = ?1",
            Table::Feed => "SELECT value FROM feed WHERE key = ?1",
        };
        let mut query = self.0.prepare_cached(query)?;
        Ok(query.query_row([key], |row| row.get(0)).optional()?)
    }
}

impl Rows for Queries<'_> {
    fn get(&mut self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.find(table, key)
    }

    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<()> {
        let statement = match table {
            Table::Datasets => "REPLACE INTO datasets VALUES (?1, ?2)",
            Table::Records => "REPLACE INTO records VALUES (?1, ?2)",
            Table::Identities => "REPLACE INTO identities VALUES (?1, ?2)",
            Table::Pools => "REPLACE INTO pools VALUES (?1, ?2)",
            Table::Feed => "REPLACE INTO feed VALUES (?1, ?2)",
        };
        self.0.prepare_cached(statement)?.execute([key, value])?;
        Ok(())
    }
}

impl Look for Queries<'_> {
    fn get(&mut self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.find(table, key)
    }

    fn scan(&mut self, table: Table, prefix: &[u8], visit: &mut Visit<'_>) -> Result<()> {
        let name = table.name();
        let query = format!("SELECT key, value FROM {name} WHERE key >= ?1 ORDER BY key");
        let mut query = self.0.prepare_cached(&query)?;
        let mut rows = query.query([prefix])?;
        while let Some(row) = rows.next()? {
            let (key, value) = (row.get_ref(0)?.as_blob()?, row.get_ref(1)?.as_blob()?);
            if !key.starts_with(prefix) {
                break;
            }
            visit(key, value)?;
        }
        Ok(())
    }
}
