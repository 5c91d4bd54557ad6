//! The cleaner: keeps the directory small and opening fast, while commits go on.
//!
//! It releases the oldest segments of the log, moves what lives in them to cold segments, cleans
//! those of which little lives, writes checkpoints, and takes files away that nothing names any
//! more. Two rules: a new place is taken over only after it is synced; a file goes only after two
//! checkpoints that do not name it are durable, since either may have to be opened with.

use crate::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

mod age;
mod backup;
mod cold;
mod due;
mod garbage;
mod history;
mod moving;
mod purge;
mod retire;
mod save;

pub use purge::Purged;

use crate::checkpoint::Written;
use crate::cold::ColdWriter;
use crate::error::{Error, Fault};
use crate::log::Position;
use crate::options::Upkeep;
use crate::recovery::Kept;
use crate::store::Store;
use crate::types::{Sequence, Timestamp};
use crate::writer::{Clock, Writer};

use age::Ages;
use cold::Sweep;
use garbage::{Garbage, Old};

/// How often it looks whether there is something to do.
const TICK: Duration = Duration::from_secs(1);
/// How long it waits after something failed.
const AFTER_FAILURE: Duration = Duration::from_secs(5);
/// Bytes a second that it writes at most while commits wait.
const BYTES_PER_SECOND: u64 = 64 << 20;
/// How long a cold segment is left alone that could not be emptied.
const SKIPPED_MS: u64 = 5 * 60 * 1000;
/// Segments for which there must be space before one is made ready again.
const SPARE_SEGMENTS: u64 = 3;
/// How much larger than the last one the next checkpoint may be.
const CHECKPOINT_GROWS_BYTES: u64 = 32 << 10;
/// Identities of a deleted pool that are taken apart while commits wait.
const FALLEN_AT_A_TIME: usize = 1000;

/// The cleaner.
pub(crate) struct Cleaner {
    store: Arc<Store>,
    writer: Arc<Writer>,
    upkeep: Upkeep,
    clock: Clock,
    /// It has a thread, and so must not be in the way of commits.
    paced: bool,
    work: Mutex<Work>,
    /// A copy for those who ask, who must not wait for the work.
    figures: Mutex<Upkept>,
}

/// What it is about.
struct Work {
    cold: ColdWriter,
    /// The durable checkpoints, the newest last; all but the last two are for backups.
    kept: Vec<Written>,
    /// The number of the newest checkpoint that was begun.
    last: u32,
    /// Where the newest checkpoint ends in the log, and after which commit.
    saved: (Position, Sequence),
    /// When it was written.
    saved_at: Timestamp,
    /// Nothing lives in the log's segments before this one.
    first_hot: u32,
    garbage: Vec<Garbage>,
    /// Cold segments that are left alone for a while, and since when.
    skipped: HashMap<u32, Timestamp>,
    /// Up to which commit, and when, a segment was ended for what was deleted in it.
    rotated: (Sequence, Timestamp),
    /// The last commit that is known to have deleted something; before the store was opened, any
    /// may have.
    deleted: Sequence,
    /// What is being swept out.
    sweep: Option<Sweep>,
    /// When the last sweep was begun.
    swept_at: Timestamp,
    ages: Ages,
    figures: Upkept,
}

/// What the cleaner did since the store was opened, and what it is at.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (_home, engine, _settings) =
/// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/examples/scene.in"));
/// engine.compact()?;
/// let upkept = engine.upkeep();
/// assert!(upkept.checkpoint_bytes > 0);
/// if let Some(fault) = upkept.trouble {
///     eprintln!("the next attempt may help: {fault}");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Upkept {
    /// Checkpoints written.
    pub checkpoints: u64,
    /// Bytes of the newest checkpoint.
    pub checkpoint_bytes: u64,
    /// Segments of the log that were released and emptied.
    pub retired: u64,
    /// Cold segments that were cleaned.
    pub cleaned: u64,
    /// Bytes of images and metadata values written to cold segments.
    pub moved_bytes: u64,
    /// Bytes of files that wait for checkpoints, or for exports, before they are taken away.
    pub garbage_bytes: u64,
    /// Why the last attempt failed, if it did.
    pub trouble: Option<Fault>,
}

impl Work {
    fn skip(&mut self, number: u32, now: Timestamp) {
        self.skipped.insert(number, now);
    }

    fn skips(&self, number: u32, now: Timestamp) -> bool {
        let since = self.skipped.get(&number);
        since.is_some_and(|since| passed(*since, now) < SKIPPED_MS)
    }
}

/// Milliseconds that passed since something was done here; if the clock was set back behind that,
/// more than anything waits for.
fn passed(since: Timestamp, now: Timestamp) -> u64 {
    now.get().checked_sub(since.get()).unwrap_or(u64::MAX)
}

/// Whether the rest may go on without what failed.
fn is_passing(error: &Error) -> Result<(), Error> {
    match error {
        Error::Fault(Fault::Corrupt { .. }) => Ok(()),
        other => Err(other.clone()),
    }
}

