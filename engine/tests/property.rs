//! The whole public API against the model: any sequence of commits, reads, feeds, upkeep and
//! reopenings shows what the model shows. What fails is shrunk to a few steps.
//!
//! `PROPTEST_CASES` is the number of sequences (64).

#![allow(clippy::unwrap_used)]

// The crash tests' model, of which not all is needed here.
#[path = "property/held.rs"]
mod held;
mod hooked;
#[path = "crash/model.rs"]
mod model;
#[path = "property/steps.rs"]
mod steps;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use held::{Latch, held};
use model::{Dataset, Model};
use proptest::prelude::*;
use proptest::test_runner::Config;
use steps::{Step, Want, dataset, steps};
use syncline_engine::disk::SimDisk;
use syncline_engine::{
    Cursor, Engine, Error, Listing, Options, Proposal, Receipt, RecordKey, Refusal, SyncCount,
    Timestamp,
};

/// A store, and what it must show.
struct Scene {
    disk: SimDisk,
    latch: Arc<Latch>,
    clock: Arc<AtomicU64>,
    engine: Engine,
    /// `models[n]` is true after n commits.
    models: Vec<Model>,
    /// When each commit was made.
    times: Vec<Timestamp>,
}

type Checked = Result<(), TestCaseError>;

fn fail(error: impl std::fmt::Display) -> TestCaseError {
    TestCaseError::fail(error.to_string())
}

impl Scene {
    fn new() -> Self {
        let disk = SimDisk::new(1);
        let clock = Arc::new(AtomicU64::new(1_700_000_000_000));
        let latch = Arc::default();
        let engine = open(&disk, &latch, &clock).unwrap();
        let (models, times) = (vec![Model::default()], Vec::new());
        Self {
            disk,
            latch,
            clock,
            engine,
            models,
            times,
        }
    }

    fn model(&self) -> &Model {
        self.models.last().unwrap()
    }

    fn step(&mut self, step: &Step) -> Checked {
        match step {
            Step::Commit(wants) => self.commit(wants),
            Step::CommitAll(batches) => self.commit_all(batches),
            Step::Overlap(batches) => self.overlap(batches),
            Step::List { .. } => self.list(step),
            Step::Scan {
                prefix,
                after,
                limit,
            } => self.scan(prefix, *after, *limit),
            Step::Feed { from, behind } => self.feed(*from, *behind),
            Step::Maintain => self.upkeep(Engine::maintain),
            Step::Compact => self.upkeep(Engine::compact),
            Step::Purge => {
                self.upkeep(|engine| engine.purge().map(drop))?;
                prop_assert_eq!(self.engine.tail(), self.engine.head());
                Ok(())
            }
            Step::Wait(hours) => {
                let ms = u64::from(*hours) * 3_600_000;
                self.clock.fetch_add(ms, Ordering::Relaxed);
                Ok(())
            }
            Step::Close => {
                self.engine.close().map_err(fail)?;
                self.reopen(self.disk.clone())?;
                prop_assert!(self.engine.recovery().clean);
                Ok(())
            }
            Step::Kill => self.reopen(self.disk.restart()),
            Step::PowerFailure(seed) => self.reopen(self.disk.reboot(*seed)),
        }
    }

    fn upkeep(&self, run: impl FnOnce(&Engine) -> Result<(), Error>) -> Checked {
        run(&self.engine).map_err(fail)?;
        self.model().compare(&self.engine).map_err(fail)
    }

    fn reopen(&mut self, disk: SimDisk) -> Checked {
        let before = self.engine.head();
        // Let go of its lock first; what it does while closing comes too late on a dead machine.
        self.engine = open(&SimDisk::new(0), &self.latch, &self.clock).unwrap();
        self.disk = disk;
        self.engine = open(&self.disk, &self.latch, &self.clock).map_err(fail)?;
        prop_assert_eq!(self.engine.head(), before);
        self.model().compare(&self.engine).map_err(fail)
    }

    fn commit(&mut self, wants: &[Want]) -> Checked {
        let proposal = steps::proposal(wants, self.model());
        let answer = self.engine.commit(proposal.clone());
        self.settle(&proposal, answer)
    }

    /// Made for the state before all of them, so that some are refused for those before.
    fn proposals(&self, batches: &[Vec<Want>]) -> Vec<Proposal> {
        let proposal = |wants: &Vec<Want>| steps::proposal(wants, self.model());
        batches.iter().map(proposal).collect()
    }

    fn commit_all(&mut self, batches: &[Vec<Want>]) -> Checked {
        let proposals = self.proposals(batches);
        let answers = self.engine.commit_all(proposals.clone());
        prop_assert_eq!(answers.len(), proposals.len());
        proposals
            .iter()
            .zip(answers)
            .try_for_each(|(proposal, answer)| self.settle(proposal, answer))
    }

