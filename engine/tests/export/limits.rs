//! Where exports end: memory, pinned files, a purge, too many of them; and that they take no more
//! than they say.

use std::sync::Arc;

use syncline_engine::disk::SimDisk;
use syncline_engine::limits::{CHANGES_PER_COMMIT_MAX, EXPORT_CHANGED_BYTES_MAX, EXPORTS_MAX};
use syncline_engine::{
    Engine, Error, Expected, MetadataKey, MetadataValue, Proposal, Refusal, Scope, Wish,
};

use crate::common::{Clock, Copy, dataset, open, pool, update};

fn is_overrun(error: &Error) -> bool {
    matches!(error, Error::Refusal(Refusal::ExportOverrun { .. }))
}

fn filled(disk: &SimDisk, clock: &Clock) -> Engine {
    let engine = open(disk, clock);
    for at in 0..600 {
        let wish = update(&engine, &dataset(0, at, 0), &[(1, Some(900))]);
        engine.commit(wish).unwrap();
    }
    engine
}

#[test]
fn too_much_that_changes_ends_an_export() {
    let engine = filled(&SimDisk::new(1), &Clock::new());
    let mut export = engine.export(Scope::All).unwrap();
    let mut small = engine.export(Scope::Pool(pool(0))).unwrap();
    assert!(export.next().unwrap().is_ok());
    let mut most = 0;
    for round in 0..5 {
        let put = |at| Wish::PutMetadata {
            key: MetadataKey::new(format!("{round}-{at:0>250}").into_bytes()).unwrap(),
            value: MetadataValue::new(&b"v"[..]).unwrap(),
            expected: Expected::Nothing,
        };
        let proposal = Proposal {
            wishes: (0..CHANGES_PER_COMMIT_MAX).map(put).collect(),
            ..Proposal::default()
        };
        engine.commit(proposal).unwrap();
        most = most.max(export.progress().changed_bytes);
    }
    assert!(most > 0 && most <= EXPORT_CHANGED_BYTES_MAX as u64);
    assert_eq!(
        export.progress().changed_bytes,
        0,
        "it lets go of what it kept"
    );
    let ends: Vec<_> = export.by_ref().filter_map(Result::err).collect();
    assert!(ends.len() == 1 && is_overrun(&ends[0]), "{ends:?}");
    assert!(export.next().is_none());
    // What an export does not tell of does not count for it.
    assert_eq!(small.progress().changed_bytes, 0);
    assert!(small.by_ref().all(|exported| exported.is_ok()));
}

/// What is changed behind an export is not kept for it, and what was is let go of as it goes on.
#[test]
fn memory_is_for_what_changed_and_was_not_told() {
    let engine = filled(&SimDisk::new(2), &Clock::new());
    let mut export = engine.export(Scope::All).unwrap();
    assert_eq!(export.progress().changed_bytes, 0);
    let change = |at| {
        let wish = update(&engine, &dataset(0, at, 0), &[(2, Some(9))]);
        engine.commit(wish).unwrap();
    };
    assert_eq!(export.by_ref().take(200).filter(Result::is_ok).count(), 200);
    (0..50).for_each(change);
    assert!(export.progress().changed_bytes < 1000);
    (500..600).for_each(change);
    let kept = export.progress().changed_bytes;
    assert!(kept > 100 * 100 && kept < 100 * 1000, "{kept} bytes");
    (500..600).for_each(change);
    assert_eq!(export.progress().changed_bytes, kept);
    assert!(export.by_ref().all(|exported| exported.is_ok()));
    assert_eq!(export.progress().changed_bytes, 0);
}

#[test]
fn files_beyond_the_bound_end_an_export() {
    let (disk, clock) = (SimDisk::new(3), Clock::new());
    let mut options = clock.options(false);
    options.pin_bytes = 100 << 10;
    let engine = Engine::open_on(Arc::new(disk.clone()), options).unwrap();
    let rewrite = |rounds| {
        for _ in 0..rounds {
            for at in 0..600 {
                let wish = update(&engine, &dataset(0, at, 0), &[(1, Some(900))]);
                engine.commit(wish).unwrap();
            }
            clock.wait(48 * 3_600_000);
            engine.compact().unwrap();
        }
    };
    rewrite(1);
    let mut export = engine.export(Scope::All).unwrap();
    assert!(export.next().unwrap().is_ok());
    rewrite(3);
    let error = export.find_map(Result::err).unwrap();
    assert!(is_overrun(&error), "{error}");
    // The next one, with nothing written meanwhile, is whole.
    assert_eq!(Copy::of(&engine, Scope::All).datasets.len(), 600);
}

#[test]
fn a_purge_ends_exports() {
    let engine = filled(&SimDisk::new(4), &Clock::new());
    let mut export = engine.export(Scope::All).unwrap();
    let position = engine.export(Scope::Pool(pool(0))).unwrap().suspend();
    assert!(export.next().unwrap().is_ok());
    engine.commit(Wish::DeletePool { pool: pool(0) }).unwrap();
    let purged = engine.purge().unwrap();
    assert!(purged.cut_off.is_empty());
    let error = export.find_map(Result::err).unwrap();
    assert!(is_overrun(&error), "{error}");
    let error = engine.resume_export(&position).err().unwrap();
    assert!(
        matches!(error, Error::Refusal(Refusal::ExportGone { .. })),
        "{error}"
    );
}

#[test]
fn exports_are_bounded_in_number() {
    let engine = filled(&SimDisk::new(5), &Clock::new());
    let mut running: Vec<_> = (0..EXPORTS_MAX)
        .map(|_| engine.export(Scope::All).unwrap())
        .collect();
    let busy = engine.export(Scope::All).err().unwrap();
    assert!(matches!(busy, Error::Refusal(Refusal::Busy)));
    let lags = engine.readers();
    assert_eq!(
        lags.len(),
        EXPORTS_MAX,
        "the refused one holds nothing: {lags:?}"
    );
    drop(running.pop());
    let again = engine.export(Scope::All).unwrap();
    assert_eq!(again.count(), 1 + 2 * 600);
    assert!(matches!(
        engine.export(Scope::Pool(pool(9))).err().unwrap(),
        Error::Refusal(Refusal::NoSuch(_))
    ));
}