impl Cleaner {
    pub(crate) fn new(
        store: Arc<Store>,
        writer: Arc<Writer>,
        upkeep: Upkeep,
        clock: Clock,
        paced: bool,
        kept: &Kept,
    ) -> Self {
        let log = &store.log;
        let cold = ColdWriter::new(
            Arc::clone(&log.disk),
            log.root.lineage,
            log.spares.segment_bytes(),
            kept.last_cold,
        );
        let newest = kept.checkpoints.last();
        let garbage = kept
            .hot
            .iter()
            .map(|&number| Garbage {
                number,
                bytes: 0,
                freed: newest.map_or(1, |newest| newest.number),
                tick: 0,
                must_go: true,
            })
            .collect();
        let work = Work {
            cold,
            last: kept.last,
            saved: kept.saved,
            saved_at: Timestamp::ZERO,
            first_hot: kept.first_hot,
            garbage,
            skipped: HashMap::new(),
            rotated: (Sequence::ZERO, Timestamp::ZERO),
            deleted: store.state().sequence,
            sweep: None,
            swept_at: Timestamp::ZERO,
            ages: Ages::default(),
            figures: Upkept {
                checkpoint_bytes: newest.map_or(0, |newest| newest.bytes),
                ..Upkept::default()
            },
            kept: kept.checkpoints.clone(),
        };
        Self {
            store,
            writer,
            upkeep,
            clock,
            paced,
            figures: Mutex::new(work.figures.clone()),
            work: Mutex::new(work),
        }
    }

    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For a thread of its own.
    pub(crate) fn run(&self) {
        let bell = &self.store.log.bell;
        while bell.wait(TICK) {
            let Ok(done) = catch_unwind(AssertUnwindSafe(|| self.round())) else {
                // A log that nobody cleans would grow until the disk is full.
                self.writer.halt("a bug: the cleaner panicked");
                return;
            };
            if done.is_err() && !bell.sleep(AFTER_FAILURE) {
                return;
            }
        }
    }

    /// Does what is due.
    pub(crate) fn round(&self) -> Result<(), Error> {
        let mut work = self.work();
        let mut done = self.do_due(&mut work);
        let spares = &self.store.log.spares;
        if matches!(done, Err(Error::Fault(Fault::StorageFull))) {
            spares.give_way();
            done = self
                .make_space(&mut work)
                .and_then(|()| self.do_due(&mut work));
        }
        if done.is_ok() && self.has_space() {
            spares.refill();
        }
        work.figures.trouble = match &done {
            Err(Error::Fault(fault)) => Some(fault.clone()),
            _ => None,
        };
        self.publish(&work);
        done
    }

    fn do_due(&self, work: &mut Work) -> Result<(), Error> {
        while self.store.clear_fallen(FALLEN_AT_A_TIME) {}
        self.note_deleted(work);
        self.rotate_if_due(work)?;
        let mut first = Ok(());
        let mut note = |done: Result<(), Error>| {
            if first.is_ok() {
                first = done;
            }
        };
        // In turns: while commits keep coming, none of the two is ever through. What cannot be
        // read is passed over, so that the rest goes on.
        let mut stuck = false;
        loop {
            let released = self.next_to_release(work).filter(|_| !stuck);
            let poor = self.next_to_clean(work);
            if released.is_some() || poor.is_some() {
                self.have_room(work)?;
            }
            if let Some(segment) = &released
                && let Err(error) = self.retire(work, segment)
            {
                is_passing(&error)?;
                stuck = true;
                note(Err(error));
            }
            if let Some(number) = poor
                && let Err(error) = self.clean(work, number)
            {
                is_passing(&error)?;
                work.skip(number, (self.clock)());
                note(Err(error));
            }
            self.settle(work)?;
            if released.is_none() && poor.is_none() {
                break;
            }
        }
        note(self.sweep_if_due(work));
        self.settle(work)?;
        first
    }

    /// Makes sure that what is moved next can be written, and the checkpoints too that then let
    /// its old place go: otherwise moving would only take the last space.
    fn have_room(&self, work: &mut Work) -> Result<(), Error> {
        let log = &self.store.log;
        let checkpoints = 2 * (work.figures.checkpoint_bytes + CHECKPOINT_GROWS_BYTES);
        let needed = log.spares.segment_bytes() + checkpoints;
        let has_room = || log.disk.free_bytes().is_ok_and(|free| free >= needed);
        if has_room() {
            return Ok(());
        }
        self.make_space(work)?;
        if has_room() {
            return Ok(());
        }
        Err(Fault::StorageFull.into())
    }

    /// Takes away what waits for checkpoints, before anything new is written.
    fn make_space(&self, work: &mut Work) -> Result<(), Error> {
        self.end_history(work)?;
        self.store.pins.overrun();
        self.drop_garbage(work, Old::Remove)?;
        if self.garbage_waits(work) {
            self.replace_checkpoints(work)?;
        }
        self.drop_garbage(work, Old::Remove)
    }

    /// Writes a checkpoint if one is due, and takes away what may go.
    fn settle(&self, work: &mut Work) -> Result<(), Error> {
        self.collect_dead(work);
        if self.checkpoint_is_due(work) {
            self.save(work)?;
        }
        if self.has_space() {
            self.thin_out(work)?;
        } else {
            self.end_history(work)?;
        }
        self.drop_garbage(work, Old::Recycle)
    }

    /// Whether there is room to make something ready: trying would take what others need.
    pub(super) fn has_space(&self) -> bool {
        let log = &self.store.log;
        let free = log.disk.free_bytes();
        free.is_ok_and(|free| free > SPARE_SEGMENTS * log.spares.segment_bytes())
    }

    /// What time it is for the store.
    pub(crate) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// What was done, and what is to do; during a round, as it was before. Never waits for one.
    pub(crate) fn figures(&self) -> Upkept {
        let figures = self.figures.lock();
        figures.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn publish(&self, work: &Work) {
        let mut figures = self.figures.lock().unwrap_or_else(PoisonError::into_inner);
        figures.clone_from(&work.figures);
    }

    /// Rests for as long as so many bytes may take; says no once the store is being closed.
    fn pause(&self, bytes: u64) -> bool {
        let bell = &self.store.log.bell;
        if !self.paced {
            return true;
        }
        if bell.is_closed() {
            return false;
        }
        if self.writer.load().1 > 0 && !self.is_behind() {
            return bell.sleep(Duration::from_micros(bytes * 1_000_000 / BYTES_PER_SECOND));
        }
        true
    }
}
