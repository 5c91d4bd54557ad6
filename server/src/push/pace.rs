//! How long a service is left alone after a batch.

use std::time::Duration;

use super::message::Verdict;
use super::queue::BACK_OFF;

/// After so many batches of which nothing got through it is up to no single message: batches that
/// fail get smaller, and after 7 times those of 100 are of one.
const VAIN_MAX: u32 = 8;

/// What a service made of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// It was asked nothing.
    Nothing,
    /// It decided on some of the messages.
    Some,
    /// All of them are to be tried again, each by itself.
    None,
    /// The same, and it is to be asked nothing before that time is over.
    Away(Duration),
}

impl Heard {
    pub(super) fn of(verdicts: &[Verdict]) -> Self {
        let is_decided = |verdict: &Verdict| {
            matches!(
                verdict,
                Verdict::Delivered | Verdict::Dead | Verdict::Refused
            )
        };
        let waits = || verdicts.iter().map(|verdict| verdict.wait());
        if verdicts.is_empty() {
            Self::Nothing
        } else if verdicts.iter().any(is_decided) {
            Self::Some
        } else if verdicts.iter().all(|verdict| verdict.is_away()) {
            Self::Away(waits().max().unwrap_or_default())
        } else if verdicts.len() > 1 && waits().all(|wait| !wait.is_zero()) {
            // Each says it of itself, and all of them do.
            Self::Away(waits().min().unwrap_or_default())
        } else {
            Self::None
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Pace {
    pause: Duration,
    /// Batches in a row of which nothing got through.
    vain: u32,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self {
            pause: BACK_OFF.0,
            vain: 0,
        }
    }

    /// How long to wait after a batch, if at all.
    pub(super) fn after(&mut self, heard: Heard) -> Option<Duration> {
        self.vain = match heard {
            Heard::Nothing => return None,
            Heard::Some => 0,
            Heard::None | Heard::Away(_) => self.vain.saturating_add(1),
        };
        let at_least = match heard {
            Heard::Away(wait) => wait,
            _ if self.vain >= VAIN_MAX => Duration::ZERO,
            _ => {
                self.pause = BACK_OFF.0;
                return None;
            }
        };
        let pause = self.pause.max(at_least);
        self.pause = (self.pause * 2).min(BACK_OFF.1);
        Some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_tells_whether_the_service_is_to_be_left_alone() {
        let (short, long) = (Duration::from_secs(5), Duration::from_secs(60));
        for (verdicts, heard) in [
            (vec![], Heard::Nothing),
            (vec![Verdict::Failed, Verdict::Delivered], Heard::Some),
            (vec![Verdict::Away, Verdict::Dead], Heard::Some),
            (vec![Verdict::Refused], Heard::Some),
            (vec![Verdict::Failed, Verdict::Away], Heard::None),
            (vec![Verdict::Away], Heard::Away(Duration::ZERO)),
            (
                vec![Verdict::AwayFor(short), Verdict::AwayFor(long)],
                Heard::Away(long),
            ),
            (
                vec![Verdict::FailedFor(long), Verdict::FailedFor(short)],
                Heard::Away(short),
            ),
            (vec![Verdict::FailedFor(long), Verdict::Failed], Heard::None),
            // One is that message's alone.
            (vec![Verdict::FailedFor(long)], Heard::None),
        ] {
            assert_eq!(Heard::of(&verdicts), heard, "{verdicts:?}");
        }
    }

    #[test]
    fn who_takes_nothing_is_asked_less_and_less_until_something_gets_through() {
        let mut pace = Pace::new();
        for _ in 1..VAIN_MAX {
            assert_eq!(pace.after(Heard::None), None);
            assert_eq!(pace.after(Heard::Nothing), None);
        }
        assert_eq!(pace.after(Heard::None), Some(BACK_OFF.0));
        let wait = Duration::from_secs(5);
        assert_eq!(pace.after(Heard::Away(wait)), Some(wait));
        assert_eq!(pace.after(Heard::None), Some(BACK_OFF.0 * 4));
        for _ in 0..10 {
            assert!(pace.after(Heard::None) <= Some(BACK_OFF.1));
        }
        assert_eq!(pace.after(Heard::None), Some(BACK_OFF.1));
        assert_eq!(pace.after(Heard::Some), None);
        assert_eq!(pace.after(Heard::None), None);
        let away = pace.after(Heard::Away(Duration::ZERO));
        assert_eq!(away, Some(BACK_OFF.0));
    }
}
