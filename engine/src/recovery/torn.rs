//! The end of a log after an unclean stop: what is torn is set aside, what is not is made to last.

use std::io::IoSlice;
use std::path::Path;

use super::Torn;
use super::replay::{End, Replay};
use crate::error::Fault;
use crate::frame::{ALIGNMENT, Kind};
use crate::quarantine;
use crate::scan::Scan;
use crate::segment::{self, Frame, NoFrame, Segment, io};
use crate::tail::seal;
use crate::types::{Sequence, Timestamp};

impl Replay<'_> {
    /// Ends the last segment after an unclean stop, so that nothing rests on the page cache and no
    /// later reader meets the torn end.
    pub(super) fn unclean(&mut self, end: &End, length: u32) -> Result<(), Fault> {
        let segment = end.scan.segment();
        let number = segment.header.number;
        let bad = end.scan.offset();
        let missing = (self.state.sequence.next(), end.expected_part);
        if end.why == NoFrame::Later || was_durable(segment, (bad, length), missing)? {
            return Err(self.corrupt(number, bad, end.why.why()));
        }
        let torn = last_written(segment, end.good, length)?;
        if torn > end.good {
            self.recovery.torn = Some(self.set_aside(end, torn)?);
        }
        let from = end
            .unproven
            .front()
            .map_or(end.good, |&(_, offset)| offset.min(end.good));
        let mut bytes = vec![0; (end.good - from) as usize];
        segment.read(&mut bytes, from)?;
        segment
            .file
            .write_at(&[IoSlice::new(&bytes)], u64::from(from))
            .map_err(|source| io("write", number, source))?;
        segment
            .file
            .sync()
            .map_err(|source| io("sync", number, source))?;
        if end.good < length {
            seal(segment.file.as_ref(), number, end.good)?;
        }
        Ok(())
    }

    fn set_aside(&self, end: &End, torn: u32) -> Result<Torn, Fault> {
        let segment = end.scan.segment();
        let number = segment.header.number;
        let mut bytes = vec![0; (torn - end.good) as usize];
        segment.read(&mut bytes, end.good)?;
        let directory = Path::new(quarantine::DIRECTORY);
        let of = format!("{number:08}-{}.torn", end.good);
        let copy = quarantine::path(self.disk.as_ref(), &of, Timestamp::now());
        let fault = |doing| {
            let copy = copy.clone();
            move |source| Fault::of_io(doing, &copy, source)
        };
        self.disk
            .create_directory(directory)
            .map_err(fault("create"))?;
        let file = self.disk.create(&copy).map_err(fault("create"))?;
        file.write_at(&[IoSlice::new(&bytes)], 0)
            .map_err(fault("write"))?;
        file.sync().map_err(fault("sync"))?;
        self.disk
            .sync_directory(directory)
            .map_err(fault("make a name last for"))?;
        self.disk
            .sync_directory(Path::new(""))
            .map_err(fault("make a name last for"))?;
        let path = segment::path(number);
        Ok(Torn {
            path,
            offset: u64::from(end.good),
            bytes: bytes.len() as u64,
            copy,
        })
    }
}

/// Whether a frame behind the bad place, and before an end, proves that what is missing there had
/// been durable: by saying so, or by being what a later batch would begin with. What is missing is
/// a part of the commit with a sequence.
pub(crate) fn was_durable(
    segment: &Segment,
    (bad, end): (u32, u32),
    (missing, part): (Sequence, u16),
) -> Result<bool, Fault> {
    let mut offset = bad + ALIGNMENT;
    while let Some(found) = find_frame(segment, offset, end)? {
        match Scan::new(segment.clone(), found, end).next()? {
            Ok(Frame { header, .. }) => {
                let next = header.kind == Kind::Commit
                    && header.sequence == missing
                    && header.part == part;
                if header.proves() >= missing || next {
                    return Ok(true);
                }
            }
            // A later version wrote it; what it proves is not known here.
            Err(NoFrame::Later) => return Ok(true),
            Err(_) => {}
        }
        offset = found + ALIGNMENT;
    }
    Ok(false)
}

/// The first offset from which on a header holds, if there is one.
pub(crate) fn find_frame(segment: &Segment, from: u32, end: u32) -> Result<Option<u32>, Fault> {
    const STEP: u32 = 1 << 20;
    let mut offset = from;
    while offset < end {
        let mut bytes = vec![0; (end - offset).min(STEP + segment::FRAMES_OFFSET) as usize];
        let got = segment.read(&mut bytes, offset)?;
        bytes.truncate(got);
        for start in (0..STEP).step_by(ALIGNMENT as usize) {
            let Some(rest) = bytes.get(start as usize..) else {
                break;
            };
            if segment.holds_header(rest) {
                return Ok(Some(offset + start));
            }
        }
        offset += STEP;
    }
    Ok(None)
}

/// The end of the last byte that is not zero.
pub(crate) fn last_written(segment: &Segment, from: u32, end: u32) -> Result<u32, Fault> {
    const STEP: u32 = 1 << 20;
    let (mut offset, mut last) = (from, from);
    while offset < end {
        let mut bytes = vec![0; (end - offset).min(STEP) as usize];
        let got = segment.read(&mut bytes, offset)?;
        if let Some(at) = (0u32..).zip(&bytes[..got]).filter(|(_, b)| **b != 0).last() {
            last = offset + at.0 + 1;
        }
        offset += STEP;
    }
    Ok(last)
}
