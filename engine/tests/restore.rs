//! Clients of a store that was restored: those that are ahead of it, and those that are not.

#![allow(clippy::unwrap_used)]

mod data;

use std::sync::Arc;

use data::dataset as id;
use syncline_engine::disk::{Disk, SimDisk};
use syncline_engine::{
    BackupOptions, DatasetId, Engine, Error, FeedChange, Listed, Listing, ModifiedBy, Options,
    Outcome, Refusal, RestoreOptions, SyncCount, Wish, restore_on,
};

fn open(disk: &SimDisk) -> Engine {
    let options = Options {
        segment_bytes: 64 << 10,
        // Nothing stays in memory, so that all is read as it lies on the disk.
        cache_bytes: 0,
        checkpoint_bytes: 1 << 20,
        threads: false,
        ..Options::default()
    };
    Engine::open_on(Arc::new(disk.clone()), options).unwrap()
}

fn write(engine: &Engine, dataset: &DatasetId, key: &str, seen: u64) -> Result<u64, String> {
    let patch = data::patch(key, seen, Some("value"));
    match engine.commit(data::update(dataset, vec![patch])) {
        Ok(receipt) => match &receipt.outcomes[0] {
            Outcome::Updated { sync_count, .. } => Ok(sync_count.get()),
            other => panic!("{other:?}"),
        },
        Err(Error::Refusal(refusal)) => Err(refusal.to_string()),
        Err(other) => panic!("{other}"),
    }
}

fn delete(engine: &Engine, dataset: &DatasetId) {
    let wish = Wish::DeleteDataset {
        dataset: dataset.clone(),
        modified_by: ModifiedBy::Owner,
    };
    engine.commit(wish).unwrap();
}

fn list(engine: &Engine, dataset: &DatasetId, since: u64) -> Result<Listed, Error> {
    let listing = Listing {
        since: SyncCount::new(since).unwrap(),
        ..Listing::default()
    };
    engine.reader().list(dataset, &listing)
}

fn keys(listed: &Listed) -> Vec<&str> {
    listed.records().map(|record| record.key.as_str()).collect()
}

fn shared(disk: &SimDisk) -> Arc<dyn Disk> {
    Arc::new(disk.clone())
}

/// The store as it was at a backup of it now, in its place.
fn backup(engine: &Engine) -> SimDisk {
    let target = SimDisk::new(2);
    let options = BackupOptions::default();
    engine.backup_on(&shared(&target), &options).unwrap();
    target
}

fn restore(backup: &SimDisk) -> (SimDisk, Engine, u64) {
    let target = SimDisk::new(3);
    let options = RestoreOptions::default();
    let told = restore_on(&shared(backup), &shared(&target), &options).unwrap();
    let engine = open(&target);
    (target, engine, told.lifted_to.get())
}

/// A client that saw counts which were lost gets everything anew.
fn is_told_all_anew(engine: &Engine, dataset: &DatasetId, since: u64, all: &[&str]) {
    let listed = list(engine, dataset, since).unwrap();
    assert!(listed.deleted_since, "{dataset} since {since}");
    assert_eq!(keys(&listed), all, "{dataset} since {since}");
    assert!(listed.sync_count.get() > since);
}

/// A client that saw nothing of what was lost goes on.
fn goes_on(engine: &Engine, dataset: &DatasetId, since: u64, news: &[&str]) {
    let listed = list(engine, dataset, since).unwrap();
    assert!(!listed.deleted_since, "{dataset} since {since}");
    assert_eq!(keys(&listed), news, "{dataset} since {since}");
}

/// Datasets with a past: one that lives (a, b, c at counts 1, 2, 3), one that was deleted at 2.
fn store() -> (SimDisk, Engine, DatasetId, DatasetId) {
    let disk = SimDisk::new(1);
    let engine = open(&disk);
    let (lives, deleted) = (id(1, "lives"), id(1, "deleted"));
    for (key, seen) in [("a", 0), ("b", 0), ("c", 0)] {
        write(&engine, &lives, key, seen).unwrap();
    }
    write(&engine, &deleted, "x", 0).unwrap();
    delete(&engine, &deleted);
    (disk, engine, lives, deleted)
}

