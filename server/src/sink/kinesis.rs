//! The sink of Kinesis: PutRecords, signed, to Amazon's service or what speaks like it.
//!
//! One call is all that is needed of that API, so it is made with the server's own client and
//! signer. A request puts at most one event of each identity, and the next one follows when all of
//! it is taken: Kinesis may take some records of a request and not others, which must not turn
//! the order of an identity around.

use std::collections::HashSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use thiserror::Error;

use super::wave::{self, Bounds as WaveBounds};
use super::{Parcel, PutError};
use crate::config::Secret;
use crate::error::ApiError;
use crate::outbound::{Answer, Bounds, OutboundError, Peer, Post};
use crate::sigv4::Signer;
use crate::stream::{EventId, INLINE_BYTES_MAX};

/// Requests of one stream under way at once, each of another pool.
const CONNECTIONS_MAX: usize = 8;
/// Most records of one request, and their bytes, as Kinesis has them: 500, and 5 MiB less what the
/// JSON around them takes.
const WAVE: WaveBounds = WaveBounds {
    events: 500,
    bytes: 4 << 20,
};
/// Longest answer: some 200 bytes a record.
const ANSWER_BYTES_MAX: usize = 1 << 20;
const TIMEOUT: Duration = Duration::from_secs(30);
/// Times that records which were not taken are put again at once, and the wait in between: a shard
/// has its rate by the second.
const TRIES: usize = 5;
const WAIT: Duration = Duration::from_millis(300);
/// How much of an answer the log shows.
const SHOWN_CHARS: usize = 200;

/// Why Kinesis did not take a batch.
#[derive(Debug, Error)]
pub enum KinesisSinkError {
    /// It cannot be asked.
    #[error("putting records to {url}")]
    Outbound {
        /// Where.
        url: String,
        /// Why.
        #[source]
        source: OutboundError,
    },
    /// It cannot be signed.
    #[error("signing a request for {url}: {}", source.message)]
    Signature {
        /// Where.
        url: String,
        /// Why.
        source: Box<ApiError>,
    },
    /// It refused the request.
    #[error("{url} answered {status}: {shown:?}")]
    Status {
        /// Where.
        url: String,
        /// The status.
        status: u16,
        /// The beginning of the answer, which names the exception.
        shown: String,
    },
    /// It refused records.
    #[error("{url} did not take {number} records of the stream {stream}: {why}")]
    Records {
        /// Where.
        url: String,
        /// The stream.
        stream: String,
        /// How many.
        number: usize,
        /// What it says of the first.
        why: String,
    },
    /// An event is larger than a record may be.
    #[error("the event has {bytes} bytes, and a record of Kinesis at most 1 MiB")]
    TooLarge {
        /// Its bytes.
        bytes: usize,
    },
}

/// See the module.
#[derive(Debug)]
pub struct KinesisSink {
    url: String,
    stream: String,
    signer: Signer,
    peer: Peer,
}

/// What PutRecords answers.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Output {
    records: Vec<Taken>,
}

/// What became of a record.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Taken {
    error_code: Option<String>,
    error_message: Option<String>,
}

impl KinesisSink {
    /// A stream of Kinesis. Nothing is sent yet.
    ///
    /// # Errors
    /// When the address is none.
    pub fn new(
        endpoint_url: Option<&str>,
        region: &str,
        access_key_id: &str,
        secret: Secret,
        stream: &str,
    ) -> Result<Self, KinesisSinkError> {
        let url = match endpoint_url {
            Some(url) => url.to_owned(),
            None => format!("https://kinesis.{region}.amazonaws.com"),
        };
        let peer = Peer::new(&url, CONNECTIONS_MAX);
        let peer = peer.map_err(|source| KinesisSinkError::Outbound {
            url: url.clone(),
            source,
        })?;
        let signer = Signer {
            access_key_id: access_key_id.to_owned(),
            secret,
            region: region.to_owned(),
            service: "kinesis",
        };
        Ok(Self {
            url,
            stream: stream.to_owned(),
            signer,
            peer,
        })
    }

