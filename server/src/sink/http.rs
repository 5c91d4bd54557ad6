//! The sink of webhooks: batches of events, signed and posted.
//!
//! The body is `{"stream": NAME, "events": [ENVELOPE, ...]}`. Any 2xx takes the batch. 400, 413 and
//! 422 say that its content is at fault; whatever else comes, or nothing, is trouble that may pass.

use std::error::Error as StdError;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use thiserror::Error;

use super::{Parcel, PutError};
use crate::config::{Secret, shown_url};
use crate::outbound::{Answer, Bounds, OutboundError, Peer, Post};
use crate::webhook;

/// Posts of one stream under way at once, each of another pool.
const CONNECTIONS_MAX: usize = 8;
/// How much of an answer is read; only its beginning is told.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// How much of an answer the log shows.
const SHOWN_CHARS: usize = 200;

/// Why a webhook did not take a batch.
#[derive(Debug, Error)]
pub enum HttpSinkError {
    /// It cannot be asked.
    #[error("posting to {url}")]
    Outbound {
        /// Where.
        url: String,
        /// Why.
        #[source]
        source: OutboundError,
    },
    /// It answered that it does not take it.
    #[error("{url} answered {status}: {shown:?}")]
    Status {
        /// Where.
        url: String,
        /// The status.
        status: u16,
        /// The beginning of the answer.
        shown: String,
    },
}

/// See the module.
#[derive(Debug)]
pub struct HttpSink {
    /// The name of the stream, as JSON.
    name: String,
    /// The address, as far as it may be shown.
    url: String,
    secret: Secret,
    batch_events: usize,
    peer: Peer,
    timeout: Duration,
}

impl HttpSink {
    /// A webhook. Nothing is sent yet.
    ///
    /// # Errors
    /// When the address is none.
    pub fn new(
        name: &str,
        url: &str,
        secret: Secret,
        batch_events: usize,
        timeout_ms: u64,
    ) -> Result<Self, HttpSinkError> {
        let shown = shown_url(url).to_owned();
        let peer = Peer::new(url, CONNECTIONS_MAX).map_err(|source| HttpSinkError::Outbound {
            url: shown.clone(),
            source,
        })?;
        Ok(Self {
            name: serde_json::Value::from(name).to_string(),
            url: shown,
            secret,
            batch_events,
            peer,
            timeout: Duration::from_millis(timeout_ms),
        })
    }

    pub(super) fn batch_events(&self) -> usize {
        self.batch_events
    }

    pub(super) async fn put(&self, batch: &[Parcel]) -> Result<(), HttpSinkError> {
        let body = self.body(batch);
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let seconds = since.map_or(0, |since| since.as_secs());
        let post = Post {
            headers: webhook::signed_headers(&self.secret, seconds, &body).to_vec(),
            body: body.into(),
            ..Post::default()
        };
        let bounds = Bounds {
            bytes_max: ANSWER_BYTES_MAX,
            timeout: self.timeout,
        };
        // What counts is the status, however much the receiver has to say.
        let posted = self.peer.post_and_cut(post, bounds).await;
        let answer = posted.map_err(|source| HttpSinkError::Outbound {
            url: self.url.clone(),
            source,
        })?;
        if answer.is_success() {
            return Ok(());
        }
        Err(HttpSinkError::Status {
            url: self.url.clone(),
            status: answer.status,
            shown: shown(&answer),
        })
    }

    fn body(&self, batch: &[Parcel]) -> Vec<u8> {
        let mut body = format!("{{\"stream\":{},\"events\":[", self.name).into_bytes();
        for (place, parcel) in batch.iter().enumerate() {
            if place > 0 {
                body.push(b',');
            }
            body.extend_from_slice(&parcel.envelope);
        }
        body.extend_from_slice(b"]}");
        body
    }
}

impl HttpSinkError {
    /// Whether the same again would be refused again.
    fn is_final(&self) -> bool {
        matches!(
            self,
            Self::Status {
                status: 400 | 413 | 422,
                ..
            }
        )
    }
}

impl From<HttpSinkError> for PutError {
    fn from(error: HttpSinkError) -> Self {
        let is_final = error.is_final();
        let error: Box<dyn StdError + Send + Sync> = error.into();
        if is_final {
            Self::Refused(error)
        } else {
            Self::Trouble(error)
        }
    }
}

fn shown(answer: &Answer) -> String {
    let text = String::from_utf8_lossy(&answer.body);
    text.chars().take(SHOWN_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use syncline_engine::Sequence;
    use uuid::Uuid;

    use super::*;
    use crate::stream::EventId;

    #[test]
    fn a_batch_is_one_json_text() {
        let secret = Secret::new("s");
        let sink = HttpSink::new("a \"name\"", "http://127.0.0.1:1/x", secret, 10, 1000).unwrap();
        let parcel = |text: &str| Parcel {
            id: EventId {
                store: Uuid::nil(),
                sequence: Sequence::new(1),
                index: 0,
            },
            partition_key: "identity".to_owned(),
            envelope: text.as_bytes().to_vec(),
        };
        let body = sink.body(&[parcel("{\"a\":1}"), parcel("{\"a\":2}")]);
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let expected = serde_json::json!({
            "stream": "a \"name\"", "events": [{ "a": 1 }, { "a": 2 }],
        });
        assert_eq!(body, expected);
    }

    #[test]
    fn only_what_is_said_of_the_content_is_final() {
        for (status, is_final) in [
            (400, true),
            (401, false),
            (403, false),
            (404, false),
            (413, true),
            (422, true),
            (429, false),
            (500, false),
            (302, false),
        ] {
            let error = HttpSinkError::Status {
                url: String::new(),
                status,
                shown: String::new(),
            };
            let refused = matches!(PutError::from(error), PutError::Refused(_));
            assert_eq!(refused, is_final, "{status}");
        }
    }
}
