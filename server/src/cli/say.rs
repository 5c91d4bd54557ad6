//! How a command says what it did: to people as text, to scripts as one line of JSON.

use std::io::{Result, Write};

use serde_json::Value;

/// Says it on stdout, as the one or the other.
pub(crate) fn say(json: bool, value: &Value, text: &str) -> Result<()> {
    say_beside(json, value, text, false)
}

/// The same, on stderr if stdout is taken.
pub(crate) fn say_beside(json: bool, value: &Value, text: &str, stdout_taken: bool) -> Result<()> {
    let text = if json { &value.to_string() } else { text };
    if stdout_taken {
        writeln!(std::io::stderr().lock(), "{text}")
    } else {
        say_text(text)
    }
}

/// Says something to people, on stdout.
pub(crate) fn say_text(text: &str) -> Result<()> {
    writeln!(std::io::stdout().lock(), "{text}")
}

/// Bytes as people read them.
pub(crate) fn size(bytes: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    match units.iter().find(|(shift, _)| bytes >> shift > 0) {
        Some((shift, unit)) => {
            let tenths = (u128::from(bytes) * 10) >> shift;
            format!("{}.{} {unit}", tenths / 10, tenths % 10)
        }
        None => format!("{bytes} bytes"),
    }
}
