//! Bugs that were found by reading, each told by the test that shows it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use syncline_engine::disk::{Call, Failure};
use syncline_engine::{
    DatasetId, Engine, Expected, MetadataKey, ModifiedBy, Proposal, Scope, Wish,
};

use crate::scene::{
    HOUR, MINUTE, Scene, check, dataset, delete, fill, filler, long, put, update, value_of, write,
};

fn secretly(engine: &Engine) -> DatasetId {
    fill(engine, 30, 1);
    let secret = dataset(1, 500, "data");
    write(engine, &secret, "secret-key", &long("very-secret-value"));
    put(engine, "secret/metadata", b"very-secret-metadata");
    for number in 0..100 {
        write(
            engine,
            &dataset(2, 600 + number, "data"),
            "k",
            &"y".repeat(1500),
        );
    }
    secret
}

#[test]
fn what_was_deleted_goes_though_its_name_is_in_use_again() {
    // The sweep asked only whether the name was known.
    let scene = Scene::new(u64::MAX / 2);
    let engine = scene.open();
    let secret = secretly(&engine);
    scene.pass(&engine, 26 * HOUR);
    let wishes = vec![
        Wish::DeleteDataset {
            dataset: secret.clone(),
            modified_by: ModifiedBy::Owner,
        },
        Wish::DeleteMetadata {
            key: MetadataKey::new(&b"secret/metadata"[..]).unwrap(),
            expected: Expected::Something,
        },
    ];
    let proposal = Proposal {
        wishes,
        ..Proposal::default()
    };
    engine.commit(proposal).unwrap();
    scene.pass(&engine, 5 * MINUTE);
    engine.commit(update(&secret, "other", "harmless")).unwrap();
    put(&engine, "secret/metadata", b"harmless");
    scene.pass(&engine, 25 * HOUR);
    assert_eq!(scene.holding(b"very-secret"), [] as [PathBuf; 0]);
    assert_eq!(
        value_of(&engine, &secret, "other").as_deref(),
        Some("harmless")
    );
}

#[test]
fn a_purge_takes_out_what_was_replaced_after_it_had_moved() {
    // Segments were left alone in which every name was still known.
    let scene = Scene::new(u64::MAX / 2);
    let engine = scene.open();
    let secret = secretly(&engine);
    scene.pass(&engine, 26 * HOUR);
    write(&engine, &secret, "secret-key", "harmless");
    put(&engine, "secret/metadata", b"harmless");
    assert!(!scene.holding(b"very-secret").is_empty());
    engine.purge().unwrap();
    assert_eq!(scene.holding(b"very-secret"), [] as [PathBuf; 0]);
}

#[test]
fn a_pool_that_is_deleted_under_an_export_stops_nothing() {
    // What the export kept counted as living, and cleaning took it for corruption.
    let scene = Scene::new(u64::MAX / 2);
    let engine = scene.open();
    fill(&engine, 30, 1);
    scene.pass(&engine, 26 * HOUR);
    let position = engine.export(Scope::All).unwrap().suspend();
    let pool = dataset(0, 0, "data").pool;
    engine.commit(Wish::DeletePool { pool }).unwrap();
    scene.pass(&engine, 72 * HOUR);
    let all = engine.resume_export(&position).unwrap();
    assert!(all.map(Result::unwrap).count() > 60);
    scene.pass(&engine, 2 * HOUR);
    assert_eq!(scene.holding(b"1-9-2-1-9-2"), [] as [PathBuf; 0]);
}

#[test]
fn a_checkpoint_that_could_not_be_removed_is_removed_by_opening() {
    // Opening kept it for ever, with the names of what was deleted.
    let scene = Scene::new(128 << 10);
    let engine = scene.open();
    fill(&engine, 30, 1);
    engine.compact().unwrap();
    fill(&engine, 30, 2);
    scene.disk.fail_chosen_once(Failure::Io, |path, call| {
        path.starts_with("checkpoint") && format!("{call:?}").starts_with("Remove")
    });
    engine.compact().unwrap_err();
    let disk = scene.disk.restart();
    std::mem::forget(engine);
    let scene = Scene { disk, ..scene };
    let engine = scene.open();
    engine.purge().unwrap();
    assert_eq!(scene.files("checkpoint").len(), 2);
    check(&engine, 30, 2);
}

