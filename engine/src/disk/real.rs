//! A directory of the real file system.
//!
//! Invariants: a path that comes in is relative and stays below the root (asserted, since the
//! engine alone makes paths); files have mode 0600, directories 0700; a failed sync is reported and
//! not tried again. `flock` holds the directory's lock, so it ends with the process, however that
//! ends.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use uuid::Uuid;

use super::{Disk, DiskFile};

/// The file whose lock is the lock of the directory. Its text is for people only.
const LOCK_NAME: &str = "LOCK";
/// How much of the lock file is read to name the holder.
const HOLDER_BYTES_MAX: u64 = 256;

const FILE_MODE: u32 = 0o600;
const DIRECTORY_MODE: u32 = 0o700;

/// A directory of the real file system.
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

    fn place(&self, path: &Path) -> PathBuf {
        let below = |part| matches!(part, Component::Normal(_) | Component::CurDir);
        assert!(
            path.components().all(below),
            "{} leaves the data directory",
            path.display()
        );
        self.root.join(path)
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
        let mut file = options.open(self.root.join(LOCK_NAME))?;
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn mode(path: impl AsRef<Path>) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn scratch() -> (tempfile::TempDir, RealDisk) {
        let directory = tempfile::tempdir().unwrap();
        let disk = RealDisk::new(directory.path().join("data")).unwrap();
        (directory, disk)
    }

    #[test]
    fn directories_and_files_are_private_and_missing_parents_are_made() {
        let outer = tempfile::tempdir().unwrap();
        let root = outer.path().join("a/b/c");
        let disk = RealDisk::new(&root).unwrap();
        disk.create_directory(Path::new("hot")).unwrap();
        disk.create_directory(Path::new("hot")).unwrap();
        disk.create(Path::new("hot/1.log")).unwrap();
        let _lock = disk.lock().unwrap().unwrap();
        for directory in ["a", "a/b", "a/b/c", "a/b/c/hot"] {
            assert_eq!(mode(outer.path().join(directory)), 0o700, "{directory}");
        }
        assert_eq!(mode(root.join("hot/1.log")), 0o600);
        assert_eq!(mode(root.join("LOCK")), 0o600);
        RealDisk::new(&root).unwrap();
    }

    #[test]
    fn a_root_that_is_a_file_is_refused() {
        let outer = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(
            RealDisk::new(outer.path()).unwrap_err().kind(),
            ErrorKind::AlreadyExists
        );
        assert!(RealDisk::new(outer.path().join("below")).is_err());
        assert!(RealDisk::new("").is_err());
    }

    #[test]
    fn more_slices_than_one_call_takes_are_all_written_in_order() {
        let (_directory, disk) = scratch();
        let file = disk.create(Path::new("f")).unwrap();
        let pieces: Vec<Vec<u8>> = (0..3000usize)
            .map(|i| vec![i.to_le_bytes()[0]; i % 4])
            .collect();
        let slices: Vec<_> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
        file.write_at(&slices, 7).unwrap();
        file.sync().unwrap();
        let expected = [vec![0; 7], pieces.concat()].concat();
        let mut read = vec![0xee; expected.len() + 10];
        let file = disk.open(Path::new("f")).unwrap();
        assert_eq!(file.read_at(&mut read, 0).unwrap(), expected.len());
        assert_eq!(read[..expected.len()], expected);
        assert_eq!(file.length().unwrap(), expected.len() as u64);
        assert_eq!(file.read_at(&mut read, 1 << 40).unwrap(), 0);
        file.write_at(&[], 0).unwrap();
    }

    #[test]
    fn a_write_that_is_taken_piecemeal_or_interrupted_goes_on_where_it_stopped() {
        let mut taken = Vec::new();
        let mut calls = 0;
        let parts = [&b"ab"[..], b"", b"cdefg", b"h"].map(IoSlice::new);
        write_whole(&parts, 100, |rest, at| {
            calls += 1;
            if calls % 2 == 0 {
                return Err(ErrorKind::Interrupted.into());
            }
            assert_eq!(at, 100 + taken.len() as u64);
            let all: Vec<u8> = rest
                .iter()
                .flat_map(|slice| slice.iter().copied())
                .collect();
            let count = all.len().min(3);
            taken.extend_from_slice(&all[..count]);
            Ok(count)
        })
        .unwrap();
        assert_eq!(taken, b"abcdefgh");
        let stuck = write_whole(&parts, 0, |_, _| Ok(0)).unwrap_err();
        assert_eq!(stuck.kind(), ErrorKind::WriteZero);
        let full = write_whole(&parts, 0, |_, _| Err(ErrorKind::StorageFull.into())).unwrap_err();
        assert_eq!(full.kind(), ErrorKind::StorageFull);
    }

    #[test]
    fn the_lock_is_exclusive_names_its_holder_and_ends_with_its_guard() {
        let (_directory, disk) = scratch();
        // A longer text from an earlier holder must not show through.
        fs::write(disk.root.join("LOCK"), "x".repeat(1000)).unwrap();
        let guard = disk.lock().unwrap().unwrap();
        let second = RealDisk::new(&disk.root).unwrap();
        let holder = second.lock().unwrap().err().unwrap();
        assert!(
            holder.starts_with(&format!("pid {} (", std::process::id())),
            "{holder}"
        );
        assert!(holder.ends_with(')') && !holder.contains('x'), "{holder}");
        drop(guard);
        assert!(second.lock().unwrap().is_ok());
    }

    #[test]
    fn names_come_go_and_move_and_lengths_change() {
        let (_directory, disk) = scratch();
        disk.create_directory(Path::new("d")).unwrap();
        let file = disk.create(Path::new("d/a")).unwrap();
        file.write_at(&[IoSlice::new(b"first")], 0).unwrap();
        file.set_length(2).unwrap();
        file.set_length(4).unwrap();
        disk.create(Path::new("d/b")).unwrap();
        disk.rename(Path::new("d/a"), Path::new("d/b")).unwrap();
        disk.sync_directory(Path::new("d")).unwrap();
        disk.sync_directory(Path::new("")).unwrap();
        assert_eq!(disk.list(Path::new("d")).unwrap(), ["b"]);
        let mut read = [9; 8];
        let found = disk
            .open(Path::new("d/b"))
            .unwrap()
            .read_at(&mut read, 0)
            .unwrap();
        assert_eq!(read[..found], *b"fi\0\0");
        assert_eq!(disk.create(Path::new("d/b")).unwrap().length().unwrap(), 0);
        disk.remove(Path::new("d/b")).unwrap();
        assert_eq!(disk.list(Path::new("d")).unwrap(), [""; 0]);
        let missing = disk.open(Path::new("d/b")).err().unwrap();
        assert_eq!(missing.kind(), ErrorKind::NotFound);
        assert_ne!(disk.random(), disk.random());
    }

    #[test]
    #[should_panic(expected = "leaves the data directory")]
    fn a_path_that_is_not_below_the_root_is_a_bug() {
        let (_directory, disk) = scratch();
        let _ = disk.open(Path::new("../outside"));
    }
}
