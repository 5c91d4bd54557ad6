//! Section `[backup]`: where a running server may be told to put backups.

use std::path::{Path, PathBuf, absolute};

use serde::Deserialize;

use super::{ConfigError, refuse};

/// Section `[backup]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BackupConfig {
    /// The directory beneath which they are made; `None`: a running server makes none. A caller
    /// names only what is in it, so that no request decides where the server writes.
    pub directory: Option<PathBuf>,
}

impl BackupConfig {
    pub(super) fn check(&self, data: &Path) -> Result<(), ConfigError> {
        let Some(directory) = &self.directory else {
            return Ok(());
        };
        let (Ok(directory), Ok(data)) = (absolute(directory), absolute(data)) else {
            return refuse("backup.directory", "must name a directory");
        };
        if directory.starts_with(data) {
            return refuse("backup.directory", "must be outside of the data directory");
        }
        Ok(())
    }
}
