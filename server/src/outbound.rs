//! The one HTTP client. It fetches what the operator's configuration names; nothing that a caller
//! of the server sends names an address.
//!
//! An answer is bounded in size and time, and no redirection is followed.

mod address;
mod connection;
mod line;
mod peer;

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper::header::{ACCEPT, HOST, USER_AGENT};
use thiserror::Error;

use address::Address;

pub use line::Line;
pub use peer::{Answer, Peer, Post};

/// Why something could not be fetched.
#[derive(Debug, Error)]
pub enum OutboundError {
    /// Not an address of ours.
    #[error("{0:?} is not an address that begins with http:// or https://")]
    Address(String),
    /// No connection.
    #[error("cannot connect")]
    Connect(#[source] std::io::Error),
    /// No connection, and it was tried too lately to be tried again.
    #[error("no connection, as was found a moment ago: {0}")]
    Lately(String),
    /// No trusted connection.
    #[error("cannot agree on TLS")]
    Tls(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A service that was to speak HTTP/2 does not.
    #[error("the service does not speak HTTP/2")]
    Protocol,
    /// The exchange broke off.
    #[error("the request failed")]
    Exchange(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The answer is longer than it may be.
    #[error("the answer has more than {0} bytes")]
    TooLarge(usize),
    /// Another status than 200.
    #[error("the answer has status {0}")]
    Status(u16),
    /// It took too long.
    #[error("no whole answer within {0:?}")]
    Late(Duration),
}

/// How much an answer may take.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Longest body.
    pub bytes_max: usize,
    /// Longest time, from the name of the host to the end of the body.
    pub timeout: Duration,
}

/// Fetches what is at an address.
///
/// # Errors
/// Unless the whole answer came in time, with status 200.
pub async fn get(url: &str, bounds: Bounds) -> Result<Bytes, OutboundError> {
    tokio::time::timeout(bounds.timeout, fetch(url, bounds.bytes_max))
        .await
        .unwrap_or(Err(OutboundError::Late(bounds.timeout)))
}

async fn fetch(url: &str, bytes_max: usize) -> Result<Bytes, OutboundError> {
    let address = Address::parse(url)?;
    let mut connection = connection::connect(&address).await?;
    let request = Request::get(&address.path)
        .header(HOST, &address.authority)
        .header(ACCEPT, "application/json")
        .header(USER_AGENT, "syncline")
        .body(Full::default())
        .map_err(|error| OutboundError::Exchange(error.into()))?;
    let response = connection::send(&mut connection, request).await?;
    if response.status() != 200 {
        return Err(OutboundError::Status(response.status().as_u16()));
    }
    connection::body(response, bytes_max).await
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn whoever_does_not_answer_is_given_up() {
        let bounds = Bounds {
            bytes_max: 100,
            timeout: Duration::from_millis(50),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        for scheme in ["http", "https"] {
            let error = get(&format!("{scheme}://{address}/"), bounds)
                .await
                .unwrap_err();
            assert!(matches!(error, OutboundError::Late(_)), "{error}");
        }
        drop(listener);
        let error = get(&format!("http://{address}/"), bounds)
            .await
            .unwrap_err();
        assert!(matches!(error, OutboundError::Connect(_)), "{error}");
    }
}
