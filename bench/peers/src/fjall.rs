//! fjall: a log-structured merge tree; a transaction is in its journal, synced, when it ends.

use std::path::Path;

use fjall::{
    KeyspaceCreateOptions, PersistMode, Readable, SingleWriterTxDatabase, SingleWriterTxKeyspace,
    SingleWriterWriteTx, Snapshot,
};

use crate::{Look, Peer, Reads, Result, Rows, Table, Visit, Work};

pub(crate) struct Fjall {
    database: SingleWriterTxDatabase,
    tables: [SingleWriterTxKeyspace; 5],
}

struct Writing<'t> {
    transaction: SingleWriterWriteTx<'t>,
    tables: &'t [SingleWriterTxKeyspace; 5],
}

struct Reading<'t> {
    snapshot: Snapshot,
    tables: &'t [SingleWriterTxKeyspace; 5],
}

impl Fjall {
    pub(crate) fn open(directory: &Path) -> Result<Self> {
        let database = SingleWriterTxDatabase::builder(directory).open()?;
        let open = |table: Table| database.keyspace(table.name(), KeyspaceCreateOptions::default);
        let tables = Table::each(open)?;
        Ok(Self { database, tables })
    }
}

impl Peer for Fjall {
    fn write(&self, work: &mut Work<'_>) -> Result<()> {
        let transaction = self.database.write_tx();
        let mut writing = Writing {
            transaction: transaction.durability(Some(PersistMode::SyncData)),
            tables: &self.tables,
        };
        work(&mut writing)?;
        Ok(writing.transaction.commit()?)
    }

    fn read(&self, work: &mut Reads<'_>) -> Result<()> {
        work(&mut Reading {
            snapshot: self.database.read_tx(),
            tables: &self.tables,
        })
    }
}

impl Rows for Writing<'_> {
    fn get(&mut self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let found = self.transaction.get(&self.tables[table.number()], key)?;
        Ok(found.map(|found| found.to_vec()))
    }

    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<()> {
        let table = &self.tables[table.number()];
        self.transaction.insert(table, key, value);
        Ok(())
    }
}

impl Look for Reading<'_> {
    fn get(&mut self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let found = self.snapshot.get(&self.tables[table.number()], key)?;
        Ok(found.map(|found| found.to_vec()))
    }

    fn scan(&mut self, table: Table, prefix: &[u8], visit: &mut Visit<'_>) -> Result<()> {
        for found in self.snapshot.prefix(&self.tables[table.number()], prefix) {
            let (key, value) = found.into_inner()?;
            visit(&key, &value)?;
        }
        Ok(())
    }
}
