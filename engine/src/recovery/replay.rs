//! Replay: the commits of the log become true again, in order.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::Recovery;
use super::ahead::{Read, each_frame};
use crate::checkpoint::{Checkpoint, HotSegment, Seen};
use crate::disk::Disk;
use crate::error::Fault;
use crate::files::Files;
use crate::frame::Kind;
use crate::log::{IndexPoint, Indexed, Position};
use crate::root::Root;
use crate::scan::Scan;
use crate::segment::{self, FRAMES_OFFSET, NoFrame, Segment, io};
use crate::state::State;
use crate::types::{Sequence, Timestamp};

/// A replay on its way through the segments.
pub(super) struct Replay<'a> {
    pub(super) disk: &'a Arc<dyn Disk>,
    root: Root,
    pub(super) state: State,
    seen: Seen,
    /// Where the checkpoint ends in the log, and the segments that it knows.
    start: Option<(Position, Vec<HotSegment>)>,
    first_hot: u32,
    /// How long the cold segments are at least.
    pub(super) ends: BTreeMap<u32, u32>,
    pub(super) segments: Vec<Arc<Indexed>>,
    files: Arc<Files>,
    pub(super) chain: u32,
    /// Where the frames of the last segment stopped, and why.
    stopped: (u32, NoFrame),
    pub(super) recovery: Recovery,
}

/// The last segment, read up to where frames stop.
pub(super) struct End {
    pub(super) scan: Scan,
    /// Where the last commit or mark that holds ends, and the checksum of its header.
    pub(super) good: u32,
    chain: u32,
    /// Places of frames that nothing proves durable, and their sequences.
    pub(super) unproven: VecDeque<(Sequence, u32)>,
    /// The part that is missing of a commit that began.
    pub(super) expected_part: u16,
    pub(super) why: NoFrame,
}

impl<'a> Replay<'a> {
    pub(super) fn new(
        disk: &'a Arc<dyn Disk>,
        files: &Arc<Files>,
        root: Root,
        checkpoint: Option<Checkpoint>,
        recovery: Recovery,
    ) -> Self {
        let mut replay = Self {
            disk,
            root,
            state: State::default(),
            seen: Seen::default(),
            start: None,
            first_hot: 1,
            ends: BTreeMap::new(),
            segments: Vec::new(),
            files: Arc::clone(files),
            chain: 0,
            stopped: (FRAMES_OFFSET, NoFrame::Blank),
            recovery,
        };
        if let Some(checkpoint) = checkpoint {
            let Checkpoint {
                head,
                trailer,
                state,
                seen,
                ..
            } = checkpoint;
            let position = Position {
                segment: head.segment,
                offset: head.offset,
            };
            replay.state = state;
            replay.seen = seen;
            replay.chain = head.chain;
            replay.first_hot = head.first_hot;
            replay.start = Some((position, trailer.hot));
            let ends = trailer.cold.iter().map(|cold| (cold.number, cold.end));
            replay.ends = ends.collect();
        }
        replay.state.base = root.base;
        replay
    }

    /// Replays what the checkpoint does not know. Gives the segments that nothing needs but
    /// perhaps an older checkpoint.
    pub(super) fn run(&mut self, numbers: &[u32]) -> Result<Vec<u32>, Fault> {
        let (needless, numbers): (Vec<u32>, Vec<u32>) =
            numbers.iter().partition(|&&number| number < self.first_hot);
        if let Some((position, known)) = self.start.take() {
            let missing = known
                .iter()
                .find(|segment| !numbers.contains(&segment.number));
            if let Some(missing) = missing {
                return Err(Fault::Corrupt {
                    path: segment::path(missing.number),
                    offset: 0,
                    sequence: Some(Sequence::new(missing.base).next()),
                    why: "the segment is missing",
                });
            }
            for segment in known.iter().filter(|s| s.number < position.segment) {
                self.known(segment)?;
            }
            let started = known
                .iter()
                .find(|segment| segment.number == position.segment)
                .map(|segment| segment.time);
            self.start = Some((position, known));
            let started = Timestamp::believed(started.unwrap_or(0));
            let rest: Vec<_> = numbers
                .iter()
                .copied()
                .filter(|&number| number >= position.segment)
                .collect();
            if let Some(&first) = rest.first().filter(|&&first| first > position.segment + 1) {
                return Err(self.corrupt(first, 0, "the segment before this one is missing"));
            }
            for (at, &number) in rest.iter().enumerate() {
                let from = (number == position.segment).then_some((position.offset, started));
                self.segment(number, from, at + 1 == rest.len())?;
            }
        } else {
            for (at, &number) in numbers.iter().enumerate() {
                self.segment(number, None, at + 1 == numbers.len())?;
            }
        }
        Ok(needless)
    }

    /// Takes a segment that the checkpoint knows whole.
    fn known(&mut self, known: &HotSegment) -> Result<(), Fault> {
        let number = known.number;
        let (segment, length) = self.open(number)?;
        if segment.header.base.get() != known.base {
            return Err(self.corrupt(number, 40, "the segment is not the one of the checkpoint"));
        }
        if length < u64::from(known.end) {
            let end = u32::try_from(length).unwrap_or(u32::MAX);
            return Err(self.corrupt(number, end, "the file ends before its last frame"));
        }
        let time = Timestamp::believed(known.time);
        let indexed = Indexed::new(segment.header, Arc::clone(&self.files), time);
        indexed.set_end(known.end);
        self.segments.push(Arc::new(indexed));
        Ok(())
    }

