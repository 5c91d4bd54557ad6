//! The engine: the one handle through which a program opens a store, writes, reads and follows it.

use std::future::Future;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use crate::cache::Cache;
use crate::disk::{Disk, RealDisk};
use crate::error::{Error, Fault};
use crate::feed::Feed;
use crate::options::Options;
use crate::proposal::{Proposal, Receipt};
use crate::reader::Reader;
use crate::recovery::{self, Opened, Recovery};
use crate::store::{self, Store};
use crate::ticket::Answered;
use crate::types::{Cursor, Sequence, Timestamp};
use crate::watermark::{Durable, Watermark};
use crate::writer::Writer;

/// A store. Clones share it and are cheap; it may be used from any thread. The last one that is
/// dropped closes it like [`Engine::close`].
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<Store>,
    writer: Arc<Writer>,
    recovery: Recovery,
    threads: Mutex<Vec<JoinHandle<()>>>,
    _lock: Box<dyn Send + Sync>,
}

/// Figures of a store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Pools that have identities, or had some.
    pub pools: u64,
    /// Identities that have datasets, or had some.
    pub identities: u64,
    /// Datasets that exist.
    pub datasets: u64,
    /// Bytes of keys and values of all records.
    pub bytes: u64,
    /// Metadata keys that have a value.
    pub metadata: u64,
    /// The last durable commit.
    pub sequence: Sequence,
    /// Bytes that the cache holds.
    pub cache_bytes: u64,
    /// Log segments.
    pub segments: u64,
    /// Bytes of frames in the log.
    pub log_bytes: u64,
    /// Batches synced since the store was opened.
    pub batches: u64,
    /// Submissions that are not answered yet.
    pub waiting: u64,
}

impl Engine {
    /// Opens the store in a directory, which is made if it does not exist.
    ///
    /// # Errors
    /// [`Fault::Locked`] if another process has it, [`Fault::Corrupt`] if bytes that were durable
    /// do not hold, [`Fault::Version`] if a later version wrote it, [`Fault::Io`] and
    /// [`Fault::StorageFull`] from the system, and a refusal for options out of range.
    pub fn open(directory: impl AsRef<Path>, options: Options) -> Result<Self, Error> {
        let directory = directory.as_ref();
        let disk = RealDisk::new(directory).map_err(|source| Fault::Io {
            doing: "create",
            path: directory.into(),
            source: Arc::new(source),
        })?;
        Self::open_on(Arc::new(disk), options)
    }

    /// Opens the store on a disk of the caller's.
    ///
    /// # Errors
    /// Those of [`Engine::open`].
    #[expect(clippy::needless_pass_by_value, reason = "the store keeps the disk")]
    pub fn open_on(disk: Arc<dyn Disk>, options: Options) -> Result<Self, Error> {
        options.check()?;
        let lock = disk
            .lock()
            .map_err(|source| Fault::Io {
                doing: "lock",
                path: "LOCK".into(),
                source: Arc::new(source),
            })?
            .map_err(|holder| Fault::Locked { holder })?;
        let Opened {
            state,
            log,
            tail,
            recovery,
        } = recovery::open(&disk, options.segment_bytes)?;
        let sequence = state.sequence;
        let durable = Durable {
            sequence,
            position: tail.position(),
            news: sequence,
        };
        let cache = Cache::new(options.cache_bytes);
        let store = Arc::new(Store::new(state, cache, log, Watermark::new(durable)));
        let writer = Arc::new(Writer::new(
            Arc::clone(&store),
            tail,
            options.limits,
            options.clock,
        ));
        let threads = Mutex::default();
        let inner = Inner {
            store,
            writer,
            recovery,
            threads,
            _lock: lock,
        };
        if options.threads {
            inner.start()?;
        }
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Blocks until the proposal is durable or refused. May read the disk first, and may run the
    /// log itself.
    ///
    /// # Errors
    /// Refusals, after which nothing changed; faults, after which the outcome is unknown until the
    /// store is reopened.
    pub fn commit(&self, proposal: impl Into<Proposal>) -> Result<Receipt, Error> {
        self.inner.writer.commit(proposal.into())
    }

    /// Hands over a proposal without blocking, for async callers on any runtime; the future
    /// resolves as [`Engine::commit`] returns. Dropping it does not take the proposal back.
    ///
    /// # Errors
    /// The proposal, if a page that it needs is not in memory: call [`Engine::commit`] where
    /// blocking is allowed.
    pub fn commit_future(
        &self,
        proposal: Proposal,
    ) -> Result<impl Future<Output = Result<Receipt, Error>> + Send + 'static + use<>, Proposal>
    {
        self.inner.writer.offer(proposal).map(Answered)
    }

    /// Many proposals, in order, that share syncs: each is durable or refused on its own.
    #[must_use]
    pub fn commit_all(&self, proposals: Vec<Proposal>) -> Vec<Result<Receipt, Error>> {
        self.inner.writer.commit_all(proposals)
    }

    /// A view that may read the disk, so its calls may block.
    #[must_use]
    pub fn reader(&self) -> Reader<'_> {
        Reader {
            store: &self.inner.store,
            disk: store::Disk::MayRead,
        }
    }

