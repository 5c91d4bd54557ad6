//! Changed inputs for every decoder, without a fuzzer: what is in `engine/fuzz/corpus`, and many
//! inputs made of it by a seeded generator. Nothing panics, and nothing takes more memory than its
//! input allows.
//!
//! Runs with `--features fuzzing`. `SYNCLINE_FUZZ_RUNS` is the number of inputs for each target,
//! `SYNCLINE_FUZZ_SECONDS` how long to go on instead, `SYNCLINE_FUZZ_TARGET` the only target,
//! `SYNCLINE_FUZZ_SEED` repeats a run. An input that fails is written to the directory of
//! temporary files, and `SYNCLINE_FUZZ_INPUT` (with the target) runs it again.

#![allow(clippy::unwrap_used)]

mod mutate;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mutate::Mutator;
use peak_alloc::PeakAlloc;
use syncline_engine::fuzzing::{MEMORY_FACTOR, TARGETS, Target};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

fn corpus(target: &Target) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target.name)
}

fn set<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name)
        .ok()
        .and_then(|value| value.parse().ok())
}

/// Runs one input; says what is wrong.
fn check(target: &Target, input: &[u8]) -> Result<(), String> {
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    catch_unwind(AssertUnwindSafe(|| target.run(input))).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        format!("it panics: {}", text.unwrap_or_default())
    })?;
    let taken = MEMORY.peak_usage().saturating_sub(before);
    let allowed = target.memory + MEMORY_FACTOR * input.len();
    if taken > allowed {
        return Err(format!(
            "it takes {taken} bytes of memory, and {allowed} are allowed"
        ));
    }
    Ok(())
}

fn report(target: &Target, input: &[u8], what: &str, why: &str) -> String {
    let name = format!("syncline-{}-{:08x}", target.name, crc32fast::hash(input));
    let path = std::env::temp_dir().join(name);
    std::fs::write(&path, input).unwrap();
    format!(
        "{}, {what}: {why}; the input is {}",
        target.name,
        path.display()
    )
}

/// Runs the corpus and inputs made of it; gives how many, and what was found.
fn explore(target: &Target, seed: u64) -> (u64, Vec<String>) {
    let mut seeds = Vec::new();
    let mut found = Vec::new();
    for file in std::fs::read_dir(corpus(target)).unwrap() {
        let path = file.unwrap().path();
        let input = std::fs::read(&path).unwrap();
        if let Err(why) = check(target, &input) {
            found.push(report(target, &input, &path.display().to_string(), &why));
        }
        seeds.push((path, input));
    }
    assert!(!seeds.is_empty(), "{} has no corpus", target.name);
    seeds.sort_unstable();
    let seeds: Vec<_> = seeds.into_iter().map(|(_, input)| input).collect();
    let seconds = set("SYNCLINE_FUZZ_SECONDS").map(Duration::from_secs);
    let expensive = matches!(target.name, "directory" | "checkpoint" | "segment");
    let runs = set("SYNCLINE_FUZZ_RUNS").unwrap_or(if expensive { 1_000 } else { 20_000 });
    let (mut mutator, started, mut run) = (Mutator::new(seed), Instant::now(), 0);
    while seconds.map_or(run < runs, |seconds| started.elapsed() < seconds) {
        let input = mutator.input(&seeds);
        if let Err(why) = check(target, &input) {
            found.push(report(
                target,
                &input,
                &format!("seed {seed}, run {run}"),
                &why,
            ));
            if found.len() > 20 {
                break;
            }
        }
        run += 1;
    }
    (run + seeds.len() as u64, found)
}

#[test]
fn no_input_makes_a_decoder_panic_or_take_too_much_memory() {
    let only = set("SYNCLINE_FUZZ_TARGET").filter(|only: &String| !only.is_empty());
    let seed = set("SYNCLINE_FUZZ_SEED").unwrap_or(1);
    let mut found = Vec::new();
    for target in TARGETS {
        if only.as_ref().is_some_and(|only| only != target.name) {
            continue;
        }
        if let Some(path) = set::<PathBuf>("SYNCLINE_FUZZ_INPUT") {
            let input = std::fs::read(&path).unwrap();
            found.extend(check(target, &input).err());
            continue;
        }
        let (runs, bugs) = explore(target, seed);
        println!(
            "{}: {runs} inputs, seed {seed}, {} bad",
            target.name,
            bugs.len()
        );
        found.extend(bugs);
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// The corpus is what the store writes today, beside what was added by hand: `--ignored` writes it
/// anew after a change of the format.
#[test]
#[ignore = "it changes the corpus"]
fn write_the_corpus() {
    for target in TARGETS {
        std::fs::create_dir_all(corpus(target)).unwrap();
        for (at, seed) in target.seeds().iter().enumerate() {
            std::fs::write(corpus(target).join(format!("seed-{at:02}")), seed).unwrap();
        }
    }
}
