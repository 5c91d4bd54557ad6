//! Sync sites: the places of a program that sync, told apart by what they sync.
//!
//! A site is the kind of sync and the class of the path, such as `sync hot/N.log`. Two calls in
//! the source that sync files of one class are one site.

use std::collections::BTreeSet;
use std::path::Path;

use super::orders::Choice;
use super::trace::{Asked, Call};

/// Hexadecimal words of this many letters and digits are numbers even without a digit.
const HEXADECIMAL_LENGTH: usize = 8;

/// The syncs that were asked for, and those that are left out.
#[derive(Default)]
pub(super) struct Sites {
    seen: BTreeSet<String>,
    omitted: BTreeSet<String>,
    choice: Option<Choice>,
}

impl Sites {
    pub(super) fn seen(&self) -> Vec<String> {
        self.seen.iter().cloned().collect()
    }

    pub(super) fn omit(&mut self, site: String) {
        self.omitted.insert(site);
    }

    pub(super) fn omit_chosen(&mut self, choice: Choice) {
        self.choice = Some(choice);
    }

    pub(super) fn note(&mut self, asked: Asked<'_>) {
        self.seen.extend(site(asked.path, asked.call));
    }

    pub(super) fn leaves_out(&mut self, asked: Asked<'_>) -> bool {
        site(asked.path, asked.call).is_some_and(|site| {
            let chosen = self.choice.as_mut();
            chosen.is_some_and(|choice| choice(asked.path, asked.call))
                || self.omitted.contains(&site)
        })
    }
}

/// The site of a sync; nothing for other calls.
fn site(path: &Path, call: Call) -> Option<String> {
    let kind = match call {
        Call::Sync => "sync",
        Call::SyncDirectory => "sync_directory",
        _ => return None,
    };
    Some(format!("{kind} {}", class(path)))
}

/// The path with N for each number in it; the root is a dot.
pub(super) fn class(path: &Path) -> String {
    if path.as_os_str().is_empty() {
        return ".".to_owned();
    }
    let text = path.display().to_string();
    let mut class = String::new();
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let end = rest
            .find(|c: char| !c.is_ascii_alphanumeric())
            .unwrap_or(rest.len());
        if end == 0 {
            let next = rest.chars().next().map_or(1, char::len_utf8);
            class.push_str(&rest[..next]);
            rest = &rest[next..];
        } else {
            push_word(&mut class, &rest[..end]);
            rest = &rest[end..];
        }
    }
    class
}

/// A word of letters and digits: N if it is a number, otherwise with N for the digits in it.
fn push_word(class: &mut String, word: &str) {
    let digit = |c: char| c.is_ascii_digit();
    let hexadecimal = word.chars().all(|c| c.is_ascii_hexdigit());
    if hexadecimal && (word.contains(digit) || word.len() >= HEXADECIMAL_LENGTH) {
        class.push('N');
        return;
    }
    let mut in_number = false;
    for c in word.chars() {
        if !digit(c) {
            class.push(c);
        } else if !in_number {
            class.push('N');
        }
        in_number = digit(c);
    }
}
