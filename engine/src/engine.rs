//! The engine: the one handle through which a program opens a store, writes, reads and follows it.

use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::thread::{self, JoinHandle};
use crate::sync::{Arc, Mutex, PoisonError};
use std::future::Future;
use std::path::Path;

use crate::backup::{Backup, BackupOptions};
use crate::cache::Cache;
use crate::cleaner::{Cleaner, Purged, Upkept};
use crate::disk::{Disk, RealDisk};
use crate::error::{Error, Fault};
use crate::export::{Export, ExportPosition};
use crate::feed::Feed;
use crate::manifest;
use crate::options::Options;
use crate::proposal::{Proposal, Receipt};
use crate::reader::Reader;
use crate::readers::ReaderLag;
use crate::recovery::{self, Opened, Recovery};
use crate::snapshot::Scope;
use crate::store::{self, Store};
use crate::ticket::Answered;
use crate::types::{Cursor, Sequence, Timestamp, invalid};
use crate::unfinished::Unfinished;
use crate::watermark::{Durable, Watermark};
use crate::writer::Writer;

/// A store. Clones share it and are cheap; it may be used from any thread. The last one that is
/// dropped closes it like [`Engine::close`].
#[doc = include_str!("examples/engine/engine.md")]
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<Store>,
    writer: Arc<Writer>,
    cleaner: Arc<Cleaner>,
    recovery: Recovery,
    threads: Mutex<Vec<JoinHandle<()>>>,
    closed: AtomicBool,
    _lock: Box<dyn Send + Sync>,
}

