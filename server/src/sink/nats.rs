//! The sink of NATS: JetStream, each event a message whose id the server knows repeats by.
//!
//! A message counts as taken when the stream has acknowledged it. At most one event of each
//! identity is under way at a time, so that one which fails is not overtaken by the next.

use std::collections::HashSet;
use std::fmt::Display;
use std::time::Duration;

use async_nats::jetstream::{self, Context};
use async_nats::{ConnectOptions, HeaderMap};
use thiserror::Error;
use tokio::sync::Mutex;

use super::wave::{self, Bounds};
use super::{Parcel, PutError};
use crate::config::shown_url;
use crate::stream::EventId;

/// Most messages under way at once, and their bytes.
const WAVE: Bounds = Bounds {
    events: 256,
    bytes: 4 << 20,
};
/// Largest message: what NATS takes if it is not told otherwise, less room for headers.
pub(super) const MESSAGE_BYTES_MAX: usize = (1 << 20) - 1024;
/// How long connecting, and an acknowledgement, may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Messages that wait to be sent. Those of a server that is gone are dropped with the connection:
/// the stream puts them again, perhaps much later, and nothing must come before that.
const CLIENT_MESSAGES: usize = 512;
/// How often the client itself connects again: the stream does it, with waits of its own.
const RECONNECTS: usize = 1;
/// How JetStream knows repeats.
const ID_HEADER: &str = "Nats-Msg-Id";

/// Why NATS did not take a batch.
#[derive(Debug, Error)]
pub enum NatsSinkError {
    /// No connection.
    #[error("cannot connect to {url}: {why}")]
    Connect {
        /// Where.
        url: String,
        /// Why.
        why: String,
    },
    /// A message was not acknowledged.
    #[error(
        "{url} did not acknowledge a message on {subject}, for which there must be a JetStream \
         stream with that subject: {why}"
    )]
    Publish {
        /// Where.
        url: String,
        /// The subject.
        subject: String,
        /// Why.
        why: String,
    },
    /// An event is larger than a message may be.
    #[error("the event has {bytes} bytes, and a message has room for {MESSAGE_BYTES_MAX}")]
    TooLarge {
        /// Its bytes.
        bytes: usize,
    },
}

/// See the module.
#[derive(Debug)]
pub struct NatsSink {
    url: String,
    subject: String,
    /// Connected with the first batch, and with the next one after one that failed.
    context: Mutex<Option<Context>>,
}

impl NatsSink {
    /// A subject of a server. Nothing is connected yet.
    #[must_use]
    pub fn new(url: &str, subject: &str) -> Self {
        Self {
            url: url.to_owned(),
            subject: subject.to_owned(),
            context: Mutex::new(None),
        }
    }

    /// Puts a batch, and tells of each event that is safe, also when others are not.
    pub(super) async fn put(
        &self,
        batch: &[Parcel],
        taken: &mut HashSet<EventId>,
    ) -> Result<(), NatsSinkError> {
        let sizes = batch.iter().map(|parcel| parcel.envelope.len());
        if let Some(bytes) = sizes.max().filter(|bytes| *bytes > MESSAGE_BYTES_MAX) {
            return Err(NatsSinkError::TooLarge { bytes });
        }
        let context = self.context().await?;
        let put = self.put_to(&context, batch, taken).await;
        if put.is_err() {
            *self.context.lock().await = None;
        }
        put
    }

    async fn put_to(
        &self,
        context: &Context,
        batch: &[Parcel],
        taken: &mut HashSet<EventId>,
    ) -> Result<(), NatsSinkError> {
        let mut left: Vec<&Parcel> = batch.iter().collect();
        while !left.is_empty() {
            let (now, later) = wave::next(left, WAVE);
            let mut acknowledgements = Vec::with_capacity(now.len());
            for parcel in now {
                let mut headers = HeaderMap::new();
                headers.insert(ID_HEADER, parcel.id.to_string());
                let message = parcel.envelope.clone().into();
                let subject = self.subject.clone();
                let sent = context.publish_with_headers(subject, headers, message);
                let sent = sent.await.map_err(|error| self.failed(&error))?;
                acknowledgements.push((parcel.id, sent));
            }
            for (id, acknowledgement) in acknowledgements {
                acknowledgement.await.map_err(|error| self.failed(&error))?;
                taken.insert(id);
            }
            left = later;
        }
        Ok(())
    }

    async fn context(&self) -> Result<Context, NatsSinkError> {
        let mut context = self.context.lock().await;
        if let Some(context) = &*context {
            return Ok(context.clone());
        }
        let options = ConnectOptions::new()
            .name("syncline")
            .connection_timeout(TIMEOUT)
            .client_capacity(CLIENT_MESSAGES)
            .max_reconnects(RECONNECTS);
        let client = options.connect(&self.url).await;
        let client = client.map_err(|error| NatsSinkError::Connect {
            url: shown_url(&self.url).to_owned(),
            why: error.to_string(),
        })?;
        let mut made = jetstream::new(client);
        made.set_timeout(TIMEOUT);
        Ok(context.insert(made).clone())
    }

    fn failed(&self, why: &dyn Display) -> NatsSinkError {
        NatsSinkError::Publish {
            url: shown_url(&self.url).to_owned(),
            subject: self.subject.clone(),
            why: why.to_string(),
        }
    }
}

impl From<NatsSinkError> for PutError {
    fn from(error: NatsSinkError) -> Self {
        match error {
            NatsSinkError::TooLarge { .. } => Self::Refused(error.into()),
            error => Self::Trouble(error.into()),
        }
    }
}
