//! Threads that each update, wait until it is durable, and update again.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::choice::Chooser;
use crate::contestant::Contestant;
use crate::failure::{Result, fail};
use crate::figure::{Latencies, Sample};
use crate::workload::Workload;
use crate::{processor, together};

/// The count of every dataset, by what was acknowledged. Each belongs to one thread at a time, so
/// no update is ever refused.
pub struct Counts(Vec<AtomicU64>);

impl Counts {
    /// Where all datasets have the same count.
    pub fn all(workload: &Workload, count: u64) -> Self {
        Self(
            workload
                .datasets
                .iter()
                .map(|_| AtomicU64::new(count))
                .collect(),
        )
    }

    /// The counts as numbers.
    pub fn snapshot(&self) -> Vec<u64> {
        self.0
            .iter()
            .map(|count| count.load(Ordering::Relaxed))
            .collect()
    }
}

/// One measurement: so many threads for so long.
pub fn run(
    contestant: &dyn Contestant,
    workload: &Workload,
    counts: &Counts,
    threads: usize,
    duration: Duration,
) -> Result<Sample> {
    if threads == 0 || workload.datasets.len() < threads {
        return fail(format!("{threads} threads need at least one dataset each"));
    }
    let totals = contestant.totals();
    let worker = |number: usize| {
        let mine = (workload.datasets.len() - number).div_ceil(threads);
        let share = Share {
            workload,
            counts,
            number,
            threads,
            chooser: Chooser::new(workload.choice, number, mine),
        };
        move |stop: &AtomicBool| share.work(contestant, stop)
    };
    let workers = (0..threads).map(worker).collect();
    let ended = together::run(workers, duration, processor::of_this_process)?;
    let mut latencies = Latencies::new()?;
    for part in &ended.outcomes {
        latencies.add(part)?;
    }
    Ok(Sample {
        elapsed: ended.elapsed,
        latencies,
        processor: processor::of_this_process().saturating_sub(ended.begun),
        server_processor: None,
        written: None,
        totals: contestant.totals().since(totals),
    })
}

/// The datasets of one thread: those whose number leaves its own when divided by the threads.
struct Share<'a> {
    workload: &'a Workload,
    counts: &'a Counts,
    number: usize,
    threads: usize,
    /// Among those datasets.
    chooser: Chooser,
}

impl Share<'_> {
    fn work(mut self, contestant: &dyn Contestant, stop: &AtomicBool) -> Result<Latencies> {
        let mut latencies = Latencies::new()?;
        while !stop.load(Ordering::Relaxed) {
            let number = self.number + self.threads * self.chooser.choose();
            let count = &self.counts.0[number];
            let seen = count.load(Ordering::Relaxed);
            let began = Instant::now();
            contestant.commit(self.workload.update(number, seen))?;
            latencies.note(began.elapsed());
            count.store(seen + 1, Ordering::Relaxed);
        }
        Ok(latencies)
    }
}
