//! What arrived, and how long that took.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::timeout;

use super::PATIENCE;
use crate::failure::{Result, fail};
use crate::figure::Latencies;
use crate::load::Written;

/// A count of a dataset, and when it arrived.
#[derive(Clone, Copy)]
pub struct Arrival {
    pub dataset: usize,
    pub sync_count: u64,
    pub at: Instant,
}

/// What arrives, in no order.
pub struct Arrivals(UnboundedReceiver<Arrival>);

/// Percentiles, in microseconds.
#[derive(Clone, Copy, Serialize)]
pub struct Delays {
    pub p50_us: f64,
    pub p99_us: f64,
    pub p999_us: f64,
    pub most_us: f64,
}

impl Arrivals {
    pub fn new(arrivals: UnboundedReceiver<Arrival>) -> Self {
        Self(arrivals)
    }

    /// When each of the updates was told of: by its own count, or by a later one of its dataset.
    /// Fails unless all are.
    pub async fn of(mut self, written: &[Written]) -> Result<Vec<Instant>> {
        let mut last: HashMap<usize, u64> = HashMap::new();
        for update in written {
            let count = last.entry(update.dataset).or_default();
            *count = update.sync_count.max(*count);
        }
        let mut arrived: HashMap<usize, Vec<Arrival>> = HashMap::new();
        while !last.is_empty() {
            let Ok(Some(arrival)) = timeout(PATIENCE, self.0.recv()).await else {
                return fail(format!("of {} datasets no news arrived", last.len()));
            };
            arrived.entry(arrival.dataset).or_default().push(arrival);
            let is_last = |count: &u64| arrival.sync_count >= *count;
            if last.get(&arrival.dataset).is_some_and(is_last) {
                last.remove(&arrival.dataset);
            }
        }
        let first = |update: &Written| {
            let of_dataset = arrived.get(&update.dataset).into_iter().flatten();
            let later = of_dataset.filter(|arrival| arrival.sync_count >= update.sync_count);
            later.map(|arrival| arrival.at).min()
        };
        let found: Option<Vec<_>> = written.iter().map(first).collect();
        found.ok_or_else(|| "an update was never told of".into())
    }
}

impl Delays {
    pub fn of(delays: impl Iterator<Item = Duration>) -> Result<Self> {
        let mut latencies = Latencies::new()?;
        delays.for_each(|delay| latencies.note(delay));
        Ok(Self {
            p50_us: latencies.microseconds(0.5),
            p99_us: latencies.microseconds(0.99),
            p999_us: latencies.microseconds(0.999),
            most_us: latencies.microseconds(1.0),
        })
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc::unbounded_channel;

    use super::*;

    #[test]
    fn an_update_is_told_of_by_its_count_or_a_later_one() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let (tell, arrivals) = unbounded_channel();
        for (dataset, sync_count, ms) in [(0, 1, 1), (1, 2, 5), (0, 3, 9), (0, 4, 10)] {
            let at = at(ms);
            let arrival = Arrival {
                dataset,
                sync_count,
                at,
            };
            assert!(tell.send(arrival).is_ok());
        }
        let written = [(0, 2), (0, 3), (1, 2), (0, 4)].map(|(dataset, sync_count)| Written {
            dataset,
            sync_count,
            sent: start,
            answered: start,
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let found = runtime.block_on(Arrivals::new(arrivals).of(&written));
        assert_eq!(found.unwrap(), [9, 9, 5, 10].map(at));
    }
}
