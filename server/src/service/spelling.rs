//! How response headers are spelled on the socket.
//!
//! Old mobile clients look for `x-amzn-ErrorType` in exactly that spelling, while the HTTP
//! library writes names in lower case, except for names whose spelling it saw in a request and
//! that are in the extensions of the response. There is no public way to make such extensions, so
//! one canned request with the wanted spellings is served over a pipe in memory, once, and the
//! extensions that it arrives with are put on every response.

use std::convert::Infallible;
use std::sync::Mutex;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::http::Extensions;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::io::AsyncWriteExt;

/// The spellings of the service. Those that it sends in lower case are not here.
const CANNED: &[u8] = b"GET / HTTP/1.1\r\n\
    x-amzn-RequestId: -\r\n\
    x-amzn-ErrorType: -\r\n\
    x-amzn-ErrorMessage: -\r\n\
    Content-Type: -\r\n\
    Content-Length: 0\r\n\
    Date: -\r\n\
    Connection: close\r\n\
    Access-Control-Allow-Origin: -\r\n\
    Access-Control-Allow-Methods: -\r\n\
    Access-Control-Allow-Headers: -\r\n\
    Access-Control-Expose-Headers: -\r\n\
    Access-Control-Max-Age: -\r\n\
    Cache-Control: -\r\n\
    Retry-After: -\r\n\
    \r\n";
/// Room for the canned request and its answer, so that neither side of the pipe ever waits.
const PIPE_BYTES: usize = 4096;

/// The HTTP library did not take the canned request.
#[derive(Debug, Error)]
#[error("cannot prepare the spelling of response headers")]
pub struct SpellingError(#[source] Option<Box<dyn std::error::Error + Send + Sync>>);

/// The extensions to put on every response. Connections need not preserve the case of headers for
/// them to count: that would only remember how requests were spelled, which nobody asks.
pub(super) async fn obtain() -> Result<Extensions, SpellingError> {
    let (mut client, server) = tokio::io::duplex(PIPE_BYTES);
    client
        .write_all(CANNED)
        .await
        .map_err(|error| SpellingError(Some(error.into())))?;
    let seen = Mutex::new(None);
    let service = service_fn(|request: Request<Incoming>| {
        if let Ok(mut seen) = seen.lock() {
            *seen = Some(request.extensions().clone());
        }
        async { Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new())) }
    });
    http1::Builder::new()
        .preserve_header_case(true)
        .serve_connection(TokioIo::new(server), service)
        .await
        .map_err(|error| SpellingError(Some(error.into())))?;
    seen.into_inner().ok().flatten().ok_or(SpellingError(None))
}
