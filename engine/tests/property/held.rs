//! A disk where one sync of a file can be held up, so that what comes meanwhile is planned on what
//! is not durable yet.

use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};

use syncline_engine::disk::{Disk, DiskFile, SimDisk};

/// Holds up a sync.
#[derive(Default)]
pub struct Latch {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum State {
    #[default]
    Open,
    /// The next sync is to wait.
    Shut,
    /// A sync waits; others go on.
    Holds,
}

impl Latch {
    fn set(&self, state: State) {
        *self.state.lock().unwrap() = state;
        self.changed.notify_all();
    }

    /// The next sync will wait.
    pub fn shut(&self) {
        self.set(State::Shut);
    }

    /// Lets all go on.
    pub fn open(&self) {
        self.set(State::Open);
    }

    /// Waits until a sync waits, or the latch is open.
    pub fn wait_for_sync(&self) {
        let state = self.state.lock().unwrap();
        let waits = |state: &mut State| *state == State::Shut;
        drop(self.changed.wait_while(state, waits).unwrap());
    }

    fn pass(&self) {
        let mut state = self.state.lock().unwrap();
        if *state != State::Shut {
            return;
        }
        *state = State::Holds;
        self.changed.notify_all();
        let waits = |state: &mut State| *state != State::Open;
        drop(self.changed.wait_while(state, waits).unwrap());
    }
}

/// A simulated disk behind a latch.
pub struct HeldDisk {
    pub disk: SimDisk,
    pub latch: Arc<Latch>,
}

struct HeldFile {
    file: Arc<dyn DiskFile>,
    latch: Arc<Latch>,
}

impl HeldDisk {
    fn held(&self, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        let latch = Arc::clone(&self.latch);
        Arc::new(HeldFile { file, latch })
    }
}

impl Disk for HeldDisk {
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
        Ok(self.held(self.disk.create(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.held(self.disk.open(path)?))
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

impl DiskFile for HeldFile {
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
        self.latch.pass();
        self.file.sync()
    }
}
