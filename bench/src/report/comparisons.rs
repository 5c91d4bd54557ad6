//! Parts that compare contestants by updates or requests a second: tables, rates, latencies.

use super::chart::{Chart, Scale};
use super::results::{Comparison, Figure};
use super::section::{Best, Section, bar, capital, dots, panels, percentiles};
use super::{markdown, number};
use crate::failure::Result;

const HEAD: [&str; 11] = [
    "contestant",
    "callers",
    "a second",
    "p50 ms",
    "p99 ms",
    "p99.9 ms",
    "CPU µs",
    "server CPU µs",
    "a sync",
    "log bytes",
    "disk bytes",
];

/// The section of one part. `caller` is what one caller is called.
pub fn section(part: &str, caller: &str, comparisons: &[Comparison]) -> Result<Section> {
    if comparisons.is_empty() {
        return Ok(Section::missing(part));
    }
    let mut section = Section::default();
    for (number, comparison) in comparisons.iter().enumerate() {
        let name = format!("{part}-{}", number + 1);
        comparison.tell(&mut section, &name, caller)?;
    }
    Ok(section)
}

impl Comparison {
    fn tell(&self, section: &mut Section, name: &str, caller: &str) -> Result<()> {
        let (what, more) = self
            .workload
            .split_once(';')
            .unwrap_or((&self.workload, ""));
        let rated = self.at_fixed_rates();
        let ending = if rated { ", at fixed rates" } else { "" };
        let title = capital(what) + ending;
        section.add(&format!("### {title}"));
        if !more.trim().is_empty() {
            section.add(&format!("{}.", capital(more.trim())));
        }
        let callers = |figure: &Figure| {
            if rated {
                format!(
                    "{} asked for a second",
                    number::whole(figure.callers as f64)
                )
            } else {
                number::counted(figure.callers, caller)
            }
        };
        let row = |figure: &Figure| bar(&figure.contestant, &figure.per_second, number::whole);
        if !rated {
            let chart = Chart {
                title: format!("{title}: a second"),
                scale: Scale::Bars,
                panels: panels(&self.figures, callers, row, Best::Most),
            };
            section.show(name, &chart)?;
        }
        let row = |figure: &Figure| dots(&figure.contestant, percentiles(figure));
        let chart = Chart {
            title: format!("{title}: p50, p99 and p99.9 in ms"),
            scale: Scale::Dots,
            panels: panels(&self.figures, callers, row, Best::Least),
        };
        section.show(&format!("{name}-latency"), &chart)?;
        let callers = if rated {
            "asked for".to_owned()
        } else {
            format!("{caller}s")
        };
        section.add(&self.table(&callers));
        if !self.left_out.is_empty() {
            section.add(&format!("{}.", self.left_out.join(". ")));
        }
        Ok(())
    }

    /// The figures, and the ratios of whoever is compared by whom it is compared with.
    fn table(&self, callers: &str) -> String {
        let mut subjects: Vec<&str> = Vec::new();
        for ratio in &self.ratios {
            if !subjects.contains(&&*ratio.contestant) {
                subjects.push(&ratio.contestant);
            }
        }
        let by_it: Vec<_> = subjects
            .iter()
            .map(|name| format!("{name} by it"))
            .collect();
        let mut head = HEAD.to_vec();
        head[1] = callers;
        head.extend(by_it.iter().map(String::as_str));
        let row = |figure: &Figure| {
            let mut cells = cells(figure);
            cells.extend(subjects.iter().map(|subject| {
                let ratio = self.ratio(subject, &figure.contestant, figure.callers);
                ratio.map_or_else(String::new, |ratio| number::spread(&ratio, number::ratio))
            }));
            cells
        };
        let rows: Vec<_> = self.figures.iter().map(row).collect();
        markdown::table(&head, &rows)
    }
}

fn cells(figure: &Figure) -> Vec<String> {
    let optional =
        |number: Option<f64>, told: fn(f64) -> String| number.map_or_else(String::new, told);
    vec![
        figure.contestant.clone(),
        number::whole(figure.callers as f64),
        number::spread(&figure.per_second, number::whole),
        number::milliseconds(figure.p50_us),
        number::milliseconds(figure.p99_us),
        number::milliseconds(figure.p999_us),
        number::short(figure.processor_us),
        optional(figure.server_processor_us, number::short),
        optional(figure.per_sync, number::short),
        optional(figure.log_bytes, number::whole),
        optional(figure.disk_bytes, number::whole),
    ]
}
