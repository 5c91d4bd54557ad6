//! Backups and restores: what is restored is the store at one commit, whatever went on meanwhile,
//! and whatever became of the store later.

#![allow(clippy::unwrap_used)]
#![allow(
    dead_code,
    reason = "the model and the workload serve more tests than these"
)]

#[path = "../data/mod.rs"]
mod data;
mod dropped;
#[path = "../hooked/mod.rs"]
mod hooked;
#[path = "../crash/model.rs"]
mod model;
mod running;
#[path = "../crash/workload.rs"]
mod workload;

use std::sync::Arc;

use model::Model;
use syncline_engine::disk::{Disk, SimDisk};
use syncline_engine::{
    BackupOptions, Engine, Error, Fault, Refusal, RestoreOptions, Restored, Sequence, SyncCount,
    restore_on,
};
use workload::{Random, proposal};

fn open(disk: &SimDisk) -> Result<Engine, Error> {
    Engine::open_on(Arc::new(disk.clone()), data::tiny())
}

fn shared(disk: &SimDisk) -> Arc<dyn Disk> {
    Arc::new(disk.clone())
}

/// A store with a past, and the model after each of its commits.
struct Past {
    disk: SimDisk,
    engine: Engine,
    random: Random,
    models: Vec<Model>,
    /// Commits between two rounds of the cleaner.
    calm: u64,
}

impl Past {
    fn new(seed: u64, commits: usize) -> Self {
        let disk = SimDisk::new(seed);
        let mut past = Self {
            engine: open(&disk).unwrap(),
            disk,
            random: Random::new(seed),
            models: vec![Model::default()],
            calm: 8,
        };
        past.go_on(commits);
        past
    }

    fn go_on(&mut self, commits: usize) {
        let until = self.models.len() + commits;
        while self.models.len() < until {
            let last = self.models.last().unwrap();
            let proposal = proposal(&mut self.random, last);
            let next = last.after(&proposal);
            let answer = self.engine.commit(proposal);
            assert_eq!(answer.is_ok(), next.is_some(), "{answer:?}");
            self.models.extend(next);
            if self.random.below(self.calm) == 0 {
                self.engine.maintain().unwrap();
            }
        }
    }

    fn backup(&self) -> SimDisk {
        let target = SimDisk::new(7);
        let made = self
            .engine
            .backup_on(&shared(&target), &BackupOptions::default())
            .unwrap();
        assert_eq!(made.sequence, self.engine.head().sequence);
        target
    }
}

fn restored(backup: &SimDisk, sequence: Option<u64>) -> Result<(SimDisk, Engine, Restored), Error> {
    let target = SimDisk::new(8);
    let options = RestoreOptions {
        sequence: sequence.map(Sequence::new),
        ..RestoreOptions::default()
    };
    let told = restore_on(&shared(backup), &shared(&target), &options)?;
    let engine = open(&target)?;
    Ok((target, engine, told))
}

/// What a restored store shows: the same, with higher counts.
fn lifted(model: &Model, to: SyncCount) -> Model {
    let mut lifted = model.clone();
    for dataset in lifted.datasets.values_mut() {
        dataset.sync_count = dataset.sync_count.max(to.get());
    }
    lifted
}

#[test]
fn a_backup_is_the_store_at_its_last_commit() {
    for seed in 0..6 {
        let mut past = Past::new(seed, 150);
        let backup = past.backup();
        past.go_on(150);
        past.engine.purge().unwrap();
        let (_, engine, told) = restored(&backup, None).unwrap();
        assert_eq!(told.sequence.get(), 150);
        lifted(&past.models[150], told.lifted_to)
            .compare(&engine)
            .unwrap();
        assert_ne!(engine.head().store, past.engine.head().store);
        let foreign = engine.feed(past.engine.tail()).err().unwrap();
        assert!(matches!(foreign, Error::Refusal(Refusal::ForeignCursor)));
    }
}

#[test]
fn a_backup_is_restored_to_every_commit_that_it_reaches_and_to_no_other() {
    for seed in 10..13 {
        let mut past = Past::new(seed, 450);
        past.calm = u64::MAX;
        past.go_on(150);
        let target = SimDisk::new(7);
        let made = past
            .engine
            .backup_on(&shared(&target), &BackupOptions::default())
            .unwrap();
        let earliest = made.earliest.get();
        assert!(earliest > 0, "the log no longer reaches back: {earliest}");
        assert!(earliest <= 450, "{earliest}");
        let early = restored(&target, Some(earliest - 1)).err().unwrap();
        assert_eq!(
            early.to_string(),
            format!(
                "sequence: the backup begins with {earliest}, behind {}",
                earliest - 1
            )
        );
        let late = restored(&target, Some(601)).err().unwrap();
        assert!(late.to_string().contains("ends with 600"), "{late}");
        for sequence in (earliest..=600).step_by(7).chain([599, 600]) {
            let (disk, engine, told) = restored(&target, Some(sequence)).unwrap();
            let model = &past.models[usize::try_from(sequence).unwrap()];
            lifted(model, told.lifted_to).compare(&engine).unwrap();
            drop(engine);
            let engine = open(&disk).unwrap();
            engine.compact().unwrap();
            lifted(model, told.lifted_to).compare(&engine).unwrap();
        }
    }
}

#[test]
fn a_young_store_is_restored_to_any_commit() {
    let past = Past::new(3, 20);
    let backup = past.backup();
    for sequence in 0..=20 {
        let (_, engine, told) = restored(&backup, Some(sequence)).unwrap();
        let model = &past.models[usize::try_from(sequence).unwrap()];
        lifted(model, told.lifted_to).compare(&engine).unwrap();
    }
}

