//! One batch: each proposal is planned on what those before it made true, and staged; then all of
//! them are written and synced once, and applied.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::cache::Cached;
use crate::commit::{Change, Commit};
use crate::draft::{Below, Draft};
use crate::error::{Error, Fault, Refusal};
use crate::limits::{BATCH_BYTES, BATCH_SUBMISSIONS_MAX, Limits};
use crate::log::End;
use crate::page::Page;
use crate::plan::{Ground, Plan, plan};
use crate::proposal::Receipt;
use crate::queue::Submission;
use crate::state::{Place, State};
use crate::store::Store;
use crate::tail::{Flush, Staged, Tail};
use crate::ticket::{Answer, Gate};
use crate::types::{DatasetId, Locations, Timestamp, invalid};
use crate::watermark::News;

/// Memory of the pages that a batch makes after which it takes no further commit.
const PAGE_BYTES: usize = 64 << 20;

/// What planning rests on.
pub(crate) struct Grounds<'a> {
    pub(crate) store: &'a Store,
    pub(crate) limits: &'a Limits,
    pub(crate) now: Timestamp,
    /// The draft of the batch that is being written.
    pub(crate) written: Option<&'a Draft>,
    /// All before this batch is durable, so that it may begin a segment.
    pub(crate) may_begin: bool,
}

/// Where batches come from: only who plans touches it.
pub(crate) struct Planner {
    pub(crate) tail: Tail,
    batch: Batch,
    draft: Draft,
    /// The batch takes no more before it is written.
    full: bool,
    /// Memory of the pages that it made.
    page_bytes: usize,
}

/// A batch on its way.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) submissions: Vec<Submission>,
    /// One per submission, in order, to be given when it is durable.
    pub(crate) answers: Vec<Answer>,
    staged: Vec<StagedCommit>,
}

/// A batch that is planned, and what is left to do for it.
pub(crate) struct Ready {
    pub(crate) batch: Batch,
    /// `None` if it has refusals only.
    pub(crate) flush: Option<Flush>,
    /// To be opened when it is answered.
    pub(crate) gate: Arc<Gate>,
}

/// A commit that is staged.
struct StagedCommit {
    commit: Commit,
    locations: Locations,
    /// The pages that the commit made, by the position of their change.
    pages: SmallVec<[(usize, Arc<Page>); 1]>,
    /// Places that nobody will look for once the commit is applied.
    outdated: Locations,
}

impl Planner {
    pub(crate) fn new(tail: Tail, state: &State) -> Self {
        Self {
            tail,
            batch: Batch::default(),
            draft: Draft::behind(state),
            full: false,
            page_bytes: 0,
        }
    }

    /// Nothing is in the batch.
    pub(crate) fn is_empty(&self) -> bool {
        self.batch.submissions.is_empty()
    }

    /// The batch takes no more before it is written.
    pub(crate) fn is_full(&self) -> bool {
        self.full || self.room() == 0
    }

    /// How many submissions the batch still takes.
    pub(crate) fn room(&self) -> usize {
        BATCH_SUBMISSIONS_MAX - self.batch.submissions.len()
    }

    /// Takes submissions, not more than there is room for.
    pub(crate) fn take(&mut self, submissions: Vec<Submission>) {
        self.batch.submissions.extend(submissions);
    }

    /// Plans what it took and stages what comes of it, until `wanted` says that someone else wants
    /// to go on. What was not come to is for [`Planner::left`]. An error means that nothing may be
    /// written any more.
    pub(crate) fn stage(
        &mut self,
        grounds: &Grounds<'_>,
        wanted: impl Fn() -> bool,
    ) -> Result<(), Fault> {
        let before = self.batch.answers.len();
        while let Some(submission) = self.batch.submissions.get(self.batch.answers.len()) {
            if self.tail.staged() >= BATCH_BYTES || self.page_bytes >= PAGE_BYTES {
                self.full = true;
                break;
            }
            if self.batch.answers.len() > before && wanted() {
                break;
            }
            let plan = match decide(grounds, &mut self.draft, submission) {
                Ok(plan) => plan,
                Err(refusal) => {
                    self.batch.answers.push(Err(refusal.into()));
                    continue;
                }
            };
            let answer = match self.tail.stage(&plan.commit, grounds.may_begin)? {
                Staged::At(locations) => {
                    let (staged, receipt) = remember(&mut self.draft, submission, plan, locations);
                    // Nobody looks there before it is durable.
                    staged.cache(grounds.store);
                    let pages = staged.pages.iter().map(|(_, page)| page.memory());
                    self.page_bytes += pages.sum::<usize>();
                    self.batch.staged.push(staged);
                    Ok(receipt)
                }
                Staged::SegmentFull => {
                    self.full = true;
                    break;
                }
                Staged::TooLarge => {
                    Err(Refusal::from(invalid("wishes", "make a commit of more than 1 GiB")).into())
                }
                // What deletes may still have a place.
                Staged::NoSegment(fault) => Err(fault.into()),
            };
            self.batch.answers.push(answer);
        }
        Ok(())
    }

