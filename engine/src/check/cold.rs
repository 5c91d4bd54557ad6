//! Cold segments: every frame, and the chain from one to the next.

use super::Checking;
use crate::commit::{Change, Part};
use crate::error::Fault;
use crate::frame::Kind;
use crate::scan::Scan;
use crate::segment::{FRAMES_OFFSET, Frame, Segment};

impl Checking<'_> {
    pub(super) fn cold(&mut self) -> Result<(), Fault> {
        for number in self.names.cold.clone() {
            let told = self.found.problems.len();
            if let Some((segment, length)) = self.segment(number)? {
                self.images(&segment, length)?;
            } else if !self.cold_ends.contains_key(&number) && !self.named.contains_key(&number) {
                // A crash may leave one that was just made.
                self.found.problems.truncate(told);
                let what = "a segment that was never finished; nothing lives there";
                self.note(&crate::segment::path(number), what);
            }
        }
        Ok(())
    }

    fn images(&mut self, segment: &Segment, length: u32) -> Result<(), Fault> {
        let number = segment.header.number;
        let synced = self.cold_ends.get(&number).copied().unwrap_or(0);
        let named = self.named.get(&number).copied().unwrap_or(0);
        let mut scan = Scan::new(segment.clone(), FRAMES_OFFSET, length);
        let mut chain = Some(segment.header.chain);
        loop {
            let offset = scan.offset();
            let why = match scan.next()? {
                Ok(frame) => {
                    self.image(segment, offset, &frame, chain)?;
                    chain = Some(frame.checksum);
                    continue;
                }
                Err(_) if offset == length => break,
                Err(why) => why,
            };
            chain = None;
            if offset >= synced.max(named) {
                // Nothing rests on what was not synced; a crash may leave a part of it.
                let what = "bytes at its end were never finished; nothing lives there";
                self.note(&crate::segment::path(number), what);
                break;
            }
            self.at(number, offset, None, why.why());
            match self.behind(segment, offset, length)? {
                Some(behind) => scan = behind,
                None => break,
            }
        }
        self.advance(u64::from(length - FRAMES_OFFSET));
        Ok(())
    }

    fn image(
        &mut self,
        segment: &Segment,
        offset: u32,
        frame: &Frame,
        chain: Option<u32>,
    ) -> Result<(), Fault> {
        let number = segment.header.number;
        if chain.is_some_and(|chain| chain != frame.header.chain) {
            self.at(number, offset, None, "the frame before this one is missing");
        }
        if frame.header.kind != Kind::Image {
            self.at(number, offset, None, "the frame is no image");
        }
        self.padding(segment, offset, frame)?;
        match Part::decode(&frame.payload) {
            Err(malformed) => self.at(number, offset, None, malformed.0),
            Ok(part) => match part.changes.as_slice() {
                [Change::Dataset(_) | Change::MetadataPut { .. }] => {}
                _ => self.at(number, offset, None, "the frame does not hold one image"),
            },
        }
        Ok(())
    }
}
