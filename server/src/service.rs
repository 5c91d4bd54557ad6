//! One request from start to end: frame, route, verify, dispatch, respond.
//!
//! hyper's types come in here and go no deeper. Nothing on the way panics on what a client sends;
//! should something panic all the same, the client gets a 500, the log gets the panic, and the
//! process lives.

mod answer_body;
mod body;
mod caught;
mod framing;
mod reply;
mod request_ids;
#[cfg(test)]
mod room;
mod spelling;
mod throttles;

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::http::Extensions;
use hyper::http::request::Parts;
use hyper::{Method, Request, Response};
use tokio::sync::Semaphore;
use tracing::Instrument;
use uuid::Uuid;

use crate::access::{self, Caller};
use crate::backup;
use crate::changes;
use crate::error::{Api, ApiError};
use crate::events;
use crate::identity;
use crate::kinesis;
use crate::metrics::{Metrics, OpenConnection, ReaderFigures, StoreFigures};
use crate::ops;
use crate::routes::{self, IdentityOperation, KinesisOperation, Labels, OwnOperation};
use crate::sigv4::{self, Expected, Presigned, Signed, SigningKeys, Unverified};
use crate::site::{Site, is_consumer};
use crate::stream;
use crate::wire::Form;

use body::{Bodies, Body};
use reply::{Failure, Reply};
use request_ids::RequestIds;
use throttles::Throttles;

pub use answer_body::AnswerBody;
pub use spelling::SpellingError;

/// Everything that answering needs.
pub struct Service {
    site: Arc<Site>,
    metrics: Metrics,
    signing_keys: SigningKeys,
    throttles: Throttles,
    bodies: Bodies,
    /// Room for large answers.
    answers: Arc<Semaphore>,
    spelling: Extensions,
    ids: RequestIds,
}

/// Who signed a request.
struct Proved {
    caller: Caller,
    /// When its credentials end, if they do.
    expires_ms: Option<u64>,
}

/// What is known of a request so far; errors and metrics need it too.
struct Asked {
    id: Uuid,
    api: Api,
    operation: &'static str,
    /// Of what is asked and answered, where there is a choice.
    form: Form,
}

impl Service {
    /// A service for one site.
    ///
    /// # Errors
    /// When the spelling of response headers cannot be obtained from the HTTP library.
    pub async fn new(site: Arc<Site>) -> Result<Self, SpellingError> {
        let config = &site.config;
        let bodies = Bodies::new(config.body_bytes_max(), config.timeouts.body());
        let spelling = spelling::obtain().await?;
        let (mut metrics, signing_keys) = (Metrics::new(), SigningKeys::new());
        metrics.add_streams(&site.outflow.counters);
        metrics.add_triggers(site.triggers.figures());
        metrics.add_listeners(site.live.figures());
        metrics.add_push(&site.push);
        let throttles = Throttles::new(&config.limits);
        Ok(Self {
            site,
            metrics,
            signing_keys,
            throttles,
            bodies,
            answers: reply::room_for_answers(),
            spelling,
            ids: RequestIds::new(),
        })
    }

    /// Counts a connection for as long as the answer lives.
    #[must_use]
    pub fn connected(&self) -> OpenConnection {
        self.metrics.connection()
    }

    /// Ends all that would never end by itself: the server stops.
    pub fn end_streams(&self) {
        self.site.live.close();
    }

