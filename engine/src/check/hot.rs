//! The log: every frame of every segment, the chain from one to the next, and zeros behind them.

use std::collections::BTreeMap;

use super::Checking;
use crate::error::Fault;
use crate::frame::Kind;
use crate::recovery::Opened;
use crate::scan::{Assembly, Scan};
use crate::segment::{self, FRAMES_OFFSET, Frame, Segment};
use crate::types::Sequence;

/// What a frame has to follow: the segment, the checksum of the frame header, the commit.
#[derive(Clone, Copy)]
struct Before {
    number: u32,
    chain: u32,
    sequence: Sequence,
}

/// A walk over the frames of one segment.
struct Walk {
    segment: Segment,
    length: u32,
    /// What was before, unless something did not hold there.
    before: Option<Before>,
    assembly: Assembly,
}

impl Checking<'_> {
    /// Where the frames of each segment end, as opening found.
    pub(super) fn ends(&self, opened: &Opened) -> BTreeMap<u32, u32> {
        let segments = opened.log.segments();
        let mut ends: BTreeMap<_, _> = segments
            .iter()
            .map(|segment| (segment.header.number, segment.end()))
            .collect();
        // A segment without a commit is begun anew, and so is not among them.
        let last = self.names.hot.last().copied();
        if let Some(last) = last.filter(|last| opened.kept.first_hot <= *last) {
            ends.entry(last).or_insert(FRAMES_OFFSET);
        }
        ends
    }

    pub(super) fn hot(&mut self, ends: Option<&BTreeMap<u32, u32>>) -> Result<(), Fault> {
        let mut before: Option<Before> = None;
        for number in self.names.hot.clone() {
            let Some((segment, length)) = self.segment(number)? else {
                before = None;
                continue;
            };
            let header = segment.header;
            let follows =
                |before: &Before| before.sequence == header.base && before.chain == header.chain;
            let adjacent = before.filter(|before| before.number + 1 == number);
            if adjacent.is_some_and(|before| !follows(&before)) {
                let why = "the segment does not continue the one before";
                self.at(number, 40, Some(header.base.next()), why);
            }
            let begun = Before {
                number,
                chain: header.chain,
                sequence: header.base,
            };
            let end = ends.map(|ends| ends.get(&number).copied());
            let walk = Walk {
                segment,
                length,
                before: Some(begun),
                assembly: Assembly::default(),
            };
            before = self.walk(walk, end)?;
        }
        Ok(())
    }

    /// Walks a segment. `end`: what opening says of it, if the store opens.
    fn walk(&mut self, mut walk: Walk, end: Option<Option<u32>>) -> Result<Option<Before>, Fault> {
        let number = walk.segment.header.number;
        let mut scan = Scan::new(walk.segment.clone(), FRAMES_OFFSET, walk.length);
        let mut told = FRAMES_OFFSET;
        loop {
            let offset = scan.offset();
            let why = match scan.next()? {
                Ok(frame) => {
                    self.frame(&mut walk, offset, &frame)?;
                    if scan.offset() - told >= 1 << 20 {
                        self.advance(u64::from(scan.offset() - told));
                        told = scan.offset();
                    }
                    continue;
                }
                Err(why) => why,
            };
            let sealed = u64::from(walk.length) < walk.segment.header.capacity;
            if sealed && offset == walk.length {
                break;
            }
            let behind = self.behind(&walk.segment, offset, walk.length)?;
            let ended = match end.flatten() {
                Some(end) => offset >= end,
                None => behind.is_none(),
            };
            if !sealed && ended {
                self.rest(&walk, offset, end.is_some())?;
                break;
            }
            let sequence = walk.before.map(|before| before.sequence.next());
            self.at(number, offset, sequence, why.why());
            walk.before = None;
            walk.assembly = Assembly::default();
            match behind {
                Some(behind) => scan = behind,
                None => break,
            }
        }
        self.advance(u64::from(walk.length - told));
        Ok(walk.before)
    }

    /// Behind the last frame of a segment that was not sealed there is nothing, or the torn end.
    fn rest(&mut self, walk: &Walk, offset: u32, opened: bool) -> Result<(), Fault> {
        let path = segment::path(walk.segment.header.number);
        let torn = self.found.torn.as_ref();
        if opened && torn.is_none_or(|torn| torn.path != path) {
            self.zeros(&walk.segment, offset, walk.length)?;
        }
        Ok(())
    }

    fn frame(&mut self, walk: &mut Walk, offset: u32, frame: &Frame) -> Result<(), Fault> {
        let number = walk.segment.header.number;
        let header = &frame.header;
        if let Some(before) = walk.before {
            if header.chain != before.chain {
                let sequence = Some(before.sequence.next());
                self.at(
                    number,
                    offset,
                    sequence,
                    "the frame before this one is missing",
                );
            }
            let in_order = match header.kind {
                Kind::Commit => header.sequence == before.sequence.next(),
                Kind::DurableMark | Kind::CleanMark => header.sequence == before.sequence,
                Kind::Image => false,
                Kind::Unknown(_) => true,
            };
            if !in_order {
                self.at(
                    number,
                    offset,
                    Some(header.sequence),
                    "frames are not in order",
                );
            }
        }
        self.padding(&walk.segment, offset, frame)?;
        let mut sequence = match (walk.before, header.kind) {
            (Some(before), _) => before.sequence,
            (None, Kind::Commit) => Sequence::new(header.sequence.get().saturating_sub(1)),
            (None, _) => header.sequence,
        };
        // Behind a bad place a group may have lost its beginning.
        let begun = walk.before.is_some() || header.part == 0;
        match walk.assembly.add(number, offset, frame) {
            Ok(Some(_)) => {
                self.found.commits += 1;
                sequence = header.sequence;
            }
            Ok(None) => {}
            Err(fault) => {
                walk.assembly = Assembly::default();
                if begun {
                    self.fault(&fault);
                } else if header.part + 1 == header.parts {
                    sequence = header.sequence;
                } else {
                    return Ok(());
                }
            }
        }
        walk.before = Some(Before {
            number,
            chain: frame.checksum,
            sequence,
        });
        Ok(())
    }
}
