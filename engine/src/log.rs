//! The hot log for its readers: segments in order, places in them, and the changes at a location.

use crate::sync::atomic::{AtomicU32, Ordering};
use crate::sync::{Arc, Mutex, PoisonError, RwLock};

use crate::bell::Bell;
use crate::cold::Cold;
use crate::commit::Change;
use crate::disk::{Disk, DiskFile};
use crate::error::Fault;
use crate::files::Files;
use crate::limits::FEED_INDEX_BYTES;
use crate::root::Root;
use crate::segment::{self, FRAMES_OFFSET, Segment, SegmentHeader};
use crate::spare::Spares;
use crate::types::{Location, Sequence, Timestamp};

/// All segments.
pub(crate) struct Log {
    pub(crate) disk: Arc<dyn Disk>,
    /// Which store this is.
    pub(crate) root: Root,
    pub(crate) spares: Spares,
    pub(crate) cold: Cold,
    files: Arc<Files>,
    /// The last frame with many changes of which one was read: the others are often asked for
    /// next, and should not each cost reading them all.
    bulk: Mutex<Option<Arc<Bulk>>>,
    /// Ordered by number, without a gap.
    segments: RwLock<Vec<Arc<Indexed>>>,
    /// The segment that is being filled; zero: none.
    active: AtomicU32,
    /// Rung when a segment is begun.
    pub(crate) bell: Bell,
}

/// A frame with many changes.
struct Bulk {
    segment: u32,
    offset: u32,
    changes: Vec<Change>,
}

/// More changes than a frame has that was not made in bulk.
const MANY_CHANGES: usize = 8;

/// A segment, and places in it from which the feed can start.
pub(crate) struct Indexed {
    pub(crate) header: SegmentHeader,
    files: Arc<Files>,
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

/// A place between two frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Position {
    pub(crate) segment: u32,
    pub(crate) offset: u32,
}

/// Where the durable frames of the log end, and the checksum of the last one's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) position: Position,
    pub(crate) chain: u32,
}

impl Indexed {
    pub(crate) fn new(header: SegmentHeader, files: Arc<Files>, time: Timestamp) -> Self {
        let start = IndexPoint {
            offset: FRAMES_OFFSET,
            before: header.base,
            time,
        };
        Self {
            header,
            files,
            index: Mutex::new(vec![start]),
            end: AtomicU32::new(FRAMES_OFFSET),
        }
    }

    /// When the commit before the segment was made.
    pub(crate) fn started(&self) -> Timestamp {
        let index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        index[0].time
    }

    /// Bytes of its durable frames.
    pub(crate) fn bytes(&self) -> u64 {
        u64::from(self.end() - FRAMES_OFFSET)
    }

    /// The segment, open for reading.
    pub(crate) fn open(&self) -> Result<Segment, Fault> {
        let file = self.files.get(self.header.number)?;
        Ok(Segment::new(self.header, file))
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
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        root: Root,
        spares: Spares,
        cold: Cold,
        files: Arc<Files>,
        segments: Vec<Arc<Indexed>>,
    ) -> Self {
        Self {
            disk,
            root,
            spares,
            cold,
            files,
            bulk: Mutex::default(),
            segments: RwLock::new(segments),
            active: AtomicU32::new(0),
            bell: Bell::default(),
        }
    }

    /// Takes a segment that was just made.
    pub(crate) fn push(
        &self,
        header: SegmentHeader,
        file: Arc<dyn DiskFile>,
        time: Timestamp,
    ) -> Arc<Indexed> {
        self.files.put(header.number, file);
        let indexed = Arc::new(Indexed::new(header, Arc::clone(&self.files), time));
        let mut segments = self
            .segments
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        segments.push(Arc::clone(&indexed));
        indexed
    }

    /// The segment that is being filled.
    pub(crate) fn active(&self) -> Option<u32> {
        Some(self.active.load(Ordering::Acquire)).filter(|&number| number > 0)
    }

    /// For the log role alone.
    pub(crate) fn set_active(&self, number: Option<u32>) {
        self.active.store(number.unwrap_or(0), Ordering::Release);
    }

    /// Bytes of frames behind a place.
    pub(crate) fn bytes_after(&self, position: Position) -> u64 {
        let after = |segment: &Arc<Indexed>| match segment.header.number.cmp(&position.segment) {
            std::cmp::Ordering::Less => 0,
            std::cmp::Ordering::Equal => u64::from(segment.end().saturating_sub(position.offset)),
            std::cmp::Ordering::Greater => segment.bytes(),
        };
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        segments.iter().map(after).sum()
    }

