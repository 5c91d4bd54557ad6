//! All that the benchmark has to reach, with what the figures say of each.

use super::results::{Comparison, Listeners, Results, Told};
use super::target::{Bound, Target, Unit};
use crate::figure::Spread;

/// Contestants, as the parts call them.
const ENGINE: &str = "engine";
const RAW_ALONE: &str = "raw-alone";
const RAW_GROUP: &str = "raw-group";
const RAW_WRITES: &str = "raw synced writes";
const LMDB: &str = "lmdb";
const UNSYNCED: &str = "lmdb-unsynced";
const SERVER: &str = "syncline serve";
const LOGGED: &str = "bare hyper + group log";
const ECHO: &str = "bare hyper echo";
const REDIS: &str = "redis";

/// The size at which opening is measured.
const DATASETS_OPENED: u64 = 1_000_000;

/// The number of listeners with which changes are to arrive soon.
const LISTENERS: u64 = 5000;

/// The targets in the order in which they are told.
pub fn of(results: &Results) -> Vec<Target> {
    [
        commits(results),
        pipelined(results),
        listings(results),
        opening(results),
        bulk(results),
        space(results),
        http(results),
        idle(results),
        told(results),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A target that one contestant has to reach by another.
fn by(
    what: impl Into<String>,
    (ours, beside): (&'static str, &str),
    bound: Bound,
    measured: Option<Spread>,
) -> Target {
    Target {
        what: what.into(),
        ours,
        beside: beside.to_owned(),
        bound,
        unit: Unit::Ratio,
        measured,
    }
}

/// A target of its own.
fn alone(
    what: impl Into<String>,
    ours: &'static str,
    (bound, unit): (Bound, Unit),
    measured: Option<Spread>,
) -> Target {
    Target {
        unit,
        ..by(what, (ours, ""), bound, measured)
    }
}

fn commits(results: &Results) -> Vec<Target> {
    let one = results.commits.first();
    let peers = |records| {
        let mut found = results.peers.iter();
        found.find(|comparison| comparison.workload.contains(records))
    };
    let limit = |what, comparison: Option<&Comparison>, limit, threads, bound| {
        let measured = comparison.and_then(|found| found.ratio(ENGINE, limit, threads));
        by(what, (ENGINE, limit), Bound::Least(bound), measured)
    };
    let best = |what, comparison: Option<&Comparison>, bound| {
        let peer = |name: &str| !name.starts_with(ENGINE) && !name.starts_with("raw");
        let found = comparison.and_then(|found| found.hardest(ENGINE, 64, peer));
        let beside = found.map_or("the best peer", |(name, _)| name);
        let measured = found.map(|(_, measured)| measured);
        by(what, (ENGINE, beside), Bound::Least(bound), measured)
    };
    let (ones, twenties) = (peers("of 1 record "), peers("of 20 records "));
    vec![
        limit("1 record, 1 thread", one, RAW_ALONE, 1, 0.85),
        limit("1 record, 8 threads", one, RAW_GROUP, 8, 0.8),
        limit("1 record, 64 threads", one, RAW_GROUP, 64, 0.8),
        best("1 record, 64 threads, best peer", ones, 3.0),
        limit("20 records, 64 threads", twenties, RAW_GROUP, 64, 0.6),
        best("20 records, 64 threads, best peer", twenties, 5.0),
    ]
}

fn pipelined(results: &Results) -> Vec<Target> {
    let row = |(threads, what): (u64, &str)| {
        let found = results.pipelined.iter();
        let found = found.filter(|outcome| outcome.threads == threads);
        let measured = found.map(|outcome| outcome.ratio).next();
        by(what, (ENGINE, UNSYNCED), Bound::Least(5.0), measured)
    };
    [(1, "pipelined, 1 thread"), (8, "pipelined, 8 threads")]
        .map(row)
        .into()
}

/// What is listed: as `reads` calls it, as the targets do, and the ratio by LMDB.
const LISTINGS: [(&str, &str, f64); 3] = [
    ("since, 1 of 10 new", "list since", 2.0),
    ("all 10", "list 10", 2.0),
    ("all 1,000 of 500 bytes", "list 1,000", 1.0),
];
/// Listings of what is new that a core has to reach a second.
const SINCE_A_SECOND: f64 = 1e6;

fn listings(results: &Results) -> Vec<Target> {
    let find = |case: &str, contestant: &str, threads: u64| {
        results.reads.iter().find(|listed| {
            listed.case == case && listed.contestant == contestant && listed.threads == threads
        })
    };
    let mut targets = Vec::new();
    for (case, what, bound) in LISTINGS {
        for threads in [1, 2] {
            let measured = find(case, LMDB, threads).map(|listed| listed.engine_by_it);
            let what = format!("{what}, {}", super::number::counted(threads, "thread"));
            targets.push(by(what, (ENGINE, LMDB), Bound::Least(bound), measured));
        }
    }
    let measured = find(LISTINGS[0].0, ENGINE, 1).map(|listed| listed.per_second);
    let asked = (Bound::Least(SINCE_A_SECOND), Unit::Rate);
    let told = alone("list since, a second and core", ENGINE, asked, measured);
    targets.insert(2, told);
    targets
}

fn opening(results: &Results) -> Vec<Target> {
    let stores = results.upkeep.opening.iter().flat_map(|all| &all.stores);
    let largest = stores
        .filter(|store| store.datasets >= DATASETS_OPENED)
        .max_by_key(|store| store.datasets);
    let seconds = largest.map(super::results::Opened::seconds);
    let by_closed = |number: usize| {
        // They do not take turns, so the rounds of one do not belong to those of the other.
        let [closed, killed] = seconds.map(|seconds| [seconds[0], seconds[number]])?;
        Some(Spread {
            median: killed.median / closed.median,
            least: killed.least / closed.median,
            most: killed.most / closed.median,
        })
    };
    let closed = "after a clean close";
    let row = |what: &str, number| {
        let measured = by_closed(number);
        by(what, (ENGINE, closed), Bound::Most(2.0), measured)
    };
    vec![
        alone(
            "open 1,000,000 datasets, closed",
            ENGINE,
            (Bound::Below(1.0), Unit::Seconds),
            seconds.map(|seconds| seconds[0]),
        ),
        row("open 1,000,000 datasets, killed soon", 1),
        row("open 1,000,000 datasets, killed late", 2),
    ]
}

fn bulk(results: &Results) -> Vec<Target> {
    let rows = [
        ("feed, by LMDB", "feed", LMDB, 1.0),
        ("export, by LMDB", "export", LMDB, 1.0),
        ("bulk load, by synced writes", "load", RAW_WRITES, 0.7),
        ("bulk load, by LMDB", "load", LMDB, 5.0),
        ("overwrite, by synced writes", "overwrite", RAW_WRITES, 0.7),
        ("overwrite, by LMDB", "overwrite", LMDB, 5.0),
    ];
    let row = |(what, step, beside, bound): (&str, &str, &str, f64)| {
        let mut found = results.bulk.iter();
        let found = found.find(|row| row.step == step && row.contestant == beside);
        let measured = found.map(|row| row.engine_by_it);
        by(what, (ENGINE, beside), Bound::Least(bound), measured)
    };
    rows.map(row).into()
}

fn space(results: &Results) -> Vec<Target> {
    let written = |contestant| {
        let comparison = results.commits.first()?;
        comparison.figure(contestant, 64)?.disk_bytes
    };
    let ratio = written(ENGINE).zip(written(RAW_GROUP));
    let ratio = ratio.map(|(ours, theirs)| Spread::of([ours / theirs]));
    let space = results.upkeep.space.as_ref();
    let by_allowed = |now: bool| {
        let space = space?;
        let look = if now { &space.written } else { &space.idle };
        Some(Spread::of([space.by_allowed(look)]))
    };
    let allowed = (ENGINE, "1.5 × live + retention");
    vec![
        by(
            "disk bytes an update, 64 threads",
            (ENGINE, RAW_GROUP),
            Bound::Most(2.0),
            ratio,
        ),
        by(
            "space after five overwrites, at rest",
            allowed,
            Bound::Most(1.0),
            by_allowed(false),
        ),
        by(
            "space after five overwrites, at once",
            allowed,
            Bound::Most(1.0),
            by_allowed(true),
        ),
    ]
}

fn http(results: &Results) -> Vec<Target> {
    const CONNECTIONS: u64 = 64;
    let starting = |comparisons: &'_ [Comparison], operation: &str, beside: &str| {
        let mut fitting = comparisons.iter().filter(|comparison| {
            comparison.workload.starts_with(operation) && !comparison.at_fixed_rates()
        });
        fitting.find_map(|comparison| comparison.ratio(SERVER, beside, CONNECTIONS))
    };
    let redis = results.http.iter().find_map(|comparison| {
        let redis = |name: &str| name.to_lowercase().starts_with(REDIS);
        let found = comparison.hardest(SERVER, CONNECTIONS, redis);
        found.map(|(_, measured)| measured)
    });
    vec![
        by(
            "UpdateRecords, 64 connections",
            (SERVER, LOGGED),
            Bound::Least(0.6),
            starting(&results.http, "UpdateRecords", LOGGED),
        ),
        by(
            "UpdateRecords, 64 connections, Redis",
            (SERVER, "Redis always"),
            Bound::Least(1.5),
            redis,
        ),
        by(
            "ListRecords, 64 connections",
            (SERVER, ECHO),
            Bound::Least(0.5),
            starting(&results.http, "ListRecords of what is new", ECHO),
        ),
    ]
}

fn idle(results: &Results) -> Vec<Target> {
    const MIB: f64 = 1024.0 * 1024.0;
    let bytes = |part: fn(&super::results::Idle) -> u64| {
        let idle = results.idle.as_ref()?;
        Some(Spread::of([part(idle) as f64]))
    };
    vec![
        alone(
            "idle server, memory",
            SERVER,
            (Bound::Most(15.0 * MIB), Unit::Mebibytes),
            bytes(|idle| idle.server_bytes),
        ),
        alone(
            "idle connection, memory",
            SERVER,
            (Bound::Most(16.0 * 1024.0), Unit::Kibibytes),
            bytes(|idle| idle.connection_bytes),
        ),
    ]
}

/// How soon others learn of a change, where there are as many listeners as there have to be.
fn told(results: &Results) -> Vec<Target> {
    let whole = results.listeners.as_ref();
    let whole = whole.filter(|found| found.listeners >= LISTENERS);
    let milliseconds = |part: fn(&Listeners) -> &Told| {
        let found = whole?;
        Some(Spread::of([part(found).after_answer.p99_us / 1e3]))
    };
    let bound = (Bound::Most(100.0), Unit::Milliseconds);
    vec![
        alone(
            "event on one of 5,000 streams, p99",
            SERVER,
            bound,
            milliseconds(|found| &found.events),
        ),
        alone(
            "message to a device, p99",
            SERVER,
            bound,
            milliseconds(|found| &found.messages),
        ),
    ]
}
