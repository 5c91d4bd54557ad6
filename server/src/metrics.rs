//! What the server counts about itself, as Prometheus text.
//!
//! Labels come from closed sets only (operations, statuses, what is configured), never from a
//! request, so that nobody can make the page grow.

mod live;
mod push;
mod streams;
mod trigger;

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

pub use live::LiveFigures;
pub use push::PushFigures;
pub use streams::{StreamCounters, StreamTally};
pub use trigger::TriggerFigures;

/// Media type of [`Metrics::render`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Figure = Gauge<u64, AtomicU64>;

/// All counters of one server.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    seconds: Family<OperationLabel, Histogram, fn() -> Histogram>,
    connections: Gauge,
    store: StoreGauges,
    readers: ReaderGauges,
}

/// What the store says of itself at the moment of a scrape.
#[derive(Clone, Copy, Debug, Default)]
#[expect(missing_docs, reason = "the help text of each is in StoreGauges::new")]
pub struct StoreFigures {
    pub pools: u64,
    pub identities: u64,
    pub datasets: u64,
    pub bytes: u64,
    pub metadata: u64,
    pub sequence: u64,
    pub cache_bytes: u64,
    pub segments: u64,
    pub log_bytes: u64,
    pub batches: u64,
    pub waiting: u64,
    pub halted: bool,
    pub checkpoints: u64,
    pub checkpoint_bytes: u64,
    pub segments_retired: u64,
    pub cold_cleaned: u64,
    pub moved_bytes: u64,
    pub garbage_bytes: u64,
    pub upkeep_failing: bool,
}

/// How far a reader of the feed is behind at the moment of a scrape.
#[derive(Clone, Debug)]
pub struct ReaderFigures {
    /// Its name.
    pub name: String,
    /// Commits that it has not read.
    pub commits: u64,
    /// Bytes of log that it has not read.
    pub bytes: u64,
    /// How old the oldest of them is, in milliseconds.
    pub milliseconds: u64,
}

