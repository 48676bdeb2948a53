//! What a request gets: routes, the secret, bodies, answers.
//!
//! What comes is checked in this order: the secret, the length, the form. Nothing that a client sends is logged unescaped,
//! and no address is, because a secret may stand in it.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use axum::routing::{any, get};
use futures_util::future::BoxFuture;
use percent_encoding::percent_decode_str;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout, timeout_at};

use super::counts::{Counts, count};
use super::cti_bridge::dial::{Decided, Routes};
use super::cti_bridge::{self, Action, Names};
use super::event::{BadEvent, Dialect, Event, Fields};
use super::gate::{Gate, Visit};
use super::writer::{Door, Unkept};
use super::{astercc, freeswitch, pairs, parts};
use crate::text::Shown;

/// How long a body may take, once its head is there.
const BODY_DEADLINE: Duration = Duration::from_secs(10);

/// How long an event may take to be kept before its sender is told to come again.
const KEEP_DEADLINE: Duration = Duration::from_secs(15);

/// Most bytes of a body: several times what `mod_json_cdr` makes of a long call.
const BODY_BYTES: usize = 1024 * 1024;

/// A longer body, or one of unknown length, waits until it is one of a few, so that memory has a bound.
const SMALL_BODY: u64 = 64 * 1024;

/// How many of those.
const LARGE_BODIES: usize = 24;

/// What the requests share.
pub struct Desk {
    /// Names the collector in its metrics.
    pub job: String,
    /// The secret.
    pub gate: Gate,
    /// The way to the writer.
    pub door: Door,
    /// The figures.
    pub counts: Arc<Counts>,
    /// How `cti_bridge`'s parameters are called.
    pub names: Names,
    /// Where `cti_bridge`'s calls go.
    pub routes: Routes,
    /// How soon `cti_bridge` has its answer.
    pub answer_within: Duration,
    /// Metrics beside the collector's own.
    pub more_metrics: Box<dyn Fn() -> BoxFuture<'static, String> + Send + Sync>,
    /// Makes long bodies wait for each other.
    pub long_bodies: LongBodies,
}

/// Bodies that are longer than most, or of unknown length, are read a few at a time, so that memory has a bound.
pub struct LongBodies(Semaphore);

impl Default for LongBodies {
    fn default() -> Self {
        Self(Semaphore::new(LARGE_BODIES))
    }
}

/// Where the requests go.
pub(super) fn routes(desk: Arc<Desk>) -> Router {
    Router::new()
        .route("/healthz", get(health))
        .route("/metrics", get(metrics))
        .route("/metrics/{secret}", get(metrics))
        .route("/astercc", any(from_astercc))
        .route("/astercc/{secret}", any(from_astercc))
        .route("/cti_bridge", any(from_cti_bridge))
        .route("/cti_bridge/{secret}", any(from_cti_bridge))
        .route("/freeswitch", any(from_freeswitch))
        .route("/freeswitch/{secret}", any(from_freeswitch))
        .fallback(nothing_here)
        .with_state(desk)
}

async fn nothing_here() -> Response {
    text(
        StatusCode::NOT_FOUND,
        "there is nothing here; events go to /astercc, /cti_bridge and /freeswitch",
    )
}

/// Whether events can be kept, for a monitor; tells nothing else, and asks for no secret.
async fn health(State(desk): State<Arc<Desk>>) -> Response {
    if desk
        .counts
        .store_down
        .load(std::sync::atomic::Ordering::Relaxed)
    {
        text(StatusCode::SERVICE_UNAVAILABLE, "the store fails")
    } else {
        text(StatusCode::OK, "ok")
    }
}

async fn metrics(State(desk): State<Arc<Desk>>, request: Request) -> Response {
    if let Some(refusal) = desk.refuses(&request) {
        return refusal;
    }
    let body = desk.counts.exposition(&desk.job) + &(desk.more_metrics)().await;
    let mut response = text(StatusCode::OK, "");
    *response.body_mut() = Body::from(body);
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"),
    );
    response
}

async fn from_astercc(State(desk): State<Arc<Desk>>, request: Request) -> Response {
    let message = match desk.message(request, Dialect::Astercc, BODY_DEADLINE).await {
        Ok(message) => message,
        Err(refusal) => return refusal,
    };
    let event = message
        .merged(astercc::message::read)
        .and_then(astercc::event);
    desk.kept(Dialect::Astercc, event).await
}

