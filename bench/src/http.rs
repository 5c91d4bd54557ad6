//! `http`: signed requests per second over HTTP, beside bare hyper with answers of equal length,
//! alone and with a group-committed log.

mod arena;

use serde_json::json;

use crate::arguments::{HttpOptions, Shared};
use crate::failure::Result;
use crate::figure::Series;
use crate::machine::Machine;
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

pub fn run(shared: &Shared, machine: &Machine, options: &HttpOptions) -> Result<()> {
    let sizes = Sizes::new(shared, options);
    let scratch = Scratch::new(&shared.data, "http")?;
    let binary = server::binary(shared.server.as_deref())?;
    let arena = Arena::open(&binary, scratch.path(), &sizes)?;
    let mut results = Vec::new();
    for work in [Work::Update, Work::List] {
        let rows = arena.measure(work, &options.connections, &sizes)?;
        let all = rows.iter().flatten();
        let figures = all.map(Series::figure).collect::<Result<Vec<_>>>()?;
        let ratios: Vec<_> = rows
            .iter()
            .flat_map(|row| row[1..].iter().map(|other| row[0].to(other)))
            .collect();
        let workload = describe(work, &sizes);
        report::comparison(&workload, "connections", &figures, &ratios)?;
        results.push(json!({ "workload": workload, "figures": figures, "ratios": ratios }));
    }
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
    };
    format!(
        "{what}; signed, on keep-alive connections; {} identities with one dataset each, chosen \
         uniformly; {} rounds; client and servers share the machine",
        sizes.identities, sizes.rounds
    )
}
