//! What a run leaves: tables on stdout for people, a JSON file for programs, and a document of all
//! that was measured.

mod chart;
mod comparisons;
pub mod document;
mod markdown;
mod number;
mod parts;
mod reasons;
mod results;
mod section;
mod streams;
mod summary;
mod target;
mod targets;
mod tended;
mod told;
pub mod versions;

use std::io::Write;
use std::path::Path;

use serde::Serialize;
use serde_json::json;

use crate::failure::Result;
use crate::figure::{Figure, Ratio};
use crate::machine::Machine;

/// A table of texts whose columns line up: the first is left-aligned, the others right. Columns in
/// which no row says anything are left out.
pub fn table(title: &str, head: &[&str], rows: &[Vec<String>]) -> Result<()> {
    let width = |column: usize| {
        let cells = rows
            .iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count());
        cells.chain([head[column].len()]).max().unwrap_or(0)
    };
    let says = |column: &usize| {
        rows.iter()
            .any(|row| row.get(*column).is_some_and(|cell| !cell.is_empty()))
    };
    let columns: Vec<_> = (0..head.len()).filter(says).collect();
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n{title}")?;
    let head: Vec<_> = head.iter().map(|&cell| cell.to_owned()).collect();
    for row in std::iter::once(&head).chain(rows) {
        for &column in &columns {
            let (cell, width) = (&row[column], width(column));
            if column == 0 {
                write!(out, "  {cell:width$}")?;
            } else {
                write!(out, "  {cell:>width$}")?;
            }
        }
        writeln!(out)?;
    }
    Ok(())
}

/// Lines for people.
pub fn lines(lines: &[String]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    for line in lines {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

/// The tables of a comparison. `callers` is what they are called.
pub fn comparison(title: &str, callers: &str, figures: &[Figure], ratios: &[Ratio]) -> Result<()> {
    let rows: Vec<_> = figures.iter().map(row).collect();
    let head = [
        "contestant",
        callers,
        "per second",
        "(least..most)",
        "p50 us",
        "p99 us",
        "p99.9 us",
        "CPU us",
        "server CPU us",
        "per sync",
        "log bytes",
        "disk bytes",
    ];
    table(title, &head, &rows)?;
    let rows: Vec<_> = ratios
        .iter()
        .map(|ratio| {
            vec![
                format!("{} / {}", ratio.contestant, ratio.to),
                ratio.callers.to_string(),
                format!("{:.2}", ratio.ratio.median),
                format!("({:.2}..{:.2})", ratio.ratio.least, ratio.ratio.most),
            ]
        })
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    table(
        "  ratios, round by round",
        &["", callers, "median", "(least..most)"],
        &rows,
    )
}

fn row(figure: &Figure) -> Vec<String> {
    let optional = |number: Option<f64>| number.map_or_else(String::new, |n| format!("{n:.1}"));
    vec![
        figure.contestant.to_owned(),
        figure.callers.to_string(),
        format!("{:.0}", figure.per_second.median),
        format!(
            "({:.0}..{:.0})",
            figure.per_second.least, figure.per_second.most
        ),
        format!("{:.0}", figure.p50_us),
        format!("{:.0}", figure.p99_us),
        format!("{:.0}", figure.p999_us),
        format!("{:.1}", figure.processor_us),
        optional(figure.server_processor_us),
        optional(figure.per_sync),
        optional(figure.log_bytes),
        optional(figure.disk_bytes),
    ]
}

/// Writes `NAME.json` into the report directory.
pub fn file(
    directory: &Path,
    name: &str,
    machine: &Machine,
    results: impl Serialize,
) -> Result<()> {
    std::fs::create_dir_all(directory)?;
    let path = directory.join(format!("{name}.json"));
    let text = serde_json::to_string_pretty(&json!({ "machine": machine, name: results }))?;
    std::fs::write(&path, text + "\n")
        .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    lines(&[format!("\nreport: {}", path.display())])
}
