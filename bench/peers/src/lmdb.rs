//! LMDB, by way of heed: a copy-on-write B-tree in a memory map, synced with every transaction.

use std::path::Path;

use heed::types::Bytes;
use heed::{Database, Env, EnvFlags, EnvOpenOptions, RoTxn, RwTxn, WithoutTls};

use crate::{Look, Peer, Reads, Result, Rows, Table, Visit, Work};

/// Addresses that the map takes; more than any benchmark writes.
const MAP_BYTES: usize = 64 << 30;

type Tables = [Database<Bytes, Bytes>; 5];

pub(crate) struct Lmdb {
    env: Env<WithoutTls>,
    tables: Tables,
}

struct Writing<'t, 'e> {
    transaction: &'t mut RwTxn<'e>,
    tables: &'t Tables,
}

struct Reading<'t, 'e> {
    transaction: &'t RoTxn<'e, WithoutTls>,
    tables: &'t Tables,
}

impl Lmdb {
    pub(crate) fn open(directory: &Path) -> Result<Self> {
        Self::open_with(directory, EnvFlags::empty())
    }

    /// Without any sync.
    pub(crate) fn open_unsynced(directory: &Path) -> Result<Self> {
        Self::open_with(directory, EnvFlags::NO_SYNC)
    }

    fn open_with(directory: &Path, flags: EnvFlags) -> Result<Self> {
        let mut options = EnvOpenOptions::new().read_txn_without_tls();
        options.map_size(MAP_BYTES).max_dbs(8).max_readers(256);
        // SAFETY: the directory is the benchmark's own, nobody else changes its files, and what is
        // lost in a power cut is not opened again.
        #[expect(unsafe_code, reason = "a memory map is as safe as its file")]
        let env = unsafe { options.flags(flags).open(directory)? };
        let mut begun = env.write_txn()?;
        let tables = Table::each(|table| env.create_database(&mut begun, Some(table.name())))?;
        begun.commit()?;
        Ok(Self { env, tables })
    }
}

impl Peer for Lmdb {
    fn write(&self, work: &mut Work<'_>) -> Result<()> {
        let mut transaction = self.env.write_txn()?;
        work(&mut Writing {
            transaction: &mut transaction,
            tables: &self.tables,
        })?;
        Ok(transaction.commit()?)
    }

    fn read(&self, work: &mut Reads<'_>) -> Result<()> {
        work(&mut Reading {
            transaction: &self.env.read_txn()?,
            tables: &self.tables,
        })
    }
}

impl Rows for Writing<'_, '_> {
    fn get(&mut self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let found = self.tables[table.number()].get(self.transaction, key)?;
        Ok(found.map(<[u8]>::to_vec))
    }

    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<()> {
        Ok(self.tables[table.number()].put(self.transaction, key, value)?)
    }
}

impl Look for Reading<'_, '_> {
    fn get(&mut self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let found = self.tables[table.number()].get(self.transaction, key)?;
        Ok(found.map(<[u8]>::to_vec))
    }

    fn scan(&mut self, table: Table, prefix: &[u8], visit: &mut Visit<'_>) -> Result<()> {
        let table = self.tables[table.number()];
        // It has no empty keys, not even to begin with.
        if prefix.is_empty() {
            for found in table.iter(self.transaction)? {
                let (key, value) = found?;
                visit(key, value)?;
            }
            return Ok(());
        }
        for found in table.prefix_iter(self.transaction, prefix)? {
            let (key, value) = found?;
            visit(key, value)?;
        }
        Ok(())
    }
}
