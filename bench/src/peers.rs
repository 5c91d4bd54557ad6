//! Other stores as contestants: the same logical work, in one transaction for each update or, with
//! the best help that an application can give, in one for all that wait.

mod batched;
mod one;
pub mod stage;
mod work;

use std::path::Path;

use crate::contestant::{Contestant, Shelf};
use crate::failure::Result;
use crate::workload::Workload;
use batched::Batched;
use one::One;

/// What the name of a contestant ends with that commits many updates together.
const BATCHED: &str = "-batched";

/// Two of each store.
const COUNT: usize = 2 * NAMES.len();

/// The names of these contestants.
pub const CONTESTANTS: [&str; COUNT] = [
    "redb",
    "redb-batched",
    "fjall",
    "fjall-batched",
    "sled",
    "sled-batched",
    "sqlite",
    "sqlite-batched",
    "lmdb",
    "lmdb-batched",
    #[cfg(feature = "rocksdb")]
    "rocksdb",
    #[cfg(feature = "rocksdb")]
    "rocksdb-batched",
];

/// The names of the stores.
pub use syncline_peers::NAMES;

/// A peer to read from, with every dataset written once.
pub fn shelf(name: &'static str, directory: &Path, workload: &Workload) -> Result<Box<dyn Shelf>> {
    Ok(Box::new(One::filled(name, directory, workload)?))
}

/// The same with nothing in it.
pub fn empty(name: &'static str, directory: &Path) -> Result<Box<dyn Shelf>> {
    Ok(Box::new(One::open(name, directory)?))
}

/// LMDB without any sync: no rival, but what a store reaches that keeps nothing.
pub const UNSYNCED: &str = syncline_peers::UNSYNCED;

/// A peer by its name, with every dataset written once.
pub fn filled(
    name: &'static str,
    directory: &Path,
    workload: &Workload,
) -> Result<Box<dyn Contestant>> {
    match name.strip_suffix(BATCHED) {
        Some(peer) => Ok(Box::new(Batched::new(One::filled(
            peer, directory, workload,
        )?))),
        None => Ok(Box::new(One::filled(name, directory, workload)?)),
    }
}
