//! Disabling the streaming of a pool because its stream cannot go on.

use std::sync::Arc;
use std::time::Duration;

use syncline_engine::{Error, Expected, Proposal, Refusal, Wish};

use super::phase::Phases;
use crate::error::Chain;
use crate::site::stored::{self, ConfigurationRecord, StreamRecord, StreamingStatus};
use crate::site::{Site, StreamingPool};

/// Longest reason that is kept, in bytes: what the configuration of a pool has room for.
const REASON_BYTES_MAX: usize = 1024;
/// How long after a failed try the next one is made.
const AGAIN: Duration = Duration::from_secs(5);

/// Sets the pool's StreamingStatus to DISABLED with the reason, unless somebody else has changed
/// what it streams meanwhile. Tries until it can or is told to end.
pub(super) async fn disable(
    site: &Arc<Site>,
    streaming: &StreamingPool,
    stream: &str,
    reason: &str,
    mut phases: Phases,
) {
    let pool = streaming.pool;
    tracing::error!(%pool, stream, "streaming is DISABLED: {reason}");
    loop {
        match attempt(site, streaming, stream, reason).await {
            Ok(()) => {
                site.outflow.touch();
                return;
            }
            Err(why) => tracing::error!(%pool, stream, "disabling the stream: {why}"),
        }
        tokio::select! {
            () = tokio::time::sleep(AGAIN) => {}
            // The next start finds the same reason.
            () = phases.flushing() => return,
        }
    }
}

async fn attempt(
    site: &Site,
    streaming: &StreamingPool,
    stream: &str,
    reason: &str,
) -> Result<(), String> {
    let Some(pool) = stored::Id::parse(streaming.pool.as_str()) else {
        return Ok(());
    };
    loop {
        let key = stored::configuration_key(pool.uuid);
        let loaded = site.load::<ConfigurationRecord>(key.clone()).await;
        let Some((mut record, version)) = loaded.map_err(|error| error.message)? else {
            return Ok(());
        };
        // Both are written by one commit, whose version this one insists on.
        let key_of_beginning = stored::stream_key(pool.uuid);
        let beginning = site.load::<StreamRecord>(key_of_beginning).await;
        let beginning = beginning.map_err(|error| error.message)?;
        if beginning.map_or(0, |(beginning, _)| beginning.enabled_ms) != streaming.enabled_ms {
            return Ok(());
        }
        let streams = record.streams.as_mut().filter(|streams| {
            streams.status == Some(StreamingStatus::Enabled)
                && streams.name.as_deref() == Some(stream)
        });
        let Some(streams) = streams else {
            return Ok(());
        };
        streams.status = Some(StreamingStatus::Disabled);
        streams.disabled_reason = Some(short(reason));
        let value = stored::encode(&record).ok_or("the configuration is too large")?;
        let proposal = Proposal {
            expect: vec![(stored::pool_key(&pool), Expected::Something)],
            wishes: vec![Wish::PutMetadata {
                key: key.clone(),
                value,
                expected: Expected::Version(version),
            }],
            ..Proposal::default()
        };
        match site.store.commit(proposal).await {
            Ok(_) => {
                let found = site.find_streams().await;
                return found.map_err(|error| Chain(&error).to_string());
            }
            Err(Error::Refusal(Refusal::Unexpected { key: other, .. })) if other == key => {}
            Err(Error::Refusal(Refusal::Unexpected { .. })) => return Ok(()),
            Err(error) => return Err(Chain(&error).to_string()),
        }
    }
}

/// The reason, cut to what there is room for.
fn short(reason: &str) -> String {
    let mut end = reason.len().min(REASON_BYTES_MAX);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    reason[..end].to_owned()
}
