//! What the figures were measured on, what had to be reached, and what was not.

use super::reasons::Reasons;
use super::results::Results;
use super::section::Section;
use super::target::{Target, Verdict};
use super::{number, versions};
use crate::machine::Machine;

/// What a row says of a machine.
type Telling = fn(&Machine) -> String;

/// Machine, software, load and date.
pub fn machine(results: &Results) -> Section {
    let rows: [(&str, Telling); 7] = [
        ("machine", |machine| {
            let gib = machine.memory_bytes as f64 / f64::from(1 << 30);
            format!(
                "{} × {}, {gib:.0} GiB, Linux {}",
                machine.cores, machine.processor, machine.kernel
            )
        }),
        ("disk", |machine| machine.disk.clone()),
        ("software", |machine| {
            format!("syncline {}, {}", machine.version, machine.build)
        }),
        ("beside it", |machine| {
            if machine.versions.is_empty() {
                versions::of_build().join(", ")
            } else {
                machine.versions.join(", ")
            }
        }),
        ("date", |machine| {
            machine
                .date
                .clone()
                .unwrap_or_else(|| "not stated".to_owned())
        }),
        ("scheduling", |machine| machine.scheduling.clone()),
        ("load before, over one minute", |machine| {
            machine.load_before.clone()
        }),
    ];
    let mut rows = rows
        .map(|(what, told)| vec![what.to_owned(), once(results, told)])
        .to_vec();
    let servers = results
        .http
        .iter()
        .flat_map(|comparison| &comparison.versions);
    let servers: Vec<_> = servers
        .map(|(name, version)| format!("{name} {version}"))
        .collect();
    if !servers.is_empty() {
        rows.push(vec!["other servers".to_owned(), servers.join(", ")]);
    }
    let mut section = Section::default();
    section.table(&["", ""], rows);
    section
}

/// What all parts say, or what each says, with its name.
fn once(results: &Results, told: Telling) -> String {
    let mut groups: Vec<(String, Vec<&str>)> = Vec::new();
    for (part, machine) in &results.machines {
        let told = told(machine);
        match groups.iter_mut().find(|(text, _)| *text == told) {
            Some((_, parts)) => parts.push(part),
            None => groups.push((told, vec![part])),
        }
    }
    let single = groups.len() == 1;
    let told = groups.iter().map(|(told, parts)| {
        if single {
            told.clone()
        } else {
            format!("{told} ({})", parts.join(", "))
        }
    });
    told.collect::<Vec<_>>().join("; ")
}

/// The table of all that has to be reached.
pub fn targets(targets: &[Target]) -> Section {
    let count = |verdict| {
        let these = targets.iter().filter(|target| target.verdict() == verdict);
        these.count()
    };
    let rows = targets.iter().map(|target| {
        vec![
            target.what.clone(),
            target.ours.to_owned(),
            target.beside.clone(),
            target.asked(),
            target.reached(),
            target.verdict().word().to_owned(),
        ]
    });
    let head = ["what", "contestant", "by", "target", "measured", ""];
    let mut section = Section::default();
    section.add(&format!(
        "{} met, {} lost, {} not measured.",
        number::counted(count(Verdict::Met) as u64, "row"),
        count(Verdict::Lost),
        count(Verdict::NotMeasured)
    ));
    section.table(&head, rows);
    section
}

/// Every row that is lost, and why.
pub fn lost(targets: &[Target], reasons: &Reasons) -> Section {
    let mut section = Section::default();
    let lost = targets
        .iter()
        .filter(|target| target.verdict() == Verdict::Lost);
    let lines = lost.map(|target| {
        let beside = if target.beside.is_empty() {
            String::new()
        } else {
            format!(" by {}", target.beside)
        };
        let why = reasons
            .of(&target.what)
            .unwrap_or("Nobody has written down why.");
        format!(
            "- **{}**: {}{beside}, where {} is asked for. {why}\n",
            target.what,
            target.reached(),
            target.asked()
        )
    });
    let lines: String = lines.collect();
    section.add(if lines.is_empty() {
        "No row that was measured is lost."
    } else {
        &lines
    });
    section
}
