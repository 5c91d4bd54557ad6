//! Small files at the top of a directory that are whole or as they were, whenever writing them is
//! cut short.

use std::io::{Error, IoSlice};
use std::path::Path;

use crate::disk::Disk;
use crate::error::Fault;

/// Whether there is a file.
pub(crate) fn is_there(disk: &dyn Disk, name: &str) -> Result<bool, Fault> {
    let names = disk.list(Path::new(""));
    let names = names.map_err(fault("look for", name))?;
    Ok(names.iter().any(|found| found == name))
}

/// Reads a file, but no more than so many bytes of it; `None` if there is none.
pub(crate) fn read(disk: &dyn Disk, name: &str, bytes_max: u64) -> Result<Option<Vec<u8>>, Fault> {
    if !is_there(disk, name)? {
        return Ok(None);
    }
    let file = disk.open(Path::new(name)).map_err(fault("open", name))?;
    let length = file.length().map_err(fault("measure", name))?;
    let mut bytes = vec![0; usize::try_from(length.min(bytes_max)).unwrap_or(usize::MAX)];
    let got = file.read_at(&mut bytes, 0).map_err(fault("read", name))?;
    bytes.truncate(got);
    Ok(Some(bytes))
}

/// Puts a file in the place of what was there; it lasts when this returns. Until it is whole it is
/// called `next`.
pub(crate) fn write(disk: &dyn Disk, next: &str, name: &str, bytes: &[u8]) -> Result<(), Fault> {
    let file = disk.create(Path::new(next));
    let file = file.map_err(fault("create", name))?;
    file.write_at(&[IoSlice::new(bytes)], 0)
        .map_err(fault("write", name))?;
    file.sync().map_err(fault("sync", name))?;
    disk.rename(Path::new(next), Path::new(name))
        .map_err(fault("rename", name))?;
    disk.sync_directory(Path::new(""))
        .map_err(fault("make a name last for", name))
}

fn fault<'a>(doing: &'static str, name: &'a str) -> impl Fn(Error) -> Fault + 'a {
    move |source| Fault::of_io(doing, Path::new(name), source)
}
