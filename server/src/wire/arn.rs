//! Names of resources (ARNs), by the patterns of the API model.
//!
//! They are kept as written; nothing that a caller names so is ever contacted.

use super::constraint::Pattern;

/// Roles.
pub const ROLE: Pattern = Pattern {
    text: r"arn:aws:iam::\d+:role/.*",
    matches: is_role,
};
/// Platform applications, which deliver push messages.
pub const APPLICATION: Pattern = Pattern {
    text: r"arn:aws:sns:[-0-9a-z]+:\d+:app/[A-Z_]+/[a-zA-Z0-9_.-]+",
    matches: |text| platform(text).is_some(),
};
/// Functions. The model has no pattern for them; this is what all ARNs have in common.
pub const FUNCTION: Pattern = Pattern {
    text: r"arn:[\w-]+:[\w-]+:[\w-]*:\d*:[\w:/.$+=,@-]+",
    matches: is_function,
};

/// The platform of an application, if it is the name of one.
#[must_use]
pub fn platform(application: &str) -> Option<&str> {
    let rest = application.strip_prefix("arn:aws:sns:")?;
    let (region, rest) = rest.split_once(':')?;
    let (account, rest) = rest.split_once(":app/")?;
    let (platform, name) = rest.split_once('/')?;
    let sound = some(region, |b| matches!(b, b'-' | b'0'..=b'9' | b'a'..=b'z'))
        && some(account, |b| b.is_ascii_digit())
        && some(platform, |b| b.is_ascii_uppercase() || b == b'_')
        && some(name, |b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
    sound.then_some(platform)
}

fn is_role(text: &str) -> bool {
    let Some((account, name)) = text
        .strip_prefix("arn:aws:iam::")
        .and_then(|rest| rest.split_once(":role/"))
    else {
        return false;
    };
    some(account, |b| b.is_ascii_digit()) && !name.contains(['\n', '\r'])
}

fn is_function(text: &str) -> bool {
    let mut parts = text.splitn(6, ':');
    let mut part = |allowed: fn(u8) -> bool, empty: bool| {
        parts
            .next()
            .is_some_and(|part| (empty && part.is_empty()) || some(part, allowed))
    };
    let name = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    part(|b| b"arn".contains(&b), false)
        && text.starts_with("arn:")
        && part(name, false)
        && part(name, false)
        && part(name, true)
        && part(|b| b.is_ascii_digit(), true)
        && part(
            |b| b.is_ascii_alphanumeric() || b"_:/.$+=,@-".contains(&b),
            false,
        )
}

/// At least one byte, all of them allowed.
fn some(text: &str, allowed: impl Fn(u8) -> bool) -> bool {
    !text.is_empty() && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_platform_stands_in_the_name_of_an_application() {
        for (application, expected) in [
            (
                "arn:aws:sns:us-east-1:123456789012:app/GCM/game",
                Some("GCM"),
            ),
            (
                "arn:aws:sns:us-east-1:1:app/APNS_SANDBOX/a.b-c_D",
                Some("APNS_SANDBOX"),
            ),
            ("arn:aws:sns:us-east-1:1:app/GCM/", None),
            ("arn:aws:sns:us-east-1:1:app/gcm/game", None),
            ("arn:aws:sns:us-east-1:1:app/GCM/game/more", None),
            ("arn:aws:sns:us-east-1:x:app/GCM/game", None),
            ("arn:aws:sns::1:app/GCM/game", None),
            ("arn:aws:sns:us-east-1:1:topic", None),
            ("xarn:aws:sns:us-east-1:1:app/GCM/game", None),
        ] {
            assert_eq!(platform(application), expected, "{application}");
            assert_eq!((APPLICATION.matches)(application), expected.is_some());
        }
    }

    #[test]
    fn roles_and_functions_are_told_from_other_text() {
        for (role, expected) in [
            ("arn:aws:iam::123456789012:role/sync", true),
            ("arn:aws:iam::1:role/", true),
            ("arn:aws:iam::1:role/a\nb", false),
            ("arn:aws:iam:::role/a", false),
            ("arn:aws:iam::1:user/a", false),
        ] {
            assert_eq!((ROLE.matches)(role), expected, "{role}");
        }
        for (function, expected) in [
            (
                "arn:aws:lambda:us-east-1:123456789012:function:check:2",
                true,
            ),
            ("arn:syncline:hook:::check", true),
            ("arn:aws:lambda:us-east-1:123456789012:", false),
            ("arn:aws:lambda:us-east-1:12x:function:f", false),
            ("arn:aws:lambda:us-east-1:1:function:f f", false),
            ("nra:aws:lambda:us-east-1:1:function:f", false),
            ("arn:aws", false),
            ("http://elsewhere/", false),
        ] {
            assert_eq!((FUNCTION.matches)(function), expected, "{function}");
        }
    }
}
