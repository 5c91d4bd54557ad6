//! Which dataset is updated next: any as likely as the others, or few of them most of the time.

use clap::ValueEnum;

use crate::workload::Dice;

/// Zipf's exponent: the one that benchmarks of stores have agreed on.
const EXPONENT: f64 = 0.99;

/// How datasets are chosen.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// All as often
    Uniform,
    /// By Zipf's law with exponent 0.99: the n-th of them n^0.99 times less often than the first
    Zipf,
}

/// Chooses among so many, the same in every run.
pub struct Chooser {
    dice: Dice,
    below: usize,
    skew: Option<Skew>,
}

/// Zipf's law as Gray and others sample it ("Quickly Generating Billion-Record Synthetic
/// Databases", 1994): the first two exactly, the others by an integral in place of the sum.
struct Skew {
    /// The sum of all weights, of which the first is 1 and the second this.
    sum: f64,
    second: f64,
    stretch: f64,
    power: f64,
}

impl Chooser {
    pub fn new(choice: Choice, seed: usize, below: usize) -> Self {
        Self {
            dice: Dice::new(seed),
            below,
            skew: (choice == Choice::Zipf).then(|| Skew::new(below)),
        }
    }

    /// One of `0..below`; the lower, the likelier, if the choice is skewed.
    pub fn choose(&mut self) -> usize {
        match &self.skew {
            None => self.dice.roll(self.below),
            Some(skew) => skew.rank(self.dice.fraction(), self.below),
        }
    }
}

impl Skew {
    fn new(below: usize) -> Self {
        let weight = |rank: usize| (rank as f64).powf(-EXPONENT);
        let (sum, second) = ((1..=below).map(weight).sum(), weight(2));
        let rest = 1.0 - (2.0 / below as f64).powf(1.0 - EXPONENT);
        Self {
            sum,
            second,
            stretch: rest / (1.0 - (1.0 + second) / sum),
            power: 1.0 / (1.0 - EXPONENT),
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is between 0 and the number of datasets"
    )]
    fn rank(&self, fraction: f64, below: usize) -> usize {
        let weight = fraction * self.sum;
        if weight < 1.0 {
            return 0;
        }
        if weight < 1.0 + self.second {
            return 1.min(below - 1);
        }
        let share = (self.stretch * fraction - self.stretch + 1.0).powf(self.power);
        ((below as f64 * share) as usize).min(below - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(choice: Choice, below: usize, draws: usize) -> Vec<usize> {
        let mut chooser = Chooser::new(choice, 7, below);
        let mut times = vec![0; below];
        for _ in 0..draws {
            times[chooser.choose()] += 1;
        }
        times
    }

    #[test]
    fn a_skewed_choice_follows_the_law() {
        let draws = 1_000_000;
        let found = times(Choice::Zipf, 1000, draws);
        let weight = |rank: usize| (rank as f64).powf(-EXPONENT);
        let sum: f64 = (1..=1000).map(weight).sum();
        // The first and the second exactly; of the others, tens, which the integral comes close to.
        for (from, to) in [(0, 1), (1, 2), (10, 20), (100, 200), (500, 1000)] {
            let wanted = (from..to).map(|at| weight(at + 1)).sum::<f64>() / sum;
            let seen = found[from..to].iter().sum::<usize>() as f64 / draws as f64;
            assert!(
                (seen / wanted - 1.0).abs() < 0.1,
                "{from}: {seen}, {wanted}"
            );
        }
    }

    #[test]
    fn few_datasets_are_enough_for_either() {
        for choice in [Choice::Uniform, Choice::Zipf] {
            for below in 1..5 {
                let found = times(choice, below, 1000);
                assert!(
                    found.iter().all(|&times| times > 0),
                    "{choice:?}: {found:?}"
                );
            }
        }
    }
}
