//! Readers of the feed that have a name: how far each is, and whether the log waits for it.

use crate::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::collections::BTreeMap;

use crate::types::Sequence;

/// All named readers of a store.
#[derive(Debug, Default)]
pub(crate) struct Readers {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    next: u64,
    known: BTreeMap<u64, Known>,
}

#[derive(Debug, Clone)]
struct Known {
    name: Arc<str>,
    sequence: Sequence,
}

/// A reader's place in the list, until it is dropped.
#[derive(Debug)]
pub(crate) struct Registered {
    readers: Arc<Readers>,
    number: u64,
}

/// How far a named reader of the feed is behind.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (_home, engine, _settings) =
/// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/examples/scene.in"));
/// let _feed = engine.feed(engine.tail())?.named("search index");
/// for reader in engine.readers() {
///     println!("{} is {} ms behind", reader.name, reader.milliseconds);
///     assert_eq!(reader.commits, 1);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReaderLag {
    /// Its name.
    pub name: Arc<str>,
    /// The last commit that it read.
    pub sequence: Sequence,
    /// Commits that it has not read yet, of all kinds; zero if feeds tell of none of them.
    pub commits: u64,
    /// Bytes of log that it has not read yet, to within 256 KiB; zero in the same case.
    pub bytes: u64,
    /// Milliseconds since the oldest commit was made that it has not read and that feeds tell of,
    /// or somewhat more: a second, if that was since the store was opened and in the last hours,
    /// else what 256 KiB of log took. Zero if it has read everything that feeds tell of, or if
    /// nothing was committed before.
    pub milliseconds: u64,
}

impl Readers {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn register(self: &Arc<Self>, name: Arc<str>, sequence: Sequence) -> Registered {
        let mut inner = self.lock();
        inner.next += 1;
        let number = inner.next;
        inner.known.insert(number, Known { name, sequence });
        Registered {
            readers: Arc::clone(self),
            number,
        }
    }

    /// How far the slowest reader is for which the log waits.
    pub(crate) fn slowest_held(&self) -> Option<Sequence> {
        self.lock().known.values().map(|known| known.sequence).min()
    }

    /// Every reader and how far it is.
    pub(crate) fn all(&self) -> Vec<(Arc<str>, Sequence)> {
        let inner = self.lock();
        let known = inner.known.values();
        known
            .map(|known| (Arc::clone(&known.name), known.sequence))
            .collect()
    }
}

impl Registered {
    pub(crate) fn moved(&self, sequence: Sequence) {
        if let Some(known) = self.readers.lock().known.get_mut(&self.number) {
            known.sequence = sequence;
        }
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.readers.lock().known.remove(&self.number);
    }
}
