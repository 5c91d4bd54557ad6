//! For which readers of the log a bulk publish waits.

use std::collections::HashSet;

use syncline_engine::ReaderLag;

use crate::config::EngineConfig;
use crate::site::{LINKS, is_consumer, is_consumer_of};

/// However short retention is, readers may be so far behind.
const BYTES_MIN: u64 = 1 << 20;
const MS_MIN: u64 = 60_000;

/// How far readers may be behind.
pub(super) struct Patience {
    /// Bytes and milliseconds of those who read: half of what the log keeps for anybody.
    bytes: u64,
    ms: u64,
    /// Bytes of those whose sink takes nothing, and of consumers of what others publish: half of
    /// what the log keeps for them.
    stalled_bytes: u64,
    /// The reader of the pool that publishes, whose sink is what it is all for.
    own: String,
    /// The stream of that pool, and the pool: for who consumes these it is, too.
    told: [String; 2],
}

impl Patience {
    pub(super) fn new(engine: &EngineConfig, own: String, told: [String; 2]) -> Self {
        let retention_ms = u64::try_from(engine.feed_retention().as_millis()).unwrap_or(u64::MAX);
        let bytes = (engine.feed_retention_bytes / 2).max(BYTES_MIN);
        Self {
            bytes,
            ms: (retention_ms / 2).max(MS_MIN),
            stalled_bytes: (engine.pin_bytes / 2).max(bytes),
            own,
            told,
        }
    }

    /// Whether it waits for a reader. One whose sink is dead must not hold up everybody: the log is
    /// kept for it, and what is published takes half of that at most.
    pub(super) fn waits_for(&self, reader: &ReaderLag, stalled: &HashSet<String>) -> bool {
        // Nobody reads there: links only end.
        if &*reader.name == LINKS {
            return false;
        }
        let others_sink = *reader.name != *self.own && stalled.contains(&*reader.name);
        let is_of_others = |name| !self.told.iter().any(|what| is_consumer_of(name, what));
        if others_sink || is_consumer(&reader.name) && is_of_others(&reader.name) {
            return reader.bytes > self.stalled_bytes;
        }
        // The time may be that of a commit that was read, if the server was started since.
        reader.bytes > self.bytes || reader.milliseconds > self.ms && reader.bytes > BYTES_MIN
    }
}

#[cfg(test)]
mod tests {
    use syncline_engine::Sequence;

    use super::*;

    #[test]
    fn a_dead_sink_holds_up_its_own_pool_alone() {
        let engine = EngineConfig {
            feed_retention_hours: 24,
            feed_retention_bytes: 100 << 20,
            pin_bytes: 800 << 20,
            ..EngineConfig::default()
        };
        let told = ["out", "a"].map(String::from);
        let patience = Patience::new(&engine, "stream out of a".to_owned(), told);
        let stalled = HashSet::from(["stream out of a".to_owned(), "stream dead of b".to_owned()]);
        let waits = |name: &str, mebibytes: u64, hours: u64| {
            let lag = ReaderLag {
                name: name.into(),
                sequence: Sequence::ZERO,
                commits: 1,
                bytes: mebibytes << 20,
                milliseconds: hours * 3_600_000,
            };
            patience.waits_for(&lag, &stalled)
        };
        assert!(waits("stream out of a", 51, 0), "its own");
        assert!(waits("stream slow of c", 51, 0), "one that reads");
        assert!(!waits("stream slow of c", 50, 0));
        assert!(waits("stream slow of c", 2, 13));
        assert!(!waits("stream slow of c", 1, 13), "a quiet night");
        assert!(!waits("links", 700, 25), "no reader");
        assert!(waits("consumer 1 of a", 51, 0), "its own");
        assert!(waits("consumer 1 of out", 51, 0), "its own");
        assert!(!waits("consumer 1 of b", 400, 30), "the log is kept for it");
        assert!(waits("consumer 1 of b", 401, 0), "but not all of that");
        assert!(
            !waits("stream dead of b", 400, 30),
            "the log is kept for it"
        );
        assert!(waits("stream dead of b", 401, 0), "but not all of that");
    }
}
