//! A directory of the real file system.
//!
//! Invariants: a path that comes in is relative and stays below the root (asserted, since the
//! engine alone makes paths); files have mode 0600, directories 0700; a failed sync is reported and
//! not tried again. `flock` holds the directory's lock, so it ends with the process, however that
//! ends.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use rustix::io::Errno;
use uuid::Uuid;

use super::{Disk, DiskFile, LOCK};

#[cfg(test)]
mod tests;

/// How much of the lock file is read to name the holder.
const HOLDER_BYTES_MAX: u64 = 256;

const FILE_MODE: u32 = 0o600;
const DIRECTORY_MODE: u32 = 0o700;

/// A directory of the real file system.
///
/// ```
/// use std::sync::Arc;
/// use syncline_engine::disk::RealDisk;
/// use syncline_engine::{Engine, Options};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let home = tempfile::tempdir()?;
/// # let directory = home.path();
/// let engine = Engine::open_on(Arc::new(RealDisk::new(directory)?), Options::default())?;
/// assert!(engine.recovery().created);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct RealDisk {
    /// Absolute, so that a later change of the working directory moves nothing.
    root: PathBuf,
}

struct RealFile(File);

impl RealDisk {
    /// Takes a directory as the root, and makes it and its missing parents with mode 0700. Its
    /// name lasts when this returns.
    ///
    /// ```
    /// use syncline_engine::disk::RealDisk;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let home = tempfile::tempdir()?;
    /// let directory = home.path().join("made/with/parents");
    /// RealDisk::new(&directory)?;
    /// assert!(directory.is_dir());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The directory cannot be made, or what has that name is not a directory.
    pub fn new(root: impl Into<PathBuf>) -> io::Result<Self> {
        let root = root.into();
        make_with_parents(&root)?;
        let root = fs::canonicalize(root)?;
        if !fs::metadata(&root)?.is_dir() {
            return Err(ErrorKind::NotADirectory.into());
        }
        sync_name(&root)?;
        Ok(Self { root })
    }

    /// Takes a directory that exists as the root, and makes nothing.
    ///
    /// ```
    /// use syncline_engine::disk::RealDisk;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let home = tempfile::tempdir()?;
    /// let directory = home.path().join("nowhere");
    /// assert!(RealDisk::existing(&directory).is_err());
    /// assert!(!directory.exists());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// There is no such directory, or what has that name is not one.
    pub fn existing(root: impl AsRef<Path>) -> io::Result<Self> {
        let root = fs::canonicalize(root)?;
        if !fs::metadata(&root)?.is_dir() {
            return Err(ErrorKind::NotADirectory.into());
        }
        Ok(Self { root })
    }

    fn place(&self, path: &Path) -> PathBuf {
        place_below(&self.root, path)
    }
}

