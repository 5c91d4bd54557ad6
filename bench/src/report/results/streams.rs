//! What `streams` left.

use serde::Deserialize;

use crate::figure::Spread;

/// All of it.
#[derive(Deserialize)]
pub struct Streams {
    pub sinks: Vec<SinkRates>,
    pub publish: Published,
}

/// A sink: megabytes a second, of keys and values and of files.
#[derive(Deserialize)]
pub struct SinkRates {
    pub sink: String,
    pub events: u64,
    pub per_second: Spread,
    pub rate: Spread,
    pub feed_rate: Spread,
    pub file_rate: Spread,
    pub disk_rate: Spread,
    pub by_feed: Spread,
    pub by_disk: Spread,
    pub file_bytes: u64,
}

/// Bulk publishes of all records.
#[derive(Deserialize)]
pub struct Published {
    pub records: u64,
    pub seconds: Spread,
    pub records_per_second: Spread,
    pub resident_before: u64,
    pub resident_most: u64,
    pub flatness: Spread,
}
