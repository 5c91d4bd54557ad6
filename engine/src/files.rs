//! Open segment files: at most so many at a time, the least recently used closed first.

use crate::sync::{Arc, Mutex, PoisonError};
use std::collections::VecDeque;

use crate::disk::{Disk, DiskFile};
use crate::error::Fault;
use crate::limits::OPEN_SEGMENTS_MAX;
use crate::segment::{self, io};

/// The open files of a log. Whoever has one may go on using it after it left here.
pub(crate) struct Files {
    disk: Arc<dyn Disk>,
    /// The one that was used last stands last.
    open: Mutex<VecDeque<(u32, Arc<dyn DiskFile>)>>,
}

impl Files {
    pub(crate) fn new(disk: Arc<dyn Disk>) -> Self {
        Self {
            disk,
            open: Mutex::default(),
        }
    }

    /// The file of a segment.
    pub(crate) fn get(&self, number: u32) -> Result<Arc<dyn DiskFile>, Fault> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = open.iter().position(|(known, _)| *known == number) {
            let found = open.remove(at).expect("its position was just found");
            let file = Arc::clone(&found.1);
            open.push_back(found);
            return Ok(file);
        }
        drop(open);
        let path = segment::path(number);
        let file = self
            .disk
            .open(&path)
            .map_err(|source| io("open", number, source))?;
        self.put(number, Arc::clone(&file));
        Ok(file)
    }

    /// Takes the file of a segment that was just made.
    pub(crate) fn put(&self, number: u32, file: Arc<dyn DiskFile>) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|(known, _)| *known != number);
        if open.len() >= OPEN_SEGMENTS_MAX {
            open.pop_front();
        }
        open.push_back((number, file));
    }
    /// Closes the file of a segment that is about to go.
    pub(crate) fn forget(&self, number: u32) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|(known, _)| *known != number);
    }
}
