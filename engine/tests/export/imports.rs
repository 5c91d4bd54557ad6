//! Imports: exact, fitted to what was there, checked, and whole commits across a crash.

use std::sync::Arc;

use syncline_engine::disk::SimDisk;
use syncline_engine::{
    Content, Engine, Error, Exported, FeedChange, Listing, ModifiedBy, Outcome, Records, Refusal,
    Scope, SyncCount, Timestamp, Wish,
};

use crate::common::{Clock, Copy, Dice, dataset, identity, import, open, pool, update, work};

fn worked(seed: u64, rounds: u64) -> (Engine, Clock) {
    let clock = Clock::new();
    let engine = open(&SimDisk::new(seed), &clock);
    let mut dice = Dice(seed);
    let mut pools = 3;
    for _ in 0..rounds {
        work(&engine, &mut dice, &mut pools);
        clock.wait(1 + dice.below(3_600_000));
    }
    (engine, clock)
}

fn told(engine: &Engine, scope: Scope) -> Vec<Exported> {
    engine.export(scope).unwrap().map(Result::unwrap).collect()
}

fn count(value: u64) -> SyncCount {
    SyncCount::new(value).unwrap()
}

#[test]
fn a_store_that_is_imported_is_the_store_that_was_exported() {
    for seed in 1..=10 {
        let (engine, clock) = worked(seed, 1500);
        // An identity that has forgotten names.
        for name in 100..180 {
            let id = dataset(50, 0, name);
            engine
                .commit(update(&engine, &id, &[(1, Some(1))]))
                .unwrap();
            let modified_by = ModifiedBy::Owner;
            engine
                .commit(Wish::DeleteDataset {
                    dataset: id,
                    modified_by,
                })
                .unwrap();
        }
        let expected = told(&engine, Scope::All);
        let disk = SimDisk::new(seed + 100);
        let other = open(&disk, &clock);
        for exported in expected.clone() {
            import(&other, exported).unwrap();
        }
        assert!(told(&other, Scope::All) == expected, "seed {seed}");
        let (a, b) = (engine.stats(), other.stats());
        assert_eq!(
            (a.datasets, a.bytes, a.identities),
            (b.datasets, b.bytes, b.identities)
        );
        // The log, a checkpoint and cold segments tell the same.
        clock.wait(48 * 3_600_000);
        other.compact().unwrap();
        other.close().unwrap();
        drop(other);
        let other = open(&disk, &clock);
        assert!(
            told(&other, Scope::All) == expected,
            "seed {seed}, opened again"
        );
        let disk = disk.if_power_failed(seed);
        assert!(told(&open(&disk, &clock), Scope::All) == expected);
    }
}

/// The power fails at every call of an import: what is there then is a prefix of it, and it can be
/// gone on with.
#[test]
fn a_crash_leaves_a_prefix() {
    let (engine, clock) = worked(3, 150);
    let all = told(&engine, Scope::All);
    let mut crashes = 0;
    for nth in (1..).step_by(7) {
        let disk = SimDisk::new(nth);
        let other = open(&disk, &clock);
        disk.crash_at(nth);
        let mut imported = 0;
        for exported in all.clone() {
            if import(&other, exported).is_err() {
                break;
            }
            imported += 1;
        }
        drop(other);
        if imported == all.len() {
            break;
        }
        crashes += 1;
        let other = open(&disk.reboot(nth), &clock);
        let found = Copy::of(&other, Scope::All);
        let prefix = (imported..=imported + 1).find(|&length| {
            let fresh = open(&SimDisk::new(1), &clock);
            all[..length]
                .iter()
                .cloned()
                .for_each(|exported| import(&fresh, exported).unwrap());
            Copy::of(&fresh, Scope::All) == found
        });
        let prefix = prefix.expect("what was acknowledged, and at most one more");
        for exported in all[prefix..].iter().cloned() {
            import(&other, exported).unwrap();
        }
        assert!(told(&other, Scope::All) == all, "crash {nth}");
    }
    assert!(crashes > 20, "only {crashes} crashes");
}