    /// A view that answers from memory or with [`Error::NotResident`], without blocking.
    #[must_use]
    pub fn resident_reader(&self) -> Reader<'_> {
        Reader {
            store: &self.inner.store,
            disk: store::Disk::MustNotRead,
        }
    }

    /// The commits after a cursor.
    ///
    /// # Errors
    /// [`Refusal::ForeignCursor`](crate::Refusal::ForeignCursor) if it is not from this store.
    pub fn feed(&self, cursor: Cursor) -> Result<Feed, Error> {
        Feed::new(Arc::clone(&self.inner.store), cursor)
    }

    /// Behind the newest durable commit.
    #[must_use]
    pub fn head(&self) -> Cursor {
        self.cursor(self.inner.store.watermark.get().sequence)
    }

    /// Before the oldest commit that the feed reaches.
    #[must_use]
    pub fn tail(&self) -> Cursor {
        let found = self.inner.store.log.place_after(Sequence::ZERO);
        found.map_or_else(|| self.head(), |(_, point)| self.cursor(point.before))
    }

    /// Before every commit that was made at a time or later, and not far before.
    #[must_use]
    pub fn cursor_before(&self, time: Timestamp) -> Cursor {
        let found = self.inner.store.log.place_before(time);
        found.map_or_else(|| self.head(), |(_, point)| self.cursor(point.before))
    }

    fn cursor(&self, sequence: Sequence) -> Cursor {
        Cursor {
            store: self.inner.store.log.store,
            sequence,
        }
    }

    /// Figures, summed over the pools and segments.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let store = &self.inner.store;
        let (batches, waiting) = self.inner.writer.load();
        let (segments, log_bytes) = store.log.size();
        let state = store.state();
        let pools = || state.pools.values();
        Stats {
            pools: state.pools.len() as u64,
            identities: pools().map(|pool| pool.identities.len() as u64).sum(),
            datasets: pools().map(|pool| pool.datasets).sum(),
            bytes: pools().map(|pool| pool.bytes).sum(),
            metadata: state.metadata.len() as u64,
            sequence: state.sequence,
            cache_bytes: store.cache.bytes() as u64,
            segments: segments as u64,
            log_bytes,
            batches,
            waiting: waiting as u64,
        }
    }

    /// What opening found.
    #[must_use]
    pub fn recovery(&self) -> &Recovery {
        &self.inner.recovery
    }

    /// Why writes are refused since a write or sync failed, if one did.
    #[must_use]
    pub fn halted(&self) -> Option<Arc<str>> {
        self.inner.writer.halted().cloned()
    }

    /// Refuses new writes, finishes those that wait, and marks the log as cleanly closed. Reads go
    /// on. Closing again does nothing.
    ///
    /// # Errors
    /// [`Fault::Halted`] if the store was halted before; faults of writing the mark. Everything
    /// acknowledged is durable all the same.
    pub fn close(&self) -> Result<(), Error> {
        self.inner.close()
    }
}

impl Inner {
    fn start(&self) -> Result<(), Fault> {
        let writer = Arc::clone(&self.writer);
        let log = Arc::clone(&self.store.log);
        let spawn = |name: &str, run: Box<dyn FnOnce() + Send>| {
            std::thread::Builder::new()
                .name(name.into())
                .spawn(run)
                .map_err(|source| Fault::Io {
                    doing: "start a thread for",
                    path: "hot".into(),
                    source: Arc::new(source),
                })
        };
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        threads.push(spawn(
            "syncline-log",
            Box::new(move || writer.run_thread()),
        )?);
        threads.push(spawn(
            "syncline-spare",
            Box::new(move || log.spares.keep_ready()),
        )?);
        Ok(())
    }

    fn close(&self) -> Result<(), Error> {
        let closed = self.writer.close();
        self.store.log.spares.close();
        let threads =
            std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            // Its panics are caught and halt the store.
            let _ = thread.join();
        }
        closed
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // What is acknowledged is durable; a store that cannot be marked is recovered at open.
        let _ = self.close();
    }
}
