//! Segments made ready before they are needed.
//!
//! A sync into blocks that were written before costs half of one that must also record where new
//! blocks are. So a thread writes the next segment full of zeros while the log fills the present
//! one. Where none is ready a short one is made on the spot.

use std::io::IoSlice;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crate::disk::{Disk, DiskFile};
use crate::error::Fault;
use crate::limits::SEGMENT_BYTES_URGENT;
use crate::segment::{self, FRAMES_OFFSET};

/// Bytes of zeros that are written at a time.
const STEP_BYTES: usize = 256 << 10;

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
            slot: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// A file for at least `bytes` of frames.
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
            None => self.make(
                "urgent",
                self.segment_bytes.min(SEGMENT_BYTES_URGENT).max(needed),
            ),
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
            let made = self.make("next", self.segment_bytes);
            let mut slot = self.lock();
            // A failure is told to whoever then has to make a segment on the spot.
            slot.failed = made.is_err();
            slot.ready = made.ok();
        }
    }

    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn make(&self, name: &str, capacity: u64) -> Result<Spare, Fault> {
        let path = PathBuf::from(segment::DIRECTORY).join(name);
        let fault = |doing| {
            let path = path.clone();
            move |source: std::io::Error| match source.kind() {
                std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                    Fault::StorageFull
                }
                _ => Fault::Io {
                    doing,
                    path,
                    source: Arc::new(source),
                },
            }
        };
        let file = self.disk.create(&path).map_err(fault("create"))?;
        let zeros = vec![0; STEP_BYTES];
        let mut offset = 0;
        while offset < capacity {
            if name == "next" && self.lock().closed {
                break;
            }
            let left = usize::try_from(capacity - offset).unwrap_or(STEP_BYTES);
            let step = &zeros[..left.min(STEP_BYTES)];
            file.write_at(&[IoSlice::new(step)], offset)
                .map_err(fault("write"))?;
            offset += step.len() as u64;
        }
        file.sync().map_err(fault("sync"))?;
        Ok(Spare {
            path,
            file,
            capacity,
        })
    }
}
