//! How far back a backup can be restored, what that costs, and that it keeps nothing too long.

use crate::scene::{
    HOUR, MINUTE, Scene, backup, check, dataset, delete, fill, filler, restored_at, value_of, write,
};

#[test]
fn a_backup_reaches_back_over_half_of_the_retention_and_more() {
    let scene = Scene::new(u64::MAX / 2);
    let engine = scene.open();
    fill(&engine, 60, 0);
    for number in 0..300 {
        filler(&engine, number);
    }
    // A little is written every hour; the value tells the hour.
    let clock = dataset(1, 400, "data");
    let mut hours = Vec::new();
    for hour in 0..100 {
        write(&engine, &clock, "hour", &hour.to_string());
        write(&engine, &dataset(2, hour % 60, "data"), "key-0", "patched");
        filler(&engine, hour);
        hours.push(engine.head().sequence);
        scene.pass(&engine, HOUR);
        assert!(scene.files("checkpoint").len() <= 6);
        if hour < 56 || hour % 7 != 0 {
            continue;
        }
        let (target, made) = backup(&engine);
        let earliest = made.earliest;
        let reached = hours.iter().filter(|at| **at >= earliest).count();
        assert!(reached >= 12, "{reached} hours at {hour}");
        assert!(reached <= 26, "{reached} hours at {hour}");
        for (at, sequence) in hours.iter().enumerate().filter(|(_, s)| **s >= earliest) {
            let restored = restored_at(&target, sequence.get());
            assert_eq!(
                value_of(&restored, &clock, "hour"),
                Some(at.to_string()),
                "{sequence}"
            );
        }
    }
}

#[test]
fn what_is_deleted_goes_in_time_though_older_checkpoints_are_kept() {
    let scene = Scene::new(u64::MAX / 2);
    let engine = scene.open();
    fill(&engine, 60, 0);
    let secret = dataset(1, 500, "data");
    write(&engine, &secret, "key", &"very-secret-value".repeat(50));
    let busy = |hours: u32| {
        for hour in 0..hours {
            filler(&engine, hour);
            scene.pass(&engine, HOUR);
        }
    };
    busy(60);
    assert!(scene.files("checkpoint").len() > 3);
    assert!(
        scene
            .holding(b"very-secret")
            .iter()
            .any(|path| path.starts_with("cold"))
    );
    delete(&engine, &secret);
    busy(25);
    assert_eq!(scene.holding(b"very-secret"), [] as [std::path::PathBuf; 0]);
    check(&engine, 60, 0);
}

#[test]
fn older_checkpoints_go_when_they_keep_too_much() {
    let scene = Scene::new(128 << 10);
    let engine = scene.open();
    for generation in 0..8 {
        fill(&engine, 60, generation);
        scene.pass(&engine, 10 * MINUTE);
    }
    let live = engine.stats().bytes + 60 * (4 * 25 + 200 + 220);
    let allowed = live * 3 / 2 + scene.retention_bytes + 6 * (64 << 10) + 2 * (64 << 10);
    assert!(scene.bytes() <= allowed, "{} > {allowed}", scene.bytes());
}