impl Disk for RealDisk {
    fn lock(&self) -> io::Result<Result<Box<dyn Send + Sync>, String>> {
        let mut options = OpenOptions::new();
        options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(FILE_MODE);
        let mut file = options.open(self.root.join(LOCK))?;
        match file.try_lock() {
            Ok(()) => {
                // Left as it was on a full disk, say: the text only serves people, and a store
                // that has no space left must still open.
                let _ = note_holder(&mut file);
                Ok(Ok(Box::new(file)))
            }
            Err(TryLockError::WouldBlock) => Ok(Err(holder(&file)?)),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        make(&self.place(path))
    }

    /// Names that are not UTF-8 are left out: none of ours is like that. The root's names include
    /// `LOCK` once the lock was taken.
    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for found in fs::read_dir(self.place(directory))? {
            names.extend(found?.file_name().into_string());
        }
        Ok(names)
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .mode(FILE_MODE);
        Ok(Arc::new(RealFile(options.open(self.place(path))?)))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(self.place(path))?;
        Ok(Arc::new(RealFile(file)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(self.place(from), self.place(to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(self.place(path))
    }

    fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        File::open(self.place(directory))?.sync_all()
    }

    fn names(&self, path: &Path) -> io::Result<u64> {
        let found = fs::metadata(self.place(path))?;
        if found.is_dir() {
            return Err(ErrorKind::IsADirectory.into());
        }
        Ok(found.nlink())
    }

    fn share(&self, path: &Path, with: &dyn Disk, as_path: &Path) -> io::Result<bool> {
        let Some(root) = with.root() else {
            return Ok(false);
        };
        match fs::hard_link(self.place(path), place_below(root, as_path)) {
            Ok(()) => Ok(true),
            Err(error) if is_no_place_for_links(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn root(&self) -> Option<&Path> {
        Some(&self.root)
    }

    /// Without what the file system reserves for its superuser.
    fn free_bytes(&self) -> io::Result<u64> {
        let found = rustix::fs::statvfs(&self.root)?;
        Ok(found.f_bavail.saturating_mul(found.f_frsize))
    }

    /// From the system's generator, as a random UUID: 122 of the 128 bits are random.
    fn random(&self) -> [u8; 16] {
        Uuid::new_v4().into_bytes()
    }
}

impl DiskFile for RealFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut done = 0;
        while done < buffer.len() {
            match self.0.read_at(&mut buffer[done..], offset + done as u64) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn write_at(&self, slices: &[IoSlice<'_>], offset: u64) -> io::Result<()> {
        write_whole(slices, offset, |rest, at| {
            Ok(rustix::io::pwritev(&self.0, rest, at)?)
        })
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }

    /// `fdatasync`: it leaves out the times, but not a length that is needed to read data back.
    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

/// The absolute place of a path below a root.
fn place_below(root: &Path, path: &Path) -> PathBuf {
    let below = |part| matches!(part, Component::Normal(_) | Component::CurDir);
    assert!(
        path.components().all(below),
        "{} leaves the data directory",
        path.display()
    );
    root.join(path)
}

/// Whether a link failed because there can be none: across file systems, on one that knows no
/// links or allows us none, or because the file has as many as it can.
fn is_no_place_for_links(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::XDEV | Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS | Errno::MLINK)
    )
}

/// Calls `write` with what is left until nothing is, since the system may take less than all:
/// `pwritev` takes 1,024 slices (rustix passes on no more) and 2 GiB, and less after a signal.
fn write_whole(
    slices: &[IoSlice<'_>],
    mut offset: u64,
    mut write: impl FnMut(&[IoSlice<'_>], u64) -> io::Result<usize>,
) -> io::Result<()> {
    // Without the empty ones, so that a count of zero always means that nothing can be written.
    let mut rest: Vec<_> = slices
        .iter()
        .copied()
        .filter(|slice| !slice.is_empty())
        .collect();
    let mut rest = rest.as_mut_slice();
    while !rest.is_empty() {
        match write(rest, offset) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => {
                offset += count as u64;
                IoSlice::advance_slices(&mut rest, count);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Makes a directory unless it exists.
fn make(path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(DIRECTORY_MODE).create(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        made => made,
    }
}

/// Makes a directory and its missing parents, and the names of those parents last.
fn make_with_parents(path: &Path) -> io::Result<()> {
    match make(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        made => return made,
    }
    let Some(parent) = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
    else {
        return Err(ErrorKind::NotFound.into());
    };
    make_with_parents(parent)?;
    sync_name(&fs::canonicalize(parent)?)?;
    make(path)
}

/// Makes the name of a directory last, given its absolute path. A process that was killed may
/// have left it unsynced, so this is done for one that was found, too; there a parent that we may
/// not read is somebody else's directory, which was there before us.
fn sync_name(path: &Path) -> io::Result<()> {
    let Some(parent) = path.parent() else {
        return Ok(());
    };
    match File::open(parent) {
        Ok(parent) => parent.sync_all(),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok(()),
        Err(error) => Err(error),
    }
}

fn note_holder(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.write_all(format!("{}\n", this_process()).as_bytes())
}

fn this_process() -> String {
    let program = std::env::current_exe().ok();
    let name = program
        .as_deref()
        .and_then(Path::file_name)
        .map(std::ffi::OsStr::to_string_lossy);
    format!(
        "pid {} ({})",
        std::process::id(),
        name.as_deref().unwrap_or("unknown program")
    )
}

/// Who wrote itself into the lock file. It may still be empty, or name the holder before, in the
/// moment between taking the lock and writing.
fn holder(file: &File) -> io::Result<String> {
    let mut text = Vec::new();
    file.take(HOLDER_BYTES_MAX).read_to_end(&mut text)?;
    match String::from_utf8_lossy(&text).trim() {
        "" => Ok("another process".to_owned()),
        holder => Ok(holder.to_owned()),
    }
}
