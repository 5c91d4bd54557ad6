//! The end of the log, where the log role appends: staged frames, one write, one sync.
//!
//! A segment is begun when the first commit needs it. Invariants: every frame of a commit is in one
//! segment; behind each commit there is room for the marks that may follow; the next segment is
//! begun only once everything in this one is durable.

use std::io::IoSlice;
use std::path::Path;
use std::sync::Arc;

use crate::commit::{Commit, encode_head};
use crate::disk::DiskFile;
use crate::error::Fault;
use crate::frame::{self, HEADER_BYTES, Header, Kind};
use crate::limits::{COMMIT_BYTES_MAX, FRAME_PAYLOAD_BYTES};
use crate::log::{End, IndexPoint, Indexed, Log, Position};
use crate::root::Root;
use crate::segment::{self, FRAMES_OFFSET, Segment, SegmentHeader, io};
use crate::spare::Spare;
use crate::types::{Location, Sequence, Timestamp};

/// What is left free behind every commit: a mark at rest, a mark at the close, and a little that
/// is cut off, so that a closed file is always shorter than its capacity.
const ROOM_BYTES: u64 =
    2 * (HEADER_BYTES as u64).next_multiple_of(frame::ALIGNMENT as u64) + frame::ALIGNMENT as u64;

/// What became of a commit that was to be staged.
pub(crate) enum Staged {
    /// Its changes lie here once it is flushed.
    At(Vec<Location>),
    /// Nothing was staged: the rest of the segment is too short, flush first.
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

/// The end of the log; only the log role touches it.
pub(crate) struct Tail {
    log: Arc<Log>,
    active: Option<Active>,
    /// The number of the next segment.
    next: u32,
    /// Behind the last durable frame.
    position: Position,
    chain: u32,
    /// Frames that are staged but not written.
    buffer: Vec<u8>,
    /// Places of staged commits.
    points: Vec<IndexPoint>,
    /// The last durable commit.
    durable: Sequence,
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

/// A commit as payloads, and which change lies in which of them.
struct Payloads {
    payloads: Vec<Vec<u8>>,
    places: Vec<(usize, u16)>,
}

impl Payloads {
    fn new(commit: &Commit) -> Self {
        let mut this = Self {
            payloads: Vec::new(),
            places: Vec::with_capacity(commit.changes.len()),
        };
        let mut changes = 0;
        for change in &commit.changes {
            let full = |payload: &Vec<u8>| payload.len() >= FRAME_PAYLOAD_BYTES;
            if this.payloads.last().is_none_or(full) {
                let mut payload = Vec::with_capacity(512);
                encode_head(&mut payload, commit.time, &commit.note, 0);
                this.payloads.push(payload);
                changes = 0;
            }
            let part = this.payloads.len() - 1;
            let payload = &mut this.payloads[part];
            change.encode(payload);
            this.places.push((part, changes));
            changes += 1;
            // The head ends with the number of changes.
            let at = 9 + commit.note.as_bytes().len() - 2;
            payload[at..at + 2].copy_from_slice(&changes.to_le_bytes());
        }
        this
    }

    fn frame_bytes(&self) -> usize {
        let frame = |payload: &Vec<u8>| {
            (HEADER_BYTES + payload.len()).next_multiple_of(frame::ALIGNMENT as usize)
        };
        self.payloads.iter().map(frame).sum()
    }
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
            points: Vec::new(),
            durable: ended.sequence,
            time: ended.time,
        }
    }

    /// Puts a commit behind what is staged already. An error means that the log must not be
    /// written to again.
    pub(crate) fn stage(&mut self, commit: &Commit) -> Result<Staged, Fault> {
        let payloads = Payloads::new(commit);
        let bytes = payloads.frame_bytes();
        if bytes > COMMIT_BYTES_MAX {
            return Ok(Staged::TooLarge);
        }
        let deletes = commit.deletes();
        if !self.fits(bytes as u64, deletes) {
            if !self.buffer.is_empty() {
                return Ok(Staged::SegmentFull);
            }
            let needed = bytes as u64 + ROOM_BYTES;
            match self.log.spares.take(needed) {
                Ok(spare) => self.rotate(spare, false)?,
                Err(Fault::StorageFull) if deletes => match self.log.spares.take_reserve(needed) {
                    Some(spare) => self.rotate(spare, true)?,
                    None => return Ok(Staged::NoSegment(Fault::StorageFull)),
                },
                Err(fault) => return Ok(Staged::NoSegment(fault)),
            }
        }
        self.points.push(IndexPoint {
            offset: self.staged_end(),
            before: Sequence::new(commit.sequence.get() - 1),
            time: self.time,
        });
        self.time = commit.time;
        Ok(Staged::At(self.put(commit.sequence, payloads)))
    }

