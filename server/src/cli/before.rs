//! What was in a directory before a command made a store in it, so that a failure leaves none.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs;
use std::io::{ErrorKind, Result};
use std::path::{Path, PathBuf};

/// The names in a directory at one moment.
pub(crate) struct Before {
    directory: PathBuf,
    /// `None`: there was no such directory.
    names: Option<HashSet<OsString>>,
}

impl Before {
    /// Looks at a directory.
    pub(crate) fn look(directory: &Path) -> Result<Self> {
        Ok(Self {
            directory: directory.into(),
            names: match names(directory) {
                Err(error) if error.kind() == ErrorKind::NotFound => None,
                names => Some(names?),
            },
        })
    }

    /// Takes away what came to be since.
    pub(crate) fn bring_back(&self) -> Result<()> {
        let Some(before) = &self.names else {
            return match fs::remove_dir_all(&self.directory) {
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
                removed => removed,
            };
        };
        for name in names(&self.directory)?.difference(before) {
            let path = self.directory.join(name);
            if path.is_dir() {
                fs::remove_dir_all(path)?;
            } else {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }
}

fn names(directory: &Path) -> Result<HashSet<OsString>> {
    fs::read_dir(directory)?
        .map(|found| Ok(found?.file_name()))
        .collect()
}
