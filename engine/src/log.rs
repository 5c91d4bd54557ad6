//! The hot log: segments in order, the end where the log role appends, and the watermark up to
//! which everyone else may read.

use std::io::IoSlice;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use uuid::Uuid;

use crate::commit::{Change, Commit, Part, encode_head};
use crate::disk::Disk;
use crate::error::Fault;
use crate::frame::{self, HEADER_BYTES, Header, Kind};
use crate::limits::{COMMIT_BYTES_MAX, FEED_INDEX_BYTES, FRAME_PAYLOAD_BYTES};
use crate::segment::{self, FRAMES_OFFSET, Segment, SegmentHeader, io};
use crate::spare::{Spare, Spares};
use crate::types::{Location, Sequence, Timestamp};

/// All segments, for reading.
pub(crate) struct Log {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) store: Uuid,
    pub(crate) spares: Spares,
    /// Ordered by number, without a gap.
    segments: RwLock<Vec<Arc<Indexed>>>,
}

/// A segment, and places in it from which the feed can start.
pub(crate) struct Indexed {
    pub(crate) segment: Segment,
    index: Mutex<Vec<IndexPoint>>,
    /// Where its durable frames end.
    end: AtomicU32,
}

/// The beginning of a commit in a segment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct IndexPoint {
    pub(crate) offset: u32,
    /// The last commit before the offset.
    pub(crate) before: Sequence,
    /// No commit before the offset is younger than this.
    pub(crate) time: Timestamp,
}

impl Indexed {
    pub(crate) fn new(segment: Segment, time: Timestamp) -> Self {
        let start = IndexPoint {
            offset: FRAMES_OFFSET,
            before: segment.header.base,
            time,
        };
        Self {
            segment,
            index: Mutex::new(vec![start]),
            end: AtomicU32::new(FRAMES_OFFSET),
        }
    }

    /// Where the durable frames end.
    pub(crate) fn end(&self) -> u32 {
        self.end.load(Ordering::Acquire)
    }

    pub(crate) fn set_end(&self, end: u32) {
        self.end.store(end, Ordering::Release);
    }

    /// Takes note of the beginning of a commit, if the last one noted is far enough away.
    pub(crate) fn note(&self, point: IndexPoint) {
        let mut index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        let last = index.last().map_or(0, |last| last.offset);
        if u64::from(point.offset) >= u64::from(last) + FEED_INDEX_BYTES {
            index.push(point);
        }
    }

    /// The last noted place for which `reached` does not hold yet, or the first.
    fn last_before(&self, reached: impl Fn(&IndexPoint) -> bool) -> IndexPoint {
        let index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        let after = index.partition_point(|point| !reached(point));
        index[after.saturating_sub(1)]
    }
}

impl Log {
    pub(crate) fn new(disk: Arc<dyn Disk>, store: Uuid, spares: Spares) -> Self {
        Self {
            disk,
            store,
            spares,
            segments: RwLock::default(),
        }
    }

    pub(crate) fn push(&self, segment: Arc<Indexed>) {
        self.segments
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .push(segment);
    }

    /// How many segments there are, and the bytes of frames in them.
    pub(crate) fn size(&self) -> (usize, u64) {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        let frames = |segment: &Arc<Indexed>| u64::from(segment.end() - FRAMES_OFFSET);
        (segments.len(), segments.iter().map(frames).sum())
    }

    pub(crate) fn segment(&self, number: u32) -> Option<Arc<Indexed>> {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        let first = segments.first()?.segment.header.number;
        segments
            .get(usize::try_from(number.checked_sub(first)?).ok()?)
            .cloned()
    }

    /// Where to start reading for the commits after a sequence.
    pub(crate) fn place_after(&self, sequence: Sequence) -> (Arc<Indexed>, IndexPoint) {
        self.place(|point| point.before > sequence)
    }

    /// Where to start reading for the commits made at a time or later.
    pub(crate) fn place_before(&self, time: Timestamp) -> (Arc<Indexed>, IndexPoint) {
        self.place(|point| point.time >= time)
    }

    fn place(&self, reached: impl Fn(&IndexPoint) -> bool) -> (Arc<Indexed>, IndexPoint) {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        let starts = |at: &Arc<Indexed>| at.last_before(|_| true);
        let after = segments.partition_point(|segment| !reached(&starts(segment)));
        let segment = &segments[after.saturating_sub(1)];
        (Arc::clone(segment), segment.last_before(reached))
    }

