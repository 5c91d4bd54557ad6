//! Segments made ready before they are needed.
//!
//! A sync into blocks that were written before costs half of one that must also record where new
//! blocks are. So a thread writes the next segment full of zeros while the log fills the present
//! one. Where none is ready a short one is made on the spot.

use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::io::IoSlice;
use std::path::{Path, PathBuf};

use crate::disk::{Disk, DiskFile};
use crate::error::Fault;
use crate::limits::SEGMENT_BYTES_URGENT;
use crate::segment::{self, FRAMES_OFFSET};

/// Bytes of zeros that are written at a time.
const STEP_BYTES: usize = 256 << 10;

/// What the names of spare files begin with. No two of a process have the same name: one that was
/// taken must not be touched any more.
pub(crate) const SPARE: &str = "spare-";

/// A file of zeros that may become a segment.
pub(crate) struct Spare {
    pub(crate) path: PathBuf,
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) capacity: u64,
}

/// The place of the next segment.
pub(crate) struct Spares {
    disk: Arc<dyn Disk>,
    segment_bytes: u64,
    made: AtomicU64,
    slot: Mutex<Slot>,
    changed: Condvar,
}

#[derive(Default)]
struct Slot {
    ready: Option<Spare>,
    /// A file to make the next one of.
    old: Option<PathBuf>,
    /// There is a thread that makes them.
    threaded: bool,
    closed: bool,
    /// The last attempt failed; the next one waits until a segment is asked for.
    failed: bool,
    /// For what deletes, when there is no space for anything else.
    for_deletions: Option<Spare>,
    /// Space that the cleaner gets when there is no other, since it makes more.
    for_cleaning: Option<Spare>,
}

/// What there should be and is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Missing {
    Segment,
    ForDeletions,
    ForCleaning,
}

impl Slot {
    /// What to make next: the reserves first, while there is space.
    fn missing(&self) -> Option<Missing> {
        if self.for_deletions.is_none() {
            Some(Missing::ForDeletions)
        } else if self.for_cleaning.is_none() {
            Some(Missing::ForCleaning)
        } else if self.ready.is_none() {
            Some(Missing::Segment)
        } else {
            None
        }
    }

    fn place(&mut self, missing: Missing) -> &mut Option<Spare> {
        match missing {
            Missing::Segment => &mut self.ready,
            Missing::ForDeletions => &mut self.for_deletions,
            Missing::ForCleaning => &mut self.for_cleaning,
        }
    }
}

