//! Whole directories: whatever is in the files, opening and using what opens answers.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::decoders::{SEGMENT_HEADER_BYTES, padded, put};
use super::{Mode, seal};
use crate::backup::DIRECTORIES;
use crate::disk::{Disk, SimDisk};
use crate::engine::Engine;
use crate::error::{Error, Refusal};
use crate::options::Options;
use crate::proposal::{Proposal, Wish};
use crate::reader::Listing;
use crate::segment::{self, COLD, FRAMES_OFFSET};
use crate::types::{
    DatasetId, ModifiedBy, Patch, PatchOp, RecordKey, RecordValue, SyncCount, Timestamp,
};
use crate::{checkpoint, root};

/// Bytes of a segment that is not cut yet.
const SEGMENT_BYTES: usize = 64 << 10;
/// More files than that are left out.
const FILES_MAX: usize = 8;

/// What a file in an input is: kind, number, length and bytes.
const STORE: u8 = 0;
const HOT: u8 = 1;
/// A hot segment that goes on with zeros.
const HOT_OPEN: u8 = 2;
const COLD_SEGMENT: u8 = 3;
const CHECKPOINT: u8 = 4;
const KINDS: u8 = 5;

struct File {
    kind: u8,
    number: u8,
    bytes: Vec<u8>,
}

impl File {
    fn path(&self) -> PathBuf {
        let number = u32::from(self.number).max(1);
        match self.kind {
            STORE => PathBuf::from(root::NAME),
            HOT | HOT_OPEN => segment::path(number),
            COLD_SEGMENT => segment::path(number | COLD),
            _ => checkpoint::path(number),
        }
    }

    fn contents(&self) -> Vec<u8> {
        let mut bytes = match self.kind {
            HOT | HOT_OPEN | COLD_SEGMENT => padded(&self.bytes),
            _ => self.bytes.clone(),
        };
        if self.kind == HOT_OPEN {
            bytes.resize(bytes.len().max(SEGMENT_BYTES), 0);
        }
        bytes
    }
}

/// Splits an input into files.
fn files(mut bytes: &[u8]) -> Vec<File> {
    let mut files = Vec::new();
    while let Some((head, rest)) = bytes.split_first_chunk::<6>() {
        let length = u32::from_le_bytes([head[2], head[3], head[4], head[5]]) as usize;
        let (own, rest) = rest.split_at(length.min(rest.len()));
        files.push(File {
            kind: head[0] % KINDS,
            number: head[1],
            bytes: own.to_vec(),
        });
        bytes = rest;
        if files.len() == FILES_MAX {
            break;
        }
    }
    files
}

/// The files of a disk as an input.
pub(super) fn input(disk: &SimDisk) -> Vec<u8> {
    let mut input = Vec::new();
    for path in disk.files() {
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or("");
        let mut bytes = disk.live_bytes(&path).unwrap_or_default();
        let (kind, number) = match path.parent().and_then(|parent| parent.to_str()) {
            Some(segment::DIRECTORY) => (HOT, segment::number(name)),
            Some(segment::COLD_DIRECTORY) => (COLD_SEGMENT, segment::number(name)),
            Some(checkpoint::DIRECTORY) => (CHECKPOINT, checkpoint::number(name)),
            _ => (STORE, (name == root::NAME).then_some(1)),
        };
        let Some(number) = number.and_then(|number| u8::try_from(number).ok()) else {
            continue;
        };
        let mut kind = kind;
        if matches!(kind, HOT | COLD_SEGMENT) {
            if bytes.len() == SEGMENT_BYTES && kind == HOT {
                kind = HOT_OPEN;
                let end = bytes.iter().rposition(|&b| b != 0).map_or(0, |at| at + 1);
                bytes.truncate(end.next_multiple_of(8));
            }
            bytes.drain(SEGMENT_HEADER_BYTES..bytes.len().min(FRAMES_OFFSET as usize));
        }
        input.extend([kind, number]);
        let length = u32::try_from(bytes.len()).expect("seeds are small");
        input.extend(length.to_le_bytes());
        input.extend(bytes);
    }
    input
}

