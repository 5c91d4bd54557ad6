//! The only door to the operating system: a directory of files, its clockless syncs, and random
//! bytes.
//!
//! Every path is relative to the data directory. Nothing here knows what the bytes mean. What may
//! be lost in a crash: writes and lengths since the file's last [`DiskFile::sync`]; created,
//! renamed and removed names since the directory's last [`Disk::sync_directory`].
//!
//! ```
//! use std::path::Path;
//! use syncline_engine::disk::{Disk, RealDisk};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let home = tempfile::tempdir()?;
//! let disk = RealDisk::new(home.path())?;
//! disk.create(Path::new("a"))?.sync()?;
//! disk.sync_directory(Path::new(""))?;
//! assert_eq!(disk.list(Path::new(""))?, ["a"]);
//! # Ok(())
//! # }
//! ```

use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;

mod frozen;
mod real;
#[cfg(any(test, feature = "sim"))]
mod sim;

pub(crate) use frozen::Frozen;
pub use real::RealDisk;
#[cfg(any(test, feature = "sim"))]
pub use sim::{Call, Crash, Failure, Outcome, SECTOR_BYTES, SimDisk, Traced};

/// The file whose lock is the lock of the directory. Its text is for people only.
pub(crate) const LOCK: &str = "LOCK";

/// A data directory.
#[doc = include_str!("examples/disk/disk.md")]
pub trait Disk: Send + Sync + 'static {
    /// Takes the exclusive lock of the directory, made if it is missing, for as long as the answer
    /// lives. `Ok(Err(holder))` says who has it.
    #[doc = include_str!("examples/disk/lock.md")]
    fn lock(&self) -> io::Result<Result<Box<dyn Send + Sync>, String>>;

    /// Makes a directory unless it exists; its parent must exist. Mode 0700.
    #[doc = include_str!("examples/disk/create_directory.md")]
    fn create_directory(&self, path: &Path) -> io::Result<()>;

    /// The names in a directory, in no order.
    #[doc = include_str!("examples/disk/list.md")]
    fn list(&self, directory: &Path) -> io::Result<Vec<String>>;

    /// Makes a file for reading and writing; one of that name is emptied. Mode 0600.
    #[doc = include_str!("examples/disk/create.md")]
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Opens a file for reading and writing.
    #[doc = include_str!("examples/disk/open.md")]
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Gives a file another name in one step, replacing what has that name.
    #[doc = include_str!("examples/disk/rename.md")]
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file's name.
    #[doc = include_str!("examples/disk/remove.md")]
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a directory last.
    #[doc = include_str!("examples/disk/sync_directory.md")]
    fn sync_directory(&self, directory: &Path) -> io::Result<()>;

    /// How many names (hard links) a file has, here and in other directories of its file system.
    /// One with more than one is somebody else's too, and its bytes must stay as they are.
    #[doc = include_str!("examples/disk/names.md")]
    fn names(&self, path: &Path) -> io::Result<u64>;

    /// Gives a file a second name in another data directory, whose
    /// [`Disk::sync_directory`] makes it last; the file itself must be synced before.
    /// `Ok(false)` where that cannot be, on another file system for one: then the bytes have to be
    /// copied. A name that exists is not replaced; that is `AlreadyExists`.
    #[doc = include_str!("examples/disk/share.md")]
    fn share(&self, path: &Path, with: &dyn Disk, as_path: &Path) -> io::Result<bool>;

    /// Where the directory is in the file system of the system, if it is there.
    #[doc = include_str!("examples/disk/root.md")]
    fn root(&self) -> Option<&Path> {
        None
    }

    /// Bytes that the file system has left for us.
    #[doc = include_str!("examples/disk/free_bytes.md")]
    fn free_bytes(&self) -> io::Result<u64>;

    /// Random bytes that cannot be guessed.
    #[doc = include_str!("examples/disk/random.md")]
    fn random(&self) -> [u8; 16];
}

/// An open file. Reads and writes at different offsets may run at the same time.
#[doc = include_str!("examples/disk/disk_file.md")]
pub trait DiskFile: Send + Sync {
    /// Bytes in the file.
    #[doc = include_str!("examples/disk/length.md")]
    fn length(&self) -> io::Result<u64>;

    /// Reads at `offset` until the buffer is full or the file ends; says how many bytes it got.
    #[doc = include_str!("examples/disk/read_at.md")]
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all bytes of all slices, one after the other, beginning at `offset`. After an error
    /// any part of them may have been written.
    #[doc = include_str!("examples/disk/write_at.md")]
    fn write_at(&self, slices: &[IoSlice<'_>], offset: u64) -> io::Result<()>;

    /// Cuts or zero-extends the file.
    #[doc = include_str!("examples/disk/set_length.md")]
    fn set_length(&self, length: u64) -> io::Result<()>;

    /// Makes what was written last: data, and the length where it changed. After an error nothing
    /// is known about what lasts, and trying again would prove nothing.
    #[doc = include_str!("examples/disk/sync.md")]
    fn sync(&self) -> io::Result<()>;
}
