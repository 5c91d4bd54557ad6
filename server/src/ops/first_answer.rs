//! The answer to an update that comes again: what the first one was told, read from its commit.

use std::collections::HashMap;

use syncline_engine::{DatasetId, FeedChange, Note, Patch, Sequence};

use super::list_records::session_not_valid;
use super::update_records::output;
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
            records,
            ..
        } if updated == dataset => Some(records),
        _ => None,
    });
    let mut records: Vec<_> = written.ok_or_else(session_not_valid)?.iter().collect();
    // The commit has them by key; the first answer had them in the order of the patches.
    let places: HashMap<_, _> = patches
        .iter()
        .enumerate()
        .map(|(place, patch)| (&patch.key, place))
        .collect();
    records.sort_by_key(|record| places.get(&record.key).copied().unwrap_or(usize::MAX));
    Ok(output(&dataset.identity, records.into_iter()))
}
