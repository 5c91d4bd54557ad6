//! The shapes of the read side of Kinesis that this version answers.

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize, Serializer};

use super::{EpochSeconds, Object};

/// Body of `ListStreams`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListStreamsInput {
    /// At most so many names.
    pub limit: Option<i64>,
    /// Names behind this one.
    pub exclusive_start_stream_name: Option<String>,
    /// Where the page before ended.
    pub next_token: Option<String>,
}

/// Answer of `ListStreams`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListStreamsOutput {
    /// Names, in order.
    pub stream_names: Vec<String>,
    /// Whether there are more.
    pub has_more_streams: bool,
    /// Where the next page begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
    /// The same streams once more.
    pub stream_summaries: Vec<StreamSummary>,
}

/// A stream in a list.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct StreamSummary {
    /// Its name.
    pub stream_name: String,
    /// Its resource name.
    #[serde(rename = "StreamARN")]
    pub stream_arn: String,
    /// Always `ACTIVE`.
    pub stream_status: &'static str,
    /// Who decides on the number of shards.
    pub stream_mode_details: StreamModeDetails,
    /// When it was enabled.
    pub stream_creation_timestamp: EpochSeconds,
}

/// Who decides on the number of shards.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct StreamModeDetails {
    /// Always `PROVISIONED`.
    pub stream_mode: &'static str,
}

/// Body of `DescribeStream` and `DescribeStreamSummary`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeStreamInput {
    /// The stream.
    pub stream_name: Option<String>,
    /// The stream by its resource name.
    #[serde(rename = "StreamARN")]
    pub stream_arn: Option<String>,
    /// At most so many shards.
    pub limit: Option<i64>,
    /// Shards behind this one.
    pub exclusive_start_shard_id: Option<String>,
}

/// Answer of `DescribeStream`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeStreamOutput {
    /// The stream.
    pub stream_description: StreamDescription,
}

/// A stream with its shards.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct StreamDescription {
    /// What its list has of it.
    #[serde(flatten)]
    pub summary: StreamSummary,
    /// Its shards.
    pub shards: Vec<Shard>,
    /// Whether there are more.
    pub has_more_shards: bool,
    /// How long changes are kept.
    pub retention_period_hours: u64,
    /// Metrics of Kinesis; none.
    pub enhanced_monitoring: [EnhancedMetrics; 1],
    /// Always `NONE`.
    pub encryption_type: &'static str,
}

/// Answer of `DescribeStreamSummary`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeStreamSummaryOutput {
    /// The stream.
    pub stream_description_summary: StreamDescriptionSummary,
}

/// A stream without its shards.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct StreamDescriptionSummary {
    /// What its list has of it.
    #[serde(flatten)]
    pub summary: StreamSummary,
    /// How long changes are kept.
    pub retention_period_hours: u64,
    /// Metrics of Kinesis; none.
    pub enhanced_monitoring: [EnhancedMetrics; 1],
    /// Always `NONE`.
    pub encryption_type: &'static str,
    /// Always 1.
    pub open_shard_count: u64,
    /// Always 0: nothing is pushed to consumers.
    pub consumer_count: u64,
}

/// Metrics of Kinesis.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct EnhancedMetrics {
    /// None.
    pub shard_level_metrics: [&'static str; 0],
}

/// A part of a stream that is in order.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Shard {
    /// Its id.
    pub shard_id: String,
    /// Partition keys in it: all.
    pub hash_key_range: HashKeyRange,
    /// Sequence numbers in it.
    pub sequence_number_range: SequenceNumberRange,
}

/// Hashes of partition keys.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct HashKeyRange {
    /// The first.
    pub starting_hash_key: String,
    /// The last.
    pub ending_hash_key: String,
}

/// Sequence numbers without an end.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct SequenceNumberRange {
    /// The first, or one before it.
    pub starting_sequence_number: String,
}

/// Body of `ListShards`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListShardsInput {
    /// The stream.
    pub stream_name: Option<String>,
    /// The stream by its resource name.
    #[serde(rename = "StreamARN")]
    pub stream_arn: Option<String>,
    /// Where a page before ended; there is never a second one.
    pub next_token: Option<String>,
    /// Shards behind this one.
    pub exclusive_start_shard_id: Option<String>,
    /// At most so many.
    pub max_results: Option<i64>,
    /// Which shards.
    pub shard_filter: Option<Object<ShardFilter>>,
}

/// Which shards to list.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ShardFilter {
    /// By what.
    #[serde(rename = "Type")]
    pub kind: Option<String>,
    /// For `AFTER_SHARD_ID`.
    pub shard_id: Option<String>,
}

/// Answer of `ListShards`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListShardsOutput {
    /// The shards.
    pub shards: Vec<Shard>,
}

/// Body of `GetShardIterator`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetShardIteratorInput {
    /// The stream.
    pub stream_name: Option<String>,
    /// The stream by its resource name.
    #[serde(rename = "StreamARN")]
    pub stream_arn: Option<String>,
    /// The shard.
    pub shard_id: Option<String>,
    /// Where to begin.
    pub shard_iterator_type: Option<String>,
    /// For `AT_SEQUENCE_NUMBER` and `AFTER_SEQUENCE_NUMBER`.
    pub starting_sequence_number: Option<String>,
    /// For `AT_TIMESTAMP`.
    pub timestamp: Option<EpochSeconds>,
}

/// Answer of `GetShardIterator`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetShardIteratorOutput {
    /// Where to read.
    pub shard_iterator: String,
}

/// Body of `GetRecords`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetRecordsInput {
    /// Where to read.
    pub shard_iterator: Option<String>,
    /// At most so many records.
    pub limit: Option<i64>,
}

/// Answer of `GetRecords`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetRecordsOutput {
    /// The records, in order.
    pub records: Vec<Record>,
    /// Where to go on.
    pub next_shard_iterator: String,
    /// How far behind the present these are.
    pub millis_behind_latest: u64,
}

/// One record: an event.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Record {
    /// Its place in the stream.
    pub sequence_number: String,
    /// When it was committed.
    pub approximate_arrival_timestamp: EpochSeconds,
    /// The envelope.
    pub data: Blob,
    /// The identity.
    pub partition_key: String,
}

/// Bytes: base64 in JSON.
#[derive(Debug)]
pub struct Blob(pub Vec<u8>);

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(&Base64Display::new(&self.0, &STANDARD))
        } else {
            serializer.serialize_bytes(&self.0)
        }
    }
}
