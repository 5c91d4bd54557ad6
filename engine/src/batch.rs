//! One batch: plan each proposal on what those before it made true, stage, sync once, apply.

use std::sync::Arc;

use crate::cache::Cached;
use crate::commit::{Change, Commit};
use crate::draft::Draft;
use crate::error::{Error, Fault, Refusal};
use crate::limits::{BATCH_BYTES, Limits};
use crate::log::End;
use crate::page::Page;
use crate::plan::{Ground, Plan, plan};
use crate::proposal::Receipt;
use crate::queue::Submission;
use crate::state::{Place, State};
use crate::store::Store;
use crate::tail::{Staged, Tail};
use crate::ticket::Answer;
use crate::types::{DatasetId, Location, Timestamp, invalid};

/// What a batch rests on.
pub(crate) struct Grounds<'a> {
    pub(crate) store: &'a Store,
    pub(crate) limits: &'a Limits,
    pub(crate) now: Timestamp,
}

/// What came of a batch.
#[derive(Default)]
pub(crate) struct Batch {
    /// One per submission, in order; those without one are for the next batch.
    pub(crate) answers: Vec<Answer>,
    /// The newest pages of the datasets that the batch changed.
    pub(crate) pages: Vec<(DatasetId, Arc<Page>)>,
    /// Something was written and synced.
    pub(crate) synced: bool,
    /// The store must not be written again.
    pub(crate) halt: Option<Arc<str>>,
}

/// A commit that is staged.
struct StagedCommit {
    commit: Commit,
    locations: Vec<Location>,
    /// The pages that the commit made, by the position of their change.
    pages: Vec<(usize, Arc<Page>)>,
}

impl Batch {
    /// Runs submissions through the log; leaves out those at the end that do not fit.
    pub(crate) fn run(grounds: &Grounds<'_>, tail: &mut Tail, submissions: &[Submission]) -> Self {
        let mut batch = Self::default();
        let staged = batch.stage(grounds, tail, submissions);
        let Some(last) = staged.last() else {
            return batch;
        };
        match tail.flush(last.commit.sequence) {
            Ok(end) => {
                batch.synced = true;
                batch.publish(grounds.store, staged, end);
            }
            Err(fault) => batch.fail(&fault),
        }
        batch
    }

    fn stage(
        &mut self,
        grounds: &Grounds<'_>,
        tail: &mut Tail,
        submissions: &[Submission],
    ) -> Vec<StagedCommit> {
        let state = grounds.store.state();
        let mut draft = Draft::new(&state);
        let mut staged = Vec::with_capacity(submissions.len());
        for submission in submissions {
            let plan = match decide(grounds, &mut draft, submission) {
                Ok(plan) => plan,
                Err(refusal) => {
                    self.answers.push(Err(refusal.into()));
                    continue;
                }
            };
            match tail.stage(&plan.commit) {
                Ok(Staged::At(locations)) => {
                    let (commit, receipt) = remember(&mut draft, submission, plan, locations);
                    staged.push(commit);
                    self.answers.push(Ok(receipt));
                }
                Ok(Staged::SegmentFull) => break,
                Ok(Staged::TooLarge) => {
                    let refusal = invalid("wishes", "make a commit of more than 1 GiB");
                    self.answers.push(Err(refusal.into()));
                }
                // What deletes may still have a place.
                Ok(Staged::NoSegment(fault)) => self.answers.push(Err(fault.into())),
                Err(fault) => {
                    self.halt = Some(fault.text());
                    self.refuse_rest(fault, submissions.len());
                    break;
                }
            }
            if tail.staged() >= BATCH_BYTES {
                break;
            }
        }
        staged
    }

    /// Nothing can be written: everything that is left is told so.
    fn refuse_rest(&mut self, fault: Fault, submissions: usize) {
        self.answers.resize(submissions, Err(Error::Fault(fault)));
    }

