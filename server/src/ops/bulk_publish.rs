//! BulkPublish and GetBulkPublishDetails: sending all datasets of a pool to its stream, once a day.
//!
//! Nothing is sent in this version: a bulk publish that may begin ends at once, as failed, and says
//! why. Beginning and ending are one commit, so that no crash leaves one that runs for ever.

use syncline_engine::Expected;

use super::change::{Change, Unchanged};
use super::{Target, configuration, no_pool};
use crate::error::ApiError;
use crate::site::Site;
use crate::site::stored::{self, BulkPublishRecord, BulkPublishStatus, StreamingStatus};
use crate::wire::{EpochSeconds, settings as wire};

/// How long after a success the next one must wait: 24 hours.
const WAIT_MS: u64 = 24 * 3600 * 1000;
/// Why every bulk publish of this version fails.
const NOT_YET: &str = "Publishing to streams is not part of this version: nothing was published";

/// Begins a bulk publish.
pub(super) async fn start(
    site: &Site,
    target: &Target,
) -> Result<wire::BulkPublishOutput, ApiError> {
    let (pool, id) = target.pool()?;
    let streams = configuration::load(site, target).await?.streams;
    if streams.unwrap_or_default().status != Some(StreamingStatus::Enabled) {
        return Err(ApiError::invalid_parameter(format!(
            "Streaming is not enabled for IdentityPool '{pool}': set CognitoStreams with a \
             StreamingStatus of ENABLED first (SetIdentityPoolConfiguration)"
        )));
    }
    let change = Change {
        site,
        key: stored::bulk_publish_key(id.uuid),
        expect: vec![(stored::pool_key(id), Expected::Something)],
    };
    let now_ms = site.now().get();
    let changed = change.make(|last: Option<&BulkPublishRecord>| {
        let mut publish = begun(last, now_ms)?;
        fail(&mut publish, now_ms);
        Ok((Some(publish), ()))
    });
    changed.await.map_err(|unchanged| match unchanged {
        Unchanged::Raced => in_progress(),
        Unchanged::Gone(_) => no_pool(pool.as_str()),
        Unchanged::Error(error) => error,
    })?;
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
fn begun(last: Option<&BulkPublishRecord>, now_ms: u64) -> Result<BulkPublishRecord, ApiError> {
    let ended_ms = |last: &BulkPublishRecord| last.ended_ms.unwrap_or(last.started_ms);
    match last {
        Some(last) if last.status == BulkPublishStatus::InProgress => return Err(in_progress()),
        Some(last)
            if last.status == BulkPublishStatus::Succeeded
                && now_ms < ended_ms(last).saturating_add(WAIT_MS) =>
        {
            return Err(ApiError::already_streamed(
                "A bulk publish of this identity pool succeeded less than 24 hours ago",
            ));
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

fn fail(running: &mut BulkPublishRecord, now_ms: u64) {
    running.status = BulkPublishStatus::Failed;
    running.ended_ms = Some(now_ms);
    running.failure = Some(NOT_YET.to_owned());
}

fn in_progress() -> ApiError {
    ApiError::duplicate_request("A bulk publish of this identity pool is in progress")
}
