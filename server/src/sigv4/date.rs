//! When a request was signed, and whether that is now.

use super::{WINDOW_SECONDS, incomplete};
use crate::error::ApiError;

/// Checks that a time of the form `20150830T123600Z` is on the scope's day and within the window
/// around now.
pub(super) fn check(text: &str, scope_date: &str, now: u64) -> Result<(), ApiError> {
    let signed = read(text, scope_date)?;
    if signed + WINDOW_SECONDS < now {
        let (oldest, now_text) = (format(now - WINDOW_SECONDS), format(now));
        return Err(ApiError::invalid_signature(format!(
            "Signature expired: {text} is now earlier than {oldest} ({now_text} - 5 min.)"
        )));
    }
    refuse_early(text, signed, now)
}

/// Checks a time of the same form that a signature is good from, for some seconds.
pub(super) fn check_until(
    text: &str,
    scope_date: &str,
    seconds: u64,
    now: u64,
) -> Result<(), ApiError> {
    let signed = read(text, scope_date)?;
    if signed + seconds < now {
        let (end, now_text) = (format(signed + seconds), format(now));
        return Err(ApiError::invalid_signature(format!(
            "Signature expired: {end} is now earlier than {now_text}"
        )));
    }
    refuse_early(text, signed, now)
}

fn read(text: &str, scope_date: &str) -> Result<u64, ApiError> {
    let Some(signed) = parse(text) else {
        return Err(incomplete(
            "Date must be in ISO-8601 'basic format', e.g. 20150830T123600Z. See \
             http://en.wikipedia.org/wiki/ISO_8601",
        ));
    };
    if text.get(..8) != Some(scope_date) {
        return Err(ApiError::invalid_signature(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from \
             HTTP.",
        ));
    }
    Ok(signed)
}

fn refuse_early(text: &str, signed: u64, now: u64) -> Result<(), ApiError> {
    if signed > now + WINDOW_SECONDS {
        let (newest, now_text) = (format(now + WINDOW_SECONDS), format(now));
        return Err(ApiError::invalid_signature(format!(
            "Signature not yet current: {text} is still later than {newest} ({now_text} + 5 min.)"
        )));
    }
    Ok(())
}

/// Seconds since 1970, or `None` for another form or a time that no calendar has.
fn parse(text: &str) -> Option<u64> {
    let bytes: &[u8; 16] = text.as_bytes().try_into().ok()?;
    if bytes[8] != b'T' || bytes[15] != b'Z' {
        return None;
    }
    let number = |from: usize, to: usize| {
        bytes[from..to].iter().try_fold(0, |sum: u64, byte| {
            byte.is_ascii_digit()
                .then(|| sum * 10 + u64::from(byte - b'0'))
        })
    };
    let (year, month, day) = (number(0, 4)?, number(4, 6)?, number(6, 8)?);
    let (hour, minute, second) = (number(9, 11)?, number(11, 13)?, number(13, 15)?);
    let days_in_month = match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    let in_range = year >= 1970
        && (1..=days_in_month).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    in_range
        .then(|| ((days_before(year, month) + day - 1) * 24 + hour) * 3600 + minute * 60 + second)
}

/// Seconds since 1970 in the form of `X-Amz-Date`: `20261123T014912Z`.
#[must_use]
pub fn format(seconds: u64) -> String {
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    // A guess that is never too late, corrected: a year has at most 366 days.
    let mut year = 1970 + days / 366;
    while days_before(year + 1, 1) <= days {
        year += 1;
    }
    let month = (1..=12)
        .rfind(|month| days_before(year, *month) <= days)
        .unwrap_or(1);
    let day = days - days_before(year, month) + 1;
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

/// Days from 1 January 1970 to the first of a month (1 to 12).
fn days_before(year: u64, month: u64) -> u64 {
    const BEFORE_MONTH: [u64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let leap_days = |year: u64| year / 4 - year / 100 + year / 400;
    let of_years = (year - 1970) * 365 + leap_days(year - 1) - leap_days(1969);
    let at = usize::try_from(month - 1).expect("at most 11");
    of_years + BEFORE_MONTH[at] + u64::from(month > 2 && is_leap(year))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn known_times() {
        for (text, seconds) in [
            ("19700101T000000Z", 0),
            ("20000229T235959Z", 951_868_799),
            ("20150830T123600Z", 1_440_938_160),
            ("20261122T000000Z", 1_795_305_600),
            ("21000301T000000Z", 4_107_542_400),
        ] {
            assert_eq!(parse(text), Some(seconds), "{text}");
            assert_eq!(format(seconds), text);
        }
    }

    #[test]
    fn every_day_of_five_centuries_comes_back() {
        for day in 0..500 * 366 {
            let seconds = day * 86_400 + day % 86_400;
            assert_eq!(parse(&format(seconds)), Some(seconds));
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "20150830",
            "2015-08-30T12:36:00Z",
            "20150830T123600z",
            "20150830 123600Z",
            "20150229T000000Z",
            "20151301T000000Z",
            "20150800T000000Z",
            "20150830T240000Z",
            "20150830T126000Z",
            "20150830T123660Z",
            "19691231T235959Z",
            "2015083\u{e4}123600Z",
            "+0150830T123600Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
            assert_eq!(
                check(text, "20150830", 0).unwrap_err().kind,
                ErrorKind::IncompleteSignature
            );
        }
    }

    #[test]
    fn the_window_is_five_minutes_both_ways() {
        let at = |now| check("20150830T123600Z", "20150830", now);
        let signed = 1_440_938_160;
        assert!(at(signed).is_ok() && at(signed + 300).is_ok() && at(signed - 300).is_ok());
        assert_eq!(
            at(signed + 301).unwrap_err().message,
            "Signature expired: 20150830T123600Z is now earlier than 20150830T123601Z \
             (20150830T124101Z - 5 min.)"
        );
        assert_eq!(
            at(signed - 301).unwrap_err().message,
            "Signature not yet current: 20150830T123600Z is still later than 20150830T123559Z \
             (20150830T123059Z + 5 min.)"
        );
        let other_day = check("20150830T123600Z", "20150829", signed).unwrap_err();
        assert_eq!(other_day.kind, ErrorKind::InvalidSignature);
    }
}
