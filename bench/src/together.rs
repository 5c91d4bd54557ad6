//! Threads that begin at the same moment, work until they are told to stop, and end.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};

use crate::failure::Result;

/// What came of it.
pub struct Ended<B, T> {
    /// What was taken note of when all were ready.
    pub begun: B,
    /// Until the last one ended, who may have had something under way when it was told to stop.
    pub elapsed: Duration,
    /// One of each thread.
    pub outcomes: Vec<T>,
}

/// Runs every worker on a thread of its own for so long; each looks at the flag that tells it to
/// stop. `begin` is called when all are ready, right before they begin.
pub fn run<W, B, T>(
    workers: Vec<W>,
    duration: Duration,
    begin: impl FnOnce() -> B,
) -> Result<Ended<B, T>>
where
    W: FnOnce(&AtomicBool) -> Result<T> + Send,
    T: Send,
{
    let threads = workers.len();
    let (ready, start) = (Barrier::new(threads + 1), Barrier::new(threads + 1));
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let spawn = |worker: W| {
            let (ready, start, stop) = (&ready, &start, &stop);
            scope.spawn(move || {
                ready.wait();
                start.wait();
                worker(stop)
            })
        };
        let spawned: Vec<_> = workers.into_iter().map(spawn).collect();
        ready.wait();
        let (began, begun) = (Instant::now(), begin());
        start.wait();
        std::thread::sleep(duration);
        stop.store(true, Ordering::Relaxed);
        let joined = spawned.into_iter().map(ScopedJoinHandle::join);
        let outcomes = joined.map(|ended| ended.map_err(|_| "a thread panicked")?);
        let outcomes = outcomes.collect::<Result<_>>()?;
        Ok(Ended {
            begun,
            elapsed: began.elapsed(),
            outcomes,
        })
    })
}
