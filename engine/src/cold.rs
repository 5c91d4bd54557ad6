//! Cold segments: what lives on when the log that held it has gone.
//!
//! A cold segment has the header and the frames of a log segment, each frame with one image or one
//! metadata value. Nothing in it is news, and nothing rests on it before it is synced.

use crate::sync::atomic::{AtomicU32, Ordering};
use crate::sync::{Arc, PoisonError, RwLock};
use std::collections::BTreeMap;
use std::io::IoSlice;
use std::path::Path;

use uuid::Uuid;

use crate::codec::Encode;
use crate::commit::{Change, encode_head};
use crate::disk::Disk;
use crate::error::Fault;
use crate::files::Files;
use crate::frame::{self, HEADER_BYTES, Header, Kind};
use crate::segment::{self, COLD, FRAMES_OFFSET, Segment, SegmentHeader, io};
use crate::types::{Extent, Location, Note, Sequence, Timestamp};

/// All cold segments that may be read.
pub(crate) struct Cold {
    files: Arc<Files>,
    segments: RwLock<BTreeMap<u32, Arc<ColdSegment>>>,
}

/// A cold segment.
#[derive(Debug)]
pub(crate) struct ColdSegment {
    pub(crate) header: SegmentHeader,
    /// Where its synced frames end.
    end: AtomicU32,
}

impl ColdSegment {
    pub(crate) fn new(header: SegmentHeader, end: u32) -> Self {
        Self {
            header,
            end: AtomicU32::new(end),
        }
    }

    pub(crate) fn end(&self) -> u32 {
        self.end.load(Ordering::Acquire)
    }

    /// Bytes of its frames.
    pub(crate) fn bytes(&self) -> u64 {
        u64::from(self.end() - FRAMES_OFFSET)
    }
}

impl Cold {
    pub(crate) fn new(files: Arc<Files>, segments: BTreeMap<u32, Arc<ColdSegment>>) -> Self {
        Self {
            files,
            segments: RwLock::new(segments),
        }
    }

    pub(crate) fn open(&self, number: u32) -> Option<Result<Segment, Fault>> {
        let header = self.get(number)?.header;
        Some(
            self.files
                .get(number)
                .map(|file| Segment::new(header, file)),
        )
    }

    pub(crate) fn get(&self, number: u32) -> Option<Arc<ColdSegment>> {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        segments.get(&number).cloned()
    }

    /// All of them, ordered by number.
    pub(crate) fn all(&self) -> Vec<Arc<ColdSegment>> {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        segments.values().cloned().collect()
    }

    fn insert(&self, segment: Arc<ColdSegment>) {
        let mut segments = self
            .segments
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        segments.insert(segment.header.number, segment);
    }

    /// Forgets one whose file is about to go.
    pub(crate) fn forget(&self, number: u32) {
        let mut segments = self
            .segments
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        segments.remove(&number);
        drop(segments);
        self.files.forget(number);
    }
}

/// Writes cold segments, one after the other.
pub(crate) struct ColdWriter {
    disk: Arc<dyn Disk>,
    lineage: Uuid,
    segment_bytes: u64,
    /// The number of the next segment.
    next: u32,
    open: Option<Open>,
}

/// The segment that is being written.
struct Open {
    segment: Segment,
    shared: Arc<ColdSegment>,
    /// Where the next write goes.
    end: u32,
    chain: u32,
    buffer: Vec<u8>,
}

impl ColdWriter {
    /// Goes on behind `last`, the highest number of any cold segment so far.
    pub(crate) fn new(disk: Arc<dyn Disk>, lineage: Uuid, segment_bytes: u64, last: u32) -> Self {
        Self {
            disk,
            lineage,
            segment_bytes,
            next: (last & !COLD) + 1,
            open: None,
        }
    }

    /// The number of the segment that is being written.
    pub(crate) fn number(&self) -> Option<u32> {
        self.open.as_ref().map(|open| open.shared.header.number)
    }

