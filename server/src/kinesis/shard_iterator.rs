//! GetShardIterator, and what an iterator is: a sealed place in a stream, good for five minutes.

use std::sync::Arc;

use syncline_engine::{Sequence, Timestamp};
use uuid::Uuid;

use crate::access::Caller;
use crate::error::ApiError;
use crate::routes::KinesisOperation::GetShardIterator;
use crate::seal::Purpose;
use crate::site::Site;
use crate::stream::{self, EventId, Place};
use crate::wire::{Violations, kinesis as wire};

use super::named::{Named, SHARD};
use super::sequence_number::SequenceNumber;
use super::{finish, required};

/// How long an iterator is good, as for Kinesis.
pub(super) const LIFE_MS: u64 = 300_000;
const TYPES: [&str; 5] = [
    "AT_SEQUENCE_NUMBER",
    "AFTER_SEQUENCE_NUMBER",
    "TRIM_HORIZON",
    "LATEST",
    "AT_TIMESTAMP",
];

/// What follows when a reader has lost its place for good.
pub(super) const GAP: &str = "Changes before the oldest one that it holds are not known any more: \
     begin at TRIM_HORIZON, and call BulkPublish, which tells of every dataset anew.";

/// Where an iterator reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// Wherever the stream begins when it is read.
    Horizon,
    /// From this place on.
    At(Place),
}

/// An iterator, opened.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ShardIterator {
    pub(super) stream: String,
    pub(super) start: Start,
    pub(super) made_ms: u64,
}

/// Gives an iterator.
pub(super) async fn get(
    site: &Arc<Site>,
    caller: &Caller,
    input: wire::GetShardIteratorInput,
) -> Result<wire::GetShardIteratorOutput, ApiError> {
    let arn = input.stream_arn.as_deref();
    let named = Named::find(site, caller, GetShardIterator, input.stream_name, arn).await?;
    let shard = required(input.shard_id, "shardId")?;
    let kind = required(input.shard_iterator_type, "shardIteratorType")?;
    let mut violations = Violations::new();
    violations.one_of("shardIteratorType", &kind, &TYPES);
    finish(violations)?;
    if shard != SHARD {
        return Err(ApiError::not_found(format!(
            "Shard {} in stream {} does not exist; its one shard is {SHARD}.",
            shard.chars().take(128).collect::<String>(),
            named.name
        )));
    }
    let start = match kind.as_str() {
        "TRIM_HORIZON" => Start::Horizon,
        "LATEST" => Start::At(Place::newest(site.store.engine())),
        "AT_TIMESTAMP" => {
            let time = input.timestamp.ok_or_else(|| lacks("Timestamp", &kind))?;
            Start::At(at_time(site, time.ms).await?)
        }
        _ => {
            let number = input.starting_sequence_number;
            let number = number.ok_or_else(|| lacks("StartingSequenceNumber", &kind))?;
            Start::At(at_number(site, &number, kind == "AFTER_SEQUENCE_NUMBER")?)
        }
    };
    let opened = ShardIterator {
        stream: named.name,
        start,
        made_ms: site.now().get(),
    };
    Ok(wire::GetShardIteratorOutput {
        shard_iterator: opened.seal(site),
    })
}

fn lacks(what: &str, kind: &str) -> ApiError {
    ApiError::invalid_argument(format!("The iterator type {kind} needs a {what}."))
}

async fn at_time(site: &Arc<Site>, time_ms: u64) -> Result<Place, ApiError> {
    if time_ms > site.now().get() {
        return Err(ApiError::invalid_argument(
            "Timestamp must not be in the future.",
        ));
    }
    let time = Timestamp::new(time_ms).map_err(syncline_engine::Error::from)?;
    Ok(stream::at_time(site, time).await?)
}

fn at_number(site: &Site, text: &str, behind: bool) -> Result<Place, ApiError> {
    let engine = site.store.engine();
    let number = SequenceNumber::parse(text).ok_or_else(|| {
        ApiError::invalid_argument("StartingSequenceNumber is not one of this stream.")
    })?;
    let store = engine.head().store;
    let place = match behind {
        true => number.after(store),
        false => number.at(store),
    };
    let place = place.ok_or_else(|| {
        ApiError::invalid_argument(format!(
            "StartingSequenceNumber is from before the store was restored, or of another server. \
             {GAP}"
        ))
    })?;
    if place.cursor().sequence > engine.head().sequence {
        return Err(ApiError::invalid_argument(
            "StartingSequenceNumber lies in the future of this stream.",
        ));
    }
    if place.cursor().sequence < engine.tail().sequence {
        return Err(ApiError::invalid_argument(format!(
            "StartingSequenceNumber is older than what the stream holds. {GAP}"
        )));
    }
    Ok(place)
}

const HORIZON: u8 = 0;
const AT: u8 = 1;

impl ShardIterator {
    pub(super) fn seal(&self, site: &Site) -> String {
        let (kind, id) = match self.start {
            Start::Horizon => (HORIZON, None),
            Start::At(Place(id)) => (AT, Some(id)),
        };
        let id = id.unwrap_or(EventId {
            store: Uuid::nil(),
            sequence: Sequence::ZERO,
            index: 0,
        });
        let mut body = vec![kind];
        body.extend_from_slice(id.store.as_bytes());
        body.extend_from_slice(&id.sequence.get().to_le_bytes());
        body.extend_from_slice(&id.index.to_le_bytes());
        body.extend_from_slice(&self.made_ms.to_le_bytes());
        body.extend_from_slice(self.stream.as_bytes());
        site.keys.seal(Purpose::StreamPlace, &[], &body)
    }

    /// Opens an iterator of this server, which may have expired.
    pub(super) fn open(site: &Site, text: &str) -> Option<Self> {
        let opened = site.keys.open(Purpose::StreamPlace, &[], text)?;
        let (kind, rest) = opened.body.split_first()?;
        let (store, rest) = rest.split_at_checked(16)?;
        let (sequence, rest) = rest.split_at_checked(8)?;
        let (index, rest) = rest.split_at_checked(4)?;
        let (made_ms, stream) = rest.split_at_checked(8)?;
        let id = EventId {
            store: Uuid::from_slice(store).ok()?,
            sequence: Sequence::new(u64::from_le_bytes(sequence.try_into().ok()?)),
            index: u32::from_le_bytes(index.try_into().ok()?),
        };
        let start = match *kind {
            HORIZON => Start::Horizon,
            AT => Start::At(Place(id)),
            _ => return None,
        };
        Some(Self {
            stream: String::from_utf8(stream.to_vec()).ok()?,
            start,
            made_ms: u64::from_le_bytes(made_ms.try_into().ok()?),
        })
    }
}
