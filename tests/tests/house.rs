//! Sizes and names of source files, for whoever has to read them.

use std::fs;

use syncline_tests::source::files;
use syncline_tests::workspace;

/// One noun fits this.
const LINES_MAX: usize = 450;
/// What fits beside another file on a screen.
const CHARACTERS_MAX: usize = 100;
/// Words that say nothing about what is in a file.
const EMPTY_WORDS: [&str; 10] = [
    "util", "utils", "helper", "helpers", "manager", "managers", "handler", "handlers", "context",
    "misc",
];

#[test]
fn files_and_lines_are_short() {
    let mut found = Vec::new();
    for path in files(&workspace(), &[".rs"]).unwrap() {
        let text = fs::read_to_string(workspace().join(&path)).unwrap();
        let lines = text.lines().count();
        if lines > LINES_MAX {
            found.push(format!("{}: {lines} lines", path.display()));
        }
        let skipped = rows_that_stay_long(&text);
        for (number, line) in text.lines().enumerate() {
            let characters = line.chars().count();
            if characters > CHARACTERS_MAX && !skipped.contains(&number) {
                found.push(format!(
                    "{}:{}: {characters} characters",
                    path.display(),
                    number + 1
                ));
            }
        }
    }
    assert!(
        found.is_empty(),
        "longer than allowed:\n{}",
        found.join("\n")
    );
}

/// The lines of tables that rustfmt is told to leave alone.
fn rows_that_stay_long(text: &str) -> Vec<usize> {
    let mut rows = Vec::new();
    let mut skipping: Option<usize> = None;
    for (number, line) in text.lines().enumerate() {
        let indent = line.len() - line.trim_start().len();
        if line.trim_start().starts_with("#[rustfmt::skip]") {
            skipping = Some(indent);
        } else if let Some(begin) = skipping {
            rows.push(number);
            // The line that closes the thing has the indent of its first.
            if indent == begin && line.trim_start().starts_with(['}', ')', ']']) {
                skipping = None;
            }
        }
    }
    rows
}

#[test]
fn no_file_has_an_empty_name() {
    let endings = [".rs", ".py", ".md", ".sh", ".toml"];
    let mut found = Vec::new();
    for path in files(&workspace(), &endings).unwrap() {
        let shown = path.display().to_string().to_lowercase();
        let mut words = shown.split(|c: char| !c.is_ascii_alphanumeric());
        if words.any(|word| EMPTY_WORDS.contains(&word)) {
            found.push(shown);
        }
    }
    assert!(
        found.is_empty(),
        "named after nothing:\n{}",
        found.join("\n")
    );
}
