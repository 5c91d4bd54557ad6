//! What the tests of transports share: a message, and a service that answers or hangs up.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use syncline_engine::{DatasetId, DatasetName, IdentityId, PoolId};
use tokio::net::TcpListener;
use uuid::Uuid;

use super::message::{Message, Parcel};
use crate::site::stored::{DeviceRecord, Platform};

/// When the tests take place.
pub(super) const NOW: u64 = 1_700_000_000;

/// A message for a device with that token.
pub(super) fn parcel(platform: Platform, token: &str) -> Parcel {
    Parcel {
        message: Message {
            dataset: DatasetId {
                pool: PoolId::parse("r:1").unwrap(),
                identity: IdentityId::parse("r:2").unwrap(),
                name: DatasetName::parse("game").unwrap(),
            },
            device: Uuid::from_u128(1),
        },
        sync_count: 7,
        device: DeviceRecord {
            platform,
            token: token.to_owned(),
            registered_ms: 1000,
        },
    }
}

/// A request that came: its path, its bearer or whatever else authorizes it, its body.
#[derive(Debug, Clone)]
pub(super) struct Came {
    pub(super) path: String,
    pub(super) authorization: String,
    pub(super) body: String,
}

/// Status, seconds to wait and body; `None`: the connection ends without an answer.
pub(super) type Answered = Option<(u16, Option<u64>, String)>;

/// A service that speaks HTTP/1.1, and what came to it.
pub(super) struct Service {
    pub(super) address: SocketAddr,
    came: Arc<Mutex<Vec<Came>>>,
}

impl Service {
    pub(super) async fn start(answering: fn(&Came) -> Answered) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let came: Arc<Mutex<Vec<Came>>> = Arc::default();
        let all = Arc::clone(&came);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let all = Arc::clone(&all);
                let service = service_fn(move |request| {
                    let all = Arc::clone(&all);
                    async move {
                        let request = receive(request).await;
                        all.lock().unwrap().push(request.clone());
                        answer(answering(&request))
                    }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { address, came }
    }

    pub(super) fn came(&self) -> Vec<Came> {
        self.came.lock().unwrap().clone()
    }
}

/// An address where nobody listens.
pub(super) async fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

async fn receive(request: Request<Incoming>) -> Came {
    let (head, body) = request.into_parts();
    let authorization = head.headers.get("authorization");
    let body = body.collect().await.unwrap().to_bytes();
    Came {
        path: head.uri.path().to_owned(),
        authorization: authorization
            .map_or("", |text| text.to_str().unwrap())
            .to_owned(),
        body: String::from_utf8(body.to_vec()).unwrap(),
    }
}

fn answer(answered: Answered) -> io::Result<Response<Full<Bytes>>> {
    let (status, wait, body) = answered.ok_or(io::ErrorKind::ConnectionAborted)?;
    let mut answer = Response::builder().status(status);
    if let Some(seconds) = wait {
        answer = answer.header("retry-after", seconds);
    }
    Ok(answer.body(Full::new(Bytes::from(body))).unwrap())
}