    /// The others are planned while the first is written.
    fn overlap(&mut self, batches: &[Vec<Want>]) -> Checked {
        let proposals = self.proposals(batches);
        let (first, others) = proposals.split_at(1);
        self.latch.shut();
        let answers = std::thread::scope(|scope| {
            let (engine, latch) = (&self.engine, &self.latch);
            let before = scope.spawn(|| {
                let answers = engine.commit_all(first.to_vec());
                // If it was refused nothing is synced.
                latch.open();
                answers
            });
            latch.wait_for_sync();
            let looks = self.clock.load(Ordering::Relaxed);
            let behind = scope.spawn(|| engine.commit_all(others.to_vec()));
            // They look at the clock, unless the first begins a segment; what is not planned by the
            // end is planned behind it, which is right too.
            for _ in 0..20 {
                let planned = self.clock.load(Ordering::Relaxed) > looks;
                std::thread::sleep(Duration::from_micros(200));
                if planned {
                    break;
                }
            }
            latch.open();
            let mut answers = before.join().unwrap();
            answers.extend(behind.join().unwrap());
            answers
        });
        prop_assert_eq!(answers.len(), proposals.len());
        proposals
            .iter()
            .zip(answers)
            .try_for_each(|(proposal, answer)| self.settle(proposal, answer))
    }

    /// What the model says of a proposal is what the engine said.
    fn settle(&mut self, proposal: &Proposal, answer: Result<Receipt, Error>) -> Checked {
        let next = self.model().after(proposal);
        match (next, answer) {
            (Some(next), Ok(receipt)) => {
                prop_assert_eq!(receipt.sequence.get(), next.commits);
                prop_assert_eq!(receipt.outcomes.len(), proposal.wishes.len());
                prop_assert!(self.times.last().is_none_or(|last| *last <= receipt.time));
                self.models.push(next);
                self.times.push(receipt.time);
                Ok(())
            }
            (None, Err(Error::Refusal(_))) => Ok(()),
            (next, answer) => Err(fail(format!(
                "{proposal:?} is to be {}, and was {answer:?}",
                next.map_or("refused", |_| "done")
            ))),
        }
    }

    /// Lists in pages, with a commit behind the first one.
    fn list(&mut self, step: &Step) -> Checked {
        let Step::List {
            of,
            since,
            limit,
            between,
        } = step
        else {
            return Ok(());
        };
        let id = dataset(*of);
        let mut listing = Listing {
            since: SyncCount::new(u64::from(*since)).unwrap(),
            limit: *limit,
            ..Listing::default()
        };
        let mut between = between.as_ref();
        loop {
            let known = self.model().datasets.get(&id).cloned().unwrap_or_default();
            let found = self.engine.reader().list(&id, &listing);
            let Some((records, deleted_since)) = listed(&known, &listing) else {
                prop_assert!(matches!(
                    found,
                    Err(Error::Refusal(Refusal::NoSuchSyncCount(_)))
                ));
                return Ok(());
            };
            let found = found.map_err(fail)?;
            let shown: Vec<_> = found
                .records()
                .map(|r| {
                    (
                        r.sync_count.get(),
                        r.key.to_string(),
                        r.value.map(|value| value.to_string()),
                    )
                })
                .collect();
            let all = records.len();
            let page = if *limit == 0 { all } else { all.min(*limit) };
            prop_assert_eq!(&shown[..], &records[..page]);
            prop_assert_eq!(found.next.is_some(), page < all);
            prop_assert_eq!(found.deleted_since, deleted_since);
            prop_assert_eq!(found.dataset.is_some(), known.exists);
            prop_assert_eq!(found.sync_count.get(), known.sync_count);
            if found.next.is_none() {
                return Ok(());
            }
            listing.after = found.next;
            listing.snapshot = Some(found.snapshot);
            if let Some(want) = between.take() {
                self.commit(std::slice::from_ref(want))?;
            }
        }
    }

    fn scan(&self, prefix: &str, after: Option<u8>, limit: usize) -> Checked {
        let after = after.map(steps::key);
        let prefix = prefix.as_bytes();
        let reader = self.engine.reader();
        let found = reader.scan(prefix, after.as_ref(), limit).map_err(fail)?;
        let expected: Vec<_> = self
            .model()
            .metadata
            .iter()
            .filter(|(key, _)| key.as_bytes().starts_with(prefix))
            .filter(|(key, _)| after.as_ref().is_none_or(|after| *key > after))
            .take(limit)
            .map(|(key, (value, version))| (key.clone(), value.clone(), *version))
            .collect();
        let keys = reader.scan_keys(prefix, after.as_ref(), limit);
        let keys: Vec<_> = keys
            .into_iter()
            .map(|(key, version)| (key, version.get()))
            .collect();
        let same = expected
            .iter()
            .map(|(key, _, version)| (key.clone(), *version));
        prop_assert_eq!(keys, same.collect::<Vec<_>>());
        let found: Vec<_> = found
            .into_iter()
            .map(|one| (one.key, one.value.as_bytes().to_vec(), one.version.get()))
            .collect();
        prop_assert_eq!(found, expected);
        Ok(())
    }