    /// Puts a change behind what was put before, and says where it will be once synced.
    pub(crate) fn put(
        &mut self,
        cold: &Cold,
        change: &Change,
        sequence: Sequence,
        time: Timestamp,
    ) -> Result<Extent, Fault> {
        let mut payload = Vec::with_capacity(512);
        encode_head(&mut payload, time, &Note::default(), 1);
        change.encode(&mut payload);
        let bytes = (HEADER_BYTES + payload.len()).next_multiple_of(frame::ALIGNMENT as usize);
        let full = |open: &Open| u64::from(open.staged_end()) + bytes as u64 > self.segment_bytes;
        if self.open.as_ref().is_some_and(full) {
            self.finish()?;
        }
        if self.open.is_none() {
            self.open = Some(self.begin(cold, sequence)?);
        }
        let open = self.open.as_mut().expect("one was just begun");
        let location = Location {
            segment: open.shared.header.number,
            offset: open.staged_end(),
            change: 0,
        };
        open.put(&payload, sequence);
        let bytes = u32::try_from(bytes).expect("a frame is shorter than 4 GiB");
        Ok(Extent { location, bytes })
    }

    /// Bytes that are put but not synced.
    pub(crate) fn unsynced(&self) -> usize {
        self.open.as_ref().map_or(0, |open| open.buffer.len())
    }

    /// Makes what was put last. After an error the segment is given up: whatever was put in it
    /// since the last sync is nowhere.
    pub(crate) fn sync(&mut self) -> Result<(), Fault> {
        let Some(mut open) = self.open.take() else {
            return Ok(());
        };
        open.flush()?;
        self.open = Some(open);
        Ok(())
    }

    /// Syncs, and begins a new segment for what comes next.
    pub(crate) fn finish(&mut self) -> Result<(), Fault> {
        self.sync()?;
        self.open = None;
        Ok(())
    }

    fn begin(&mut self, cold: &Cold, sequence: Sequence) -> Result<Open, Fault> {
        let number = self.next | COLD;
        self.next += 1;
        let random = self.disk.random();
        let header = SegmentHeader {
            store: self.lineage,
            number,
            base: sequence,
            capacity: self.segment_bytes,
            salt: u64::from_le_bytes(random[..8].try_into().expect("16 bytes were asked for")),
            chain: 0,
        };
        let path = segment::path(number);
        let file = self
            .disk
            .create(&path)
            .map_err(|source| io("create", number, source))?;
        file.write_at(&[IoSlice::new(&header.encode())], 0)
            .map_err(|source| io("write", number, source))?;
        file.sync().map_err(|source| io("sync", number, source))?;
        self.disk
            .sync_directory(Path::new(segment::COLD_DIRECTORY))
            .map_err(|source| io("make a name last for", number, source))?;
        let shared = Arc::new(ColdSegment::new(header, FRAMES_OFFSET));
        cold.files.put(number, Arc::clone(&file));
        cold.insert(Arc::clone(&shared));
        Ok(Open {
            segment: Segment::new(header, file),
            shared,
            end: FRAMES_OFFSET,
            chain: 0,
            buffer: Vec::new(),
        })
    }
}

impl Open {
    fn staged_end(&self) -> u32 {
        self.end + u32::try_from(self.buffer.len()).expect("a segment is shorter than 4 GiB")
    }

    fn put(&mut self, payload: &[u8], sequence: Sequence) {
        let header = Header {
            kind: Kind::Image,
            part: 0,
            parts: 1,
            sequence,
            distance: 0,
            chain: self.chain,
            payload_len: u32::try_from(payload.len()).expect("a frame is shorter than 4 GiB"),
            payload_checksum: frame::payload_checksum(payload),
        };
        let (bytes, checksum) = header.encode(&self.segment.seed);
        self.chain = checksum;
        let end = self.buffer.len() + header.frame_bytes();
        self.buffer.put_bytes(&bytes);
        self.buffer.put_bytes(payload);
        self.buffer.resize(end, 0);
    }

    fn flush(&mut self) -> Result<(), Fault> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let (file, number) = (&self.segment.file, self.shared.header.number);
        file.write_at(&[IoSlice::new(&self.buffer)], u64::from(self.end))
            .map_err(|source| io("write", number, source))?;
        file.sync().map_err(|source| io("sync", number, source))?;
        self.end = self.staged_end();
        self.buffer.clear();
        self.shared.end.store(self.end, Ordering::Release);
        Ok(())
    }
}
