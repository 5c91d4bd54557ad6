//! GetRecords: the next events of a stream.

use std::sync::Arc;

use crate::access::Caller;
use crate::error::ApiError;
use crate::routes::KinesisOperation::GetRecords;
use crate::site::{Reads, Site};
use crate::stream::{self, Event, INLINE_BYTES_MAX, NoPage, Page, Place, Wanted};
use crate::wire::{EpochSeconds, Form, kinesis as wire};

use super::named::Named;
use super::sequence_number::SequenceNumber;
use super::shard_iterator::{GAP, LIFE_MS, ShardIterator, Start};
use super::{limit, required};

/// Records of one answer, as for Kinesis.
const RECORDS_MAX: usize = 10_000;
/// Bytes of them, before base64, as for Kinesis.
const BYTES_MAX: usize = 10 << 20;

/// Gives the next records in a form. They are laid out where it does not matter how long that
/// takes.
pub(super) async fn get(
    site: &Arc<Site>,
    caller: &Caller,
    form: Form,
    input: wire::GetRecordsInput,
) -> Result<Vec<u8>, ApiError> {
    let text = required(input.shard_iterator, "shardIterator")?;
    let events_max = limit("limit", input.limit, RECORDS_MAX, RECORDS_MAX)?;
    let opened = ShardIterator::open(site, &text).ok_or_else(|| {
        ApiError::invalid_argument("ShardIterator is not one that this server gave out.")
    })?;
    let now_ms = site.now().get();
    if now_ms.saturating_sub(opened.made_ms) > LIFE_MS {
        return Err(ApiError::expired_iterator(format!(
            "Iterator expired. The iterator was created {} seconds ago, and is good for {}.",
            (now_ms - opened.made_ms) / 1000,
            LIFE_MS / 1000
        )));
    }
    let named = Named::open(site, caller, GetRecords, opened.stream).await?;
    let pools = named.pools.iter().map(|pool| (pool.pool, pool.since));
    let wanted = Wanted {
        reads: matches!(opened.start, Start::At(_)).then(|| Reads {
            what: named.name.clone(),
            key: caller.key().to_owned(),
        }),
        pools: pools.collect(),
        events_max,
        bytes_max: BYTES_MAX,
    };
    let from = match opened.start {
        Start::Horizon => Place::oldest(site.store.engine()).or_later(named.begins(site)),
        Start::At(place) => place,
    };
    let (here, stream) = (Arc::clone(site), named.name);
    let finish = move |page: Page<wire::Record>| {
        let next = ShardIterator {
            stream,
            start: Start::At(page.next),
            made_ms: now_ms,
        };
        form.write(&wire::GetRecordsOutput {
            records: page.events,
            next_shard_iterator: next.seal(&here),
            millis_behind_latest: page.behind_ms,
        })
    };
    let read = stream::read(site, from, wanted, record, finish).await;
    let output = read.map_err(refused)?;
    site.keep_links().await;
    output
}

fn record(site: &Site, event: &Event) -> (wire::Record, usize) {
    let envelope = event.envelope(INLINE_BYTES_MAX, |id| stream::link(site, id));
    let bytes = envelope.len() + event.partition_key().len();
    let record = wire::Record {
        sequence_number: SequenceNumber::of(event).to_string(),
        approximate_arrival_timestamp: EpochSeconds::from_ms(event.time.get()),
        data: wire::Blob(envelope),
        partition_key: event.partition_key().to_owned(),
    };
    (record, bytes)
}

fn refused(no_page: NoPage) -> ApiError {
    match no_page {
        NoPage::TooOld { .. } => ApiError::expired_iterator(format!(
            "The stream no longer holds the place of this iterator. {GAP}"
        )),
        NoPage::Foreign => ApiError::expired_iterator(format!(
            "The iterator is from before the store was restored. {GAP}"
        )),
        NoPage::Error(error) => error.into(),
    }
}
