//! One request from start to end: frame, route, verify, dispatch, respond.
//!
//! hyper's types come in here and go no deeper. Nothing on the way panics on what a client sends;
//! should something panic all the same, the client gets a 500, the log gets the panic, and the
//! process lives.

mod body;
mod caught;
mod dispatch;
mod framing;
mod reply;
mod spelling;

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::http::Extensions;
use hyper::http::request::Parts;
use hyper::{Method, Request, Response};
use tracing::Instrument;
use uuid::Uuid;

use crate::error::{Api, ApiError};
use crate::metrics::{Metrics, OpenConnection, StoreFigures};
use crate::routes::{self, IdentityOperation};
use crate::sigv4::{Expected, Signed, SigningKeys, Unverified};
use crate::config::Config;

use body::Bodies;
use reply::{Failure, Reply};

pub use spelling::SpellingError;

/// Everything that answering needs.
pub struct Service {
    config: Arc<Config>,
    metrics: Metrics,
    signing_keys: SigningKeys,
    bodies: Bodies,
    spelling: Extensions,
}

/// What is known of a request so far; errors and metrics need it too.
struct Asked {
    api: Api,
    operation: &'static str,
}

impl Service {
    /// A service for one site.
    ///
    /// # Errors
    /// When the spelling of response headers cannot be obtained from the HTTP library.
    pub async fn new(config: Arc<Config>) -> Result<Self, SpellingError> {
        let bodies = Bodies::new(config.body_bytes_max(), config.timeouts.body());
        let spelling = spelling::obtain().await?;
        let (metrics, signing_keys) = (Metrics::new(), SigningKeys::new());
        Ok(Self { config, metrics, signing_keys, bodies, spelling })
    }

    /// Counts a connection for as long as the answer lives.
    #[must_use]
    pub fn connected(&self) -> OpenConnection {
        self.metrics.connection()
    }

    /// Answers one request.
    pub async fn handle(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let began = Instant::now();
        let id = Uuid::new_v4();
        let mut asked = Asked { api: Api::Sync, operation: "unknown" };
        let span = tracing::error_span!("request", %id);
        let answer = caught::caught(self.answer(request, &mut asked)).instrument(span.clone());
        let reply = match answer.await {
            Ok(Ok(reply)) => reply,
            Ok(Err(failure)) => Reply::failed(asked.api, failure),
            Err(panic) => {
                let error = span.in_scope(|| ApiError::bug(&format!("a panic: {panic}")));
                Reply::failed(asked.api, Failure::from(error))
            }
        };
        let elapsed = began.elapsed();
        self.metrics.answered(asked.operation, reply.status(), elapsed);
        span.in_scope(|| {
            tracing::debug!(
                operation = asked.operation,
                status = reply.status(),
                error = reply.error(),
                elapsed_us = elapsed.as_micros(),
                "answered"
            );
        });
        reply.into_response(id, self.spelling.clone())
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
        asked: &mut Asked,
    ) -> Result<Reply, Failure> {
        let (head, body) = request.into_parts();
        framing::check(&head)?;
        if head.method == Method::OPTIONS {
            asked.operation = "preflight";
            return Ok(Reply::preflight());
        }
        let body = self.bodies.read(body).await?;
        if let Some(reply) = self.unsigned_page(&head, asked) {
            return Ok(reply);
        }
        let body = body.bytes();
        if head.method == Method::POST && head.uri.path() == "/" {
            return Ok(self.identity(&head, body, asked).await?);
        }
        Ok(self.sync(&head, body, asked).await?)
    }

    /// What anybody may read.
    fn unsigned_page(&self, head: &Parts, asked: &mut Asked) -> Option<Reply> {
        if head.method != Method::GET && head.method != Method::HEAD {
            return None;
        }
        match head.uri.path() {
            "/healthz" => {
                asked.operation = "healthz";
                Some(Reply::health(false))
            }
            "/metrics" => {
                asked.operation = "metrics";
                Some(Reply::metrics(self.metrics.render(&StoreFigures::default())))
            }
            path => {
                let page = dispatch::well_known(path)?;
                asked.operation = "well-known";
                Some(page)
            }
        }
    }

    async fn sync(&self, head: &Parts, body: &[u8], asked: &mut Asked) -> Result<Reply, ApiError> {
        let (operation, labels) = routes::resolve(head.method.as_str(), head.uri.path())?;
        asked.operation = operation.name();
        self.caller(head, body, Api::Sync)?;
        let query = head.uri.query().unwrap_or("");
        dispatch::sync( operation, &labels, query, body).await
    }

    async fn identity(
        &self,
        head: &Parts,
        body: &[u8],
        asked: &mut Asked,
    ) -> Result<Reply, ApiError> {
        asked.api = Api::Identity;
        let target = head.headers.get("x-amz-target").map(|value| value.as_bytes());
        let target = String::from_utf8_lossy(target.unwrap_or_default());
        let operation = IdentityOperation::resolve(&target)?;
        asked.operation = operation.name();
        if operation.is_signed() {
            self.caller(head, body, Api::Identity)?;
        }
        dispatch::identity(operation, body).await
    }

    /// Who signed the request.
    fn caller(&self, head: &Parts, body: &[u8], api: Api) -> Result<(), ApiError> {
        let headers: Vec<(&str, &[u8])> =
            head.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        let request = Unverified {
            method: head.method.as_str(),
            path: head.uri.path(),
            query: head.uri.query().unwrap_or(""),
            headers: &headers,
            body,
        };
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_secs());
        let expected = Expected { service: api.service(), regions: &self.config.regions, now };
        let Some(signed) = Signed::parse(&request, &expected)? else {
            return Err(ApiError::missing_authentication_token("Missing Authentication Token"));
        };
        signed.verify("nobody has this", &self.signing_keys)
    }
}
