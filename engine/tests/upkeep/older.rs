//! Older checkpoints: crashes, damage and a full disk while there are some.

use std::path::PathBuf;
use std::sync::Arc;

use syncline_engine::disk::{Call, Failure};
use syncline_engine::{Engine, check_on};

use crate::scene::{
    HOUR, MINUTE, Scene, backup, check, dataset, delete, fill, filler, long, restored_at, update,
    write,
};

#[test]
fn what_is_deleted_goes_in_time_though_the_sweep_found_nothing_to_do() {
    let scene = Scene::new(u64::MAX / 2);
    let engine = scene.open();
    fill(&engine, 10, 0);
    engine.compact().unwrap();
    let secret = dataset(1, 500, "data");
    write(&engine, &secret, "key", &long("very-secret-value"));
    delete(&engine, &secret);
    scene.clock_forward(10 * MINUTE);
    let clock = dataset(1, 400, "data");
    let mut stayed = 0;
    for hour in 0..60 {
        write(&engine, &clock, "hour", &hour.to_string());
        scene.pass(&engine, HOUR);
        if !scene.holding(b"very-secret").is_empty() {
            stayed = hour + 1;
        }
    }
    assert!(stayed <= 25, "it was there for {stayed} hours");
}

#[test]
fn a_checkpoint_whose_name_did_not_last_goes_with_a_purge() {
    let scene = Scene::new(u64::MAX / 2);
    let engine = scene.open();
    fill(&engine, 30, 0);
    let secret = dataset(1, 500, "very-secret-name");
    write(&engine, &secret, "key", "value");
    scene.disk.fail_chosen_once(Failure::Io, |path, call| {
        path.starts_with("checkpoint") && call == Call::SyncDirectory
    });
    engine.compact().unwrap_err();
    engine.compact().unwrap();
    delete(&engine, &secret);
    engine.purge().unwrap();
    assert_eq!(scene.holding(b"very-secret"), [] as [PathBuf; 0]);
    assert_eq!(scene.files("checkpoint").len(), 2);
}

#[test]
fn a_backup_does_not_promise_what_only_a_forgotten_checkpoint_names() {
    let scene = Scene::new(128 << 10);
    let engine = scene.open();
    fill(&engine, 60, 0);
    engine.compact().unwrap();
    fill(&engine, 60, 1);
    scene.disk.fail_chosen_once(Failure::Io, |path, call| {
        path.starts_with("checkpoint") && call == Call::SyncDirectory
    });
    engine.compact().unwrap_err();
    for generation in 2..5 {
        fill(&engine, 60, generation);
        engine.compact().unwrap();
    }
    drop(engine);
    let disk = scene.disk.restart();
    let scene = Scene { disk, ..scene };
    let engine = scene.open();
    let (target, made) = backup(&engine);
    drop(restored_at(&target, made.earliest.get()));
}

fn with_history(scene: &Scene, engine: &Engine, hours: u32) {
    fill(engine, 1500, 0);
    for hour in 0..hours {
        for number in 0..8 {
            filler(engine, (hour * 8 + number) % 300);
        }
        for number in 0..20 {
            let id = dataset(number % 3, (hour * 20 + number) % 1500, "data");
            write(engine, &id, "key-0", &format!("{hour}"));
        }
        scene.pass(engine, HOUR);
    }
}

/// Fills the disk until a write is refused; after so many minutes of upkeep one must be taken.
fn full_disk_for(scene: &Scene, engine: &Engine, minutes: u32) {
    scene.disk.set_capacity(Some(scene.bytes() + (70 << 10)));
    let full = (0..100).any(|number| {
        let id = dataset(2, 3000 + number, "more");
        let wish = update(&id, "key", &"x".repeat(9000));
        engine.commit(wish).is_err()
    });
    assert!(full);
    for _ in 0..minutes {
        scene.clock_forward(MINUTE);
        let _ = engine.maintain();
    }
    write(engine, &dataset(2, 4000, "more"), "key", &"x".repeat(9000));
}

#[test]
fn older_checkpoints_give_way_when_writes_are_refused() {
    let scene = Scene::new(u64::MAX / 2);
    let engine = scene.open();
    with_history(&scene, &engine, 48);
    let garbage = engine.upkeep().garbage_bytes;
    assert!(scene.files("checkpoint").len() > 2 && garbage > 130_000);
    full_disk_for(&scene, &engine, 12);
}

#[test]
fn an_older_checkpoint_that_cannot_be_read_stops_no_opening() {
    let scene = Scene::new(u64::MAX / 2);
    let engine = scene.open();
    fill(&engine, 60, 0);
    for hour in 0..40 {
        filler(&engine, hour);
        scene.pass(&engine, HOUR);
    }
    let kept = scene.files("checkpoint");
    assert!(kept.len() > 3);
    drop(engine);
    let disk = scene.disk.restart();
    let bad = scene.files("checkpoint")[0].clone();
    disk.fail_chosen(Failure::Io, move |path, call| {
        path == bad && call == Call::Read
    });
    let scene = Scene { disk, ..scene };
    let engine = scene.open();
    check(&engine, 60, 0);
}

#[test]
fn older_checkpoints_give_way_when_writes_are_refused_and_nothing_is_due() {
    let scene = Scene::new(u64::MAX / 2);
    let engine = scene.open();
    with_history(&scene, &engine, 30);
    scene.pass(&engine, 6 * HOUR);
    for hour in 0..19 {
        for number in 0..8 {
            filler(&engine, (hour * 8 + number) % 300);
        }
        scene.pass(&engine, HOUR);
    }
    let length = |path: &PathBuf| scene.disk.live_bytes(path).unwrap().len();
    let sizes: Vec<_> = scene.files("checkpoint").iter().map(length).collect();
    assert!(sizes.len() > 2);
    full_disk_for(&scene, &engine, 120);
}

