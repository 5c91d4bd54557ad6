//! Plan decides: from the state, the pages and a proposal to a commit, or to a polite no.
//!
//! Pure: it changes nothing, reads no clock and no disk, and gives the same answer each time. The
//! rules are those of `docs/PROTOCOL.md`: counts compared per record, sizes and limits exact.

use std::sync::Arc;

use smallvec::SmallVec;

mod import;
mod room;
mod shape;
mod update;

use room::exceeded;
use shape::check_shape;

use crate::commit::{Cause, Change, Commit, DatasetChange, Facts};
use crate::error::{Found, Limit, Refusal, Subject};
use crate::limits::{DATASETS_PER_IDENTITY_MAX, Limits};
use crate::page::{Links, Page};
use crate::proposal::{DatasetInfo, Outcome, Proposal, Wish};
use crate::state::State;
use crate::types::{
    DatasetId, DatasetName, Expected, IdentityId, MetadataKey, ModifiedBy, PoolId, SyncCount,
    Timestamp, invalid,
};

/// What a decision rests on.
pub(crate) struct Ground<'a> {
    pub(crate) state: &'a State,
    /// The newest page of a dataset that exists, which the wish at this position is about.
    pub(crate) page: &'a dyn Fn(usize, &DatasetId) -> Arc<Page>,
    pub(crate) limits: &'a Limits,
}

/// A decision: the facts, and what to remember and to tell once they are durable.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) commit: Commit,
    pub(crate) outcomes: Vec<Outcome>,
    pub(crate) pages: SmallVec<[PlannedPage; 1]>,
    /// Whose datasets come to be.
    created: Vec<(PoolId, IdentityId)>,
}

/// A page that waits for its location.
#[derive(Debug)]
pub(crate) struct PlannedPage {
    /// Which change of the commit holds it.
    pub(crate) change: usize,
    pub(crate) page: Page,
    pub(crate) older: Links,
}

/// Decides on a proposal.
pub(crate) fn plan(
    ground: &Ground<'_>,
    proposal: &Proposal,
    now: Timestamp,
) -> Result<Plan, Refusal> {
    check_shape(&proposal.wishes)?;
    for (key, expected) in &proposal.expect {
        check_expected(ground.state, key, *expected)?;
    }
    let time = now.max(ground.state.time);
    let commit = Commit {
        sequence: ground.state.sequence.next(),
        time,
        note: proposal.note.clone(),
        changes: Vec::with_capacity(proposal.wishes.len()),
    };
    let mut plan = Plan {
        commit,
        outcomes: Vec::with_capacity(proposal.wishes.len()),
        pages: SmallVec::with_capacity(proposal.wishes.len()),
        created: Vec::new(),
    };
    for wish in &proposal.wishes {
        let (change, outcome) = plan.decide(ground, wish)?;
        plan.commit.changes.push(change);
        plan.outcomes.push(outcome);
    }
    Ok(plan)
}

impl Plan {
    fn decide(&mut self, ground: &Ground<'_>, wish: &Wish) -> Result<(Change, Outcome), Refusal> {
        match wish {
            Wish::Update {
                dataset,
                patches,
                modified_by,
            } => self.update(ground, dataset, patches, modified_by),
            Wish::CopyDataset { from, to } => self.copy_dataset(ground, from, to),
            Wish::Rewrite { dataset } => self.rewrite(ground, dataset, Cause::Image),
            Wish::Republish { dataset } => self.rewrite(ground, dataset, Cause::Republish),
            Wish::DeleteDataset {
                dataset,
                modified_by,
            } => self.delete_dataset(ground, dataset, modified_by),
            Wish::DeleteIdentity { pool, identity } => {
                let found = ground.state.identity(pool, identity);
                let datasets = found
                    .into_iter()
                    .flat_map(|identity| &identity.datasets)
                    .map(|dataset| {
                        let sync_count = dataset.sync_count().max(ground.state.base);
                        (dataset.name.clone(), sync_count)
                    })
                    .collect();
                let change = Change::IdentityDeleted {
                    pool: *pool,
                    identity: *identity,
                    datasets,
                };
                Ok((change, Outcome::DeletedIdentity))
            }
            Wish::DeletePool { pool } => {
                Ok((Change::PoolDeleted { pool: *pool }, Outcome::DeletedPool))
            }
            Wish::Import { dataset, content } => self.import(ground, dataset, content),
            Wish::ImportIdentity { .. } | Wish::ImportPool { .. } => import::beside(wish),
            Wish::PutMetadata {
                key,
                value,
                expected,
            } => {
                check_expected(ground.state, key, *expected)?;
                let change = Change::MetadataPut {
                    key: key.clone(),
                    value: value.clone(),
                };
                Ok((change, Outcome::PutMetadata))
            }
            Wish::DeleteMetadata { key, expected } => {
                check_expected(ground.state, key, *expected)?;
                Ok((
                    Change::MetadataDeleted { key: key.clone() },
                    Outcome::DeletedMetadata,
                ))
            }
        }
    }