    fn fits(&self, bytes: u64, deletes: bool) -> bool {
        self.active.as_ref().is_some_and(|active| {
            (deletes || !active.reserved)
                && u64::from(self.staged_end()) + bytes + ROOM_BYTES
                    <= active.segment.header.capacity
        })
    }

    fn staged_end(&self) -> u32 {
        self.position.offset + narrow(self.buffer.len())
    }

    /// Bytes that are staged.
    pub(crate) fn staged(&self) -> usize {
        self.buffer.len()
    }

    /// Behind the last durable frame.
    pub(crate) fn end(&self) -> End {
        End {
            position: self.position,
            chain: self.chain,
        }
    }

    /// Writes and syncs what is staged; `sequence` is its last commit. After an error the log must
    /// not be written to again: what is on the disk is unknown, and a second sync proves nothing.
    pub(crate) fn flush(&mut self, sequence: Sequence) -> Result<End, Fault> {
        let active = self.active.as_ref().expect("what is staged has a segment");
        let Segment { file, header, .. } = &active.segment;
        file.write_at(
            &[IoSlice::new(&self.buffer)],
            u64::from(self.position.offset),
        )
        .map_err(|source| io("write", header.number, source))?;
        file.sync()
            .map_err(|source| io("sync", header.number, source))?;
        for point in self.points.drain(..) {
            active.indexed.note(point);
        }
        self.position.offset += narrow(self.buffer.len());
        active.indexed.set_end(self.position.offset);
        self.buffer.clear();
        self.durable = sequence;
        Ok(self.end())
    }

    /// Appends and syncs a mark, which proves everything before it durable. Gives the last commit.
    pub(crate) fn mark(&mut self, kind: Kind) -> Result<Sequence, Fault> {
        assert!(
            self.buffer.is_empty(),
            "a mark stands behind durable commits only"
        );
        // What was found at opening is sealed and needs no proof.
        if self.active.is_some() {
            self.put_frame(kind, self.durable, (0, 1), &[]);
            self.flush(self.durable)?;
        }
        Ok(self.durable)
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
            base: self.durable,
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

    /// Appends the frames of a commit and says where each of its changes lies.
    fn put(&mut self, sequence: Sequence, commit: Payloads) -> Vec<Location> {
        let Payloads { payloads, places } = commit;
        let parts = u16::try_from(payloads.len()).expect("fewer parts than changes");
        let mut offsets = Vec::with_capacity(payloads.len());
        for (part, payload) in (0..).zip(&payloads) {
            offsets.push(self.staged_end());
            self.put_frame(Kind::Commit, sequence, (part, parts), payload);
        }
        let segment = self.position.segment;
        let location = |(part, change): (usize, u16)| Location {
            segment,
            offset: offsets[part],
            change,
        };
        places.into_iter().map(location).collect()
    }

    fn put_frame(&mut self, kind: Kind, sequence: Sequence, of: (u16, u16), payload: &[u8]) {
        let active = self.active.as_ref().expect("a frame is put in a segment");
        let ahead = sequence.get() - self.durable.get();
        let header = Header {
            kind,
            part: of.0,
            parts: of.1,
            sequence,
            distance: u32::try_from(ahead).expect("a batch is bounded"),
            chain: self.chain,
            payload_len: narrow(payload.len()),
            payload_checksum: frame::payload_checksum(payload),
        };
        let (bytes, checksum) = header.encode(&active.segment.seed);
        self.chain = checksum;
        let end = self.buffer.len() + header.frame_bytes();
        self.buffer.extend_from_slice(&bytes);
        self.buffer.extend_from_slice(payload);
        self.buffer.resize(end, 0);
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
