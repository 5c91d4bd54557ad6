//! The plan of an update: counts compared, and the page that comes of it.

use smallvec::SmallVec;

use super::{Ground, Plan, PlannedPage, next_of};
use crate::commit::{Cause, Change, DatasetChange};
use crate::error::Refusal;
use crate::limits::{TOMBSTONE_AGE_MS, TOMBSTONE_BYTES_MAX, TOMBSTONES_PER_DATASET_MAX};
use crate::page::{self, Page};
use crate::proposal::Outcome;
use crate::record::RecordRef;
use crate::segment;
use crate::state::State;
use crate::types::{
    DatasetId, Extent, ModifiedBy, Patch, PatchOp, RecordKey, SyncCount, Timestamp, invalid,
};

impl Plan {
    pub(super) fn update(
        &mut self,
        ground: &Ground<'_>,
        dataset: &DatasetId,
        patches: &[Patch],
        modified_by: &ModifiedBy,
    ) -> Result<(Change, Outcome), Refusal> {
        let before = self.page_of(ground, dataset);
        let sync_count = next_of(before.facts().sync_count)?;
        let now = self.commit.time;
        let by_key = sorted_by_key(patches)?;
        let places = before.places(by_key.iter().map(|&at| patches[at].key.as_str()));
        check_counts(&before, patches, &by_key, &places)?;
        let written: SmallVec<[_; 2]> = by_key
            .iter()
            .map(|&at| recorded(&patches[at], sync_count, now, modified_by))
            .collect();
        let page = before.updated(&page::Update {
            written: &written,
            places: &places,
            sync_count,
            now,
            purge_before: Timestamp::believed(now.get().saturating_sub(TOMBSTONE_AGE_MS)),
            tombstones_max: (TOMBSTONES_PER_DATASET_MAX, TOMBSTONE_BYTES_MAX),
            modified_by,
        });
        self.check_limits(ground, dataset, &before, page.facts())?;
        if !before.exists() {
            self.created.push((dataset.pool, dataset.identity));
        }
        let records = page.written();
        let (covers_from, older) = page.reach(before.links());
        let change = Change::Dataset(DatasetChange {
            cause: Cause::Update,
            dataset: dataset.clone(),
            facts: page.facts().clone(),
            covers_from,
            link: older.first().map(|link| link.location),
            image: moved_image(ground.state, dataset, covers_from),
            records: page.slice(page.after(covers_from), page.len()),
        });
        self.pages.push(PlannedPage {
            change: self.commit.changes.len(),
            page,
            older,
        });
        Ok((
            change,
            Outcome::Updated {
                sync_count,
                records,
            },
        ))
    }
}

/// Where the patches are in the order of their keys, of which none may be there twice.
fn sorted_by_key(patches: &[Patch]) -> Result<SmallVec<[usize; 8]>, Refusal> {
    if patches.is_empty() {
        return Err(invalid("patches", "must not be empty").into());
    }
    let keys = patches.iter().map(|patch| head(&patch.key));
    let mut by_key: SmallVec<[_; 8]> = keys.zip(0..).collect();
    let key = |(_, at): (u64, usize)| &patches[at].key;
    // Most keys differ in their first bytes already.
    by_key.sort_unstable_by(|&(one, at), &(other, other_at)| {
        let heads = one.cmp(&other);
        heads.then_with(|| key((one, at)).cmp(key((other, other_at))))
    });
    let equal = |pair: &&[(u64, usize)]| pair[0].0 == pair[1].0 && key(pair[0]) == key(pair[1]);
    match by_key.windows(2).find(equal) {
        Some(pair) => {
            Err(invalid("patches", format!("the key {} occurs twice", key(pair[0]))).into())
        }
        None => Ok(by_key.into_iter().map(|(_, at)| at).collect()),
    }
}

/// The first bytes of a key as a number that is ordered as they are.
fn head(key: &RecordKey) -> u64 {
    let key = key.as_str().as_bytes();
    let mut head = [0; 8];
    let length = key.len().min(head.len());
    head[..length].copy_from_slice(&key[..length]);
    u64::from_be_bytes(head)
}

/// All counts must hold; of those that do not the first is named, in the order of the caller.
fn check_counts(
    page: &Page,
    patches: &[Patch],
    by_key: &[usize],
    places: &[Result<usize, usize>],
) -> Result<(), Refusal> {
    let mut placed = by_key.iter().zip(places);
    if placed.all(|(&at, &place)| check_count(page, &patches[at], place).is_ok()) {
        return Ok(());
    }
    patches
        .iter()
        .try_for_each(|patch| check_count(page, patch, page.place(patch.key.as_str())))
}

/// A record or tombstone must have the count that the client saw. A key without either may be
/// written by who never knew it (0), or who has listed everything since the floor; a count below
/// the floor comes from a client that knew something which was removed since.
fn check_count(page: &Page, patch: &Patch, place: Result<usize, usize>) -> Result<(), Refusal> {
    let client = patch.sync_count;
    let server = match place {
        Ok(place) => page.count_at(place),
        Err(_) if page.facts().vouches_for(client) => return Ok(()),
        Err(_) => SyncCount::ZERO,
    };
    if server == client {
        return Ok(());
    }
    Err(Refusal::Conflict {
        key: patch.key.clone(),
        server,
        client,
    })
}

/// What a patch makes.
fn recorded<'a>(
    patch: &'a Patch,
    sync_count: SyncCount,
    now: Timestamp,
    modified_by: &'a ModifiedBy,
) -> RecordRef<'a> {
    RecordRef {
        key: patch.key.as_str().into(),
        value: match &patch.op {
            PatchOp::Replace(value) => Some(value.as_str().into()),
            PatchOp::Remove => None,
        },
        sync_count,
        modified: now,
        modified_by: modified_by.text(),
        device_modified: patch.device_modified.unwrap_or(now),
    }
}

/// Where the walk from a frame ends that does not hold everything, if that place is not one that
/// the log tells of itself.
fn moved_image(state: &State, dataset: &DatasetId, covers_from: SyncCount) -> Option<Extent> {
    if covers_from == SyncCount::ZERO {
        return None;
    }
    let image = state.known(dataset)?.image?;
    segment::is_cold(image.location.segment).then_some(image)
}