    fn delete_dataset(
        &self,
        ground: &Ground<'_>,
        dataset: &DatasetId,
        modified_by: &ModifiedBy,
    ) -> Result<(Change, Outcome), Refusal> {
        let before = self.page_of(ground, dataset);
        if !before.exists() {
            return Err(no_such(dataset));
        }
        let change = Change::DatasetDeleted {
            dataset: dataset.clone(),
            sync_count: next_of(before.facts().sync_count)?,
            modified_by: modified_by.clone(),
        };
        Ok((
            change,
            Outcome::DeletedDataset(info(&dataset.name, before.facts())),
        ))
    }

    fn rewrite(
        &mut self,
        ground: &Ground<'_>,
        dataset: &DatasetId,
        cause: Cause,
    ) -> Result<(Change, Outcome), Refusal> {
        let page = self.page_of(ground, dataset);
        if !page.exists() {
            return Err(no_such(dataset));
        }
        let change = Change::Dataset(DatasetChange::whole(cause, dataset, &page));
        self.pages.push(PlannedPage {
            change: self.commit.changes.len(),
            page: Page::clone(&page),
            older: Links::new(),
        });
        let outcome = Outcome::Rewritten(info(&dataset.name, page.facts()));
        Ok((change, outcome))
    }

    fn page_of(&self, ground: &Ground<'_>, dataset: &DatasetId) -> Arc<Page> {
        let head = ground.state.head(dataset);
        let Some(location) = head.location else {
            return Arc::new(Page::empty(head.sync_count, head.floor, head.gap));
        };
        let page = (ground.page)(self.commit.changes.len(), dataset);
        assert_eq!(
            page.links()[0].location,
            location,
            "the page is the newest one"
        );
        page
    }

    fn copy_dataset(
        &mut self,
        ground: &Ground<'_>,
        from: &DatasetId,
        to: &DatasetId,
    ) -> Result<(Change, Outcome), Refusal> {
        let source = self.page_of(ground, from);
        if !source.exists() {
            return Err(no_such(from));
        }
        let owner = ground.state.identity(&to.pool, &to.identity);
        if owner.is_some_and(|owner| owner.dataset(&to.name).is_some()) {
            return Err(invalid("to", format!("the dataset {to} has been used before")).into());
        }
        if owner.map_or(0, |owner| owner.datasets.len()) >= DATASETS_PER_IDENTITY_MAX {
            return Err(exceeded(
                Limit::DatasetsPerIdentity,
                DATASETS_PER_IDENTITY_MAX,
            ));
        }
        // A name that was forgotten may have reached the floor of its identity.
        let head = ground.state.head(to);
        let sync_count = next_of(head.sync_count)?;
        let page = source.copied(&from.identity, sync_count, head.floor);
        let outcome = Outcome::CopiedDataset(info(&to.name, page.facts()));
        let change = Change::Dataset(DatasetChange::whole(Cause::Update, to, &page));
        self.created.push((to.pool, to.identity));
        let planned = PlannedPage {
            change: self.commit.changes.len(),
            page,
            older: Links::new(),
        };
        self.pages.push(planned);
        Ok((change, outcome))
    }
}

fn next_of(sync_count: SyncCount) -> Result<SyncCount, Refusal> {
    sync_count.next().ok_or(Refusal::LimitExceeded {
        limit: Limit::SyncCount,
        max: SyncCount::MAX.get(),
    })
}

fn no_such(dataset: &DatasetId) -> Refusal {
    Refusal::NoSuch(Subject::Dataset(Box::new(dataset.clone())))
}

/// What a dataset's facts say to a caller.
pub(crate) fn info(name: &DatasetName, facts: &Facts) -> DatasetInfo {
    DatasetInfo {
        name: name.clone(),
        sync_count: facts.sync_count,
        bytes: u64::from(facts.bytes),
        records: u64::from(facts.live),
        created: facts.created,
        modified: facts.modified,
        modified_by: facts.modified_by.clone(),
    }
}

fn check_expected(state: &State, key: &MetadataKey, expected: Expected) -> Result<(), Refusal> {
    let found = state.metadata.get(key).map(|place| place.version);
    let holds = match expected {
        Expected::Anything => true,
        Expected::Nothing => found.is_none(),
        Expected::Something => found.is_some(),
        Expected::Version(version) => found == Some(version),
    };
    if holds {
        return Ok(());
    }
    let found = found.map_or(Found::Nothing, Found::Version);
    Err(Refusal::Unexpected {
        key: key.clone(),
        found,
    })
}
