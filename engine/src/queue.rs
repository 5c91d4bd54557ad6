//! Submissions that wait to be planned, and the newest pages of the datasets that they are
//! about.
//!
//! A dataset stays *pinned* from when a submission for it is taken in until that is answered:
//! whoever submits brings its page, whoever plans replaces it with the page of each commit that it
//! stages, so planning never has to read the disk. Submissions, their bytes and the pinned bytes
//! are bounded.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use foldhash::fast::RandomState;

use crate::error::{Error, Refusal};
use crate::limits::{PINNED_BYTES_MAX, QUEUE_BYTES_MAX, QUEUE_SUBMISSIONS_MAX};
use crate::page::Page;
use crate::proposal::{Proposal, Wish};
use crate::store::{Disk, Store};
use crate::ticket::{Gate, Ticket};
use crate::types::{DatasetId, Location, PatchOp, invalid};

/// A proposal on its way.
pub(crate) struct Submission {
    pub(crate) proposal: Proposal,
    pub(crate) ticket: Arc<Ticket>,
    /// For each wish the newest page of its dataset that is durable or staged, if it exists; set
    /// when it is taken to be planned.
    pub(crate) pages: Vec<Option<Arc<Page>>>,
    /// All it does is to update a dataset that no other submission is about; set with the pages.
    pub(crate) is_alone: bool,
    bytes: usize,
}

/// Why a submission was not taken.
pub(crate) enum NotTaken {
    /// A page has to be read first.
    Cold(DatasetId, Location),
    Error(Error),
}

/// The queue. Locked by its owner.
#[derive(Default)]
pub(crate) struct Queue {
    waiting: VecDeque<Submission>,
    /// The end of the next batch.
    gate: Arc<Gate>,
    bytes: usize,
    submissions: usize,
    pins: HashMap<DatasetId, Pin, RandomState>,
    pinned_bytes: usize,
}

struct Pin {
    submissions: usize,
    /// The newest page that is durable or staged; `None` if the dataset did not exist when it was
    /// pinned.
    page: Option<Arc<Page>>,
}

impl Pin {
    fn memory(&self) -> usize {
        self.page.as_ref().map_or(0, |page| page.memory())
    }
}

/// The dataset whose page a plan for the wish needs.
fn dataset(wish: &Wish) -> Option<&DatasetId> {
    match wish {
        Wish::Update { dataset, .. }
        | Wish::DeleteDataset { dataset, .. }
        | Wish::Rewrite { dataset }
        | Wish::Republish { dataset }
        | Wish::Import { dataset, .. } => Some(dataset),
        Wish::CopyDataset { from, .. } => Some(from),
        _ => None,
    }
}

/// The dataset that the wish makes of another one.
fn copy(wish: &Wish) -> Option<&DatasetId> {
    match wish {
        Wish::CopyDataset { to, .. } => Some(to),
        _ => None,
    }
}

/// The datasets that a proposal is about: those it reads, and those it makes.
fn datasets(proposal: &Proposal) -> impl Iterator<Item = &DatasetId> {
    let of = |wish| [dataset(wish), copy(wish)];
    proposal.wishes.iter().flat_map(of).flatten()
}

/// Memory that a proposal takes, near enough.
fn memory(proposal: &Proposal) -> usize {
    let wishes = proposal.wishes.iter().map(|wish| match wish {
        Wish::Update { patches, .. } => patches
            .iter()
            .map(|patch| match &patch.op {
                PatchOp::Replace(value) => 64 + patch.key.as_str().len() + value.as_str().len(),
                PatchOp::Remove => 64 + patch.key.as_str().len(),
            })
            .sum(),
        Wish::Import { content, .. } => content
            .records
            .iter()
            .map(|record| {
                let value = record
                    .value
                    .as_ref()
                    .map_or(0, |value| value.as_str().len());
                128 + record.key.as_str().len() + value
            })
            .sum(),
        Wish::ImportIdentity { deleted, .. } => 32 * deleted.len(),
        Wish::PutMetadata { key, value, .. } => key.as_bytes().len() + value.as_bytes().len(),
        _ => 0,
    });
    let expect = proposal.expect.iter();
    let expect: usize = expect.map(|(key, _)| key.as_bytes().len() + 64).sum();
    512 + expect + wishes.map(|bytes: usize| bytes + 256).sum::<usize>()
}

impl Queue {
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Submissions that are not answered yet.
    pub(crate) fn len(&self) -> usize {
        self.submissions
    }

