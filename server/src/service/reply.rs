//! Answers: status, headers and body of success and failure, the same for both APIs where they
//! are the same.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, CACHE_CONTROL, CONNECTION, CONTENT_TYPE,
    HeaderName, HeaderValue, RETRY_AFTER,
};
use hyper::http::{Extensions, HeaderMap};
use hyper::{Response, StatusCode};
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

use super::answer_body::AnswerBody;
use crate::error::{Api, ApiError, ErrorKind};
use crate::events::EventStream;
use crate::identity::sts;
use crate::metrics;
use crate::wire::Form;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");
const ERROR_MESSAGE: HeaderName = HeaderName::from_static("x-amzn-errormessage");

/// What scripts of other sites may read of an answer.
const EXPOSED: &str = "x-amzn-RequestId,x-amzn-ErrorType,x-amzn-ErrorMessage,Date";
/// What they may send: all that the SDKs for browsers do.
const ALLOWED_HEADERS: &str = "authorization,content-type,x-amz-date,x-amz-security-token,\
    x-amz-user-agent,x-amz-content-sha256,x-amz-target,x-amz-client-context,\
    amz-sdk-invocation-id,amz-sdk-request,cache-control,last-event-id";
const ALLOWED_METHODS: &str = "GET,POST,DELETE,OPTIONS";
/// A day, for which a browser may remember a preflight.
const PREFLIGHT_SECONDS: &str = "86400";
/// Bytes of large answers that may be on their way at once: some forty of the largest.
const TOGETHER_BYTES: usize = 256 << 20;
/// Answers of at most this size are bounded by the number of connections alone.
const SMALL_BYTES: usize = 64 << 10;
/// Longer messages are in the body only.
const HEADER_MESSAGE_BYTES_MAX: usize = 512;

/// An answer on its way.
pub(super) struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    /// What comes instead of the body.
    events: Option<Box<EventStream>>,
    error: Option<&'static str>,
}

/// The bytes of a large answer, and the room that they take.
struct Counted {
    bytes: Bytes,
    _permit: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Room for large answers on their way, all connections together.
pub(super) fn room_for_answers() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(TOGETHER_BYTES))
}

/// A refusal, and whether the connection can be used after it.
pub(super) struct Failure {
    error: ApiError,
    closes: bool,
}

impl Failure {
    /// For requests after which nobody knows where the next one begins.
    pub(super) fn closing(error: ApiError) -> Self {
        Self {
            error,
            closes: true,
        }
    }
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        Self {
            error,
            closes: false,
        }
    }
}

impl Reply {
    /// An operation's result, already JSON.
    pub(super) fn json(api: Api, body: Vec<u8>) -> Self {
        Self::new(StatusCode::OK, media_type(api), body)
    }

    /// An answer of another form than JSON.
    pub(super) fn typed(media_type: &'static str, body: Vec<u8>) -> Self {
        Self::new(StatusCode::OK, media_type, body)
    }

    /// Events as they come.
    pub(super) fn events(stream: EventStream) -> Self {
        let mut reply = Self::new(StatusCode::OK, "text/event-stream", Vec::new());
        let mut set = |name, value| {
            reply.headers.insert(name, HeaderValue::from_static(value));
        };
        set(CACHE_CONTROL, "no-store");
        // A common proxy would otherwise collect events until they are many.
        set(HeaderName::from_static("x-accel-buffering"), "no");
        reply.events = Some(Box::new(stream));
        reply
    }

    /// An answer of STS.
    pub(super) fn xml(answer: sts::Answer) -> Self {
        let status = StatusCode::from_u16(answer.status);
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut reply = Self::new(status, "text/xml", answer.xml.into_bytes());
        reply.error = answer.error;
        reply
    }

    /// A page that is the same for everybody.
    pub(super) fn page(content_type: &'static str, body: String) -> Self {
        Self::new(StatusCode::OK, content_type, body.into_bytes())
    }

    /// Whether the server is ready.
    pub(super) fn health(halted: bool) -> Self {
        let (status, text) = if halted {
            (
                StatusCode::SERVICE_UNAVAILABLE,
                "halted: writes are refused since one failed\n",
            )
        } else {
            (StatusCode::OK, "ok\n")
        };
        Self::new(status, "text/plain; charset=utf-8", text.into())
    }

    /// The counters.
    pub(super) fn metrics(page: String) -> Self {
        Self::page(metrics::CONTENT_TYPE, page)
    }

    /// Leave for a script of any site to send what SDKs send.
    pub(super) fn preflight() -> Self {
        let mut headers = HeaderMap::new();
        let mut set = |name, value| headers.insert(name, HeaderValue::from_static(value));
        set(ACCESS_CONTROL_ALLOW_METHODS, ALLOWED_METHODS);
        set(ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED_HEADERS);
        set(ACCESS_CONTROL_MAX_AGE, PREFLIGHT_SECONDS);
        Self {
            status: StatusCode::NO_CONTENT,
            headers,
            body: Bytes::new(),
            events: None,
            error: None,
        }
    }