#[test]
fn one_identity_goes_to_another_store_or_another_name() {
    let (engine, clock) = worked(4, 900);
    let of_many = told(&engine, Scope::All)
        .into_iter()
        .find_map(|exported| match exported {
            Exported::Identity {
                pool,
                identity,
                deleted,
                ..
            } if deleted.len() > 1 => Some((pool, identity)),
            _ => None,
        });
    let owner = of_many.unwrap();
    let expected = told(&engine, Scope::Identity(owner.0, owner.1));
    assert!(expected.len() > 2);
    let other = open(&SimDisk::new(41), &clock);
    for exported in expected.clone() {
        import(&other, exported).unwrap();
    }
    assert!(told(&other, Scope::Identity(owner.0, owner.1)) == expected);

    let heir = identity(99);
    for exported in expected.clone() {
        let wish = match Wish::from(exported) {
            Wish::Import {
                mut dataset,
                content,
            } => {
                dataset.identity = heir;
                Wish::Import { dataset, content }
            }
            Wish::ImportIdentity {
                pool,
                modified,
                floor,
                deleted,
                ..
            } => Wish::ImportIdentity {
                pool,
                identity: heir,
                modified,
                floor,
                deleted,
            },
            wish => wish,
        };
        engine.commit(wish).unwrap();
    }
    let contents = |exported: &Exported| match exported {
        Exported::Dataset { dataset, content } => Some((dataset.name.clone(), content.clone())),
        _ => None,
    };
    let heirs = told(&engine, Scope::Identity(owner.0, heir));
    let [was, is] =
        [&expected, &heirs].map(|all| all.iter().filter_map(contents).collect::<Vec<_>>());
    assert!(was == is);
}

fn content(engine: &Engine) -> Content {
    for (keys, length) in [(1, 5), (2, 5), (3, 5)] {
        let wish = update(engine, &dataset(0, 0, 0), &[(keys, Some(length))]);
        engine.commit(wish).unwrap();
    }
    engine
        .commit(update(engine, &dataset(0, 0, 0), &[(1, None)]))
        .unwrap();
    let content = told(engine, Scope::All)
        .into_iter()
        .find_map(|exported| match exported {
            Exported::Dataset { content, .. } => Some(*content),
            _ => None,
        });
    content.unwrap()
}

#[test]
fn counts_that_were_issued_are_not_issued_again() {
    let engine = open(&SimDisk::new(8), &Clock::new());
    let content = content(&engine);
    assert_eq!((content.sync_count, content.records.len()), (count(4), 3));
    let target = dataset(0, 1, 0);
    let try_import = || {
        engine.commit(Wish::Import {
            dataset: target.clone(),
            content: Box::new(content.clone()),
        })
    };
    let delete = || Wish::DeleteDataset {
        dataset: target.clone(),
        modified_by: ModifiedBy::Owner,
    };
    // Used up to 2: the content's counts are newer, and who knows 1 or 2 reads everything.
    engine
        .commit(update(&engine, &target, &[(9, Some(1))]))
        .unwrap();
    assert!(
        matches!(try_import(), Err(Error::Refusal(Refusal::Invalid(_)))),
        "it exists"
    );
    engine.commit(delete()).unwrap();
    let cursor = engine.head();
    let Outcome::Imported(info) = &try_import().unwrap().outcomes[0] else {
        panic!("it was imported");
    };
    assert_eq!((info.sync_count, info.records), (count(4), 2));
    let since = |since| {
        let listing = Listing {
            since: count(since),
            ..Listing::default()
        };
        let listed = engine.reader().list(&target, &listing).unwrap();
        (listed.deleted_since, listed.records().count())
    };
    assert_eq!(since(1), (true, 3));
    assert_eq!(since(3), (false, 1));
    // Feeds tell all of it.
    let told = engine.feed(cursor).unwrap().read().unwrap();
    let FeedChange::Whole {
        records,
        sync_count,
        ..
    } = &told[0].changes[0]
    else {
        panic!("{told:?}");
    };
    let imported = Records::try_from(&content.records[..]).unwrap();
    assert_eq!((records, *sync_count), (&imported, count(4)));
    // Used up to 5: the count goes on from there, and tombstones are not needed.
    engine.commit(delete()).unwrap();
    try_import().unwrap();
    let listed = engine.reader().list(&target, &Listing::default()).unwrap();
    assert_eq!((listed.sync_count, listed.records().count()), (count(6), 2));
    assert_eq!(since(4), (true, 2));
    assert_eq!(since(5), (false, 0));
}

