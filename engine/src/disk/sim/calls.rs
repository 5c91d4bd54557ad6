//! The calls of the simulated disk and its files: what each does when it runs, fails or crashes.

use std::io::{self, ErrorKind, IoSlice};
use std::path::Path;
use std::sync::{Arc, Mutex};

use super::machine::{FileId, Machine, Step};
use super::names::Node;
use super::orders::Failure;
use super::trace::Asked;
use super::{Call, SimDisk, locked, place};
use crate::disk::{Disk, DiskFile};

struct SimFile {
    machine: Arc<Mutex<Machine>>,
    id: FileId,
    /// Shared with the machine, which forgets a nameless file when nobody has it open.
    _open: Arc<()>,
}

struct SimLock(Arc<Mutex<Machine>>);

impl SimDisk {
    fn file(&self, machine: &mut Machine, id: FileId) -> Arc<dyn DiskFile> {
        Arc::new(SimFile {
            machine: self.0.clone(),
            id,
            _open: machine.open_mark(id),
        })
    }
}

impl Disk for SimDisk {
    fn lock(&self) -> io::Result<Result<Box<dyn Send + Sync>, String>> {
        let mut machine = self.machine();
        machine.look(Asked::of(Call::Lock, Path::new("")))?;
        if machine.locked {
            return Ok(Err("another opener of this simulated disk".to_owned()));
        }
        machine.locked = true;
        Ok(Ok(Box::new(SimLock(self.0.clone()))))
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        let path = place(path);
        let mut machine = self.machine();
        let found = machine.names.node(&path);
        let asked = Asked::of(Call::CreateDirectory, &path).naming(found.is_none());
        let step = machine.change(asked)?;
        match found {
            Some(Node::Directory) => return step.end(),
            Some(Node::File(_)) => return Err(ErrorKind::AlreadyExists.into()),
            None => machine.names.parent_exists(&path)?,
        }
        if step.happens() {
            machine.names.appear(path, Node::Directory);
        }
        step.end()
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        let directory = place(directory);
        let mut machine = self.machine();
        machine.look(Asked::of(Call::List, &directory))?;
        machine.names.list(&directory)
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let path = place(path);
        let mut machine = self.machine();
        let found = machine.names.node(&path);
        let step = machine.change(Asked::of(Call::Create, &path).naming(found.is_none()))?;
        machine.names.parent_exists(&path)?;
        match found {
            Some(Node::Directory) => return Err(ErrorKind::IsADirectory.into()),
            Some(Node::File(id)) if step.happens() => machine.contents(id).set_length(0),
            None if step.happens() => machine.add_file(path.clone()),
            _ => {}
        }
        step.end()?;
        let id = machine.names.file(&path)?;
        Ok(self.file(&mut machine, id))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let path = place(path);
        let mut machine = self.machine();
        machine.look(Asked::of(Call::Open, &path))?;
        let id = machine.names.file(&path)?;
        Ok(self.file(&mut machine, id))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let (from, to) = (place(from), place(to));
        let mut machine = self.machine();
        let step = machine.change(Asked::of(Call::Rename, &from))?;
        machine.names.parent_exists(&from)?;
        machine.names.parent_exists(&to)?;
        let id = machine.names.file(&from)?;
        if machine.names.node(&to) == Some(Node::Directory) {
            return Err(ErrorKind::IsADirectory.into());
        }
        if step.happens() && from != to {
            machine.rename(from, to, id);
        }
        step.end()
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let path = place(path);
        let mut machine = self.machine();
        let step = machine.change(Asked::of(Call::Remove, &path))?;
        let id = machine.names.file(&path)?;
        if step.happens() {
            machine.names.vanish(path, id);
        }
        step.end()
    }

    fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        let directory = place(directory);
        let mut machine = self.machine();
        let step = machine.change(Asked::of(Call::SyncDirectory, &directory))?;
        machine.names.is_directory(&directory)?;
        match step {
            Step::Whole => machine.sync_directory(&directory),
            Step::Fails(_) => machine.fail_sync_directory(&directory),
            Step::Omitted | Step::Crashes { .. } => {}
        }
        step.end()
    }

    fn names(&self, path: &Path) -> io::Result<u64> {
        let path = place(path);
        let mut machine = self.machine();
        machine.look(Asked::of(Call::Names, &path))?;
        let id = machine.names.file(&path)?;
        Ok(machine.names_of(id))
    }

    /// Never possible: a simulated file system is one directory.
    fn share(&self, path: &Path, _: &dyn Disk, _: &Path) -> io::Result<bool> {
        let path = place(path);
        let mut machine = self.machine();
        machine.look(Asked::of(Call::Share, &path))?;
        machine.names.file(&path)?;
        Ok(false)
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let mut machine = self.machine();
        machine.look(Asked::of(Call::FreeBytes, Path::new("")))?;
        Ok(machine.free_bytes())
    }

    /// From the seed, so that a run can be repeated. A rebooted machine goes on with other bytes,
    /// whatever its seed.
    fn random(&self) -> [u8; 16] {
        self.machine().random.bytes()
    }
}

impl DiskFile for SimFile {
    fn length(&self) -> io::Result<u64> {
        let mut machine = locked(&self.machine);
        let name = machine.name(self.id);
        machine.look(Asked::of(Call::Length, &name))?;
        Ok(machine.contents(self.id).live().len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut machine = locked(&self.machine);
        let name = machine.name(self.id);
        machine.look(Asked::of(Call::Read, &name).at(offset, buffer.len()))?;
        let live = machine.contents(self.id).live();
        let from = usize::try_from(offset).map_or(live.len(), |offset| offset.min(live.len()));
        let count = buffer.len().min(live.len() - from);
        buffer[..count].copy_from_slice(&live[from..from + count]);
        Ok(count)
    }

    fn write_at(&self, slices: &[IoSlice<'_>], offset: u64) -> io::Result<()> {
        let bytes: Vec<u8> = slices
            .iter()
            .flat_map(|slice| slice.iter().copied())
            .collect();
        let from = in_memory(offset)?;
        let end = from
            .checked_add(bytes.len())
            .ok_or(ErrorKind::FileTooLarge)?;
        let mut machine = locked(&self.machine);
        let name = machine.name(self.id);
        let length = machine.contents(self.id).live().len();
        let fitting = machine.fitting(self.id, from, bytes.len());
        // An empty write changes nothing, not even the length.
        let asked = Asked::of(Call::Write, &name)
            .at(offset, bytes.len())
            .growing(length, if bytes.is_empty() { length } else { end });
        let step = machine.change(asked)?;
        let chance = &mut machine.chance.fork();
        let contents = machine.contents(self.id);
        match step {
            Step::Whole => contents.write(from, &bytes),
            Step::Fails(Failure::Io) => contents.write_some(from, &bytes[..fitting], chance),
            Step::Fails(_) | Step::Crashes { .. } => {
                let part = chance.part_of(bytes.len()).min(fitting);
                contents.write(from, &bytes[..part]);
            }
            Step::Omitted => unreachable!("only syncs are left out"),
        }
        step.end()
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        let to = in_memory(length)?;
        let mut machine = locked(&self.machine);
        let name = machine.name(self.id);
        let from = machine.contents(self.id).live().len();
        let asked = Asked::of(Call::SetLength, &name)
            .at(length, 0)
            .growing(from, to);
        let step = machine.change(asked)?;
        if step.happens() {
            machine.contents(self.id).set_length(to);
        }
        step.end()
    }

    fn sync(&self) -> io::Result<()> {
        let mut machine = locked(&self.machine);
        let name = machine.name(self.id);
        let step = machine.change(Asked::of(Call::Sync, &name))?;
        let chance = &mut machine.chance.fork();
        match step {
            Step::Whole => machine.contents(self.id).sync(),
            Step::Fails(_) => machine.contents(self.id).fail_sync(chance),
            Step::Omitted | Step::Crashes { .. } => {}
        }
        step.end()
    }
}

impl Drop for SimLock {
    fn drop(&mut self) {
        locked(&self.0).locked = false;
    }
}

fn in_memory(offset: u64) -> io::Result<usize> {
    usize::try_from(offset).map_err(|_| ErrorKind::FileTooLarge.into())
}
