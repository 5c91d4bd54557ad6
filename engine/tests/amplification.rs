//! How many bytes the log takes for each byte that a client writes, before cleaning, and how many
//! frames a cold read then visits.
//!
//! The bounds are those of the policy in `page/reach.rs`, a few percent above what it reaches; the
//! updates follow a seed, so a figure is the same in every run.

// The figures are worth seeing: `cargo test --test amplification -- --nocapture`.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod data;

use std::sync::Arc;

use data::{dataset, patch, update};
use syncline_engine::disk::{Call, SimDisk, Traced};
use syncline_engine::limits::CHAIN_LINKS_MAX;
use syncline_engine::{DatasetId, Engine, Listing, Options, Timestamp};

/// Bytes of a key: `key-` and four digits.
const KEY_BYTES: usize = 8;
/// Key and value of a record that is updated.
const HOT_BYTES: usize = 100;
/// So many records of the large dataset are updated.
const HOT: usize = 512;
/// What the others have, so that the whole dataset has 1 MiB.
const STILL_BYTES: usize = (1 << 20) / 512 - HOT_BYTES;

/// What is done to one dataset.
struct Workload {
    /// Key and value bytes of each record; those in front are updated.
    sizes: Vec<usize>,
    hot: usize,
    patches: usize,
    /// Exponent of the distribution of updates; 0 is uniform.
    zipf: f64,
    updates: usize,
}

/// What came of it in the steady state.
struct Measured {
    /// Bytes of frames for each byte of keys and values in the updates.
    written: f64,
    /// Bytes of the mean frame for each byte of one that carries nothing along.
    over_bare: f64,
    /// Mean and largest number of frames that a cold read visited.
    frames: (f64, usize),
}

/// The generator of Steele, Lea and Flood, which passes from any seed.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// At least 0 and below 1.
    fn fraction(&mut self) -> f64 {
        f64::from((self.next() >> 32) as u32) / f64::from(u32::MAX).next_up()
    }
}

fn open(disk: &SimDisk) -> Engine {
    let options = Options {
        segment_bytes: 8 << 20,
        clock: Arc::new(|| Timestamp::new(1_700_000_000_000).unwrap()),
        threads: false,
        ..Options::default()
    };
    Engine::open_on(Arc::new(disk.clone()), options).unwrap()
}

/// The dataset as it should be.
struct Expected {
    sizes: Vec<usize>,
    counts: Vec<u64>,
    sync_count: u64,
}

impl Expected {
    /// Writes these records; every value tells the count that wrote it.
    fn update(&mut self, engine: &Engine, records: &[usize]) {
        let patches = records
            .iter()
            .map(|&record| {
                let value = value(self.sizes[record], self.sync_count + 1);
                patch(&key(record), self.counts[record], Some(&value))
            })
            .collect();
        engine.commit(update(&settings(), patches)).unwrap();
        self.sync_count += 1;
        for &record in records {
            self.counts[record] = self.sync_count;
        }
    }

    fn check(&self, engine: &Engine) {
        let listed = engine
            .reader()
            .list(&settings(), &Listing::default())
            .unwrap();
        assert_eq!(listed.sync_count.get(), self.sync_count);
        let mut order: Vec<_> = (0..self.sizes.len()).collect();
        order.sort_unstable_by_key(|&record| (self.counts[record], record));
        assert_eq!(listed.records().len(), order.len());
        for (found, record) in listed.records().zip(order) {
            let count = self.counts[record];
            assert_eq!(found.key, key(record).as_str());
            assert_eq!(found.sync_count.get(), count);
            let wanted = value(self.sizes[record], count);
            assert!(found.value == Some(wanted.as_str().into()), "{}", found.key);
        }
    }
}

fn settings() -> DatasetId {
    dataset(1, "settings")
}

fn key(record: usize) -> String {
    format!("key-{record:04}")
}

fn value(size: usize, count: u64) -> String {
    format!("{count:0>width$}", width = size - KEY_BYTES)
}

/// How likely each record is, or one before it.
fn distribution(workload: &Workload) -> Vec<f64> {
    let mut sum = 0.0;
    let sums: Vec<f64> = (1..=u32::try_from(workload.hot).unwrap())
        .map(|rank| {
            sum += f64::from(rank).powf(-workload.zipf);
            sum
        })
        .collect();
    sums.into_iter().map(|part| part / sum).collect()
}

fn pick(patches: usize, distribution: &[f64], chance: &mut Chance) -> Vec<usize> {
    let mut picked = Vec::new();
    while picked.len() < patches {
        let fraction = chance.fraction();
        let record = distribution.partition_point(|&sum| sum <= fraction);
        if !picked.contains(&record) {
            picked.push(record);
        }
    }
    picked
}

