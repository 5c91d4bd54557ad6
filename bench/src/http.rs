//! `http`: signed requests per second over HTTP, beside bare hyper with answers of equal length,
//! alone and with a group-committed log, and beside servers of others that do the same update.

mod arena;
pub mod options;

use std::path::Path;

use serde_json::json;

use crate::arguments::{HttpOptions, Shared};
use crate::failure::Result;
use crate::figure::Series;
use crate::machine::Machine;
use crate::rivals::{Kind, Rival};
use crate::scratch::Scratch;
use crate::workload::VALUE_BYTES;
use crate::{report, server};

use arena::{Arena, Work};

/// From so many connections on, a measurement has all of its requests.
const CONNECTIONS_FOR_ALL: usize = 16;

/// Connections of the measurements at fixed rates.
const RATE_CONNECTIONS: usize = 64;

/// Sizes after defaults.
struct Sizes {
    identities: usize,
    requests: usize,
    rounds: usize,
}

impl Sizes {
    fn new(shared: &Shared, options: &HttpOptions) -> Self {
        Self {
            identities: options.identities.unwrap_or(1000),
            requests: options
                .requests
                .unwrap_or(if shared.quick { 8_000 } else { 40_000 }),
            rounds: options
                .rounds
                .map_or(if shared.quick { 3 } else { 5 }, |rounds| {
                    usize::from(rounds.get())
                }),
        }
    }

    /// Few connections take longer for each request, so they get fewer.
    fn requests(&self, connections: usize) -> usize {
        let share = connections.min(CONNECTIONS_FOR_ALL);
        (self.requests * share / CONNECTIONS_FOR_ALL).max(connections)
    }
}

/// What is measured beside the server.
struct Beside {
    log: bool,
    echo: bool,
    rivals: Vec<Rival>,
    /// Sentences about those that are not there.
    left_out: Vec<String>,
}

impl Beside {
    fn new(options: &HttpOptions) -> Self {
        let is_wanted = |name| options.beside.iter().any(|wanted| wanted == name);
        Self {
            log: is_wanted("log"),
            echo: is_wanted("echo"),
            rivals: Vec::new(),
            left_out: Vec::new(),
        }
    }

    /// Starts the servers of others that were asked for and are installed.
    fn start(
        &mut self,
        runtime: &tokio::runtime::Runtime,
        directory: &Path,
        sizes: &Sizes,
        options: &HttpOptions,
    ) -> Result<()> {
        let most = options.connections.iter().copied().max().unwrap_or(0);
        for kind in Kind::ALL {
            if !options.beside.iter().any(|name| name == kind.option()) {
                continue;
            }
            match kind.find(directory) {
                Ok(program) => {
                    let opened = Rival::open(kind, program, directory, sizes.identities, most);
                    self.rivals.push(runtime.block_on(opened)?);
                }
                Err(why) => self.left_out.push(why),
            }
        }
        report::lines(&self.lines())
    }

    fn lines(&self) -> Vec<String> {
        let version = |rival: &Rival| format!("beside   {} {}", rival.kind.name(), rival.version);
        let missing = |why: &String| format!("note     {why}");
        let versions = self.rivals.iter().map(version);
        versions.chain(self.left_out.iter().map(missing)).collect()
    }

    /// Name and version of each.
    fn versions(&self) -> serde_json::Value {
        let versions = self.rivals.iter();
        versions
            .map(|rival| (rival.kind.name(), rival.version.as_str()))
            .collect()
    }
}

pub fn run(shared: &Shared, machine: &Machine, options: &HttpOptions) -> Result<()> {
    let sizes = Sizes::new(shared, options);
    let scratch = Scratch::new(&shared.data, "http")?;
    let binary = server::binary(shared.server.as_deref())?;
    let arena = Arena::open(&binary, scratch.path(), &sizes)?;
    let mut beside = Beside::new(options);
    beside.start(arena.runtime(), scratch.path(), &sizes, options)?;
    let mut compare = |work| -> Result<_> {
        let rows = arena.measure(work, &options.connections, &sizes, &mut beside)?;
        let all = rows.iter().flatten();
        let figures = all.map(Series::figure).collect::<Result<Vec<_>>>()?;
        let ratios: Vec<_> = rows
            .iter()
            .flat_map(|row| row[1..].iter().map(|other| row[0].to(other)))
            .collect();
        let workload = describe(work, &sizes);
        report::comparison(&workload, "connections", &figures, &ratios)?;
        Ok(json!({ "workload": workload, "figures": figures, "ratios": ratios }))
    };
    let mut updates = compare(Work::Update)?;
    let listings = compare(Work::List)?;
    let pairs = compare(Work::Pair)?;
    updates["versions"] = beside.versions();
    updates["left_out"] = json!(beside.left_out);
    for rival in beside.rivals {
        arena.runtime().block_on(rival.restart())?;
    }
    let mut results = vec![updates, listings];
    let series = arena.measure_rates(&options.rates, RATE_CONNECTIONS, &sizes)?;
    let figures = series
        .iter()
        .map(Series::figure)
        .collect::<Result<Vec<_>>>()?;
    let workload = format!(
        "{}, at a fixed rate on {RATE_CONNECTIONS} connections; latency from when each was due",
        describe(Work::Update, &sizes)
    );
    report::comparison(&workload, "asked for", &figures, &[])?;
    results.push(json!({ "workload": workload, "figures": figures }));
    results.push(pairs);
    arena.restart(&binary, scratch.path())?;
    report::file(&shared.report, "http", machine, results)
}

fn describe(work: Work, sizes: &Sizes) -> String {
    let what = match work {
        Work::Update => format!(
            "UpdateRecords of 1 record of {VALUE_BYTES} bytes; counts rose by exactly the number \
             of 200s and were the same after a restart"
        ),
        Work::List => {
            format!("ListRecords of what is new, 1 record of {VALUE_BYTES} bytes")
        }
        Work::Pair => format!(
            "pairs: ListRecords of 1 record of {VALUE_BYTES} bytes, then UpdateRecords with the \
             session token of the listing; counts rose by exactly the number of pairs"
        ),
    };
    format!(
        "{what}; signed, on keep-alive connections; {} identities with one dataset each, chosen \
         uniformly; {} rounds; client and servers share the machine",
        sizes.identities, sizes.rounds
    )
}
