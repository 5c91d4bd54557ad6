//! BulkPublish and GetBulkPublishDetails: sending all datasets of a pool to its stream, once a day.
//!
//! Here it only begins: with the commit that says so it is under way, and whoever delivers streams
//! takes it from there, now or after the next start.

use syncline_engine::{Expected, Wish};

use super::change::{Change, Unchanged};
use super::{Target, configuration, no_pool};
use crate::error::ApiError;
use crate::site::Site;
use crate::site::stored::{self, BulkPublishRecord, BulkPublishStatus};
use crate::site::stored::{PublishingRecord, StreamRecord};
use crate::wire::{EpochSeconds, settings as wire};

/// Begins a bulk publish.
pub(super) async fn start(
    site: &Site,
    target: &Target,
) -> Result<wire::BulkPublishOutput, ApiError> {
    let (pool, id) = target.pool()?;
    let configuration = configuration::load(site, target).await?;
    let Some(streams) = configuration.streaming() else {
        return Err(ApiError::invalid_parameter(format!(
            "Streaming is not enabled for IdentityPool '{pool}': set CognitoStreams with a \
             StreamingStatus of ENABLED first (SetIdentityPoolConfiguration)"
        )));
    };
    let Some(stream) = streams.name.clone() else {
        return Err(ApiError::invalid_parameter(format!(
            "CognitoStreams of IdentityPool '{pool}' has no StreamName: set one first \
             (SetIdentityPoolConfiguration)"
        )));
    };
    let beginning = site
        .load::<StreamRecord>(stored::stream_key(id.uuid))
        .await?;
    let enabled_ms = beginning.map_or(0, |(record, _)| record.enabled_ms);
    let store = site.store.engine().head().store.into_bytes();
    let change = Change {
        site,
        key: stored::bulk_publish_key(id.uuid),
        expect: vec![(stored::pool_key(id), Expected::Something)],
    };
    let (now_ms, period_ms) = (
        site.now().get(),
        site.config.streaming.bulk_publish_period_ms(),
    );
    let begin = |last: Option<&BulkPublishRecord>| Ok((Some(begun(last, now_ms, period_ms)?), ()));
    let changed = change.make_with(begin, |_, _| {
        let record = PublishingRecord {
            stream: stream.clone(),
            enabled_ms,
            store,
            ..PublishingRecord::default()
        };
        Ok(vec![Wish::PutMetadata {
            key: stored::publishing_key(id.uuid),
            value: stored::encode(&record).ok_or_else(|| ApiError::bug("a name is too large"))?,
            expected: Expected::Anything,
        }])
    });
    changed.await.map_err(|unchanged| match unchanged {
        Unchanged::Raced => in_progress(),
        Unchanged::Gone(_) => no_pool(pool.as_str()),
        Unchanged::Error(error) => error,
    })?;
    site.outflow.touch();
    Ok(wire::BulkPublishOutput {
        identity_pool_id: pool.to_string(),
    })
}

/// Tells how far the last bulk publish is.
pub(super) async fn details(
    site: &Site,
    target: &Target,
) -> Result<wire::GetBulkPublishDetailsOutput, ApiError> {
    let (pool, id) = target.pool()?;
    let key = stored::bulk_publish_key(id.uuid);
    let found = site.load::<BulkPublishRecord>(key).await?;
    let identity_pool_id = pool.to_string();
    let Some((record, _)) = found else {
        return Ok(wire::GetBulkPublishDetailsOutput {
            identity_pool_id,
            bulk_publish_start_time: None,
            bulk_publish_complete_time: None,
            bulk_publish_status: "NOT_STARTED",
            failure_message: None,
        });
    };
    let succeeded = record.status == BulkPublishStatus::Succeeded;
    let ended = record.ended_ms.filter(|_| succeeded);
    Ok(wire::GetBulkPublishDetailsOutput {
        identity_pool_id,
        bulk_publish_start_time: Some(EpochSeconds::from_ms(record.started_ms)),
        bulk_publish_complete_time: ended.map(EpochSeconds::from_ms),
        bulk_publish_status: match record.status {
            BulkPublishStatus::InProgress => "IN_PROGRESS",
            BulkPublishStatus::Succeeded => "SUCCEEDED",
            BulkPublishStatus::Failed => "FAILED",
        },
        failure_message: record.failure,
    })
}

/// A bulk publish that begins now, if the last one lets it. One that failed does.
fn begun(
    last: Option<&BulkPublishRecord>,
    now_ms: u64,
    period_ms: u64,
) -> Result<BulkPublishRecord, ApiError> {
    let ended_ms = |last: &BulkPublishRecord| last.ended_ms.unwrap_or(last.started_ms);
    match last {
        Some(last) if last.status == BulkPublishStatus::InProgress => return Err(in_progress()),
        Some(last)
            if last.status == BulkPublishStatus::Succeeded
                && now_ms < ended_ms(last).saturating_add(period_ms) =>
        {
            let hours = period_ms / 3_600_000;
            return Err(ApiError::already_streamed(format!(
                "A bulk publish of this identity pool succeeded less than {hours} hours ago"
            )));
        }
        _ => {}
    }
    Ok(BulkPublishRecord {
        status: BulkPublishStatus::InProgress,
        started_ms: now_ms,
        ended_ms: None,
        failure: None,
    })
}

fn in_progress() -> ApiError {
    ApiError::duplicate_request("A bulk publish of this identity pool is in progress")
}
