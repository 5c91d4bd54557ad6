//! What a backup has beyond a store: the list of its files.

use std::path::Path;

use super::Checking;
use crate::backup;
use crate::error::{Error, Fault};
use crate::manifest::{self, Manifest};
use crate::transfer;

impl Checking<'_> {
    /// Compares the files with the list; what is in them is checked as that of a store is.
    pub(super) fn backup(&mut self) -> Result<(), Fault> {
        self.found.backup = true;
        self.found.files += 1;
        let manifest = match Manifest::read(self.disk.as_ref()) {
            Ok(manifest) => manifest,
            Err(Error::Fault(fault)) => return self.note_fault(fault),
            // It is there, so this is all that can be refused.
            Err(_) => {
                let why = "the backup was not finished: this file is empty; use another one";
                self.problem(Path::new(manifest::NAME), 0, None, why);
                return Ok(());
            }
        };
        for (path, bytes) in backup::files(&manifest) {
            match transfer::length(self.disk.as_ref(), &path)? {
                Some(found) if found == bytes => {}
                Some(found) => {
                    let why = format!("the file has {found} bytes, and BACKUP tells of {bytes}");
                    self.problem(&path, found.min(bytes), None, &why);
                }
                None => self.problem(&path, 0, None, "the file of the backup is missing"),
            }
        }
        Ok(())
    }
}