#[test]
fn a_frame_that_does_not_hold_stops_retention_and_nothing_else() {
    // One error ended every round before checkpoints were written.
    let scene = Scene::new(128 << 10);
    let engine = scene.open();
    fill(&engine, 30, 1);
    scene.disk.flip_bit("hot/00000001.log", 30_000, 3);
    for generation in 2..22 {
        fill(&engine, 30, generation);
        let _ = engine.maintain();
    }
    let upkeep = engine.upkeep();
    let trouble = upkeep.trouble.expect("it is told").to_string();
    assert!(trouble.contains("hot/00000001.log"), "{trouble}");
    assert!(upkeep.checkpoints > 0, "checkpoints go on");
    check(&engine, 30, 21);
}

#[test]
fn a_disk_that_is_nearly_full_is_left_by_cleaning() {
    // Each round spent the last bytes on a new file before it let old ones go.
    for spare in [400, 800, 1500] {
        let scene = Scene::new(u64::MAX / 2);
        let engine = scene.open();
        fill(&engine, 300, 1);
        scene.clock_forward(25 * HOUR);
        scene.disk.set_capacity(Some(scene.bytes() + (spare << 10)));
        for _ in 0..100 {
            scene.clock_forward(6 * MINUTE);
            let _ = engine.maintain();
        }
        let upkeep = engine.upkeep();
        assert!(upkeep.trouble.is_none(), "{spare} KiB: {upkeep:?}");
        assert_eq!(upkeep.garbage_bytes, 0, "{spare} KiB");
        check(&engine, 300, 1);
    }
}

#[test]
fn a_slow_reader_does_not_hold_the_log_when_the_disk_is_nearly_full() {
    // Holds knew of `pin_bytes` alone, and writes were refused while there was log to release.
    let scene = Scene::new(128 << 10);
    let engine = scene.open();
    let start = engine.head();
    let slow = engine.feed(start).unwrap().named("slow");
    fill(&engine, 100, 1);
    engine.maintain().unwrap();
    assert!(engine.feed(start).unwrap().read().is_ok(), "it is held");
    scene.disk.set_capacity(Some(scene.bytes() + (160 << 10)));
    engine.maintain().unwrap();
    assert!(engine.feed(start).unwrap().read().is_err());
    drop(slow);
    check(&engine, 100, 1);
}

#[test]
fn what_was_written_in_bulk_is_moved_without_reading_it_for_each_part() {
    // Every one of the changes cost reading all of them.
    let scene = Scene::new(64 << 10);
    let engine = scene.open();
    let ids: Vec<_> = (0..600).map(|number| dataset(1, number, "data")).collect();
    let wishes = ids.iter().map(|id| update(id, "key", &"bulk".repeat(20)));
    let proposal = Proposal {
        wishes: wishes.collect(),
        ..Proposal::default()
    };
    engine.commit(proposal).unwrap();
    fill(&engine, 100, 1);
    let reads = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&reads);
    scene.disk.fail_chosen_once(Failure::Io, move |path, call| {
        if call == Call::Read && path.ends_with("00000001.log") {
            counted.fetch_add(1, Ordering::Relaxed);
        }
        false
    });
    engine.maintain().unwrap();
    assert!(engine.upkeep().retired > 0);
    for id in &ids {
        assert_eq!(value_of(&engine, id, "key"), Some("bulk".repeat(20)));
    }
    let reads = reads.load(Ordering::Relaxed);
    assert!(reads < 400, "{reads} reads");
}

#[test]
fn a_frame_that_does_not_hold_stops_no_sweep_of_other_segments() {
    let scene = Scene::new(u64::MAX / 2);
    let engine = scene.open();
    fill(&engine, 100, 0);
    let secret = dataset(1, 5000, "data");
    write(&engine, &secret, "key", &long("very-secret-value"));
    for number in 0..60 {
        filler(&engine, number);
    }
    scene.pass(&engine, 26 * HOUR);
    let cold = scene.files("cold");
    let held = scene.holding(b"very-secret");
    assert!(cold.len() > 2 && !held.contains(&cold[0]), "{held:?}");
    assert!(held.iter().all(|path| path.starts_with("cold")), "{held:?}");
    scene.disk.flip_bit(&cold[0], 30_000, 3);
    delete(&engine, &secret);
    for _ in 0..26 * 12 {
        scene.clock_forward(5 * MINUTE);
        let _ = engine.maintain();
    }
    assert_eq!(scene.holding(b"very-secret"), [] as [PathBuf; 0]);
}
