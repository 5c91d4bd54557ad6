//! What the parts of a run left as JSON, read back: of each part that has run, its figures.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::failure::{Result, fail};
use crate::figure::Spread;
use crate::machine::Machine;

mod listeners;
mod streams;
mod upkeep;

pub use listeners::{Delays, Listeners, Told};
pub use streams::{Published, SinkRates, Streams};
pub use upkeep::{Lane, Look, Opened, Opening, Rival, Upkeep};

/// The parts, in the order in which they run.
pub const PARTS: [&str; 11] = [
    "commits",
    "peers",
    "pipelined",
    "reads",
    "bulk",
    "http",
    "idle",
    "listeners",
    "memory",
    "upkeep",
    "streams",
];

/// Everything that was found; what is empty was not measured.
#[derive(Default)]
pub struct Results {
    /// What each part ran on.
    pub machines: Vec<(&'static str, Machine)>,
    /// Files that are no part's.
    pub strangers: Vec<String>,
    pub commits: Vec<Comparison>,
    pub peers: Vec<Comparison>,
    pub pipelined: Vec<Pipelined>,
    pub reads: Vec<Listed>,
    pub bulk: Vec<Step>,
    pub http: Vec<Comparison>,
    pub idle: Option<Idle>,
    pub listeners: Option<Listeners>,
    pub memory: Vec<Filled>,
    pub upkeep: Upkeep,
    pub streams: Option<Streams>,
}

/// Contestants that did the same work.
#[derive(Clone, Deserialize)]
pub struct Comparison {
    pub workload: String,
    pub figures: Vec<Figure>,
    #[serde(default)]
    pub ratios: Vec<Ratio>,
    /// Of programs that took part, by their names.
    #[serde(default)]
    pub versions: BTreeMap<String, String>,
    /// Sentences about those that did not, and why.
    #[serde(default)]
    pub left_out: Vec<String>,
}

/// One contestant with so many callers: threads, connections, or updates asked for a second.
#[derive(Clone, Deserialize)]
pub struct Figure {
    pub contestant: String,
    pub callers: u64,
    pub per_second: Spread,
    pub p50_us: f64,
    pub p99_us: f64,
    pub p999_us: f64,
    pub processor_us: f64,
    pub server_processor_us: Option<f64>,
    pub per_sync: Option<f64>,
    pub log_bytes: Option<f64>,
    pub disk_bytes: Option<f64>,
}

/// One contestant by another.
#[derive(Clone, Deserialize)]
pub struct Ratio {
    pub contestant: String,
    pub to: String,
    pub callers: u64,
    pub ratio: Spread,
}

/// Updates under way at the same time.
#[derive(Deserialize)]
pub struct Pipelined {
    pub threads: u64,
    pub engine: Spread,
    pub unsynced: Spread,
    pub ratio: Spread,
    pub per_sync: f64,
}

/// Listings of one kind by one contestant.
#[derive(Deserialize)]
pub struct Listed {
    pub case: String,
    pub contestant: String,
    pub threads: u64,
    pub per_second: Spread,
    pub engine_by_it: Spread,
    pub bytes: u64,
}

/// One step of moving everything, by one contestant: megabytes a second.
#[derive(Deserialize)]
pub struct Step {
    pub step: String,
    pub contestant: String,
    pub rate: Spread,
    pub engine_by_it: Spread,
}

/// A server that does nothing.
#[derive(Deserialize)]
pub struct Idle {
    pub server_bytes: u64,
    pub connections: u64,
    pub connection_bytes: u64,
    pub left_bytes: u64,
}

/// A store that was filled, killed, opened, closed and opened again.
#[derive(Deserialize)]
pub struct Filled {
    pub identities: u64,
    pub datasets_per_identity: u64,
    pub records_per_dataset: u64,
    pub bound: u64,
    pub filled: Stage,
    pub after_kill: Stage,
    pub after_close: Stage,
}

/// What one process of that saw.
#[derive(Deserialize)]
pub struct Stage {
    pub seconds: f64,
    pub log_bytes: u64,
    pub resident: u64,
    pub resident_read: u64,
}

impl Results {
    /// Reads `PART.json` of every part that is there.
    pub fn read(directory: &Path) -> Result<Self> {
        let mut results = Self {
            strangers: strangers(directory)?,
            ..Self::default()
        };
        let machines = &mut results.machines;
        results.commits = part(directory, "commits", machines)?.unwrap_or_default();
        results.peers = part(directory, "peers", machines)?.unwrap_or_default();
        results.pipelined = part(directory, "pipelined", machines)?.unwrap_or_default();
        results.reads = part(directory, "reads", machines)?.unwrap_or_default();
        results.bulk = part(directory, "bulk", machines)?.unwrap_or_default();
        results.http = part(directory, "http", machines)?.unwrap_or_default();
        let idle: Option<Vec<Idle>> = part(directory, "idle", machines)?;
        results.idle = idle.and_then(|mut idle| idle.pop());
        let listeners: Option<Vec<Listeners>> = part(directory, "listeners", machines)?;
        results.listeners = listeners.and_then(|mut all| all.pop());
        results.memory = part(directory, "memory", machines)?.unwrap_or_default();
        let upkeep: Option<Vec<Upkeep>> = part(directory, "upkeep", machines)?;
        results.upkeep = upkeep.and_then(|mut all| all.pop()).unwrap_or_default();
        let streams: Option<Vec<Streams>> = part(directory, "streams", machines)?;
        results.streams = streams.and_then(|mut all| all.pop());
        if results.machines.is_empty() {
            return fail(format!(
                "there are no figures in {}: run bench/run, or a part of syncline-bench, first",
                directory.display()
            ));
        }
        Ok(results)
    }
}

impl Comparison {
    /// The ratio of a contestant by another, with so many callers.
    pub fn ratio(&self, contestant: &str, to: &str, callers: u64) -> Option<Spread> {
        let found = self.ratios.iter().find(|ratio| {
            ratio.contestant == contestant && ratio.to == to && ratio.callers == callers
        });
        found.map(|found| found.ratio)
    }