    /// Puts a batch, and tells of each event that is safe, also when others are not.
    pub(super) async fn put(
        &self,
        batch: &[Parcel],
        taken: &mut HashSet<EventId>,
    ) -> Result<(), KinesisSinkError> {
        let size = |parcel: &Parcel| parcel.envelope.len() + parcel.partition_key.len();
        if let Some(bytes) = batch.iter().map(size).find(|size| *size > INLINE_BYTES_MAX) {
            return Err(KinesisSinkError::TooLarge { bytes });
        }
        let mut left: Vec<&Parcel> = batch.iter().collect();
        while !left.is_empty() {
            let (request, later) = wave::next(left, WAVE);
            self.put_all(request, taken).await?;
            left = later;
        }
        Ok(())
    }

    /// Puts records of different identities until all are taken.
    async fn put_all(
        &self,
        mut records: Vec<&Parcel>,
        taken: &mut HashSet<EventId>,
    ) -> Result<(), KinesisSinkError> {
        for attempt in 1.. {
            let answers = self.ask(&records).await?;
            let failed = |answer: &Taken| answer.error_code.is_some();
            let pairs = records.iter().zip(&answers);
            taken.extend(
                pairs
                    .filter(|(_, answer)| !failed(answer))
                    .map(|(record, _)| record.id),
            );
            let Some(first) = answers.iter().find(|answer| failed(answer)) else {
                return Ok(());
            };
            let (code, message) = (&first.error_code, &first.error_message);
            let text = |text: &Option<String>| text.clone().unwrap_or_default();
            let why = format!("{}: {}", text(code), text(message));
            let pairs = records.iter().zip(&answers);
            records = pairs
                .filter(|(_, answer)| failed(answer))
                .map(|(record, _)| *record)
                .collect();
            if attempt >= TRIES {
                return Err(KinesisSinkError::Records {
                    url: self.url.clone(),
                    stream: self.stream.clone(),
                    number: records.len(),
                    why,
                });
            }
            tokio::time::sleep(WAIT).await;
        }
        Ok(())
    }

    /// One request; what became of each record.
    async fn ask(&self, records: &[&Parcel]) -> Result<Vec<Taken>, KinesisSinkError> {
        let body = self.body(records).to_string().into_bytes();
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let seconds = since.map_or(0, |since| since.as_secs());
        let mut headers = vec![
            ("content-type", "application/x-amz-json-1.1".to_owned()),
            ("x-amz-target", "Kinesis_20131202.PutRecords".to_owned()),
        ];
        let (host, path) = (self.peer.authority(), self.peer.path());
        let signed = self.signer.sign(host, path, &headers, &body, seconds);
        headers.extend(signed.map_err(|source| KinesisSinkError::Signature {
            url: self.url.clone(),
            source: Box::new(source),
        })?);
        let post = Post {
            headers,
            body: body.into(),
            ..Post::default()
        };
        let bounds = Bounds {
            bytes_max: ANSWER_BYTES_MAX,
            timeout: TIMEOUT,
        };
        let outbound = |source| KinesisSinkError::Outbound {
            url: self.url.clone(),
            source,
        };
        let answer = self.peer.post(post, bounds).await.map_err(outbound)?;
        let status = |answer: &Answer| KinesisSinkError::Status {
            url: self.url.clone(),
            status: answer.status,
            shown: shown(answer),
        };
        if !answer.is_success() {
            return Err(status(&answer));
        }
        let output: Output = serde_json::from_slice(&answer.body).map_err(|_| status(&answer))?;
        if output.records.len() != records.len() {
            return Err(status(&answer));
        }
        Ok(output.records)
    }

    fn body(&self, records: &[&Parcel]) -> Value {
        let records = records.iter().map(|parcel| {
            let data = STANDARD.encode(&parcel.envelope);
            json!({ "Data": data, "PartitionKey": parcel.partition_key })
        });
        json!({ "StreamName": self.stream, "Records": records.collect::<Vec<Value>>() })
    }
}

impl From<KinesisSinkError> for PutError {
    fn from(error: KinesisSinkError) -> Self {
        match error {
            KinesisSinkError::TooLarge { .. } => Self::Refused(error.into()),
            error => Self::Trouble(error.into()),
        }
    }
}

fn shown(answer: &Answer) -> String {
    let text = String::from_utf8_lossy(&answer.body);
    text.chars().take(SHOWN_CHARS).collect()
}
