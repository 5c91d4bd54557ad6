//! Opening a log: replay what is there, tell a torn end from corruption, and begin a new segment.
//!
//! A frame that does not hold is *torn* only if it is in the last batch and nothing behind it
//! proves that it had been durable. Then it and what follows is set aside as a copy and dropped.
//! Everything else that does not hold is corruption, and the store does not open. The rule and why
//! it is safe: `docs/FORMAT.md`.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

mod torn;

use uuid::Uuid;

use crate::disk::Disk;
use crate::error::Fault;
use crate::files::Files;
use crate::frame::Kind;
use crate::log::{IndexPoint, Indexed, Log, Position};
use crate::scan::{Assembly, Scan};
use crate::segment::{self, FRAMES_OFFSET, Frame, NoFrame, Segment, io};
use crate::spare::{SPARE, Spares};
use crate::state::State;
use crate::tail::{Ended, Tail};
use crate::types::Sequence;

/// What opening found.
#[derive(Clone, Debug, Default)]
pub struct Recovery {
    /// The id of the store, which its cursors carry.
    pub store: Uuid,
    /// The store did not exist and was made.
    pub created: bool,
    /// Everything that was found is known to have been durable, as after a clean close.
    pub clean: bool,
    /// Commits replayed.
    pub commits: u64,
    /// Segments read.
    pub segments: u64,
    /// Bytes of frames read.
    pub bytes: u64,
    /// How long it took.
    pub elapsed: Duration,
    /// A last batch that was torn by a crash before it was acknowledged.
    pub torn: Option<Torn>,
}

/// The end of a log that a crash left unfinished: nothing in it was ever acknowledged.
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
}

/// Reads the log of a directory, or begins one.
pub(crate) fn open(disk: &Arc<dyn Disk>, segment_bytes: u64) -> Result<Opened, Fault> {
    let started = Instant::now();
    let directory = Path::new(segment::DIRECTORY);
    let fault = |doing| move |source| directory_fault(doing, directory, source);
    disk.create_directory(directory).map_err(fault("create"))?;
    disk.sync_directory(Path::new(""))
        .map_err(fault("make a name last for"))?;
    let names = disk.list(directory).map_err(fault("list"))?;
    let mut numbers: Vec<u32> = names
        .iter()
        .filter_map(|name| segment::number(name))
        .collect();
    numbers.sort_unstable();

    let mut replay = Replay::new(disk);
    for (at, &number) in numbers.iter().enumerate() {
        replay.segment(number, at + 1 == numbers.len())?;
    }
    for name in names.iter().filter(|name| name.starts_with(SPARE)) {
        disk.remove(&directory.join(name))
            .map_err(fault("tidy up"))?;
    }
    let spares = Spares::new(Arc::clone(disk), segment_bytes);
    let created = numbers.is_empty();
    let store = if created { uuid(disk) } else { replay.store };
    let Replay {
        state,
        mut segments,
        files,
        chain,
        mut recovery,
        ..
    } = replay;
    // A segment without a commit is begun anew under the same number.
    let empty = segments.pop_if(|last| last.header.base == state.sequence);
    let end = |last: &Arc<Indexed>| Position {
        segment: last.header.number,
        offset: last.end(),
    };
    let position = segments.last().map_or_else(Position::default, end);
    let ended = Ended {
        position,
        next: position.segment + 1,
        chain: empty.map_or(chain, |empty| empty.header.chain),
        sequence: state.sequence,
        time: state.time,
    };
    let log = Arc::new(Log::new(Arc::clone(disk), store, spares, files, segments));
    let tail = Tail::new(Arc::clone(&log), &ended);
    recovery.store = store;
    recovery.created = created;
    recovery.commits = state.sequence.get();
    recovery.elapsed = started.elapsed();
    Ok(Opened {
        state,
        log,
        tail,
        recovery,
    })
}

fn uuid(disk: &Arc<dyn Disk>) -> Uuid {
    uuid::Builder::from_random_bytes(disk.random()).into_uuid()
}

fn directory_fault(doing: &'static str, path: &Path, source: std::io::Error) -> Fault {
    Fault::Io {
        doing,
        path: path.into(),
        source: Arc::new(source),
    }
}

/// A replay on its way through the segments.
struct Replay<'a> {
    disk: &'a Arc<dyn Disk>,
    store: Uuid,
    state: State,
    segments: Vec<Arc<Indexed>>,
    files: Arc<Files>,
    chain: u32,
    /// Where the frames of the last segment stopped, and why.
    stopped: (u32, NoFrame),
    recovery: Recovery,
}

/// The last segment, read up to where frames stop.
struct End {
    scan: Scan,
    /// Where the last commit or mark that holds ends, and the checksum of its header.
    good: u32,
    chain: u32,
    /// Places of frames that nothing proves durable, and their sequences.
    unproven: VecDeque<(Sequence, u32)>,
    /// The part that is missing of a commit that began.
    expected_part: u16,
    why: NoFrame,
}

