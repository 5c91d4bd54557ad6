//! The day of a time, for the names of files.

use crate::sigv4::basic_date;

/// The day of a time in milliseconds since 1970, in UTC, as `2026-11-23`.
pub(super) fn day(ms: u64) -> String {
    let date = basic_date(ms / 1000);
    format!("{}-{}-{}", &date[..4], &date[4..6], &date[6..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        for (seconds, expected) in [
            (0, "1970-01-01"),
            (951_782_399, "2000-02-28"),
            (951_782_400, "2000-02-29"),
            (1_735_689_599, "2024-12-31"),
        ] {
            assert_eq!(day(seconds * 1000), expected);
        }
    }
}
