//! The parts that are no comparison of callers: each in a table, with a plot where there is one.

use super::chart::{Chart, Scale};
use super::number;
use super::results::{Filled, Idle, Listed, Pipelined, Results, Stage, Step};
use super::section::{Best, Section, bar, panels};
use crate::failure::Result;
use crate::figure::Spread;

/// Updates under way at the same time.
pub fn pipelined(results: &Results) -> Result<Section> {
    if results.pipelined.is_empty() {
        return Ok(Section::missing("pipelined"));
    }
    let both = |outcome: &Pipelined| {
        let threads = outcome.threads;
        [
            ("engine", outcome.engine),
            ("lmdb-unsynced", outcome.unsynced),
        ]
        .map(|(name, spread)| (threads, name, spread))
    };
    let all: Vec<_> = results.pipelined.iter().flat_map(both).collect();
    let threads = |one: &(u64, &str, Spread)| number::counted(one.0, "thread");
    let row = |one: &(u64, &str, Spread)| bar(one.1, &one.2, number::whole);
    let mut section = Section::default();
    let chart = Chart {
        title: "Updates under way at the same time: a second".to_owned(),
        scale: Scale::Bars,
        panels: panels(&all, threads, row, Best::Most),
    };
    section.show("pipelined", &chart)?;
    let rows = results.pipelined.iter().map(|outcome| {
        vec![
            outcome.threads.to_string(),
            number::spread(&outcome.engine, number::whole),
            number::short(outcome.per_sync),
            number::spread(&outcome.unsynced, number::whole),
            number::spread(&outcome.ratio, number::ratio),
        ]
    });
    let head = [
        "threads",
        "engine",
        "a sync",
        "lmdb-unsynced",
        "engine by it",
    ];
    section.table(&head, rows);
    Ok(section)
}

/// Listings.
pub fn reads(results: &Results) -> Result<Section> {
    if results.reads.is_empty() {
        return Ok(Section::missing("reads"));
    }
    let mut section = Section::default();
    let case = |listed: &Listed| {
        let threads = number::counted(listed.threads, "thread");
        format!("{}: {threads}", listed.case)
    };
    let row = |listed: &Listed| bar(&listed.contestant, &listed.per_second, number::whole);
    let chart = Chart {
        title: "Listings a second".to_owned(),
        scale: Scale::Bars,
        panels: panels(&results.reads, case, row, Best::Most),
    };
    section.show("reads", &chart)?;
    let rows = results.reads.iter().map(|listed| {
        let bytes = listed.per_second.median * listed.bytes as f64;
        vec![
            listed.case.clone(),
            listed.contestant.clone(),
            listed.threads.to_string(),
            number::spread(&listed.per_second, number::whole),
            number::short(bytes / 1e6),
            by_it(&listed.contestant, &listed.engine_by_it),
        ]
    });
    let head = [
        "case",
        "contestant",
        "threads",
        "a second",
        "MB/s",
        "engine by it",
    ];
    section.table(&head, rows);
    Ok(section)
}

/// Everything written, overwritten, followed and exported.
pub fn bulk(results: &Results) -> Result<Section> {
    if results.bulk.is_empty() {
        return Ok(Section::missing("bulk"));
    }
    let mut section = Section::default();
    let row = |step: &Step| bar(&step.contestant, &step.rate, number::short);
    let chart = Chart {
        title: "MB of keys and values a second".to_owned(),
        scale: Scale::Bars,
        panels: panels(&results.bulk, |step| step.step.clone(), row, Best::Most),
    };
    section.show("bulk", &chart)?;
    let rows = results.bulk.iter().map(|step| {
        vec![
            step.step.clone(),
            step.contestant.clone(),
            number::spread(&step.rate, number::short),
            by_it(&step.contestant, &step.engine_by_it),
        ]
    });
    let head = ["step", "contestant", "MB/s", "engine by it"];
    section.table(&head, rows);
    Ok(section)
}

/// The engine by itself says nothing.
fn by_it(contestant: &str, ratio: &Spread) -> String {
    if contestant == "engine" {
        String::new()
    } else {
        number::spread(ratio, number::ratio)
    }
}

/// A server that does nothing.
pub fn idle(results: &Results) -> Section {
    let Some(idle) = &results.idle else {
        return Section::missing("idle");
    };
    let Idle {
        server_bytes,
        connections,
        connection_bytes,
        left_bytes,
    } = *idle;
    let rows = [
        (
            "a server that has started".to_owned(),
            number::mebibytes(server_bytes as f64),
        ),
        (
            format!(
                "and each of {} connections",
                number::whole(connections as f64)
            ),
            number::kibibytes(connection_bytes as f64),
        ),
        (
            "of which stays when they are closed".to_owned(),
            number::kibibytes(left_bytes as f64),
        ),
    ];
    let rows = rows.map(|(what, told)| vec![what, told]);
    let mut section = Section::default();
    section.table(&["", "resident memory"], rows);
    section
}

/// What a filled store takes of memory, and how long it takes to open.
pub fn memory(results: &Results) -> Section {
    if results.memory.is_empty() {
        return Section::missing("memory");
    }
    let row = |store: &Filled, when: &str, stage: &Stage| {
        let datasets = store.identities * store.datasets_per_identity;
        vec![
            format!(
                "{} datasets of {}, {when}",
                number::whole(datasets as f64),
                number::counted(store.records_per_dataset, "record")
            ),
            number::megabytes(stage.log_bytes),
            number::megabytes(store.bound),
            number::megabytes(store.filled.resident),
            number::megabytes(stage.resident),
            number::megabytes(stage.resident_read),
            format!("{:.2}", stage.seconds),
        ]
    };
    let rows = results.memory.iter().flat_map(|store| {
        [
            row(store, "killed", &store.after_kill),
            row(store, "closed", &store.after_close),
        ]
    });
    let head = [
        "store",
        "log MB",
        "bound MB",
        "filled MB",
        "opened MB",
        "all read MB",
        "open s",
    ];
    let mut section = Section::default();
    section.table(&head, rows);
    section
}
