//! What one write and one sync make durable.

use std::io::IoSlice;

use crate::disk::DiskFile;
use crate::error::Fault;
use crate::log::{End, IndexPoint, Indexed};
use crate::segment::io;
use crate::sync::Arc;

/// Frames on their way to the disk.
pub(crate) struct Flush {
    pub(super) indexed: Arc<Indexed>,
    pub(super) file: Arc<dyn DiskFile>,
    /// Where in the segment they begin.
    pub(super) offset: u32,
    pub(super) bytes: Vec<u8>,
    /// Places of the commits.
    pub(super) points: Vec<IndexPoint>,
    /// Behind the last one.
    pub(super) end: End,
}

impl Flush {
    /// Behind the last frame.
    pub(crate) fn end(&self) -> End {
        self.end
    }

    /// Writes and syncs. After an error the log must not be written to again: what is on the disk
    /// is unknown, and a second sync proves nothing.
    pub(crate) fn run(self) -> Result<(), Fault> {
        let number = self.end.position.segment;
        let bytes = [IoSlice::new(&self.bytes)];
        self.file
            .write_at(&bytes, u64::from(self.offset))
            .map_err(|source| io("write", number, source))?;
        self.file
            .sync()
            .map_err(|source| io("sync", number, source))?;
        for point in self.points {
            self.indexed.note(point);
        }
        self.indexed.set_end(self.end.position.offset);
        Ok(())
    }
}
