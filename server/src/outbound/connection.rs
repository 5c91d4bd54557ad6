//! One connection: TCP, TLS where the address wants it, and HTTP/1.1 or HTTP/2 on top.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::client::conn::http1::SendRequest;
use hyper::client::conn::http2;
use hyper::rt::{Read, Write};
use hyper::{Request, Response, body::Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::OutboundError;
use super::address::Address;

/// How long it is believed whom the system trusts, before that is read again.
const TRUST_TIME: Duration = Duration::from_secs(60);

/// What an HTTP/2 connection is called while TLS is agreed on.
const H2: &[u8] = b"h2";
/// How often an HTTP/2 connection is asked whether it is still there, used or not, and how long
/// the answer may take: what lies between forgets connections silently.
const PING: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(10));

/// A connection that requests go out on, one after the other.
pub(super) type Connection = SendRequest<Full<Bytes>>;
/// A connection that many requests go out on at once. Clones share it.
pub(super) type Multiplexed = http2::SendRequest<Full<Bytes>>;

/// Bytes to and fro, before anything is said about HTTP.
enum Dialed {
    Plain(TcpStream),
    Secure(Box<TlsStream<TcpStream>>),
}

/// Makes a connection that speaks HTTP/1.1.
pub(super) async fn connect(address: &Address) -> Result<Connection, OutboundError> {
    match dial(address, None).await? {
        Dialed::Plain(stream) => agree(TokioIo::new(stream)).await,
        Dialed::Secure(stream) => agree(TokioIo::new(stream)).await,
    }
}

/// Makes a connection that speaks HTTP/2: agreed on in TLS, and simply begun without.
pub(super) async fn connect_multiplexed(address: &Address) -> Result<Multiplexed, OutboundError> {
    match dial(address, Some(H2)).await? {
        Dialed::Plain(stream) => agree_multiplexed(TokioIo::new(stream)).await,
        Dialed::Secure(stream) if stream.get_ref().1.alpn_protocol() == Some(H2) => {
            agree_multiplexed(TokioIo::new(stream)).await
        }
        Dialed::Secure(_) => Err(OutboundError::Protocol),
    }
}

async fn dial(address: &Address, protocol: Option<&[u8]>) -> Result<Dialed, OutboundError> {
    let stream = TcpStream::connect((address.host.as_str(), address.port))
        .await
        .map_err(OutboundError::Connect)?;
    // Requests are small and waited for.
    stream.set_nodelay(true).map_err(OutboundError::Connect)?;
    if !address.secure {
        return Ok(Dialed::Plain(stream));
    }
    let mut config = trust().await?;
    if let Some(protocol) = protocol {
        Arc::make_mut(&mut config).alpn_protocols = vec![protocol.to_vec()];
    }
    let name = ServerName::try_from(address.host.clone())
        .map_err(|error| OutboundError::Tls(Box::new(error)))?;
    let stream = TlsConnector::from(config)
        .connect(name, stream)
        .await
        .map_err(|error| OutboundError::Tls(error.into()))?;
    Ok(Dialed::Secure(Box::new(stream)))
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

async fn agree_multiplexed<T>(io: T) -> Result<Multiplexed, OutboundError>
where
    T: Read + Write + Unpin + Send + 'static,
{
    let (sender, connection) = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(PING.0)
        .keep_alive_timeout(PING.1)
        .keep_alive_while_idle(true)
        // Until the service has said how many it takes: whoever takes one refuses the others.
        .initial_max_send_streams(1)
        .handshake(io)
        .await
        .map_err(|error| OutboundError::Exchange(error.into()))?;
    // Ends by itself once all senders and bodies are gone.
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