impl<'a> Replay<'a> {
    fn new(disk: &'a Arc<dyn Disk>) -> Self {
        Self {
            disk,
            store: Uuid::nil(),
            state: State::default(),
            segments: Vec::new(),
            files: Arc::new(Files::new(Arc::clone(disk))),
            chain: 0,
            stopped: (FRAMES_OFFSET, NoFrame::Blank),
            recovery: Recovery {
                clean: true,
                ..Recovery::default()
            },
        }
    }

    fn corrupt(&self, number: u32, offset: u32, why: &'static str) -> Fault {
        Fault::Corrupt {
            path: segment::path(number),
            offset: u64::from(offset),
            sequence: Some(self.state.sequence.next()),
            why,
        }
    }

    /// Reads one segment and applies its commits.
    fn segment(&mut self, number: u32, last: bool) -> Result<(), Fault> {
        let file = self.files.get(number)?;
        let length = file
            .length()
            .map_err(|source| io("measure", number, source))?;
        let segment = Segment::open(number, file)?;
        self.check_order(&segment)?;
        let sealed = length < segment.header.capacity;
        let length = u32::try_from(length)
            .map_err(|_| self.corrupt(number, 0, "the segment is longer than 4 GiB"))?;
        if length < FRAMES_OFFSET {
            return Err(self.corrupt(number, length, "the file ends within the segment header"));
        }
        let files = Arc::clone(&self.files);
        let indexed = Arc::new(Indexed::new(segment.header, files, self.state.time));
        let end = self.frames(Scan::new(segment, FRAMES_OFFSET, length), &indexed)?;
        indexed.set_end(end.good);
        self.segments.push(indexed);
        self.chain = end.chain;
        self.stopped = (end.scan.offset(), end.why);
        self.recovery.segments += 1;
        self.recovery.bytes += u64::from(end.good - FRAMES_OFFSET);
        let intact = end.good == end.scan.offset() && end.good == length;
        if sealed && !intact {
            return Err(self.corrupt(number, end.scan.offset(), end.why.why()));
        }
        if last {
            self.recovery.clean = sealed;
            if sealed {
                // Whoever cut it may have been killed before the cut was synced.
                let file = &end.scan.segment().file;
                file.sync().map_err(|source| io("sync", number, source))?;
            } else {
                self.unclean(&end, length)?;
            }
        }
        Ok(())
    }

    /// The header must continue where the segment before ended.
    fn check_order(&mut self, segment: &Segment) -> Result<(), Fault> {
        let header = &segment.header;
        if let Some(before) = self.segments.last() {
            let before = before.header;
            let why = if header.store != self.store {
                "the segment belongs to another store"
            } else if header.number != before.number + 1 {
                "the segment before this one is missing"
            } else if header.base != self.state.sequence || header.chain != self.chain {
                return Err(self.corrupt(before.number, self.stopped.0, self.stopped.1.why()));
            } else {
                return Ok(());
            };
            return Err(self.corrupt(header.number, 0, why));
        }
        if header.base != Sequence::ZERO {
            return Err(self.corrupt(header.number, 0, "the segments before this one are missing"));
        }
        self.store = header.store;
        self.chain = header.chain;
        Ok(())
    }

    /// Applies the commits of a segment up to where frames stop.
    fn frames(&mut self, mut scan: Scan, indexed: &Indexed) -> Result<End, Fault> {
        let number = scan.segment().header.number;
        let mut assembly = Assembly::default();
        let (mut good, mut chain, mut group) = (scan.offset(), self.chain, scan.offset());
        let mut unproven = VecDeque::new();
        loop {
            let offset = scan.offset();
            let frame = match scan.next()? {
                Ok(frame) => frame,
                Err(why) => {
                    let expected_part = assembly.expected_part();
                    return Ok(End {
                        scan,
                        good,
                        chain,
                        unproven,
                        expected_part,
                        why,
                    });
                }
            };
            self.check_frame(number, offset, &frame)?;
            self.chain = frame.checksum;
            let proven = frame.header.proves();
            while unproven
                .front()
                .is_some_and(|&(sequence, _)| sequence <= proven)
            {
                unproven.pop_front();
            }
            if frame.header.kind == Kind::Commit {
                unproven.push_back((frame.header.sequence, offset));
                group = if assembly.expected_part() == 0 {
                    offset
                } else {
                    group
                };
            }
            if let Some((commit, locations)) = assembly.add(number, offset, &frame)? {
                let (before, time) = (self.state.sequence, self.state.time);
                indexed.note(IndexPoint {
                    offset: group,
                    before,
                    time,
                });
                self.state.apply(&commit, &locations);
            }
            if assembly.expected_part() == 0 {
                (good, chain) = (scan.offset(), self.chain);
            }
        }
    }

    fn check_frame(&self, number: u32, offset: u32, frame: &Frame) -> Result<(), Fault> {
        if frame.header.chain != self.chain {
            return Err(self.corrupt(number, offset, "the frame before this one is missing"));
        }
        let in_order = match frame.header.kind {
            Kind::Commit => frame.header.sequence == self.state.sequence.next(),
            Kind::DurableMark | Kind::CleanMark => frame.header.sequence == self.state.sequence,
            Kind::Unknown(_) => true,
        };
        if in_order {
            Ok(())
        } else {
            Err(self.corrupt(number, offset, "frames are not in order"))
        }
    }
}
