//! A bulk publish: how long it takes, and what the server's memory does meanwhile.

use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::{Value, json};

use super::scene::Scene;
use crate::failure::{Result, fail};
use crate::figure::Spread;
use crate::processor;

/// How often the memory is looked at, and whether it has ended.
const SAMPLING_PERIOD: Duration = Duration::from_millis(20);

/// Two of each quarter.
const SAMPLES_MIN: usize = 8;

/// One bulk publish.
pub(super) struct Publishing {
    seconds: f64,
    /// Resident bytes before it, and while it ran.
    before: u64,
    samples: Vec<u64>,
    /// See [`Published::flatness`].
    flatness: f64,
}

/// What is told of all of them.
#[derive(Serialize)]
pub(super) struct Published {
    records: usize,
    seconds: Spread,
    records_per_second: Spread,
    resident_before: u64,
    /// The most that was resident in any of them.
    resident_most: u64,
    /// The median of the last quarter by that of the second, as in a soak.
    flatness: Spread,
    samples: usize,
}

impl Publishing {
    pub(super) fn run(scene: &mut Scene) -> Result<Self> {
        let pid = scene.server()?.pid();
        let resident = || processor::memory_of_process(pid, "VmRSS");
        let before = resident()?;
        let mut samples = Vec::new();
        let began = Instant::now();
        scene.of_pool("bulkpublish", &json!({}))?;
        let status = loop {
            samples.push(resident()?);
            let details = scene.of_pool("getBulkPublishDetails", &Value::Null)?;
            let status = details["BulkPublishStatus"].as_str().unwrap_or_default();
            if status != "IN_PROGRESS" {
                break status.to_owned();
            }
            std::thread::sleep(SAMPLING_PERIOD);
        };
        if status != "SUCCEEDED" {
            return fail(format!("the bulk publish is {status}"));
        }
        Ok(Self {
            seconds: began.elapsed().as_secs_f64(),
            before,
            flatness: flatness(&samples)?,
            samples,
        })
    }
}

/// The median of the last quarter of the samples by that of the second.
fn flatness(samples: &[u64]) -> Result<f64> {
    let count = samples.len();
    if count < SAMPLES_MIN {
        return fail(format!(
            "the bulk publish was over when its memory had been looked at {count} times, and \
             {SAMPLES_MIN} are needed to compare its quarters: ask for more --stream-datasets"
        ));
    }
    let quarter = |number: usize| {
        let (from, to) = (count * number / 4, count * (number + 1) / 4);
        Spread::of(samples[from..to].iter().map(|bytes| *bytes as f64)).median
    };
    Ok(quarter(3) / quarter(1))
}

impl Published {
    pub(super) fn of(all: &[Publishing], records: usize) -> Self {
        let most = |bytes: &dyn Fn(&Publishing) -> Option<u64>| {
            all.iter().filter_map(bytes).max().unwrap_or(0)
        };
        Self {
            records,
            seconds: Spread::of(all.iter().map(|one| one.seconds)),
            records_per_second: Spread::of(all.iter().map(|one| records as f64 / one.seconds)),
            resident_before: most(&|one| Some(one.before)),
            resident_most: most(&|one| one.samples.iter().max().copied()),
            flatness: Spread::of(all.iter().map(|one| one.flatness)),
            samples: all.iter().map(|one| one.samples.len()).sum(),
        }
    }

    pub(super) fn lines(&self) -> Vec<String> {
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        vec![
            String::new(),
            format!(
                "  bulk publish of {} records to the file: {:.2} s ({:.2}..{:.2}), {:.0} records/s",
                self.records,
                self.seconds.median,
                self.seconds.least,
                self.seconds.most,
                self.records_per_second.median
            ),
            format!(
                "  resident memory {:.1} MiB before it, {:.1} MiB at most ({} samples); its last \
                 quarter by its second {:.3} ({:.3}..{:.3})",
                mib(self.resident_before),
                mib(self.resident_most),
                self.samples,
                self.flatness.median,
                self.flatness.least,
                self.flatness.most
            ),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quarters_are_compared_when_there_are_some() {
        let samples = [9, 9, 2, 2, 5, 5, 4, 4];
        assert!((flatness(&samples).unwrap() - 2.0).abs() < f64::EPSILON);
        let error = flatness(&samples[1..]).unwrap_err().to_string();
        assert!(error.contains("looked at 7 times"), "{error}");
        assert!(error.contains("--stream-datasets"), "{error}");
    }
}
