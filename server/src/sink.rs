//! Where the changes of a pool flow to: one way to put events, and what stands behind it.
//!
//! A batch that failed is put again, but for the events at its beginning that the sink says are
//! safe; so what reads a sink drops repeats by the ids of the events. Nothing is kept here
//! that is not on its way: a sink that takes nothing costs no more memory than one batch.

mod aside;
mod file;
mod http;
mod kinesis;
#[cfg(feature = "nats")]
mod nats;
mod today;
mod wave;

use std::collections::HashSet;
use std::error::Error as StdError;
use std::fmt;

use crate::config::StreamConfig;
use crate::stream::{Event, EventId, INLINE_BYTES_MAX};

pub use aside::{Aside, AsideError, DIRECTORY as ASIDE_DIRECTORY};
pub use file::{FileSink, FileSinkError};
pub use http::{HttpSink, HttpSinkError};
pub use kinesis::{KinesisSink, KinesisSinkError};
#[cfg(feature = "nats")]
pub use nats::{NatsSink, NatsSinkError};

/// Most bytes of envelopes in one batch, unless a single one is larger: about what the feed gives
/// at a time.
pub const BATCH_BYTES_MAX: usize = 1 << 20;
/// Most events in one batch of a sink without a bound of its own.
const BATCH_EVENTS: usize = 1000;

/// An event on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parcel {
    /// Which event it is.
    pub id: EventId,
    /// By what the sink keeps order: its identity.
    pub partition_key: String,
    /// The JSON envelope, in one line.
    pub envelope: Vec<u8>,
}

/// Why a batch was not taken.
#[derive(Debug)]
pub enum PutError {
    /// Not now: it is to be put again.
    Trouble(Box<dyn StdError + Send + Sync>),
    /// Not all of it now: so many from its beginning are safe, the others are to be put again.
    Partly {
        /// At least one.
        taken: usize,
        /// What became of the others.
        error: Box<dyn StdError + Send + Sync>,
    },
    /// Never: something in the batch is not what the sink takes.
    Refused(Box<dyn StdError + Send + Sync>),
}

/// A place that takes events.
#[derive(Debug)]
pub enum Sink {
    /// Files.
    File(FileSink),
    /// A webhook.
    Http(HttpSink),
    /// Kinesis.
    Kinesis(KinesisSink),
    /// NATS JetStream.
    #[cfg(feature = "nats")]
    Nats(NatsSink),
}

impl Sink {
    /// The sink of a stream. Nothing is opened before the first batch comes.
    ///
    /// # Errors
    /// When it cannot be one with this configuration.
    pub fn new(name: &str, config: &StreamConfig) -> Result<Self, PutError> {
        match config {
            StreamConfig::File {
                path,
                rotate_bytes,
                compress,
                ..
            } => {
                let sink = FileSink::start(path.clone(), *rotate_bytes, *compress);
                sink.map(Self::File).map_err(PutError::from)
            }
            StreamConfig::Http {
                url,
                secret,
                batch_events,
                timeout_ms,
                ..
            } => {
                let sink = HttpSink::new(name, url, secret.clone(), *batch_events, *timeout_ms);
                sink.map(Self::Http).map_err(PutError::from)
            }
            StreamConfig::Kinesis {
                endpoint_url,
                region,
                access_key_id,
                secret_access_key,
                stream_name,
                ..
            } => {
                let secret = secret_access_key.clone();
                let url = endpoint_url.as_deref();
                let sink = KinesisSink::new(url, region, access_key_id, secret, stream_name);
                sink.map(Self::Kinesis).map_err(PutError::from)
            }
            #[cfg(feature = "nats")]
            StreamConfig::Nats { url, subject, .. } => Ok(Self::Nats(NatsSink::new(url, subject))),
            #[cfg(not(feature = "nats"))]
            StreamConfig::Nats { .. } => {
                Err(PutError::Trouble("this program has no such sink".into()))
            }
        }
    }

    /// Most events in one batch.
    #[must_use]
    pub fn batch_events(&self) -> usize {
        match self {
            Self::Http(http) => http.batch_events(),
            _ => BATCH_EVENTS,
        }
    }

    /// An event as this sink takes it. `link` is where its records are, should they be too much for
    /// it.
    #[must_use]
    pub fn parcel(&self, event: &Event, link: impl FnOnce(&EventId) -> String) -> Parcel {
        let inline_bytes_max = match self {
            Self::File(_) | Self::Http(_) => usize::MAX,
            Self::Kinesis(_) => INLINE_BYTES_MAX,
            #[cfg(feature = "nats")]
            Self::Nats(_) => nats::MESSAGE_BYTES_MAX,
        };
        Parcel::new(event, inline_bytes_max, link)
    }

    /// Puts a batch; when this answers, it will not be lost.
    ///
    /// # Errors
    /// Why it may not have been taken. Some of it may have been.
    pub async fn put(&self, batch: Vec<Parcel>) -> Result<(), PutError> {
        match self {
            Self::File(file) => Ok(file.put(batch).await?),
            Self::Http(http) => Ok(http.put(&batch).await?),
            Self::Kinesis(kinesis) => {
                let mut taken = HashSet::new();
                let put = kinesis.put(&batch, &mut taken).await;
                put.map_err(|error| PutError::from(error).behind(&batch, &taken))
            }
            #[cfg(feature = "nats")]
            Self::Nats(nats) => {
                let mut taken = HashSet::new();
                let put = nats.put(&batch, &mut taken).await;
                put.map_err(|error| PutError::from(error).behind(&batch, &taken))
            }
        }
    }
}

impl Parcel {
    /// An event whose envelope has a link if it were longer otherwise.
    #[must_use]
    pub fn new(
        event: &Event,
        inline_bytes_max: usize,
        link: impl FnOnce(&EventId) -> String,
    ) -> Self {
        Self {
            id: event.id,
            partition_key: event.partition_key().to_owned(),
            envelope: event.envelope(inline_bytes_max, link),
        }
    }
}

impl PutError {
    /// The same, when some events of the batch are safe all the same: those from its beginning on
    /// count, others come again.
    fn behind(self, batch: &[Parcel], taken: &HashSet<EventId>) -> Self {
        let safe = batch.iter().take_while(|parcel| taken.contains(&parcel.id));
        match (self, safe.count()) {
            (Self::Trouble(error), taken @ 1..) => Self::Partly { taken, error },
            (error, _) => error,
        }
    }
}

impl fmt::Display for PutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Trouble(error) | Self::Partly { error, .. } | Self::Refused(error) => {
                error.fmt(f)
            }
        }
    }
}

impl StdError for PutError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Trouble(error) | Self::Partly { error, .. } | Self::Refused(error) => {
                error.source()
            }
        }
    }
}
