//! A simulated disk that tells somebody of a call before it is made, and waits for as long as they
//! take.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use syncline_engine::disk::{Call, Disk, DiskFile, SimDisk};

/// What is done before a file is made, and before one is synced.
pub type Hook = Arc<dyn Fn(&Path, Call) + Send + Sync>;

/// The disk.
pub struct Hooked {
    pub disk: SimDisk,
    pub hook: Hook,
}

struct HookedFile {
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    hook: Hook,
}

impl Hooked {
    fn hooked(&self, path: &Path, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        let (path, hook) = (path.to_owned(), Arc::clone(&self.hook));
        Arc::new(HookedFile { path, file, hook })
    }
}

impl Disk for Hooked {
    fn lock(&self) -> io::Result<Result<Box<dyn Send + Sync>, String>> {
        self.disk.lock()
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        self.disk.create_directory(path)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        self.disk.list(directory)
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        (self.hook)(path, Call::Create);
        Ok(self.hooked(path, self.disk.create(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.hooked(path, self.disk.open(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)
    }

    fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        self.disk.sync_directory(directory)
    }

    fn names(&self, path: &Path) -> io::Result<u64> {
        self.disk.names(path)
    }

    fn share(&self, path: &Path, with: &dyn Disk, as_path: &Path) -> io::Result<bool> {
        self.disk.share(path, with, as_path)
    }

    fn free_bytes(&self) -> io::Result<u64> {
        self.disk.free_bytes()
    }

    fn random(&self) -> [u8; 16] {
        self.disk.random()
    }
}

impl DiskFile for HookedFile {
    fn length(&self) -> io::Result<u64> {
        self.file.length()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }

    fn write_at(&self, slices: &[IoSlice<'_>], offset: u64) -> io::Result<()> {
        self.file.write_at(slices, offset)
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.file.set_length(length)
    }

    fn sync(&self) -> io::Result<()> {
        (self.hook)(&self.path, Call::Sync);
        self.file.sync()
    }
}
