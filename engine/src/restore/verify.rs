//! Verifying a backup: every frame of its segments, and that everything lies in one.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::chosen::Part;
use crate::disk::Disk;
use crate::error::Fault;
use crate::frame::Kind;
use crate::manifest::{Held, Manifest};
use crate::scan::Scan;
use crate::segment::{self, FRAMES_OFFSET, NoFrame, Segment, corrupt, io};
use crate::state::State;
use crate::types::{Extent, Location, Sequence, SyncCount};

/// Reads the log, frame by frame, up to a commit; says which part of which segment that is.
pub(super) fn hot(
    disk: &dyn Disk,
    lineage: Uuid,
    held: &[Held],
    sequence: Sequence,
) -> Result<Vec<Part>, Fault> {
    let mut parts = Vec::new();
    let mut before: Option<(u32, Sequence, u32)> = None;
    for held in held {
        let number = held.number;
        let segment = open(disk, number)?;
        let header = segment.header;
        let follows = before.is_none_or(|(before, base, chain)| {
            (before + 1, base, chain) == (number, header.base, header.chain)
        });
        if header.store != lineage || !follows {
            let why = "the segment does not go on where the one before it ended";
            return Err(corrupt(number, 0, why));
        }
        let length = u32::try_from(held.bytes)
            .map_err(|_| corrupt(number, 0, "the segment is longer than 4 GiB"))?;
        let Read {
            end,
            last,
            chain,
            stopped,
        } = read(segment, length, sequence)?;
        // Behind the frames of one that was not cut there are zeros.
        let is_cut = held.bytes < header.capacity;
        let ends_well = end == length || (stopped == Some(NoFrame::Blank) && !is_cut);
        if stopped.is_some() && !ends_well {
            let why = stopped.map_or("", NoFrame::why);
            return Err(corrupt(number, end, why));
        }
        let has_any = end > FRAMES_OFFSET || header.base < sequence;
        if has_any && header.base <= sequence {
            parts.push(Part {
                number,
                end,
                is_whole: end == length && is_cut,
            });
        }
        if stopped.is_none() {
            break;
        }
        before = Some((number, last, chain));
    }
    Ok(parts)
}

/// How far a segment was read.
struct Read {
    end: u32,
    last: Sequence,
    chain: u32,
    /// Why it did not go on; `None`: a later commit stands there.
    stopped: Option<NoFrame>,
}

fn read(segment: Segment, length: u32, up_to: Sequence) -> Result<Read, Fault> {
    let (number, mut chain, mut last) = (
        segment.header.number,
        segment.header.chain,
        segment.header.base,
    );
    let mut scan = Scan::new(segment, FRAMES_OFFSET, length);
    loop {
        let end = scan.offset();
        let read = |stopped| Read {
            end,
            last,
            chain,
            stopped,
        };
        let frame = match scan.next()? {
            Ok(frame) => frame,
            Err(why) => return Ok(read(Some(why))),
        };
        if frame.header.chain != chain {
            return Err(corrupt(number, end, "the frame before this one is missing"));
        }
        if frame.header.kind == Kind::Commit && frame.header.sequence > up_to {
            return Ok(read(None));
        }
        (chain, last) = (frame.checksum, frame.header.sequence);
    }
}

/// Reads all cold segments; says where the frames of each end.
pub(super) fn cold(disk: &dyn Disk, manifest: &Manifest) -> Result<BTreeMap<u32, u32>, Fault> {
    let mut ends = BTreeMap::new();
    for held in &manifest.cold {
        let length = u32::try_from(held.bytes)
            .map_err(|_| corrupt(held.number, 0, "the segment is longer than 4 GiB"))?;
        // What a crash left unfinished at the end is named by nothing.
        let Ok(segment) = open(disk, held.number) else {
            continue;
        };
        let mut scan = Scan::new(segment, FRAMES_OFFSET, length);
        while scan.next()?.is_ok() {}
        ends.insert(held.number, scan.offset());
    }
    Ok(ends)
}

/// Checks that everything lies within frames that hold; finds the highest count.
pub(super) fn places(state: &State, ends: &BTreeMap<u32, u32>) -> Result<SyncCount, Fault> {
    let check = |location: Location, bytes: u32| {
        let end = ends.get(&location.segment).copied().unwrap_or(0);
        if u64::from(location.offset) + u64::from(bytes.max(1)) <= u64::from(end) {
            return Ok(());
        }
        let why = "something lives here, but no frame that holds";
        Err(corrupt(location.segment, end, why))
    };
    let whole = |extent: Extent| check(extent.location, extent.bytes);
    let mut highest = state.base;
    for identity in state.identities() {
        highest = highest.max(identity.floor);
        for dataset in &identity.datasets {
            let known = dataset.known();
            highest = highest.max(known.sync_count).max(known.floor);
            known.head.map_or(Ok(()), |head| check(head, 0))?;
            known.image.map_or(Ok(()), whole)?;
        }
    }
    for place in state.metadata.values() {
        whole(place.extent())?;
    }
    Ok(highest)
}

fn open(disk: &dyn Disk, number: u32) -> Result<Segment, Fault> {
    let file = disk
        .open(&segment::path(number))
        .map_err(|source| io("open", number, source))?;
    Segment::open(number, file)
}