#[test]
fn what_does_not_fit_is_refused_and_changes_nothing() {
    let engine = open(&SimDisk::new(9), &Clock::new());
    let good = content(&engine);
    let before = told(&engine, Scope::All);
    let spoil: [fn(&mut Content); 9] = [
        |c| c.sync_count = SyncCount::ZERO,
        |c| c.sync_count = count(3),
        |c| c.floor = count(5),
        |c| c.records.swap(0, 1),
        |c| c.records[0].key = c.records[1].key.clone(),
        |c| c.records[0].sync_count = SyncCount::ZERO,
        |c| c.records[0].modified_by = ModifiedBy::Other("".into()),
        |c| c.modified_by = ModifiedBy::Other("x".repeat(1025).into()),
        |c| {
            c.gap = Some(syncline_engine::Gap {
                from: count(2),
                to: count(9),
            });
        },
    ];
    for (nth, spoil) in spoil.into_iter().enumerate() {
        let mut content = good.clone();
        spoil(&mut content);
        let wish = Wish::Import {
            dataset: dataset(0, 5, 0),
            content: Box::new(content),
        };
        assert!(wish.check_import().is_err(), "{nth}");
        let refused = engine.commit(wish);
        assert!(
            matches!(refused, Err(Error::Refusal(Refusal::Invalid(_)))),
            "{nth}: {refused:?}"
        );
    }
    let name = dataset(0, 5, 0).name;
    let wish = Wish::ImportIdentity {
        pool: pool(0),
        identity: identity(5),
        modified: good.modified,
        floor: count(1),
        deleted: vec![(name.clone(), count(1)), (name, count(2))],
    };
    assert!(wish.check_import().is_err());
    assert!(engine.commit(wish).is_err());
    assert!(told(&engine, Scope::All) == before);
    let engine = Arc::new(engine);
    let wish = Wish::Import {
        dataset: dataset(0, 5, 0),
        content: Box::new(good),
    };
    wish.check_import().unwrap();
    assert!(engine.commit(wish).is_ok());
}

#[test]
fn what_an_import_told_is_known_and_more_is_not() {
    let (engine, clock) = worked(3, 500);
    let other = open(&SimDisk::new(4), &clock);
    let told = told(&engine, Scope::All);
    for exported in told.clone() {
        import(&other, exported).unwrap();
    }
    let empty = open(&SimDisk::new(5), &clock);
    let (mut pools, mut identities) = (0, 0);
    for exported in told {
        let mut told = Wish::from(exported);
        let asked = matches!(told, Wish::ImportPool { .. } | Wish::ImportIdentity { .. });
        assert_eq!(other.reader().is_imported(&told), asked);
        assert!(!empty.reader().is_imported(&told));
        let later = |modified: &mut Timestamp| {
            *modified = Timestamp::new(modified.get() + 100_000_000_000).unwrap();
        };
        match &mut told {
            Wish::ImportPool { modified, .. } => {
                later(modified);
                pools += 1;
            }
            Wish::ImportIdentity { floor, deleted, .. } if deleted.is_empty() => {
                *floor = count(floor.get() + 1);
            }
            Wish::ImportIdentity { deleted, .. } => {
                deleted[0].1 = count(deleted[0].1.get() + 1);
                identities += 1;
            }
            _ => continue,
        }
        assert!(!other.reader().is_imported(&told));
    }
    assert!(pools > 0 && identities > 0);
}