async fn from_freeswitch(State(desk): State<Arc<Desk>>, request: Request) -> Response {
    let message = match desk
        .message(request, Dialect::Freeswitch, BODY_DEADLINE)
        .await
    {
        Ok(message) => message,
        Err(refusal) => return refusal,
    };
    let encoding = freeswitch::Encoding::of(&message.content_type, &message.body);
    let event = freeswitch::event(&message.body, encoding);
    desk.kept(Dialect::Freeswitch, event).await
}

/// A request is answered within its time, whatever happens; a notice is kept like any event.
async fn from_cti_bridge(State(desk): State<Arc<Desk>>, request: Request) -> Response {
    let deadline = Instant::now() + desk.answer_within;
    let query = pairs::read(request.uri().query().unwrap_or_default().as_bytes());
    let is_notice = |fields: &Fields| {
        let action = fields.get("action").map_or("", |action| action.trim());
        !action.is_empty() && !action.eq_ignore_ascii_case("request")
    };
    let notice = query.as_ref().is_ok_and(is_notice);
    let number = |fields: &Fields| fields.get(&desk.names.number).cloned().unwrap_or_default();
    let asked = query.as_ref().map(number).unwrap_or_default();
    let message = match desk
        .message(
            request,
            Dialect::CtiBridge,
            desk.answer_within.min(BODY_DEADLINE),
        )
        .await
    {
        Ok(message) => message,
        // Strangers get no instruction.
        Err(refusal) if notice || refusal.status() == StatusCode::FORBIDDEN => return refusal,
        Err(_) => return desk.fallback(asked.trim(), "the request did not come whole"),
    };
    let fields = message.merged(|body| {
        if body.trim_ascii().starts_with(b"{") {
            pairs::read_json(body)
        } else {
            pairs::read(body)
        }
    });
    let called = fields.as_ref().map(number).unwrap_or_default();
    let called = called.trim();
    let event = fields.and_then(cti_bridge::event);
    let asks = match &event {
        Ok(event) => Action::of(event) == Action::Request,
        Err(_) => !notice,
    };
    if !asks {
        return desk.kept(Dialect::CtiBridge, event).await;
    }
    let event = match event {
        Ok(event) => event,
        Err(why) => {
            count(&desk.counts.of(Dialect::CtiBridge).refused);
            return desk.fallback(called, &why.to_string());
        }
    };
    let decided = desk.routes.decide(called);
    let counts = desk.counts.of(Dialect::CtiBridge);
    match timeout_at(deadline, desk.door.keep(event)).await {
        Ok(Ok(())) => {
            count(&counts.taken);
            desk.instruction(&decided)
        }
        Ok(Err(_)) | Err(_) => {
            count(&counts.unkept);
            desk.fallback(called, "the request could not be kept in time")
        }
    }
}

/// A request, taken apart.
struct Message {
    query: String,
    content_type: String,
    body: Vec<u8>,
}

impl Message {
    /// The pairs of body and query; the body's count where both have one.
    fn merged(&self, read: impl Fn(&[u8]) -> Result<Fields, BadEvent>) -> Result<Fields, BadEvent> {
        let mut fields = read(&self.body)?;
        pairs::merge(&mut fields, astercc::message::read(self.query.as_bytes())?);
        if fields.len() > super::event::MOST_FIELDS {
            return Err(BadEvent::TooMany);
        }
        Ok(fields)
    }
}

impl Desk {
    /// The answer to somebody without the secret: it is shown in the header, or as the last segment of the path.
    fn refuses(&self, request: &Request) -> Option<Response> {
        let header = request.headers().get("x-cdrelay-secret");
        let segment = request.uri().path().rsplit('/').next().unwrap_or_default();
        let segment: Vec<u8> = percent_decode_str(segment).collect();
        let shown = [header.map_or(&b""[..], HeaderValue::as_bytes), &segment];
        if self.gate.opens_to(&shown) {
            return None;
        }
        count(&self.counts.strangers);
        Some(text(
            StatusCode::FORBIDDEN,
            "the secret is missing or wrong; send it in the header X-Cdrelay-Secret, or as the last segment of the path",
        ))
    }

