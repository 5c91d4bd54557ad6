//! The answer to an update that comes again: what the first one was told, read from its commit.

use syncline_engine::{DatasetId, FeedChange, Note, Patch, Sequence};

use super::list_records::session_not_valid;
use super::triggered;
use super::update_records::told;
use crate::error::ApiError;
use crate::site::Site;

/// Answers an update whose session a commit has spent: as the first time, if it is the very same
/// request, which the note of the commit tells.
pub(super) async fn first_answer(
    site: &Site,
    dataset: &DatasetId,
    commit: Sequence,
    note: &Note,
    patches: &[Patch],
) -> Result<Vec<u8>, ApiError> {
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
    // What a function left out is not in the commit.
    let left_out = triggered::not_written(patches, records);
    let time_ms = first.time.get();
    let left_out = triggered::left_out(site, dataset, &left_out, Some(count), time_ms).await?;
    let order = triggered::keys(patches);
    Ok(told(&dataset.identity, records, &left_out, &order))
}
