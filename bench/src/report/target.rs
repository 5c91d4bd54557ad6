//! One thing that the benchmark has to reach, and whether it did.

use super::number;
use crate::figure::Spread;

/// Something to reach.
pub struct Target {
    /// What is measured, as `lost.md` calls it.
    pub what: String,
    /// Whose figure it is.
    pub ours: &'static str,
    /// Whom it is taken by; empty: nobody, it is a figure of its own.
    pub beside: String,
    pub bound: Bound,
    pub unit: Unit,
    /// None: the part that measures it was not run, or not at this size.
    pub measured: Option<Spread>,
}

/// What the median has to be.
#[derive(Clone, Copy)]
pub enum Bound {
    /// This or more.
    Least(f64),
    /// This or less.
    Most(f64),
    /// Less than this.
    Below(f64),
}

/// What the numbers are.
#[derive(Clone, Copy)]
pub enum Unit {
    /// One by the other.
    Ratio,
    /// Times a second.
    Rate,
    Seconds,
    Milliseconds,
    /// Bytes, told in MiB.
    Mebibytes,
    /// Bytes, told in KiB.
    Kibibytes,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Met,
    Lost,
    NotMeasured,
}

impl Target {
    /// By the median.
    pub fn verdict(&self) -> Verdict {
        let Some(measured) = &self.measured else {
            return Verdict::NotMeasured;
        };
        let median = measured.median;
        let met = match self.bound {
            Bound::Least(bound) => median >= bound,
            Bound::Most(bound) => median <= bound,
            Bound::Below(bound) => median < bound,
        };
        if met { Verdict::Met } else { Verdict::Lost }
    }

    /// The bound in words.
    pub fn asked(&self) -> String {
        let (sign, bound) = match self.bound {
            Bound::Least(bound) => ("≥", bound),
            Bound::Most(bound) => ("≤", bound),
            Bound::Below(bound) => ("<", bound),
        };
        format!("{sign} {}", self.unit.tell()(bound))
    }

    /// The median in words, with the spread of its rounds; nothing if it was not measured.
    pub fn reached(&self) -> String {
        let told = |measured| number::spread(measured, self.unit.tell());
        self.measured.as_ref().map_or_else(String::new, told)
    }
}

impl Unit {
    fn tell(self) -> fn(f64) -> String {
        match self {
            Self::Ratio => number::ratio,
            Self::Rate => number::whole,
            Self::Seconds => number::seconds,
            Self::Milliseconds => number::told_milliseconds,
            Self::Mebibytes => number::mebibytes,
            Self::Kibibytes => number::kibibytes,
        }
    }
}

impl Verdict {
    /// As a table says it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::Lost => "**lost**",
            Self::NotMeasured => "not measured",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(bound: Bound, measured: f64) -> Target {
        Target {
            what: String::new(),
            ours: "",
            beside: String::new(),
            bound,
            unit: Unit::Ratio,
            measured: Some(Spread::of([measured])),
        }
    }

    #[test]
    fn a_bound_itself_is_enough_unless_it_has_to_be_below() {
        assert_eq!(target(Bound::Least(0.8), 0.8).verdict(), Verdict::Met);
        assert_eq!(target(Bound::Least(0.8), 0.799).verdict(), Verdict::Lost);
        assert_eq!(target(Bound::Most(2.0), 2.0).verdict(), Verdict::Met);
        assert_eq!(target(Bound::Most(2.0), 2.01).verdict(), Verdict::Lost);
        assert_eq!(target(Bound::Below(1.0), 1.0).verdict(), Verdict::Lost);
    }
}
