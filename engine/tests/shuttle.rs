//! The hand-over between callers, the log thread, the cleaner and those who follow the feed, in
//! many orders of their steps: nobody hangs, every submission is answered once, nobody sees or is
//! told what is not durable.
//!
//! Runs with `--features shuttle`. `SYNCLINE_SHUTTLE_RUNS` is the number of orders that each test
//! tries with each of two schedulers (100), `SYNCLINE_SHUTTLE_SEED` repeats them.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod data;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use shuttle::future::block_on;
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::thread::{self, JoinHandle};
use shuttle::{Config, Runner};
use syncline_engine::disk::{Call, Failure, SimDisk};
use syncline_engine::{
    Cursor, DatasetId, Engine, Error, Fault, Feed, FeedChange, FeedCommit, Listing, MetadataKey,
    Options, Proposal, Receipt, Refusal,
};

/// Longer than any test lasts.
const LONG: Duration = Duration::from_secs(3600);

/// Tries orders of a scene's steps.
fn explore(name: &str, scene: fn()) {
    let number = |name: &str| std::env::var(name).ok().map(|value| value.parse().unwrap());
    let runs = number("SYNCLINE_SHUTTLE_RUNS").unwrap_or(100);
    let seed = number("SYNCLINE_SHUTTLE_SEED").unwrap_or(20_260_101);
    println!("{name}: seed {seed}, {runs} orders by chance and {runs} by priorities");
    let runs = usize::try_from(runs).unwrap();
    run(RandomScheduler::new_from_seed(seed, runs), scene);
    run(PctScheduler::new_from_seed(seed, 4, runs), scene);
}

fn run(scheduler: impl Scheduler + 'static, scene: fn()) {
    let mut config = Config::new();
    // What the engine needs, as the smallest stacks of the scheduler do not do.
    config.stack_size = 512 << 10;
    Runner::new(scheduler, config).run(scene);
}

fn open(disk: &SimDisk) -> Engine {
    let options = Options {
        threads: true,
        ..data::tiny()
    };
    Engine::open_on(Arc::new(disk.clone()), options).unwrap()
}

fn dataset(number: u32) -> DatasetId {
    data::dataset(1, &format!("dataset-{number}"))
}

/// Writes one key of a dataset, seen at a count.
fn update(number: u32, key: &str, bytes: usize, seen: u64) -> Proposal {
    let value = key.repeat(bytes / key.len() + 1);
    let patch = data::patch(key, seen, Some(&value));
    data::update(&dataset(number), vec![patch]).into()
}

/// How often a dataset was written, as a reader sees it now.
fn count(engine: &Engine, number: u32) -> u64 {
    let listed = engine.reader().list(&dataset(number), &Listing::default());
    listed.unwrap().sync_count.get()
}

fn spawn<T: Send + 'static>(
    engine: &Engine,
    run: impl FnOnce(&Engine) -> T + Send + 'static,
) -> JoinHandle<T> {
    let engine = engine.clone();
    thread::spawn(move || run(&engine))
}

/// Who was acknowledged sees it at once, and so does everyone who looks later.
fn seen(engine: &Engine, receipt: &Receipt, number: u32, at_least: u64) {
    assert!(engine.head().sequence >= receipt.sequence);
    assert!(count(engine, number) >= at_least);
}

#[test]
fn every_caller_is_answered_once_and_sees_what_it_was_told() {
    explore("callers", || {
        let disk = SimDisk::new(1);
        let engine = open(&disk);
        let callers: Vec<_> = (0..3)
            .map(|number| {
                spawn(&engine, move |engine| {
                    let mut sequences = Vec::new();
                    for seen_before in 0..3 {
                        let own = format!("key-{number}");
                        let shared = update(9, &own, 10, 0);
                        let receipt = engine.commit(update(number, "k", 10, seen_before)).unwrap();
                        seen(engine, &receipt, number, seen_before + 1);
                        sequences.push(receipt.sequence);
                        match engine.commit(shared) {
                            Ok(receipt) => {
                                assert_eq!(seen_before, 0, "the key has a count by then");
                                sequences.push(receipt.sequence);
                            }
                            Err(Error::Refusal(Refusal::Conflict { .. })) => {}
                            Err(error) => panic!("{error}"),
                        }
                    }
                    sequences
                })
            })
            .collect();
        let futures = spawn(&engine, |engine| {
            let proposals = [update(7, "f", 10, 0), update(8, "f", 10, 0)];
            let futures = proposals.map(|proposal| engine.commit_future(proposal).unwrap());
            futures.map(|future| block_on(future).unwrap().sequence)
        });
        let together = engine.commit_all(vec![update(6, "a", 10, 0), update(6, "b", 10, 0)]);
        let mut sequences: Vec<_> = callers
            .into_iter()
            .flat_map(|caller| caller.join().unwrap())
            .collect();
        sequences.extend(futures.join().unwrap());
        sequences.extend(together.into_iter().map(|answer| answer.unwrap().sequence));
        sequences.sort_unstable();
        let numbers: Vec<_> = sequences.iter().map(|sequence| sequence.get()).collect();
        assert_eq!(numbers, (1..=16).collect::<Vec<_>>());
        assert_eq!(engine.stats().waiting, 0);
        assert_eq!(count(&engine, 9), 3);
        engine.close().unwrap();
    });
}

