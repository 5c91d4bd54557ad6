//! The end of the log, where commits are staged: frames behind each other, for one write and one
//! sync.
//!
//! A segment is begun when the first commit needs it. Invariants: every frame of a commit is in one
//! segment; behind each commit there is room for the marks that may follow; the next segment is
//! begun only once everything in this one is durable. Frames may be staged while those before them
//! are written, and get their headers when those are durable, which the headers tell.

use std::io::IoSlice;
use std::path::Path;
use std::sync::Arc;

mod flush;

pub(crate) use flush::Flush;

use crate::commit::{Commit, encode_head};
use crate::disk::DiskFile;
use crate::error::Fault;
use crate::frame::{self, HEADER_BYTES, Header, Kind};
use crate::limits::{BATCH_BYTES, COMMIT_BYTES_MAX, FRAME_PAYLOAD_BYTES};
use crate::log::{End, IndexPoint, Indexed, Log, Position};
use crate::root::Root;
use crate::segment::{self, FRAMES_OFFSET, Segment, SegmentHeader, io};
use crate::spare::Spare;
use crate::types::{Location, Locations, Sequence, Timestamp};

/// What is left free behind every commit: a mark at rest, a mark at the close, and a little that
/// is cut off, so that a closed file is always shorter than its capacity.
const ROOM_BYTES: u64 =
    2 * (HEADER_BYTES as u64).next_multiple_of(frame::ALIGNMENT as u64) + frame::ALIGNMENT as u64;

/// What became of a commit that was to be staged.
pub(crate) enum Staged {
    /// Its changes lie here once it is flushed.
    At(Locations),
    /// Nothing was staged: the rest of the segment is too short, flush first what is in it.
    SegmentFull,
    /// Nothing was staged: no segment may be so large.
    TooLarge,
    /// Nothing was staged, or ever written to the log: there is no next segment, for this reason.
    NoSegment(Fault),
}

/// What the log ended with when it was opened.
pub(crate) struct Ended {
    /// Behind the last frame.
    pub(crate) position: Position,
    /// The number of the next segment.
    pub(crate) next: u32,
    /// The checksum of the last frame header.
    pub(crate) chain: u32,
    pub(crate) sequence: Sequence,
    pub(crate) time: Timestamp,
}

/// The end of the log; only who plans touches it.
pub(crate) struct Tail {
    log: Arc<Log>,
    active: Option<Active>,
    /// The number of the next segment.
    next: u32,
    /// Behind the last frame that was handed over to be written.
    position: Position,
    chain: u32,
    /// Frames that are staged behind it, still without headers.
    buffer: Vec<u8>,
    laid: Vec<Laid>,
    /// Places of staged commits.
    points: Vec<IndexPoint>,
    /// The last commit that was handed over to be written.
    written: Sequence,
    /// The last commit that is staged.
    staged: Sequence,
    time: Timestamp,
    /// The store's root says that there is a log.
    begun: bool,
}

/// The segment that is being filled.
struct Active {
    indexed: Arc<Indexed>,
    segment: Segment,
    /// There is no space for anything but what deletes.
    reserved: bool,
}

/// A frame in the buffer whose header is still to be written.
struct Laid {
    /// Where it begins in the buffer.
    start: usize,
    payload_bytes: usize,
    payload_checksum: u32,
    kind: Kind,
    sequence: Sequence,
    part: u16,
    parts: u16,
}

impl Tail {
    pub(crate) fn new(log: Arc<Log>, ended: &Ended) -> Self {
        Self {
            begun: log.root.begun,
            log,
            active: None,
            next: ended.next,
            position: ended.position,
            chain: ended.chain,
            buffer: Vec::new(),
            laid: Vec::new(),
            points: Vec::new(),
            written: ended.sequence,
            staged: ended.sequence,
            time: ended.time,
        }
    }

    /// Puts a commit behind what is staged already. Begins a segment for it if need be and it
    /// `may_begin` one: all that was handed over is durable. An error means that the log must not
    /// be written to again.
    pub(crate) fn stage(&mut self, commit: &Commit, may_begin: bool) -> Result<Staged, Fault> {
        let (before, frames) = (self.buffer.len(), self.laid.len());
        let mut locations = self.lay(commit);
        let may_begin = may_begin && before == 0;
        let staged = self.make_room(before, commit.deletes(), may_begin);
        if !matches!(staged, Ok(None)) {
            self.laid.truncate(frames);
            self.buffer.truncate(before);
        }
        if let Some(not_staged) = staged? {
            return Ok(not_staged);
        }
        self.points.push(IndexPoint {
            offset: self.position.offset + narrow(before),
            before: Sequence::new(commit.sequence.get() - 1),
            time: self.time,
        });
        self.time = commit.time;
        self.number(frames, Kind::Commit, commit.sequence);
        let position = self.position;
        for location in &mut locations {
            location.segment = position.segment;
            location.offset += position.offset;
        }
        Ok(Staged::At(locations))
    }

