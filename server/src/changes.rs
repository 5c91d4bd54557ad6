//! The list of changes of a pool, for whoever has no SDK for streams: lines of JSON, or server-sent
//! events, from a cursor on, and the wait for the next change.
//!
//! It tells what the pool's stream would tell, whether it is enabled or not, and every envelope
//! carries its records itself.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::access::{self, Caller};
use crate::error::ApiError;
use crate::live::Wait;
use crate::routes::{Labels, OwnOperation};
use crate::site::{Reads, Site};
use crate::stream::{self, Event, NoPage, Page, Place, Wanted};
use crate::wire::Violations;
use crate::wire::changes::ChangesQuery;
use syncline_engine::{PoolId, Sequence};

/// Changes of one answer, if nobody says how many, and at most.
const CHANGES_DEFAULT: i64 = 1000;
const CHANGES_MAX: i64 = 10_000;
/// Bytes of them, or one change.
const BYTES_MAX: usize = 10 << 20;
/// Longest wait, in seconds; also how long an event stream waits if it does not say.
const WAIT_MAX: i64 = 20;
/// Least time between two looks of one who waits.
const PACE: Duration = Duration::from_millis(100);

/// The words that stand for a cursor.
const OLDEST: &str = "oldest";
const NEWEST: &str = "newest";

const LINES: &str = "application/x-ndjson";
const EVENTS: &str = "text/event-stream";

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The pool, as the path names it.
    pub pool: &'a str,
    /// The raw query.
    pub query: &'a str,
    /// The header `Accept`.
    pub accept: Option<&'a str>,
    /// The header `Last-Event-ID`, which an event stream sends when it comes back.
    pub last_event_id: Option<&'a str>,
}

/// Answers the operation: the media type, and the text.
///
/// # Errors
/// Whatever the operation refuses.
pub async fn answer(
    site: &Arc<Site>,
    caller: &Caller,
    asked: Asked<'_>,
) -> Result<(&'static str, Vec<u8>), ApiError> {
    let labels = Labels {
        pool: asked.pool.to_owned(),
        ..Labels::default()
    };
    let (operation, realm) = (OwnOperation::ListChanges, site.realm());
    let exists = |pool: &str, identity: &str| site.has_identity(pool, identity);
    access::permit_own(operation, caller, &labels, realm, exists)?;
    let pool = site.has_pool(asked.pool).then(|| PoolId::parse(asked.pool));
    let Some(Ok(pool)) = pool else {
        let message = format!("IdentityPool '{}' not found", asked.pool);
        return Err(ApiError::not_found(message));
    };
    let accepts_events = asked.accept.is_some_and(accepts_events);
    let query = ChangesQuery::parse(asked.query)?;
    let (limit, wait) = numbers(&query, accepts_events)?;
    let cursor = match asked.last_event_id {
        Some(id) if accepts_events => Some(id),
        _ => query.cursor.as_deref(),
    };
    let list = List {
        site,
        pool,
        wanted: Wanted {
            reads: cursor.filter(|cursor| *cursor != OLDEST).map(|_| Reads {
                what: asked.pool.to_owned(),
                key: caller.key().to_owned(),
            }),
            pools: [(pool, Sequence::ZERO)].into(),
            events_max: limit,
            bytes_max: BYTES_MAX,
        },
        form: if accepts_events {
            Form::Events
        } else {
            Form::Lines
        },
    };
    let media_type = if accepts_events { EVENTS } else { LINES };
    let text = list.read(start(site, cursor)?, wait).await?;
    Ok((media_type, text))
}

/// How many changes, and how long to wait.
fn numbers(query: &ChangesQuery, accepts_events: bool) -> Result<(usize, Duration), ApiError> {
    let limit = query.limit.unwrap_or(CHANGES_DEFAULT);
    let wait = query
        .wait
        .unwrap_or(if accepts_events { WAIT_MAX } else { 0 });
    let mut violations = Violations::new();
    violations.at_least("limit", limit, 1);
    violations.at_most("limit", limit, CHANGES_MAX);
    violations.at_least("wait", wait, 0);
    violations.at_most("wait", wait, WAIT_MAX);
    violations.finish()?;
    let bug = |_| ApiError::bug("a number that was checked is negative");
    let limit = usize::try_from(limit).map_err(bug)?;
    Ok((
        limit,
        Duration::from_secs(u64::try_from(wait).map_err(bug)?),
    ))
}

/// Whether a header `Accept` asks for an event stream.
fn accepts_events(accept: &str) -> bool {
    let mut ranges = accept.split(',');
    ranges.any(|range| {
        let media_type = range.split(';').next().unwrap_or("").trim();
        media_type.eq_ignore_ascii_case(EVENTS)
    })
}

fn start(site: &Site, cursor: Option<&str>) -> Result<Place, ApiError> {
    match cursor {
        None | Some(OLDEST) => Ok(Place::oldest(site.store.engine())),
        Some(NEWEST) => Ok(Place::newest(site.store.engine())),
        Some(text) => Place::parse(text).ok_or_else(|| {
            ApiError::invalid_parameter(
                "The cursor must be one that this list told, as it was told, or oldest, or newest.",
            )
        }),
    }
}

