//! What hot and cold segments have in common: the header's block, zeros, frames one by one.

use super::Checking;
use crate::error::Fault;
use crate::frame::HEADER_BYTES;
use crate::recovery::{find_frame, last_written};
use crate::scan::Scan;
use crate::segment::{self, FRAMES_OFFSET, Frame, Segment, io};
use crate::types::Sequence;

/// Bytes of a segment's header that mean something.
const MEANINGFUL: u32 = 72;

impl Checking<'_> {
    /// Opens a segment and verifies the block of its header; also gives the file's length.
    pub(super) fn segment(&mut self, number: u32) -> Result<Option<(Segment, u32)>, Fault> {
        self.found.files += 1;
        let opened = self
            .disk
            .open(&segment::path(number))
            .map_err(|source| io("open", number, source))
            .and_then(|file| {
                let length = file.length();
                let length = length.map_err(|source| io("measure", number, source))?;
                Ok((Segment::open(number, file)?, length))
            });
        let (segment, length) = match opened {
            Ok(opened) => opened,
            Err(fault) => return self.note_fault(fault).map(|()| None),
        };
        let Ok(length) = u32::try_from(length) else {
            self.at(number, 0, None, "the segment is longer than 4 GiB");
            return Ok(None);
        };
        if length < FRAMES_OFFSET {
            let why = "the file ends within the segment header";
            self.at(number, length, None, why);
            return Ok(None);
        }
        let lineage = self.root.map(|root| root.lineage);
        if lineage.is_some_and(|lineage| lineage != segment.header.store) {
            self.at(number, 16, None, "the segment belongs to another store");
        }
        self.zeros(&segment, MEANINGFUL, FRAMES_OFFSET)?;
        self.advance(u64::from(FRAMES_OFFSET));
        Ok(Some((segment, length)))
    }

    /// Verifies the zeros behind the payload of a frame.
    pub(super) fn padding(
        &mut self,
        segment: &Segment,
        offset: u32,
        frame: &Frame,
    ) -> Result<(), Fault> {
        let end = offset + narrow(frame.header.frame_bytes());
        self.zeros(
            segment,
            offset + narrow(HEADER_BYTES + frame.payload.len()),
            end,
        )
    }

    /// Verifies that bytes are zero.
    pub(super) fn zeros(&mut self, segment: &Segment, from: u32, to: u32) -> Result<(), Fault> {
        if last_written(segment, from, to)? > from {
            let why = "bytes that should be zero are not";
            self.at(segment.header.number, from, None, why);
        }
        Ok(())
    }

    /// The walk goes on behind a place that does not hold, if there is a frame there.
    pub(super) fn behind(
        &self,
        segment: &Segment,
        bad: u32,
        end: u32,
    ) -> Result<Option<Scan>, Fault> {
        let from = bad.saturating_add(crate::frame::ALIGNMENT);
        let found = find_frame(segment, from, end)?;
        Ok(found.map(|found| Scan::new(segment.clone(), found, end)))
    }

    pub(super) fn at(&mut self, number: u32, offset: u32, sequence: Option<Sequence>, why: &str) {
        self.problem(&segment::path(number), u64::from(offset), sequence, why);
    }
}

pub(super) fn narrow(value: usize) -> u32 {
    u32::try_from(value).expect("offsets in a segment fit 32 bits")
}
