//! sled 0.34: its `flush` ends in `sync_file_range`, which keeps nothing through a power cut, so a
//! real sync of its file is added.

use std::cell::RefCell;
use std::fs::File;
use std::path::Path;

use sled::transaction::{ConflictableTransactionError, TransactionError, TransactionalTree};
use sled::{Db, Mode};

use crate::{Failure, Look, Peer, Reads, Result, Rows, Table, Visit, Work};

pub(crate) struct Sled {
    database: Db,
    file: File,
}

struct Writing<'t>(&'t TransactionalTree);

struct Reading<'t>(&'t Db);

/// All tables are in one tree, since a transaction over several takes locks for each.
fn place(table: Table, key: &[u8]) -> Vec<u8> {
    let mut place = Vec::with_capacity(1 + key.len());
    place.push(b'a' + table.number() as u8);
    place.extend_from_slice(key);
    place
}

impl Sled {
    pub(crate) fn open(directory: &Path) -> Result<Self> {
        let database = sled::Config::new()
            .path(directory)
            .mode(Mode::HighThroughput)
            // Whoever commits flushes.
            .flush_every_ms(None)
            .open()?;
        let file = File::open(directory.join("db"))?;
        Ok(Self { database, file })
    }
}

impl Peer for Sled {
    fn write(&self, work: &mut Work<'_>) -> Result<()> {
        let work = RefCell::new(work);
        let done = self.database.transaction(|tree| {
            let mut work = work.borrow_mut();
            work(&mut Writing(tree)).map_err(|failure| {
                match failure.downcast::<sled::transaction::UnabortableTransactionError>() {
                    // It runs again.
                    Ok(conflict) => ConflictableTransactionError::from(*conflict),
                    Err(failure) => ConflictableTransactionError::Abort(failure),
                }
            })
        });
        done.map_err(|error: TransactionError<Failure>| match error {
            TransactionError::Abort(failure) => failure,
            TransactionError::Storage(error) => error.into(),
        })?;
        self.database.flush()?;
        Ok(self.file.sync_data()?)
    }

    fn read(&self, work: &mut Reads<'_>) -> Result<()> {
        work(&mut Reading(&self.database))
    }
}

impl Rows for Writing<'_> {
    fn get(&mut self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let found = self.0.get(place(table, key))?;
        Ok(found.map(|found| found.to_vec()))
    }

    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<()> {
        self.0.insert(place(table, key), value)?;
        Ok(())
    }
}

impl Look for Reading<'_> {
    fn get(&mut self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let found = self.0.get(place(table, key))?;
        Ok(found.map(|found| found.to_vec()))
    }

    fn scan(&mut self, table: Table, prefix: &[u8], visit: &mut Visit<'_>) -> Result<()> {
        for found in self.0.scan_prefix(place(table, prefix)) {
            let (key, value) = found?;
            visit(&key[1..], &value)?;
        }
        Ok(())
    }
}
