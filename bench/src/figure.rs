//! Measurements and what is told of them: medians over rounds, percentiles over all of them.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::contestant::Totals;
use crate::failure::Result;

/// How long each update took.
pub struct Latencies(Histogram<u64>);

impl Latencies {
    /// From a microsecond's tenth to a minute, three digits.
    pub fn new() -> Result<Self> {
        Ok(Self(Histogram::new_with_bounds(100, 60_000_000_000, 3)?))
    }

    pub fn note(&mut self, latency: Duration) {
        self.0
            .saturating_record(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX));
    }

    pub fn add(&mut self, other: &Self) -> Result<()> {
        Ok(self.0.add(&other.0)?)
    }

    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The latency that a share of all did not pass.
    pub fn microseconds(&self, quantile: f64) -> f64 {
        self.0.value_at_quantile(quantile) as f64 / 1000.0
    }
}

/// One contestant's turn.
pub struct Sample {
    pub elapsed: Duration,
    pub latencies: Latencies,
    /// Processor time of this process.
    pub processor: Duration,
    /// Processor time of the server, where there is one.
    pub server_processor: Option<Duration>,
    /// Bytes that were written to the device; `None`: nobody looked, or there is none.
    pub written: Option<u64>,
    pub totals: Totals,
}

impl Sample {
    fn per_second(&self) -> f64 {
        self.latencies.count() as f64 / self.elapsed.as_secs_f64()
    }
}

/// All turns of one contestant at one number of callers.
pub struct Series {
    pub contestant: &'static str,
    /// Threads or connections.
    pub callers: usize,
    pub samples: Vec<Sample>,
}

/// What a report says of a series.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    pub contestant: &'static str,
    pub callers: usize,
    /// Updates per second.
    pub per_second: Spread,
    pub p50_us: f64,
    pub p99_us: f64,
    pub p999_us: f64,
    /// Microseconds of processor time per update, in the measuring process.
    pub processor_us: f64,
    /// And in the server's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_processor_us: Option<f64>,
    /// Updates that share a sync, on average.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_sync: Option<f64>,
    /// Bytes of log per update, of who keeps one and tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_bytes: Option<f64>,
    /// Bytes that were written to the device per update: all files, and the file system's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_bytes: Option<f64>,
    pub updates: u64,
}

/// One contestant by another, round by round.
#[derive(Clone, Debug, Serialize)]
pub struct Ratio {
    pub contestant: &'static str,
    pub to: &'static str,
    pub callers: usize,
    pub ratio: Spread,
}

/// The median of several rounds, and how far they lie apart.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Spread {
    pub median: f64,
    pub least: f64,
    pub most: f64,
}

impl Spread {
    /// Of at least one number.
    pub fn of(numbers: impl IntoIterator<Item = f64>) -> Self {
        let mut numbers: Vec<_> = numbers.into_iter().collect();
        numbers.sort_by(f64::total_cmp);
        let (low, high) = (numbers.len().saturating_sub(1) / 2, numbers.len() / 2);
        let at = |place: usize| numbers.get(place).copied().unwrap_or(f64::NAN);
        Self {
            median: f64::midpoint(at(low), at(high)),
            least: at(0),
            most: at(numbers.len().saturating_sub(1)),
        }
    }
}

impl Series {
    pub fn new(contestant: &'static str, callers: usize) -> Self {
        Self {
            contestant,
            callers,
            samples: Vec::new(),
        }
    }

    pub fn figure(&self) -> Result<Figure> {
        let mut latencies = Latencies::new()?;
        for sample in &self.samples {
            latencies.add(&sample.latencies)?;
        }
        let updates = latencies.count();
        let sum = |part: fn(&Sample) -> f64| self.samples.iter().map(part).sum::<f64>();
        let each = |part| sum(part) / updates as f64;
        let syncs = sum(|sample| sample.totals.syncs as f64);
        let log_bytes = sum(|sample| sample.totals.log_bytes as f64);
        let served = self
            .samples
            .iter()
            .all(|sample| sample.server_processor.is_some());
        Ok(Figure {
            contestant: self.contestant,
            callers: self.callers,
            per_second: Spread::of(self.samples.iter().map(Sample::per_second)),
            p50_us: latencies.microseconds(0.5),
            p99_us: latencies.microseconds(0.99),
            p999_us: latencies.microseconds(0.999),
            processor_us: each(|sample| sample.processor.as_secs_f64() * 1e6),
            server_processor_us: served.then(|| {
                each(|sample| sample.server_processor.unwrap_or_default().as_secs_f64() * 1e6)
            }),
            per_sync: (syncs > 0.0).then(|| updates as f64 / syncs),
            log_bytes: (log_bytes > 0.0).then(|| log_bytes / updates as f64),
            disk_bytes: self
                .samples
                .iter()
                .all(|sample| sample.written.is_some())
                .then(|| each(|sample| sample.written.unwrap_or_default() as f64)),
            updates,
        })
    }

    /// This series by another, of the same rounds.
    pub fn to(&self, other: &Self) -> Ratio {
        let pairs = self.samples.iter().zip(&other.samples);
        Ratio {
            contestant: self.contestant,
            to: other.contestant,
            callers: self.callers,
            ratio: Spread::of(pairs.map(|(a, b)| a.per_second() / b.per_second())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(updates: u64, seconds: u64) -> Sample {
        let mut latencies = Latencies::new().unwrap();
        for _ in 0..updates {
            latencies.note(Duration::from_micros(500));
        }
        Sample {
            elapsed: Duration::from_secs(seconds),
            latencies,
            processor: Duration::from_micros(updates * 7),
            server_processor: None,
            written: Some(updates * 5000),
            totals: Totals {
                syncs: updates / 2,
                log_bytes: updates * 300,
            },
        }
    }

    #[test]
    fn a_figure_has_the_median_of_its_rounds_and_the_cost_of_one_update() {
        let rounds = [100, 400, 200].map(|updates| sample(updates, 1)).into();
        let series = Series {
            contestant: "a",
            callers: 1,
            samples: rounds,
        };
        let figure = series.figure().unwrap();
        let Spread {
            median,
            least,
            most,
        } = figure.per_second;
        assert_eq!([least, median, most], [100.0, 200.0, 400.0]);
        assert_eq!(figure.updates, 700);
        assert_eq!(figure.per_sync, Some(2.0));
        assert_eq!(figure.log_bytes, Some(300.0));
        assert_eq!(figure.disk_bytes, Some(5000.0));
        assert!((figure.processor_us - 7.0).abs() < 1e-9);
        assert!((figure.p50_us - 500.0).abs() < 1.0);
    }

    #[test]
    fn ratios_are_taken_round_by_round() {
        let series = |contestant, updates: [u64; 3]| Series {
            contestant,
            callers: 1,
            samples: updates.map(|updates| sample(updates, 1)).into(),
        };
        // A disk that halves its speed in the second round halves both.
        let ratio = series("a", [90, 40, 80])
            .to(&series("b", [100, 50, 100]))
            .ratio;
        assert_eq!([ratio.least, ratio.median, ratio.most], [0.8, 0.8, 0.9]);
    }

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_two() {
        assert!((Spread::of([4.0, 1.0, 2.0, 3.0]).median - 2.5).abs() < 1e-9);
        assert!((Spread::of([7.0]).median - 7.0).abs() < 1e-9);
    }
}
