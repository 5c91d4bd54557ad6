//! The least that an HTTP answer costs: bare hyper that reads the request and sends bytes; with a
//! log, the least that a durable one costs.

use std::convert::Infallible;
use std::io::Write;
use std::net::Ipv4Addr;

mod journal;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::arguments::EchoOptions;
use crate::failure::Result;
use journal::Journal;

/// What an answer needs.
#[derive(Clone)]
struct Echo {
    answer: Bytes,
    journal: Option<Journal>,
}

/// Serves until it is killed.
pub fn run(options: &EchoOptions) -> Result<()> {
    let echo = Echo {
        answer: Bytes::from(vec![b'x'; options.answer_bytes]),
        journal: options.log.as_deref().map(Journal::open).transpose()?,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(serve(echo))
}

async fn serve(echo: Echo) -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    writeln!(
        std::io::stdout().lock(),
        "echo listening on http://{address}"
    )?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let echo = echo.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| respond(request, echo.clone()));
            let served = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            // A client that leaves is no fault of an echo.
            let _ = served.await;
        });
    }
}

async fn respond(
    request: Request<Incoming>,
    echo: Echo,
) -> std::result::Result<Response<Full<Bytes>>, Infallible> {
    // All of it has to come, as it has to for a real answer; if it does not, there is no one left
    // to be told.
    let body = request.into_body().collect().await;
    if let (Some(journal), Ok(body)) = (&echo.journal, body) {
        let body = body.to_bytes();
        // Who only asks has nothing to be kept.
        if !body.is_empty() {
            journal.append(&body).await;
        }
    }
    let mut response = Response::new(Full::new(echo.answer));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}
