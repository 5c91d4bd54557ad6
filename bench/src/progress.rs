//! How far a long run has come, on stderr, for people only.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar of so many steps. Nothing is drawn where stderr is not a terminal.
pub fn bar(what: &str, steps: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg:36} {wide_bar} {pos}/{len} {elapsed} (~{eta})");
    let bar = ProgressBar::new(steps as u64);
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar.set_message(what.to_owned());
    bar
}
