//! What all segments hold of datasets and metadata values whose newest bytes do not hold.

use std::collections::{HashMap, HashSet};

use super::replay::Dead;
use super::shelf::{Met, Shelf};
use crate::commit::{Change, Part};
use crate::error::Fault;
use crate::segment::{FRAMES_OFFSET, is_cold};
use crate::state::State;
use crate::types::{DatasetId, Location, MetadataKey, Sequence, SyncCount};

/// A frame that holds records of a dataset.
#[derive(Clone, Copy)]
pub(super) struct Piece {
    pub(super) sync_count: SyncCount,
    pub(super) covers_from: SyncCount,
    pub(super) floor: SyncCount,
    pub(super) location: Location,
}

/// Whose pieces are looked for.
#[derive(Default)]
pub(super) struct Wanted {
    pub(super) datasets: HashSet<DatasetId>,
    pub(super) metadata: HashSet<MetadataKey>,
    /// What cold segments hold of which the directory does not know, too.
    pub(super) strangers: bool,
}

/// What was found.
#[derive(Default)]
pub(super) struct Pieces {
    pub(super) datasets: HashMap<DatasetId, Vec<Piece>>,
    /// The newest value of each key, and its version.
    pub(super) metadata: HashMap<MetadataKey, (Sequence, Location)>,
}

impl Wanted {
    pub(super) fn is_empty(&self) -> bool {
        self.datasets.is_empty() && self.metadata.is_empty() && !self.strangers
    }
}

/// Reads every frame that holds, and notes what is wanted.
pub(super) fn gather(
    shelf: &Shelf,
    wanted: &Wanted,
    state: &State,
    dead: &Dead,
) -> Result<Pieces, Fault> {
    let mut pieces = Pieces::default();
    for &number in shelf.segments.keys() {
        let Some(mut walk) = shelf.walk(number, FRAMES_OFFSET)? else {
            continue;
        };
        let cold = is_cold(number);
        while let Some(met) = walk.next()? {
            let Met::Frame(offset, frame) = met else {
                continue;
            };
            let sequence = frame.header.sequence;
            let Ok(part) = Part::decode(&frame.payload) else {
                continue;
            };
            for (change, at) in part.changes.iter().zip(0..) {
                let location = Location {
                    segment: number,
                    offset,
                    change: at,
                };
                let strangers = wanted.strangers && cold;
                pieces.take(change, (location, sequence), |target| match target {
                    Target::Dataset(id, count) => {
                        let stranger = strangers && state.known(id).is_none();
                        wanted.datasets.contains(id)
                            || stranger && !dead.has_dataset(id, count, sequence)
                    }
                    Target::Value(key) => {
                        let stranger = strangers && !state.metadata.contains_key(key);
                        wanted.metadata.contains(key) || stranger && !dead.has_value(key, sequence)
                    }
                });
            }
        }
    }
    Ok(pieces)
}

enum Target<'a> {
    Dataset(&'a DatasetId, SyncCount),
    Value(&'a MetadataKey),
}

impl Pieces {
    fn take(
        &mut self,
        change: &Change,
        (location, sequence): (Location, Sequence),
        is_wanted: impl Fn(Target<'_>) -> bool,
    ) {
        match change {
            Change::Dataset(change) => {
                let facts = &change.facts;
                if is_wanted(Target::Dataset(&change.dataset, facts.sync_count)) {
                    let pieces = self.datasets.entry(change.dataset.clone()).or_default();
                    pieces.push(Piece {
                        sync_count: facts.sync_count,
                        covers_from: change.covers_from,
                        floor: facts.floor,
                        location,
                    });
                }
            }
            Change::MetadataPut { key, .. } if is_wanted(Target::Value(key)) => {
                let newest = self
                    .metadata
                    .entry(key.clone())
                    .or_insert((sequence, location));
                if newest.0 <= sequence {
                    *newest = (sequence, location);
                }
            }
            _ => {}
        }
    }
}
