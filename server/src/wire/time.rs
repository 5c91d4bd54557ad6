//! Times on the wire: JSON numbers of seconds since 1970 with milliseconds as their fraction.

use std::fmt;

use ciborium::tag::Accepted;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Exclusive end of the times that can be stored: 2^48 milliseconds, in the year 10889.
const MS_END: u64 = 1 << 48;

/// A time in milliseconds, written as seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochSeconds {
    /// Milliseconds since 1970.
    pub ms: u64,
}

impl EpochSeconds {
    /// The time that is so many milliseconds after 1970.
    #[must_use]
    pub fn from_ms(ms: u64) -> Self {
        Self { ms }
    }
}

impl Serialize for EpochSeconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // In a form that is not for people it is milliseconds, tagged as a time.
        if !serializer.is_human_readable() {
            return Accepted::<u64, 1>(self.ms).serialize(serializer);
        }
        // Below 2^48 a double holds every millisecond, and its shortest form shows just that.
        #[expect(clippy::cast_precision_loss, reason = "less than 2^48")]
        serializer.serialize_f64(self.ms as f64 / 1000.0)
    }
}

impl<'de> Deserialize<'de> for EpochSeconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            let Accepted(ms) = Accepted::<u64, 1>::deserialize(deserializer)?;
            let ms = Some(ms).filter(|ms| *ms < MS_END);
            return ms
                .map(EpochSeconds::from_ms)
                .ok_or_else(|| D::Error::custom(TOO_LATE));
        }
        struct Number;
        impl Visitor<'_> for Number {
            type Value = EpochSeconds;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time as a number of seconds since 1970")
            }

            fn visit_u64<E: Error>(self, seconds: u64) -> Result<EpochSeconds, E> {
                let ms = seconds.checked_mul(1000).filter(|ms| *ms < MS_END);
                ms.map(EpochSeconds::from_ms)
                    .ok_or_else(|| E::custom(TOO_LATE))
            }

            fn visit_i64<E: Error>(self, seconds: i64) -> Result<EpochSeconds, E> {
                u64::try_from(seconds)
                    .map_err(|_| E::custom(TOO_EARLY))
                    .and_then(|seconds| self.visit_u64(seconds))
            }

            fn visit_f64<E: Error>(self, seconds: f64) -> Result<EpochSeconds, E> {
                let ms = (seconds * 1000.0).round();
                if ms < 0.0 {
                    return Err(E::custom(TOO_EARLY));
                }
                #[expect(clippy::cast_precision_loss, reason = "a power of two")]
                if !ms.is_finite() || ms >= MS_END as f64 {
                    return Err(E::custom(TOO_LATE));
                }
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                Ok(EpochSeconds::from_ms(ms as u64))
            }
        }
        deserializer.deserialize_any(Number)
    }
}

const TOO_EARLY: &str = "a time must not be before 1970";
const TOO_LATE: &str = "a time must be seconds since 1970, before the year 10889";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_that_clients_send_is_read() {
        for (text, ms) in [
            ("0", 0),
            ("1700574873", 1_700_574_873_000),
            ("1700574873.059", 1_700_574_873_059),
            ("1700574873.0594", 1_700_574_873_059),
            ("1700574873.123456", 1_700_574_873_123),
            ("1.70057487574E9", 1_700_574_875_740),
            ("1.700574875e+09", 1_700_574_875_000),
            ("-0.0", 0),
        ] {
            let time: EpochSeconds = serde_json::from_str(text).unwrap();
            assert_eq!(time.ms, ms, "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for (text, reason) in [
            ("-1", "before 1970"),
            ("-0.001", "before 1970"),
            ("1e300", "before the year"),
            ("1e999", "out of range"),
            ("18446744073709551615", "before the year"),
            ("1700574873059", "before the year"),
            ("\"1700574873\"", "expected a time as a number"),
            ("\"NaN\"", "expected a time as a number"),
            ("true", "expected a time as a number"),
        ] {
            let error = serde_json::from_str::<EpochSeconds>(text)
                .unwrap_err()
                .to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn milliseconds_survive_the_way_out_and_back() {
        for ms in [0, 1, 999, 1_700_574_875_740, 1_763_856_000_007, MS_END - 1] {
            let text = serde_json::to_string(&EpochSeconds::from_ms(ms)).unwrap();
            assert_eq!(
                serde_json::from_str::<EpochSeconds>(&text).unwrap().ms,
                ms,
                "{text}"
            );
        }
        let text = serde_json::to_string(&EpochSeconds::from_ms(1_700_574_875_740)).unwrap();
        assert_eq!(text, "1700574875.74");
    }
}
