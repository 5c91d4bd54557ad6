//! Events that a sink refused for good: kept in a file of the data directory, so that the others
//! can go on.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;
use thiserror::Error;

use super::Parcel;

/// The directory of the files, beneath the data directory.
pub const DIRECTORY: &str = "set-aside";
/// Most bytes of one stream's file. One more event is taken as long as there are fewer.
const BYTES_MAX: u64 = 64 << 20;

/// Why an event could not be set aside.
#[derive(Debug, Error)]
pub enum AsideError {
    /// Something with the file failed.
    #[error("cannot write {}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file has reached its bound.
    #[error(
        "{} is full of events that the sink refused: find out why it refuses them, then take the \
         file away",
        path.display()
    )]
    Full {
        /// The file.
        path: PathBuf,
    },
}

/// The file of one stream.
#[derive(Clone, Debug)]
pub struct Aside {
    path: PathBuf,
}

impl Aside {
    /// The file of a stream in a data directory. It is made when the first event comes.
    #[must_use]
    pub fn new(data: &Path, stream: &str) -> Self {
        let name = utf8_percent_encode(stream, NON_ALPHANUMERIC);
        // 128 characters of four bytes, three letters each: longer than a name may be.
        let name: String = name.to_string().chars().take(200).collect();
        Self {
            path: data.join(DIRECTORY).join(format!("{name}.ndjson")),
        }
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds an event with the reason, and syncs it. Blocks on the disk.
    ///
    /// # Errors
    /// When the file is full or cannot be written; the event is not in it then.
    pub fn add(&self, parcel: &Parcel, reason: &str) -> Result<(), AsideError> {
        let path = &self.path;
        let failed = |source| AsideError::Io {
            path: path.clone(),
            source,
        };
        let directory = path.parent().unwrap_or(Path::new("."));
        let mut builder = DirBuilder::new();
        builder
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(failed)?;
        let mut options = OpenOptions::new();
        let opened = options.append(true).create(true).mode(0o600).open(path);
        let mut file = opened.map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        if length >= BYTES_MAX {
            return Err(AsideError::Full { path: path.clone() });
        }
        let written = file
            .write_all(&line(parcel, reason))
            .and_then(|()| file.sync_all());
        let written = written.and_then(|()| File::open(directory)?.sync_all());
        if written.is_err() {
            // Half a line would spoil the next one. If this fails, too, the first reason tells.
            let _ = file.set_len(length);
        }
        written.map_err(failed)
    }
}

/// The envelope is JSON in one line already, so it is taken as it is.
fn line(parcel: &Parcel, reason: &str) -> Vec<u8> {
    let (id, reason) = (parcel.id, json!(reason));
    let head = format!("{{\"id\":\"{id}\",\"reason\":{reason},\"event\":");
    [head.as_bytes(), &parcel.envelope, b"}\n"].concat()
}

#[cfg(test)]
mod tests {
    use syncline_engine::Sequence;
    use uuid::Uuid;

    use super::*;
    use crate::stream::EventId;

    #[test]
    fn events_are_kept_with_the_reason_up_to_the_bound() {
        let data = tempfile::tempdir().unwrap();
        let aside = Aside::new(data.path(), "a/b \u{e4}");
        let parcel = Parcel {
            id: EventId {
                store: Uuid::nil(),
                sequence: Sequence::new(7),
                index: 2,
            },
            partition_key: "identity".to_owned(),
            envelope: b"{\"a\":1}".to_vec(),
        };
        aside.add(&parcel, "answered 400: \"}\"").unwrap();
        aside.add(&parcel, "again").unwrap();
        let text = std::fs::read_to_string(aside.path()).unwrap();
        let lines: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["event"], json!({ "a": 1 }));
        assert_eq!(lines[0]["reason"], "answered 400: \"}\"");
        assert_eq!(lines[1]["id"], parcel.id.to_string());
        let file = OpenOptions::new().write(true).open(aside.path()).unwrap();
        file.set_len(BYTES_MAX).unwrap();
        let error = aside.add(&parcel, "full").unwrap_err();
        assert!(matches!(error, AsideError::Full { .. }), "{error}");
    }
}
