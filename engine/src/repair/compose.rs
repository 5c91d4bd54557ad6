//! Putting a dataset together from the frames that are left of it.

use std::collections::HashMap;

use super::pieces::Piece;
use super::shelf::Shelf;
use crate::commit::{Change, DatasetChange, Facts, Gap};
use crate::page::{Links, Page};
use crate::record::RecordRef;
use crate::state::Known;
use crate::types::{DatasetId, SyncCount, Text};

/// What could be put together.
pub(super) struct Composed {
    pub(super) page: Page,
    /// What changed after the first of these counts, up to the second, is lost; `None`: nothing.
    pub(super) hole: Option<(SyncCount, SyncCount)>,
}

/// Puts a dataset together, if there is anything of it. `known`: what the directory says.
pub(super) fn compose(
    shelf: &Shelf,
    id: &DatasetId,
    known: Option<Known>,
    pieces: &[Piece],
) -> Option<Composed> {
    let newest = pieces.iter().map(|piece| piece.sync_count).max()?;
    let up_to = known.map_or(newest, |known| known.sync_count);
    // Frames from before the dataset was deleted are of no use.
    let floor = match known {
        Some(known) => known.floor,
        None => pieces.iter().map(|piece| piece.floor).max()?,
    };
    let mut left: Vec<Piece> = pieces
        .iter()
        .filter(|piece| piece.sync_count > floor || piece.floor == floor)
        .copied()
        .collect();
    let mut changes = Vec::new();
    let mut hole: Option<(SyncCount, SyncCount)> = None;
    let mut need = up_to;
    while need > SyncCount::ZERO {
        let Some(piece) = take_best(&mut left, need) else {
            break;
        };
        let Some(change) = read(shelf, id, &piece) else {
            continue;
        };
        if piece.sync_count < need {
            hole = Some((piece.sync_count, hole.map_or(need, |(_, end)| end)));
        }
        need = piece.covers_from;
        changes.push(change);
    }
    if need > SyncCount::ZERO {
        hole = Some((SyncCount::ZERO, hole.map_or(need, |(_, end)| end)));
    }
    let page = merged(&changes)?;
    Some(Composed { page, hole })
}

/// The piece that reaches back farthest without a hole, else the newest one before it.
fn take_best(left: &mut Vec<Piece>, need: SyncCount) -> Option<Piece> {
    let joins = |piece: &Piece| piece.sync_count >= need && piece.covers_from < need;
    let at = (0..left.len())
        .filter(|&at| joins(&left[at]))
        .min_by_key(|&at| (left[at].covers_from, left[at].sync_count))
        .or_else(|| {
            (0..left.len())
                .filter(|&at| left[at].sync_count < need)
                .max_by_key(|&at| (left[at].sync_count, std::cmp::Reverse(left[at].covers_from)))
        })?;
    Some(left.swap_remove(at))
}

fn read(shelf: &Shelf, id: &DatasetId, piece: &Piece) -> Option<DatasetChange> {
    match shelf.change(piece.location) {
        Ok(Change::Dataset(change)) if change.dataset == *id => Some(change),
        _ => None,
    }
}

/// The newest version of every record.
fn merged(changes: &[DatasetChange]) -> Option<Page> {
    let newest = changes
        .iter()
        .max_by_key(|change| change.facts.sync_count)?;
    let mut records: HashMap<Text<'_>, RecordRef<'_>> = HashMap::new();
    for record in changes.iter().flat_map(|change| change.records.iter()) {
        let version = records.entry(record.key).or_insert(record);
        if version.sync_count < record.sync_count {
            *version = record;
        }
    }
    let mut facts = Facts {
        bytes: 0,
        live: 0,
        tombstones: 0,
        tombstone_bytes: 0,
        ..newest.facts.clone()
    };
    let mut records: Vec<_> = records
        .into_values()
        .filter(|record| record.value.is_some() || record.sync_count > facts.floor)
        .collect();
    records.sort_unstable_by_key(|record| (record.sync_count, record.key));
    records.iter().for_each(|record| facts.add(record));
    Some(Page::new(facts, records.into_iter(), Links::new()))
}

impl Composed {
    /// The page as it is told from now on: who knows a count from the hole is told everything
    /// anew.
    pub(super) fn into_page(self, base: SyncCount) -> Page {
        match self.hole {
            None => self.page,
            Some((from, _)) => {
                let gap = self.page.facts().gap;
                let from = gap.map_or(from, |gap| gap.from.min(from));
                self.page.with_gap(Gap { from, to: base })
            }
        }
    }
}