    /// Reads a whole request of somebody who has the secret.
    async fn message(
        &self,
        request: Request,
        dialect: Dialect,
        body_deadline: Duration,
    ) -> Result<Message, Response> {
        if let Some(refusal) = self.refuses(&request) {
            return Err(refusal);
        }
        self.whole(request, body_deadline)
            .await
            .map_err(|(status, why)| {
                count(&self.counts.of(dialect).refused);
                text(status, why)
            })
    }

    /// The whole of a request, or with which status and words it is refused. A connection counts as served once its body is
    /// there, and makes no room for another.
    async fn whole(
        &self,
        request: Request,
        body_deadline: Duration,
    ) -> Result<Message, (StatusCode, &'static str)> {
        const TOO_LONG: (StatusCode, &str) =
            (StatusCode::PAYLOAD_TOO_LARGE, "an event has at most 1 MiB");
        if !matches!(*request.method(), Method::GET | Method::POST | Method::PUT) {
            let why = "events come by GET or POST";
            return Err((StatusCode::METHOD_NOT_ALLOWED, why));
        }
        let visit = request.extensions().get::<Arc<Visit>>().cloned();
        let content_type = request
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_owned();
        let query = request.uri().query().unwrap_or_default().to_owned();
        let length = hyper::body::Body::size_hint(request.body()).exact();
        if length.is_some_and(|length| length > BODY_BYTES as u64) {
            return Err(TOO_LONG);
        }
        let read = async {
            let small = length.is_some_and(|length| length <= SMALL_BODY);
            // Never closed, so there is always a permit to wait for.
            let _permit = if small {
                None
            } else {
                self.long_bodies.0.acquire().await.ok()
            };
            axum::body::to_bytes(request.into_body(), BODY_BYTES).await
        };
        let body = match timeout(body_deadline, read).await {
            Ok(Ok(body)) => body.to_vec(),
            // Without a length, the bound is the likelier reason.
            Ok(Err(_)) if length.is_none() => return Err(TOO_LONG),
            Ok(Err(_)) => return Err((StatusCode::BAD_REQUEST, "the body broke off")),
            Err(_elapsed) => {
                let why = "the body did not come in time";
                return Err((StatusCode::REQUEST_TIMEOUT, why));
            }
        };
        if let Some(visit) = visit {
            visit.is_served(true);
        }
        let body = if parts::comes_in_parts(&content_type) {
            let why =
                "the message cannot be read: it does not come in the parts that its type announces";
            parts::as_pairs(&body, &content_type).ok_or((StatusCode::BAD_REQUEST, why))?
        } else {
            body
        };
        Ok(Message {
            query,
            content_type,
            body,
        })
    }

    /// Keeps an event, and only then says so.
    async fn kept(&self, dialect: Dialect, event: Result<Event, BadEvent>) -> Response {
        let counts = self.counts.of(dialect);
        let event = match event {
            Ok(event) => event,
            Err(why) => {
                count(&counts.refused);
                let why = Shown(&why.to_string()).to_string();
                tracing::warn!(dialect = dialect.as_str(), "an event was refused: {why}");
                return text(StatusCode::BAD_REQUEST, &why);
            }
        };
        match timeout(KEEP_DEADLINE, self.door.keep(event)).await {
            Ok(Ok(())) => {
                count(&counts.taken);
                text(StatusCode::OK, "ok")
            }
            Ok(Err(Unkept::Busy | Unkept::Failed)) | Err(_) => {
                count(&counts.unkept);
                let mut response = text(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "the event could not be kept; send it again",
                );
                let soon = HeaderValue::from_static("1");
                response.headers_mut().insert(header::RETRY_AFTER, soon);
                response
            }
        }
    }

    fn fallback(&self, number: &str, why: &str) -> Response {
        self.instruction(&self.routes.fall_back(number, why.to_owned()))
    }

    fn instruction(&self, decided: &Decided) -> Response {
        if let Some(why) = &decided.fallback {
            count(&self.counts.fallbacks);
            tracing::warn!("cti_bridge gets the fallback: {}", Shown(why));
        }
        let mut response = Response::new(Body::from(decided.instruction.to_string()));
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        response
    }
}

fn text(status: StatusCode, words: &str) -> Response {
    let mut response = Response::new(Body::from(format!("{words}\n")));
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    response
}
