//! New files beside the old ones: each has an uncertain name until the repair is certain.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::{Disk, DiskFile};
use crate::recovery::UNCERTAIN;

/// A directory in which every file bears another name than it is called by.
pub(super) struct Beside(pub(super) Arc<dyn Disk>);

/// The uncertain name of a file.
pub(super) fn uncertain(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{UNCERTAIN}{name}"))
}

impl Disk for Beside {
    fn lock(&self) -> io::Result<Result<Box<dyn Send + Sync>, String>> {
        self.0.lock()
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        self.0.create_directory(path)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        let names = self.0.list(directory)?.into_iter();
        Ok(names
            .filter_map(|name| name.strip_prefix(UNCERTAIN).map(str::to_owned))
            .collect())
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.0.create(&uncertain(path))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.0.open(&uncertain(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.rename(&uncertain(from), &uncertain(to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.remove(&uncertain(path))
    }

    fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        self.0.sync_directory(directory)
    }

    fn names(&self, path: &Path) -> io::Result<u64> {
        self.0.names(&uncertain(path))
    }

    fn share(&self, path: &Path, with: &dyn Disk, as_path: &Path) -> io::Result<bool> {
        self.0.share(&uncertain(path), with, as_path)
    }

    fn free_bytes(&self) -> io::Result<u64> {
        self.0.free_bytes()
    }

    fn random(&self) -> [u8; 16] {
        self.0.random()
    }
}
