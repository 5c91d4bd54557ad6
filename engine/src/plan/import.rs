//! Planning an import: what comes from outside is checked, and its counts are fitted to those that
//! this store has issued already.

use std::collections::HashSet;

use super::room::exceeded;
use super::{Ground, Plan, PlannedPage, info, next_of};
use crate::commit::{Cause, Change, DatasetChange, Facts};
use crate::content::Content;
use crate::error::{Limit, Refusal};
use crate::limits::{
    DATASET_BYTES_MAX, DATASETS_PER_IDENTITY_MAX, DELETED_NAMES_MAX, MODIFIED_BY_BYTES_MAX,
    RECORDS_PER_DATASET_MAX, TOMBSTONE_BYTES_MAX, TOMBSTONES_PER_DATASET_MAX,
};
use crate::page::Page;
use crate::proposal::{Outcome, Wish};
use crate::record::{Record, RecordRef, Records};
use crate::state::Head;
use crate::types::{
    DatasetId, DatasetName, Invalid, ModifiedBy, RecordKey, RecordValue, SyncCount, invalid,
};

impl Plan {
    /// The walls of `limits.rs` hold; what is configured does not, so that a store can be taken
    /// over whole.
    pub(super) fn import(
        &mut self,
        ground: &Ground<'_>,
        dataset: &DatasetId,
        content: &Content,
    ) -> Result<(Change, Outcome), Refusal> {
        check(content)?;
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
            older: Box::default(),
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

fn check_deleted(floor: SyncCount, deleted: &[(DatasetName, SyncCount)]) -> Result<(), Refusal> {
    if deleted.len() > DELETED_NAMES_MAX {
        return Err(invalid("deleted", "must name at most 64 datasets").into());
    }
    let ordered = deleted.windows(2).all(|pair| pair[0].0 < pair[1].0);
    let counted = deleted.iter().all(|(_, count)| *count > SyncCount::ZERO);
    if !ordered || !counted {
        return Err(invalid("deleted", "must be ordered by name, with counts above 0").into());
    }
    if floor == SyncCount::MAX || deleted.iter().any(|(_, count)| *count == SyncCount::MAX) {
        return Err(invalid("deleted", "must leave room for another count").into());
    }
    Ok(())
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
    let (mut bytes, mut count) = (Vec::new(), 0);
    for record in &content.records {
        let record = in_place(record);
        if record.value.is_some() || kept && record.sync_count > floor {
            facts.add(&record);
            record.encode(&mut bytes);
            count += 1;
        }
    }
    let records = Records::believed(bytes.into(), count);
    Ok(Page::new(facts, &records, Box::default()))
}

fn in_place(record: &Record) -> RecordRef<'_> {
    RecordRef {
        key: record.key.as_str(),
        value: record.value.as_ref().map(RecordValue::as_str),
        sync_count: record.sync_count,
        modified: record.modified,
        modified_by: match &record.modified_by {
            ModifiedBy::Owner => None,
            ModifiedBy::Other(name) => Some(name),
        },
        device_modified: record.device_modified,
    }
}

fn check(content: &Content) -> Result<(), Invalid> {
    let top = content.sync_count;
    if top == SyncCount::ZERO || content.floor > top {
        return Err(invalid(
            "content",
            "must have a count above 0 that is not below its floor",
        ));
    }
    if content
        .gap
        .is_some_and(|gap| gap.from >= gap.to || gap.to > top)
    {
        return Err(invalid(
            "gap",
            "must end above its beginning, and not above the count",
        ));
    }
    check_name(&content.modified_by)?;
    let mut last: Option<(SyncCount, &RecordKey)> = None;
    let mut keys = HashSet::with_capacity(content.records.len());
    for record in &content.records {
        let place = (record.sync_count, &record.key);
        if last.is_some_and(|last| last >= place) {
            return Err(invalid(
                "records",
                "must be ordered by sync count, then key",
            ));
        }
        if record.sync_count == SyncCount::ZERO || record.sync_count > top {
            return Err(invalid(
                "records",
                "must have counts from 1 to the dataset's",
            ));
        }
        if !keys.insert(&record.key) {
            return Err(invalid(
                "records",
                format!("the key {} occurs twice", record.key),
            ));
        }
        check_name(&record.modified_by)?;
        last = Some(place);
    }
    check_sizes(&content.records)
}

fn check_name(modified_by: &ModifiedBy) -> Result<(), Invalid> {
    match modified_by {
        ModifiedBy::Other(name) if name.is_empty() || name.len() > MODIFIED_BY_BYTES_MAX => {
            Err(invalid("modified by", "must have 1 to 1024 bytes"))
        }
        _ => Ok(()),
    }
}

fn check_sizes(records: &[Record]) -> Result<(), Invalid> {
    let (mut live, mut bytes, mut tombstones, mut tombstone_bytes) = (0, 0, 0, 0);
    for record in records.iter().map(in_place) {
        if record.value.is_some() {
            live += 1;
            bytes += record.size();
        } else {
            tombstones += 1;
            tombstone_bytes += record.key.len();
        }
    }
    if live > RECORDS_PER_DATASET_MAX || bytes > DATASET_BYTES_MAX {
        return Err(invalid(
            "records",
            "must be at most 65000, of 16 MiB together",
        ));
    }
    if tombstones > TOMBSTONES_PER_DATASET_MAX || tombstone_bytes > TOMBSTONE_BYTES_MAX {
        return Err(invalid(
            "records",
            "must have at most 4096 tombstones, of 1 MiB together",
        ));
    }
    Ok(())
}
