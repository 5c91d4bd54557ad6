//! Everything at once: writers, futures that are dropped, a follower, readers of old cursors, a
//! tiny cache and tiny segments, deletions, and a close under load.

#![allow(clippy::unwrap_used)]

mod data;

use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use syncline_engine::{
    Cursor, DatasetId, Engine, Error, Fault, FeedChange, Listing, ModifiedBy, Options, Receipt,
    Record, Sequence, SyncCount, Wish,
};

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }
}

fn dataset(pool: u64, identity: u64, name: u64) -> DatasetId {
    data::dataset_of(pool, identity, &format!("dataset-{name}"))
}

fn any_dataset(random: &mut Random) -> DatasetId {
    dataset(random.below(2), random.below(3), random.below(3))
}

fn open(directory: &std::path::Path) -> Engine {
    let options = Options {
        cache_bytes: 64 << 10,
        segment_bytes: 64 << 10,
        // The cleaner is at work all the time.
        checkpoint_bytes: 64 << 10,
        feed_retention_bytes: 1 << 20,
        ..Options::default()
    };
    Engine::open(directory, options).unwrap()
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

fn wish(engine: &Engine, random: &mut Random) -> Wish {
    let dataset = any_dataset(random);
    let modified_by = ModifiedBy::Owner;
    match random.below(60) {
        0 => Wish::DeletePool { pool: dataset.pool },
        1 | 2 => Wish::DeleteIdentity {
            pool: dataset.pool,
            identity: dataset.identity,
        },
        3..6 => Wish::DeleteDataset {
            dataset,
            modified_by,
        },
        6..10 => {
            let key = format!("key-{}", random.below(5));
            data::put(key, vec![1; usize::try_from(random.below(3000)).unwrap()])
        }
        _ => {
            let key = format!("key-{}", random.below(60));
            let value = "z".repeat(usize::try_from(random.below(400)).unwrap());
            let value = (random.below(4) > 0).then_some(value);
            let patches = data::patches(engine, &dataset, [(key, value)]);
            data::update(&dataset, patches)
        }
    }
}

/// Submits a wish in one of the ways there are.
fn submit(engine: &Engine, random: &mut Random, wish: Wish) -> Vec<Result<Receipt, Error>> {
    match random.below(4) {
        0 => match engine.commit_future(wish.into()) {
            Ok(future) if random.below(3) == 0 => {
                drop(future);
                Vec::new()
            }
            Ok(future) => vec![block_on(future)],
            Err(proposal) => vec![engine.commit(proposal)],
        },
        1 => engine.commit_all(vec![wish.clone().into(), wish.into()]),
        _ => vec![engine.commit(wish)],
    }
}

/// Writes until the store is closed; the highest sequence that was acknowledged.
fn write(engine: &Engine, seed: u64, acknowledged: &AtomicU64) {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    loop {
        let wish = wish(engine, &mut random);
        for answer in submit(engine, &mut random, wish) {
            match answer {
                Ok(receipt) => {
                    acknowledged.fetch_max(receipt.sequence.get(), Ordering::Relaxed);
                }
                Err(Error::Refusal(_)) => {}
                Err(Error::Fault(Fault::Closed)) => return,
                Err(other) => panic!("{other}"),
            }
        }
    }
}

/// Follows the feed from its beginning until the store is closed: no commit is missing.
fn follow(engine: &Engine, start: Cursor) {
    // The log waits for whoever has a name.
    let mut feed = engine.feed(start).unwrap().named("follower");
    let mut counts: HashMap<DatasetId, u64> = HashMap::new();
    let mut last = 0;
    loop {
        let commits = match feed.read() {
            Ok(commits) => commits,
            Err(Error::Fault(Fault::Closed)) => return,
            Err(other) => panic!("{other}"),
        };
        if commits.is_empty() {
            let _ = feed.wait(Duration::from_millis(20));
        }
        for commit in commits {
            assert!(commit.cursor.sequence.get() > last);
            last = commit.cursor.sequence.get();
            for change in commit.changes {
                let mut count = |dataset: DatasetId, sync_count: SyncCount| {
                    let before = counts.insert(dataset, sync_count.get()).unwrap_or(0);
                    assert_eq!(before + 1, sync_count.get());
                };
                match change {
                    FeedChange::Updated {
                        dataset,
                        sync_count,
                        records,
                        ..
                    } => {
                        assert_eq!(records.len(), 1);
                        count(dataset, sync_count);
                    }
                    FeedChange::DeletedDataset {
                        dataset,
                        sync_count,
                        ..
                    } => count(dataset, sync_count),
                    FeedChange::DeletedIdentity { pool, identity, .. } => {
                        counts.retain(|id, _| (id.pool, id.identity) != (pool, identity));
                    }
                    FeedChange::DeletedPool { pool } => counts.retain(|id, _| id.pool != pool),
                    FeedChange::Whole { dataset, .. } => panic!("nobody wrote {dataset} again"),
                }
            }
        }
    }
}

/// Reads in every way until the store is closed.
fn read(engine: &Engine) {
    let mut random = Random(77);
    loop {
        let head = engine.head();
        let sequence = random.below(head.sequence.get() + 1);
        let old = Cursor {
            sequence: Sequence::new(sequence),
            ..head
        };
        let mut feed = engine.feed(old).unwrap();
        match feed.read() {
            Ok(commits) => {
                let first = commits.first();
                assert!(first.is_none_or(|first| first.cursor.sequence.get() > sequence));
            }
            Err(Error::Fault(Fault::Closed)) => return,
            Err(other) => panic!("{other}"),
        }
        let _ = contents(engine);
        match engine
            .resident_reader()
            .list(&dataset(0, 0, 0), &Listing::default())
        {
            Ok(_) | Err(Error::NotResident) => {}
            Err(other) => panic!("{other}"),
        }
        engine.reader().scan(b"", None, 100).unwrap();
    }
}

/// Everything that the store shows.
fn contents(engine: &Engine) -> Vec<(DatasetId, u64, Vec<Record>)> {
    let mut contents = Vec::new();
    for at in 0..18 {
        let id = dataset(at / 9, at / 3 % 3, at % 3);
        let listed = engine.reader().list(&id, &Listing::default()).unwrap();
        let records = listed.records().map(|record| record.to_record()).collect();
        contents.push((id, listed.sync_count.get(), records));
    }
    contents
}

#[test]
fn nothing_is_lost_and_nobody_hangs() {
    for round in 0..3 {
        let directory = tempfile::tempdir().unwrap();
        let engine = open(directory.path());
        let (start, acknowledged) = (engine.head(), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for writer in 0..8 {
                let (engine, acknowledged) = (&engine, &acknowledged);
                scope.spawn(move || write(engine, round * 8 + writer + 1, acknowledged));
            }
            scope.spawn(|| follow(&engine, start));
            scope.spawn(|| read(&engine));
            while engine.head().sequence.get() < 400 {
                std::thread::yield_now();
            }
            engine.close().unwrap();
        });
        assert_eq!(engine.stats().waiting, 0);
        let (shown, head) = (contents(&engine), engine.head());
        assert!(head.sequence.get() >= acknowledged.load(Ordering::Relaxed));
        drop(engine);
        let engine = open(directory.path());
        assert!(engine.recovery().clean);
        assert_eq!(engine.head(), head);
        assert_eq!(contents(&engine), shown);
        for usage in engine.reader().pools(None, 10) {
            let identities = engine.reader().identities(&usage.pool, None, 100);
            let sum: u64 = identities.iter().map(|identity| identity.bytes).sum();
            assert_eq!(sum, usage.bytes);
        }
    }
}
