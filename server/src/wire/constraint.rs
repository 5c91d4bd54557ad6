//! Validation in the service's own words: all violations of a request in one message.

use std::fmt::Write as _;

use crate::error::ApiError;

/// Characters of a refused value that are shown.
const SHOWN_CHARS_MAX: usize = 64;
/// Violations that are shown; the number counts all.
const SHOWN_VIOLATIONS_MAX: usize = 10;

/// A set of characters, as the API model writes it.
#[derive(Debug)]
pub struct Pattern {
    /// The model's text.
    pub text: &'static str,
    /// Whether a string matches it.
    pub matches: fn(&str) -> bool,
}

/// Identity pool and identity ids.
pub const ID: Pattern = Pattern {
    text: r"[\w-]+:[0-9a-f-]+",
    matches: is_id,
};
/// Dataset names.
pub const DATASET_NAME: Pattern = Pattern {
    text: "[a-zA-Z0-9_.:-]+",
    matches: |text| text.bytes().all(|b| word(b) || b".:-".contains(&b)),
};
/// Names of pools.
pub const POOL_NAME: Pattern = Pattern {
    text: r"[\w\s+=,.@-]+",
    matches: |text| {
        text.bytes()
            .all(|b| word(b) || space(b) || b"+=,.@-".contains(&b))
    },
};
/// Names of developer providers.
pub const DEVELOPER_PROVIDER: Pattern = Pattern {
    text: r"[\w._-]+",
    matches: |text| text.bytes().all(|b| word(b) || b"._-".contains(&b)),
};
/// Ids of apps at public providers.
pub const PROVIDER_ID: Pattern = Pattern {
    text: r"[\w.;_/-]+",
    matches: |text| text.bytes().all(|b| word(b) || b".;_/-".contains(&b)),
};
/// Names of user pools.
pub const USER_POOL: Pattern = Pattern {
    text: r"[\w._:/-]+",
    matches: |text| text.bytes().all(|b| word(b) || b"._:/-".contains(&b)),
};
/// Clients of user pools.
pub const USER_POOL_CLIENT: Pattern = Pattern {
    text: r"[\w_]+",
    matches: |text| text.bytes().all(word),
};
/// Page tokens of the identity API.
pub const PAGINATION_KEY: Pattern = Pattern {
    text: r"[\S]+",
    matches: |text| !text.contains(char::is_whitespace),
};
/// Account ids.
pub const ACCOUNT_ID: Pattern = Pattern {
    text: r"\d+",
    matches: |text| text.bytes().all(|b| b.is_ascii_digit()),
};

fn word(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_'
}

