//! A directory that is being made: it has another name until it is whole.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::{Disk, RealDisk};
use crate::error::{Error, Fault};
use crate::types::invalid;

/// What its name ends with until then.
const SUFFIX: &str = ".partial";

/// A directory on the way to its name.
pub(crate) struct Unfinished {
    partial: PathBuf,
    target: PathBuf,
    parent: PathBuf,
}

impl Unfinished {
    /// Makes the directory. What has the name already must be an empty directory, if anything.
    pub(crate) fn begin(target: &Path) -> Result<Self, Error> {
        if !is_free(target).map_err(fault("look into", target))? {
            let why = format!("{} exists and is not empty", target.display());
            return Err(invalid("target", why).into());
        }
        let absolute = std::path::absolute(target).map_err(fault("find", target))?;
        let (Some(parent), Some(name)) = (absolute.parent(), absolute.file_name()) else {
            let why = format!("{} is not the name of a directory", target.display());
            return Err(invalid("target", why).into());
        };
        let mut name = name.to_owned();
        name.push(SUFFIX);
        let partial = parent.join(name);
        // The parents last once the first disk on them is opened.
        drop(RealDisk::new(parent).map_err(fault("create", parent))?);
        match DirBuilder::new().mode(0o700).create(&partial) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let why = format!(
                    "{} exists: the same is under way, or was interrupted; in that case remove it",
                    partial.display()
                );
                return Err(invalid("target", why).into());
            }
            made => made.map_err(fault("create", &partial))?,
        }
        Ok(Self {
            partial,
            parent: parent.into(),
            target: absolute,
        })
    }

    /// The directory, for who fills it.
    pub(crate) fn disk(&self) -> Result<Arc<dyn Disk>, Fault> {
        let disk = RealDisk::new(&self.partial).map_err(fault("open", &self.partial))?;
        Ok(Arc::new(disk))
    }

    /// Gives the directory its name if it is whole, takes it away if not.
    pub(crate) fn end<T>(self, made: Result<T, Error>) -> Result<T, Error> {
        match made {
            Ok(made) => {
                fs::rename(&self.partial, &self.target).map_err(fault("rename", &self.partial))?;
                let parent = File::open(&self.parent);
                parent
                    .and_then(|parent| parent.sync_all())
                    .map_err(fault("make a name last for", &self.target))?;
                Ok(made)
            }
            Err(error) => {
                // What cannot be taken away is refused by name the next time.
                let _ = fs::remove_dir_all(&self.partial);
                Err(error)
            }
        }
    }
}

/// Whether there is nothing, or nothing in it.
fn is_free(path: &Path) -> io::Result<bool> {
    match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        found => Ok(found?.next().is_none()),
    }
}

fn fault<'a>(doing: &'static str, path: &'a Path) -> impl Fn(io::Error) -> Fault + 'a {
    move |source| Fault::of_io(doing, path, source)
}