    /// The write or the sync failed: nobody knows what lasts. Refusals were planned on commits
    /// that may be lost, so they are not told either.
    fn fail(&mut self, fault: &Fault) {
        let why = fault.text();
        for answer in &mut self.answers {
            *answer = Err(match answer {
                Ok(_) => Error::Fault(fault.clone()),
                Err(_) => Error::halted(&why),
            });
        }
        self.halt = Some(why);
    }

    /// Makes durable commits true for everyone.
    fn publish(&mut self, store: &Store, staged: Vec<StagedCommit>, end: End) {
        let last = staged
            .last()
            .map_or_else(Default::default, |staged| staged.commit.sequence);
        for staged in &staged {
            staged.cache(store);
        }
        let mut outdated = Vec::new();
        let mut state = store.state_mut();
        for staged in &staged {
            outdated.extend(staged.replaced(&state));
            let snapshots = &store.snapshots;
            snapshots.apply(&mut state, &staged.commit, &staged.locations);
        }
        drop(state);
        let news = staged.iter().rfind(|staged| staged.commit.is_news());
        store
            .watermark
            .advance(last, end, news.map(|staged| staged.commit.sequence));
        for location in outdated {
            store.cache.remove(location);
        }
        for StagedCommit { commit, pages, .. } in staged {
            for (change, page) in pages {
                if let Change::Dataset(change) = &commit.changes[change] {
                    self.pages.push((change.dataset.clone(), page));
                }
            }
        }
    }
}

fn decide(
    grounds: &Grounds<'_>,
    draft: &mut Draft<'_>,
    submission: &Submission,
) -> Result<Plan, Refusal> {
    draft.admit(&submission.proposal);
    let page = |wish: usize, dataset: &DatasetId| {
        let page = draft
            .page(dataset)
            .or_else(|| submission.pages[wish].as_ref());
        Arc::clone(page.expect("a submission pins the pages of its datasets"))
    };
    let ground = Ground {
        state: draft.state(),
        page: &page,
        limits: grounds.limits,
    };
    plan(&ground, &submission.proposal, grounds.now)
}

/// Makes a staged commit true for the rest of the batch.
fn remember(
    draft: &mut Draft<'_>,
    submission: &Submission,
    plan: Plan,
    locations: Vec<Location>,
) -> (StagedCommit, Receipt) {
    let Plan {
        commit,
        outcomes,
        pages,
        ..
    } = plan;
    draft.apply(&commit, &locations);
    let mut linked = Vec::with_capacity(pages.len());
    for planned in pages {
        let page = Arc::new(
            planned
                .page
                .linked(locations[planned.change], &planned.older),
        );
        if let Change::Dataset(change) = &commit.changes[planned.change]
            && !submission.is_alone
        {
            draft.keep(change.dataset.clone(), Arc::clone(&page));
        }
        linked.push((planned.change, page));
    }
    let receipt = Receipt {
        sequence: commit.sequence,
        time: commit.time,
        outcomes,
    };
    (
        StagedCommit {
            commit,
            locations,
            pages: linked,
        },
        receipt,
    )
}

impl StagedCommit {
    /// Puts what the commit made where readers will look as soon as it is applied.
    fn cache(&self, store: &Store) {
        for (change, page) in &self.pages {
            store
                .cache
                .insert(self.locations[*change], Cached::Page(Arc::clone(page)));
        }
        for (change, &location) in self.commit.changes.iter().zip(&self.locations) {
            if let Change::MetadataPut { value, .. } = change {
                store.cache.insert(location, Cached::Value(value.clone()));
            }
        }
    }

    /// Places that nobody will look for once the commit is applied.
    fn replaced(&self, state: &State) -> Vec<Location> {
        let location = |change: &Change| match change {
            Change::Dataset(change) => state.head(&change.dataset).location,
            Change::DatasetDeleted { dataset, .. } => state.head(dataset).location,
            Change::MetadataPut { key, .. } | Change::MetadataDeleted { key } => {
                state.metadata.get(key).map(Place::location)
            }
            _ => None,
        };
        self.commit.changes.iter().filter_map(location).collect()
    }
}
