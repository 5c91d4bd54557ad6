//! `report`: the document of a run, made of what its parts left and of what people wrote.
//!
//! `page.md` is written by people, and says in lines of their own where figures go; `lost.md` says
//! why rows are lost. What comes of them and of the JSON of a run depends on nothing else.

use std::fs;
use std::path::Path;

use super::reasons::Reasons;
use super::results::Results;
use super::section::{PLOTS, Plot, Section};
use super::target::Target;
use super::{comparisons, parts, streams, summary, targets, tended, told};
use crate::arguments::{DocumentOptions, Shared};
use crate::failure::{Result, fail};

/// What stands before and behind the name of a section in `page.md`.
const MARK: (&str, &str) = ("<!-- figures: ", " -->");
const NAME: &str = "BENCHMARKS.md";
/// For whoever opens the document to change it.
const ORIGIN: &str = "<!-- Made by bench/run of the figures of a run and of what people wrote in \
                      bench/report: change it there. -->\n\n";

/// What sections are made of.
struct Material {
    results: Results,
    targets: Vec<Target>,
    reasons: Reasons,
}

type Maker = fn(&Material) -> Result<Section>;

/// The sections by their names. Each has to be in `page.md` once, so that none is forgotten.
const SECTIONS: [(&str, Maker); 17] = [
    ("machine", |of| Ok(summary::machine(&of.results))),
    ("targets", |of| Ok(summary::targets(&of.targets))),
    ("lost", |of| Ok(summary::lost(&of.targets, &of.reasons))),
    ("commits", |of| {
        comparisons::section("commits", "thread", &of.results.commits)
    }),
    ("peers", |of| {
        comparisons::section("peers", "thread", &of.results.peers)
    }),
    ("pipelined", |of| parts::pipelined(&of.results)),
    ("reads", |of| parts::reads(&of.results)),
    ("bulk", |of| parts::bulk(&of.results)),
    ("http", |of| {
        comparisons::section("http", "connection", &of.results.http)
    }),
    ("idle", |of| Ok(parts::idle(&of.results))),
    ("listeners", |of| Ok(told::section(&of.results))),
    ("memory", |of| Ok(parts::memory(&of.results))),
    ("opening", |of| tended::opening(&of.results)),
    ("amplification", |of| Ok(tended::amplification(&of.results))),
    ("space", |of| Ok(tended::space(&of.results))),
    ("latency", |of| tended::latency(&of.results)),
    ("streams", |of| Ok(streams::section(&of.results))),
];

/// The document and its plots.
struct Document {
    text: String,
    plots: Vec<Plot>,
}

/// Reads the figures and the prose, and writes the document.
pub fn run(shared: &Shared, options: &DocumentOptions) -> Result<()> {
    let from = options.from.as_deref().unwrap_or(&shared.report);
    let results = Results::read(from)?;
    let strangers = results.strangers.join(", ");
    let targets = targets::of(&results);
    let reasons = Reasons::read(&options.prose.join("lost.md"), &targets)?;
    let page = options.prose.join("page.md");
    let prose = fs::read_to_string(&page)
        .map_err(|error| format!("cannot read {}: {error}", page.display()))?;
    let material = Material {
        results,
        targets,
        reasons,
    };
    let document = Document::compose(&prose, &material)
        .map_err(|error| format!("{}: {error}", page.display()))?;
    document.write(&options.into)?;
    let told = options.into.join(NAME);
    let mut lines = vec![format!(
        "{} and {} plots beside it",
        told.display(),
        document.plots.len()
    )];
    if !strangers.is_empty() {
        lines.push(format!(
            "of no part that is known, so left out: {strangers}"
        ));
    }
    super::lines(&lines)
}

impl Document {
    /// The prose, with figures where it asks for them.
    fn compose(prose: &str, material: &Material) -> Result<Self> {
        let mut document = Self {
            text: ORIGIN.to_owned(),
            plots: Vec::new(),
        };
        let mut used = Vec::new();
        for line in prose.lines() {
            let Some(name) = asked_for(line) else {
                document.text += line;
                document.text.push('\n');
                continue;
            };
            let Some((name, make)) = SECTIONS.iter().find(|(known, _)| *known == name) else {
                let known = SECTIONS.map(|(name, _)| name).join(", ");
                return fail(format!("there are no figures \"{name}\", only {known}"));
            };
            let section = make(material)?;
            document.text += &section.text;
            document.plots.extend(section.plots);
            used.push(*name);
        }
        for (name, _) in SECTIONS {
            let times = used.iter().filter(|used| **used == name).count();
            if times != 1 {
                let (before, behind) = MARK;
                return fail(format!(
                    "\"{before}{name}{behind}\" is there {times} times and not once"
                ));
            }
        }
        Ok(document)
    }

    /// Writes the document, and its plots in place of those of an earlier one.
    fn write(&self, into: &Path) -> Result<()> {
        let plots = into.join(PLOTS);
        fs::create_dir_all(&plots)?;
        for file in fs::read_dir(&plots)? {
            let path = file?.path();
            if path.extension().is_some_and(|extension| extension == "svg") {
                fs::remove_file(path)?;
            }
        }
        for plot in &self.plots {
            write(&plots.join(&plot.name), &plot.svg)?;
        }
        write(&into.join(NAME), &self.text)
    }
}

/// The section that a line asks for, if it is such a line.
fn asked_for(line: &str) -> Option<&str> {
    let (before, behind) = MARK;
    line.trim().strip_prefix(before)?.strip_suffix(behind)
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text)
        .map_err(|error| format!("cannot write {}: {error}", path.display()).into())
}
