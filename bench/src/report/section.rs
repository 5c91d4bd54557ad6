//! A piece of the document that is made of figures: text, and the plots that it shows.

use super::chart::{Chart, Panel, Row, Side};
use super::results::Figure;
use super::{markdown, number};
use crate::failure::Result;

/// The directory of the plots, below that of the document.
pub const PLOTS: &str = "bench";

/// Text and plots.
#[derive(Default)]
pub struct Section {
    /// Markdown.
    pub text: String,
    pub plots: Vec<Plot>,
}

/// A file with an SVG document.
pub struct Plot {
    /// The file's name.
    pub name: String,
    pub svg: String,
}

impl Section {
    /// One that says that there are no figures, and how to get them.
    pub fn missing(command: &str) -> Self {
        Self {
            text: format!("Not measured: `syncline-bench {command}` does it.\n"),
            plots: Vec::new(),
        }
    }

    /// Adds a paragraph, a heading or a table, with an empty line before it.
    pub fn add(&mut self, text: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str(text.trim_end());
        self.text.push('\n');
    }

    /// Adds a table.
    pub fn table(&mut self, head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) {
        let rows: Vec<_> = rows.into_iter().collect();
        self.add(&markdown::table(head, &rows));
    }

    /// Draws a chart and shows it.
    pub fn show(&mut self, name: &str, chart: &Chart) -> Result<()> {
        let name = format!("{name}.svg");
        self.add(&format!("![{}]({PLOTS}/{name})", chart.title));
        let svg = chart.draw()?;
        self.plots.push(Plot { name, svg });
        Ok(())
    }
}

/// Which of two values is the better one.
#[derive(Clone, Copy)]
pub enum Best {
    Most,
    Least,
}

/// Panels of things that are told apart by a name, in the order in which they come; in a panel the
/// best comes first.
pub fn panels<T>(
    all: &[T],
    title: impl Fn(&T) -> String,
    row: impl Fn(&T) -> Row,
    best: Best,
) -> Vec<Panel> {
    let mut panels: Vec<Panel> = Vec::new();
    for one in all {
        let (title, row) = (title(one), row(one));
        match panels.iter_mut().find(|panel| panel.title == title) {
            Some(panel) => panel.rows.push(row),
            None => panels.push(Panel {
                title,
                rows: vec![row],
            }),
        }
    }
    for panel in &mut panels {
        panel.rows.sort_by(|a, b| match best {
            Best::Most => b.values[0].total_cmp(&a.values[0]),
            Best::Least => a.values[0].total_cmp(&b.values[0]),
        });
    }
    panels
}

/// A bar of a median, with the least and the most of its rounds.
pub fn bar(name: &str, spread: &crate::figure::Spread, told: fn(f64) -> String) -> Row {
    Row {
        name: name.to_owned(),
        side: Side::of(name),
        values: vec![spread.median],
        rounds: Some((spread.least, spread.most)),
        told: told(spread.median),
    }
}

/// The dots of three percentiles of a latency, in milliseconds.
pub fn dots(name: &str, microseconds: [f64; 3]) -> Row {
    // A logarithm needs more than nothing; no update takes less than a hundredth of this.
    let values = microseconds.map(|us| (us / 1000.0).max(1e-5)).to_vec();
    Row {
        name: name.to_owned(),
        side: Side::of(name),
        values,
        rounds: None,
        told: microseconds.map(number::milliseconds).join(", "),
    }
}

/// The percentiles of a figure.
pub fn percentiles(figure: &Figure) -> [f64; 3] {
    [figure.p50_us, figure.p99_us, figure.p999_us]
}

/// A sentence that begins with a capital letter.
pub fn capital(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters
        .next()
        .map(|first| first.to_uppercase().to_string());
    first.unwrap_or_default() + characters.as_str()
}
