//! One file's bytes: what reads see, what a power failure leaves, and the changes between.
//!
//! Invariant: without failed syncs, all changes applied to the durable bytes give the live ones.

use super::chance::{Chance, Fate};

/// What the medium writes whole or not at all.
///
/// ```
/// use std::io::IoSlice;
/// use std::path::Path;
/// use syncline_engine::disk::{Disk, SECTOR_BYTES, SimDisk};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let disk = SimDisk::new(1);
/// let file = disk.create(Path::new("a"))?;
/// disk.sync_directory(Path::new(""))?;
/// file.write_at(&[IoSlice::new(&[7; SECTOR_BYTES])], 0)?;
/// // Its length may come without its bytes, but never a part of them.
/// for seed in 0..10 {
///     let found = disk.if_power_failed(seed).live_bytes("a").ok_or("its name lasts")?;
///     assert!(found.iter().all(|&byte| byte == 7) || found.iter().all(|&byte| byte == 0));
/// }
/// # Ok(())
/// # }
/// ```
pub const SECTOR_BYTES: usize = 512;

#[derive(Clone, Debug, Default)]
pub(super) struct Contents {
    live: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    /// Made longer, to at least this length.
    Grow(usize),
    /// Made shorter: what lay behind is zeros if it ever grows back.
    Cut(usize),
    /// Always within the length, since growth is a change by itself.
    Write { offset: usize, bytes: Vec<u8> },
}

impl Contents {
    pub(super) fn live(&self) -> &[u8] {
        &self.live
    }

    pub(super) fn durable(&self) -> &[u8] {
        &self.durable
    }

    /// Writes all bytes; an empty write changes nothing, not even the length.
    pub(super) fn write(&mut self, offset: usize, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let end = offset + bytes.len();
        if end > self.live.len() {
            self.set_length(end);
        }
        self.live[offset..end].copy_from_slice(bytes);
        self.unsynced.push(Change::Write {
            offset,
            bytes: bytes.to_vec(),
        });
    }

    /// Writes any of the sectors.
    pub(super) fn write_some(&mut self, offset: usize, bytes: &[u8], chance: &mut Chance) {
        let mut fate = Fate::draw(chance, sectors(offset, bytes).count() as u64);
        for (offset, piece) in sectors(offset, bytes) {
            if fate.keeps() {
                self.write(offset, piece);
            }
        }
    }

    pub(super) fn set_length(&mut self, length: usize) {
        match length.cmp(&self.live.len()) {
            std::cmp::Ordering::Less => self.unsynced.push(Change::Cut(length)),
            std::cmp::Ordering::Equal => return,
            std::cmp::Ordering::Greater => self.unsynced.push(Change::Grow(length)),
        }
        self.live.resize(length, 0);
    }

    pub(super) fn sync(&mut self) {
        for change in self.unsynced.drain(..) {
            match change {
                Change::Grow(length) if length > self.durable.len() => {
                    self.durable.resize(length, 0);
                }
                Change::Grow(_) => {}
                Change::Cut(length) => self.durable.truncate(length),
                Change::Write { offset, bytes } => {
                    // A failed sync may have lost the growth that this write relied on.
                    let end = offset + bytes.len();
                    if end > self.durable.len() {
                        self.durable.resize(end, 0);
                    }
                    self.durable[offset..end].copy_from_slice(&bytes);
                }
            }
        }
    }

    /// Some of the changes become durable now, the others never.
    pub(super) fn fail_sync(&mut self, chance: &mut Chance) {
        self.durable = self.survivors(chance);
        self.unsynced.clear();
    }

    /// The file after a power failure.
    pub(super) fn after_power_failure(&self, chance: &mut Chance) -> Self {
        let bytes = self.survivors(chance);
        Self {
            live: bytes.clone(),
            durable: bytes,
            unsynced: Vec::new(),
        }
    }

    /// Changes bytes at rest, below everything that this model knows.
    pub(super) fn damage(&mut self, change: impl FnOnce(&mut Vec<u8>)) {
        assert!(
            self.unsynced.is_empty() && self.live == self.durable,
            "the file is not at rest"
        );
        change(&mut self.durable);
        self.live.clone_from(&self.durable);
    }

    fn survivors(&self, chance: &mut Chance) -> Vec<u8> {
        let mut fate = Fate::draw(chance, self.unsynced.iter().map(Change::pieces).sum());
        // A sector may survive behind the length that does; then a later growth shows it.
        let mut sectors_kept = self.durable.clone();
        let mut length = self.durable.len();
        for change in &self.unsynced {
            match change {
                Change::Grow(to) if fate.keeps() => length = length.max(*to),
                Change::Cut(to) if fate.keeps() => {
                    length = length.min(*to);
                    sectors_kept.truncate(*to);
                }
                Change::Grow(_) | Change::Cut(_) => {}
                Change::Write { offset, bytes } => {
                    for (offset, piece) in sectors(*offset, bytes) {
                        if fate.keeps() {
                            let end = offset + piece.len();
                            if end > sectors_kept.len() {
                                sectors_kept.resize(end, 0);
                            }
                            sectors_kept[offset..end].copy_from_slice(piece);
                        }
                    }
                }
            }
        }
        sectors_kept.resize(length, 0);
        sectors_kept
    }
}

impl Change {
    /// What survives or not by itself.
    fn pieces(&self) -> u64 {
        match self {
            Self::Grow(_) | Self::Cut(_) => 1,
            Self::Write { offset, bytes } => sectors(*offset, bytes).count() as u64,
        }
    }
}

/// A write, cut where sectors of the file end.
fn sectors(offset: usize, bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let first = bytes.len().min(SECTOR_BYTES - offset % SECTOR_BYTES);
    let (head, tail) = bytes.split_at(first);
    let starts = (offset + first..).step_by(SECTOR_BYTES);
    std::iter::once((offset, head))
        .filter(|(_, head)| !head.is_empty())
        .chain(starts.zip(tail.chunks(SECTOR_BYTES)))
}