    /// An exception in the service's form: a header for some clients, `__type` for others, and
    /// both spellings of `message`, since policy denials had the capital one.
    pub(super) fn failed(api: Api, form: Form, failure: Failure) -> Self {
        let Failure { error, closes } = failure;
        let name = error.kind.name();
        let status = StatusCode::from_u16(error.kind.status(api));
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = json!({ "__type": name, "message": error.message, "Message": error.message });
        let mut reply = match form {
            Form::Json => Self::new(status, media_type(api), body.to_string().into_bytes()),
            Form::Cbor => {
                // The same map. What cannot be laid out is in the headers all the same.
                let body = form.write(&body).unwrap_or_default();
                Self::new(status, form.media_type(), body)
            }
        };
        reply.error = Some(name);
        if let Ok(value) = HeaderValue::try_from(format!("{name}:")) {
            reply.headers.insert(ERROR_TYPE, value);
        }
        if let Some(value) = header_message(&error.message) {
            reply.headers.insert(ERROR_MESSAGE, value);
        }
        // Other limits empty within a second, or nobody knows.
        let throttled = error.kind == ErrorKind::TooManyRequests;
        let wait = error.retry_after_seconds.or(throttled.then_some(1));
        if let Some(seconds) = wait {
            reply.headers.insert(RETRY_AFTER, seconds.into());
        }
        if closes {
            reply
                .headers
                .insert(CONNECTION, HeaderValue::from_static("close"));
        }
        reply
    }

    fn new(status: StatusCode, content_type: &'static str, body: Vec<u8>) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        Self {
            status,
            headers,
            body: body.into(),
            events: None,
            error: None,
        }
    }

    /// Counts a large answer against all that are on their way, until its last byte is handed to
    /// the system; where there is no room the answer is to come back later.
    pub(super) fn counted(self, api: Api, form: Form, answers: &Arc<Semaphore>) -> Self {
        let bytes = self.body.len();
        if bytes <= SMALL_BYTES {
            return self;
        }
        let permits = u32::try_from(bytes).unwrap_or(u32::MAX);
        match Arc::clone(answers).try_acquire_many_owned(permits) {
            Ok(permit) => Self {
                body: Bytes::from_owner(Counted {
                    bytes: self.body,
                    _permit: permit,
                }),
                ..self
            },
            Err(_) => {
                let message = "Too many large answers at once; try again soon.";
                Self::failed(api, form, ApiError::too_many_requests(message).into())
            }
        }
    }

    pub(super) fn status(&self) -> u16 {
        self.status.as_u16()
    }

    /// The name of the exception, if it is one.
    pub(super) fn error(&self) -> Option<&'static str> {
        self.error
    }

    /// The finished response; the library adds `Date` and `Content-Length`.
    pub(super) fn into_response(self, id: Uuid, spelling: Extensions) -> Response<AnswerBody> {
        let mut response = Response::new(match self.events {
            Some(events) => AnswerBody::Events(events),
            None => AnswerBody::Whole(Full::new(self.body)),
        });
        *response.status_mut() = self.status;
        *response.extensions_mut() = spelling;
        let headers = response.headers_mut();
        *headers = self.headers;
        if let Ok(value) = HeaderValue::try_from(id.to_string()) {
            headers.insert(REQUEST_ID, value);
        }
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        headers.insert(
            ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static(EXPOSED),
        );
        response
    }
}

fn media_type(api: Api) -> &'static str {
    match api {
        Api::Sync => "application/json",
        Api::Identity | Api::Kinesis => "application/x-amz-json-1.1",
    }
}

/// The first line of a message, if a header can carry it: keys and names may hold any character.
fn header_message(message: &str) -> Option<HeaderValue> {
    let line = message.lines().next()?;
    let fits = line.len() <= HEADER_MESSAGE_BYTES_MAX
        && line
            .bytes()
            .all(|byte| byte == b' ' || byte.is_ascii_graphic());
    fits.then(|| HeaderValue::try_from(line).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_goes_into_a_header_only_if_it_fits_there() {
        assert_eq!(header_message("one\ntwo").unwrap(), "one");
        assert!(header_message("").is_none());
        assert!(header_message("key \u{e4}").is_none());
        assert!(header_message("bell \u{7}").is_none());
        assert!(header_message(&"x".repeat(513)).is_none());
    }

    #[test]
    fn large_answers_take_turns_and_small_ones_need_none() {
        let room = Arc::new(Semaphore::new(100_000));
        let reply =
            |bytes| Reply::json(Api::Sync, vec![b'x'; bytes]).counted(Api::Sync, Form::Json, &room);
        let first = reply(70_000);
        assert_eq!((first.status(), first.body.len()), (200, 70_000));
        let second = reply(70_000);
        assert_eq!(second.error(), Some("TooManyRequestsException"));
        assert_eq!(second.headers[RETRY_AFTER], "1");
        assert_eq!(reply(SMALL_BYTES).status(), 200);
        // The bytes hold the room, wherever the library keeps them.
        let kept = first.body.slice(69_999..);
        drop(first);
        assert_eq!(reply(70_000).status(), 429);
        drop(kept);
        assert_eq!(reply(70_000).status(), 200);
    }

    #[test]
    fn errors_carry_their_name_three_times_over() {
        let error = ApiError::conflict("Current SyncCount for: k is: 2 not: 1");
        let reply = Reply::failed(Api::Sync, Form::Json, error.into());
        assert_eq!(
            (reply.status(), reply.error()),
            (409, Some("ResourceConflictException"))
        );
        assert_eq!(reply.headers[ERROR_TYPE], "ResourceConflictException:");
        assert!(reply.headers.get(CONNECTION).is_none());
        let body: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!(body["__type"], "ResourceConflictException");
        assert_eq!(body["message"], "Current SyncCount for: k is: 2 not: 1");
        assert_eq!(body["Message"], body["message"]);
        assert!(reply.headers.get(RETRY_AFTER).is_none());
        let later = ApiError::too_many_requests("no").after_ms(1001);
        let reply = Reply::failed(Api::Sync, Form::Json, later.into());
        assert_eq!(reply.headers[RETRY_AFTER], "2");
        let closing = Failure::closing(ApiError::bad_request("no"));
        assert_eq!(
            Reply::failed(Api::Sync, Form::Json, closing).headers[CONNECTION],
            "close"
        );
    }
}
