//! How soon changes arrive elsewhere: on event streams, and as messages to devices.

use super::number;
use super::results::{Delays, Results, Told};
use super::section::Section;

/// The table of both, and what a listener takes.
pub fn section(results: &Results) -> Section {
    let Some(found) = &results.listeners else {
        return Section::missing("listeners");
    };
    let rows = [
        ("event", &found.events),
        ("message to a device", &found.messages),
    ];
    let rows = rows.into_iter().flat_map(|(what, told)| {
        [
            row(what, "its update is answered", told, &told.after_answer),
            row(what, "its update is sent", told, &told.after_sending),
        ]
    });
    let mut section = Section::default();
    section.add(&format!(
        "{} listeners, {} of the server's resident memory each, connection included; {} devices; \
         {} updates a second asked for.",
        number::whole(found.listeners as f64),
        number::kibibytes(found.listener_bytes as f64),
        number::whole(found.devices as f64),
        number::whole(found.rate),
    ));
    let head = [
        "what", "after", "updates", "a second", "p50 ms", "p99 ms", "p99.9 ms", "most ms",
    ];
    section.table(&head, rows);
    section
}

fn row(what: &str, after: &str, told: &Told, delays: &Delays) -> Vec<String> {
    let Delays {
        p50_us,
        p99_us,
        p999_us,
        most_us,
    } = *delays;
    let mut row = vec![
        what.to_owned(),
        after.to_owned(),
        number::whole(told.updates as f64),
        number::whole(told.per_second),
    ];
    row.extend([p50_us, p99_us, p999_us, most_us].map(number::milliseconds));
    row
}