    /// Takes a submission, with the pages that it needs: from other pins, from `loaded`, or from
    /// the cache.
    pub(crate) fn push(
        &mut self,
        proposal: Proposal,
        ticket: &Arc<Ticket>,
        store: &Store,
        loaded: &HashMap<Location, Arc<Page>>,
    ) -> Result<(), (Proposal, NotTaken)> {
        let bytes = memory(&proposal);
        if bytes > QUEUE_BYTES_MAX {
            let why = invalid("proposal", "must take less than 256 MiB");
            return Err((proposal, NotTaken::Error(why.into())));
        }
        if self.submissions >= QUEUE_SUBMISSIONS_MAX || self.bytes + bytes > QUEUE_BYTES_MAX {
            return Err((proposal, NotTaken::Error(Refusal::Busy.into())));
        }
        let mut pinned = 0;
        let mut refused = datasets(&proposal).find_map(|dataset| {
            let refused = self.pin(dataset, store, loaded).err();
            pinned += usize::from(refused.is_none());
            refused
        });
        // Alone, a proposal may pin whatever its datasets take.
        if refused.is_none() && self.pinned_bytes > PINNED_BYTES_MAX && self.submissions > 0 {
            refused = Some(NotTaken::Error(Refusal::Busy.into()));
        }
        if let Some(why) = refused {
            for dataset in datasets(&proposal).take(pinned) {
                self.unpin(dataset);
            }
            return Err((proposal, why));
        }
        self.bytes += bytes;
        self.submissions += 1;
        ticket.expect(&self.gate);
        let (ticket, pages) = (Arc::clone(ticket), Vec::new());
        self.waiting.push_back(Submission {
            proposal,
            ticket,
            pages,
            is_alone: false,
            bytes,
        });
        Ok(())
    }

    fn pin(
        &mut self,
        dataset: &DatasetId,
        store: &Store,
        loaded: &HashMap<Location, Arc<Page>>,
    ) -> Result<(), NotTaken> {
        if let Some(pin) = self.pins.get_mut(dataset) {
            pin.submissions += 1;
            return Ok(());
        }
        // No submission for the dataset is under way, so its head moves by a deletion alone, which
        // needs no page.
        let page = match store.state().head(dataset).location {
            None => None,
            Some(location) => match loaded.get(&location) {
                Some(page) => Some(Arc::clone(page)),
                None => match store.page_at(dataset, location, Disk::MustNotRead) {
                    Ok(page) => Some(page),
                    Err(Error::NotResident) => {
                        return Err(NotTaken::Cold(dataset.clone(), location));
                    }
                    Err(error) => return Err(NotTaken::Error(error)),
                },
            },
        };
        let pin = Pin {
            submissions: 1,
            page,
        };
        self.pinned_bytes += pin.memory();
        self.pins.insert(dataset.clone(), pin);
        Ok(())
    }

    pub(crate) fn is_pinned(&self, dataset: &DatasetId) -> bool {
        self.pins.contains_key(dataset)
    }

    fn unpin(&mut self, dataset: &DatasetId) {
        let pin = self
            .pins
            .get_mut(dataset)
            .expect("a submission pins its datasets");
        pin.submissions -= 1;
        if pin.submissions == 0 {
            self.pinned_bytes -= pin.memory();
            self.pins.remove(dataset);
        }
    }

    /// Takes at most so many submissions, in order, with the pages that they need.
    pub(crate) fn take(&mut self, count: usize) -> Vec<Submission> {
        let count = self.waiting.len().min(count);
        let mut taken: Vec<_> = self.waiting.drain(..count).collect();
        for submission in &mut taken {
            let wishes = &submission.proposal.wishes;
            let mut is_alone = matches!(wishes[..], [Wish::Update { .. }]);
            let page = |wish| {
                let pin = self.pins.get(dataset(wish)?)?;
                is_alone &= pin.submissions == 1;
                pin.page.clone()
            };
            submission.pages = wishes.iter().map(page).collect();
            submission.is_alone = is_alone;
        }
        taken
    }

    /// Ends a batch: gives the gate to be opened when its submissions are answered.
    pub(crate) fn end_batch(&mut self) -> Arc<Gate> {
        std::mem::take(&mut self.gate)
    }

    /// Puts submissions back in front.
    pub(crate) fn put_back(&mut self, submissions: Vec<Submission>) {
        for mut submission in submissions.into_iter().rev() {
            submission.pages.clear();
            self.waiting.push_front(submission);
        }
    }

    /// Takes note of the page that a staged commit made, or that was moved.
    pub(crate) fn moved(&mut self, dataset: &DatasetId, page: &Arc<Page>) {
        if let Some(pin) = self.pins.get_mut(dataset) {
            self.pinned_bytes -= pin.memory();
            pin.page = Some(Arc::clone(page));
            self.pinned_bytes += pin.memory();
        }
    }

    /// Lets go of a submission that is about to be answered.
    pub(crate) fn release(&mut self, submission: &Submission) {
        self.bytes -= submission.bytes;
        self.submissions -= 1;
        for dataset in datasets(&submission.proposal) {
            self.unpin(dataset);
        }
    }
}
