//! The directory of a sink's files: who has it, which file is the newest, and how that one ends.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::form::{Form, without_ending};
use super::{BYTES_AT_ONCE, FileSinkError};

/// Holds the directory against other processes.
const LOCK: &str = "LOCK";
/// The most that a crash can leave unsynced: one write, whose last batch may come on top.
const UNSYNCED_BYTES_MAX: u64 = 2 * BYTES_AT_ONCE as u64;

/// A directory that is ours.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    /// Held for as long as we write.
    _lock: File,
}

/// A file that may be gone on with.
#[derive(Debug)]
pub(super) struct Last {
    /// Its number.
    pub(super) number: u64,
    /// Its day.
    pub(super) day: String,
    /// Its name.
    pub(super) path: PathBuf,
    /// Bytes of whole lines, or of whole frames of them.
    pub(super) bytes: u64,
}

impl Directory {
    /// Makes it if it is missing, and holds it.
    pub(super) fn open(path: &Path) -> Result<Self, FileSinkError> {
        make(path)?;
        let lock_path = path.join(LOCK);
        let mut options = OpenOptions::new();
        let lock = options.create(true).truncate(false).write(true).mode(0o600);
        let lock = lock.open(&lock_path);
        let lock = lock.map_err(|source| wrong("open", lock_path.clone(), source))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                path: path.to_owned(),
                _lock: lock,
            }),
            Err(fs::TryLockError::WouldBlock) => Err(FileSinkError::Taken {
                path: path.to_owned(),
            }),
            Err(fs::TryLockError::Error(source)) => Err(wrong("lock", lock_path, source)),
        }
    }

    /// The newest file, cut where a crash left no whole line; `None` if there is none that can be
    /// gone on with in this form, and then the number that the next one has at least.
    pub(super) fn last(&self, form: &Form) -> Result<Result<Last, u64>, FileSinkError> {
        let failed = |source| wrong("read", self.path.clone(), source);
        let mut newest: Option<(u64, String)> = None;
        for found in fs::read_dir(&self.path).map_err(failed)? {
            let name = found.map_err(failed)?.file_name();
            let parsed = name.to_str().and_then(parse);
            if let Some((day, number)) = parsed
                && newest.as_ref().is_none_or(|(known, _)| *known < number)
            {
                newest = Some((number, day));
            }
        }
        let Some((number, day)) = newest else {
            return Ok(Err(1));
        };
        let path = self.file(form, &day, number);
        if !path.exists() {
            // It has another form, and so another name.
            return Ok(Err(number + 1));
        }
        let opened = OpenOptions::new().read(true).write(true).open(&path);
        let file = opened.map_err(|source| wrong("open", path.clone(), source))?;
        let failed = |source| wrong("read", path.clone(), source);
        let length = file.metadata().map_err(failed)?.len();
        let whole = form.whole(&file).map_err(failed)?;
        if whole < length {
            let is_crash = length - whole <= UNSYNCED_BYTES_MAX
                && form.is_one_write(&file, whole).map_err(failed)?;
            if !is_crash {
                // No crash does that. What is there may have been told as safe: leave it.
                tracing::error!(
                    "{} holds what is no envelope at byte {whole}; it stays as it is, and the \
                     stream goes on in a new file",
                    path.display()
                );
                return Ok(Err(number + 1));
            }
            let bytes = length - whole;
            tracing::warn!(
                "cut off the last {bytes} bytes of {}: a crash left them unfinished",
                path.display()
            );
            let cut = file.set_len(whole).and_then(|()| file.sync_all());
            cut.map_err(|source| wrong("cut", path.clone(), source))?;
        }
        Ok(Ok(Last {
            number,
            day,
            path,
            bytes: whole,
        }))
    }

    /// Where the file of a day and number is, if it has a form.
    pub(super) fn file(&self, form: &Form, day: &str, number: u64) -> PathBuf {
        let ending = form.ending();
        self.path.join(format!("{day}-{number:08}{ending}"))
    }

    /// Makes the names in it last.
    pub(super) fn sync(&self) -> Result<(), FileSinkError> {
        sync(&self.path).map_err(|source| wrong("sync", self.path.clone(), source))
    }
}

/// Makes a directory, and those above it that are missing, so that their names last.
fn make(path: &Path) -> Result<(), FileSinkError> {
    let missing: Vec<&Path> = path.ancestors().take_while(|one| !one.is_dir()).collect();
    // Its own name may not have lasted when it was made.
    let made = missing.into_iter().rev().chain([path]);
    for one in made.filter(|one| !one.as_os_str().is_empty()) {
        let mut builder = DirBuilder::new();
        let done = builder.recursive(true).mode(0o700).create(one);
        done.map_err(|source| wrong("make", one.to_owned(), source))?;
        let parent = one.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new("."));
        let synced = sync(parent);
        synced.map_err(|source| wrong("sync", parent.to_owned(), source))?;
    }
    Ok(())
}

/// Day and number of a file's name.
fn parse(name: &str) -> Option<(String, u64)> {
    let (day, number) = without_ending(name)?.rsplit_once('-')?;
    let is_day = day.len() == 10 && day.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    Some((day.to_owned(), number.parse().ok()?)).filter(|_| is_day)
}

fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

pub(super) fn wrong(doing: &'static str, path: PathBuf, source: io::Error) -> FileSinkError {
    FileSinkError::Io {
        doing,
        path,
        source: Arc::new(source),
    }
}
