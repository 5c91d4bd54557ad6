//! When what the feed tells of was committed, to the second, so that it is known how long a reader
//! has had something to read.

use std::collections::VecDeque;

use crate::types::{Sequence, Timestamp};

/// Commits of so many milliseconds share a time.
const SPAN_MS: u64 = 1000;
/// Times that are remembered: over four hours of commits in every second, in 256 KiB.
const SPANS_MAX: usize = 16 << 10;

/// Commits that the feed tells of, of one batch or more.
#[derive(Debug, Clone, Copy)]
pub(crate) struct News {
    /// When the first one was made.
    pub(crate) time: Timestamp,
    /// The last one.
    pub(crate) last: Sequence,
}

/// The times of the newest of them.
#[derive(Debug)]
pub(super) struct Times {
    /// All behind this are here.
    since: Sequence,
    spans: VecDeque<News>,
}

impl Times {
    pub(super) fn new(since: Sequence) -> Self {
        Self {
            since,
            spans: VecDeque::new(),
        }
    }

    pub(super) fn push(&mut self, news: News) {
        if let Some(span) = self.spans.back_mut()
            && news.time.get() < span.time.get().saturating_add(SPAN_MS)
        {
            span.last = news.last;
            return;
        }
        if self.spans.len() >= SPANS_MAX
            && let Some(oldest) = self.spans.pop_front()
        {
            self.since = oldest.last;
        }
        self.spans.push_back(news);
    }

    /// When the first of them behind a commit was made, or up to a second before; `None` if that
    /// is not remembered.
    pub(super) fn behind(&self, sequence: Sequence) -> Option<Timestamp> {
        if sequence < self.since {
            return None;
        }
        let at = self.spans.partition_point(|span| span.last <= sequence);
        self.spans.get(at).map(|span| span.time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn news(ms: u64, last: u64) -> News {
        News {
            time: Timestamp::new(ms).unwrap(),
            last: Sequence::new(last),
        }
    }

    #[test]
    fn the_time_is_that_of_what_is_unread() {
        let mut times = Times::new(Sequence::new(10));
        let behind = |times: &Times, sequence| {
            let time = times.behind(Sequence::new(sequence));
            time.map(Timestamp::get)
        };
        assert_eq!(behind(&times, 10), None);
        times.push(news(5000, 12));
        times.push(news(5999, 13));
        times.push(news(6000, 15));
        for (sequence, time) in [
            (9, None),
            (10, Some(5000)),
            (12, Some(5000)),
            (13, Some(6000)),
            (14, Some(6000)),
            (15, None),
        ] {
            assert_eq!(behind(&times, sequence), time, "{sequence}");
        }
        for at in 0..SPANS_MAX as u64 {
            times.push(news(10_000 + at * SPAN_MS, 20 + at));
        }
        assert_eq!(times.spans.len(), SPANS_MAX);
        assert_eq!(behind(&times, 13), None, "it was too long ago");
        assert_eq!(behind(&times, 15), Some(10_000));
    }
}
