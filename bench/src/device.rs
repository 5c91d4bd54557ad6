//! The block device below a directory, and what is written to it, by its own counter.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::failure::Result;

/// The kernel counts in sectors of this many bytes, whatever the device has.
const SECTOR_BYTES: u64 = 512;

/// A device. Its counter has all that anybody writes to it, so figures want a quiet machine.
pub struct Device {
    directory: File,
    /// None below a file system in memory.
    counters: Option<PathBuf>,
}

impl Device {
    pub fn below(directory: &Path) -> Result<Self> {
        let directory = File::open(directory)?;
        let device = directory.metadata()?.dev();
        let number = (rustix::fs::major(device), rustix::fs::minor(device));
        let counters = PathBuf::from(format!("/sys/dev/block/{}:{}/stat", number.0, number.1));
        Ok(Self {
            directory,
            counters: counters.exists().then_some(counters),
        })
    }

    /// Bytes written to it since the machine was started, once all that waits was written; `None`
    /// if there is no device.
    pub fn written(&self) -> Result<Option<u64>> {
        let Some(counters) = &self.counters else {
            return Ok(None);
        };
        rustix::fs::syncfs(&self.directory)?;
        let counters = std::fs::read_to_string(counters)?;
        let sectors = counters.split_whitespace().nth(6);
        let sectors: u64 = sectors.ok_or("a device has no counters")?.parse()?;
        Ok(Some(sectors * SECTOR_BYTES))
    }

    /// Bytes written since the counter was so.
    pub fn written_since(&self, before: Option<u64>) -> Result<Option<u64>> {
        Ok(self
            .written()?
            .zip(before)
            .map(|(now, before)| now - before))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn what_is_written_is_counted() {
        let directory = tempfile::tempdir_in(".").unwrap();
        let device = Device::below(directory.path()).unwrap();
        let Some(before) = device.written().unwrap() else {
            return; // The repository lies in memory.
        };
        let mut file = File::create(directory.path().join("file")).unwrap();
        file.write_all(&[7; 1 << 20]).unwrap();
        let written = device.written_since(Some(before)).unwrap().unwrap();
        assert!(written >= 1 << 20, "{written}");
    }
}