    /// Reads the change at a location, and says which commit made it and when.
    pub(crate) fn change(&self, location: Location) -> Result<Change, Fault> {
        let corrupt = |why| Fault::Corrupt {
            path: segment::path(location.segment),
            offset: u64::from(location.offset),
            sequence: None,
            why,
        };
        let indexed = self
            .segment(location.segment)
            .ok_or_else(|| corrupt("the segment that holds a dataset is missing"))?;
        let frame = indexed.segment.frame(location.offset)?;
        let mut part = Part::decode(&frame.payload).map_err(|malformed| corrupt(malformed.0))?;
        let at = usize::from(location.change);
        if at >= part.changes.len() {
            return Err(corrupt(
                "the frame has fewer changes than the directory says",
            ));
        }
        Ok(part.changes.swap_remove(at))
    }
}

/// What became of a commit that was to be staged.
pub(crate) enum Staged {
    /// Its changes lie here once it is flushed.
    At(Vec<Location>),
    /// Nothing was staged: the rest of the segment is too short, flush first.
    SegmentFull,
    /// Nothing was staged: no segment may be so large.
    TooLarge,
}

/// The end of the log; only the log role touches it.
pub(crate) struct Tail {
    log: Arc<Log>,
    active: Arc<Indexed>,
    /// Where the next byte goes once `buffer` is written.
    offset: u32,
    chain: u32,
    /// Frames that are staged but not written.
    buffer: Vec<u8>,
    /// Places of staged commits.
    points: Vec<IndexPoint>,
    /// The last durable commit.
    durable: Sequence,
    time: Timestamp,
}

impl Tail {
    /// Begins a new segment, in place of one with the same number if there is one.
    pub(crate) fn begin(
        log: Arc<Log>,
        number: u32,
        base: Sequence,
        chain: u32,
        time: Timestamp,
    ) -> Result<Self, Fault> {
        let spare = log.spares.take(1)?;
        let active = new_segment(&log, spare, number, base, chain, time)?;
        let (buffer, points) = (Vec::new(), Vec::new());
        let offset = FRAMES_OFFSET;
        Ok(Self {
            log,
            active,
            offset,
            chain,
            buffer,
            points,
            durable: base,
            time,
        })
    }

    /// Puts a commit behind what is staged already.
    pub(crate) fn stage(&mut self, commit: &Commit) -> Result<Staged, Fault> {
        let (start, chain) = (self.buffer.len(), self.chain);
        let mut locations = self.encode(commit);
        let bytes = self.buffer.len() - start;
        if bytes > COMMIT_BYTES_MAX {
            self.take_back(start, chain);
            return Ok(Staged::TooLarge);
        }
        let end = u64::from(self.offset) + self.buffer.len() as u64;
        if end > self.active.segment.header.capacity {
            if start > 0 {
                self.take_back(start, chain);
                return Ok(Staged::SegmentFull);
            }
            self.buffer.clear();
            self.chain = chain;
            self.rotate(bytes as u64)?;
            locations = self.encode(commit);
        }
        let offset = self.offset + narrow(start);
        let before = Sequence::new(commit.sequence.get() - 1);
        self.points.push(IndexPoint {
            offset,
            before,
            time: self.time,
        });
        self.time = commit.time;
        Ok(Staged::At(locations))
    }

    fn take_back(&mut self, start: usize, chain: u32) {
        self.buffer.truncate(start);
        self.chain = chain;
    }

    /// Bytes that are staged.
    pub(crate) fn staged(&self) -> usize {
        self.buffer.len()
    }

    /// Writes and syncs what is staged; `sequence` is its last commit. After an error the log must
    /// not be written to again: what is on the disk is unknown, and a second sync proves nothing.
    pub(crate) fn flush(&mut self, sequence: Sequence) -> Result<Position, Fault> {
        let Segment { file, header, .. } = &self.active.segment;
        file.write_at(&[IoSlice::new(&self.buffer)], u64::from(self.offset))
            .map_err(|source| io("write", header.number, source))?;
        file.sync()
            .map_err(|source| io("sync", header.number, source))?;
        for point in self.points.drain(..) {
            self.active.note(point);
        }
        self.offset += narrow(self.buffer.len());
        self.buffer.clear();
        self.active.set_end(self.offset);
        self.durable = sequence;
        Ok(self.position())
    }

    /// Appends and syncs a mark, which proves everything before it durable, if there is room.
    pub(crate) fn mark(&mut self, kind: Kind) -> Result<Sequence, Fault> {
        assert!(
            self.buffer.is_empty(),
            "a mark stands behind durable commits only"
        );
        if u64::from(self.offset) + HEADER_BYTES as u64 + 8 > self.active.segment.header.capacity {
            // A full segment is proven by the one that follows it.
            return Ok(self.durable);
        }
        self.put_frame(kind, self.durable, (0, 1), &[]);
        self.flush(self.durable)?;
        Ok(self.durable)
    }

