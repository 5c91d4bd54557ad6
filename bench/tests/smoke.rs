//! Every measurement at tiny sizes: that it runs to its end, that its own checks pass, and that its
//! report says what was asked for. How fast it was is not looked at.

#![allow(clippy::unwrap_used)]

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

mod built;

use built::server;

/// Other embedded stores that this was built with.
const STORES: usize = if cfg!(feature = "rocksdb") { 6 } else { 5 };

fn bench(scratch: &TempDir, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_syncline-bench"))
        .args(arguments)
        .arg("--data")
        .arg(scratch.path().join("data"))
        .arg("--report")
        .arg(scratch.path().join("report"))
        .output()
        .unwrap()
}

fn report(scratch: &TempDir, name: &str, arguments: &[&str]) -> Value {
    let output = bench(scratch, arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
    let report = scratch
        .path()
        .join("report")
        .join(name)
        .with_extension("json");
    let report: Value = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
    assert!(report["machine"]["cores"].as_u64().unwrap() > 0);
    let left = std::fs::read_dir(scratch.path().join("data"))
        .unwrap()
        .count();
    assert_eq!(left, 0, "the data of a run are removed");
    documented(scratch, name);
    report[name].clone()
}

/// The document of the run has the figures of this part.
fn documented(scratch: &TempDir, name: &str) {
    let prose = concat!(env!("CARGO_MANIFEST_DIR"), "/report");
    let into = scratch.path().join("document");
    let into = into.to_str().unwrap();
    let output = bench(scratch, &["report", "--prose", prose, "--into", into]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {said}");
    let text = std::fs::read_to_string(scratch.path().join("document/BENCHMARKS.md")).unwrap();
    let missing = format!("Not measured: `syncline-bench {name}");
    assert!(
        text.contains("Not measured: `syncline-bench ") && !text.contains(&missing),
        "{name}"
    );
}

fn callers(figures: &Value) -> Vec<(String, u64)> {
    let figures = figures.as_array().unwrap().iter();
    figures
        .map(|figure| {
            assert!(figure["updates"].as_u64().unwrap() > 0);
            let name = figure["contestant"].as_str().unwrap().to_owned();
            (name, figure["callers"].as_u64().unwrap())
        })
        .collect()
}

#[test]
fn commits_measures_every_contestant_in_one_run() {
    let scratch = tempfile::tempdir().unwrap();
    let sizes = ["--threads", "1,3", "--datasets", "30", "--few", "3"];
    let times = ["--seconds", "0.05", "--rounds", "2"];
    let report = report(
        &scratch,
        "commits",
        &[&["commits"], &sizes[..], &times[..]].concat(),
    );
    let names = [
        "engine",
        "raw-group",
        "engine-few",
        "engine-zipf",
        "raw-alone",
    ];
    let names = names.map(str::to_owned);
    let expected: Vec<_> = [1, 3]
        .into_iter()
        .flat_map(|threads| names.iter().map(move |name| (name.clone(), threads)))
        .filter(|found| *found != ("raw-alone".to_owned(), 3))
        .collect();
    assert_eq!(callers(&report["figures"]), expected);
    // Three engines by both limits on one thread, by one on three.
    assert_eq!(report["ratios"].as_array().unwrap().len(), 9);
    assert!(
        report["workload"]
            .as_str()
            .unwrap()
            .contains("chosen uniformly")
    );
}

#[test]
fn every_store_can_be_given_a_skewed_choice() {
    let scratch = tempfile::tempdir().unwrap();
    let sizes = ["--threads", "2", "--datasets", "10", "--choice", "zipf"];
    let who = ["--contestants", "engine,lmdb-batched"];
    let times = ["--seconds", "0.05", "--rounds", "1"];
    let arguments = [&["peers"], &sizes[..], &who[..], &times[..]].concat();
    let both = report(&scratch, "peers", &arguments);
    for workload in both.as_array().unwrap() {
        assert!(
            workload["workload"]
                .as_str()
                .unwrap()
                .contains("chosen by Zipf's law")
        );
        let expected = ["engine", "lmdb-batched"].map(|name| (name.to_owned(), 2));
        assert_eq!(callers(&workload["figures"]), expected);
    }
}

#[test]
fn peers_do_the_same_work_alone_and_in_batches() {
    let scratch = tempfile::tempdir().unwrap();
    let sizes = ["--threads", "3", "--datasets", "20"];
    let times = ["--seconds", "0.05", "--rounds", "1"];
    let both = report(
        &scratch,
        "peers",
        &[&["peers"], &sizes[..], &times[..]].concat(),
    );
    for (workload, records) in both
        .as_array()
        .unwrap()
        .iter()
        .zip(["1 record", "20 records"])
    {
        assert!(workload["workload"].as_str().unwrap().contains(records));
        let callers = callers(&workload["figures"]);
        assert_eq!(callers.len(), 2 + 2 * STORES);
        for figure in workload["figures"].as_array().unwrap() {
            // Whoever syncs writes to the device, if there is one.
            let disk = figure["disk_bytes"].as_f64();
            assert!(disk.is_none_or(|disk| disk > 100.0), "{figure}");
        }
        assert_eq!(workload["ratios"].as_array().unwrap().len(), 1 + 2 * STORES);
    }
}

#[test]
fn pipelined_measures_both_with_every_count_in_place() {
    let scratch = tempfile::tempdir().unwrap();
    let times = ["--pipeline-seconds", "0.05", "--pipeline-rounds", "1"];
    let arguments = [&["pipelined", "--pipelines", "1,2"], &times[..]].concat();
    let outcomes = report(&scratch, "pipelined", &arguments);
    let threads = outcomes.as_array().unwrap().iter();
    let threads: Vec<_> = threads
        .map(|outcome| {
            assert!(outcome["per_sync"].as_f64().unwrap() > 1.0, "{outcome}");
            assert!(outcome["ratio"]["median"].as_f64().unwrap() > 0.0);
            outcome["threads"].as_u64().unwrap()
        })
        .collect();
    assert_eq!(threads, [1, 2]);
}

#[test]
fn reads_counts_what_every_store_lists() {
    let scratch = tempfile::tempdir().unwrap();
    let times = ["--read-seconds", "0.05", "--read-rounds", "1"];
    let arguments = [&["reads", "--quick", "--readers", "2"], &times[..]].concat();
    let outcomes = report(&scratch, "reads", &arguments);
    let outcomes = outcomes.as_array().unwrap();
    assert_eq!(outcomes.len(), 3 * (1 + STORES));
    for outcome in outcomes {
        assert!(outcome["per_second"]["median"].as_f64().unwrap() > 0.0);
        assert_eq!(outcome["threads"], 2);
    }
    assert_eq!(outcomes[0]["bytes"], 105, "one record of ten");
    assert_eq!(
        outcomes.last().unwrap()["bytes"],
        outcomes[2 * (1 + STORES)]["bytes"],
        "the same for all"
    );
}

#[test]
fn commits_refuses_more_threads_than_datasets() {
    let scratch = tempfile::tempdir().unwrap();
    let output = bench(
        &scratch,
        &[
            "commits",
            "--threads",
            "4",
            "--datasets",
            "3",
            "--contestants",
            "engine",
        ],
    );
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("4 threads need at least one dataset each"),
        "{said}"
    );
}

#[test]
fn memory_fills_kills_reopens_and_keeps_its_bound() {
    let scratch = tempfile::tempdir().unwrap();
    let sizes = ["--memory-identities", "50", "--records-per-identity", "6"];
    let more = ["--datasets-per-identity", "1,3", "--cache-mib", "1"];
    let report = report(
        &scratch,
        "memory",
        &[&["memory"], &sizes[..], &more[..]].concat(),
    );
    let stores = report.as_array().unwrap();
    assert_eq!(stores.len(), 2);
    for (store, datasets) in stores.iter().zip([50, 150]) {
        for stage in ["filled", "after_kill", "after_close"] {
            assert_eq!(store[stage]["records"], 300, "{stage}");
            assert_eq!(store[stage]["datasets"], datasets, "{stage}");
            assert_eq!(store[stage]["identities"], 50, "{stage}");
        }
        assert_eq!(store["after_kill"]["clean"], false);
        assert_eq!(store["after_close"]["clean"], true);
    }
}

#[test]
fn http_measures_updates_and_listings_beside_bare_servers() {
    let scratch = tempfile::tempdir().unwrap();
    let server = server();
    let sizes = [
        "--connections",
        "1,5",
        "--identities",
        "64",
        "--rates",
        "500",
        "--requests",
        "64",
    ];
    let run = ["--http-rounds", "2", "--server", server.to_str().unwrap()];
    let sizes = [&sizes[..], &["--beside", "log,echo"]].concat();
    let report = report(
        &scratch,
        "http",
        &[&["http"], &sizes[..], &run[..]].concat(),
    );
    let of_both = |names: &[&str]| -> Vec<_> {
        let pairs = [1, 5].into_iter().flat_map(|connections| {
            names
                .iter()
                .map(move |name| ((*name).to_owned(), connections))
        });
        pairs.collect()
    };
    let (ours, log, echo) = (
        "syncline serve",
        "bare hyper + group log",
        "bare hyper echo",
    );
    let [updates, listings, rates, pairs] = [0, 1, 2, 3].map(|at| &report[at]);
    assert_eq!(callers(&rates["figures"]), [(ours.to_owned(), 500)]);
    assert_eq!(callers(&updates["figures"]), of_both(&[ours, log, echo]));
    assert_eq!(callers(&listings["figures"]), of_both(&[ours, echo]));
    assert_eq!(callers(&pairs["figures"]), of_both(&[ours, log, echo]));
    assert_eq!(updates["ratios"].as_array().unwrap().len(), 4);
}

#[test]
fn redis_and_postgresql_do_the_same_updates_where_they_are_installed() {
    let scratch = tempfile::tempdir().unwrap();
    // PostgreSQL is another user's if this is run by root.
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(scratch.path(), open).unwrap();
    let server = server();
    let sizes = ["--connections", "1,5", "--identities", "64"];
    let run = ["--requests", "64", "--rates", "500", "--http-rounds", "2"];
    let arguments = [
        &["http", "--server", server.to_str().unwrap()],
        &sizes[..],
        &run[..],
    ];
    let arguments = [&arguments.concat()[..], &["--beside", "redis,postgresql"]].concat();
    let report = report(&scratch, "http", &arguments);
    let updates = &report[0];
    let found = callers(&updates["figures"]);
    let left_out = updates["left_out"].as_array().unwrap();
    let is_left_out = |name: &str| {
        let mut left_out = left_out.iter().map(|why| why.as_str().unwrap());
        left_out.any(|why| why.starts_with(&format!("{name} is left out: ")))
    };
    for name in ["Redis always", "PostgreSQL"] {
        for connections in [1, 5] {
            let took_part = found.contains(&(name.to_owned(), connections));
            assert!(took_part != is_left_out(name), "{name}: {updates}");
        }
        let version = updates["versions"][name].as_str();
        assert_eq!(version.is_none(), is_left_out(name), "{name}: {updates}");
    }
    let has_redis = Command::new("redis-server")
        .arg("--version")
        .output()
        .is_ok();
    assert_eq!(has_redis, !is_left_out("Redis always"), "{left_out:?}");
    let ours = found.iter().filter(|(name, _)| name == "syncline serve");
    assert_eq!(
        updates["ratios"].as_array().unwrap().len(),
        found.len() - ours.count()
    );
}

#[test]
fn what_is_not_installed_is_left_out_with_the_name_of_its_package() {
    let scratch = tempfile::tempdir().unwrap();
    let server = server();
    let output = Command::new(env!("CARGO_BIN_EXE_syncline-bench"))
        .args([
            "http",
            "--connections",
            "1",
            "--identities",
            "64",
            "--requests",
            "2",
        ])
        .args(["--http-rounds", "1", "--rates", "50", "--beside", "redis"])
        .args(["--server", server.to_str().unwrap(), "--data"])
        .arg(scratch.path().join("data"))
        .arg("--report")
        .arg(scratch.path().join("report"))
        .env("PATH", scratch.path())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}");
    let why = "Redis always is left out: there is no redis-server in the PATH; on Debian the \
               package redis-server has it";
    assert!(told.contains(why), "{told}");
}