/// Frames that were read: a frame is read in one piece, or its rest right behind its beginning.
fn frames(reads: &[Traced]) -> usize {
    let mut last = None;
    let mut frames = 0;
    for read in reads.iter().filter(|traced| traced.call == Call::Read) {
        if last != Some((read.path.clone(), read.offset)) {
            frames += 1;
        }
        last = Some((read.path.clone(), read.offset + read.length as u64));
    }
    frames
}

/// Opens the store anew, and reads the dataset when none of it is in memory.
fn reopened(disk: &SimDisk, engine: Engine, expected: &Expected) -> (SimDisk, Engine, usize) {
    engine.close().unwrap();
    drop(engine);
    let disk = disk.restart();
    let engine = open(&disk);
    let before = disk.trace().len();
    expected.check(&engine);
    let trace = disk.trace();
    let visited = frames(&trace[before..]);
    assert!(visited >= 1, "the read was cold");
    assert!(visited <= CHAIN_LINKS_MAX, "{visited} frames");
    (disk, engine, visited)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "figures of a test are far below 2^52"
)]
fn measure(workload: &Workload) -> Measured {
    const ROUNDS: usize = 20;
    let mut disk = SimDisk::new(1);
    let mut engine = open(&disk);
    let mut expected = Expected {
        sizes: workload.sizes.clone(),
        counts: vec![0; workload.sizes.len()],
        sync_count: 0,
    };
    let every: Vec<_> = (0..workload.sizes.len()).collect();
    expected.update(&engine, &every);
    let distribution = distribution(workload);
    let chance = &mut Chance(7);
    let image = engine.stats().log_bytes;
    let first = pick(workload.patches, &distribution, chance);
    expected.update(&engine, &first);
    let bare = engine.stats().log_bytes - image;
    for _ in 0..workload.updates / 4 {
        expected.update(&engine, &pick(workload.patches, &distribution, chance));
    }
    let (mut log_bytes, mut updates, mut visits) = (0, 0, Vec::new());
    // Rounds of different lengths, so that the chain is looked at in all its states.
    for round in 0..ROUNDS {
        let before = engine.stats().log_bytes;
        let length = workload.updates / ROUNDS + round - ROUNDS / 2;
        for _ in 0..length {
            expected.update(&engine, &pick(workload.patches, &distribution, chance));
        }
        log_bytes += engine.stats().log_bytes - before;
        updates += length;
        let visited;
        (disk, engine, visited) = reopened(&disk, engine, &expected);
        visits.push(visited);
    }
    let mean = log_bytes as f64 / updates as f64;
    let measured = Measured {
        written: mean / (workload.patches * HOT_BYTES) as f64,
        over_bare: mean / bare as f64,
        frames: (
            visits.iter().sum::<usize>() as f64 / visits.len() as f64,
            visits.into_iter().max().unwrap(),
        ),
    };
    println!(
        "{:.3} bytes written a byte, {:.2} times the bare frame, cold reads of {:.1} frames, \
         at most {}",
        measured.written, measured.over_bare, measured.frames.0, measured.frames.1
    );
    measured
}

/// 1 MiB in 1,024 records, of which the smaller half is updated.
fn large(patches: usize, zipf: f64, updates: usize) -> Workload {
    let hot = vec![HOT_BYTES; HOT];
    let still = vec![STILL_BYTES; 1024 - HOT];
    Workload {
        sizes: [hot, still].concat(),
        hot: HOT,
        patches,
        zipf,
        updates,
    }
}

#[test]
fn a_large_dataset_takes_tiny_uniform_updates_at_six_bytes_a_byte() {
    let measured = measure(&large(1, 0.0, 20_000));
    assert!(measured.written <= 6.0, "{}", measured.written);
}

#[test]
fn a_large_dataset_takes_skewed_updates_for_less() {
    let measured = measure(&large(1, 1.0, 20_000));
    assert!(measured.written <= 5.5, "{}", measured.written);
}

#[test]
fn a_large_dataset_takes_updates_of_twenty_records_for_much_less() {
    let measured = measure(&large(20, 0.0, 5_000));
    assert!(measured.written <= 2.7, "{}", measured.written);
}

#[test]
fn a_dataset_that_changes_everywhere_is_written_whole_now_and_then() {
    let measured = measure(&Workload {
        sizes: vec![HOT_BYTES; 200],
        hot: 200,
        patches: 1,
        zipf: 0.0,
        updates: 20_000,
    });
    assert!(measured.written <= 6.7, "{}", measured.written);
    assert!(measured.frames.1 <= 9, "{}", measured.frames.1);
}

#[test]
fn a_small_dataset_writes_less_than_twice_its_bare_frames_and_is_read_in_four() {
    let measured = measure(&Workload {
        sizes: vec![HOT_BYTES; 10],
        hot: 10,
        patches: 1,
        zipf: 0.0,
        updates: 20_000,
    });
    assert!(measured.over_bare <= 1.8, "{}", measured.over_bare);
    assert!(measured.frames.1 <= 4, "{}", measured.frames.1);
}