    /// How many segments there are, and the bytes of frames in them.
    pub(crate) fn size(&self) -> (usize, u64) {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        let frames = |segment: &Arc<Indexed>| u64::from(segment.end() - FRAMES_OFFSET);
        (segments.len(), segments.iter().map(frames).sum())
    }

    pub(crate) fn segment(&self, number: u32) -> Option<Arc<Indexed>> {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        let first = segments.first()?.header.number;
        segments
            .get(usize::try_from(number.checked_sub(first)?).ok()?)
            .cloned()
    }

    /// Where to start reading for the commits after a sequence; `None` if there are no segments.
    pub(crate) fn place_after(&self, sequence: Sequence) -> Option<(Arc<Indexed>, IndexPoint)> {
        self.place(|point| point.before > sequence)
    }

    /// Where to start reading for the commits made at a time or later.
    pub(crate) fn place_before(&self, time: Timestamp) -> Option<(Arc<Indexed>, IndexPoint)> {
        self.place(|point| point.time >= time)
    }

    fn place(&self, reached: impl Fn(&IndexPoint) -> bool) -> Option<(Arc<Indexed>, IndexPoint)> {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        let starts = |at: &Arc<Indexed>| at.last_before(|_| true);
        let after = segments.partition_point(|segment| !reached(&starts(segment)));
        let segment = segments.get(after.saturating_sub(1))?;
        Some((Arc::clone(segment), segment.last_before(reached)))
    }

    /// A segment, hot or cold, open for reading.
    pub(crate) fn open(&self, number: u32) -> Option<Result<Segment, Fault>> {
        if segment::is_cold(number) {
            self.cold.open(number)
        } else {
            match self.segment(number) {
                Some(indexed) => Some(indexed.open()),
                None => self.open_retired(number),
            }
        }
    }

    /// A segment that the log no longer reaches back to, and whose file an export still keeps.
    fn open_retired(&self, number: u32) -> Option<Result<Segment, Fault>> {
        let first = self.segments().first()?.header.number;
        let file = match self.disk.open(&segment::path(number)) {
            Ok(file) if number < first => file,
            _ => return None,
        };
        let segment = Segment::open(number, file);
        let ours = |segment: &Segment| segment.header.store == self.root.lineage;
        Some(segment).filter(|segment| segment.as_ref().map_or(true, ours))
    }

    /// The hot segments in order.
    pub(crate) fn segments(&self) -> Vec<Arc<Indexed>> {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        segments.clone()
    }

    /// Forgets the segments before one: nothing lives in them, and the feed begins behind them.
    pub(crate) fn forget_before(&self, number: u32) {
        let mut segments = self
            .segments
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let gone = segments.partition_point(|segment| segment.header.number < number);
        let gone: Vec<_> = segments.drain(..gone).collect();
        drop(segments);
        drop(self.remember(None));
        for segment in gone {
            self.files.forget(segment.header.number);
        }
    }

    /// Reads the change at a location.
    pub(crate) fn change(&self, location: Location) -> Result<Change, Fault> {
        if let Some(change) = self.change_in_bulk(location) {
            return Ok(change);
        }
        let segment = self.open(location.segment).ok_or_else(|| {
            segment::corrupt_at(location, "the segment that holds this is missing")
        })?;
        let changes = segment?.changes(location.offset)?;
        if changes.len() <= MANY_CHANGES {
            return segment::one_of(&changes, location);
        }
        let bulk = Arc::new(Bulk {
            segment: location.segment,
            offset: location.offset,
            changes,
        });
        drop(self.remember(Some(Arc::clone(&bulk))));
        segment::one_of(&bulk.changes, location)
    }

    /// Puts another frame in the place of the one that is remembered, which is to be dropped when
    /// nothing is locked.
    fn remember(&self, bulk: Option<Arc<Bulk>>) -> Option<Arc<Bulk>> {
        std::mem::replace(
            &mut *self.bulk.lock().unwrap_or_else(PoisonError::into_inner),
            bulk,
        )
    }

    fn change_in_bulk(&self, location: Location) -> Option<Change> {
        let bulk = {
            let bulk = self.bulk.lock().unwrap_or_else(PoisonError::into_inner);
            bulk.clone()?
        };
        if (bulk.segment, bulk.offset) != (location.segment, location.offset) {
            return None;
        }
        bulk.changes.get(usize::from(location.change)).cloned()
    }
}