/// What is asked of a restored store before anything is written to it, and after it was moved
/// about.
fn ask(engine: &Engine, lives: &DatasetId, deleted: &DatasetId, lifted: u64) {
    for lost in [4, 5, 1000, lifted - 1] {
        is_told_all_anew(engine, lives, lost, &["a", "b", "c"]);
        is_told_all_anew(engine, deleted, lost, &[]);
    }
    goes_on(engine, lives, 0, &["a", "b", "c"]);
    goes_on(engine, lives, 1, &["b", "c"]);
    goes_on(engine, lives, 3, &[]);
    goes_on(engine, lives, lifted, &[]);
    goes_on(engine, deleted, 2, &[]);
    goes_on(engine, deleted, lifted, &[]);
    assert!(list(engine, deleted, 1).unwrap().deleted_since);
    for dataset in [lives, deleted] {
        let beyond = list(engine, dataset, lifted + 1).unwrap_err();
        let never = matches!(beyond, Error::Refusal(Refusal::NoSuchSyncCount(_)));
        assert!(never, "nobody was ever given that count: {beyond}");
    }
}

#[test]
fn a_client_that_is_ahead_gets_everything_anew_and_others_go_on() {
    let (_disk, engine, lives, deleted) = store();
    let safe = backup(&engine);
    // The lost future: what clients saw, and the store will not know.
    write(&engine, &lives, "a", 1).unwrap();
    write(&engine, &lives, "lost", 0).unwrap();
    write(&engine, &deleted, "lost", 0).unwrap();
    let (unknown, stranger) = (id(1, "unknown"), id(9, "stranger"));
    write(&engine, &unknown, "lost", 0).unwrap();
    write(&engine, &stranger, "lost", 0).unwrap();
    drop(engine);

    let (disk, engine, lifted) = restore(&safe);
    assert!(lifted > 1 << 36);
    ask(&engine, &lives, &deleted, lifted);
    for dataset in [&unknown, &stranger] {
        is_told_all_anew(&engine, dataset, 1, &[]);
        goes_on(&engine, dataset, 0, &[]);
    }
    // The same from checkpoints, cold segments and another opening.
    engine.compact().unwrap();
    ask(&engine, &lives, &deleted, lifted);
    engine.purge().unwrap();
    ask(&engine, &lives, &deleted, lifted);
    drop(engine);
    let engine = open(&disk);
    ask(&engine, &lives, &deleted, lifted);

    // Patches with what was lost conflict, each with a count that the client can learn from.
    let conflict = |key, seen| write(&engine, &lives, key, seen).unwrap_err();
    let words = |key, is, not| format!("Current SyncCount for: {key} is: {is} not: {not}");
    assert_eq!(conflict("a", 4), words("a", 1, 4));
    assert_eq!(conflict("lost", 5), words("lost", 0, 5));
    assert_eq!(conflict("new", 5), words("new", 0, 5));
    let stale = |dataset| write(&engine, dataset, "lost", 3).unwrap_err();
    assert_eq!(stale(&deleted), words("lost", 0, 3));
    assert_eq!(stale(&unknown), words("lost", 0, 3));
    assert_eq!(stale(&stranger), words("lost", 0, 3));
}

#[test]
fn a_client_that_is_not_ahead_writes_as_usual_and_no_count_comes_twice() {
    let (_disk, engine, lives, deleted) = store();
    let safe = backup(&engine);
    drop(engine);
    let (disk, engine, lifted) = restore(&safe);
    assert_eq!(write(&engine, &lives, "a", 1), Ok(lifted + 1));
    assert_eq!(write(&engine, &lives, "new", 3), Ok(lifted + 2));
    assert_eq!(write(&engine, &lives, "newer", lifted), Ok(lifted + 3));
    assert_eq!(write(&engine, &deleted, "y", 2), Ok(lifted + 1));
    let unknown = id(1, "unknown");
    assert_eq!(write(&engine, &unknown, "z", 0), Ok(lifted + 1));
    let all = ["b", "c", "a", "new", "newer"];
    let check = |engine: &Engine| {
        for lost in [4, lifted - 1] {
            is_told_all_anew(engine, &lives, lost, &all);
            is_told_all_anew(engine, &deleted, lost, &["y"]);
            is_told_all_anew(engine, &unknown, lost, &["z"]);
        }
        goes_on(engine, &lives, 3, &["a", "new", "newer"]);
        goes_on(engine, &lives, lifted + 1, &["new", "newer"]);
        goes_on(engine, &deleted, 2, &["y"]);
        goes_on(engine, &deleted, lifted, &["y"]);
    };
    check(&engine);
    let rewritten = Wish::Republish {
        dataset: lives.clone(),
    };
    engine.commit(rewritten).unwrap();
    check(&engine);
    engine.compact().unwrap();
    check(&engine);
    engine.purge().unwrap();
    check(&engine);
    drop(engine);
    check(&open(&disk));
}

