//! Writing a checkpoint while commits go on.

use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::slice::{Slice, encode};
use super::{
    ColdLive, DIRECTORY, Head, HotSegment, LAST, MAGIC, PREAMBLE_BYTES, Trailer, UNFINISHED,
    VERSION, block_checksum, path,
};
use crate::cold::Cold;
use crate::disk::{Disk, DiskFile};
use crate::error::Fault;
use crate::root::format;
use crate::state::{At, State};
use crate::types::Sequence;

/// Written bytes between two syncs, so that none of them takes long and commits, which sync too,
/// do not wait behind it.
const SYNC_BYTES: u64 = 4 << 20;

/// What is known when a checkpoint is begun.
pub(crate) struct Beginning {
    pub(crate) head: Head,
    pub(crate) hot: Vec<HotSegment>,
}

/// A checkpoint that lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) number: u32,
    /// Bytes of its file.
    pub(crate) bytes: u64,
    /// The segment in which the log goes on behind it,
    pub(crate) segment: u32,
    /// the commit before that,
    pub(crate) after: Sequence,
    /// and when it was made, in milliseconds of the Unix epoch.
    pub(crate) time: u64,
}

impl Written {
    pub(crate) fn new(head: &Head, bytes: u64) -> Self {
        Self {
            number: head.number,
            bytes,
            segment: head.segment,
            after: Sequence::new(head.after),
            time: head.time,
        }
    }
}

struct Writing {
    file: Arc<dyn DiskFile>,
    path: PathBuf,
    bytes: u64,
    synced: u64,
}

/// Writes a checkpoint. `look` gives the state to the closure for a moment; `pause` is called
/// between slices and may say no: then nothing is left of the checkpoint, and the answer is `None`.
pub(crate) fn write(
    disk: &Arc<dyn Disk>,
    beginning: &Beginning,
    cold: &Cold,
    look: impl Fn(&mut dyn FnMut(&State)),
    pause: impl FnMut(u64) -> bool,
) -> Result<Option<Written>, Fault> {
    let written = write_whole(disk, beginning, cold, look, pause);
    if !matches!(written, Ok(Some(_))) {
        // What cannot be removed is removed by the next opening.
        let _ = disk.remove(&Path::new(DIRECTORY).join(UNFINISHED));
        // It may have its name already, though that is not known to last.
        let _ = disk.remove(&path(beginning.head.number));
    }
    written
}

fn write_whole(
    disk: &Arc<dyn Disk>,
    beginning: &Beginning,
    cold: &Cold,
    look: impl Fn(&mut dyn FnMut(&State)),
    mut pause: impl FnMut(u64) -> bool,
) -> Result<Option<Written>, Fault> {
    let unfinished = Path::new(DIRECTORY).join(UNFINISHED);
    let file = disk
        .create(&unfinished)
        .map_err(|source| Fault::of_io("create", &unfinished, source))?;
    let mut writing = Writing {
        file,
        path: unfinished.clone(),
        bytes: 0,
        synced: 0,
    };
    writing.begin(&beginning.head)?;
    let mut trailer = Trailer {
        slices: 0,
        finished: 0,
        hot: beginning.hot.clone(),
        cold: Vec::new(),
        deleted: None,
    };
    let mut at = None;
    let mut slice = Slice::default();
    while at != Some(At::End) {
        look(&mut |state| {
            at = Some(encode(state, at.as_ref(), &mut slice));
            trailer.finished = state.sequence.get();
            let deleted = state.deleted;
            trailer.deleted = deleted.map(|deleted| (deleted.since.get(), deleted.last.get()));
        });
        writing.block(&slice.bytes, 0)?;
        trailer.slices += 1;
        if !pause(slice.bytes.len() as u64) {
            return Ok(None);
        }
    }
    trailer.cold = slice
        .live
        .into_iter()
        .map(|(number, live)| ColdLive {
            number,
            end: cold.get(number).map_or(0, |segment| segment.end()),
            live,
        })
        .collect();
    let body = bincode::encode_to_vec(&trailer, format()).expect("a vector takes everything");
    writing.block(&body, LAST)?;
    writing.sync()?;
    let number = beginning.head.number;
    disk.rename(&unfinished, &path(number))
        .map_err(|source| Fault::of_io("rename", &unfinished, source))?;
    disk.sync_directory(Path::new(DIRECTORY))
        .map_err(|source| Fault::of_io("make a name last for", &path(number), source))?;
    Ok(Some(Written::new(&beginning.head, writing.bytes)))
}

impl Writing {
    fn begin(&mut self, head: &Head) -> Result<(), Fault> {
        let mut preamble = MAGIC.to_vec();
        preamble.extend_from_slice(&VERSION.to_le_bytes());
        preamble.extend_from_slice(&(!VERSION).to_le_bytes());
        assert_eq!(preamble.len(), PREAMBLE_BYTES);
        self.write(&[&preamble])?;
        let body = bincode::encode_to_vec(head, format()).expect("a vector takes everything");
        self.block(&body, 0)
    }

    fn block(&mut self, body: &[u8], last: u32) -> Result<(), Fault> {
        let length = u32::try_from(body.len()).expect("a block is shorter than 4 GiB") | last;
        let checksum = block_checksum(length, body);
        self.write(&[&length.to_le_bytes(), &checksum.to_le_bytes(), body])?;
        if self.bytes - self.synced >= SYNC_BYTES {
            self.sync()?;
        }
        Ok(())
    }

    fn write(&mut self, parts: &[&[u8]]) -> Result<(), Fault> {
        let slices: Vec<_> = parts.iter().map(|part| IoSlice::new(part)).collect();
        self.file
            .write_at(&slices, self.bytes)
            .map_err(|source| Fault::of_io("write", &self.path, source))?;
        self.bytes += parts.iter().map(|part| part.len() as u64).sum::<u64>();
        Ok(())
    }

    fn sync(&mut self) -> Result<(), Fault> {
        self.synced = self.bytes;
        self.file
            .sync()
            .map_err(|source| Fault::of_io("sync", &self.path, source))
    }
}
