//! The sandbox's HTTP side: one thread, bounded connections, bounded heads, deadlines.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::net::TcpListener;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::oneshot;

use super::gate::{Entry, Gate};
use super::lock;
use super::service::{self, Route};
use super::state::State;

/// How long a connection may wait for the head of its next request.
const HEAD_DEADLINE: Duration = Duration::from_secs(60);

/// Most bytes of a request's head, and so of what one connection holds.
const HEAD_BYTES: usize = 64 * 1024;

/// Most connections at one time: below the usual limit of 1024 open files, of which the rest of the process needs some.
const CONNECTIONS: usize = 768;

/// What the connections share.
struct Shared {
    state: Arc<Mutex<State>>,
    gate: RefCell<Gate>,
    latency: Option<Duration>,
    open: Cell<usize>,
}

/// Serves until told to stop.
pub(super) fn run(
    runtime: &tokio::runtime::Runtime,
    listener: TcpListener,
    state: Arc<Mutex<State>>,
    gate: Gate,
    latency: Option<Duration>,
    stopped: oneshot::Receiver<()>,
) {
    let shared = Rc::new(Shared {
        state,
        gate: RefCell::new(gate),
        latency,
        open: Cell::new(0),
    });
    let local = tokio::task::LocalSet::new();
    // Dropping the set at the end closes the connections that are left.
    local.block_on(runtime, async {
        tokio::select! {
            () = accept(listener, &shared) => {}
            // An error means that the handle is gone, which is an order to stop too.
            _ = stopped => {}
        }
    });
}

async fn accept(listener: TcpListener, shared: &Rc<Shared>) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "the sandbox's socket cannot be used");
            return;
        }
    };
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of files, or a connection that is gone again: others end meanwhile.
                tracing::warn!(%error, "the sandbox could not accept a connection");
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            }
        };
        if shared.open.get() >= CONNECTIONS {
            continue;
        }
        // Without it a reply may wait for the acknowledgement of the last one.
        let _ = stream.set_nodelay(true);
        lock(&shared.state).counts.connections += 1;
        let open = Open::new(Rc::clone(shared));
        tokio::task::spawn_local(async move {
            let shared = &open.0;
            let service = service_fn(move |request| answer(Rc::clone(shared), request));
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_DEADLINE)
                .max_buf_size(HEAD_BYTES)
                .max_headers(64)
                .serve_connection(TokioIo::new(stream), service);
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to the sandbox broke");
            }
        });
    }
}

async fn answer(
    shared: Rc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let route = Route::of(request.uri().path());
    match route {
        Route::Stats => return Ok(json(StatusCode::OK, service::stats(&lock(&shared.state)))),
        Route::Calls => return Ok(json(StatusCode::OK, service::calls(&lock(&shared.state)))),
        Route::Create | Route::Delete | Route::Unknown => {}
    }
    let _inside = Inside::new(&shared.state);
    if let Some(latency) = shared.latency {
        tokio::time::sleep(latency).await;
    }
    let target = request.uri().path_and_query().map_or("/", |t| t.as_str());
    let authorization = request
        .headers()
        .get(AUTHORIZATION)
        .and_then(|value| std::str::from_utf8(value.as_bytes()).ok());
    if let Entry::Challenge(challenge) = shared.gate.borrow_mut().enter(target, authorization) {
        return Ok(challenged(&challenge));
    }
    let query = request.uri().query().unwrap_or("");
    let (status, body) = match (route, request.method()) {
        (Route::Create, &Method::GET) => {
            (StatusCode::OK, service::create(&mut lock(&shared.state), query))
        }
        (Route::Delete, &Method::GET) => {
            (StatusCode::OK, service::delete(&mut lock(&shared.state), query))
        }
        (Route::Create | Route::Delete, _) => (
            StatusCode::METHOD_NOT_ALLOWED,
            r#"{"message":"only GET is served here"}"#.to_owned(),
        ),
        (Route::Unknown | Route::Stats | Route::Calls, _) => (
            StatusCode::NOT_FOUND,
            r#"{"message":"there is nothing here; the services are /direct/items/phonecalls/create and /delete"}"#
                .to_owned(),
        ),
    };
    Ok(json(status, body))
}

fn challenged(challenge: &str) -> Response<Full<Bytes>> {
    let mut response = json(
        StatusCode::UNAUTHORIZED,
        r#"{"message":"credentials are needed"}"#.to_owned(),
    );
    if let Ok(value) = HeaderValue::from_str(challenge) {
        response.headers_mut().insert(WWW_AUTHENTICATE, value);
    }
    response
}

fn json(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/json; charset=utf-8"),
    );
    response
}

/// Counts an open connection, however it ends.
struct Open(Rc<Shared>);

impl Open {
    fn new(shared: Rc<Shared>) -> Self {
        shared.open.set(shared.open.get() + 1);
        Self(shared)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get().saturating_sub(1));
    }
}

/// Counts a request in flight, however it ends: a client that hangs up drops the future.
struct Inside(Arc<Mutex<State>>);

impl Inside {
    fn new(state: &Arc<Mutex<State>>) -> Self {
        lock(state).enter();
        Self(Arc::clone(state))
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        lock(&self.0).leave();
    }
}
