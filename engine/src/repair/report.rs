//! What a repair tells people.

use std::fmt;

use super::{LostCommits, LostDataset, LostValue, Repaired};

impl fmt::Display for LostDataset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { dataset, up_to, .. } = self;
        match self.after {
            None => write!(f, "dataset {dataset} is lost; its last count was {up_to}"),
            Some(after) => write!(
                f,
                "dataset {dataset} has lost what was changed after count {after} up to {up_to}"
            ),
        }
    }
}

impl fmt::Display for LostValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, version, .. } = self;
        match self.older {
            None => write!(f, "metadata {key} is lost; its version was {version}"),
            Some(older) => write!(
                f,
                "metadata {key} is back at version {older}; version {version} is lost"
            ),
        }
    }
}

impl fmt::Display for LostCommits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = self.first;
        match self.last {
            Some(last) if last == first => write!(f, "the commit with sequence {first} is lost"),
            Some(last) => write!(f, "the commits with sequences {first} to {last} are lost"),
            None => write!(
                f,
                "commits from sequence {first} on are lost, if there were any"
            ),
        }
    }
}

impl fmt::Display for Repaired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.was_sound() {
            return write!(f, "The store is sound; nothing was to be done.");
        }
        if let Some(finished) = &self.finished {
            writeln!(
                f,
                "An earlier repair was cut short. It had found:\n{finished}"
            )?;
        }
        if self.problems.is_empty() {
            return write!(f, "The store is sound now.");
        }
        writeln!(
            f,
            "Saved: {} datasets and {} metadata values, up to sequence {}.",
            self.datasets, self.metadata, self.sequence
        )?;
        if !self.is_lossy() {
            return write!(
                f,
                "Nothing that lives is lost. The change feed begins anew behind that sequence."
            );
        }
        if self.root_lost {
            writeln!(f, "Lost: which store this was.")?;
        }
        if self.beginning_lost {
            let what = "the beginning of the log and every checkpoint: what neither the log nor a \
                        cold segment tells of is gone";
            writeln!(f, "Lost: {what}")?;
        }
        for lost in &self.lost_commits {
            writeln!(f, "Lost: {lost}")?;
        }
        for lost in &self.lost_datasets {
            writeln!(f, "Lost: {lost}")?;
        }
        for lost in &self.lost_metadata {
            writeln!(f, "Lost: {lost}")?;
        }
        let lifted = self.lifted_to.unwrap_or_default();
        write!(
            f,
            "The store has a new id, {}, and its sync counts go on above {lifted}: clients that \
             have seen more are told everything anew; cursors of the change feed are refused.",
            self.store
        )
    }
}

/// Bytes of a report that a repair keeps until it is ended.
const KEPT_BYTES: usize = 8 << 20;

/// A report as a repair keeps it while files are exchanged: cut to a length that can be read
/// again, however much was lost.
pub(super) fn shortened(mut report: String) -> String {
    if report.len() <= KEPT_BYTES {
        return report;
    }
    let end = report.as_bytes()[..KEPT_BYTES]
        .iter()
        .rposition(|&byte| byte == b'\n')
        .map_or(0, |newline| newline + 1);
    let lines = report[end..].lines().count();
    report.truncate(end);
    report.push_str(&format!("… and {lines} lines more\n"));
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_of_a_great_loss_is_kept_in_part() {
        let line = format!("dataset {} is lost\n", "ü".repeat(500));
        let few = line.repeat(10);
        assert_eq!(shortened(few.clone()), few);
        let kept = shortened(line.repeat(20_000));
        assert!(kept.len() <= KEPT_BYTES + 40, "{}", kept.len());
        let whole = kept.lines().filter(|kept| *kept == line.trim_end()).count();
        assert!(kept.ends_with(&format!("… and {} lines more\n", 20_000 - whole)));
    }
}
