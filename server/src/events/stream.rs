//! One stream of events, as the lines that go out.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use sha2::{Digest, Sha256};
use syncline_engine::DatasetName;
use tokio::time::{Instant, Sleep, sleep};

use super::Asked;
use crate::live::{Change, Ears};
use crate::site::Site;

/// Longest time without a line, so that proxies keep the connection and a peer that is gone shows.
const BEAT: Duration = Duration::from_secs(20);
/// How long a client should wait before it comes back: these and up to so many milliseconds more,
/// so that not all of them come at once when a server starts again.
const RETRY_MS: (u128, u128) = (1000, 4000);

/// See the module. It ends when the credentials expire, access ends or the server stops.
pub struct EventStream {
    site: Arc<Site>,
    ears: Ears,
    /// What the client knows.
    told: BTreeMap<DatasetName, Change>,
    /// Whether it tells of all datasets: those that do not exist are then not among what is known.
    is_all: bool,
    /// What is sent first.
    first: Option<Bytes>,
    expires_ms: Option<u64>,
    beat: Pin<Box<Sleep>>,
    over: bool,
}

impl EventStream {
    /// A stream that begins with a state, unless the client knows it by its last event. The names
    /// of a state of all datasets are told as well.
    pub(super) fn new(
        site: Arc<Site>,
        ears: Ears,
        state: BTreeMap<DatasetName, Change>,
        is_all: bool,
        asked: &Asked<'_>,
    ) -> Self {
        let expires_ms = asked.expires_ms;
        let spread = uuid::Uuid::new_v4().as_u128() % RETRY_MS.1;
        let mut first = format!("retry: {}\n\n", RETRY_MS.0 + spread);
        let id = id(&state);
        if asked.last_event != id {
            let all = state.iter().map(|(name, change)| (name, *change));
            if is_all {
                lines(&mut first, all, None);
                list(&mut first, &state, &id);
            } else {
                lines(&mut first, all, Some(&id));
            }
        }
        let mut stream = Self {
            site,
            ears,
            told: state,
            is_all,
            first: Some(first.into()),
            expires_ms,
            beat: Box::pin(sleep(BEAT)),
            over: false,
        };
        let wait = stream.until_next_beat();
        stream.beat.as_mut().reset(Instant::now() + wait);
        stream
    }

    /// The next bytes; `None` at the end.
    pub fn poll_next(&mut self, task: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(first));
        }
        if self.over {
            return Poll::Ready(None);
        }
        while let Poll::Ready(news) = self.ears.poll(task) {
            if news.ended {
                return self.end("stopping");
            }
            if let Some(reason) = self.refusal() {
                return self.end(reason);
            }
            let text = self.tell(news.changes);
            if !text.is_empty() {
                return Poll::Ready(Some(text.into()));
            }
        }
        if self.beat.as_mut().poll(task).is_pending() {
            return Poll::Pending;
        }
        if let Some(reason) = self.refusal() {
            return self.end(reason);
        }
        let wait = self.until_next_beat();
        self.beat.as_mut().reset(Instant::now() + wait);
        // To be woken then.
        let _ = self.beat.as_mut().poll(task);
        Poll::Ready(Some(Bytes::from_static(b":\n\n")))
    }

    /// The lines of what the client does not know yet.
    fn tell(&mut self, mut changes: BTreeMap<DatasetName, Change>) -> String {
        // The state at the beginning may have been newer.
        changes.retain(|name, change| {
            let known = self.told.get(name);
            known.is_none_or(|known| known.sync_count < change.sync_count)
        });
        let mut text = String::new();
        if changes.is_empty() {
            return text;
        }
        for (name, change) in &changes {
            if self.is_all && !change.exists {
                self.told.remove(name);
            } else {
                self.told.insert(name.clone(), *change);
            }
        }
        let changed = changes.iter().map(|(name, change)| (name, *change));
        lines(&mut text, changed, Some(&id(&self.told)));
        self.site.live.figures().told(changes.len());
        text
    }

    /// Why the client may listen no longer.
    fn refusal(&self) -> Option<&'static str> {
        let (pool, identity) = self.ears.identity();
        if !self.site.has_identity(pool.as_str(), identity.as_str()) {
            return Some("forbidden");
        }
        let now_ms = self.site.now().get();
        let expired = self.expires_ms.is_some_and(|expires| now_ms >= expires);
        expired.then_some("expired")
    }

    fn end(&mut self, reason: &str) -> Poll<Option<Bytes>> {
        self.over = true;
        let data = json!({ "reason": reason });
        Poll::Ready(Some(format!("event: end\ndata: {data}\n\n").into()))
    }

    /// A peer that takes nothing for the idle time is given up, so the beat is quicker than that.
    fn until_next_beat(&self) -> Duration {
        let beat = BEAT.min(self.site.config.timeouts.idle() / 3);
        let now_ms = self.site.now().get();
        let left = self
            .expires_ms
            .map(|expires| expires.saturating_sub(now_ms));
        left.map_or(beat, |left_ms| beat.min(Duration::from_millis(left_ms)))
    }
}

impl fmt::Debug for EventStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventStream").finish_non_exhaustive()
    }
}

/// One event for each dataset. Only the last has the id, since that stands for all: whoever is cut
/// off before it is told of all of them again. Without an id another event has it.
fn lines<'a>(
    text: &mut String,
    changes: impl ExactSizeIterator<Item = (&'a DatasetName, Change)>,
    id: Option<&str>,
) {
    let last = changes.len().saturating_sub(1);
    for (place, (name, change)) in changes.enumerate() {
        if let Some(id) = id.filter(|_| place == last) {
            text.push_str("id: ");
            text.push_str(id);
            text.push('\n');
        }
        let data = json!({
            "datasetName": name.as_str(),
            "syncCount": change.sync_count,
            "datasetExists": change.exists,
        });
        // Writing to a string cannot fail.
        let _ = write!(text, "event: dataset\ndata: {data}\n\n");
    }
}

/// The event with the names of all datasets that exist, behind those of each.
fn list(text: &mut String, state: &BTreeMap<DatasetName, Change>, id: &str) {
    let names: Vec<&str> = state.keys().map(DatasetName::as_str).collect();
    let data = json!({ "datasetNames": names });
    // Writing to a string cannot fail.
    let _ = write!(text, "id: {id}\nevent: datasets\ndata: {data}\n\n");
}

/// What stands for a state: 16 hexadecimal digits.
fn id(state: &BTreeMap<DatasetName, Change>) -> String {
    let mut hash = Sha256::new();
    for (name, change) in state {
        hash.update(name.as_str());
        hash.update([0, u8::from(change.exists)]);
        hash.update(change.sync_count.to_le_bytes());
    }
    crate::sigv4::hex(&hash.finalize()[..8])
}
