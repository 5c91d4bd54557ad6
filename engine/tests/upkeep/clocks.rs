//! Clocks that were wrong keep nothing longer than they should.

use std::path::PathBuf;

use crate::scene::{HOUR, MINUTE, Scene, check, dataset, delete, fill, filler, long, write};

#[test]
fn a_clock_that_was_ahead_does_not_keep_things_until_it_is_right() {
    let scene = Scene::new(u64::MAX / 2);
    let engine = scene.open();
    fill(&engine, 60, 0);
    let secret = dataset(1, 500, "data");
    scene.clock_forward(1000 * 24 * HOUR);
    write(&engine, &secret, "key", &long("very-secret-value"));
    delete(&engine, &secret);
    scene.clock_back(1000 * 24 * HOUR);
    // Times of commits never go back, and so all that follow bear the wrong one, too.
    for hour in 0..26 {
        filler(&engine, hour);
        scene.pass(&engine, HOUR);
    }
    assert_eq!(scene.holding(b"very-secret"), [] as [PathBuf; 0]);
    let kept = scene.files("hot").len();
    assert!(kept > 2, "what is younger than the retention stays: {kept}");
    check(&engine, 60, 0);
}

#[test]
fn a_clock_that_was_ahead_during_a_round_stops_neither_rotation_nor_sweeps() {
    let scene = Scene::new(u64::MAX / 2);
    let engine = scene.open();
    fill(&engine, 30, 0);
    let first = dataset(1, 500, "data");
    write(&engine, &first, "key", &long("first-value"));
    scene.clock_forward(1000 * 24 * HOUR);
    delete(&engine, &first);
    scene.pass(&engine, 30 * MINUTE);
    scene.clock_back(1000 * 24 * HOUR);
    let secret = dataset(1, 501, "data");
    write(&engine, &secret, "key", &long("very-secret-value"));
    delete(&engine, &secret);
    scene.pass(&engine, 26 * HOUR);
    assert_eq!(scene.holding(b"very-secret"), [] as [PathBuf; 0]);
    check(&engine, 30, 0);
}

#[test]
fn a_sweep_begun_by_a_clock_that_was_ahead_is_not_the_last() {
    let scene = Scene::new(u64::MAX / 2);
    let engine = scene.open();
    fill(&engine, 60, 0);
    let first = dataset(1, 500, "data");
    let secret = dataset(1, 501, "data");
    write(&engine, &secret, "key", &long("very-secret-value"));
    scene.pass(&engine, 26 * HOUR);
    write(&engine, &first, "key", &long("first-value"));
    delete(&engine, &first);
    // The clock is wrong for an hour, in which a sweep is due by it.
    scene.clock_forward(1000 * 24 * HOUR);
    scene.pass(&engine, HOUR);
    scene.clock_back(1000 * 24 * HOUR);
    delete(&engine, &secret);
    for hour in 0..26 {
        filler(&engine, hour);
        scene.pass(&engine, HOUR);
    }
    assert_eq!(scene.holding(b"very-secret"), [] as [PathBuf; 0]);
}

#[test]
fn a_clock_that_is_put_right_in_two_steps_keeps_nothing_until_it_is_right() {
    let scene = Scene::new(u64::MAX / 2);
    let engine = scene.open();
    fill(&engine, 60, 0);
    let secret = dataset(1, 500, "data");
    scene.clock_forward(1000 * 24 * HOUR);
    write(&engine, &secret, "key", &long("very-secret-value"));
    delete(&engine, &secret);
    scene.clock_back(500 * 24 * HOUR);
    engine.maintain().unwrap();
    scene.clock_back(500 * 24 * HOUR);
    for hour in 0..26 {
        filler(&engine, hour);
        scene.pass(&engine, HOUR);
    }
    assert_eq!(scene.holding(b"very-secret"), [] as [PathBuf; 0]);
}
