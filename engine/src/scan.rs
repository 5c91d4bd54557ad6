//! Reads the frames of a segment one after the other, verifying each, and puts the parts of a
//! commit together: what recovery and the feed have in common.

use bytes::Bytes;

use crate::commit::{Commit, Part};
use crate::error::Fault;
use crate::frame::{HEADER_BYTES, Kind};
use crate::limits::FEED_READ_BYTES;
use crate::segment::{self, Frame, NoFrame, Segment};
use crate::types::{Location, Locations};

/// A walk over the frames of a segment.
pub(crate) struct Scan {
    segment: Segment,
    /// Where the next frame begins.
    offset: u32,
    /// Bytes at `offset`, possibly fewer than its frame.
    ahead: Bytes,
    /// Nothing at or after this is looked at.
    end: u32,
}

impl Scan {
    pub(crate) fn new(segment: Segment, offset: u32, end: u32) -> Self {
        Self {
            segment,
            offset,
            ahead: Bytes::new(),
            end,
        }
    }

    pub(crate) fn offset(&self) -> u32 {
        self.offset
    }

    pub(crate) fn segment(&self) -> &Segment {
        &self.segment
    }

    /// Lets the walk go on up to a later end.
    pub(crate) fn extend(&mut self, end: u32) {
        self.end = self.end.max(end);
    }

    /// The next frame, or why there is none at [`Scan::offset`].
    pub(crate) fn next(&mut self) -> Result<Result<Frame, NoFrame>, Fault> {
        let left = (self.end - self.offset) as usize;
        if self.ahead.len() < HEADER_BYTES.min(left) {
            self.read(FEED_READ_BYTES)?;
        }
        let mut parsed = self.segment.parse(&self.ahead);
        if let Err(NoFrame::Incomplete(bytes)) = parsed
            && self.ahead.len() < left
        {
            self.read(bytes.max(FEED_READ_BYTES))?;
            parsed = self.segment.parse(&self.ahead);
        }
        if let Ok(frame) = &parsed {
            let bytes = frame.header.frame_bytes();
            if bytes > left {
                return Ok(Err(NoFrame::Incomplete(bytes)));
            }
            self.ahead = self.ahead.slice(bytes.min(self.ahead.len())..);
            self.offset += u32::try_from(bytes).expect("a frame is shorter than 4 GiB");
        }
        Ok(parsed)
    }

    fn read(&mut self, bytes: usize) -> Result<(), Fault> {
        let mut buffer = vec![0; bytes.min((self.end - self.offset) as usize)];
        let got = self.segment.read(&mut buffer, self.offset)?;
        buffer.truncate(got);
        self.ahead = buffer.into();
        Ok(())
    }
}

/// Puts the frames of one commit together.
#[derive(Default)]
pub(crate) struct Assembly {
    commit: Option<Commit>,
    locations: Locations,
    parts: u16,
}

impl Assembly {
    /// The part that is missing next, counted from 0.
    pub(crate) fn expected_part(&self) -> u16 {
        self.parts
    }

    /// Takes a frame that stands at `offset`; gives the commit with its last part, and where each
    /// of its changes lies.
    pub(crate) fn add(
        &mut self,
        segment: u32,
        offset: u32,
        frame: &Frame,
    ) -> Result<Option<(Commit, Locations)>, Fault> {
        let corrupt = |why| Fault::Corrupt {
            path: segment::path(segment),
            offset: u64::from(offset),
            sequence: Some(frame.header.sequence),
            why,
        };
        if frame.header.kind != Kind::Commit {
            return match (frame.header.kind, &self.commit) {
                (Kind::Unknown(_), _) | (_, None) => Ok(None),
                _ => Err(corrupt("a mark stands within a commit")),
            };
        }
        let sequence = frame.header.sequence;
        let same = self
            .commit
            .as_ref()
            .is_none_or(|commit| commit.sequence == sequence);
        if frame.header.part != self.parts || !same {
            return Err(corrupt("the parts of a commit are not in order"));
        }
        let part = Part::decode(&frame.payload).map_err(|malformed| corrupt(malformed.0))?;
        let at = (0..).zip(&part.changes);
        self.locations.extend(at.map(|(change, _)| Location {
            segment,
            offset,
            change,
        }));
        self.parts += 1;
        match &mut self.commit {
            Some(commit) => commit.changes.extend(part.changes),
            None => {
                self.commit = Some(Commit {
                    sequence,
                    time: part.time,
                    note: part.note,
                    changes: part.changes,
                });
            }
        }
        if self.parts < frame.header.parts {
            return Ok(None);
        }
        self.parts = 0;
        Ok(self
            .commit
            .take()
            .map(|commit| (commit, std::mem::take(&mut self.locations))))
    }
}
