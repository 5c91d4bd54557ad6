//! The segments of a damaged store, as far as they can be read.

use std::collections::BTreeMap;
use std::sync::Arc;

use uuid::Uuid;

use crate::commit::Change;
use crate::disk::Disk;
use crate::error::Fault;
use crate::files::Files;
use crate::recovery::find_frame;
use crate::scan::Scan;
use crate::segment::{self, FRAMES_OFFSET, Frame, NoFrame, Segment, SegmentHeader, io};
use crate::types::Location;

/// A segment that can be read.
#[derive(Clone, Copy)]
pub(super) struct Shelved {
    pub(super) header: SegmentHeader,
    /// The header holds, so that more of it than the salt is to be believed.
    pub(super) holds: bool,
    pub(super) length: u32,
}

/// All of them.
pub(super) struct Shelf {
    files: Files,
    pub(super) segments: BTreeMap<u32, Shelved>,
}

/// What a walk over a segment meets.
pub(super) enum Met {
    /// A frame that holds, and where.
    Frame(u32, Frame),
    /// A place that does not hold, with frames behind it.
    Damage(u32),
    /// No frame follows.
    End(u32),
}

/// A walk over the frames of a segment that passes over damage.
pub(super) struct Walk {
    pub(super) segment: Segment,
    scan: Scan,
    length: u32,
    ended: bool,
}

impl Shelf {
    /// Opens what can be opened, and is not of another store.
    pub(super) fn new(
        disk: &Arc<dyn Disk>,
        numbers: impl Iterator<Item = u32>,
        lineage: Option<Uuid>,
    ) -> Result<Self, Fault> {
        let files = Files::new(Arc::clone(disk));
        let mut segments = BTreeMap::new();
        for number in numbers {
            let file = files.get(number)?;
            let length = file
                .length()
                .map_err(|source| io("measure", number, source))?;
            let (opened, holds) = match Segment::open(number, Arc::clone(&file)) {
                Ok(segment) => (Some(segment), true),
                Err(Fault::Corrupt { .. }) => (Segment::guess(number, &file)?, false),
                Err(fault) => return Err(fault),
            };
            let header = opened.map(|segment| segment.header);
            let foreign =
                |header: &SegmentHeader| holds && lineage.is_some_and(|uuid| uuid != header.store);
            let length = u32::try_from(length).unwrap_or(u32::MAX);
            if let Some(header) = header.filter(|header| !foreign(header))
                && length >= FRAMES_OFFSET
            {
                let shelved = Shelved {
                    header,
                    holds,
                    length,
                };
                segments.insert(number, shelved);
            }
        }
        Ok(Self { files, segments })
    }

    fn open(&self, number: u32) -> Result<Option<Segment>, Fault> {
        let Some(shelved) = self.segments.get(&number) else {
            return Ok(None);
        };
        Ok(Some(Segment::new(shelved.header, self.files.get(number)?)))
    }

    /// Reads the change at a location.
    pub(super) fn change(&self, location: Location) -> Result<Change, Fault> {
        let segment = self.open(location.segment)?;
        let segment =
            segment.ok_or_else(|| segment::corrupt_at(location, "the segment cannot be read"))?;
        segment.change(location)
    }

    /// Walks a segment from an offset on, if it can be read.
    pub(super) fn walk(&self, number: u32, from: u32) -> Result<Option<Walk>, Fault> {
        let Some(segment) = self.open(number)? else {
            return Ok(None);
        };
        let length = self.segments[&number].length;
        let from = from.min(length);
        Ok(Some(Walk {
            scan: Scan::new(segment.clone(), from, length),
            segment,
            length,
            ended: false,
        }))
    }
}

impl Walk {
    /// What comes next; nothing behind the end.
    ///
    /// # Errors
    /// A frame of a later version, of which nobody knows here what it is worth.
    pub(super) fn next(&mut self) -> Result<Option<Met>, Fault> {
        if self.ended {
            return Ok(None);
        }
        let offset = self.scan.offset();
        match self.scan.next()? {
            Ok(frame) => Ok(Some(Met::Frame(offset, frame))),
            Err(later @ NoFrame::Later) => Err(segment::corrupt(
                self.segment.header.number,
                offset,
                later.why(),
            )),
            Err(_) => {
                let from = offset.saturating_add(crate::frame::ALIGNMENT);
                match find_frame(&self.segment, from, self.length)? {
                    Some(found) => {
                        self.scan = Scan::new(self.segment.clone(), found, self.length);
                        Ok(Some(Met::Damage(offset)))
                    }
                    None => {
                        self.ended = true;
                        Ok(Some(Met::End(offset)))
                    }
                }
            }
        }
    }
}
