//! The part of `streams`: changes on their way to files, and bulk publishes.

use super::number;
use super::results::{Published, Results, SinkRates};
use super::section::Section;
use crate::figure::Spread;

/// Its two tables.
pub fn section(results: &Results) -> Section {
    let Some(streams) = &results.streams else {
        return Section::missing("streams");
    };
    let mut section = Section::default();
    let rows = streams.sinks.iter().map(|sink| {
        let SinkRates {
            sink,
            events,
            per_second,
            rate,
            feed_rate,
            file_rate,
            disk_rate,
            by_feed,
            by_disk,
            file_bytes,
        } = sink;
        vec![
            sink.clone(),
            number::whole(*events as f64),
            number::spread(per_second, number::whole),
            number::short(rate.median),
            number::short(feed_rate.median),
            number::spread(by_feed, number::ratio),
            number::megabytes(*file_bytes),
            number::short(file_rate.median),
            number::short(disk_rate.median),
            number::spread(by_disk, number::ratio),
        ]
    });
    let head = [
        "sink",
        "events",
        "events a second",
        "MB/s",
        "feed alone MB/s",
        "sink by it",
        "files MB",
        "files MB/s",
        "disk alone MB/s",
        "sink by it",
    ];
    section.table(&head, rows);
    publishing(&mut section, &streams.publish);
    section
}

/// What a bulk publish took.
fn publishing(section: &mut Section, publish: &Published) {
    let Published {
        records,
        seconds,
        records_per_second,
        resident_before,
        resident_most,
        flatness,
    } = publish;
    let mib = |bytes: u64| number::mebibytes(bytes as f64);
    let told = |seconds: &Spread| number::spread(seconds, number::seconds);
    let head = [
        "bulk publish",
        "time",
        "records a second",
        "resident before",
        "most",
        "last quarter by second",
    ];
    let row = vec![
        number::counted(*records, "record"),
        told(seconds),
        number::spread(records_per_second, number::whole),
        mib(*resident_before),
        mib(*resident_most),
        number::spread(flatness, number::ratio),
    ];
    section.table(&head, [row]);
}