/// Figures of a store.
#[doc = include_str!("examples/engine/figures.md")]
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
    #[doc = include_str!("examples/engine/open.md")]
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
    #[doc = include_str!("examples/engine/open_on.md")]
    /// # Errors
    /// Those of [`Engine::open`].
    #[expect(clippy::needless_pass_by_value, reason = "the store keeps the disk")]
    pub fn open_on(disk: Arc<dyn Disk>, options: Options) -> Result<Self, Error> {
        options.check()?;
        let lock = recovery::lock(disk.as_ref())?;
        manifest::refuse(disk.as_ref())?;
        let Opened {
            state,
            log,
            tail,
            recovery,
            kept,
        } = recovery::open(&disk, options.segment_bytes)?;
        let sequence = state.sequence;
        let durable = Durable {
            sequence,
            position: tail.end().position,
            chain: tail.end().chain,
            news: sequence,
        };
        let cache = Cache::new(options.cache_bytes);
        let store = Arc::new(Store::new(state, cache, log, Watermark::new(durable)));
        let writer = Arc::new(Writer::new(
            Arc::clone(&store),
            tail,
            options.limits,
            Arc::clone(&options.clock),
        ));
        let cleaner = Arc::new(Cleaner::new(
            Arc::clone(&store),
            Arc::clone(&writer),
            options.upkeep(),
            options.clock,
            options.threads,
            &kept,
        ));
        let threads = Mutex::default();
        let inner = Inner {
            store,
            writer,
            cleaner,
            recovery,
            threads,
            closed: AtomicBool::new(false),
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
    #[doc = include_str!("examples/engine/commit.md")]
    /// # Errors
    /// Refusals, after which nothing changed; faults, after which the outcome is unknown until the
    /// store is reopened.
    pub fn commit(&self, proposal: impl Into<Proposal>) -> Result<Receipt, Error> {
        self.inner.writer.commit(proposal.into())
    }

    /// Hands over a proposal without blocking, for async callers on any runtime; the future
    /// resolves as [`Engine::commit`] returns. Dropping it does not take the proposal back.
    #[doc = include_str!("examples/engine/commit_future.md")]
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
    #[doc = include_str!("examples/engine/commit_all.md")]
    #[must_use]
    pub fn commit_all(&self, proposals: Vec<Proposal>) -> Vec<Result<Receipt, Error>> {
        self.inner.writer.commit_all(proposals)
    }

    /// A view that may read the disk, so its calls may block.
    #[doc = include_str!("examples/engine/reader.md")]
    #[must_use]
    pub fn reader(&self) -> Reader<'_> {
        Reader {
            store: &self.inner.store,
            disk: store::Disk::MayRead,
        }
    }

    /// A view that answers from memory or with [`Error::NotResident`], without blocking.
    #[doc = include_str!("examples/engine/resident_reader.md")]
    #[must_use]
    pub fn resident_reader(&self) -> Reader<'_> {
        Reader {
            store: &self.inner.store,
            disk: store::Disk::MustNotRead,
        }
    }

    /// The commits after a cursor.
    #[doc = include_str!("examples/engine/feed.md")]
    /// # Errors
    /// [`Refusal::ForeignCursor`](crate::Refusal::ForeignCursor) if it is not from this store.
    pub fn feed(&self, cursor: Cursor) -> Result<Feed, Error> {
        Feed::new(Arc::clone(&self.inner.store), cursor)
    }

    /// A consistent copy of everything, a pool or an identity, as it is now, whatever is written
    /// while it is read. Memory stays bounded.
    #[doc = include_str!("examples/engine/export.md")]
    /// # Errors
    /// [`Refusal::NoSuch`](crate::Refusal::NoSuch) if there is no such pool or identity,
    /// [`Refusal::Busy`](crate::Refusal::Busy) if eight exports are under way.
    pub fn export(&self, scope: Scope) -> Result<Export, Error> {
        Export::begin(Arc::clone(&self.inner.store), scope)
    }

    /// Goes on with an export behind a position. It must have been [suspended](Export::suspend)
    /// there and be kept still, or nothing of what it tells may have changed since it began, for
    /// instance because nobody writes.
    #[doc = include_str!("examples/engine/resume_export.md")]
    /// # Errors
    /// [`Refusal::ExportGone`](crate::Refusal::ExportGone) if neither holds,
    /// [`Refusal::ForeignCursor`](crate::Refusal::ForeignCursor) if the position is from another
    /// store, [`Refusal::Busy`](crate::Refusal::Busy) if eight exports are under way, and faults of
    /// reading the log.
    pub fn resume_export(&self, position: &ExportPosition) -> Result<Export, Error> {
        Export::resume(Arc::clone(&self.inner.store), position)
    }

    /// Behind the newest durable commit.
    #[doc = include_str!("examples/engine/head.md")]
    #[must_use]
    pub fn head(&self) -> Cursor {
        self.cursor(self.inner.store.watermark.get().sequence)
    }

    /// Before the oldest commit that the feed reaches.
    #[doc = include_str!("examples/engine/tail.md")]
    #[must_use]
    pub fn tail(&self) -> Cursor {
        let found = self.inner.store.log.place_after(Sequence::ZERO);
        found.map_or_else(|| self.head(), |(_, point)| self.cursor(point.before))
    }

    /// Before every commit that was made at a time or later, and not far before.
    #[doc = include_str!("examples/engine/cursor_before.md")]
    #[must_use]
    pub fn cursor_before(&self, time: Timestamp) -> Cursor {
        let found = self.inner.store.log.place_before(time);
        found.map_or_else(|| self.head(), |(_, point)| self.cursor(point.before))
    }

    fn cursor(&self, sequence: Sequence) -> Cursor {
        Cursor {
            store: self.inner.store.log.root.uuid,
            sequence,
        }
    }

    /// Figures, summed over the pools and segments.
    #[doc = include_str!("examples/engine/stats.md")]
    #[must_use]
    pub fn stats(&self) -> Stats {
        let store = &self.inner.store;
        let (batches, waiting) = self.inner.writer.load();
        let (segments, log_bytes) = store.log.size();
        let state = store.state();
        let totals = state.totals();
        Stats {
            pools: totals.pools,
            identities: totals.identities,
            datasets: totals.datasets,
            bytes: totals.bytes,
            metadata: totals.metadata,
            sequence: state.sequence,
            cache_bytes: store.cache.bytes() as u64,
            segments: segments as u64,
            log_bytes,
            batches,
            waiting: waiting as u64,
        }
    }

    /// How far each [named](Feed::named) reader of the feed is behind.
    #[doc = include_str!("examples/engine/readers.md")]
    #[must_use]
    pub fn readers(&self) -> Vec<ReaderLag> {
        self.inner.store.lags(self.inner.cleaner.now())
    }

    /// What the store's own thread did to keep the directory small.
    #[doc = include_str!("examples/engine/upkeep.md")]
    #[must_use]
    pub fn upkeep(&self) -> Upkept {
        self.inner.cleaner.figures()
    }

    /// Does at once what the store's own thread does from time to time: releases old segments of
    /// the log, cleans, writes a checkpoint if one is due. A store without threads needs it called.
    #[doc = include_str!("examples/engine/maintain.md")]
    /// # Errors
    /// Faults of reading and writing; nothing is lost by them, and it may be tried again.
    pub fn maintain(&self) -> Result<(), Error> {
        self.inner.cleaner.round()
    }

    /// Like [`Engine::maintain`], and does what is not due yet: the directory is as small after it
    /// as retention allows.
    #[doc = include_str!("examples/engine/compact.md")]
    /// # Errors
    /// Those of [`Engine::maintain`].
    pub fn compact(&self) -> Result<(), Error> {
        self.inner.cleaner.compact()
    }

    /// Takes every byte of what was deleted or replaced out of the directory, at once. The feed
    /// ends before the present, so readers that are behind are cut off: the answer names those that
    /// are [known](Feed::named). Exports under way end, too.
    #[doc = include_str!("examples/engine/purge.md")]
    /// # Errors
    /// Those of [`Engine::maintain`]; then it may have been done in part, and is to be repeated.
    pub fn purge(&self) -> Result<Purged, Error> {
        self.inner.cleaner.purge()
    }

    /// Writes a directory from which the store can be [restored](crate::restore) as it is now, or
    /// as it was at any commit from [`Backup::earliest`] on, while commits go on. The directory
    /// must be empty or not exist; it gets its name when it is whole. On the same file system its
    /// files are links, so that it takes next to no time and no space but that of what the store
    /// deletes later.
    #[doc = include_str!("examples/engine/backup.md")]
    /// # Errors
    /// A refusal if something has the name already, or if the backup was cut off by a
    /// [purge](Engine::purge); faults of reading and writing. The store is as it was, and nothing
    /// is left of the backup.
    pub fn backup(
        &self,
        target: impl AsRef<Path>,
        options: &BackupOptions,
    ) -> Result<Backup, Error> {
        let inside = |root: &Path| {
            std::path::absolute(target.as_ref()).is_ok_and(|target| target.starts_with(root))
        };
        if self.inner.store.log.disk.root().is_some_and(inside) {
            return Err(invalid("target", "must be outside of the data directory").into());
        }
        let unfinished = Unfinished::begin(target.as_ref())?;
        let disk = unfinished.disk()?;
        unfinished.end(self.backup_on(&disk, options))
    }

    /// Like [`Engine::backup`], on an empty disk of the caller's.
    #[doc = include_str!("examples/engine/backup_on.md")]
    /// # Errors
    /// Those of [`Engine::backup`]; then the disk is to be thrown away.
    pub fn backup_on(
        &self,
        target: &Arc<dyn Disk>,
        options: &BackupOptions,
    ) -> Result<Backup, Error> {
        self.inner.cleaner.backup(target, options)
    }

    /// What opening found.
    #[doc = include_str!("examples/engine/recovery.md")]
    #[must_use]
    pub fn recovery(&self) -> &Recovery {
        &self.inner.recovery
    }

    /// Why writes are refused since a write or sync failed, if one did.
    #[doc = include_str!("examples/engine/halted.md")]
    #[must_use]
    pub fn halted(&self) -> Option<Arc<str>> {
        self.inner.writer.halted().cloned()
    }

    /// Refuses new writes, finishes those that wait, and marks the log as cleanly closed. Reads go
    /// on. Closing again does nothing.
    #[doc = include_str!("examples/engine/close.md")]
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
            thread::Builder::new()
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
        let cleaner = Arc::clone(&self.cleaner);
        threads.push(spawn("syncline-clean", Box::new(move || cleaner.run()))?);
        Ok(())
    }

    fn close(&self) -> Result<(), Error> {
        self.store.log.bell.close();
        let closed = self.writer.close();
        self.store.log.spares.close();
        let threads =
            std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        let first = self.closed.swap(true, Ordering::AcqRel);
        for thread in threads {
            // Its panics are caught and halt the store.
            let _ = thread.join();
        }
        if closed.is_ok() && !first {
            // Opening is quick without it too, only not as quick.
            let _ = self.cleaner.save_at_close();
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
