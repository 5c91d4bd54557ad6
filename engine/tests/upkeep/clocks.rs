//! Clocks that were wrong keep nothing longer than they should.

use std::path::PathBuf;

use syncline_engine::Engine;

use crate::scene::{HOUR, MINUTE, Scene, check, dataset, delete, fill, filler, long, write};

/// How far the clock is ahead while it is wrong.
const WRONG: u64 = 1000 * 24 * HOUR;

fn write_and_delete(engine: &Engine, number: u32, value: &str) {
    let id = dataset(1, number, "data");
    write(engine, &id, "key", &long(value));
    delete(engine, &id);
}

/// Longer than anything deleted may stay, with a write in every hour.
fn a_day_passes(scene: &Scene, engine: &Engine) {
    for hour in 0..26 {
        filler(engine, hour);
        scene.pass(engine, HOUR);
    }
}

#[test]
fn a_clock_that_was_ahead_does_not_keep_things_until_it_is_right() {
    let scene = Scene::new(u64::MAX / 2);
    let engine = scene.open();
    fill(&engine, 60, 0);
    scene.clock_forward(WRONG);
    write_and_delete(&engine, 500, "very-secret-value");
    scene.clock_back(WRONG);
    // Times of commits never go back, and so all that follow bear the wrong one, too.
    a_day_passes(&scene, &engine);
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
    scene.clock_forward(WRONG);
    delete(&engine, &first);
    scene.pass(&engine, 30 * MINUTE);
    scene.clock_back(WRONG);
    write_and_delete(&engine, 501, "very-secret-value");
    scene.pass(&engine, 26 * HOUR);
    assert_eq!(scene.holding(b"very-secret"), [] as [PathBuf; 0]);
    check(&engine, 30, 0);
}

#[test]
fn a_sweep_begun_by_a_clock_that_was_ahead_is_not_the_last() {
    let scene = Scene::new(u64::MAX / 2);
    let engine = scene.open();
    fill(&engine, 60, 0);
    let secret = dataset(1, 501, "data");
    write(&engine, &secret, "key", &long("very-secret-value"));
    scene.pass(&engine, 26 * HOUR);
    write_and_delete(&engine, 500, "first-value");
    // The clock is wrong for an hour, in which a sweep is due by it.
    scene.clock_forward(WRONG);
    scene.pass(&engine, HOUR);
    scene.clock_back(WRONG);
    delete(&engine, &secret);
    a_day_passes(&scene, &engine);
    assert_eq!(scene.holding(b"very-secret"), [] as [PathBuf; 0]);
}

#[test]
fn a_clock_that_is_put_right_in_two_steps_keeps_nothing_until_it_is_right() {
    let scene = Scene::new(u64::MAX / 2);
    let engine = scene.open();
    fill(&engine, 60, 0);
    scene.clock_forward(WRONG);
    write_and_delete(&engine, 500, "very-secret-value");
    scene.clock_back(WRONG / 2);
    engine.maintain().unwrap();
    scene.clock_back(WRONG / 2);
    a_day_passes(&scene, &engine);
    assert_eq!(scene.holding(b"very-secret"), [] as [PathBuf; 0]);
}
