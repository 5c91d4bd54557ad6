//! What somebody may have meant by a name that is not known.

/// The known name that is most like a given one, if one is like it at all.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_ascii_lowercase();
    let (distance, found) = known
        .map(|known| (distance(&name, &known.to_ascii_lowercase()), known))
        .min_by_key(|(distance, _)| *distance)?;
    // Beyond a third of it changed, it is another word.
    (distance <= (name.len() / 3).max(1)).then_some(found)
}

/// The known name that the reader's own words offer: `unknown field `a`, expected one of `b`,
/// `c``.
pub(super) fn offered(message: &str) -> Option<(&str, Option<&str>)> {
    let rest = message
        .strip_prefix("unknown field ")
        .or_else(|| message.strip_prefix("unknown variant "))?;
    let mut quoted = rest.split('`').skip(1).step_by(2);
    let unknown = quoted.next()?;
    Some((unknown, nearest(unknown, quoted)))
}

/// How many letters must be added, left out, changed or swapped with their neighbour.
fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut before = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for row in 1..=a.len() {
        let mut this = vec![row; b.len() + 1];
        for column in 1..=b.len() {
            let same = usize::from(a[row - 1] != b[column - 1]);
            let mut least = (last[column] + 1)
                .min(this[column - 1] + 1)
                .min(last[column - 1] + same);
            let swapped =
                row > 1 && column > 1 && a[row - 1] == b[column - 2] && a[row - 2] == b[column - 1];
            if swapped {
                least = least.min(before[column - 2] + 1);
            }
            this[column] = least;
        }
        before = std::mem::replace(&mut last, this);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_what_they_are() {
        for (a, b, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("abc", "abc", 0),
            ("abc", "axc", 1),
            ("abc", "acb", 1),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }

    #[test]
    fn only_what_is_alike_is_offered() {
        let known = ["listen", "limits", "region", "regions"];
        let ask = |name| nearest(name, known.iter().copied());
        assert_eq!(ask("lisen"), Some("listen"));
        assert_eq!(ask("regio"), Some("region"));
        assert_eq!(ask("Listen"), Some("listen"));
        assert_eq!(ask("banana"), None);
        assert_eq!(ask(""), None);
        let message = "unknown field `lsten`, expected one of `listen`, `data`";
        assert_eq!(offered(message), Some(("lsten", Some("listen"))));
        let message = "unknown field `x`, expected `url`";
        assert_eq!(offered(message), Some(("x", None)));
        assert_eq!(offered("invalid type: map, expected a string"), None);
    }
}
