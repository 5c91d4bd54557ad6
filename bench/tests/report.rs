//! The document of a run, made of small samples of what the parts leave.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// Where the samples are, and what people wrote.
fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/report")
}

fn prose() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("report")
}

fn report(from: &Path, prose: &Path, into: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_syncline-bench"))
        .arg("report")
        .arg("--from")
        .arg(from)
        .arg("--prose")
        .arg(prose)
        .arg("--into")
        .arg(into)
        .output()
        .unwrap()
}

/// The document, and its plots by name.
fn made(from: &Path, into: &TempDir) -> (String, BTreeMap<String, String>) {
    let output = report(from, &prose(), into.path());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let plots = fs::read_dir(into.path().join("bench")).unwrap();
    let plots = plots.map(|file| {
        let file = file.unwrap();
        let name = file.file_name().into_string().unwrap();
        (name, fs::read_to_string(file.path()).unwrap())
    });
    let text = fs::read_to_string(into.path().join("BENCHMARKS.md")).unwrap();
    (text, plots.collect())
}

/// A refusal, in words.
fn refused(from: &Path, prose: &Path) -> String {
    let into = tempfile::tempdir().unwrap();
    let output = report(from, prose, into.path());
    assert!(!output.status.success());
    assert!(!into.path().join("BENCHMARKS.md").exists());
    String::from_utf8(output.stderr).unwrap()
}

/// Lines that have to be in the document, by the name of the file beside the samples.
fn expected(name: &str) -> Vec<String> {
    let text = fs::read_to_string(samples().join(name)).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn assert_lines(text: &str, lines: &[impl AsRef<str>]) {
    assert!(!lines.is_empty());
    for line in lines.iter().map(AsRef::as_ref) {
        assert!(text.lines().any(|found| found == line), "{line}\n\n{text}");
    }
}

#[test]
fn targets_say_what_was_measured_and_whether_it_is_enough() {
    let into = tempfile::tempdir().unwrap();
    let (text, _) = made(&samples(), &into);
    assert_lines(&text, &expected("targets.md"));
}

#[test]
fn a_row_that_is_lost_is_named_with_the_reason_that_somebody_wrote() {
    let own = tempfile::tempdir().unwrap();
    fs::copy(prose().join("page.md"), own.path().join("page.md")).unwrap();
    let lost = "# Why\n\n## 1 record, 64 threads\n\nSince it remembers.\n\n\
                ## 1 record, 1 thread\n\nThis row is met.\n";
    fs::write(own.path().join("lost.md"), lost).unwrap();
    let into = tempfile::tempdir().unwrap();
    let output = report(&samples(), own.path(), into.path());
    assert!(output.status.success());
    let text = fs::read_to_string(into.path().join("BENCHMARKS.md")).unwrap();
    assert_lines(
        &text,
        &[
            "- **1 record, 64 threads**: 0.61 (0.47 to 0.63) by raw-group, where ≥ 0.80 is asked \
             for. Since it remembers.",
            "- **idle connection, memory**: 26.7 KiB, where ≤ 16.0 KiB is asked for. Nobody has \
             written down why.",
        ],
    );
    assert!(!text.contains("This row is met."));
}

#[test]
fn figures_stand_in_tables_beside_the_ratios_of_the_same_rounds() {
    let into = tempfile::tempdir().unwrap();
    let (text, _) = made(&samples(), &into);
    assert_lines(&text, &expected("figures.md"));
}

#[test]
fn a_part_that_was_not_run_is_called_not_measured() {
    let into = tempfile::tempdir().unwrap();
    let (text, plots) = made(&samples(), &into);
    for command in ["pipelined", "memory", "upkeep --parts amplification"] {
        let line = format!("Not measured: `syncline-bench {command}` does it.");
        assert!(text.contains(&line), "{line}");
    }
    let row = "| pipelined, 8 threads | engine | lmdb-unsynced | ≥ 5.00 |  | not measured |";
    assert!(text.contains(row));
    assert!(!plots.contains_key("pipelined.svg"));
}

#[test]
fn plots_are_documents_with_the_names_of_all_contestants() {
    let into = tempfile::tempdir().unwrap();
    let (text, plots) = made(&samples(), &into);
    let texts = |name: &str| {
        let document = roxmltree::Document::parse(&plots[name]).unwrap();
        let texts = document.descendants().filter_map(|node| node.text());
        let texts: Vec<_> = texts.map(|text| text.trim().to_owned()).collect();
        texts
    };
    let named: [(&str, &[&str]); 7] = [
        (
            "commits-1.svg",
            &["engine", "raw-alone", "raw-group", "74,282", "64 threads"],
        ),
        (
            "commits-1-latency.svg",
            &["engine", "raw-group", "0.82, 1.5, 4.1"],
        ),
        ("peers-2.svg", &["engine", "redb-batched", "fjall-batched"]),
        (
            "http-1.svg",
            &["bare hyper + group log", "Redis always", "64 connections"],
        ),
        (
            "http-3-latency.svg",
            &["5,000 asked for a second", "1.7, 3.8, 11"],
        ),
        ("bulk.svg", &["raw synced writes", "load", "feed"]),
        ("opening.svg", &["engine", "lmdb", "0.63 s"]),
    ];
    for (name, wanted) in named {
        let texts = texts(name);
        for wanted in wanted {
            assert!(texts.iter().any(|text| text == wanted), "{name}: {wanted}");
        }
    }
    for name in plots.keys() {
        assert!(!texts(name).is_empty());
        assert!(
            text.contains(&format!("](bench/{name})")),
            "{name} is shown"
        );
    }
    // Rates that were asked for are no contest.
    assert!(!plots.contains_key("http-3.svg"));
}

#[test]
fn the_same_figures_give_the_same_bytes_and_old_plots_go() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::create_dir(other.path().join("bench")).unwrap();
    fs::write(other.path().join("bench/gone.svg"), "old").unwrap();
    assert!(made(&samples(), &one) == made(&samples(), &other));
}

#[test]
fn what_cannot_be_told_is_refused_with_what_to_do() {
    let empty = tempfile::tempdir().unwrap();
    let said = refused(empty.path(), &prose());
    assert!(said.contains("there are no figures in"), "{said}");
    assert!(said.contains("run bench/run"), "{said}");

    fs::write(empty.path().join("idle.json"), "{}").unwrap();
    let said = refused(empty.path(), &prose());
    assert!(said.contains("run `syncline-bench idle` again"), "{said}");

    let own = tempfile::tempdir().unwrap();
    fs::write(own.path().join("lost.md"), "## a row of nobody\n\nWhy?\n").unwrap();
    fs::write(own.path().join("page.md"), "<!-- figures: machine -->\n").unwrap();
    let said = refused(&samples(), own.path());
    assert!(
        said.contains("there is no row \"a row of nobody\"; the rows are: 1 record"),
        "{said}"
    );

    fs::write(own.path().join("lost.md"), "").unwrap();
    let said = refused(&samples(), own.path());
    assert!(
        said.contains("\"<!-- figures: targets -->\" is there 0 times"),
        "{said}"
    );

    fs::write(own.path().join("page.md"), "<!-- figures: weather -->\n").unwrap();
    let said = refused(&samples(), own.path());
    assert!(
        said.contains("there are no figures \"weather\", only machine, "),
        "{said}"
    );
}
