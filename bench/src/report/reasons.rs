//! Why rows are lost: sentences that people write, each below the name of its row.

use std::path::Path;

use super::target::Target;
use crate::failure::{Result, fail};

/// What a heading of a row begins with.
const HEADING: &str = "## ";

/// Names of rows and what is written below them.
pub struct Reasons(Vec<(String, String)>);

impl Reasons {
    /// Reads them, and fails if one is of no row, since nobody would ever see it.
    pub fn read(path: &Path, targets: &[Target]) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        let reasons = Self::parse(&text);
        for (name, _) in &reasons.0 {
            if !targets.iter().any(|target| target.what == *name) {
                let names: Vec<_> = targets.iter().map(|target| &*target.what).collect();
                return fail(format!(
                    "{}: there is no row \"{name}\"; the rows are: {}",
                    path.display(),
                    names.join("; ")
                ));
            }
        }
        Ok(reasons)
    }

    /// What comes before the first heading is for whoever writes the file.
    fn parse(text: &str) -> Self {
        let mut reasons: Vec<(String, String)> = Vec::new();
        for line in text.lines() {
            if let Some(name) = line.strip_prefix(HEADING) {
                reasons.push((name.trim().to_owned(), String::new()));
            } else if let Some((_, reason)) = reasons.last_mut()
                && !line.trim().is_empty()
            {
                if !reason.is_empty() {
                    reason.push(' ');
                }
                reason.push_str(line.trim());
            }
        }
        Self(reasons)
    }

    /// Why a row is lost, if somebody has written it down.
    pub fn of(&self, what: &str) -> Option<&str> {
        let found = self.0.iter().find(|(name, _)| name == what);
        found
            .map(|(_, reason)| reason.as_str())
            .filter(|reason| !reason.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_belong_to_the_heading_above_them() {
        let text = "# Why\n\nFor writers.\n\n## a row\n\nSince it\nis slow.\n\n## another\n";
        let reasons = Reasons::parse(text);
        assert_eq!(reasons.of("a row"), Some("Since it is slow."));
        assert_eq!(reasons.of("another"), None);
        assert_eq!(reasons.of("For writers."), None);
    }
}