#[test]
fn commits_and_reads_go_on_while_the_cleaner_moves_what_they_are_about() {
    explore("cleaner", || {
        let disk = SimDisk::new(2);
        let engine = open(&disk);
        for number in 0..3 {
            engine.commit(update(number, "k", 50_000, 0)).unwrap();
        }
        let key = MetadataKey::new(*b"metadata").unwrap();
        let put = |bytes: usize| data::put(*b"metadata", vec![7; bytes]);
        engine.commit(put(60_000)).unwrap();
        let writers: Vec<_> = (0..2)
            .map(|number| {
                spawn(&engine, move |engine| {
                    for seen_before in 1..4 {
                        let receipt = engine.commit(update(number, "k", 30_000, seen_before));
                        seen(engine, &receipt.unwrap(), number, seen_before + 1);
                    }
                })
            })
            .collect();
        let cleaners = [
            spawn(&engine, |engine| engine.maintain().unwrap()),
            spawn(&engine, |engine| engine.compact().unwrap()),
        ];
        let reader = spawn(&engine, move |engine| {
            let mut last = 0;
            for _ in 0..4 {
                let now = count(engine, 0);
                assert!(now >= last, "what was seen is not taken back");
                last = now;
                assert_eq!(count(engine, 2), 1);
                assert!(engine.reader().metadata(&key).unwrap().is_some());
                assert_eq!(engine.reader().scan(b"meta", None, 9).unwrap().len(), 1);
            }
        });
        writers
            .into_iter()
            .for_each(|writer| writer.join().unwrap());
        cleaners.into_iter().for_each(|one| one.join().unwrap());
        reader.join().unwrap();
        let purged = spawn(&engine, |engine| engine.purge().unwrap());
        engine.commit(update(2, "k", 100, 1)).unwrap();
        engine.commit(put(10)).unwrap();
        purged.join().unwrap();
        engine.close().unwrap();
        drop(engine);
        let engine = open(&disk.reboot(3));
        assert_eq!([0, 1, 2].map(|number| count(&engine, number)), [4, 4, 2]);
    });
}

/// What the feed tells of is what a reader sees.
fn shown(engine: &Engine, commit: &FeedCommit) {
    for change in &commit.changes {
        let FeedChange::Updated {
            dataset,
            sync_count,
            ..
        } = change
        else {
            panic!("nothing else was done");
        };
        let listed = engine.reader().list(dataset, &Listing::default());
        assert!(listed.unwrap().sync_count >= *sync_count);
    }
}

#[test]
fn followers_miss_nothing_and_are_woken() {
    explore("followers", || {
        let engine = open(&SimDisk::new(3));
        let start = engine.head();
        let blocking = spawn(&engine, move |engine| {
            let mut feed = engine.feed(start).unwrap().named("blocking");
            let mut told = Vec::new();
            while told.len() < 4 {
                // Time may run out first, by chance.
                let _ = feed.wait(LONG);
                let commits = feed.read().unwrap();
                commits.iter().for_each(|commit| shown(engine, commit));
                told.extend(commits);
            }
            told
        });
        let polling = spawn(&engine, move |engine| {
            let mut feed = engine.feed(start).unwrap();
            let mut told = Vec::new();
            while told.len() < 4 {
                block_on(feed.changed());
                told.extend(feed.read().unwrap());
            }
            told
        });
        let writers: Vec<_> = (0..2)
            .map(|number| {
                spawn(&engine, move |engine| {
                    engine.commit(update(number, "k", 10, 0)).unwrap();
                    let next = engine.commit_future(update(number, "k", 10, 1)).unwrap();
                    block_on(next).unwrap();
                })
            })
            .collect();
        writers
            .into_iter()
            .for_each(|writer| writer.join().unwrap());
        let told = blocking.join().unwrap();
        assert_eq!(told, polling.join().unwrap());
        for (at, commit) in (1..).zip(&told) {
            assert_eq!(commit.cursor.sequence.get(), at);
        }
        for number in 0..2 {
            let of = |change: &FeedChange| match change {
                FeedChange::Updated {
                    dataset: id,
                    sync_count,
                    ..
                } if *id == dataset(number) => Some(sync_count.get()),
                _ => None,
            };
            let changes = told.iter().flat_map(|commit| &commit.changes);
            assert_eq!(changes.filter_map(of).collect::<Vec<_>>(), [1, 2]);
        }
        engine.close().unwrap();
    });
}

