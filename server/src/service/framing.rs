//! Requests whose end, or whose host, two readers might see differently are refused, and their
//! connection is closed.
//!
//! The HTTP library refuses on its own what is not HTTP: bad request lines and header names,
//! differing or malformed lengths, header blocks beyond their bounds.

use hyper::Version;
use hyper::header::{HOST, HeaderValue, TRANSFER_ENCODING};
use hyper::http::request::Parts;

use super::reply::Failure;
use crate::error::ApiError;

/// Refuses ambiguous requests.
///
/// The library drops `Content-Length` when it sees `Transfer-Encoding`, in either order, so that
/// a request with both cannot be told here from one that is only chunked. Both are refused: every
/// client of these APIs sends its small body with a length.
pub(super) fn check(head: &Parts) -> Result<(), Failure> {
    if head.headers.contains_key(TRANSFER_ENCODING) {
        return refuse(
            "The body must come with Content-Length; Transfer-Encoding is not accepted.",
        );
    }
    let mut hosts = head.headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (_, Some(_)) => return refuse("The header 'host' must not appear twice."),
        (None, None) if head.version == Version::HTTP_11 => {
            return refuse("HTTP/1.1 needs a 'host' header.");
        }
        (host, None) => {
            let authority = head
                .uri
                .authority()
                .map(|authority| authority.as_str().as_bytes());
            if authority.is_some() && authority != host.map(HeaderValue::as_bytes) {
                return refuse("The request's target names another host than its 'host' header.");
            }
        }
    }
    Ok(())
}

fn refuse(message: &str) -> Result<(), Failure> {
    Err(Failure::closing(ApiError::bad_request(message)))
}
