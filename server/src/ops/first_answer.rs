//! The answer to an update that comes again: what the first one was told, read from its commit.

use syncline_engine::{DatasetId, FeedChange, Note, Patch, Sequence};

use super::list_records::{record_shape, session_not_valid};
use super::triggered;
use crate::error::ApiError;
use crate::site::Site;
use crate::wire::sync as wire;

/// Answers an update whose session a commit has spent: as the first time, if it is the very same
/// request, which the note of the commit tells.
pub(super) async fn first_answer(
    site: &Site,
    dataset: &DatasetId,
    commit: Sequence,
    note: &Note,
    patches: &[Patch],
) -> Result<wire::UpdateRecordsOutput, ApiError> {
    // What the log no longer holds is as good as forgotten.
    let found = site.store.commit_at(commit).await?;
    let first = found
        .filter(|first| first.note == *note)
        .ok_or_else(session_not_valid)?;
    let written = first.changes.iter().find_map(|change| match change {
        FeedChange::Updated {
            dataset: updated,
            sync_count,
            records,
            ..
        } if updated == dataset => Some((*sync_count, records)),
        _ => None,
    });
    let (count, records) = written.ok_or_else(session_not_valid)?;
    let mut records: Vec<_> = records
        .iter()
        .map(|record| record_shape(&dataset.identity, &record).to_owned())
        .collect();
    // What a function left out is not in the commit.
    let left_out = triggered::not_written(patches, &records);
    let time_ms = first.time.get();
    records.extend(triggered::left_out(site, dataset, &left_out, Some(count), time_ms).await?);
    // The commit has them by key; the first answer had them in the order of the patches.
    let keys: Vec<_> = patches.iter().map(|patch| patch.key.clone()).collect();
    triggered::in_order(&mut records, &keys);
    Ok(wire::UpdateRecordsOutput { records })
}