#[test]
fn closing_answers_everyone_who_waits() {
    explore("close", || {
        let disk = SimDisk::new(4);
        let engine = open(&disk);
        let start = engine.head();
        let callers: Vec<_> = (0..2)
            .map(|number| {
                spawn(&engine, move |engine| {
                    let answers = [0, 1].map(|seen| engine.commit(update(number, "k", 10, seen)));
                    let done = answers.iter().filter(|answer| answer.is_ok()).count();
                    for answer in answers {
                        closed_or_done(answer);
                    }
                    done
                })
            })
            .collect();
        let future = spawn(&engine, |engine| {
            closed_or_done(block_on(
                engine.commit_future(update(5, "k", 10, 0)).unwrap(),
            ))
        });
        let followers = [
            spawn(&engine, move |engine| {
                follow(engine, start, |feed| _ = feed.wait(LONG))
            }),
            spawn(&engine, move |engine| {
                follow(engine, start, |feed| block_on(feed.changed()))
            }),
        ];
        let cleaner = spawn(&engine, |engine| closed_or_done(engine.compact()));
        let again = spawn(&engine, |engine| engine.close().unwrap());
        engine.close().unwrap();
        assert!(matches!(
            engine.commit(update(6, "k", 10, 0)),
            Err(Error::Fault(Fault::Closed))
        ));
        again.join().unwrap();
        cleaner.join().unwrap();
        let done: Vec<_> = callers
            .into_iter()
            .map(|c| c.join().unwrap() as u64)
            .collect();
        let by_future = future.join().unwrap();
        let told = followers.map(|follower| follower.join().unwrap());
        let all = done.iter().sum::<u64>() + u64::from(by_future);
        assert_eq!(told, [all, all], "followers read up to the end");
        drop(engine);
        let engine = open(&disk.reboot(5));
        assert!(engine.recovery().clean);
        for (number, done) in (0..).zip(done) {
            assert_eq!(count(&engine, number), done);
        }
    });
}

/// True if it was done before the store was closed.
fn closed_or_done<T>(answer: Result<T, Error>) -> bool {
    match answer {
        Ok(_) => true,
        Err(Error::Fault(Fault::Closed)) => false,
        Err(error) => panic!("{error}"),
    }
}

/// Follows the feed until the store is closed; says how many commits it was told of.
fn follow(engine: &Engine, start: Cursor, wait: impl Fn(&Feed)) -> u64 {
    let mut feed = engine.feed(start).unwrap();
    let mut told = 0;
    loop {
        match feed.read() {
            Ok(commits) => told += commits.len() as u64,
            Err(Error::Fault(Fault::Closed)) => return told,
            Err(error) => panic!("{error}"),
        }
        wait(&feed);
    }
}

#[test]
fn after_a_failed_sync_nobody_was_told_what_did_not_last() {
    explore("failed sync", || {
        let disk = SimDisk::new(6);
        let engine = open(&disk);
        engine.commit(update(0, "before", 10, 0)).unwrap();
        let left = AtomicU64::new(1);
        disk.fail_chosen(Failure::Io, move |path, call| {
            let log = path.extension().is_some_and(|extension| extension == "log");
            // One more sync of the log, then none.
            log && call == Call::Sync
                && left
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1))
                    .is_err()
        });
        let start = engine.head();
        // Whoever is first makes the others share a batch, most of which then conflict in it.
        let callers: Vec<_> = [2, 1, 1, 1]
            .map(|number| {
                spawn(&engine, move |engine| {
                    engine.commit(update(number, "k", 10, 0))
                })
            })
            .into();
        let follower = spawn(&engine, move |engine| {
            follow(engine, start, |feed| _ = feed.wait(LONG))
        });
        let (mut committed, mut conflicts) = ([0; 3], 0);
        for (caller, number) in callers.into_iter().zip([2, 1, 1, 1]) {
            match caller.join().unwrap() {
                Ok(_) => committed[number] += 1,
                // It tells that another one was committed.
                Err(Error::Refusal(Refusal::Conflict { .. })) => conflicts += 1,
                Err(Error::Fault(Fault::Io { .. } | Fault::Halted { .. })) => {}
                Err(error) => panic!("{error}"),
            }
        }
        let shown = [0, 1, 2].map(|number| count(&engine, number));
        let _ = engine.close();
        let told = follower.join().unwrap();
        drop(engine);
        disk.repair();
        for seed in 0..3 {
            let engine = open(&disk.if_power_failed(seed));
            let lasts = [0, 1, 2].map(|number| count(&engine, number));
            assert!((0..3).all(|at| lasts[at] >= committed[at] && lasts[at] >= shown[at]));
            assert!(lasts[1] + lasts[2] >= told);
            assert!(
                conflicts == 0 || lasts[1] == 1,
                "a refusal told what was lost"
            );
        }
    });
}
