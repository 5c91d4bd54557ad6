//! ListStreams, DescribeStream, DescribeStreamSummary and ListShards.

use crate::access::{self, Caller};
use crate::error::ApiError;
use crate::routes::KinesisOperation as Operation;
use crate::site::{Site, StreamingPool};
use crate::wire::{EpochSeconds, Object, Violations, kinesis as wire};

use super::named::{self, Named, SHARD};
use super::sequence_number::SequenceNumber;
use super::{finish, limit};

/// Names of a page, if nobody asks for less, and at most.
const STREAMS_DEFAULT: usize = 100;
const STREAMS_MAX: usize = 10_000;
/// What a page of shards may be asked to have at most; there is one shard.
const SHARDS_MAX: usize = 10_000;
/// The largest hash of a partition key: 2^128 - 1.
const LAST_HASH_KEY: u128 = u128::MAX;
const FILTERS: [&str; 6] = [
    "AFTER_SHARD_ID",
    "AT_TRIM_HORIZON",
    "FROM_TRIM_HORIZON",
    "AT_LATEST",
    "AT_TIMESTAMP",
    "FROM_TIMESTAMP",
];

/// Lists the streams of which the caller reaches all pools.
pub(super) async fn list(
    site: &Site,
    caller: &Caller,
    input: wire::ListStreamsInput,
) -> Result<wire::ListStreamsOutput, ApiError> {
    let wanted = limit("limit", input.limit, STREAMS_DEFAULT, STREAMS_MAX)?;
    site.find_streams().await?;
    let mut after = input.next_token.or(input.exclusive_start_stream_name);
    let mut found = Vec::new();
    // One more than wanted tells whether there are more.
    while found.len() <= wanted {
        let more = site.streams_after(after.as_deref(), STREAMS_MAX);
        let Some((last, _)) = more.last() else {
            break;
        };
        after = Some(last.clone());
        found.extend(more.into_iter().filter_map(|(name, mut pools)| {
            named::keep_reached(caller, &mut pools);
            let ids = pools.iter().map(|pool| pool.pool.as_str());
            let is_shown = named::is_built_in(site, &name)
                && !pools.is_empty()
                && access::reaches(caller, ids);
            is_shown.then_some((name, pools))
        }));
    }
    let has_more_streams = found.len() > wanted;
    found.truncate(wanted);
    let stream_names: Vec<String> = found.iter().map(|(name, _)| name.clone()).collect();
    let last = stream_names.last().cloned();
    let summaries = found.iter().map(|(name, pools)| summary(site, name, pools));
    Ok(wire::ListStreamsOutput {
        has_more_streams,
        next_token: last.filter(|_| has_more_streams),
        stream_summaries: summaries.collect(),
        stream_names,
    })
}

/// Describes a stream and its shard.
pub(super) async fn describe(
    site: &Site,
    caller: &Caller,
    input: wire::DescribeStreamInput,
) -> Result<wire::DescribeStreamOutput, ApiError> {
    let (name, arn) = (input.stream_name, input.stream_arn);
    let named = Named::find(
        site,
        caller,
        Operation::DescribeStream,
        name,
        arn.as_deref(),
    )
    .await?;
    limit("limit", input.limit, SHARDS_MAX, SHARDS_MAX)?;
    let after = input.exclusive_start_shard_id;
    Ok(wire::DescribeStreamOutput {
        stream_description: wire::StreamDescription {
            summary: summary(site, &named.name, &named.pools),
            shards: shards(site, &named, after.as_deref()),
            has_more_shards: false,
            retention_period_hours: site.config.engine.feed_retention_hours,
            enhanced_monitoring: Default::default(),
            encryption_type: "NONE",
        },
    })
}

/// Describes a stream without its shard.
pub(super) async fn summarize(
    site: &Site,
    caller: &Caller,
    input: wire::DescribeStreamInput,
) -> Result<wire::DescribeStreamSummaryOutput, ApiError> {
    let (name, arn) = (input.stream_name, input.stream_arn);
    let operation = Operation::DescribeStreamSummary;
    let named = Named::find(site, caller, operation, name, arn.as_deref()).await?;
    Ok(wire::DescribeStreamSummaryOutput {
        stream_description_summary: wire::StreamDescriptionSummary {
            summary: summary(site, &named.name, &named.pools),
            retention_period_hours: site.config.engine.feed_retention_hours,
            enhanced_monitoring: Default::default(),
            encryption_type: "NONE",
            open_shard_count: 1,
            consumer_count: 0,
        },
    })
}

/// Lists the one shard of a stream, if it is asked for.
pub(super) async fn list_shards(
    site: &Site,
    caller: &Caller,
    input: wire::ListShardsInput,
) -> Result<wire::ListShardsOutput, ApiError> {
    if input.next_token.is_some() {
        return Err(ApiError::invalid_argument(
            "NextToken is not of this server: a stream has one shard, and its list one page.",
        ));
    }
    let (name, arn) = (input.stream_name, input.stream_arn);
    let named = Named::find(site, caller, Operation::ListShards, name, arn.as_deref()).await?;
    limit("maxResults", input.max_results, SHARDS_MAX, SHARDS_MAX)?;
    let mut after = input.exclusive_start_shard_id;
    if let Some(Object(filter)) = input.shard_filter {
        let kind = super::required(filter.kind, "shardFilter.type")?;
        let mut violations = Violations::new();
        violations.one_of("shardFilter.type", &kind, &FILTERS);
        finish(violations)?;
        if kind == FILTERS[0] {
            after = filter.shard_id.or(after);
        }
    }
    Ok(wire::ListShardsOutput {
        shards: shards(site, &named, after.as_deref()),
    })
}

fn summary(site: &Site, name: &str, pools: &[StreamingPool]) -> wire::StreamSummary {
    let enabled = pools.iter().map(|pool| pool.enabled_ms).min();
    wire::StreamSummary {
        stream_name: name.to_owned(),
        stream_arn: named::arn(site, name),
        stream_status: "ACTIVE",
        stream_mode_details: wire::StreamModeDetails {
            stream_mode: "PROVISIONED",
        },
        stream_creation_timestamp: EpochSeconds::from_ms(enabled.unwrap_or(0)),
    }
}

/// The shards behind one.
fn shards(site: &Site, named: &Named, after: Option<&str>) -> Vec<wire::Shard> {
    if after.is_some_and(|after| after >= SHARD) {
        return Vec::new();
    }
    let begins = named.begins(site);
    vec![wire::Shard {
        shard_id: SHARD.to_owned(),
        hash_key_range: wire::HashKeyRange {
            starting_hash_key: "0".to_owned(),
            ending_hash_key: LAST_HASH_KEY.to_string(),
        },
        sequence_number_range: wire::SequenceNumberRange {
            starting_sequence_number: SequenceNumber::from(begins).to_string(),
        },
    }]
}
