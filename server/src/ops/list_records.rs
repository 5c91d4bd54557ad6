//! ListRecords: what changed in a dataset since a count, and a session for the update after it.

use std::time::Duration;

use syncline_engine::{
    DatasetId, Error, IdentityId, Listed, Listing, RecordRef, Refusal, SyncCount, Text,
};
use tokio::time::{Instant, timeout_at};

use super::page::{self, RecordPage};
use super::{Target, page_limit};
use crate::access::Caller;
use crate::error::ApiError;
use crate::session::{Place, Session};
use crate::site::{Site, merged, stored};
use crate::wire::{EpochSeconds, Query, Violations, sync as wire};

/// Most records of a page, where the caller wants pages at all.
const PAGE_MAX: usize = 1024;
/// Longest time that a listing waits for changes.
const WAIT_SECONDS_MAX: i64 = 20;

/// Lists the records that have a higher count than the caller's, as JSON, since they are never
/// copied on the way. Without `maxResults` all of them come at once, since some clients read one
/// page only.
pub(super) async fn list_records(
    site: &Site,
    caller: &Caller,
    target: &Target,
    query: &Query,
) -> Result<Vec<u8>, ApiError> {
    let dataset = target.dataset()?;
    let place = Place {
        pool: dataset.pool.as_str(),
        identity: dataset.identity.as_str(),
        dataset: dataset.name.as_str(),
    };
    let name = ["ListRecords", place.pool, place.identity, place.dataset];
    let asked = Asked::read(site, &name, query)?;
    let session = asked.session(site, target, &place, query)?;
    let mut listed = asked.list(site, &dataset).await?;
    if let Some(wait) = asked.wait
        && asked.is_up_to_date(&listed)
    {
        // In a box, since it is rare.
        let news = Box::pin(wait_for_news(site, &dataset, &asked, wait)).await?;
        if !site.has_identity(place.pool, place.identity) {
            return Err(target.gone(caller));
        }
        if let Some(news) = news {
            listed = news;
        }
    }
    let next_token = listed.next.clone().map(|after| {
        let (since, snapshot) = (asked.listing.since, listed.snapshot);
        RecordPage {
            session,
            since,
            snapshot,
            after,
        }
        .token(&site.keys, &name)
    });
    let session_token = session.token(&site.keys, &place);
    let mut output = shape(
        &dataset.identity,
        &asked.listing,
        &listed,
        session_token,
        next_token,
    );
    let reader = site.store.engine().resident_reader();
    let (pool, identity) = (target.pool()?.1.uuid, target.identity()?.1.uuid);
    output.merged_dataset_names = merged::reported(&reader, pool, identity, &dataset.name);
    Ok(output.to_json())
}

/// What there is to list once there is something, or when the time is over. What is heard may be
/// the change that the caller knows already, since it is told after that was answered.
async fn wait_for_news(
    site: &Site,
    dataset: &DatasetId,
    asked: &Asked,
    wait: Duration,
) -> Result<Option<Listed>, ApiError> {
    let until = Instant::now() + wait;
    let names = vec![dataset.name.clone()];
    let ears = site
        .live
        .listen(dataset.pool, dataset.identity, Some(names))?;
    // What changed before is not heard any more.
    let listed = asked.list(site, dataset).await?;
    if !asked.is_up_to_date(&listed) {
        return Ok(Some(listed));
    }
    let has_identity = || site.has_identity(dataset.pool.as_str(), dataset.identity.as_str());
    while let Ok(news) = timeout_at(until, ears.heard()).await {
        if news.ended || !has_identity() {
            return Ok(None);
        }
        let listed = asked.list(site, dataset).await?;
        if !asked.is_up_to_date(&listed) {
            return Ok(Some(listed));
        }
    }
    Ok(None)
}

/// What the query asks for.
struct Asked {
    listing: Listing,
    /// As the caller wrote it: it may be more than a count can be.
    since: i64,
    page: Option<RecordPage>,
    /// How long to wait for changes if there are none yet.
    wait: Option<Duration>,
}