    /// Lays the frames of a commit behind what is staged, each behind room for its header, and says
    /// where in the buffer each change lies.
    fn lay(&mut self, commit: &Commit) -> Locations {
        let mut locations = Locations::with_capacity(commit.changes.len());
        let (mut changes, mut is_full) = (0, true);
        let before = self.buffer.len();
        for change in &commit.changes {
            if self.buffer.len() - before > COMMIT_BYTES_MAX {
                break; // Nothing of it will stay.
            }
            if is_full {
                self.lay_frame();
                encode_head(&mut self.buffer, commit.time, &commit.note, 0);
                changes = 0;
            }
            change.encode(&mut self.buffer);
            let laid = self.laid.last_mut().expect("one was laid just now");
            locations.push(Location {
                segment: 0,
                offset: narrow(laid.start),
                change: changes,
            });
            changes += 1;
            let payload = laid.start + HEADER_BYTES;
            laid.payload_bytes = self.buffer.len() - payload;
            is_full = laid.payload_bytes >= FRAME_PAYLOAD_BYTES;
            // The head ends with the number of changes.
            let at = payload + 9 + commit.note.as_bytes().len() - 2;
            self.buffer[at..at + 2].copy_from_slice(&changes.to_le_bytes());
        }
        self.align();
        locations
    }

    /// Begins a frame without payload.
    fn lay_frame(&mut self) {
        self.align();
        let start = self.buffer.len();
        self.laid.push(Laid {
            start,
            payload_bytes: 0,
            payload_checksum: 0,
            kind: Kind::Commit,
            sequence: self.staged,
            part: 0,
            parts: 0,
        });
        self.buffer.resize(start + HEADER_BYTES, 0);
    }

    /// Makes the frames from one on the parts of one sequence.
    fn number(&mut self, first: usize, kind: Kind, sequence: Sequence) {
        let frames = &mut self.laid[first..];
        let parts = u16::try_from(frames.len()).expect("fewer parts than changes");
        for (part, laid) in (0..).zip(frames) {
            let payload = &self.buffer[laid.start + HEADER_BYTES..][..laid.payload_bytes];
            laid.payload_checksum = frame::payload_checksum(payload);
            (laid.kind, laid.sequence) = (kind, sequence);
            (laid.part, laid.parts) = (part, parts);
        }
        self.staged = sequence;
    }

    fn align(&mut self) {
        let end = self
            .buffer
            .len()
            .next_multiple_of(frame::ALIGNMENT as usize);
        self.buffer.resize(end, 0);
    }

    /// Sees to it that what is laid behind `before` fits the segment, or says why it does not.
    fn make_room(
        &mut self,
        before: usize,
        deletes: bool,
        may_begin: bool,
    ) -> Result<Option<Staged>, Fault> {
        let bytes = self.buffer.len() - before;
        if bytes > COMMIT_BYTES_MAX {
            return Ok(Some(Staged::TooLarge));
        }
        if self.fits(deletes) {
            return Ok(None);
        }
        if !may_begin {
            return Ok(Some(Staged::SegmentFull));
        }
        let needed = bytes as u64 + ROOM_BYTES;
        match self.log.spares.take(needed) {
            Ok(spare) => self.rotate(spare, false)?,
            Err(Fault::StorageFull) if deletes => match self.log.spares.take_reserve(needed) {
                Some(spare) => self.rotate(spare, true)?,
                None => return Ok(Some(Staged::NoSegment(Fault::StorageFull))),
            },
            Err(fault) => return Ok(Some(Staged::NoSegment(fault))),
        }
        Ok(None)
    }

    /// Whether what is laid fits the segment.
    fn fits(&self, deletes: bool) -> bool {
        self.active.as_ref().is_some_and(|active| {
            (deletes || !active.reserved)
                && u64::from(self.position.offset) + self.buffer.len() as u64 + ROOM_BYTES
                    <= active.segment.header.capacity
        })
    }

    /// Bytes that are staged.
    pub(crate) fn staged(&self) -> usize {
        self.buffer.len()
    }

    /// Behind the last frame that was handed over to be written.
    pub(crate) fn end(&self) -> End {
        End {
            position: self.position,
            chain: self.chain,
        }
    }

    /// Forgets what is staged, since nothing may be written any more.
    pub(crate) fn abandon(&mut self) {
        self.buffer.clear();
        self.laid.clear();
        self.points.clear();
    }

