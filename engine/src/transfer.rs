//! Files on their way from one data directory to another: linked where that can be, else copied.
//!
//! Only files whose bytes never change again may be linked.

use std::io::IoSlice;
use std::path::Path;

use crate::disk::Disk;
use crate::error::Fault;

/// Bytes that are copied at a time.
const STEP_BYTES: usize = 1 << 20;

/// A transfer, and what it did so far.
pub(crate) struct Transfer<'a> {
    from: &'a dyn Disk,
    to: &'a dyn Disk,
    /// Files with a second name.
    pub(crate) linked: u64,
    pub(crate) copied: u64,
    /// Bytes of all files.
    pub(crate) bytes: u64,
    pub(crate) copied_bytes: u64,
}

impl<'a> Transfer<'a> {
    pub(crate) fn new(from: &'a dyn Disk, to: &'a dyn Disk) -> Self {
        Self {
            from,
            to,
            linked: 0,
            copied: 0,
            bytes: 0,
            copied_bytes: 0,
        }
    }

    /// Gives a file of so many bytes a second name; false if the file system cannot.
    pub(crate) fn link(&mut self, path: &Path, bytes: u64) -> Result<bool, Fault> {
        let linked = self
            .from
            .share(path, self.to, path)
            .map_err(|source| Fault::of_io("link", path, source))?;
        if linked {
            self.linked += 1;
            self.bytes += bytes;
        }
        Ok(linked)
    }

    /// Copies the first bytes of a file, and makes them last.
    pub(crate) fn copy(&mut self, path: &Path, bytes: u64) -> Result<(), Fault> {
        let fault = |doing| move |source| Fault::of_io(doing, path, source);
        let from = self.from.open(path).map_err(fault("open"))?;
        let to = self.to.create(path).map_err(fault("create"))?;
        let mut buffer = vec![0; STEP_BYTES];
        let mut offset = 0;
        while offset < bytes {
            let left = usize::try_from(bytes - offset).unwrap_or(STEP_BYTES);
            let step = &mut buffer[..left.min(STEP_BYTES)];
            let got = from.read_at(step, offset).map_err(fault("read"))?;
            if got == 0 {
                return Err(Fault::corrupt(path, offset, "the file ends too early"));
            }
            to.write_at(&[IoSlice::new(&step[..got])], offset)
                .map_err(fault("write"))?;
            offset += got as u64;
        }
        to.sync().map_err(fault("sync"))?;
        self.copied += 1;
        self.bytes += bytes;
        self.copied_bytes += bytes;
        Ok(())
    }

    /// Links a file, or copies it.
    pub(crate) fn place(&mut self, path: &Path, bytes: u64, link: bool) -> Result<(), Fault> {
        if link && self.link(path, bytes)? {
            return Ok(());
        }
        self.copy(path, bytes)
    }
}

/// Bytes in a file; `None` if there is none.
pub(crate) fn length(disk: &dyn Disk, path: &Path) -> Result<Option<u64>, Fault> {
    let file = match disk.open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(|source| Fault::of_io("open", path, source))?,
    };
    let length = file.length();
    length
        .map(Some)
        .map_err(|source| Fault::of_io("measure", path, source))
}