#[test]
fn what_older_checkpoints_keep_makes_no_new_ones() {
    let written = [true, false].map(|history| {
        let scene = Scene::new(u64::MAX / 2);
        let engine = scene.open();
        fill(&engine, 1500, 0);
        for number in 0..200 {
            write(
                &engine,
                &dataset(0, number, "data"),
                "key",
                &"x".repeat(40_000),
            );
        }
        for hour in 0..60 {
            for number in 0..2 {
                write(
                    &engine,
                    &dataset(0, (hour * 2 + number) % 200, "data"),
                    "key",
                    &"y".repeat(20_000),
                );
            }
            scene.pass(&engine, HOUR);
        }
        for number in 0..60 {
            write(
                &engine,
                &dataset(0, number % 200, "data"),
                "key",
                &"z".repeat(20_000),
            );
        }
        scene.pass(&engine, 23 * HOUR);
        if !history {
            engine.compact().unwrap();
        }
        let before = engine.upkeep();
        scene.clock_forward(2 * HOUR);
        engine.maintain().unwrap();
        let after = engine.upkeep();
        assert!(!history || before.garbage_bytes > 2 * before.checkpoint_bytes);
        (
            after.retired - before.retired,
            after.checkpoints - before.checkpoints,
        )
    });
    assert_eq!(written[0], written[1], "with history, and without");
}

#[test]
fn a_backup_right_after_a_crash_holds_everything() {
    let mut crashes = 0;
    for at in 1.. {
        let scene = Scene::new(u64::MAX / 2);
        let engine = scene.open();
        scene.disk.crash_at(at);
        for number in 0..20 {
            let wish = update(&dataset(2, number, "data"), "key", &"x".repeat(9000));
            if engine.commit(wish).is_err() {
                break;
            }
        }
        if !scene.disk.is_off() {
            break;
        }
        crashes += 1;
        std::mem::forget(engine);
        let disk = scene.disk.reboot(at);
        let scene = Scene { disk, ..scene };
        let engine = scene.open();
        let (_, made) = backup(&engine);
        assert_eq!(made.sequence, engine.head().sequence, "crash at {at}");
    }
    assert!(crashes > 20);
}

#[test]
fn damaged_checkpoints_in_every_combination() {
    let build = || {
        let scene = Scene::new(u64::MAX / 2);
        let engine = scene.open();
        fill(&engine, 40, 0);
        for hour in 0..40 {
            for number in 0..3 {
                filler(&engine, (hour * 3 + number) % 60);
            }
            scene.pass(&engine, HOUR);
        }
        let head = engine.head().sequence;
        drop(engine);
        let disk = scene.disk.restart();
        (Scene { disk, ..scene }, head)
    };
    let count = build().0.files("checkpoint").len();
    assert!(count > 3);
    for offset in [20, 4000] {
        for which in 0..1_u32 << count {
            let (scene, head) = build();
            let files = scene.files("checkpoint");
            for (at, path) in files.iter().enumerate() {
                if which & (1 << at) != 0 {
                    scene.disk.flip_bit(path, offset, 3);
                }
            }
            if which == (1 << count) - 1 {
                continue;
            }
            let engine = scene.open();
            assert_eq!(engine.head().sequence, head);
            check(&engine, 40, 0);
            for round in 0..4 {
                let (target, made) = backup(&engine);
                for sequence in [made.earliest, made.sequence] {
                    drop(restored_at(&target, sequence.get()));
                }
                scene.clock_forward(6 * MINUTE);
                filler(&engine, 80 + round);
                engine.maintain().unwrap();
            }
            check(&engine, 40, 0);
        }
    }
}

/// Some writes every hour, until a crash.
fn hours(scene: &Scene, hours: u32) -> Engine {
    let engine = scene.open();
    fill(&engine, 40, 0);
    for hour in 0..hours {
        for number in 0..3 {
            let id = dataset(2, 1000 * hour + number, "filler");
            let _ = engine.commit(update(&id, "key", &format!("{hour:9000}")));
        }
        for _ in 0..12 {
            scene.clock_forward(5 * MINUTE);
            let _ = engine.maintain();
        }
        if scene.disk.is_off() {
            break;
        }
    }
    engine
}

#[test]
fn after_a_crash_a_backup_keeps_what_it_promises() {
    let calls = [36, 44].map(|until| {
        let scene = Scene::new(u64::MAX / 2);
        drop(hours(&scene, until));
        scene.disk.calls()
    });
    let [begin, end] = calls;
    for at in (begin..end).step_by(usize::try_from((end - begin) / 60 + 1).unwrap()) {
        let scene = Scene::new(u64::MAX / 2);
        scene.disk.crash_at(at);
        std::mem::forget(hours(&scene, 44));
        let disk = scene.disk.reboot(at);
        let checked = check_on(Arc::new(disk.if_power_failed(1)), |_| {}).unwrap();
        assert!(checked.problems.is_empty(), "{at}: {:?}", checked.problems);
        let scene = Scene { disk, ..scene };
        let engine = scene.open();
        for _ in 0..3 {
            let (target, made) = backup(&engine);
            let (first, last) = (made.earliest.get(), made.sequence.get());
            for sequence in [first, first.midpoint(last), last] {
                check(&restored_at(&target, sequence), 40, 0);
            }
            scene.clock_forward(6 * MINUTE);
            engine.maintain().unwrap();
        }
    }
}