impl ReaderFigures {
    /// Takes in another reader of the same name: what the slower one has, of each.
    pub fn or_slower(&mut self, other: &Self) {
        self.commits = self.commits.max(other.commits);
        self.bytes = self.bytes.max(other.bytes);
        self.milliseconds = self.milliseconds.max(other.milliseconds);
    }
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RequestLabels {
    operation: &'static str,
    status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OperationLabel {
    operation: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ReaderLabel {
    reader: String,
}

/// By reader; those that are gone leave no figure.
#[derive(Debug)]
struct ReaderGauges {
    commits: Family<ReaderLabel, Figure>,
    bytes: Family<ReaderLabel, Figure>,
    milliseconds: Family<ReaderLabel, Figure>,
}

#[derive(Debug)]
struct StoreGauges {
    pools: Figure,
    identities: Figure,
    datasets: Figure,
    bytes: Figure,
    metadata: Figure,
    sequence: Figure,
    cache_bytes: Figure,
    segments: Figure,
    log_bytes: Figure,
    batches: Figure,
    waiting: Figure,
    halted: Figure,
    checkpoints: Figure,
    checkpoint_bytes: Figure,
    segments_retired: Figure,
    cold_cleaned: Figure,
    moved_bytes: Figure,
    garbage_bytes: Figure,
    upkeep_failing: Figure,
}

impl Metrics {
    /// Counters at zero.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("syncline");
        let requests = Family::<RequestLabels, Counter>::default();
        registry.register("requests", "Requests answered", requests.clone());
        let seconds = Family::new_with_constructor(histogram as fn() -> Histogram);
        let help = "Time from the end of a request's headers to its answer";
        registry.register("request_seconds", help, seconds.clone());
        let connections = Gauge::default();
        registry.register("connections", "Connections open now", connections.clone());
        let store = StoreGauges::new(registry.sub_registry_with_prefix("store"));
        let readers = ReaderGauges::new(registry.sub_registry_with_prefix("reader"));
        Self {
            registry,
            requests,
            seconds,
            connections,
            store,
            readers,
        }
    }

    /// Tells of streams, too.
    pub fn add_streams(&mut self, streams: &StreamCounters) {
        streams.register(&mut self.registry);
    }

    /// Tells of the calls of functions, too.
    pub fn add_triggers(&mut self, figures: &TriggerFigures) {
        figures.register(&mut self.registry);
    }

    /// Tells of push messages, too.
    pub fn add_push(&mut self, figures: &PushFigures) {
        figures.register(&mut self.registry);
    }

    /// Tells of those who listen for changes, too.
    pub fn add_listeners(&mut self, figures: &LiveFigures) {
        figures.register(&mut self.registry);
    }

    /// Counts one answer.
    pub fn answered(&self, operation: &'static str, status: u16, elapsed: Duration) {
        self.requests
            .get_or_create(&RequestLabels { operation, status })
            .inc();
        self.seconds
            .get_or_create(&OperationLabel { operation })
            .observe(elapsed.as_secs_f64());
    }

    /// Counts a connection for as long as the answer lives.
    #[must_use]
    pub fn connection(&self) -> OpenConnection {
        self.connections.inc();
        OpenConnection(self.connections.clone())
    }

    /// The page, with the store's present figures on it.
    #[must_use]
    pub fn render(&self, figures: &StoreFigures, readers: &[ReaderFigures]) -> String {
        self.store.set(figures);
        self.readers.set(readers);
        let mut page = String::new();
        // Writing to a string cannot fail.
        let _: Result<(), std::fmt::Error> = text::encode(&mut page, &self.registry);
        page
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// Leaves the count of open connections when dropped.
#[derive(Debug)]
pub struct OpenConnection(Gauge);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl ReaderGauges {
    fn new(registry: &mut Registry) -> Self {
        let mut family = |name: &str, help: &str| {
            let family = Family::default();
            registry.register(name, help, family.clone());
            family
        };
        Self {
            commits: family("behind_commits", "Commits that the reader has not read"),
            bytes: family("behind_bytes", "Bytes of log that the reader has not read"),
            milliseconds: family(
                "behind_milliseconds",
                "How old the oldest commit is that the reader has not read",
            ),
        }
    }

    fn set(&self, readers: &[ReaderFigures]) {
        for family in [&self.commits, &self.bytes, &self.milliseconds] {
            family.clear();
        }
        for reader in readers {
            let label = ReaderLabel {
                reader: reader.name.clone(),
            };
            self.commits.get_or_create(&label).set(reader.commits);
            self.bytes.get_or_create(&label).set(reader.bytes);
            let milliseconds = self.milliseconds.get_or_create(&label);
            milliseconds.set(reader.milliseconds);
        }
    }
}

impl StoreGauges {
    fn new(registry: &mut Registry) -> Self {
        let mut gauge = |name: &str, help: &str| {
            let gauge = Figure::default();
            registry.register(name, help, gauge.clone());
            gauge
        };
        Self {
            pools: gauge(
                "pools",
                "Pools that have identities with datasets, or had some",
            ),
            identities: gauge("identities", "Identities that have datasets, or had some"),
            datasets: gauge("datasets", "Live datasets"),
            bytes: gauge("bytes", "Bytes of keys and values of live records"),
            metadata: gauge("metadata", "Metadata values"),
            sequence: gauge("sequence", "Sequence of the last durable commit"),
            cache_bytes: gauge("cache_bytes", "Bytes of pages kept in memory"),
            segments: gauge("segments", "Segments of the log"),
            log_bytes: gauge("log_bytes", "Bytes of frames in the log"),
            batches: gauge("batches", "Batches written since the start, one sync each"),
            waiting: gauge("waiting", "Proposals that are not answered yet"),
            halted: gauge(
                "halted",
                "1 if writes are refused since a write or sync failed",
            ),
            checkpoints: gauge("checkpoints", "Checkpoints written since the start"),
            checkpoint_bytes: gauge("checkpoint_bytes", "Bytes of the newest checkpoint"),
            segments_retired: gauge(
                "segments_retired",
                "Log segments released and emptied since the start",
            ),
            cold_cleaned: gauge("cold_cleaned", "Cold segments cleaned since the start"),
            moved_bytes: gauge(
                "moved_bytes",
                "Bytes written to cold segments since the start",
            ),
            garbage_bytes: gauge(
                "garbage_bytes",
                "Bytes of files that wait for checkpoints, exports or backups before they go",
            ),
            upkeep_failing: gauge(
                "upkeep_failing",
                "1 if the last round of cleaning failed; the log says why",
            ),
        }
    }

    fn set(&self, figures: &StoreFigures) {
        self.pools.set(figures.pools);
        self.identities.set(figures.identities);
        self.datasets.set(figures.datasets);
        self.bytes.set(figures.bytes);
        self.metadata.set(figures.metadata);
        self.sequence.set(figures.sequence);
        self.cache_bytes.set(figures.cache_bytes);
        self.segments.set(figures.segments);
        self.log_bytes.set(figures.log_bytes);
        self.batches.set(figures.batches);
        self.waiting.set(figures.waiting);
        self.halted.set(u64::from(figures.halted));
        self.checkpoints.set(figures.checkpoints);
        self.checkpoint_bytes.set(figures.checkpoint_bytes);
        self.segments_retired.set(figures.segments_retired);
        self.cold_cleaned.set(figures.cold_cleaned);
        self.moved_bytes.set(figures.moved_bytes);
        self.garbage_bytes.set(figures.garbage_bytes);
        self.upkeep_failing.set(u64::from(figures.upkeep_failing));
    }
}

/// From 0.1 ms, about one sync of a fast disk, doubling up to 3.3 s.
fn histogram() -> Histogram {
    Histogram::new(exponential_buckets(0.0001, 2.0, 16))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_tells_what_was_counted() {
        let metrics = Metrics::new();
        metrics.answered("UpdateRecords", 200, Duration::from_micros(150));
        metrics.answered("UpdateRecords", 409, Duration::from_micros(150));
        metrics.answered("UpdateRecords", 200, Duration::from_secs(9));
        let open = metrics.connection();
        let figures = StoreFigures {
            datasets: 7,
            ..StoreFigures::default()
        };
        let readers = [ReaderFigures {
            name: "stream-a".to_owned(),
            commits: 3,
            bytes: 400,
            milliseconds: 50,
        }];
        let page = metrics.render(&figures, &readers);
        for line in [
            r#"syncline_requests_total{operation="UpdateRecords",status="200"} 2"#,
            r#"syncline_requests_total{operation="UpdateRecords",status="409"} 1"#,
            r#"syncline_request_seconds_bucket{le="0.0002",operation="UpdateRecords"} 2"#,
            r#"syncline_request_seconds_count{operation="UpdateRecords"} 3"#,
            "syncline_connections 1",
            "syncline_store_datasets 7",
            r#"syncline_reader_behind_bytes{reader="stream-a"} 400"#,
            "# EOF",
        ] {
            assert!(
                page.lines().any(|found| found == line),
                "no {line} in\n{page}"
            );
        }
        drop(open);
        assert!(
            metrics
                .render(&figures, &[])
                .contains("syncline_connections 0\n")
        );
    }
}