impl Asked {
    fn read(site: &Site, name: &[&str], query: &Query) -> Result<Self, ApiError> {
        let mut violations = Violations::new();
        let since = query.last_sync_count.unwrap_or(0);
        violations.at_least("lastSyncCount", since, 0);
        let seconds = query.wait.unwrap_or(0);
        violations.at_least("wait", seconds, 0);
        violations.at_most("wait", seconds, WAIT_SECONDS_MAX);
        violations.finish()?;
        let seconds = u64::try_from(seconds).unwrap_or(0);
        let wait = (seconds > 0).then(|| Duration::from_secs(seconds));
        let count = u64::try_from(since)
            .ok()
            .and_then(|since| SyncCount::new(since).ok());
        let mut listing = Listing {
            since: count.unwrap_or(SyncCount::MAX),
            limit: page_limit(query, 0, PAGE_MAX)?,
            ..Listing::default()
        };
        let Some(token) = &query.next_token else {
            return Ok(Self {
                listing,
                since,
                page: None,
                wait,
            });
        };
        let page = RecordPage::read(&site.keys, name, token)?;
        // A page of another listing would leave a gap that the caller cannot see.
        if query.last_sync_count.is_some() && page.since != listing.since {
            return Err(page::not_valid());
        }
        listing.since = page.since;
        listing.after = Some(page.after.clone());
        listing.snapshot = Some(page.snapshot);
        Ok(Self {
            listing,
            since,
            page: Some(page),
            // Where there is another page there is something to list.
            wait: None,
        })
    }

    async fn list(&self, site: &Site, dataset: &DatasetId) -> Result<Listed, ApiError> {
        let (wanted, listing) = (dataset.clone(), self.listing.clone());
        let read = site
            .store
            .read(move |reader| reader.list(&wanted, &listing));
        read.await.map_err(|error| self.refused(error))
    }

    /// Whether the caller knows already all that there is.
    fn is_up_to_date(&self, listed: &Listed) -> bool {
        listed.sync_count == self.listing.since && !listed.deleted_since
    }

    /// The session of this page: the one whose token came, else that of the first page, else a new
    /// one, which counts.
    fn session(
        &self,
        site: &Site,
        target: &Target,
        place: &Place<'_>,
        query: &Query,
    ) -> Result<Session, ApiError> {
        let now_ms = site.now().get();
        if let Some(token) = &query.sync_session_token {
            return read_session(site, place, token, now_ms);
        }
        if let Some(page) = &self.page
            && page.session.is_valid(now_ms)
        {
            return Ok(page.session);
        }
        let pool = &target.pool()?.1;
        site.counts.add(pool.uuid, || stored::pool_key(pool));
        Ok(Session::begin(now_ms))
    }

    fn refused(&self, error: Error) -> ApiError {
        match error {
            Error::Refusal(Refusal::NoSuchSyncCount(_)) => ApiError::invalid_parameter(format!(
                "No such SyncCount: {} exists for this Dataset",
                self.since
            )),
            error => error.into(),
        }
    }
}

/// The session that a token proves, unless it is spent.
pub(super) fn read_session(
    site: &Site,
    place: &Place<'_>,
    token: &str,
    now_ms: u64,
) -> Result<Session, ApiError> {
    Session::read(&site.keys, place, token, now_ms)
        .filter(|session| !site.sessions.contains(session.id))
        .ok_or_else(session_not_valid)
}

/// The answer to a token that is malformed, expired, spent, or of another dataset.
pub(super) fn session_not_valid() -> ApiError {
    ApiError::invalid_parameter("SyncSessionToken not valid for these inputs")
}

fn shape<'a>(
    identity: &'a IdentityId,
    listing: &Listing,
    listed: &'a Listed,
    sync_session_token: String,
    next_token: Option<String>,
) -> wire::ListRecordsOutput<&'a str> {
    let records: Vec<_> = listed
        .records()
        .map(|record| record_shape(identity, &record))
        .collect();
    // Every page tells the count of the first, up to which all of them list.
    let count = if listing.snapshot.is_some() {
        listed.snapshot
    } else {
        listed.sync_count
    };
    let dataset = listed.dataset.as_ref();
    wire::ListRecordsOutput {
        count: records.len(),
        records,
        dataset_sync_count: count.get(),
        dataset_exists: dataset.is_some(),
        dataset_deleted_after_requested_sync_count: listed.deleted_since,
        sync_session_token,
        last_modified_by: dataset.map(|info| info.modified_by.name(identity).to_owned()),
        merged_dataset_names: Vec::new(),
        next_token,
    }
}

/// A record as it is listed.
pub(super) fn record_shape<'a>(
    identity: &'a IdentityId,
    record: &RecordRef<'a>,
) -> wire::Record<&'a str> {
    wire::Record {
        key: record.key.as_str(),
        value: record.value.map(Text::as_str),
        sync_count: record.sync_count.get(),
        last_modified_date: EpochSeconds::from_ms(record.modified.get()),
        last_modified_by: record.modified_by.map_or(identity.as_str(), Text::as_str),
        device_last_modified_date: EpochSeconds::from_ms(record.device_modified.get()),
    }
}
