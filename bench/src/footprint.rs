//! What a directory takes of the disk.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::failure::Result;

/// The files below a directory, together.
#[derive(Clone, Copy, Debug, Default)]
pub struct Footprint {
    /// Bytes of their blocks.
    pub disk: u64,
    /// Bytes of their lengths.
    pub apparent: u64,
    pub files: u64,
}

impl Footprint {
    /// Of all that is below a directory.
    pub fn of(directory: &Path) -> Result<Self> {
        let mut footprint = Self::default();
        footprint.add(directory)?;
        Ok(footprint)
    }

    /// Adds what is below a directory. Files come and go meanwhile.
    fn add(&mut self, directory: &Path) -> Result<()> {
        let listed = match fs::read_dir(directory) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            listed => listed?,
        };
        for found in listed {
            let path = found?.path();
            let metadata = match fs::symlink_metadata(&path) {
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                metadata => metadata?,
            };
            if metadata.is_dir() {
                self.add(&path)?;
            } else {
                self.disk += metadata.blocks() * 512;
                self.apparent += metadata.len();
                self.files += 1;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_footprint_is_that_of_all_files_below() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("inner")).unwrap();
        fs::write(directory.path().join("a"), [1; 5000]).unwrap();
        fs::write(directory.path().join("inner/b"), [1; 10]).unwrap();
        let found = Footprint::of(directory.path()).unwrap();
        assert_eq!((found.apparent, found.files), (5010, 2));
        let missing = Footprint::of(&directory.path().join("missing")).unwrap();
        assert_eq!(missing.files, 0);
    }
}