    /// Hands over what is staged, if there is anything, to be written: everything that was handed
    /// over before must be durable.
    pub(crate) fn hand_over(&mut self) -> Option<Flush> {
        if self.buffer.is_empty() {
            return None;
        }
        self.put_headers();
        let active = self.active.as_ref().expect("what is staged has a segment");
        let offset = self.position.offset;
        self.position.offset += narrow(self.buffer.len());
        self.written = self.staged;
        // What one large commit needed is not kept for ever.
        let room = self.buffer.len().min(BATCH_BYTES);
        Some(Flush {
            indexed: Arc::clone(&active.indexed),
            file: Arc::clone(&active.segment.file),
            offset,
            bytes: std::mem::replace(&mut self.buffer, Vec::with_capacity(room)),
            points: std::mem::take(&mut self.points),
            end: self.end(),
        })
    }

    /// Appends and syncs a mark, which proves everything before it durable, and that must be so.
    /// Gives the last commit.
    pub(crate) fn mark(&mut self, kind: Kind) -> Result<Sequence, Fault> {
        assert!(
            self.buffer.is_empty(),
            "a mark stands behind durable commits only"
        );
        // What was found at opening is sealed and needs no proof.
        if self.active.is_some() {
            self.lay_frame();
            self.align();
            self.number(0, kind, self.written);
            self.hand_over().map_or(Ok(()), Flush::run)?;
        }
        Ok(self.written)
    }

    /// Marks the log as cleanly closed and cuts the segment to its frames, so that from now on
    /// every damaged byte is known to be damage.
    pub(crate) fn close(&mut self) -> Result<(), Fault> {
        self.mark(Kind::CleanMark)?;
        if let Some(active) = &self.active {
            let Segment { file, header, .. } = &active.segment;
            assert!(
                u64::from(self.position.offset) < header.capacity,
                "a cut file is shorter than its capacity"
            );
            seal(file.as_ref(), header.number, self.position.offset)?;
        }
        Ok(())
    }

    /// Ends the present segment, if there is one: what comes next begins another.
    pub(crate) fn end_segment(&mut self) -> Result<(), Fault> {
        self.mark(Kind::DurableMark)?;
        if let Some(active) = self.active.take() {
            let Segment { file, header, .. } = &active.segment;
            seal(file.as_ref(), header.number, self.position.offset)?;
            self.log.set_active(None);
        }
        Ok(())
    }

    /// Turns a spare file into the next segment: its header is durable before it has its name, so
    /// a segment without a header is always damage.
    fn rotate(&mut self, spare: Spare, reserved: bool) -> Result<(), Fault> {
        let random = self.log.disk.random();
        let Spare {
            path,
            file,
            capacity,
        } = spare;
        let number = self.next;
        let header = SegmentHeader {
            store: self.log.root.lineage,
            number,
            base: self.written,
            capacity,
            salt: u64::from_le_bytes(random[..8].try_into().expect("16 bytes were asked for")),
            chain: self.chain,
        };
        file.write_at(&[IoSlice::new(&header.encode())], 0)
            .map_err(|source| io("write", number, source))?;
        file.sync().map_err(|source| io("sync", number, source))?;
        let disk = &self.log.disk;
        disk.rename(&path, &segment::path(number))
            .map_err(|source| io("rename", number, source))?;
        disk.sync_directory(Path::new(segment::DIRECTORY))
            .map_err(|source| io("make a name last for", number, source))?;
        if !self.begun {
            let begun = Root {
                begun: true,
                ..self.log.root
            };
            begun.write(self.log.disk.as_ref())?;
            self.begun = true;
        }
        // Before it can be seen: whoever releases segments must not take it for an old one.
        self.log.set_active(Some(number));
        let indexed = self.log.push(header, Arc::clone(&file), self.time);
        let segment = Segment::new(header, file);
        self.log.bell.ring();
        self.active = Some(Active {
            indexed,
            segment,
            reserved,
        });
        self.position = Position {
            segment: number,
            offset: FRAMES_OFFSET,
        };
        self.next += 1;
        Ok(())
    }

    /// Writes the headers of the frames that are laid.
    fn put_headers(&mut self) {
        let active = self.active.as_ref().expect("a frame is put in a segment");
        for laid in self.laid.drain(..) {
            let ahead = laid.sequence.get() - self.written.get();
            let header = Header {
                kind: laid.kind,
                part: laid.part,
                parts: laid.parts,
                sequence: laid.sequence,
                distance: u32::try_from(ahead).expect("a batch is bounded"),
                chain: self.chain,
                payload_len: narrow(laid.payload_bytes),
                payload_checksum: laid.payload_checksum,
            };
            let (bytes, checksum) = header.encode(&active.segment.seed);
            self.chain = checksum;
            self.buffer[laid.start..][..HEADER_BYTES].copy_from_slice(&bytes);
        }
    }
}

/// Cuts a segment to its frames once all of them are durable.
pub(crate) fn seal(file: &dyn DiskFile, number: u32, end: u32) -> Result<(), Fault> {
    file.set_length(u64::from(end))
        .map_err(|source| io("cut", number, source))?;
    file.sync().map_err(|source| io("sync", number, source))
}

fn narrow(value: usize) -> u32 {
    u32::try_from(value).expect("offsets in a segment fit 32 bits")
}