#[test]
fn what_is_deleted_copied_and_made_again_after_a_restore_keeps_out_what_was_lost() {
    let (_disk, engine, lives, _) = store();
    let safe = backup(&engine);
    drop(engine);
    let (disk, engine, lifted) = restore(&safe);
    let copy = id(2, "copy");
    engine
        .commit(Wish::CopyDataset {
            from: lives.clone(),
            to: copy.clone(),
        })
        .unwrap();
    is_told_all_anew(&engine, &copy, 7, &["a", "b", "c"]);
    delete(&engine, &lives);
    is_told_all_anew(&engine, &lives, 3, &[]);
    is_told_all_anew(&engine, &lives, 5, &[]);
    goes_on(&engine, &lives, lifted + 1, &[]);
    assert_eq!(write(&engine, &lives, "d", lifted + 1), Ok(lifted + 2));
    is_told_all_anew(&engine, &lives, 5, &["d"]);
    let DatasetId { pool, identity, .. } = copy;
    let mut feed = engine.feed(engine.head()).unwrap();
    engine
        .commit(Wish::DeleteIdentity { pool, identity })
        .unwrap();
    let told = &feed.read().unwrap()[0].changes;
    let [
        FeedChange::DeletedIdentity {
            pool: told_pool,
            identity: told_identity,
            datasets,
        },
    ] = &told[..]
    else {
        panic!("{told:?}");
    };
    assert_eq!((told_pool, told_identity), (&pool, &identity));
    assert!(datasets.iter().any(|(name, _)| *name == copy.name));
    is_told_all_anew(&engine, &copy, 7, &[]);
    engine.compact().unwrap();
    drop(engine);
    let engine = open(&disk);
    is_told_all_anew(&engine, &lives, 5, &["d"]);
    is_told_all_anew(&engine, &copy, 7, &[]);
    assert_eq!(write(&engine, &copy, "anew", 0), Ok(lifted + 1));
}

#[test]
fn a_restore_of_a_restored_store_lifts_higher() {
    let (_disk, engine, lives, deleted) = store();
    let safe = backup(&engine);
    drop(engine);
    let (_, engine, first) = restore(&safe);
    assert_eq!(write(&engine, &lives, "d", first), Ok(first + 1));
    let safe = backup(&engine);
    // The second lost future.
    assert_eq!(write(&engine, &lives, "e", first + 1), Ok(first + 2));
    drop(engine);
    let (_, engine, second) = restore(&safe);
    assert!(second > first + (1 << 36));
    let all = ["a", "b", "c", "d"];
    for lost in [4, 1000, first - 1, first + 2, second - 1] {
        is_told_all_anew(&engine, &lives, lost, &all);
        is_told_all_anew(&engine, &deleted, lost, &[]);
    }
    goes_on(&engine, &lives, 3, &["d"]);
    goes_on(&engine, &lives, second, &[]);
    // Between the two lifts a dataset remembers no more than that something was lost: safe, if
    // more than needed.
    is_told_all_anew(&engine, &lives, first + 1, &all);
    assert_eq!(write(&engine, &lives, "d", first + 1), Ok(second + 1));
    let lost = write(&engine, &lives, "e", first + 2).unwrap_err();
    assert!(lost.contains("is: 0 not"), "{lost}");
}
