//! Some events of some pools, straight from the feed: how the built-in stream and the list of
//! changes read it.
//!
//! A page costs a bounded piece of the log, whatever is wanted of it: one that found nothing may be
//! empty before the end, and says where to go on.

use std::collections::HashMap;
use std::sync::Arc;

use syncline_engine::{Cursor, Engine, Error, PoolId, Refusal, Sequence, Timestamp};

use super::{Event, Place, events};
use crate::site::{Reads, Site};

/// Log that one page goes over, about: a tenth of a second of reading.
const LOG_BYTES_MAX: u64 = 32 << 20;
/// Log that is read at a time, so that little is read in vain when a page is full.
const STEP_BYTES: u64 = 256 << 10;

/// What is wanted of the feed.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// By whom: the log is kept for it from where it reads, as long as it comes back. `None` if it
    /// asked for what is oldest, whatever that is: the log would never end.
    pub reads: Option<Reads>,
    /// The pools, and the commit of each behind which its events are wanted.
    pub pools: HashMap<PoolId, Sequence>,
    /// At most so many events.
    pub events_max: usize,
    /// At most so many bytes as they are laid out, or one event.
    pub bytes_max: usize,
}

/// Some events.
#[derive(Debug)]
pub struct Page<T> {
    /// The events as they were laid out, in order.
    pub events: Vec<T>,
    /// Where to go on.
    pub next: Place,
    /// Milliseconds since the commits were made up to which the page reaches; 0 if no commit was
    /// behind it when it was begun, and never else.
    pub behind_ms: u64,
}

impl<T> Page<T> {
    /// The page of who is at the end.
    #[must_use]
    pub fn nothing(next: Place) -> Self {
        Self {
            events: Vec::new(),
            next,
            behind_ms: 0,
        }
    }
}

/// Why there is no page.
#[derive(Debug)]
pub enum NoPage {
    /// The log begins behind the place: what lies between is not known any more.
    TooOld {
        /// The last commit that is not known any more.
        floor: Sequence,
    },
    /// The place is of another store, or was never reached.
    Foreign,
    /// Any other answer of the store.
    Error(Error),
}

impl From<Error> for NoPage {
    fn from(error: Error) -> Self {
        match error {
            Error::Refusal(Refusal::CursorTooOld { floor }) => Self::TooOld { floor },
            Error::Refusal(Refusal::ForeignCursor) => Self::Foreign,
            error => Self::Error(error),
        }
    }
}

/// Reads a page from a place on, where that may wait for the disk; `lay_out` and `finish` run there
/// too. Few read at once, since a page takes memory; others wait.
///
/// # Errors
/// Those of [`NoPage`].
pub async fn read<T: 'static, R: Send + 'static>(
    site: &Arc<Site>,
    from: Place,
    wanted: Wanted,
    lay_out: impl Fn(&Site, &Event) -> (T, usize) + Send + 'static,
    finish: impl FnOnce(Page<T>) -> R + Send + 'static,
) -> Result<R, NoPage> {
    let consumers = site.outflow.holds.consumers();
    let (engine, now_ms) = (site.store.engine(), site.now().get());
    let reads = wanted.reads.clone();
    if let Some(reads) = &reads {
        consumers.read(engine, reads, from.cursor(), now_ms);
    }
    // Who only waits for more costs next to nothing.
    if from == Place::newest(site.store.engine()) {
        return Ok(finish(Page::nothing(from)));
    }
    site.outflow.counters.pages.inc();
    let turn = site.streams.turn_to_read().await;
    let here = Arc::clone(site);
    let read = site.store.blocking(move |engine| {
        // Held to the end, also if nobody waits for the answer any more.
        let _turn = turn;
        let now_ms = here.now().get();
        let page = page(engine, from, &wanted, now_ms, |event| lay_out(&here, event));
        Ok(page.map(|page| (page.next, finish(page))))
    });
    let read = read.await.map_err(NoPage::from).flatten();
    match (&read, reads) {
        (Ok((next, _)), Some(reads)) => consumers.told(&reads, from.cursor(), next.cursor()),
        // The log must not be kept for who is too late.
        (Err(NoPage::TooOld { .. }), Some(reads)) => consumers.forget(&reads, from.cursor()),
        _ => {}
    }
    read.map(|(_, finished)| finished)
}

/// Reads a page from a place on. `lay_out` makes of an event what is wanted of it, and tells its
/// bytes.
fn page<T>(
    engine: &Engine,
    from: Place,
    wanted: &Wanted,
    now_ms: u64,
    lay_out: impl Fn(&Event) -> (T, usize),
) -> Result<Page<T>, NoPage> {
    let head = engine.head();
    let mut feed = engine.feed(from.cursor())?;
    let (mut found, mut bytes, mut log_bytes) = (Vec::new(), 0, 0);
    let mut time_ms = None;
    while feed.cursor().sequence < head.sequence && log_bytes < LOG_BYTES_MAX {
        log_bytes += STEP_BYTES;
        for commit in feed.read_within(STEP_BYTES)? {
            let commit_ms = commit.time.get();
            for event in events(commit) {
                if !from.is_before(&event) || !wanted.has(&event) {
                    continue;
                }
                let (laid_out, length) = lay_out(&event);
                if !found.is_empty() && bytes + length > wanted.bytes_max {
                    let next = Place(event.id);
                    return Ok(full(found, next, head, behind_ms(now_ms, time_ms)));
                }
                found.push(laid_out);
                bytes += length;
                if found.len() >= wanted.events_max {
                    let next = Place::after(&event);
                    return Ok(full(found, next, head, behind_ms(now_ms, Some(commit_ms))));
                }
            }
            time_ms = Some(commit_ms);
        }
    }
    let at_end = feed.cursor().sequence >= head.sequence;
    Ok(Page {
        events: found,
        next: from.or_later(Place::behind(feed.cursor())),
        behind_ms: if at_end {
            0
        } else {
            behind_ms(now_ms, time_ms)
        },
    })
}

/// A page that has no room for more. Whether there is more of what is wanted is not looked for, as
/// that might take long.
fn full<T>(events: Vec<T>, next: Place, head: Cursor, behind_ms: u64) -> Page<T> {
    let at_end = next.cursor().sequence >= head.sequence;
    Page {
        events,
        next,
        behind_ms: if at_end { 0 } else { behind_ms },
    }
}

/// The place before the first commit that was made at a time or later; near it, if it takes too
/// much of the log to find.
///
/// # Errors
/// When the log cannot be read, and `Refusal::Busy`.
pub async fn at_time(site: &Site, time: Timestamp) -> Result<Place, Error> {
    let found = site.store.blocking(move |engine| {
        let mut feed = engine.feed(engine.cursor_before(time))?;
        let (head, mut log_bytes) = (engine.head(), 0);
        while feed.cursor().sequence < head.sequence && log_bytes < LOG_BYTES_MAX {
            log_bytes += STEP_BYTES;
            let commits = feed.read_within(STEP_BYTES)?;
            if let Some(commit) = commits.iter().find(|commit| commit.time >= time) {
                return Ok(Place::before(commit.cursor));
            }
        }
        Ok(Place::behind(feed.cursor()))
    });
    found.await
}

/// How far behind a page is that is not at the end.
fn behind_ms(now_ms: u64, time_ms: Option<u64>) -> u64 {
    now_ms.saturating_sub(time_ms.unwrap_or(now_ms)).max(1)
}

impl Wanted {
    fn has(&self, event: &Event) -> bool {
        let since = self.pools.get(&event.dataset.pool);
        since.is_some_and(|since| event.id.sequence > *since)
    }
}
