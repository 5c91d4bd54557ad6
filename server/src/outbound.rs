//! The one HTTP client. It fetches what the operator's configuration names; nothing that a caller
//! of the server sends names an address.
//!
//! An answer is bounded in size and time, and no redirection is followed.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::header::{ACCEPT, HOST, USER_AGENT};
use hyper::rt::{Read, Write};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// Why something could not be fetched.
#[derive(Debug, Error)]
pub enum OutboundError {
    /// Not an address of ours.
    #[error("{0:?} is not an address that begins with http:// or https://")]
    Address(String),
    /// No connection.
    #[error("cannot connect")]
    Connect(#[source] std::io::Error),
    /// No trusted connection.
    #[error("cannot agree on TLS")]
    Tls(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The exchange broke off.
    #[error("the request failed")]
    Exchange(#[source] Box<dyn std::error::Error + Send + Sync>),
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
    let not_ours = || OutboundError::Address(url.to_owned());
    let uri: Uri = url.parse().map_err(|_| not_ours())?;
    let authority = uri.authority().ok_or_else(not_ours)?;
    // An address of version 6 comes in brackets.
    let host = authority.host().trim_matches(['[', ']']).to_owned();
    let (port, secure) = match uri.scheme_str() {
        Some("http") => (80, false),
        Some("https") => (443, true),
        _ => return Err(not_ours()),
    };
    let port = authority.port_u16().unwrap_or(port);
    let stream = TcpStream::connect((host.as_str(), port))
        .await
        .map_err(OutboundError::Connect)?;
    if !secure {
        return exchange(TokioIo::new(stream), &uri, bytes_max).await;
    }
    let connector = TlsConnector::from(trust().await?);
    let name = ServerName::try_from(host).map_err(|_| not_ours())?;
    let stream = connector
        .connect(name, stream)
        .await
        .map_err(|error| OutboundError::Tls(error.into()))?;
    exchange(TokioIo::new(stream), &uri, bytes_max).await
}

/// Whom the system trusts now. Read each time, since it changes and is seldom needed.
async fn trust() -> Result<Arc<ClientConfig>, OutboundError> {
    let load = tokio::task::spawn_blocking(|| {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let config = ClientConfig::builder().with_root_certificates(roots);
        Arc::new(config.with_no_client_auth())
    });
    load.await
        .map_err(|error| OutboundError::Tls(Box::new(error)))
}

async fn exchange<T>(io: T, uri: &Uri, bytes_max: usize) -> Result<Bytes, OutboundError>
where
    T: Read + Write + Unpin + Send + 'static,
{
    let failed = |error: hyper::Error| OutboundError::Exchange(error.into());
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io)
        .await
        .map_err(failed)?;
    // Ends by itself once the sender and the body are gone.
    tokio::spawn(connection);
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let host = uri.authority().map_or("", |authority| authority.as_str());
    let request = Request::get(path)
        .header(HOST, host)
        .header(ACCEPT, "application/json")
        .header(USER_AGENT, "syncline")
        .body(Empty::<Bytes>::new())
        .map_err(|error| OutboundError::Exchange(error.into()))?;
    let response = sender.send_request(request).await.map_err(failed)?;
    if response.status() != 200 {
        return Err(OutboundError::Status(response.status().as_u16()));
    }
    let body = Limited::new(response.into_body(), bytes_max)
        .collect()
        .await;
    Ok(body.map_err(OutboundError::Exchange)?.to_bytes())
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
        for url in [
            "",
            "/path",
            "ftp://127.0.0.1/",
            "http://",
            "file:///etc/hosts",
        ] {
            let error = get(url, bounds).await.unwrap_err();
            assert!(matches!(error, OutboundError::Address(_)), "{url}: {error}");
        }
    }
}
