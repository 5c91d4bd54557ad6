//! A service of the operator's on a port of this machine: it keeps what it is sent, and answers
//! as a test tells it to.

use std::convert::Infallible;
use std::future::pending;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use syncline_server::sigv4::{Expected, Signed, SigningKeys, Unverified};
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use crate::signed::now;

/// A request that came.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// What is answered.
#[derive(Debug, Clone)]
pub(crate) enum Told {
    /// Status, headers and body.
    Now(u16, Vec<(&'static str, String)>, String),
    /// The same once it is let go.
    Held(Arc<Notify>, Box<Told>),
    /// Nothing, ever.
    Never,
}

type Answering = Box<dyn Fn(&Seen) -> Told + Send + Sync>;

/// What it speaks.
#[derive(Clone)]
pub(crate) enum Protocol {
    Http1,
    Http2,
    /// HTTP/2 over TLS.
    Secure(Arc<ServerConfig>),
}

/// A running service; its connections live as long as the test.
pub(crate) struct WebService {
    pub(crate) address: SocketAddr,
    answering: Arc<Mutex<Answering>>,
    seen: Arc<Mutex<Vec<Seen>>>,
    count: watch::Receiver<usize>,
}

impl Seen {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(found, _)| found == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Who signed it, now and for a service in eu-west-1, which must have been with this secret.
    pub(crate) fn signed_by(&self, service: &str, secret: &str) -> String {
        let headers = self.headers.iter();
        let headers: Vec<(&str, &[u8])> = headers
            .map(|(name, value)| (name.as_str(), value.as_bytes()))
            .collect();
        let request = Unverified {
            method: "POST",
            path: &self.path,
            query: "",
            headers: &headers,
            body: &self.body,
        };
        let expected = Expected {
            service,
            regions: &["eu-west-1".to_owned()],
            now: now(),
        };
        let signed = Signed::parse(&request, &expected).unwrap().unwrap();
        signed.verify(secret, &SigningKeys::new()).unwrap();
        signed.access_key_id().to_owned()
    }
}

impl Told {
    /// A success with a JSON body.
    pub(crate) fn json(value: &Value) -> Self {
        Self::Now(200, Vec::new(), value.to_string())
    }

    pub(crate) fn status(status: u16) -> Self {
        Self::Now(status, Vec::new(), String::new())
    }
}

impl WebService {
    /// Starts one that sends back what it gets.
    pub(crate) async fn start() -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap()).await
    }

    pub(crate) async fn start_at(address: SocketAddr) -> Self {
        Self::start_both(address, Protocol::Http1).await
    }

    /// One that speaks something else than HTTP/1.1.
    pub(crate) async fn start_as(protocol: Protocol) -> Self {
        Self::start_both("127.0.0.1:0".parse().unwrap(), protocol).await
    }

    async fn start_both(address: SocketAddr, protocol: Protocol) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (counted, count) = watch::channel(0);
        let service = Self {
            address,
            answering: Arc::new(Mutex::new(Box::new(|seen| Told::json(&seen.json())))),
            seen: Arc::default(),
            count,
        };
        let (answering, seen) = (Arc::clone(&service.answering), Arc::clone(&service.seen));
        let counted = Arc::new(counted);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (answering, seen) = (Arc::clone(&answering), Arc::clone(&seen));
                let counted = Arc::clone(&counted);
                let service = service_fn(move |request| {
                    let (answering, seen) = (Arc::clone(&answering), Arc::clone(&seen));
                    let counted = Arc::clone(&counted);
                    async move {
                        let request = receive(request).await;
                        let told = answering.lock().unwrap()(&request);
                        seen.lock().unwrap().push(request);
                        counted.send_modify(|count| *count += 1);
                        Ok::<_, Infallible>(tell(told).await)
                    }
                });
                let protocol = protocol.clone();
                tokio::spawn(async move {
                    let multiplexed = http2::Builder::new(TokioExecutor::new());
                    // However a connection ends, it is the other side that tells what came of it.
                    match protocol {
                        Protocol::Http1 => {
                            let builder = http1::Builder::new();
                            let _ = builder
                                .serve_connection(TokioIo::new(stream), service)
                                .await;
                        }
                        Protocol::Http2 => {
                            let io = TokioIo::new(stream);
                            let _ = multiplexed.serve_connection(io, service).await;
                        }
                        Protocol::Secure(config) => {
                            let Ok(stream) = TlsAcceptor::from(config).accept(stream).await else {
                                return;
                            };
                            let io = TokioIo::new(stream);
                            let _ = multiplexed.serve_connection(io, service).await;
                        }
                    }
                });
            }
        });
        service
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/called", self.address)
    }

    /// From now on it answers so.
    pub(crate) fn answers(&self, answering: impl Fn(&Seen) -> Told + Send + Sync + 'static) {
        *self.answering.lock().unwrap() = Box::new(answering);
    }

    /// From now on it sends the event back with these changes.
    pub(crate) fn changes(&self, change: impl Fn(&mut Value) + Send + Sync + 'static) {
        self.answers(move |seen| {
            let mut event = seen.json();
            change(&mut event);
            Told::json(&event)
        });
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Waits until so many requests have come since the start.
    pub(crate) async fn has_seen(&self, count: usize) -> Vec<Seen> {
        let mut counted = self.count.clone();
        counted.wait_for(|seen| *seen >= count).await.unwrap();
        self.seen()
    }
}

async fn receive(request: Request<Incoming>) -> Seen {
    let (head, body) = request.into_parts();
    let text = |value: &hyper::header::HeaderValue| value.to_str().unwrap().to_owned();
    let headers = head.headers.iter();
    Seen {
        path: head.uri.path().to_owned(),
        headers: headers
            .map(|(name, value)| (name.as_str().to_owned(), text(value)))
            .collect(),
        body: body.collect().await.unwrap().to_bytes().to_vec(),
    }
}

async fn tell(told: Told) -> Response<Full<Bytes>> {
    let mut told = told;
    loop {
        match told {
            Told::Now(status, headers, body) => {
                let mut response = Response::builder().status(status);
                for (name, value) in headers {
                    response = response.header(name, value);
                }
                return response.body(Full::new(Bytes::from(body))).unwrap();
            }
            Told::Held(held, then) => {
                held.notified().await;
                told = *then;
            }
            Told::Never => pending::<()>().await,
        }
    }
}
