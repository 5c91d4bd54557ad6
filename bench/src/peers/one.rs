//! A peer that commits every update in a transaction of its own.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use syncline_engine::DatasetId;
use syncline_peers::{Peer, open};

use super::work::{Job, export, follow, last_sequence, list, verify};
use crate::contestant::{Contestant, Shelf, Totals};
use crate::failure::{Result, fail};
use crate::workload::{Update, Workload};

/// Records of a transaction while the store is filled.
const FILL: usize = 10_000;

pub struct One {
    name: &'static str,
    directory: PathBuf,
    peer: Box<dyn Peer>,
    /// The last commit; changed in transactions alone, of which there is one at a time.
    sequence: AtomicU64,
    transactions: AtomicU64,
}

impl One {
    /// A new store in which every dataset has been written once.
    pub fn filled(name: &'static str, directory: &Path, workload: &Workload) -> Result<Self> {
        let one = Self::open(name, directory)?;
        let updates = (0..workload.datasets.len()).map(|number| workload.update(number, 0));
        one.write_all(&updates.collect::<Vec<_>>())?;
        Ok(one)
    }

    /// A store, with nothing in it if it is new.
    pub fn open(name: &'static str, directory: &Path) -> Result<Self> {
        Self::over(name, directory, open(name, directory)?)
    }

    /// A store that is open already.
    pub fn over(name: &'static str, directory: &Path, peer: Box<dyn Peer>) -> Result<Self> {
        let mut last = 0;
        peer.read(&mut |look| {
            last = last_sequence(look)?;
            Ok(())
        })?;
        Ok(Self {
            name,
            directory: directory.into(),
            peer,
            sequence: AtomicU64::new(last),
            transactions: AtomicU64::new(0),
        })
    }

    /// All of them in one transaction.
    pub fn run(&self, jobs: &[Job]) -> Result<()> {
        let mut last = 0;
        self.peer.write(&mut |rows| {
            last = self.sequence.load(Ordering::Acquire);
            for job in jobs {
                last += 1;
                job.run(rows, last)?;
            }
            // Whoever comes next begins behind it, also if this has to run again.
            self.sequence.fetch_max(last, Ordering::AcqRel);
            Ok(())
        })?;
        self.transactions.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

impl Shelf for One {
    fn write_all(&self, updates: &[Update<'_>]) -> Result<()> {
        let records = updates.first().map_or(1, |update| update.keys.len());
        for updates in updates.chunks((FILL / records).max(1)) {
            let jobs: Vec<_> = updates.iter().map(|update| Job::new(*update)).collect();
            self.run(&jobs)?;
        }
        Ok(())
    }

    fn list(&self, dataset: &DatasetId, since: u64) -> Result<(usize, usize)> {
        let mut found = (0, 0);
        self.peer.read(&mut |look| {
            found = list(look, dataset, since)?;
            Ok(())
        })?;
        Ok(found)
    }

    fn follow(&self) -> Result<(usize, usize)> {
        let mut found = (0, 0);
        self.peer.read(&mut |look| {
            found = follow(look)?;
            Ok(())
        })?;
        Ok(found)
    }

    fn export(&self) -> Result<(usize, usize)> {
        let mut found = (0, 0);
        self.peer.read(&mut |look| {
            found = export(look)?;
            Ok(())
        })?;
        Ok(found)
    }
}

impl Contestant for One {
    fn commit(&self, update: Update<'_>) -> Result<()> {
        self.run(&[Job::new(update)])
    }

    fn totals(&self) -> Totals {
        Totals {
            syncs: self.transactions.load(Ordering::Relaxed),
            log_bytes: 0,
        }
    }

    fn reopen(self: Box<Self>) -> Result<Box<dyn Contestant>> {
        let Self {
            name,
            directory,
            peer,
            ..
        } = *self;
        drop(peer);
        Ok(Box::new(Self::open(name, &directory)?))
    }

    fn verify(&self, workload: &Workload, counts: &[u64]) -> Result<()> {
        self.peer.read(&mut |look| {
            for (number, &count) in counts.iter().enumerate() {
                verify(look, workload, number, count)?;
            }
            let (told, all) = (last_sequence(look)?, counts.iter().sum::<u64>());
            if told < all {
                return fail(format!("the feed ends with {told} of {all} commits"));
            }
            Ok(())
        })
    }
}
