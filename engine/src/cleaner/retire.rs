//! Retiring a segment of the log: what lives in it moves, then nothing needs it.

use super::age::Aged;
use super::moving::Load;
use super::{Cleaner, Work};
use crate::commit::{Change, Part};
use crate::error::{Error, Fault};
use crate::frame::Kind;
use crate::log::Indexed;
use crate::scan::Scan;
use crate::segment::{self, FRAMES_OFFSET, Frame, Segment};
use crate::types::{DatasetId, Location};

/// Bytes that are read before commits that wait have their turn.
const REST_BYTES: u32 = 1 << 20;

impl Cleaner {
    /// Empties the oldest segment of the log, and ends the feed before the next one.
    pub(super) fn retire(&self, work: &mut Work, indexed: &Indexed) -> Result<(), Error> {
        let number = indexed.header.number;
        let mut load = Load::default();
        self.each_change(
            indexed.open()?,
            indexed.end(),
            |change, location| match change {
                Change::Dataset(change) if self.needs(&change.dataset, location)? => {
                    self.move_dataset(work, &mut load, &change.dataset)
                }
                Change::MetadataPut { key, value } => {
                    self.move_metadata(work, &mut load, (key, value), location)
                }
                _ => Ok(()),
            },
        )?;
        self.unload(work, &mut load)?;
        work.first_hot = number + 1;
        self.store.log.forget_before(number + 1);
        let is_gone = |what: &Aged| matches!(what, Aged::Segment(gone) if *gone <= number);
        work.ages.forget(is_gone);
        work.figures.retired += 1;
        self.free(work, &indexed.header, indexed.end());
        Ok(())
    }

    /// Whether a walk through a dataset's frames comes by a place.
    fn needs(&self, dataset: &DatasetId, place: Location) -> Result<bool, Error> {
        let Some(known) = self.store.state().known(dataset) else {
            return Ok(false);
        };
        let (Some(head), Some(image)) = (known.head, known.image) else {
            return Ok(false);
        };
        if head == place || image.location == place {
            return Ok(true);
        }
        let hot = !segment::is_cold(image.location.segment);
        if head == image.location || (hot && image.location.segment > place.segment) {
            return Ok(false);
        }
        let page = self.store.page_for_move(dataset)?;
        let links = page.iter().flat_map(|page| page.links());
        Ok(links
            .map(|link| link.location.segment)
            .any(|segment| segment == place.segment))
    }

    /// Reads all changes of a segment, with their places; says where its frames end. Behind the
    /// end of a cold one may be what a crash left unfinished, which nothing names.
    pub(super) fn each_change(
        &self,
        segment: Segment,
        end: u32,
        mut visit: impl FnMut(&Change, Location) -> Result<(), Error>,
    ) -> Result<u32, Error> {
        let number = segment.header.number;
        let mut scan = Scan::new(segment, FRAMES_OFFSET, end);
        let mut rested = FRAMES_OFFSET;
        while scan.offset() < end {
            let offset = scan.offset();
            if offset - rested > REST_BYTES {
                if !self.pause(u64::from(offset - rested)) {
                    return Err(Fault::Closed.into());
                }
                rested = offset;
            }
            let corrupt = |why| segment::corrupt(number, offset, why);
            let Frame {
                header, payload, ..
            } = match scan.next()? {
                Ok(frame) => frame,
                Err(_) if segment::is_cold(number) => return Ok(offset),
                Err(no_frame) => return Err(corrupt(no_frame.why()).into()),
            };
            if !matches!(header.kind, Kind::Commit | Kind::Image) {
                continue;
            }
            let part = Part::decode(&payload).map_err(|malformed| corrupt(malformed.0))?;
            for (change, at) in part.changes.iter().zip(0..) {
                let location = Location {
                    segment: number,
                    offset,
                    change: at,
                };
                visit(change, location)?;
            }
        }
        Ok(end)
    }
}
