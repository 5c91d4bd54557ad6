//! Opening a store: read the newest checkpoint that holds, replay the log behind it, tell a torn
//! end from corruption.
//!
//! A frame that does not hold is *torn* only if it is in the last batch and nothing behind it
//! proves that it had been durable. Then it and what follows is set aside as a copy and dropped.
//! Everything else that does not hold is corruption, and the store does not open. The rule and why
//! it is safe: `docs/FORMAT.md`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

mod ahead;
mod found;
mod replay;
mod torn;

pub(crate) use found::Found;
use replay::Replay;
pub(crate) use torn::{find_frame, last_written, was_durable};
use uuid::Uuid;

use crate::checkpoint::{self, Checkpoint, Written};
use crate::cold::{Cold, ColdSegment};
use crate::disk::{Disk, LOCK};
use crate::error::Fault;
use crate::files::Files;
use crate::log::{Indexed, Log, Position};
use crate::root::Root;
use crate::segment::{self, COLD, Segment};
use crate::spare::{SPARE, Spares};
use crate::state::State;
use crate::tail::{Ended, Tail};
use crate::types::Sequence;

/// What opening found.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (_home, engine, _settings) =
/// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/examples/scene.in"));
/// let recovery = engine.recovery();
/// assert!(recovery.created);
/// println!("{} commits in {:?}", recovery.commits, recovery.elapsed);
/// for fault in &recovery.damaged {
///     eprintln!("a checkpoint was set aside: {fault}");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Recovery {
    /// The id of the store, which its cursors carry.
    pub store: Uuid,
    /// The store did not exist and was made.
    pub created: bool,
    /// Everything that was found is known to have been durable, as after a clean close.
    pub clean: bool,
    /// The checkpoint that was read, if there was one that held.
    pub checkpoint: Option<u32>,
    /// Checkpoints that did not hold, and why; of those older than the one that was read, only the
    /// beginning was looked at. They were set aside.
    pub damaged: Vec<Fault>,
    /// Commits replayed.
    pub commits: u64,
    /// Segments replayed.
    pub segments: u64,
    /// Bytes of frames replayed.
    pub bytes: u64,
    /// How long it took.
    pub elapsed: Duration,
    /// A last batch that was torn by a crash before it was acknowledged.
    pub torn: Option<Torn>,
}

/// The end of a log that a crash left unfinished: nothing in it was ever acknowledged.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (_home, engine, _settings) =
/// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/examples/scene.in"));
/// if let Some(torn) = &engine.recovery().torn {
///     let copy = torn.copy.display();
///     println!("{} bytes that nobody was promised are in {copy} now", torn.bytes);
/// }
/// # assert_eq!(engine.recovery().torn, None);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Torn {
    /// The segment.
    pub path: PathBuf,
    /// Where the torn end began.
    pub offset: u64,
    /// How many bytes were dropped.
    pub bytes: u64,
    /// The file, relative to the data directory, that keeps a copy.
    pub copy: PathBuf,
}

/// A store that was read and is ready to be written.
pub(crate) struct Opened {
    pub(crate) state: State,
    pub(crate) log: Arc<Log>,
    pub(crate) tail: Tail,
    pub(crate) recovery: Recovery,
    pub(crate) kept: Kept,
}

/// What checkpoints there are, and files that only older ones need.
#[derive(Debug, Clone, Default)]
pub(crate) struct Kept {
    /// The newest last.
    pub(crate) checkpoints: Vec<Written>,
    /// The highest number that any checkpoint ever had.
    pub(crate) last: u32,
    /// The highest number of a cold segment.
    pub(crate) last_cold: u32,
    /// Hot segments that the newest checkpoint does not need.
    pub(crate) hot: Vec<u32>,
    /// Nothing lives in hot segments before this one.
    pub(crate) first_hot: u32,
    /// Where the newest checkpoint ends in the log, and after which commit.
    pub(crate) saved: (Position, Sequence),
}

/// Keeps others out for as long as the answer lives.
pub(crate) fn lock(disk: &dyn Disk) -> Result<Box<dyn Send + Sync>, Fault> {
    let locked = disk.lock().map_err(|source| Fault::Io {
        doing: "lock",
        path: LOCK.into(),
        source: Arc::new(source),
    })?;
    locked.map_err(|holder| Fault::Locked { holder })
}