#[test]
fn bulk_moves_the_same_bytes_through_every_store() {
    let scratch = tempfile::tempdir().unwrap();
    let sizes = ["bulk", "--bulk-datasets", "50", "--bulk-rounds", "1"];
    let report = report(&scratch, "bulk", &sizes);
    let outcomes = report.as_array().unwrap();
    // The raw writer has nothing to follow or to export.
    assert_eq!(outcomes.len(), 5 * (2 + STORES) - 2);
    for outcome in outcomes {
        assert!(
            outcome["rate"]["median"].as_f64().unwrap() > 0.0,
            "{outcome}"
        );
    }
}

#[test]
fn an_idle_server_takes_something_and_so_does_a_connection() {
    let scratch = tempfile::tempdir().unwrap();
    let server = server();
    let run = ["idle", "--idle-connections", "50", "--server"];
    let arguments = [&run[..], &[server.to_str().unwrap()]].concat();
    let report = report(&scratch, "idle", &arguments);
    assert!(report["server_bytes"].as_u64().unwrap() > 1 << 20);
    assert_eq!(report["connections"], 50);
    assert!(report["connection_bytes"].as_u64().unwrap() > 0);
}

#[test]
fn upkeep_opens_cleans_and_finds_everything_again() {
    let scratch = tempfile::tempdir().unwrap();
    let opening = ["--open-datasets", "40,200", "--open-rounds", "1"];
    let late = ["--open-tail", "5000"];
    let amplification = ["--small-datasets", "300", "--large-datasets", "1"];
    let space = ["--live-datasets", "2000"];
    let beside = ["--beside-threads", "1,2", "--beside-seconds", "0.05"];
    let report = report(
        &scratch,
        "upkeep",
        &[
            &["upkeep", "--quick", "--segment-kib", "256"],
            &opening[..],
            &late[..],
            &amplification[..],
            &space[..],
            &beside[..],
        ]
        .concat(),
    );
    let stores = report["opening"]["stores"].as_array().unwrap();
    let shapes: Vec<_> = stores
        .iter()
        .map(|store| [&store["datasets"], &store["identities"]].map(|n| n.as_u64().unwrap()))
        .collect();
    assert_eq!(shapes, [[40, 2], [200, 10], [40, 40]]);
    for store in stores {
        assert_eq!(store["closed"][0]["replayed_commits"], 0);
        // As many as were updated before the first kill, and many more before the second.
        assert_eq!(store["killed_soon"][0]["replayed_commits"], 1000);
        let late = store["killed_late"][0]["replayed_commits"]
            .as_u64()
            .unwrap();
        assert!(late > 1000, "{late}");
    }
    let beside = report["opening"]["beside"].as_array().unwrap();
    // Every other store as often as the engine has stores of many datasets to an identity.
    assert_eq!(beside.len(), 2 * STORES);
    for store in beside {
        assert_eq!(store["tail"], 5000, "{store}");
        for stage in ["closed", "killed_soon", "killed_late"] {
            assert!(store[stage]["median"].as_f64().unwrap() > 0.0, "{store}");
        }
    }
    let mixes = report["amplification"].as_array().unwrap();
    let retired = mixes
        .iter()
        .map(|mix| mix["retired_segments"].as_u64().unwrap());
    assert_eq!(mixes.len(), 2);
    assert!(retired.min() > Some(0), "the cleaner worked in all of them");
    let space = &report["space"];
    assert_eq!(space["live"], 2000 * 1000);
    for look in ["filled", "most", "written", "idle", "compact"] {
        assert!(space[look]["disk"].as_u64() >= space[look]["feed"].as_u64());
    }
    let threads: Vec<_> = report["latency"]
        .as_array()
        .unwrap()
        .iter()
        .map(|outcome| outcome["threads"].as_u64().unwrap())
        .collect();
    assert_eq!(threads, [1, 2]);
}
