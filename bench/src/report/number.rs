//! Numbers as the document of a run tells them.

use crate::figure::Spread;

const KIB: f64 = 1024.0;

/// Without a fraction, and with commas between thousands.
pub fn whole(number: f64) -> String {
    let rounded = format!("{number:.0}");
    let (sign, digits) = match rounded.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", rounded.as_str()),
    };
    let groups = digits.as_bytes().rchunks(3).rev();
    let groups: Vec<_> = groups.map(String::from_utf8_lossy).collect();
    format!("{sign}{}", groups.join(","))
}

/// Two digits or more: 0.12, 1.5, 14, 1,200.
pub fn short(number: f64) -> String {
    match number.abs() {
        size if size < 1.0 => format!("{number:.2}"),
        size if size < 10.0 => format!("{number:.1}"),
        _ => whole(number),
    }
}

/// One thing by another.
pub fn ratio(number: f64) -> String {
    format!("{number:.2}")
}

/// Seconds.
pub fn seconds(number: f64) -> String {
    format!("{number:.2} s")
}

/// Milliseconds.
pub fn told_milliseconds(number: f64) -> String {
    format!("{} ms", short(number))
}

/// Microseconds in milliseconds, without the unit.
pub fn milliseconds(microseconds: f64) -> String {
    short(microseconds / 1000.0)
}

/// Bytes in megabytes, without the unit.
pub fn megabytes(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / 1e6)
}

/// Bytes in mebibytes.
pub fn mebibytes(bytes: f64) -> String {
    format!("{:.1} MiB", bytes / KIB / KIB)
}

/// Bytes in kibibytes.
pub fn kibibytes(bytes: f64) -> String {
    format!("{:.1} KiB", bytes / KIB)
}

/// The median, and what lies around it; of one round, the median alone.
pub fn spread(spread: &Spread, told: fn(f64) -> String) -> String {
    let [median, least, most] = [spread.median, spread.least, spread.most].map(told);
    if least == most {
        median
    } else {
        format!("{median} ({least} to {most})")
    }
}

/// `1 thread`, `8 threads`.
pub fn counted(count: u64, one: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{} {one}{ending}", whole(count as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_told_apart() {
        let told = [0.4, 999.0, 1000.0, 172_388.4, -1234.0].map(whole);
        assert_eq!(told, ["0", "999", "1,000", "172,388", "-1,234"]);
    }

    #[test]
    fn small_numbers_keep_their_digits() {
        assert_eq!(
            [0.118, 1.04, 14.2, 4100.0].map(short),
            ["0.12", "1.0", "14", "4,100"]
        );
    }

    #[test]
    fn a_spread_of_one_round_is_a_number() {
        let of = |rounds: &[f64]| spread(&Spread::of(rounds.iter().copied()), ratio);
        assert_eq!(of(&[0.7]), "0.70");
        assert_eq!(of(&[0.8, 0.7, 0.9]), "0.80 (0.70 to 0.90)");
    }
}