/// Reads a directory, or begins one.
pub(crate) fn open(disk: &Arc<dyn Disk>, segment_bytes: u64) -> Result<Opened, Fault> {
    let started = Instant::now();
    let found = Found::look(disk)?;
    let mut recovery = Recovery {
        clean: true,
        ..Recovery::default()
    };
    let (checkpoint, mut kept) = found.checkpoint(disk, &mut recovery.damaged)?;
    if checkpoint.is_none() {
        found.check_whole(recovery.damaged.first())?;
    }
    recovery.checkpoint = checkpoint.as_ref().map(|checkpoint| checkpoint.head.number);
    if let Some(Checkpoint { head, .. }) = &checkpoint {
        let position = Position {
            segment: head.segment,
            offset: head.offset,
        };
        kept.first_hot = head.first_hot;
        kept.saved = (position, Sequence::new(head.after));
    }
    let root = match found.root {
        Some(root) => root,
        None => found.make_root(disk)?,
    };
    recovery.created = found.root.is_none() && !root.begun;
    let files = Arc::new(Files::new(Arc::clone(disk)));
    let mut replay = Replay::new(disk, &files, root, checkpoint, recovery);
    kept.hot = replay.run(&found.hot)?;
    let Replay {
        mut state,
        mut segments,
        chain,
        mut recovery,
        ends,
        ..
    } = replay;
    while state.clear_fallen(usize::MAX) {}
    let cold = open_cold(disk, &files, root, &state, &ends, &found.cold)?;
    kept.last_cold = found.cold.last().copied().unwrap_or(COLD);
    found.tidy_up(disk, &kept)?;
    let ended = ended(&state, &mut segments, chain, kept.saved.0);
    let spares = Spares::new(Arc::clone(disk), segment_bytes);
    let cold = Cold::new(Arc::clone(&files), cold);
    let log = Arc::new(Log::new(
        Arc::clone(disk),
        root,
        spares,
        cold,
        files,
        segments,
    ));
    let tail = Tail::new(Arc::clone(&log), &ended);
    recovery.store = root.uuid;
    recovery.elapsed = started.elapsed();
    Ok(Opened {
        state,
        log,
        tail,
        recovery,
        kept,
    })
}

/// Where the log goes on. A segment without a commit is begun anew under the same number.
fn ended(state: &State, segments: &mut Vec<Arc<Indexed>>, chain: u32, saved: Position) -> Ended {
    let empty = segments.pop_if(|last| last.header.base == state.sequence);
    let end = |last: &Arc<Indexed>| Position {
        segment: last.header.number,
        offset: last.end(),
    };
    let position = segments.last().map_or(saved, end);
    let next = empty
        .as_ref()
        .map_or(position.segment + 1, |empty| empty.header.number);
    Ended {
        position,
        next,
        chain: empty.map_or(chain, |empty| empty.header.chain),
        sequence: state.sequence,
        time: state.time,
    }
}

/// Opens the cold segments that something may name, and takes away what a crash left of others.
fn open_cold(
    disk: &Arc<dyn Disk>,
    files: &Arc<Files>,
    root: Root,
    state: &State,
    ends: &BTreeMap<u32, u32>,
    numbers: &[u32],
) -> Result<BTreeMap<u32, Arc<ColdSegment>>, Fault> {
    let mut segments = BTreeMap::new();
    for &number in numbers {
        let named = state.live.get(&number).is_some_and(|&live| live > 0);
        let opened = open_cold_segment(files, root, number, ends.get(&number).copied());
        match opened {
            Ok(segment) => {
                segments.insert(number, Arc::new(segment));
            }
            Err(fault) if named => return Err(fault),
            Err(fault @ (Fault::Io { .. } | Fault::StorageFull)) => return Err(fault),
            Err(_) => {
                files.forget(number);
                disk.remove(&segment::path(number))
                    .map_err(|source| segment::io("tidy up", number, source))?;
            }
        }
    }
    let named = state.live.iter().filter(|(_, live)| **live > 0);
    match named
        .map(|(number, _)| *number)
        .find(|number| !segments.contains_key(number))
    {
        Some(missing) => {
            let why = "the segment is missing, though something lives in it";
            Err(segment::corrupt(missing, 0, why))
        }
        None => Ok(segments),
    }
}

fn open_cold_segment(
    files: &Files,
    root: Root,
    number: u32,
    end: Option<u32>,
) -> Result<ColdSegment, Fault> {
    let file = files.get(number)?;
    let length = file
        .length()
        .map_err(|source| segment::io("measure", number, source))?;
    let corrupt = |why| Fault::corrupt(segment::path(number), length, why);
    let segment = Segment::open(number, file)?;
    if segment.header.store != root.lineage {
        return Err(corrupt("the segment belongs to another store"));
    }
    let length = u32::try_from(length).map_err(|_| corrupt("the segment is longer than 4 GiB"))?;
    if length < end.unwrap_or(segment::FRAMES_OFFSET) {
        return Err(corrupt("the file ends before what lives in it"));
    }
    Ok(ColdSegment::new(segment.header, length))
}

/// Makes a directory that lasts, unless it is there.
pub(crate) fn make_directory(disk: &Arc<dyn Disk>, name: &str) -> Result<(), Fault> {
    let path = Path::new(name);
    disk.create_directory(path)
        .map_err(|source| Fault::of_io("create", path, source))
}

/// Says that a repair has to be ended: what is to be found in the directory is not one store.
pub(crate) const UNFINISHED_REPAIR: &str = "REPAIR";
/// What to say of that.
pub(crate) const REPAIR_CUT_SHORT: &str =
    "a repair of the store was cut short; `syncline repair` ends it";
/// What the names of a repair's files begin with until it is certain.
pub(crate) const UNCERTAIN: &str = "new-";

/// Names of spare files, unfinished checkpoints and uncertain files of a repair, which a crash may
/// leave.
pub(crate) fn is_leftover(name: &str) -> bool {
    name.starts_with(SPARE) || name.starts_with(UNCERTAIN) || name == checkpoint::UNFINISHED
}