    /// Opens the next segment, and measures its file.
    fn open(&self, number: u32) -> Result<(Segment, u64), Fault> {
        let file = self.files.get(number)?;
        let length = file
            .length()
            .map_err(|source| io("measure", number, source))?;
        let segment = Segment::open(number, file)?;
        self.check_lineage(&segment)?;
        Ok((segment, length))
    }

    fn check_lineage(&self, segment: &Segment) -> Result<(), Fault> {
        let header = &segment.header;
        let before = self.segments.last().map(|before| before.header.number);
        if header.store != self.root.lineage {
            Err(self.corrupt(header.number, 16, "the segment belongs to another store"))
        } else if before.is_some_and(|before| before + 1 != header.number) {
            Err(self.corrupt(header.number, 0, "the segment before this one is missing"))
        } else {
            Ok(())
        }
    }

    pub(super) fn corrupt(&self, number: u32, offset: u32, why: &'static str) -> Fault {
        Fault::Corrupt {
            path: segment::path(number),
            offset: u64::from(offset),
            sequence: Some(self.state.sequence.next()),
            why,
        }
    }

    /// Reads one segment, from its beginning or from where the checkpoint ends, and applies its
    /// commits.
    fn segment(
        &mut self,
        number: u32,
        from: Option<(u32, Timestamp)>,
        last: bool,
    ) -> Result<(), Fault> {
        let (segment, length) = self.open(number)?;
        if from.is_none() {
            self.check_order(&segment)?;
        }
        let (offset, started) = from.unwrap_or((FRAMES_OFFSET, self.state.time));
        let sealed = length < segment.header.capacity;
        let length = u32::try_from(length)
            .map_err(|_| self.corrupt(number, 0, "the segment is longer than 4 GiB"))?;
        if length < FRAMES_OFFSET {
            return Err(self.corrupt(number, length, "the file ends within the segment header"));
        }
        if length < offset {
            return Err(self.corrupt(number, length, "the file ends before its last frame"));
        }
        let files = Arc::clone(&self.files);
        let indexed = Arc::new(Indexed::new(segment.header, files, started));
        let end = self.frames(Scan::new(segment, offset, length), &indexed)?;
        indexed.set_end(end.good);
        self.segments.push(indexed);
        self.chain = end.chain;
        self.stopped = (end.scan.offset(), end.why);
        self.recovery.segments += 1;
        self.recovery.bytes += u64::from(end.good - offset);
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
        let Some(before) = self.segments.last().map(|before| before.header.number) else {
            // The checkpoint may end in a segment that nothing needs any more.
            let follows = header.base == self.state.sequence && header.chain == self.chain;
            if !follows {
                let why = "the segments before this one are missing";
                return Err(self.corrupt(header.number, 0, why));
            }
            return Ok(());
        };
        if header.base != self.state.sequence || header.chain != self.chain {
            return Err(self.corrupt(before, self.stopped.0, self.stopped.1.why()));
        }
        Ok(())
    }

    /// Applies the commits of a segment up to where frames stop.
    fn frames(&mut self, scan: Scan, indexed: &Indexed) -> Result<End, Fault> {
        let number = scan.segment().header.number;
        let (mut good, mut chain, mut group) = (scan.offset(), self.chain, scan.offset());
        let mut expected_part = 0;
        let mut unproven = VecDeque::new();
        let stop = each_frame(scan, |frame| {
            self.check_frame(number, &frame)?;
            self.chain = frame.checksum;
            let proven = frame.header.proves();
            while unproven
                .front()
                .is_some_and(|&(sequence, _)| sequence <= proven)
            {
                unproven.pop_front();
            }
            if frame.header.kind == Kind::Commit {
                unproven.push_back((frame.header.sequence, frame.offset));
                if expected_part == 0 {
                    group = frame.offset;
                }
            }
            if let Some((commit, locations)) = frame.commit? {
                let (before, time) = (self.state.sequence, self.state.time);
                indexed.note(IndexPoint {
                    offset: group,
                    before,
                    time,
                });
                let seen = |change: &_| self.seen.has(change, commit.sequence);
                self.state.apply_unless(&commit, &locations, seen);
                self.recovery.commits += 1;
            }
            expected_part = frame.expected_part;
            if expected_part == 0 {
                (good, chain) = (frame.end, self.chain);
            }
            Ok(())
        })?;
        Ok(End {
            scan: stop.scan,
            good,
            chain,
            unproven,
            expected_part,
            why: stop.why,
        })
    }

    fn check_frame(&self, number: u32, frame: &Read) -> Result<(), Fault> {
        if frame.header.chain != self.chain {
            return Err(self.corrupt(number, frame.offset, "the frame before this one is missing"));
        }
        let in_order = match frame.header.kind {
            Kind::Commit => frame.header.sequence == self.state.sequence.next(),
            Kind::DurableMark | Kind::CleanMark => frame.header.sequence == self.state.sequence,
            Kind::Image => false,
            Kind::Unknown(_) => true,
        };
        if in_order {
            Ok(())
        } else {
            Err(self.corrupt(number, frame.offset, "frames are not in order"))
        }
    }
}