/// How the stores of this target are opened.
pub(super) fn options() -> Options {
    let clock = AtomicU64::new(1_700_000_000_000);
    Options {
        segment_bytes: SEGMENT_BYTES as u64,
        cache_bytes: 16 << 10,
        checkpoint_bytes: 16 << 10,
        feed_retention_bytes: 16 << 10,
        clock: Arc::new(move || Timestamp::believed(clock.fetch_add(7, Ordering::Relaxed))),
        threads: false,
        ..Options::default()
    }
}

/// Opens a directory with the files of an input.
pub(super) fn open(mode: Mode, bytes: &[u8]) {
    let mut files = files(bytes);
    files.sort_by_key(File::path);
    let (mut chain, disk) = (0, SimDisk::new(1));
    for directory in DIRECTORIES {
        let made = disk.create_directory(Path::new(directory));
        made.expect("nothing makes this disk fail");
    }
    for file in &mut files {
        match file.kind {
            STORE => seal::root(&mut file.bytes, mode),
            CHECKPOINT => seal::checkpoint(&mut file.bytes, mode),
            COLD_SEGMENT => seal::segment(&mut file.bytes, mode, &mut 0),
            _ => seal::segment(&mut file.bytes, mode, &mut chain),
        }
        put(&disk, &file.path(), &file.contents());
    }
    let Ok(engine) = Engine::open_on(Arc::new(disk.clone()), options()) else {
        return;
    };
    let whole = look(&engine);
    let wrote = write(&engine);
    let kept = [engine.maintain(), engine.compact(), engine.close()];
    let why = engine.halted();
    assert!(
        !why.is_some_and(|why| why.contains("panicked")),
        "the log role panicked"
    );
    drop(engine);
    // Forged checksums can make the directory and the log contradict each other.
    if !mode.sealed && whole && wrote && kept.iter().all(Result::is_ok) {
        let engine = Engine::open_on(Arc::new(disk), options());
        let engine = engine.unwrap_or_else(|error| panic!("it does not open again: {error}"));
        assert!(look(&engine), "what could be read cannot be any more");
    }
}

/// Reads everything; false if something does not hold.
fn look(engine: &Engine) -> bool {
    let reader = engine.reader();
    let mut whole = reader.scan(b"", None, 100).is_ok();
    for dataset in datasets(engine) {
        whole &= reader.list(&dataset, &Listing::default()).is_ok();
        whole &= reader.dataset(&dataset).is_ok();
    }
    let Ok(mut feed) = engine.feed(engine.tail()) else {
        return false;
    };
    loop {
        match feed.read() {
            Ok(commits) if commits.is_empty() => return whole,
            Ok(_) => {}
            Err(_) => return false,
        }
    }
}

fn datasets(engine: &Engine) -> Vec<DatasetId> {
    let reader = engine.reader();
    let mut datasets = Vec::new();
    for pool in reader.pools(None, 100) {
        for identity in reader.identities(&pool.pool, None, 100) {
            let (pool, identity) = (pool.pool, identity.identity);
            let found = reader.datasets(&pool, &identity, None, 100);
            datasets.extend(found.into_iter().flatten().map(|info| DatasetId {
                pool,
                identity,
                name: info.name,
            }));
        }
    }
    datasets
}

/// Changes something everywhere; false if something does not hold.
fn write(engine: &Engine) -> bool {
    datasets(engine).into_iter().all(|dataset| {
        let patch = Patch {
            key: RecordKey::believed("fuzz"),
            op: PatchOp::Replace(RecordValue::believed("value")),
            sync_count: SyncCount::ZERO,
            device_modified: None,
        };
        let update = Wish::Update {
            dataset: dataset.clone(),
            patches: vec![patch],
            modified_by: ModifiedBy::Owner,
        };
        let rewrite = Wish::Rewrite { dataset };
        [update, rewrite].into_iter().all(|wish| {
            let answer = engine.commit(Proposal::from(wish));
            !matches!(answer, Err(Error::Fault(_)))
                && !matches!(answer, Err(Error::Refusal(Refusal::Busy)))
        })
    })
}
