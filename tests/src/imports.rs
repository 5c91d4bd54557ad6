//! Which modules of its own crate a source names.

use std::collections::BTreeSet;

use crate::source;

/// The names directly under the crate's root that the code of a module mentions, by whatever
/// path: `crate::a`, `super::b`, or the crate's own name in its binary.
///
/// `module` is the path of the module, `["disk", "sim"]` for `disk/sim.rs`.
#[must_use]
pub fn imports(source: &str, module: &[&str], crate_name: &str) -> BTreeSet<String> {
    let words = source::words(source);
    let mut reader = Reader {
        words: &words,
        at: 0,
        module: module.iter().map(|&name| name.to_owned()).collect(),
        inner: Vec::new(),
        depth: 0,
        crate_name,
        found: BTreeSet::new(),
    };
    while reader.at < words.len() {
        reader.step();
    }
    reader.found
}

struct Reader<'a> {
    words: &'a [String],
    at: usize,
    /// The module whose code is being read.
    module: Vec<String>,
    /// The depths of braces at which modules inside the file were opened.
    inner: Vec<usize>,
    depth: usize,
    crate_name: &'a str,
    found: BTreeSet<String>,
}

impl Reader<'_> {
    fn word(&self, ahead: usize) -> &str {
        self.words.get(self.at + ahead).map_or("", String::as_str)
    }

    fn step(&mut self) {
        match self.word(0) {
            "{" => self.depth += 1,
            "}" => {
                self.depth = self.depth.saturating_sub(1);
                if self.inner.last() == Some(&self.depth) {
                    self.inner.pop();
                    self.module.pop();
                }
            }
            "mod" if self.word(2) == "{" => {
                self.module.push(self.word(1).to_owned());
                self.inner.push(self.depth);
                self.depth += 1;
                self.at += 2;
            }
            word if self.begins_path() && (word == "crate" || word == self.crate_name) => {
                return self.path(Vec::new());
            }
            "super" if self.begins_path() => {
                let mut from = self.module.clone();
                from.pop();
                return self.path(from);
            }
            _ => {}
        }
        self.at += 1;
    }

    /// Whether the word here is the first of a path and has something behind it.
    fn begins_path(&self) -> bool {
        let continues =
            self.at > 1 && self.words[self.at - 1] == ":" && self.words[self.at - 2] == ":";
        !continues && self.is_followed(0)
    }

    fn is_followed(&self, ahead: usize) -> bool {
        self.word(ahead + 1) == ":" && self.word(ahead + 2) == ":"
    }

    /// Reads what is behind `crate` or `super`, which names the module `from`.
    fn path(&mut self, mut from: Vec<String>) {
        self.at += 3;
        while self.word(0) == "super" && self.is_followed(0) {
            from.pop();
            self.at += 3;
        }
        if !from.is_empty() {
            // Within one noun.
            return;
        }
        if self.word(0) == "{" {
            self.group();
        } else {
            self.found.insert(self.word(0).to_owned());
        }
    }

    /// Reads the first names of a group of imports from the root, and stands behind it.
    fn group(&mut self) {
        let mut depth = 0;
        let mut first = true;
        while self.at < self.words.len() {
            match self.word(0) {
                "{" => depth += 1,
                "}" => depth -= 1,
                "," => first = depth == 1,
                name if depth == 1 && first => {
                    self.found.insert(name.to_owned());
                    first = false;
                }
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(source: &str, module: &[&str]) -> String {
        let found = imports(source, module, "house");
        found.into_iter().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn every_way_to_name_a_module_is_seen() {
        assert_eq!(found("use crate::a::{B, C}; use crate::d;", &["x"]), "a d");
        assert_eq!(
            found("use crate::{a::{B, C}, d, e::F as G};", &["x"]),
            "a d e"
        );
        assert_eq!(
            found(
                "pub(crate) use crate::a; fn b() -> crate::c::D { d }",
                &["x"]
            ),
            "a c"
        );
        assert_eq!(
            found("use house::a; fn f() { house::b::g() }", &["main"]),
            "a b"
        );
        assert_eq!(found("use other::house::a; use houses::b;", &["main"]), "");
        assert_eq!(
            found("use super::a; use super::{b, c::D};", &["x"]),
            "a b c"
        );
    }

    #[test]
    fn what_stays_inside_a_noun_is_not_an_import() {
        assert_eq!(
            found("use super::a; use self::b; use c::d;", &["x", "y"]),
            ""
        );
        assert_eq!(found("use super::super::a;", &["x", "y"]), "a");
        assert_eq!(found("use super::super::a;", &["x", "y", "z"]), "");
        assert_eq!(
            found(
                "mod y { use super::a; mod z { use super::super::b; } }",
                &["x"]
            ),
            ""
        );
        assert_eq!(found("mod y { fn f() { } } use super::a;", &["x"]), "a");
        assert_eq!(found("mod y { use super::super::a; }", &["x"]), "a");
    }

    #[test]
    fn text_and_tests_are_not_imports() {
        let source = "//! [`A`](crate::a)\nconst B: &str = \"crate::b\"; use crate::c;\n\
                      #[cfg(test)]\nmod tests { use crate::d; }";
        assert_eq!(found(source, &["x"]), "c");
    }
}