impl Spares {
    pub(crate) fn new(disk: Arc<dyn Disk>, segment_bytes: u64) -> Self {
        Self {
            disk,
            segment_bytes,
            made: AtomicU64::new(1),
            slot: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// A file for at least `bytes` of frames. A fault means that nothing was written but files that
    /// are none of the log's.
    pub(crate) fn take(&self, bytes: u64) -> Result<Spare, Fault> {
        let needed = bytes + u64::from(FRAMES_OFFSET);
        let ready = {
            let mut slot = self.lock();
            slot.failed = false;
            self.changed.notify_all();
            slot.ready.take_if(|spare| spare.capacity >= needed)
        };
        match ready {
            Some(spare) => Ok(spare),
            None => {
                self.reserve()?;
                self.make(self.urgent().max(needed), None, || false)
            }
        }
    }

    /// Sees to it that there is a file for what deletes before anything else takes the last space.
    /// Mostly the thread has been quicker.
    fn reserve(&self) -> Result<(), Fault> {
        if self.lock().for_deletions.is_none() {
            let made = self.make(self.urgent(), None, || false)?;
            self.keep(self.lock(), Missing::ForDeletions, made);
        }
        Ok(())
    }

    /// Puts a file in its place, or takes it away if there is one.
    fn keep(&self, mut slot: MutexGuard<'_, Slot>, missing: Missing, made: Spare) {
        let place = slot.place(missing);
        if place.is_none() {
            *place = Some(made);
            return;
        }
        drop(slot);
        // Opening would remove it too.
        let _ = self.disk.remove(&made.path);
    }

    /// The file that is kept for what deletes, if it is large enough.
    pub(crate) fn take_reserve(&self, bytes: u64) -> Option<Spare> {
        let needed = bytes + u64::from(FRAMES_OFFSET);
        let mut slot = self.lock();
        slot.for_deletions.take_if(|spare| spare.capacity >= needed)
    }

    /// Gives all space away that is only held ready, so that the cleaner can make more of it; false
    /// if there was none.
    pub(crate) fn give_way(&self) -> bool {
        let mut slot = self.lock();
        slot.failed = true;
        let given = [slot.ready.take(), slot.for_cleaning.take()];
        drop(slot);
        let mut gave = false;
        for spare in given.into_iter().flatten() {
            gave |= self.disk.remove(&spare.path).is_ok();
        }
        gave
    }

    /// There may be space again: what was given away is made once more.
    pub(crate) fn refill(&self) {
        let mut slot = self.lock();
        if slot.failed {
            slot.failed = false;
            drop(slot);
            self.changed.notify_all();
        }
    }

    fn urgent(&self) -> u64 {
        self.segment_bytes.min(SEGMENT_BYTES_URGENT)
    }

    /// Bytes of a segment that is made ahead of time.
    pub(crate) fn segment_bytes(&self) -> u64 {
        self.segment_bytes
    }

    /// Takes the file of a segment that nothing needs any more, to make the next one of it; false
    /// if it is not wanted, or must not be touched since it has another name elsewhere.
    pub(crate) fn recycle(&self, number: u32) -> bool {
        let wanted = |slot: &Slot| {
            !slot.closed && slot.threaded && slot.old.is_none() && slot.ready.is_none()
        };
        if !wanted(&self.lock()) {
            return false;
        }
        let from = segment::path(number);
        if !self.disk.names(&from).is_ok_and(|names| names == 1) {
            return false;
        }
        let path = self.next_path();
        if self.disk.rename(&from, &path).is_err() {
            return false;
        }
        // The old name must not come back with zeros.
        let lasts = self.disk.sync_directory(Path::new(segment::DIRECTORY));
        let mut slot = self.lock();
        if lasts.is_err() || slot.closed || slot.ready.is_some() {
            drop(slot);
            // Nobody would write it over soon.
            let _ = self.disk.remove(&path);
            return true;
        }
        slot.old = Some(path);
        slot.failed = false;
        drop(slot);
        self.changed.notify_all();
        true
    }

    /// Takes away what waits to be written over.
    pub(crate) fn discard_old(&self) {
        if let Some(path) = self.lock().old.take() {
            // Opening would remove it too.
            let _ = self.disk.remove(&path);
        }
    }

    fn next_path(&self) -> PathBuf {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        PathBuf::from(segment::DIRECTORY).join(format!("{SPARE}{number}"))
    }

    /// Keeps one segment ready until [`Spares::close`]; for a thread of its own.
    pub(crate) fn keep_ready(&self) {
        self.lock().threaded = true;
        loop {
            let slot = self.lock();
            let mut slot = self
                .changed
                .wait_while(slot, |slot| {
                    !slot.closed && (slot.missing().is_none() || slot.failed)
                })
                .unwrap_or_else(PoisonError::into_inner);
            let Some(missing) = slot.missing().filter(|_| !slot.closed) else {
                return;
            };
            let old = slot.old.take_if(|_| missing == Missing::Segment);
            drop(slot);
            let bytes = match missing {
                Missing::Segment => self.segment_bytes,
                Missing::ForDeletions | Missing::ForCleaning => self.urgent(),
            };
            let made = self.make(bytes, old, || self.lock().closed);
            let mut slot = self.lock();
            // A failure is told to whoever then has to make a segment on the spot.
            slot.failed = made.is_err();
            let unwanted = slot.old.take_if(|_| missing == Missing::Segment);
            if let Ok(made) = made {
                self.keep(slot, missing, made);
            } else {
                drop(slot);
            }
            if let Some(path) = unwanted {
                let _ = self.disk.remove(&path);
            }
        }
    }

    /// Ends the thread, and gives the space of a segment that was made in vain back.
    pub(crate) fn close(&self) {
        let mut slot = self.lock();
        slot.closed = true;
        let spares = [
            slot.ready.take(),
            slot.for_deletions.take(),
            slot.for_cleaning.take(),
        ];
        for spare in spares.into_iter().flatten() {
            // Opening would remove it too.
            let _ = self.disk.remove(&spare.path);
        }
        if let Some(path) = slot.old.take() {
            let _ = self.disk.remove(&path);
        }
        drop(slot);
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a file of zeros, or leaves none.
    fn make(
        &self,
        capacity: u64,
        old: Option<PathBuf>,
        stop: impl Fn() -> bool,
    ) -> Result<Spare, Fault> {
        let recycled = old.is_some();
        let path = old.unwrap_or_else(|| self.next_path());
        let made = self.write(&path, capacity, recycled, stop);
        if made.is_err() {
            // What cannot be removed is removed by the next opening.
            let _ = self.disk.remove(&path);
        }
        made
    }

    fn write(
        &self,
        path: &Path,
        capacity: u64,
        recycled: bool,
        stop: impl Fn() -> bool,
    ) -> Result<Spare, Fault> {
        let fault = |doing| move |source| Fault::of_io(doing, path, source);
        // A file that is written over keeps its blocks, which are not looked for once more.
        let file = if recycled {
            let file = self.disk.open(path).map_err(fault("open"))?;
            file.set_length(capacity).map_err(fault("cut"))?;
            file
        } else {
            self.disk.create(path).map_err(fault("create"))?
        };
        let zeros = vec![0; STEP_BYTES];
        let mut offset = 0;
        while offset < capacity {
            if stop() {
                return Err(Fault::Closed);
            }
            let left = usize::try_from(capacity - offset).unwrap_or(STEP_BYTES);
            let step = &zeros[..left.min(STEP_BYTES)];
            file.write_at(&[IoSlice::new(step)], offset)
                .map_err(fault("write"))?;
            offset += step.len() as u64;
        }
        file.sync().map_err(fault("sync"))?;
        let path = path.to_owned();
        Ok(Spare {
            path,
            file,
            capacity,
        })
    }
}
