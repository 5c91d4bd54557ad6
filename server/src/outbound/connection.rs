//! One connection: TCP, TLS where the address wants it, and HTTP/1.1 on top.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::client::conn::http1::SendRequest;
use hyper::rt::{Read, Write};
use hyper::{Request, Response, body::Incoming};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::OutboundError;
use super::address::Address;

/// How long it is believed whom the system trusts, before that is read again.
const TRUST_TIME: Duration = Duration::from_secs(60);

/// A connection that requests go out on, one after the other.
pub(super) type Connection = SendRequest<Full<Bytes>>;

/// Makes a connection.
pub(super) async fn connect(address: &Address) -> Result<Connection, OutboundError> {
    let stream = TcpStream::connect((address.host.as_str(), address.port))
        .await
        .map_err(OutboundError::Connect)?;
    // Requests are small and waited for.
    stream.set_nodelay(true).map_err(OutboundError::Connect)?;
    if !address.secure {
        return agree(TokioIo::new(stream)).await;
    }
    let connector = TlsConnector::from(trust().await?);
    let name = ServerName::try_from(address.host.clone())
        .map_err(|error| OutboundError::Tls(Box::new(error)))?;
    let stream = connector
        .connect(name, stream)
        .await
        .map_err(|error| OutboundError::Tls(error.into()))?;
    agree(TokioIo::new(stream)).await
}

/// The whole body of an answer.
pub(super) async fn body(
    response: Response<Incoming>,
    bytes_max: usize,
) -> Result<Bytes, OutboundError> {
    let body = Limited::new(response.into_body(), bytes_max);
    let body = body.collect().await.map_err(|error| {
        if error.is::<LengthLimitError>() {
            OutboundError::TooLarge(bytes_max)
        } else {
            OutboundError::Exchange(error)
        }
    })?;
    Ok(body.to_bytes())
}

/// The beginning of the body of an answer, and whether that is all of it.
pub(super) async fn beginning(
    response: Response<Incoming>,
    bytes_max: usize,
) -> Result<(Bytes, bool), OutboundError> {
    let mut body = response.into_body();
    let mut read = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| OutboundError::Exchange(error.into()))?;
        let data = frame.into_data().unwrap_or_default();
        let room = bytes_max - read.len();
        if data.len() > room {
            read.extend_from_slice(&data[..room]);
            return Ok((read.into(), false));
        }
        read.extend_from_slice(&data);
    }
    Ok((read.into(), true))
}

/// What sending a request says.
pub(super) async fn send(
    connection: &mut Connection,
    request: Request<Full<Bytes>>,
) -> Result<Response<Incoming>, OutboundError> {
    let sent = connection.send_request(request).await;
    sent.map_err(|error| OutboundError::Exchange(error.into()))
}

async fn agree<T>(io: T) -> Result<Connection, OutboundError>
where
    T: Read + Write + Unpin + Send + 'static,
{
    let (sender, connection) = hyper::client::conn::http1::handshake(io)
        .await
        .map_err(|error| OutboundError::Exchange(error.into()))?;
    // Ends by itself once the sender and the body are gone.
    tokio::spawn(connection);
    Ok(sender)
}

/// Whom the system trusts, as of a minute ago at most.
async fn trust() -> Result<Arc<ClientConfig>, OutboundError> {
    static KNOWN: Mutex<Option<(Instant, Arc<ClientConfig>)>> = Mutex::new(None);
    let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((read, config)) = &*known()
        && read.elapsed() < TRUST_TIME
    {
        return Ok(Arc::clone(config));
    }
    let load = tokio::task::spawn_blocking(|| {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let config = ClientConfig::builder().with_root_certificates(roots);
        Arc::new(config.with_no_client_auth())
    });
    let config = load
        .await
        .map_err(|error| OutboundError::Tls(Box::new(error)))?;
    *known() = Some((Instant::now(), Arc::clone(&config)));
    Ok(config)
}