fn space(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

fn is_id(text: &str) -> bool {
    text.split_once(':').is_some_and(|(region, tail)| {
        !region.is_empty()
            && !tail.is_empty()
            && region.bytes().all(|b| word(b) || b == b'-')
            && tail
                .bytes()
                .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f' | b'-'))
    })
}

/// What is wrong with a request, collected in the order of checking.
#[derive(Debug, Default)]
pub struct Violations {
    count: usize,
    text: String,
}

impl Violations {
    /// Nothing wrong so far.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A member that must be there.
    pub fn required<T>(&mut self, at: &str, value: Option<&T>) {
        if value.is_none() {
            self.add(at, None, "Member must not be null");
        }
    }

    /// A string with bounds on its characters.
    pub fn length(&mut self, at: &str, value: &str, min: usize, max: usize) {
        // No string has more characters than bytes.
        let too_long = value.len() > max && value.chars().count() > max;
        if too_long {
            let rule = format!("Member must have length less than or equal to {max}");
            self.add(at, Some(value), &rule);
        } else if min > 0 && value.chars().take(min).count() < min {
            let rule = format!("Member must have length greater than or equal to {min}");
            self.add(at, Some(value), &rule);
        }
    }

    /// A string of certain characters.
    pub fn pattern(&mut self, at: &str, value: &str, pattern: &Pattern) {
        if !(pattern.matches)(value) {
            let rule = format!(
                "Member must satisfy regular expression pattern: {}",
                pattern.text
            );
            self.add(at, Some(value), &rule);
        }
    }

    /// A string with bounds and of certain characters; an empty one breaks the bound only.
    pub fn text(&mut self, at: &str, value: &str, max: usize, pattern: &Pattern) {
        self.length(at, value, 1, max);
        if !value.is_empty() {
            self.pattern(at, value, pattern);
        }
    }

    /// An identity pool or identity id.
    pub fn id(&mut self, at: &str, value: &str) {
        self.text(at, value, 55, &ID);
    }

    /// A number that is not too small.
    pub fn at_least(&mut self, at: &str, value: i64, min: i64) {
        if value < min {
            let rule = format!("Member must have value greater than or equal to {min}");
            self.add(at, Some(&value.to_string()), &rule);
        }
    }

    /// A number that is not too large.
    pub fn at_most(&mut self, at: &str, value: i64, max: i64) {
        if value > max {
            let rule = format!("Member must have value less than or equal to {max}");
            self.add(at, Some(&value.to_string()), &rule);
        }
    }

    /// One of a few words.
    pub fn one_of(&mut self, at: &str, value: &str, words: &[&str]) {
        if !words.contains(&value) {
            let rule = format!("Member must satisfy enum value set: [{}]", words.join(", "));
            self.add(at, Some(value), &rule);
        }
    }

    /// Any other rule.
    pub fn add(&mut self, at: &str, value: Option<&str>, rule: &str) {
        self.count += 1;
        if self.count > SHOWN_VIOLATIONS_MAX {
            return;
        }
        if self.count > 1 {
            self.text.push_str("; ");
        }
        match value {
            None => self.text.push_str("Value null"),
            Some(value) => {
                self.text.push_str("Value '");
                self.text.extend(value.chars().take(SHOWN_CHARS_MAX));
                let cut = value.chars().nth(SHOWN_CHARS_MAX).is_some();
                self.text.push_str(if cut { "...'" } else { "'" });
            }
        }
        write!(self.text, " at '{at}' failed to satisfy constraint: {rule}")
            .expect("a String takes everything");
    }

    /// Whether nothing is wrong.
    ///
    /// # Errors
    /// `InvalidParameterException` that names every violation.
    pub fn finish(self) -> Result<(), ApiError> {
        let Self { count, text } = self;
        match count {
            0 => Ok(()),
            1 => Err(ApiError::invalid_parameter(format!(
                "1 validation error detected: {text}"
            ))),
            _ => Err(ApiError::invalid_parameter(format!(
                "{count} validation errors detected: {text}"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_has_the_form_that_the_service_has() {
        let mut violations = Violations::new();
        violations.length("recordPatches.3.member.key", &"k".repeat(1025), 1, 1024);
        let message = violations.finish().unwrap_err().message;
        assert_eq!(
            message,
            format!(
                "1 validation error detected: Value '{}...' at 'recordPatches.3.member.key' \
                 failed to satisfy constraint: Member must have length less than or equal to 1024",
                "k".repeat(64)
            )
        );
    }

    #[test]
    fn all_violations_are_counted() {
        let mut violations = Violations::new();
        violations.id("identityPoolId", "us-east-1:ABC");
        violations.required::<String>("syncSessionToken", None);
        violations.one_of("recordPatches.1.member.op", "drop", &["replace", "remove"]);
        violations.at_least("maxResults", 0, 1);
        assert_eq!(
            violations.finish().unwrap_err().message,
            "4 validation errors detected: Value 'us-east-1:ABC' at 'identityPoolId' failed to \
             satisfy constraint: Member must satisfy regular expression pattern: \
             [\\w-]+:[0-9a-f-]+; Value null at 'syncSessionToken' failed to satisfy constraint: \
             Member must not be null; Value 'drop' at 'recordPatches.1.member.op' failed to \
             satisfy constraint: Member must satisfy enum value set: [replace, remove]; Value '0' \
             at 'maxResults' failed to satisfy constraint: Member must have value greater than or \
             equal to 1"
        );
    }

    #[test]
    fn a_flood_of_violations_stays_short() {
        let mut violations = Violations::new();
        for _ in 0..50_000 {
            violations.length("recordPatches.1.member.key", &"k".repeat(2000), 1, 1024);
        }
        let message = violations.finish().unwrap_err().message;
        assert!(message.starts_with("50000 validation errors detected: "));
        assert!(message.len() < 3000);
    }

    #[test]
    fn characters_are_counted_and_not_bytes() {
        let mut violations = Violations::new();
        violations.length("key", &"\u{e4}".repeat(1024), 1, 1024);
        violations.length("key", "", 0, 1024);
        violations.finish().unwrap();
    }
}
