//! RocksDB: a log-structured merge tree; what a transaction wrote is one batch in its write-ahead
//! log, synced when it ends.
//!
//! One transaction at a time, as everywhere here. They could run side by side, but all of them
//! write the row of their pool, and would wait for each other's sync on its lock. So nothing is
//! needed of RocksDB's own transactions, which cost more than a batch.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamily, ColumnFamilyDescriptor, DB, Options, Snapshot,
    WriteBatch, WriteOptions,
};

use crate::{Look, Peer, Reads, Result, Rows, Table, Visit, Work};

/// As much as SQLite has.
const CACHE_BYTES: usize = 256 << 20;
/// Bits of a filter for each key, of which one in a hundred is looked for in vain.
const FILTER_BITS: f64 = 10.0;

pub(crate) struct Rocksdb {
    database: DB,
    writer: Mutex<()>,
}

struct Writing<'t> {
    database: &'t DB,
    batch: WriteBatch,
    /// What the batch gives each key of each table, to be read before it is written.
    given: [HashMap<Vec<u8>, Vec<u8>>; 5],
}

struct Reading<'t> {
    snapshot: Snapshot<'t>,
    database: &'t DB,
}

fn options() -> Options {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(&Cache::new_lru_cache(CACHE_BYTES));
    blocks.set_bloom_filter(FILTER_BITS, false);
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    options.set_block_based_table_factory(&blocks);
    options.set_level_compaction_dynamic_level_bytes(true);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    options.increase_parallelism(i32::try_from(cores).unwrap_or(1));
    options
}

fn table(database: &DB, table: Table) -> Result<&ColumnFamily> {
    let found = database.cf_handle(table.name());
    Ok(found.ok_or_else(|| format!("there is no table {}", table.name()))?)
}

impl Rocksdb {
    pub(crate) fn open(directory: &Path) -> Result<Self> {
        let options = options();
        let tables = Table::ALL.map(|table| {
            // They share the cache.
            ColumnFamilyDescriptor::new(table.name(), options.clone())
        });
        Ok(Self {
            database: DB::open_cf_descriptors(&options, directory, tables)?,
            writer: Mutex::new(()),
        })
    }
}

impl Peer for Rocksdb {
    fn write(&self, work: &mut Work<'_>) -> Result<()> {
        let _alone = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let mut synced = WriteOptions::default();
        synced.set_sync(true);
        let mut writing = Writing {
            database: &self.database,
            batch: WriteBatch::default(),
            given: Default::default(),
        };
        work(&mut writing)?;
        Ok(self.database.write_opt(writing.batch, &synced)?)
    }

    fn read(&self, work: &mut Reads<'_>) -> Result<()> {
        work(&mut Reading {
            snapshot: self.database.snapshot(),
            database: &self.database,
        })
    }
}

impl Rows for Writing<'_> {
    fn get(&mut self, of: Table, key: &[u8]) -> Result<Option<Vec<u8>>> {
        if let Some(value) = self.given[of.number()].get(key) {
            return Ok(Some(value.clone()));
        }
        Ok(self.database.get_cf(table(self.database, of)?, key)?)
    }

    fn put(&mut self, of: Table, key: &[u8], value: &[u8]) -> Result<()> {
        self.batch.put_cf(table(self.database, of)?, key, value);
        self.given[of.number()].insert(key.to_vec(), value.to_vec());
        Ok(())
    }
}

impl Look for Reading<'_> {
    fn get(&mut self, of: Table, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.snapshot.get_cf(table(self.database, of)?, key)?)
    }

    fn scan(&mut self, of: Table, prefix: &[u8], visit: &mut Visit<'_>) -> Result<()> {
        let mut rows = self.snapshot.raw_iterator_cf(table(self.database, of)?);
        rows.seek(prefix);
        while let Some((key, value)) = rows.item() {
            if !key.starts_with(prefix) {
                break;
            }
            visit(key, value)?;
            rows.next();
        }
        Ok(rows.status()?)
    }
}
