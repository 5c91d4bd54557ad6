//! Places on disk.

use smallvec::SmallVec;

/// Where a change lies: a frame, by segment and offset, and the position of the change in it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Location {
    pub(crate) segment: u32,
    pub(crate) offset: u32,
    pub(crate) change: u16,
}

/// Perhaps a location, in ten bytes. Segments are counted from one, so zeros are none.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct PackedLocation([u8; 10]);

impl PackedLocation {
    pub(crate) fn get(self) -> Option<Location> {
        let [a, b, c, d, e, f, g, h, i, j] = self.0;
        let segment = u32::from_le_bytes([a, b, c, d]);
        (segment != 0).then(|| Location {
            segment,
            offset: u32::from_le_bytes([e, f, g, h]),
            change: u16::from_le_bytes([i, j]),
        })
    }
}

impl From<Option<Location>> for PackedLocation {
    fn from(location: Option<Location>) -> Self {
        let mut bytes = [0; 10];
        if let Some(location) = location {
            bytes[..4].copy_from_slice(&location.segment.to_le_bytes());
            bytes[4..8].copy_from_slice(&location.offset.to_le_bytes());
            bytes[8..].copy_from_slice(&location.change.to_le_bytes());
        }
        Self(bytes)
    }
}

/// Where the frame with a whole dataset, or a metadata value, lies and what it takes there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Extent {
    pub(crate) location: Location,
    /// Bytes of its frame if it is in a cold segment; not kept for hot ones, which are given up
    /// first in, first out, whatever lives in them.
    pub(crate) bytes: u32,
}

/// Where the changes of a commit lie, nearly always one.
pub(crate) type Locations = SmallVec<[Location; 1]>;
