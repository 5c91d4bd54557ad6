//! A directory for the data of one run, removed afterwards.

use std::path::{Path, PathBuf};

use crate::failure::Result;

/// An empty directory that goes when this is dropped.
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes a directory of this process's own below `parent`.
    pub fn new(parent: &Path, name: &str) -> Result<Self> {
        let path = parent.join(format!("{name}-{}", std::process::id()));
        if path.exists() {
            std::fs::remove_dir_all(&path)?;
        }
        std::fs::create_dir_all(&path)
            .map_err(|error| format!("cannot make {}: {error}", path.display()))?;
        Ok(Self(path))
    }

    /// Says where the data are and leaves them there, for whoever looks for what went wrong.
    pub fn keep(self) {
        eprintln!("syncline-bench: the data are left in {}", self.0.display());
        std::mem::forget(self);
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            eprintln!(
                "syncline-bench: cannot remove {}: {error}",
                self.0.display()
            );
        }
    }
}