    /// Follows the feed from a commit, or from before a time, and finds every commit since.
    fn feed(&self, from: u8, behind: u8) -> Checked {
        let (head, tail) = (self.engine.head(), self.engine.tail());
        let part = |whole: u64, part: u8| whole * u64::from(part) / 255;
        let sequence = part(head.sequence.get(), from);
        let (cursor, followed) = (
            Cursor {
                sequence: syncline_engine::Sequence::new(sequence),
                ..head
            },
            usize::try_from(sequence).unwrap(),
        );
        let mut feed = self.engine.feed(cursor).map_err(fail)?;
        if cursor.sequence < tail.sequence {
            let Err(Error::Refusal(Refusal::CursorTooOld { floor })) = feed.read() else {
                return Err(fail("what is gone cannot be read"));
            };
            prop_assert_eq!(floor, tail.sequence);
        } else {
            let mut followed = self.models[followed].clone();
            loop {
                let commits = feed.read().map_err(fail)?;
                if commits.is_empty() {
                    break;
                }
                for commit in commits {
                    followed.follow(&commit);
                    let now = usize::try_from(followed.commits).unwrap();
                    prop_assert_eq!(commit.time, self.times[now - 1]);
                    prop_assert_eq!(told(&followed), told(&self.models[now]));
                }
            }
            prop_assert_eq!(feed.cursor(), head);
            prop_assert_eq!(told(&followed), told(self.model()));
        }
        if !self.times.is_empty() {
            let at = usize::try_from(part(self.times.len() as u64 - 1, behind)).unwrap();
            let cursor = self.engine.cursor_before(self.times[at]);
            let first = self.times.partition_point(|time| *time < self.times[at]);
            let before = (first as u64).max(tail.sequence.get());
            prop_assert!(
                cursor.sequence.get() <= before,
                "commits of that time are missing"
            );
            prop_assert!(cursor.sequence >= tail.sequence);
        }
        Ok(())
    }
}

fn open(disk: &SimDisk, latch: &Arc<Latch>, clock: &Arc<AtomicU64>) -> Result<Engine, Error> {
    let clock = Arc::clone(clock);
    let options = Options {
        // Small, so that all of it happens in few steps.
        segment_bytes: 64 << 10,
        cache_bytes: 32 << 10,
        checkpoint_bytes: 48 << 10,
        feed_retention_bytes: 100 << 10,
        clock: Arc::new(move || Timestamp::new(clock.fetch_add(7, Ordering::Relaxed)).unwrap()),
        threads: false,
        ..Options::default()
    };
    Engine::open_on(Arc::new(held(disk.clone(), latch)), options)
}

type Row = (u64, String, Option<String>);

/// The rest of a listing from its `after` on, and whether it starts anew; `None`: it is refused.
fn listed(dataset: &Dataset, listing: &Listing) -> Option<(Vec<Row>, bool)> {
    let since = listing.since.get();
    if since > dataset.sync_count && dataset.sync_count > 0 {
        return None;
    }
    let deleted_since = since > 0 && since < dataset.floor;
    let since = if deleted_since { 0 } else { since };
    let snapshot = listing.snapshot.map_or(u64::MAX, SyncCount::get);
    let after = listing.after.as_ref();
    let after = after.map(|(count, key): &(SyncCount, RecordKey)| (count.get(), key.as_str()));
    let mut rows: Vec<_> = dataset
        .records
        .iter()
        .map(|(key, (value, count))| (*count, key.clone(), value.clone()))
        .filter(|(count, key, _)| {
            let behind = after.is_none_or(|after| (*count, key.as_str()) > after);
            behind && *count > since && *count <= snapshot
        })
        .collect();
    rows.sort_unstable();
    Some((rows, deleted_since))
}

/// The datasets that a follower knows of.
fn told(model: &Model) -> Vec<(&syncline_engine::DatasetId, &Dataset)> {
    let datasets = model.datasets.iter();
    datasets
        .filter(|(_, dataset)| dataset.sync_count > 0)
        .collect()
}

fn config() -> Config {
    let cases = std::env::var("PROPTEST_CASES").map_or(64, |cases| cases.parse().unwrap());
    Config {
        cases,
        max_shrink_iters: 5_000,
        ..Config::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_store_shows_what_the_model_shows(steps in steps()) {
        let mut scene = Scene::new();
        for step in &steps {
            scene.step(step)?;
        }
        scene.model().compare(&scene.engine).map_err(fail)?;
        scene.step(&Step::Feed { from: 0, behind: 0 })?;
        scene.step(&Step::Close)?;
        scene.step(&Step::Feed { from: 0, behind: 0 })?;
    }
}