    /// Marks the log as cleanly closed and cuts the segment to its frames, so that from now on
    /// every damaged byte is known to be damage.
    pub(crate) fn close(&mut self) -> Result<(), Fault> {
        self.mark(Kind::CleanMark)?;
        let Segment { file, header, .. } = &self.active.segment;
        seal(file.as_ref(), header.number, self.offset)
    }

    /// Behind the last durable frame.
    pub(crate) fn position(&self) -> Position {
        Position {
            segment: self.active.segment.header.number,
            offset: self.offset,
        }
    }

    fn rotate(&mut self, bytes: u64) -> Result<(), Fault> {
        let spare = self.log.spares.take(bytes)?;
        let number = self.active.segment.header.number + 1;
        self.active = new_segment(
            &self.log,
            spare,
            number,
            self.durable,
            self.chain,
            self.time,
        )?;
        self.offset = FRAMES_OFFSET;
        Ok(())
    }

    /// Appends the frames of a commit and says where each of its changes lies.
    fn encode(&mut self, commit: &Commit) -> Vec<Location> {
        let mut payloads: Vec<(u16, Vec<u8>)> = vec![(0, Vec::new())];
        let mut locations = Vec::with_capacity(commit.changes.len());
        for change in &commit.changes {
            if payloads
                .last()
                .is_some_and(|(_, payload)| payload.len() >= FRAME_PAYLOAD_BYTES)
            {
                payloads.push((0, Vec::new()));
            }
            let part = payloads.len() - 1;
            let (changes, payload) = &mut payloads[part];
            locations.push((part, *changes));
            change.encode(payload);
            *changes += 1;
        }
        let parts = u16::try_from(payloads.len()).expect("fewer parts than changes");
        let mut offsets = Vec::with_capacity(payloads.len());
        for (part, (changes, body)) in (0..).zip(payloads) {
            offsets.push(self.offset + narrow(self.buffer.len()));
            let mut payload = Vec::with_capacity(body.len() + 80);
            encode_head(&mut payload, commit.time, &commit.note, changes);
            payload.extend_from_slice(&body);
            self.put_frame(Kind::Commit, commit.sequence, (part, parts), &payload);
        }
        let segment = self.active.segment.header.number;
        locations
            .into_iter()
            .map(|(part, change)| Location {
                segment,
                offset: offsets[part],
                change,
            })
            .collect()
    }

    fn put_frame(&mut self, kind: Kind, sequence: Sequence, of: (u16, u16), payload: &[u8]) {
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
        let (bytes, checksum) = header.encode(&self.active.segment.seed);
        self.chain = checksum;
        let end = self.buffer.len() + header.frame_bytes();
        self.buffer.extend_from_slice(&bytes);
        self.buffer.extend_from_slice(payload);
        self.buffer.resize(end, 0);
    }
}

/// A place between two frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    pub(crate) segment: u32,
    pub(crate) offset: u32,
}

/// Cuts a segment to its frames once all of them are durable.
pub(crate) fn seal(file: &dyn crate::disk::DiskFile, number: u32, end: u32) -> Result<(), Fault> {
    file.set_length(u64::from(end))
        .map_err(|source| io("cut", number, source))?;
    file.sync().map_err(|source| io("sync", number, source))
}

/// Turns a spare file into the segment: its header is durable before it has its name, so a segment
/// without a header is always damage.
fn new_segment(
    log: &Arc<Log>,
    spare: Spare,
    number: u32,
    base: Sequence,
    chain: u32,
    time: Timestamp,
) -> Result<Arc<Indexed>, Fault> {
    let random = log.disk.random();
    let salt = u64::from_le_bytes(random[..8].try_into().expect("16 bytes were asked for"));
    let Spare {
        path: from,
        file,
        capacity,
    } = spare;
    let header = SegmentHeader {
        store: log.store,
        number,
        base,
        capacity,
        salt,
        chain,
    };
    file.write_at(&[IoSlice::new(&header.encode())], 0)
        .map_err(|source| io("write", number, source))?;
    file.sync().map_err(|source| io("sync", number, source))?;
    log.disk
        .rename(&from, &segment::path(number))
        .map_err(|source| io("rename", number, source))?;
    log.disk
        .sync_directory(Path::new(segment::DIRECTORY))
        .map_err(|source| io("make a name last for", number, source))?;
    let indexed = Arc::new(Indexed::new(Segment::new(header, file), time));
    log.push(Arc::clone(&indexed));
    Ok(indexed)
}

fn narrow(value: usize) -> u32 {
    u32::try_from(value).expect("offsets in a segment fit 32 bits")
}