    /// Answers one request.
    pub async fn handle(&self, request: Request<Incoming>) -> Response<AnswerBody> {
        let began = Instant::now();
        let id = self.ids.next();
        let mut asked = Asked {
            id,
            api: Api::Sync,
            operation: "unknown",
            form: Form::default(),
        };
        let span = tracing::error_span!("request", %id);
        let answer = {
            // Pinned where it is, so that only its address is handed on.
            let answer = pin!(self.answer(request, &mut asked));
            caught::caught(answer).instrument(span.clone()).await
        };
        let reply = match answer {
            Some(Ok(reply)) => reply,
            Some(Err(failure)) => Reply::failed(asked.api, asked.form, failure),
            None => Reply::failed(asked.api, asked.form, ApiError::internal().into()),
        };
        let reply = reply.counted(asked.api, asked.form, &self.answers);
        let elapsed = began.elapsed();
        self.metrics
            .answered(asked.operation, reply.status(), elapsed);
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
        let takes_body = head.method == Method::POST;
        let body = self.bodies.read(body, takes_body).await?;
        if let Some(reply) = self.unsigned_page(&head, asked) {
            return Ok(reply);
        }
        if head.method == Method::GET && head.uri.path() == stream::LINK_PATH {
            asked.operation = "GetStreamRecords";
            let query = head.uri.query().unwrap_or("");
            let records = Box::pin(stream::records(&self.site, query)).await?;
            return Ok(Reply::json(Api::Sync, records));
        }
        // What is rare is in a box, so that what is not takes little room: its bytes are moved
        // some times on the way.
        if head.method == Method::POST && head.uri.path() == "/" {
            let body = body.as_ref();
            if is_form(&head) {
                return Ok(Box::pin(self.sts(body, asked)).await);
            }
            return Ok(Box::pin(self.identity(&head, body, asked)).await?);
        }
        if let Some(own) = OwnOperation::resolve(head.method.as_str(), head.uri.path()) {
            let (operation, labels) = own?;
            let own = self.own(&head, body.as_ref(), operation, &labels, asked);
            return Ok(Box::pin(own).await?);
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
                Some(Reply::health(self.site.store.engine().halted().is_some()))
            }
            "/metrics" => {
                asked.operation = "metrics";
                let page = self.metrics.render(&self.figures(), &self.readers());
                Some(Reply::metrics(page))
            }
            path => {
                let page = identity::well_known(&self.site, path)?;
                asked.operation = "well-known";
                Some(Reply::page("application/json", page))
            }
        }
    }

    async fn sync(
        &self,
        head: &Parts,
        body: Body<'_>,
        asked: &mut Asked,
    ) -> Result<Reply, ApiError> {
        let (operation, labels) = routes::resolve(head.method.as_str(), head.uri.path())?;
        asked.operation = operation.name();
        let caller = self.caller(head, body.as_ref(), Api::Sync)?;
        let query = head.uri.query().unwrap_or("");
        let output = ops::answer(&self.site, &caller, operation, &labels, query, body).await?;
        Ok(Reply::json(Api::Sync, output))
    }

    async fn own(
        &self,
        head: &Parts,
        body: &[u8],
        operation: OwnOperation,
        labels: &Labels,
        asked: &mut Asked,
    ) -> Result<Reply, ApiError> {
        asked.operation = operation.name();
        let query = head.uri.query().unwrap_or("");
        let header = |name: &str| head.headers.get(name).and_then(|v| v.to_str().ok());
        match operation {
            OwnOperation::Backup => {
                let caller = self.caller(head, body, Api::Sync)?;
                let output = backup::answer(&self.site, &caller, body).await?;
                Ok(Reply::json(Api::Sync, output))
            }
            OwnOperation::ListChanges => {
                let caller = self.caller(head, body, Api::Sync)?;
                let wish = changes::Asked {
                    pool: &labels.pool,
                    query,
                    accept: header("accept"),
                    last_event_id: header("last-event-id"),
                };
                let (media_type, body) = changes::answer(&self.site, &caller, wish).await?;
                Ok(Reply::typed(media_type, body))
            }
            OwnOperation::Events => {
                let proved = self.proved(head, body, Api::Sync, true)?;
                let wanted = events::Asked {
                    labels,
                    query,
                    last_event: header("last-event-id").unwrap_or(""),
                    expires_ms: proved.expires_ms,
                };
                let stream = events::open(&self.site, &proved.caller, wanted)?;
                Ok(Reply::events(stream))
            }
        }
    }

    /// Lets everybody go who waits for changes: the server stops.
    pub fn end_waits(&self) {
        self.site.streams.end_waits();
    }

    async fn sts(&self, form: &[u8], asked: &mut Asked) -> Reply {
        asked.operation = "AssumeRoleWithWebIdentity";
        Reply::xml(identity::sts::answer(&self.site, form, &asked.id.to_string()).await)
    }

    async fn identity(
        &self,
        head: &Parts,
        body: &[u8],
        asked: &mut Asked,
    ) -> Result<Reply, ApiError> {
        let target = head.headers.get("x-amz-target").map(HeaderValue::as_bytes);
        let target = String::from_utf8_lossy(target.unwrap_or_default());
        if let Some(operation) = KinesisOperation::resolve(&target) {
            asked.api = Api::Kinesis;
            let media_type = head.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
            asked.form = Form::of(media_type);
            return self.kinesis(head, body, operation?, asked).await;
        }
        asked.api = Api::Identity;
        let operation = IdentityOperation::resolve(&target)?;
        asked.operation = operation.name();
        let caller = match operation.is_signed() {
            true => Some(self.caller(head, body, Api::Identity)?),
            // A signature would say nothing: these are how a caller without keys gets some.
            false => None,
        };
        let output = identity::answer(&self.site, caller.as_ref(), operation, body).await?;
        Ok(Reply::json(Api::Identity, output))
    }

    async fn kinesis(
        &self,
        head: &Parts,
        body: &[u8],
        operation: KinesisOperation,
        asked: &mut Asked,
    ) -> Result<Reply, ApiError> {
        asked.operation = operation.name();
        let caller = self.caller(head, body, Api::Kinesis)?;
        let output = kinesis::answer(&self.site, &caller, operation, asked.form, body).await?;
        Ok(Reply::typed(asked.form.media_type(), output))
    }

    /// Who signed the request. A key that does not exist is verified like any other, with a secret
    /// that nobody has, so that neither words nor time tell it from a wrong signature.
    fn caller(&self, head: &Parts, body: &[u8], api: Api) -> Result<Caller, ApiError> {
        self.proved(head, body, api, false)
            .map(|proved| proved.caller)
    }

    /// The same, with when its credentials end. `by_query`: whether the signature may be in the
    /// query as well.
    fn proved(
        &self,
        head: &Parts,
        body: &[u8],
        api: Api,
        by_query: bool,
    ) -> Result<Proved, ApiError> {
        let headers: Vec<(&str, &[u8])> = head
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_bytes()))
            .collect();
        let request = Unverified {
            method: head.method.as_str(),
            path: head.uri.path(),
            query: head.uri.query().unwrap_or(""),
            headers: &headers,
            body,
        };
        let now_ms = self.site.now().get();
        let regions = &self.site.config.regions;
        let expected = Expected {
            service: api.service(),
            regions,
            now: now_ms / 1000,
        };
        let presigned = if by_query && sigv4::is_presigned(request.query) {
            Some(Presigned::read(request.query)?)
        } else {
            None
        };
        let signed = match &presigned {
            Some(presigned) => Some(presigned.signed(&request, &expected)?),
            None => Signed::parse(&request, &expected)?,
        };
        let Some(signed) = signed else {
            return Err(ApiError::missing_authentication_token(
                "Missing Authentication Token",
            ));
        };
        let (id, token) = (signed.access_key_id(), signed.security_token());
        let Site {
            keys,
            root,
            developers,
            ..
        } = &*self.site;
        let resolved = access::resolve(keys, root, developers, id, token, now_ms);
        signed.verify(resolved.secret.expose(), &self.signing_keys)?;
        let expires_ms = resolved.expires_ms();
        let caller = resolved.caller()?;
        self.throttles.admit(&caller, now_ms)?;
        Ok(Proved { caller, expires_ms })
    }

    fn figures(&self) -> StoreFigures {
        let engine = self.site.store.engine();
        let (stats, upkeep) = (engine.stats(), engine.upkeep());
        StoreFigures {
            pools: stats.pools,
            identities: stats.identities,
            datasets: stats.datasets,
            bytes: stats.bytes,
            metadata: stats.metadata,
            sequence: stats.sequence.get(),
            cache_bytes: stats.cache_bytes,
            segments: stats.segments,
            log_bytes: stats.log_bytes,
            batches: stats.batches,
            waiting: stats.waiting,
            halted: engine.halted().is_some(),
            checkpoints: upkeep.checkpoints,
            checkpoint_bytes: upkeep.checkpoint_bytes,
            segments_retired: upkeep.retired,
            cold_cleaned: upkeep.cleaned,
            moved_bytes: upkeep.moved_bytes,
            garbage_bytes: upkeep.garbage_bytes,
            upkeep_failing: upkeep.trouble.is_some(),
        }
    }

    fn readers(&self) -> Vec<ReaderFigures> {
        let mut figures: BTreeMap<String, ReaderFigures> = BTreeMap::new();
        for lag in self.site.store.engine().readers() {
            // Whoever reads cannot make the page grow.
            let name = if is_consumer(&lag.name) {
                "consumers"
            } else {
                &lag.name
            };
            let new = ReaderFigures {
                name: name.to_owned(),
                commits: lag.commits,
                bytes: lag.bytes,
                milliseconds: lag.milliseconds,
            };
            let known = figures.entry(name.to_owned());
            known
                .and_modify(|known| known.or_slower(&new))
                .or_insert(new);
        }
        figures.into_values().collect()
    }
}

/// Whether a request to the root is a form, as STS has it, and not an operation by its name.
fn is_form(head: &Parts) -> bool {
    let form = b"application/x-www-form-urlencoded";
    let media_type = head.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let starts = |text: &[u8]| {
        text.get(..form.len())
            .is_some_and(|text| text.eq_ignore_ascii_case(form))
    };
    media_type.is_some_and(starts) && !head.headers.contains_key("x-amz-target")
}
