//! Other embedded stores behind one small trait: tables of bytes, one writer's transaction at a
//! time, durable when it returns.
//!
//! Each is set up as somebody would who knows it well, and none answers before what it wrote has
//! been synced with `fdatasync` or `fsync`; `strace -f -e trace=fsync,fdatasync,sync_file_range`
//! shows it.

use std::path::Path;

mod fjall;
mod lmdb;
mod redb;
#[cfg(feature = "rocksdb")]
mod rocksdb;
mod sled;
mod sqlite;

/// Whatever a store says when it fails.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
/// What a store did, or why not.
pub type Result<T> = std::result::Result<T, Failure>;

/// The tables of the benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// Datasets by pool, identity and name.
    Datasets,
    /// Records by dataset and key.
    Records,
    /// Identities by pool and id.
    Identities,
    /// Pools.
    Pools,
    /// Commits by sequence.
    Feed,
}

impl Table {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 5] = [
        Self::Datasets,
        Self::Records,
        Self::Identities,
        Self::Pools,
        Self::Feed,
    ];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Datasets => "datasets",
            Self::Records => "records",
            Self::Identities => "identities",
            Self::Pools => "pools",
            Self::Feed => "feed",
        }
    }

    fn number(self) -> usize {
        self as usize
    }

    /// Something of each, in the order of their numbers.
    fn each<T, E: Into<Failure>>(
        open: impl FnMut(Self) -> std::result::Result<T, E>,
    ) -> Result<[T; 5]> {
        let all = Self::ALL.into_iter().map(open);
        let all = all.collect::<std::result::Result<Vec<_>, _>>();
        let all = <[T; 5]>::try_from(all.map_err(Into::into)?);
        all.map_err(|_| "there are five tables".into())
    }
}

/// What a transaction may do. Nothing is there for others before it ends well.
pub trait Rows {
    /// The value of a key, as the transaction sees it.
    ///
    /// # Errors
    /// The store's.
    fn get(&mut self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>>;

    /// Gives a key a value.
    ///
    /// # Errors
    /// The store's.
    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<()>;
}

/// The work of a transaction; run again if the store asks for it.
pub type Work<'a> = dyn FnMut(&mut dyn Rows) -> Result<()> + 'a;

/// A store.
pub trait Peer: Send + Sync {
    /// Runs the work in one transaction, and returns when it is durable. If the work fails nothing
    /// is changed.
    ///
    /// # Errors
    /// The store's, and those of the work.
    fn write(&self, work: &mut Work<'_>) -> Result<()>;

    /// Reads what is committed, as of one moment.
    ///
    /// # Errors
    /// The store's, and those of the work.
    fn read(&self, work: &mut Reads<'_>) -> Result<()>;
}

/// What is done with each key and value of a scan.
pub type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> Result<()> + 'a;
/// What is read, as of one moment.
pub type Reads<'a> = dyn FnMut(&mut dyn Look) -> Result<()> + 'a;

/// What a reader may do.
pub trait Look {
    /// The value of a key.
    ///
    /// # Errors
    /// The store's.
    fn get(&mut self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>>;

    /// All keys that begin so, in order, with their values.
    ///
    /// # Errors
    /// The store's, and those of the visitor.
    fn scan(&mut self, table: Table, prefix: &[u8], visit: &mut Visit<'_>) -> Result<()>;
}

/// LMDB that never syncs, to compare with: it keeps nothing through a power cut.
pub const UNSYNCED: &str = "lmdb-unsynced";

/// The names of all stores that keep what they acknowledge.
pub const NAMES: [&str; COUNT] = [
    "redb",
    "fjall",
    "sled",
    "sqlite",
    "lmdb",
    #[cfg(feature = "rocksdb")]
    "rocksdb",
];

/// RocksDB takes long to build, so it is there only where it is asked for.
const COUNT: usize = if cfg!(feature = "rocksdb") { 6 } else { 5 };

/// Opens a store in a directory, or begins one.
///
/// # Errors
/// The store's; an unknown name.
pub fn open(name: &str, directory: &Path) -> Result<Box<dyn Peer>> {
    std::fs::create_dir_all(directory)?;
    Ok(match name {
        "redb" => Box::new(redb::Redb::open(directory)?),
        "fjall" => Box::new(fjall::Fjall::open(directory)?),
        "sled" => Box::new(sled::Sled::open(directory)?),
        "sqlite" => Box::new(sqlite::Sqlite::open(directory)?),
        "lmdb" => Box::new(lmdb::Lmdb::open(directory)?),
        #[cfg(feature = "rocksdb")]
        "rocksdb" => Box::new(rocksdb::Rocksdb::open(directory)?),
        UNSYNCED => Box::new(lmdb::Lmdb::open_unsynced(directory)?),
        _ => return Err(format!("no peer is called {name}; there are {NAMES:?}").into()),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn each(test: impl Fn(&str, &Path)) {
        for name in NAMES {
            let directory = tempfile::tempdir().unwrap();
            test(name, directory.path());
        }
    }

    #[test]
    fn what_is_committed_is_there_and_what_failed_is_not() {
        each(|name, directory| {
            let peer = open(name, directory).unwrap();
            peer.write(&mut |rows| {
                for number in 0..10_u8 {
                    rows.put(Table::Records, &[1, number], b"value")?;
                }
                rows.put(Table::Records, &[2, 0], b"other")?;
                assert_eq!(rows.get(Table::Records, &[1, 3])?.unwrap(), b"value");
                assert_eq!(rows.get(Table::Datasets, &[1, 3])?, None);
                Ok(())
            })
            .unwrap();
            let failed = peer.write(&mut |rows| {
                rows.put(Table::Records, &[1, 3], b"never")?;
                rows.put(Table::Pools, b"pool", b"never")?;
                Err("refused".into())
            });
            assert!(
                failed.unwrap_err().to_string().contains("refused"),
                "{name}"
            );
            drop(peer);
            let peer = open(name, directory).unwrap();
            peer.read(&mut |look| {
                let mut found = Vec::new();
                look.scan(Table::Records, &[1], &mut |key, value| {
                    found.push((key.to_vec(), value.to_vec()));
                    Ok(())
                })?;
                let wanted = (0..10).map(|number| (vec![1, number], b"value".to_vec()));
                assert_eq!(found, wanted.collect::<Vec<_>>(), "{name}");
                assert_eq!(look.get(Table::Pools, b"pool")?, None, "{name}");
                let mut all = 0;
                look.scan(Table::Records, &[], &mut |_, _| {
                    all += 1;
                    Ok(())
                })?;
                assert_eq!(all, 11, "{name}");
                Ok(())
            })
            .unwrap();
        });
    }

    #[test]
    fn writers_of_many_threads_come_one_after_the_other() {
        each(|name, directory| {
            let peer = open(name, directory).unwrap();
            let add = |rows: &mut dyn Rows| {
                let found = rows.get(Table::Pools, b"sum")?.unwrap_or_default();
                let sum = found.try_into().map_or(0, u64::from_le_bytes) + 1;
                rows.put(Table::Pools, b"sum", &sum.to_le_bytes())
            };
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        for _ in 0..25 {
                            peer.write(&mut |rows| add(rows)).unwrap();
                        }
                    });
                }
            });
            peer.read(&mut |look| {
                let sum = look.get(Table::Pools, b"sum")?.unwrap();
                assert_eq!(sum, 100_u64.to_le_bytes(), "{name}");
                Ok(())
            })
            .unwrap();
        });
    }
}
