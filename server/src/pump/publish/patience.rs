//! For which readers of the log a bulk publish waits.

use std::collections::HashSet;

use syncline_engine::ReaderLag;

use crate::config::EngineConfig;
use crate::site::LINKS;

/// However short retention is, readers may be so far behind.
const BYTES_MIN: u64 = 1 << 20;
const MS_MIN: u64 = 60_000;

/// How far readers may be behind.
pub(super) struct Patience {
    /// Bytes and milliseconds of those who read: half of what the log keeps for anybody.
    bytes: u64,
    ms: u64,
    /// Bytes of those whose sink takes nothing: half of what the log keeps for them.
    stalled_bytes: u64,
    /// The reader of the pool that publishes, whose sink is what it is all for.
    own: String,
}

impl Patience {
    pub(super) fn new(engine: &EngineConfig, own: String) -> Self {
        let retention_ms = u64::try_from(engine.feed_retention().as_millis()).unwrap_or(u64::MAX);
        let bytes = (engine.feed_retention_bytes / 2).max(BYTES_MIN);
        Self {
            bytes,
            ms: (retention_ms / 2).max(MS_MIN),
            stalled_bytes: (engine.pin_bytes / 2).max(bytes),
            own,
        }
    }

    /// Whether it waits for a reader. One whose sink is dead must not hold up everybody: the log is
    /// kept for it, and what is published takes half of that at most.
    pub(super) fn waits_for(&self, reader: &ReaderLag, stalled: &HashSet<String>) -> bool {
        // Nobody reads there: links only end.
        if &*reader.name == LINKS {
            return false;
        }
        if *reader.name != *self.own && stalled.contains(&*reader.name) {
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
        let patience = Patience::new(&engine, "stream out of a".to_owned());
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
        assert!(
            !waits("stream dead of b", 400, 30),
            "the log is kept for it"
        );
        assert!(waits("stream dead of b", 401, 0), "but not all of that");
    }
}