    /// Answers what was not come to: nothing may be written any more, what is staged neither.
    pub(crate) fn refuse(&mut self, error: &Error) {
        self.tail.abandon();
        let submissions = self.batch.submissions.len();
        self.batch
            .answers
            .resize_with(submissions, || Err(error.clone()));
    }

    /// What was not come to.
    pub(crate) fn left(&mut self) -> Vec<Submission> {
        self.draft.forget_pages();
        self.batch.submissions.split_off(self.batch.answers.len())
    }

    /// How many commits are staged.
    pub(crate) fn staged(&self) -> usize {
        self.batch.staged.len()
    }

    /// The pages that staged commits made, but the first so many, with their datasets.
    pub(crate) fn pages(&self, but: usize) -> impl Iterator<Item = (&DatasetId, &Arc<Page>)> {
        self.batch.staged[but..]
            .iter()
            .flat_map(StagedCommit::pages)
    }

    /// Forgets what was copied for submissions that were left, since it may have moved. Nothing is
    /// in the batch.
    pub(crate) fn start_anew(&mut self) {
        self.draft = Draft::behind(self.draft.state());
    }

    /// Ends the batch, whose submissions wait at a gate; gives also what those behind it go by
    /// until it is durable. All before it must be durable.
    pub(crate) fn end_batch(&mut self, gate: Arc<Gate>) -> (Ready, Draft) {
        let behind = Draft::behind(self.draft.state());
        (self.full, self.page_bytes) = (false, 0);
        let ready = Ready {
            batch: std::mem::take(&mut self.batch),
            flush: self.tail.hand_over(),
            gate,
        };
        (ready, std::mem::replace(&mut self.draft, behind))
    }
}

impl Batch {
    /// Nothing of it is known to last. Refusals were planned on commits that may be lost, so they
    /// are not told either.
    pub(crate) fn fail(&mut self, fault: &Fault) {
        for answer in &mut self.answers {
            match answer {
                Ok(_) => *answer = Err(fault.clone().into()),
                Err(Error::Fault(_)) => {}
                Err(_) => *answer = Err(Error::halted(&fault.reason())),
            }
        }
    }

    /// Makes durable commits true for everyone.
    pub(crate) fn publish(&self, store: &Store, end: End) {
        let last = self
            .staged
            .last()
            .map_or_else(Default::default, |staged| staged.commit.sequence);
        let mut state = store.state_mut();
        for staged in &self.staged {
            let snapshots = &store.snapshots;
            snapshots.apply(&mut state, &staged.commit, &staged.locations);
        }
        drop(state);
        let commits = || self.staged.iter().map(|staged| &staged.commit);
        let first = commits().find(|commit| commit.is_news());
        let news = first.map(|first| News {
            time: first.time,
            last: commits()
                .rfind(|commit| commit.is_news())
                .map_or(first.sequence, |commit| commit.sequence),
        });
        store.watermark.advance(last, end, news);
        for &location in self.staged.iter().flat_map(|staged| &staged.outdated) {
            store.cache.remove(location);
        }
    }
}

fn decide(
    grounds: &Grounds<'_>,
    draft: &mut Draft,
    submission: &Submission,
) -> Result<Plan, Refusal> {
    draft.admit(
        &submission.proposal,
        Below {
            durable: &grounds.store.state(),
            written: grounds.written,
        },
    );
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

/// Makes a staged commit true for what is planned behind it.
fn remember(
    draft: &mut Draft,
    submission: &Submission,
    plan: Plan,
    locations: Locations,
) -> (StagedCommit, Receipt) {
    let Plan {
        commit,
        outcomes,
        pages,
        ..
    } = plan;
    let outdated = outdated(draft.state(), &commit);
    draft.apply(&commit, &locations);
    let mut linked = SmallVec::with_capacity(pages.len());
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
            outdated,
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

    /// The pages that the commit made, with their datasets.
    fn pages(&self) -> impl Iterator<Item = (&DatasetId, &Arc<Page>)> {
        self.pages
            .iter()
            .filter_map(|(change, page)| match &self.commit.changes[*change] {
                Change::Dataset(change) => Some((&change.dataset, page)),
                _ => None,
            })
    }
}

/// Places that nobody will look for once the commit is applied.
fn outdated(state: &State, commit: &Commit) -> Locations {
    let location = |change: &Change| match change {
        Change::Dataset(change) => state.head(&change.dataset).location,
        Change::DatasetDeleted { dataset, .. } => state.head(dataset).location,
        Change::MetadataPut { key, .. } | Change::MetadataDeleted { key } => {
            state.metadata.get(key).map(Place::location)
        }
        _ => None,
    };
    commit.changes.iter().filter_map(location).collect()
}
