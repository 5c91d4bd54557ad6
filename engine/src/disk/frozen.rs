//! A directory that cannot be changed: everything may be read, and what is written goes nowhere.
//!
//! Whatever opens a store on it finds what it would find otherwise, and leaves no trace. A file
//! that is made stays empty; one that was there reads as it was.

use std::io::{self, ErrorKind, IoSlice};
use std::path::Path;
use std::sync::Arc;

use super::{Disk, DiskFile};

/// A directory as it is now.
pub(crate) struct Frozen(pub(crate) Arc<dyn Disk>);

/// A file as it is now, or one that is made, of which nothing is kept.
struct Kept(Option<Arc<dyn DiskFile>>);

impl Disk for Frozen {
    fn lock(&self) -> io::Result<Result<Box<dyn Send + Sync>, String>> {
        self.0.lock()
    }

    fn create_directory(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    /// A directory that is missing is empty: whoever lists it believes to have made it.
    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        match self.0.list(directory) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            listed => listed,
        }
    }

    fn create(&self, _: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(Kept(None)))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(Kept(Some(self.0.open(path)?))))
    }

    fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn remove(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn sync_directory(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn names(&self, path: &Path) -> io::Result<u64> {
        self.0.names(path)
    }

    fn share(&self, _: &Path, _: &dyn Disk, _: &Path) -> io::Result<bool> {
        Err(ErrorKind::ReadOnlyFilesystem.into())
    }

    fn free_bytes(&self) -> io::Result<u64> {
        self.0.free_bytes()
    }

    fn random(&self) -> [u8; 16] {
        self.0.random()
    }
}

impl DiskFile for Kept {
    fn length(&self) -> io::Result<u64> {
        self.0.as_ref().map_or(Ok(0), |file| file.length())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let Some(file) = &self.0 else {
            return Ok(0);
        };
        file.read_at(buffer, offset)
    }

    fn write_at(&self, _: &[IoSlice<'_>], _: u64) -> io::Result<()> {
        Ok(())
    }

    fn set_length(&self, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}