#[test]
fn an_empty_store_and_a_purged_one_can_be_backed_up() {
    let past = Past::new(1, 0);
    let (_, engine, _) = restored(&past.backup(), None).unwrap();
    assert_eq!(engine.head().sequence.get(), 0);
    let past = Past::new(1, 80);
    past.engine.purge().unwrap();
    let (_, engine, told) = restored(&past.backup(), None).unwrap();
    lifted(&past.models[80], told.lifted_to)
        .compare(&engine)
        .unwrap();
}

#[test]
fn a_crash_during_a_backup_harms_nothing_and_leaves_no_half_backup() {
    let calls = {
        let past = Past::new(21, 60);
        let target = SimDisk::new(7);
        let options = BackupOptions::default();
        past.engine.backup_on(&shared(&target), &options).unwrap();
        target.calls()
    };
    assert!(calls > 20, "{calls}");
    for at in 1..=calls {
        let past = Past::new(21, 60);
        let target = SimDisk::new(at);
        target.crash_at(at);
        let made = past
            .engine
            .backup_on(&shared(&target), &BackupOptions::default());
        past.models[60].compare(&past.engine).unwrap();
        let left = target.reboot(at);
        match restored(&left, None) {
            Ok((_, engine, told)) => {
                let found = lifted(&past.models[60], told.lifted_to).compare(&engine);
                found.unwrap_or_else(|why| panic!("crash at {at}: {why}"));
            }
            Err(Error::Refusal(Refusal::Invalid(why))) => {
                assert!(made.is_err(), "crash at {at}: {why}");
                assert!(
                    left.files().is_empty() || open(&left).is_err(),
                    "crash at {at}: a half backup is no store"
                );
            }
            Err(other) => panic!("crash at {at}: {other}"),
        }
    }
}

#[test]
fn a_crash_of_the_store_during_a_backup_loses_nothing() {
    let before = Past::new(22, 60).disk.calls();
    let after = {
        let past = Past::new(22, 60);
        past.backup();
        past.disk.calls()
    };
    assert!(after > before);
    for at in before..=after {
        let past = Past::new(22, 60);
        past.disk.crash_at(at - before + 1);
        let options = BackupOptions::default();
        let _ = past.engine.backup_on(&shared(&SimDisk::new(7)), &options);
        let engine = open(&past.disk.reboot(at)).unwrap();
        past.models[60].compare(&engine).unwrap();
    }
}

#[test]
fn a_crash_during_a_restore_leaves_no_half_store() {
    let past = Past::new(23, 120);
    let backup = past.backup();
    let calls = restored(&backup, None).unwrap().0.calls();
    for at in 1..=calls {
        let target = SimDisk::new(at);
        target.crash_at(at);
        let made = restore_on(
            &shared(&backup),
            &shared(&target),
            &RestoreOptions::default(),
        );
        let left = target.reboot(at);
        if left.files().is_empty() {
            assert!(made.is_err(), "crash at {at}");
            continue;
        }
        match open(&left) {
            Ok(engine) => {
                let to = made.map_or_else(|_| lifted_to(&engine, &past), |made| made.lifted_to);
                let found = lifted(&past.models[120], to).compare(&engine);
                found.unwrap_or_else(|why| panic!("crash at {at}: {why}"));
            }
            Err(error) => {
                assert!(made.is_err(), "crash at {at}: {error}");
                assert!(error.to_string().contains("not finished"), "{error}");
            }
        }
    }
    // The backup is as it was.
    restored(&backup, None).unwrap();
}

/// The count to which a store was lifted whose restore did not live to tell.
fn lifted_to(engine: &Engine, past: &Past) -> SyncCount {
    let (id, dataset) = past.models[120].datasets.iter().next().unwrap();
    let listing = syncline_engine::Listing::default();
    let listed = engine.reader().list(id, &listing).unwrap();
    assert!(listed.sync_count.get() > dataset.sync_count + (1 << 32));
    listed.sync_count
}

#[test]
fn a_damaged_backup_is_refused_with_the_file_and_the_place() {
    let past = Past::new(24, 300);
    let backup = past.backup();
    let mut random = Random::new(5);
    let mut refused = 0;
    for file in backup.files() {
        let bytes = backup.live_bytes(&file).unwrap_or_default().len();
        if bytes == 0 {
            continue;
        }
        for _ in 0..12 {
            let damaged = backup.restart();
            let offset = usize::try_from(random.below(bytes as u64)).unwrap();
            damaged.flip_bit(&file, offset, u32::try_from(random.below(8)).unwrap());
            match restored(&damaged, None) {
                // What nothing rests on: STORE is made anew, padding and dead frames mean nothing.
                Ok((_, engine, told)) => lifted(&past.models[300], told.lifted_to)
                    .compare(&engine)
                    .unwrap(),
                Err(Error::Fault(Fault::Corrupt { path, .. } | Fault::Version { path, .. })) => {
                    assert_eq!(path, file);
                    refused += 1;
                }
                Err(other) => panic!("{} at {offset}: {other}", file.display()),
            }
        }
        let shorter = backup.restart();
        shorter.truncate(&file, bytes - 1);
        let is_root = file.as_os_str() == "STORE";
        let answer = restored(&shorter, None);
        assert_eq!(answer.is_ok(), is_root, "{} cut", file.display());
    }
    assert!(refused > 50, "{refused}");
}
