//! What a device is told.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};
use syncline_engine::DatasetId;
use uuid::Uuid;

use crate::error::Chain;
use crate::outbound::{Answer, OutboundError};
use crate::site::stored::DeviceRecord;

/// Longest time that a service may have itself left alone for.
const LATER_MAX: Duration = Duration::from_secs(15 * 60);

/// That a dataset has changed, for one device.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Message {
    pub(super) dataset: DatasetId,
    pub(super) device: Uuid,
}

/// A message with its newest count and the device's address.
#[derive(Debug, Clone)]
pub(super) struct Parcel {
    pub(super) message: Message,
    pub(super) sync_count: u64,
    pub(super) device: DeviceRecord,
}

/// The five members of a message, all of them strings, as clients want them.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Fields<'a> {
    source: &'static str,
    identity_pool_id: &'a str,
    identity_id: &'a str,
    dataset_name: &'a str,
    sync_count: String,
}

impl Parcel {
    pub(super) fn fields(&self) -> Fields<'_> {
        let dataset = &self.message.dataset;
        Fields {
            source: "cognito-sync",
            identity_pool_id: dataset.pool.as_str(),
            identity_id: dataset.identity.as_str(),
            dataset_name: dataset.name.as_str(),
            sync_count: self.sync_count.to_string(),
        }
    }

    /// The message as Apple's devices want it: silent, with the members beside it.
    pub(super) fn for_apple(&self) -> Value {
        json!({ "aps": { "content-available": 1 }, "data": self.fields() })
    }
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The service has it.
    Delivered,
    /// The service says that the token is of nobody any more.
    Dead,
    /// The service does not want this one, now or ever.
    Refused,
    /// It failed by itself and is to be tried again.
    Failed,
    /// The same, and not before that time is over.
    FailedFor(Duration),
    /// The service takes none at the moment.
    Away,
    /// The same, and is not to be asked before that time is over.
    AwayFor(Duration),
}

impl Verdict {
    /// What an answer says that is no success. Others than those who have too much to do do not
    /// know when that will be over, such as a proxy whose service is gone.
    pub(super) fn of_answer(answer: &Answer) -> Self {
        match (answer.status, retry_after(answer)) {
            (429 | 503, Some(wait)) => Self::AwayFor(wait),
            (status, _) => Self::of_status(status),
        }
    }

    /// The same of a service that says it of one message.
    pub(super) fn of_one(answer: &Answer) -> Self {
        retry_after(answer).map_or(Self::Failed, Self::FailedFor)
    }

    /// What it says that there is no answer.
    fn of_error(error: &OutboundError) -> Self {
        match error {
            // A message may be what makes the service end the connection, or answer so much: it
            // holds up no other.
            OutboundError::Exchange(_) | OutboundError::TooLarge(_) => Self::Failed,
            _ => Self::Away,
        }
    }

    /// Whether the service takes none at the moment.
    pub(super) fn is_away(self) -> bool {
        matches!(self, Self::Away | Self::AwayFor(_))
    }

    /// How long the service wants to be left alone, if it says so.
    pub(super) fn wait(self) -> Duration {
        match self {
            Self::FailedFor(wait) | Self::AwayFor(wait) => wait,
            _ => Duration::ZERO,
        }
    }

    /// What a status says that is no success. What may be put right where the service is, or in
    /// the configuration, is waited for.
    pub(super) fn of_status(status: u16) -> Self {
        match status {
            300..400 | 401 | 403..=405 | 407 | 408 | 429 | 502..=504 => Self::Away,
            400..500 => Self::Refused,
            _ => Self::Failed,
        }
    }
}

/// Why there is no answer, and what becomes of the messages.
pub(super) struct Unanswered {
    pub(super) verdict: Verdict,
    pub(super) why: String,
}

impl Unanswered {
    /// It is up to nobody's message.
    pub(super) fn away(why: String) -> Self {
        let verdict = Verdict::Away;
        Self { verdict, why }
    }
}

impl From<OutboundError> for Unanswered {
    fn from(error: OutboundError) -> Self {
        Self {
            verdict: Verdict::of_error(&error),
            why: Chain(&error).to_string(),
        }
    }
}

/// How long an answer says to wait, in seconds; a date is as good as nothing.
fn retry_after(answer: &Answer) -> Option<Duration> {
    let seconds = answer.header("retry-after")?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(LATER_MAX))
}
