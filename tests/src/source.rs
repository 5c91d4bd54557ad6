//! Rust sources as words: what is left of a file without comments, literals and unit tests.
//!
//! This is not a parser. It knows just enough of the language to find paths in code, and to leave
//! out what is only text.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Files below a directory whose name ends with one of the endings, in order, with paths from the
/// directory. Build output, versions of other programs and hidden directories are passed over.
///
/// # Errors
/// When something cannot be read.
pub fn files(directory: &Path, endings: &[&str]) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![PathBuf::new()];
    while let Some(below) = open.pop() {
        for file in fs::read_dir(directory.join(&below))? {
            let file = file?;
            let name = file.file_name().to_string_lossy().into_owned();
            let path = below.join(&name);
            if file.file_type()?.is_dir() {
                if !name.starts_with('.') && !matches!(&*name, "target" | "node_modules") {
                    open.push(path);
                }
            } else if endings.iter().any(|ending| name.ends_with(ending)) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The words of a source: names, and every other visible character on its own. Comments, literals
/// and whatever `#[cfg(test)]` stands before are left out.
#[must_use]
pub fn words(source: &str) -> Vec<String> {
    without_tests(&all_words(source))
}

/// Whether a source declares a module for its unit tests only.
#[must_use]
pub fn declares_for_tests(source: &str, module: &str) -> bool {
    let declares = |words: &[String]| {
        words
            .windows(3)
            .any(|three| three[0] == "mod" && three[1] == module && three[2] == ";")
    };
    let all = all_words(source);
    declares(&all) && !declares(&without_tests(&all))
}

fn all_words(source: &str) -> Vec<String> {
    let text: Vec<char> = source.chars().collect();
    let mut words = Vec::new();
    let mut at = 0;
    while at < text.len() {
        at = match text[at] {
            '/' if text.get(at + 1) == Some(&'/') => end_of_line(&text, at),
            '/' if text.get(at + 1) == Some(&'*') => end_of_comment(&text, at),
            '"' => end_of_string(&text, at),
            '\'' => end_of_quote(&text, at),
            c if is_name(c) => {
                let end = end_of_name(&text, at);
                match raw_string(&text, at, end) {
                    Some(after) => after,
                    None => {
                        words.push(text[at..end].iter().collect());
                        end
                    }
                }
            }
            c => {
                if !c.is_whitespace() {
                    words.push(c.to_string());
                }
                at + 1
            }
        };
    }
    words
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn end_of_name(text: &[char], start: usize) -> usize {
    text[start..]
        .iter()
        .position(|&c| !is_name(c))
        .map_or(text.len(), |length| start + length)
}

fn end_of_line(text: &[char], start: usize) -> usize {
    text[start..]
        .iter()
        .position(|&c| c == '\n')
        .map_or(text.len(), |length| start + length)
}

/// Block comments nest.
fn end_of_comment(text: &[char], start: usize) -> usize {
    let mut depth = 0;
    let mut at = start;
    while at < text.len() {
        match (text[at], text.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn end_of_string(text: &[char], start: usize) -> usize {
    let mut at = start + 1;
    while at < text.len() && text[at] != '"' {
        at += if text[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

/// A character, or the quote of a lifetime.
fn end_of_quote(text: &[char], start: usize) -> usize {
    match (text.get(start + 1), text.get(start + 2)) {
        (Some('\\'), Some(_)) => {
            let from = start + 3;
            let rest = text.get(from..).unwrap_or_default();
            rest.iter()
                .position(|&c| c == '\'')
                .map_or(text.len(), |length| from + length + 1)
        }
        (Some(_), Some('\'')) => start + 3,
        _ => start + 1,
    }
}

/// If the name is `r` or `br` and a raw string begins behind it: where that ends.
fn raw_string(text: &[char], start: usize, end: usize) -> Option<usize> {
    let prefix: String = text[start..end].iter().collect();
    if !matches!(&*prefix, "r" | "br" | "cr") {
        return None;
    }
    let hashes = text[end..].iter().take_while(|&&c| c == '#').count();
    if text.get(end + hashes) != Some(&'"') {
        return None;
    }
    let mut close = vec!['"'];
    close.resize(hashes + 1, '#');
    let body = end + hashes + 1;
    let length = text[body..]
        .windows(close.len())
        .position(|window| window == close)?;
    Some(body + length + close.len())
}

/// Leaves out each thing that is marked `#[cfg(test)]`, exactly so.
fn without_tests(words: &[String]) -> Vec<String> {
    const MARK: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut kept = Vec::with_capacity(words.len());
    let mut at = 0;
    while at < words.len() {
        if words[at..]
            .iter()
            .zip(MARK)
            .filter(|(word, mark)| word == mark)
            .count()
            == MARK.len()
        {
            at = end_of_thing(words, at + MARK.len());
        } else {
            kept.push(words[at].clone());
            at += 1;
        }
    }
    kept
}

/// Where an attributed thing ends: at its semicolon, or at the brace that closes its body.
fn end_of_thing(words: &[String], start: usize) -> usize {
    let mut depth = 0_usize;
    for (at, word) in words.iter().enumerate().skip(start) {
        match word.as_str() {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => {
                depth = depth.saturating_sub(1);
                if depth == 0 && word == "}" {
                    return at + 1;
                }
            }
            ";" if depth == 0 => return at + 1,
            _ => {}
        }
    }
    words.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(source: &str) -> String {
        words(source).join(" ")
    }

    #[test]
    fn only_code_is_left() {
        assert_eq!(text("a // crate::b\n/* c /* d */ e */ f"), "a f");
        assert_eq!(text(r#"a "crate::b \" c" d"#), "a d");
        assert_eq!(
            text(r###"a r#"crate::b " c"# d r"e\" f br##"g"# h"## i"###),
            "a d f i"
        );
        assert_eq!(text(r"a 'b' '\'' '\u{e4}' &'c d"), "a & c d");
        assert_eq!(text("crate::b"), "crate : : b");
    }

    #[test]
    fn modules_of_unit_tests_are_told_from_others() {
        let source = "mod a; #[cfg(test)] mod b; #[cfg(test)] mod c { mod d; } // mod e;";
        let found = ["a", "b", "c", "d", "e"].map(|module| declares_for_tests(source, module));
        assert_eq!(found, [false, true, false, true, false]);
    }

    #[test]
    fn unit_tests_are_left_out() {
        assert_eq!(
            text("a; #[cfg(test)] mod tests { use b; fn c() { d } } e"),
            "a ; e"
        );
        assert_eq!(text("#[cfg(test)] mod tests; a"), "a");
        assert_eq!(text("#[cfg(test)] pub(crate) mod tests { a } b"), "b");
        assert_eq!(
            text("#[cfg(test)] #[must_use] fn a(b: [u8; 2]) -> c { d } e"),
            "e"
        );
        let other = "#[cfg(any(test, feature = \"sim\"))] mod sim;";
        assert!(text(other).ends_with("mod sim ;"));
    }
}