    /// The ratio by the one of some contestants that is the hardest to beat.
    pub fn hardest(
        &self,
        contestant: &str,
        callers: u64,
        among: impl Fn(&str) -> bool,
    ) -> Option<(&str, Spread)> {
        let some = self.ratios.iter().filter(|ratio| {
            ratio.contestant == contestant && ratio.callers == callers && among(&ratio.to)
        });
        let hardest = some.min_by(|a, b| a.ratio.median.total_cmp(&b.ratio.median));
        hardest.map(|ratio| (ratio.to.as_str(), ratio.ratio))
    }

    /// What a contestant reached with so many callers.
    pub fn figure(&self, contestant: &str, callers: u64) -> Option<&Figure> {
        self.figures
            .iter()
            .find(|figure| figure.contestant == contestant && figure.callers == callers)
    }

    /// Requests were sent when they were due, so it is no contest of rates.
    pub fn at_fixed_rates(&self) -> bool {
        self.workload.contains("fixed rate")
    }
}

/// What one part left: a list of results, or a single one. Notes its machine.
fn part<T: DeserializeOwned>(
    directory: &Path,
    name: &'static str,
    machines: &mut Vec<(&'static str, Machine)>,
) -> Result<Option<Vec<T>>> {
    let path = directory.join(format!("{name}.json"));
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return fail(format!("cannot read {}: {error}", path.display())),
    };
    let read = || -> std::result::Result<(Machine, Vec<T>), serde_json::Error> {
        let mut all: Map<String, Value> = serde_json::from_str(&text)?;
        let machine = serde_json::from_value(all.remove("machine").unwrap_or_default())?;
        let results = match all.remove(name).unwrap_or_default() {
            Value::Array(many) => Value::Array(many),
            one => Value::Array(vec![one]),
        };
        Ok((machine, serde_json::from_value(results)?))
    };
    match read() {
        Ok((machine, results)) => {
            machines.push((name, machine));
            Ok(Some(results))
        }
        Err(error) => fail(format!(
            "{} is not what this program writes ({error}): run `syncline-bench {name}` again",
            path.display()
        )),
    }
}

/// JSON files that no part of this program writes.
fn strangers(directory: &Path) -> Result<Vec<String>> {
    let listed = match fs::read_dir(directory) {
        Ok(listed) => listed,
        // Then there are no figures either, and what to do about that is said there.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return fail(format!("cannot read {}: {error}", directory.display())),
    };
    let mut names = Vec::new();
    for file in listed {
        let name = file?.file_name().to_string_lossy().into_owned();
        let part = name.strip_suffix(".json");
        if part.is_some_and(|part| !PARTS.contains(&part)) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}