/// How changes are told.
#[derive(Clone, Copy, Debug)]
enum Form {
    Lines,
    Events,
}

/// One reading of the list.
struct List<'a> {
    site: &'a Arc<Site>,
    pool: PoolId,
    wanted: Wanted,
    form: Form,
}

impl List<'_> {
    /// Reads from a place on: what is there, or the first thing that comes within the wait.
    async fn read(&self, from: Place, wait: Duration) -> Result<Vec<u8>, ApiError> {
        let until = Instant::now() + wait;
        let (mut place, mut waits) = (from, None);
        loop {
            let looked = Instant::now();
            // Before it looks, so that it hears of what comes meanwhile.
            let heard = match &waits {
                Some(_) => Some(self.site.live.wait(self.pool)?),
                None => None,
            };
            let read = self.page(place).await;
            let page = read.map_err(|no_page| refused(self.site, place, no_page))?;
            if page.found || looked >= until {
                return Ok(page.text);
            }
            place = page.next;
            match heard {
                _ if !page.at_end => {}
                None => {
                    let streams = &self.site.streams;
                    waits = Some(streams.place_to_wait().ok_or_else(crowded)?);
                }
                Some(heard) => {
                    if let Some(quiet) = self.silence(heard, until).await {
                        let next = place.or_later(quiet);
                        if let Some(reads) = &self.wanted.reads {
                            let consumers = self.site.outflow.holds.consumers();
                            consumers.told(reads, place.cursor(), next.cursor());
                        }
                        return Ok(self.form.finish(&Page::nothing(next)).text);
                    }
                    // It may be nothing to tell of, as may be many that follow.
                    tokio::time::sleep_until(until.min(looked + PACE)).await;
                }
            }
        }
    }

    /// Waits until the pool changes; if the time is over first, up to where it did not.
    async fn silence(&self, mut heard: Wait, until: Instant) -> Option<Place> {
        tokio::select! {
            biased;
            () = heard.rung() => None,
            () = tokio::time::sleep_until(until) => heard.quiet().map(Place::behind),
            () = self.site.streams.waits_ended() => heard.quiet().map(Place::behind),
        }
    }

    async fn page(&self, from: Place) -> Result<Told, NoPage> {
        let form = self.form;
        let lay_out = move |_: &Site, event: &Event| {
            let text = form.change(event);
            let bytes = text.len();
            (text, bytes)
        };
        let finish = move |page: Page<_>| form.finish(&page);
        stream::read(self.site, from, self.wanted.clone(), lay_out, finish).await
    }
}

/// What one look found.
struct Told {
    text: Vec<u8>,
    found: bool,
    at_end: bool,
    next: Place,
}

impl Form {
    fn change(self, event: &Event) -> Vec<u8> {
        let cursor = Place::after(event);
        // It has room for everything, so there is never a link.
        let envelope = event.envelope(usize::MAX, |_| String::new());
        let (before, after) = match self {
            Self::Lines => (format!("{{\"cursor\":\"{cursor}\",\"change\":"), "}\n"),
            Self::Events => (format!("id: {cursor}\nevent: change\ndata: "), "\n\n"),
        };
        [before.as_bytes(), &envelope, after.as_bytes()].concat()
    }

    /// Ends with where to go on, which may be further than the last change of the pool.
    fn finish(self, page: &Page<Vec<u8>>) -> Told {
        let (next, behind_ms) = (page.next, page.behind_ms);
        let end = match self {
            Self::Lines => format!("{{\"cursor\":\"{next}\",\"behindMs\":{behind_ms}}}\n"),
            // Without data nothing is told, but the id is remembered.
            Self::Events => format!("retry: 1000\nid: {next}\n\n"),
        };
        let mut text = page.events.concat();
        text.extend_from_slice(end.as_bytes());
        Told {
            text,
            found: !page.events.is_empty(),
            at_end: behind_ms == 0,
            next,
        }
    }
}

fn crowded() -> ApiError {
    ApiError::too_many_requests(
        "Too many wait for changes already; ask without wait, or again later.",
    )
}

fn refused(site: &Site, place: Place, no_page: NoPage) -> ApiError {
    let oldest = Place::oldest(site.store.engine());
    match no_page {
        NoPage::TooOld { .. } => ApiError::cursor_too_old(format!(
            "The cursor {place} is older than what is kept: changes before {oldest} are not known \
             any more. Go on from there, and call BulkPublish, which tells of every dataset anew."
        )),
        NoPage::Foreign => ApiError::cursor_too_old(format!(
            "The cursor {place} is not of this store: it was restored, or is another one. Begin \
             with {oldest}, and call BulkPublish, which tells of every dataset anew."
        )),
        NoPage::Error(error) => error.into(),
    }
}

#[cfg(test)]
mod tests;
