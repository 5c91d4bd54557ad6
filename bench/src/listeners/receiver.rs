//! The service that messages are posted to: notes when each count arrives.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::sync::mpsc::UnboundedSender;

use super::delay::Arrival;
use crate::failure::Result;

/// See the module. It runs for as long as the runtime that it was started on.
pub struct Receiver {
    pub address: SocketAddr,
    noting: Arc<Noting>,
}

struct Noting {
    tell: UnboundedSender<Arrival>,
    /// Datasets by device.
    known: Mutex<HashMap<String, usize>>,
}

/// What is posted, as far as it matters here.
#[derive(Deserialize)]
struct Batch {
    messages: Vec<Message>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message {
    device_id: String,
    sync_count: String,
}

impl Receiver {
    pub async fn start(tell: UnboundedSender<Arrival>) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let noting = Arc::new(Noting {
            tell,
            known: Mutex::default(),
        });
        let shared = Arc::clone(&noting);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let noting = Arc::clone(&shared);
                let service = service_fn(move |request| respond(request, Arc::clone(&noting)));
                let served = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                tokio::spawn(served);
            }
        });
        Ok(Self { address, noting })
    }

    /// From now on messages to these devices are of these datasets.
    pub fn knows(&self, devices: HashMap<String, usize>) {
        *self.noting.known() = devices;
    }
}

impl Noting {
    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<String, usize>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is not understood is missed by whoever waits for it.
    fn note(&self, body: &[u8], at: Instant) {
        let Ok(batch) = serde_json::from_slice::<Batch>(body) else {
            return;
        };
        let known = self.known();
        for message in batch.messages {
            let dataset = known.get(&message.device_id).copied();
            if let (Some(dataset), Ok(sync_count)) = (dataset, message.sync_count.parse()) {
                let arrival = Arrival {
                    dataset,
                    sync_count,
                    at,
                };
                // Nobody wants to know any more when the run is over.
                let _ = self.tell.send(arrival);
            }
        }
    }
}

async fn respond(
    request: Request<Incoming>,
    noting: Arc<Noting>,
) -> std::result::Result<Response<Empty<Bytes>>, Infallible> {
    if let Ok(body) = request.into_body().collect().await {
        noting.note(&body.to_bytes(), Instant::now());
    }
    Ok(Response::new(Empty::new()))
}
