//! The sink of files: one envelope a line, a new file each day and when one is full.
//!
//! One thread writes. It takes whatever batches wait, of however many pools, writes them with one
//! call, syncs once and answers all. What is answered survives a crash; what a crash left behind
//! the last answer is cut off where it is no whole line, and otherwise comes again with the same
//! ids.

mod directory;
mod form;
mod writing;

use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};
use std::{io, sync::Arc};

use thiserror::Error;
use tokio::sync::oneshot;

use super::{Parcel, PutError};
use crate::config::Compress;
use directory::wrong;
use form::Form;
use writing::Writing;

/// Batches that may wait for the thread; each is answered before its sender has another.
const WAITING_MAX: usize = 4096;
/// Bytes that are written between two syncs, about: 8 MiB, some 10 ms of a slow disk.
const BYTES_AT_ONCE: usize = 8 << 20;

/// Why files could not be written.
#[derive(Clone, Debug, Error)]
pub enum FileSinkError {
    /// Something with a file failed.
    #[error("cannot {doing} {}{}", path.display(), advice(source))]
    Io {
        /// The verb.
        doing: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: Arc<io::Error>,
    },
    /// Another process writes there.
    #[error(
        "{} is written by another process; each stream needs a directory of its own",
        path.display()
    )]
    Taken {
        /// The directory.
        path: PathBuf,
    },
    /// Too many batches wait.
    #[error("too much waits to be written to {}", path.display())]
    Full {
        /// The directory.
        path: PathBuf,
    },
    /// The thread is gone, which only a bug or the end of the process can bring about.
    #[error("nobody writes to {} any more", path.display())]
    Gone {
        /// The directory.
        path: PathBuf,
    },
}

/// See the module.
#[derive(Debug)]
pub struct FileSink {
    path: PathBuf,
    batches: SyncSender<Waiting>,
}

/// A batch that waits for the thread.
struct Waiting {
    lines: Vec<u8>,
    answer: oneshot::Sender<Result<(), FileSinkError>>,
}

impl FileSink {
    /// Starts the thread that writes to a directory, which is made when it is needed. A file gets
    /// no more than `rotate_bytes` on the disk, but for the lines of one last write.
    ///
    /// # Errors
    /// When there can be no thread, or the files cannot be compressed so.
    pub fn start(
        path: PathBuf,
        rotate_bytes: u64,
        compress: Option<Compress>,
    ) -> Result<Self, FileSinkError> {
        let failed = |doing| {
            let path = path.clone();
            move |source| wrong(doing, path, source)
        };
        let (sender, receiver) = mpsc::sync_channel(WAITING_MAX);
        let form = Form::new(compress).map_err(failed("compress what is for"))?;
        let writing = Writing::new(path.clone(), rotate_bytes, form);
        thread::Builder::new()
            .name("syncline-file".to_owned())
            .spawn(move || run(writing, &receiver))
            .map_err(failed("start a thread for"))?;
        Ok(Self {
            path,
            batches: sender,
        })
    }

    pub(super) async fn put(&self, batch: Vec<Parcel>) -> Result<(), FileSinkError> {
        let bytes = batch.iter().map(|parcel| parcel.envelope.len() + 1).sum();
        let mut lines = Vec::with_capacity(bytes);
        for parcel in batch {
            lines.extend_from_slice(&parcel.envelope);
            lines.push(b'\n');
        }
        let (answer, answered) = oneshot::channel();
        let path = || self.path.clone();
        match self.batches.try_send(Waiting { lines, answer }) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => return Err(FileSinkError::Full { path: path() }),
            Err(TrySendError::Disconnected(_)) => return Err(FileSinkError::Gone { path: path() }),
        }
        answered
            .await
            .unwrap_or_else(|_| Err(FileSinkError::Gone { path: path() }))
    }
}

impl From<FileSinkError> for PutError {
    fn from(error: FileSinkError) -> Self {
        Self::Trouble(error.into())
    }
}

/// Writes until nobody is left to send.
fn run(mut writing: Writing, batches: &Receiver<Waiting>) {
    while let Ok(first) = batches.recv() {
        let mut lines = first.lines;
        let mut answers = vec![first.answer];
        while lines.len() < BYTES_AT_ONCE
            && let Ok(next) = batches.try_recv()
        {
            lines.extend_from_slice(&next.lines);
            answers.push(next.answer);
        }
        let written = writing.append(&lines, now_ms());
        for answer in answers {
            // Who does not wait any more asks again when it does.
            let _ = answer.send(written.clone());
        }
    }
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

/// What to do about it, where that is known.
fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            " (make space: the stream goes on by itself, and the log keeps what it has not got)"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            " (let the server write there: the stream goes on by itself)"
        }
        _ => "",
    }
}
