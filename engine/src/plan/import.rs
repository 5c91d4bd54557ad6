//! Planning an import: what comes from outside is checked, and its counts are fitted to those that
//! this store has issued already.

use super::room::exceeded;
use super::{Ground, Plan, PlannedPage, info, next_of};
use crate::commit::{Cause, Change, DatasetChange, Facts};
use crate::content::{Content, check_deleted};
use crate::error::{Limit, Refusal};
use crate::limits::DATASETS_PER_IDENTITY_MAX;
use crate::page::{Links, Page};
use crate::proposal::{Outcome, Wish};
use crate::record::RecordRef;
use crate::state::Head;
use crate::types::{DatasetId, invalid};

impl Plan {
    /// The walls of `limits.rs` hold; what is configured does not, so that a store can be taken
    /// over whole.
    pub(super) fn import(
        &mut self,
        ground: &Ground<'_>,
        dataset: &DatasetId,
        content: &Content,
    ) -> Result<(Change, Outcome), Refusal> {
        content.check()?;
        let head = ground.state.head(dataset);
        if head.location.is_some() {
            return Err(invalid("dataset", format!("{dataset} exists already")).into());
        }
        let owner = ground.state.identity(&dataset.pool, &dataset.identity);
        let known = owner.is_some_and(|owner| owner.dataset(&dataset.name).is_some());
        let stored = owner.map_or(0, |owner| owner.datasets.len());
        let planned =
            |(pool, identity): &&(_, _)| (pool, identity) == (&dataset.pool, &dataset.identity);
        let planned = self.created.iter().filter(planned).count();
        if !known && stored + planned >= DATASETS_PER_IDENTITY_MAX {
            return Err(exceeded(
                Limit::DatasetsPerIdentity,
                DATASETS_PER_IDENTITY_MAX,
            ));
        }
        let page = fitted(content, head)?;
        let outcome = Outcome::Imported(info(&dataset.name, page.facts()));
        let change = Change::Dataset(DatasetChange::whole(Cause::Import, dataset, &page));
        self.created.push((dataset.pool, dataset.identity));
        self.pages.push(PlannedPage {
            change: self.commit.changes.len(),
            page,
            older: Links::new(),
        });
        Ok((change, outcome))
    }
}

/// What is known of a pool or an identity beside what is in it.
pub(super) fn beside(wish: &Wish) -> Result<(Change, Outcome), Refusal> {
    match wish {
        Wish::ImportIdentity {
            pool,
            identity,
            modified,
            floor,
            deleted,
        } => {
            check_deleted(*floor, deleted)?;
            let change = Change::IdentityImported {
                pool: *pool,
                identity: *identity,
                modified: *modified,
                floor: *floor,
                deleted: deleted.clone(),
            };
            Ok((change, Outcome::ImportedIdentity))
        }
        Wish::ImportPool { pool, modified } => {
            let (pool, modified) = (*pool, *modified);
            let change = Change::PoolImported { pool, modified };
            Ok((change, Outcome::ImportedPool))
        }
        _ => unreachable!("the caller knows which wishes these are"),
    }
}

/// The content as the page of a dataset whose name was used up to a count. Where that is higher
/// than the content's own, its count goes on from there, and whoever knows an older one reads
/// everything.
fn fitted(content: &Content, head: Head) -> Result<Page, Refusal> {
    let kept = content.sync_count > head.sync_count;
    let (sync_count, floor, gap) = if kept {
        (
            content.sync_count,
            content.floor.max(head.floor),
            content.gap,
        )
    } else {
        (next_of(head.sync_count)?, head.sync_count, None)
    };
    let mut facts = Facts {
        sync_count,
        floor,
        created: content.created,
        modified: content.modified,
        modified_by: content.modified_by.clone(),
        gap,
        ..Facts::default()
    };
    let records = content.records.iter().map(RecordRef::from);
    let records = records.filter(|record| {
        let is_tombstone = record.value.is_none();
        !is_tombstone || kept && record.sync_count > floor
    });
    records.clone().for_each(|record| facts.add(&record));
    Ok(Page::new(facts, records, Links::new()))
}
