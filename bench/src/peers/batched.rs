//! A peer whose application puts all updates that wait into one transaction.

use super::one::One;
use super::work::Job;
use crate::batches::Batches;
use crate::contestant::{Contestant, Totals};
use crate::failure::Result;
use crate::workload::{Update, Workload};

pub struct Batched {
    one: One,
    waiting: Batches<Vec<Job>>,
}

impl Batched {
    pub fn new(one: One) -> Self {
        Self {
            one,
            waiting: Batches::default(),
        }
    }
}

impl Contestant for Batched {
    fn commit(&self, update: Update<'_>) -> Result<()> {
        let job = Job::new(update);
        let put = |jobs: &mut Vec<Job>| {
            jobs.push(job);
            jobs.len() == 1
        };
        self.waiting
            .join(put, std::mem::take, |jobs| self.one.run(&jobs))
    }

    fn totals(&self) -> Totals {
        self.one.totals()
    }

    fn reopen(self: Box<Self>) -> Result<Box<dyn Contestant>> {
        Box::new(self.one).reopen()
    }

    fn verify(&self, workload: &Workload, counts: &[u64]) -> Result<()> {
        self.one.verify(workload, counts)
    }
}
