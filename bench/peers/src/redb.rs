//! redb: a copy-on-write B-tree in one file; its transactions sync when they commit.

use std::path::Path;

use redb::{
    Database, ReadTransaction, ReadableDatabase, ReadableTable, Table as Open, TableDefinition,
    WriteTransaction,
};

use crate::{Look, Peer, Reads, Result, Rows, Table, Visit, Work};

type Definition = TableDefinition<'static, &'static [u8], &'static [u8]>;

pub(crate) struct Redb(Database);

struct Writing<'t>([Open<'t, &'static [u8], &'static [u8]>; 5]);

struct Reading<'t>(&'t ReadTransaction);

fn definition(table: Table) -> Definition {
    TableDefinition::new(table.name())
}

impl Redb {
    pub(crate) fn open(directory: &Path) -> Result<Self> {
        let database = Database::create(directory.join("data.redb"))?;
        let begun = database.begin_write()?;
        for table in Table::ALL {
            begun.open_table(definition(table))?;
        }
        begun.commit()?;
        Ok(Self(database))
    }
}

fn tables(transaction: &WriteTransaction) -> Result<Writing<'_>> {
    let open = |table| transaction.open_table(definition(table));
    Table::each(open).map(Writing)
}

impl Peer for Redb {
    fn write(&self, work: &mut Work<'_>) -> Result<()> {
        let transaction = self.0.begin_write()?;
        let mut writing = tables(&transaction)?;
        let done = work(&mut writing);
        drop(writing);
        match done {
            Ok(()) => Ok(transaction.commit()?),
            Err(failure) => {
                transaction.abort()?;
                Err(failure)
            }
        }
    }

    fn read(&self, work: &mut Reads<'_>) -> Result<()> {
        work(&mut Reading(&self.0.begin_read()?))
    }
}

impl Rows for Writing<'_> {
    fn get(&mut self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let found = self.0[table.number()].get(key)?;
        Ok(found.map(|found| found.value().to_vec()))
    }

    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<()> {
        self.0[table.number()].insert(key, value)?;
        Ok(())
    }
}

impl Look for Reading<'_> {
    fn get(&mut self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let table = self.0.open_table(definition(table))?;
        Ok(table.get(key)?.map(|found| found.value().to_vec()))
    }

    fn scan(&mut self, table: Table, prefix: &[u8], visit: &mut Visit<'_>) -> Result<()> {
        let table = self.0.open_table(definition(table))?;
        for found in table.range(prefix..)? {
            let (key, value) = found?;
            if !key.value().starts_with(prefix) {
                break;
            }
            visit(key.value(), value.value())?;
        }
        Ok(())
    }
}
