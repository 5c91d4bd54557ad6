//! Backups: what is told of one, and the operation that makes one while the server runs.
//!
//! A caller names a backup, never a place: it comes beneath the one directory that the
//! configuration names.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use syncline_engine::{Backup, BackupOptions, Error};

use crate::access::{self, Caller};
use crate::error::{ApiError, Chain};
use crate::routes::{Labels, OwnOperation};
use crate::site::{FILES, Site};
use crate::wire::json;

/// Longest name. With what is added while it is made it stays below the 255 bytes of a name.
const NAME_BYTES_MAX: usize = 128;
/// What the name of a backup ends with until it is whole.
const PARTIAL: &str = ".partial";

/// What a caller sends.
#[derive(Deserialize)]
struct Asked {
    /// The name of the backup.
    #[serde(default)]
    to: String,
}

/// A backup that was made, as it is told.
#[derive(Debug, Serialize)]
pub struct Made {
    /// Where it is, as the caller named it.
    pub backup: String,
    /// The last commit in it.
    pub sequence: u64,
    /// The earliest commit to which it can be restored.
    pub earliest_sequence: u64,
    /// Files in it.
    pub files: u64,
    /// Those that are links to files of the store.
    pub linked_files: u64,
    /// Those that were copied.
    pub copied_files: u64,
    /// Bytes of all files.
    pub bytes: u64,
    /// Bytes of copied files.
    pub copied_bytes: u64,
    /// Checkpoints that do not hold and are not in it.
    pub damaged: Vec<String>,
}

impl Made {
    /// What is told of a backup, by its name or place.
    #[must_use]
    pub fn new(backup: impl Into<String>, made: &Backup) -> Self {
        let damaged = made.damaged.iter().map(|fault| Chain(fault).to_string());
        Self {
            backup: backup.into(),
            sequence: made.sequence.get(),
            earliest_sequence: made.earliest.get(),
            files: made.linked + made.copied,
            linked_files: made.linked,
            copied_files: made.copied,
            bytes: made.bytes,
            copied_bytes: made.copied_bytes,
            damaged: damaged.collect(),
        }
    }
}

/// How a backup of a server's store is made: with the files beside it.
#[must_use]
pub fn options() -> BackupOptions {
    BackupOptions {
        beside: FILES.map(str::to_owned).to_vec(),
    }
}

/// Answers the operation: the JSON of its output.
///
/// # Errors
/// Whatever the operation refuses.
pub async fn answer(site: &Site, caller: &Caller, body: &[u8]) -> Result<Vec<u8>, ApiError> {
    access::permit_own(
        OwnOperation::Backup,
        caller,
        &Labels::default(),
        site.realm(),
        |pool, identity| site.has_identity(pool, identity),
    )?;
    let made = make(site, json::read(body)?).await?;
    serde_json::to_vec(&made).map_err(|error| ApiError::fault("laying out an answer", &error))
}

async fn make(site: &Site, asked: Asked) -> Result<Made, ApiError> {
    let Some(directory) = &site.config.backup.directory else {
        return Err(ApiError::invalid_configuration(
            "The server has no directory for backups: set directory in the section [backup] of \
             its configuration, or SYNCLINE_BACKUP_DIRECTORY, and start it again.",
        ));
    };
    let name = asked.to;
    let target = place(directory, &name)?;
    match site.store.backup(target, options()).await {
        Ok(Some(made)) => Ok(Made::new(name, &made)),
        Ok(None) => Err(ApiError::conflict(
            "A backup is being made; ask again when it is done.",
        )),
        // It came to be meanwhile, or a purge cut the backup off.
        Err(Error::Refusal(refusal)) => Err(ApiError::conflict(format!(
            "The backup was not made: {refusal}."
        ))),
        // Whoever made it has logged it.
        Err(_) => Err(ApiError::internal()),
    }
}

/// Where the backup of a name comes to be; nothing may be there.
fn place(directory: &Path, name: &str) -> Result<PathBuf, ApiError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let is_name = (1..=NAME_BYTES_MAX).contains(&name.len())
        && name.bytes().all(allowed)
        && !name.starts_with('.')
        && !name.ends_with(PARTIAL);
    if !is_name {
        return Err(ApiError::invalid_parameter(
            "The name of a backup, to, must be 1 to 128 of [a-zA-Z0-9._-], not begin with a dot \
             and not end with .partial.",
        ));
    }
    // A dangling link counts as well.
    let is_taken = |name: &str| directory.join(name).symlink_metadata().is_ok();
    if is_taken(name) {
        let message = format!("{name} exists already in the directory for backups.");
        return Err(ApiError::conflict(message));
    }
    let partial = format!("{name}{PARTIAL}");
    if is_taken(&partial) {
        let message = format!(
            "{partial} is in the directory for backups: the same is being made, or was \
             interrupted; in that case remove it."
        );
        return Err(ApiError::conflict(message));
    }
    Ok(directory.join(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{BackupConfig, Config};
    use crate::error::ErrorKind;
    use crate::fixture::Fixture;

    #[tokio::test]
    async fn one_is_made_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let backup = BackupConfig {
            directory: Some(directory.path().join("safe")),
        };
        let config = Config {
            backup,
            ..Config::default()
        };
        let fixture = Fixture::with(config, 1 << 20);
        let root = Caller::root("AKIAROOT");
        let ask = || answer(&fixture.site, &root, br#"{"to":"a"}"#);
        let under_way = fixture.site.store.alone().unwrap();
        let error = ask().await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::ResourceConflict);
        assert!(error.message.contains("is being made"), "{}", error.message);
        assert!(!directory.path().join("safe").exists());
        drop(under_way);
        ask().await.unwrap();
        assert!(directory.path().join("safe/a/BACKUP").exists());
    }

    #[test]
    fn a_name_is_one_segment_that_is_not_taken() {
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path();
        std::fs::create_dir(directory.join("there")).unwrap();
        std::fs::create_dir(directory.join("half.partial")).unwrap();
        std::os::unix::fs::symlink("nowhere", directory.join("link")).unwrap();
        let long = "n".repeat(128);
        for name in ["a", "2026-11-23", "A_b.c-", "partial", &long] {
            assert_eq!(place(directory, name).unwrap(), directory.join(name));
        }
        let (too_long, kind) = ("n".repeat(129), |name: &str| place(directory, name));
        for name in [
            "",
            ".",
            "..",
            ".a",
            "../x",
            "a/b",
            "/a",
            "a\\b",
            "a b",
            "a\0",
            "\u{e4}",
            "a.partial",
            &too_long,
        ] {
            let error = kind(name).unwrap_err();
            assert_eq!(error.kind, ErrorKind::InvalidParameter, "{name:?}");
        }
        for name in ["there", "half", "link"] {
            let error = kind(name).unwrap_err();
            assert_eq!(error.kind, ErrorKind::ResourceConflict, "{name:?}");
            assert!(error.message.contains(name), "{}", error.message);
        }
    }
}
