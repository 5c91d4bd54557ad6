//! Segments made ready before they are needed.
//!
//! A sync into blocks that were written before costs half of one that must also record where new
//! blocks are. So a thread writes the next segment full of zeros while the log fills the present
//! one. Where none is ready a short one is made on the spot.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

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
    closed: bool,
    /// The last attempt failed; the next one waits until a segment is asked for.
    failed: bool,
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
                let capacity = self.segment_bytes.min(SEGMENT_BYTES_URGENT).max(needed);
                self.make(capacity, || false)
            }
        }
    }

    /// Keeps one segment ready until [`Spares::close`]; for a thread of its own.
    pub(crate) fn keep_ready(&self) {
        loop {
            let slot = self.lock();
            let slot = self
                .changed
                .wait_while(slot, |slot| {
                    !slot.closed && (slot.ready.is_some() || slot.failed)
                })
                .unwrap_or_else(PoisonError::into_inner);
            if slot.closed {
                return;
            }
            drop(slot);
            let made = self.make(self.segment_bytes, || self.lock().closed);
            let mut slot = self.lock();
            // A failure is told to whoever then has to make a segment on the spot.
            slot.failed = made.is_err();
            slot.ready = made.ok();
        }
    }

    /// Ends the thread, and gives the space of a segment that was made in vain back.
    pub(crate) fn close(&self) {
        let mut slot = self.lock();
        slot.closed = true;
        if let Some(spare) = slot.ready.take() {
            // Opening would remove it too.
            let _ = self.disk.remove(&spare.path);
        }
        drop(slot);
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a file of zeros, or leaves none.
    fn make(&self, capacity: u64, stop: impl Fn() -> bool) -> Result<Spare, Fault> {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let path = PathBuf::from(segment::DIRECTORY).join(format!("{SPARE}{number}"));
        let made = self.write(&path, capacity, stop);
        if made.is_err() {
            // What cannot be removed is removed by the next opening.
            let _ = self.disk.remove(&path);
        }
        made
    }

    fn write(&self, path: &Path, capacity: u64, stop: impl Fn() -> bool) -> Result<Spare, Fault> {
        let fault = |doing| move |source: io::Error| fault(doing, path, source);
        let file = self.disk.create(path).map_err(fault("create"))?;
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

fn fault(doing: &'static str, path: &Path, source: io::Error) -> Fault {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Fault::StorageFull,
        _ => Fault::Io {
            doing,
            path: path.to_owned(),
            source: Arc::new(source),
        },
    }
}
