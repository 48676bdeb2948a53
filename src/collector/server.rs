//! The HTTP side: connections, and how long everything about them may take.
//!
//! hyper serves one connection at a time; this file bounds their number, the wait for a head, and their lifetime. What the
//! requests on them get is [`super::desk`]'s business.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;
use tower_service::Service as _;

use super::counts::count;
use super::desk::{Desk, routes};
use super::gate::{House, Place};

/// How long a connection may wait for the head of its next request: on loopback or a local network, an age.
const HEAD_DEADLINE: Duration = Duration::from_secs(10);

/// How long a connection may last: who never reads his answers holds it no longer.
const LIFETIME: Duration = Duration::from_secs(600);

/// How long connections get for their last answer when the collector stops.
const FAREWELL: Duration = Duration::from_secs(10);

/// Most bytes of a head.
const HEAD_BYTES: usize = 32 * 1024;

/// Serves until `stop` says so: then no new request is taken, and those that are there get their answers.
pub async fn serve(
    listener: TcpListener,
    desk: Desk,
    connections: usize,
    mut stop: watch::Receiver<bool>,
) {
    let desk = Arc::new(desk);
    let router = routes(Arc::clone(&desk));
    let house = Arc::new(House::new(connections));
    let mut guests = tokio::task::JoinSet::new();
    loop {
        while guests.try_join_next().is_some() {}
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopped(&mut stop) => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of files, or a connection that is gone again: others end meanwhile.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            }
        };
        count(&desk.counts.connections);
        let place = loop {
            match house.enter() {
                Some((place, displaced)) => {
                    if displaced {
                        count(&desk.counts.displaced);
                    }
                    break place;
                }
                // Everybody is being served, which does not last.
                None => house.somebody_left().await,
            }
        };
        // Without it an answer may wait for the acknowledgement of the last one.
        let _ = stream.set_nodelay(true);
        let (router, stop) = (router.clone(), stop.clone());
        guests.spawn(connection(TokioIo::new(stream), peer, router, place, stop));
    }
    drop(listener);
    let all_gone = async { while guests.join_next().await.is_some() {} };
    if timeout(FAREWELL, all_gone).await.is_err() {
        tracing::warn!("connections were cut that did not end by themselves");
    }
}

/// Waits until the collector is to stop; a channel that is gone says so, too.
pub(super) async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn connection(
    stream: TokioIo<tokio::net::TcpStream>,
    peer: SocketAddr,
    router: Router,
    place: Place,
    mut stop: watch::Receiver<bool>,
) {
    let place = Arc::new(place);
    let visit = Arc::clone(&place.visit);
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let (mut router, place) = (router.clone(), Arc::clone(&place));
        async move {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(Arc::clone(&place.visit));
            let answer = router.call(request).await;
            place.begins_anew();
            answer
        }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_DEADLINE)
        .max_buf_size(HEAD_BYTES)
        .max_headers(64)
        .serve_connection(stream, service);
    let mut served = std::pin::pin!(served);
    let lifetime = tokio::time::sleep(LIFETIME);
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        () = visit.asked_to_leave() => return,
        () = lifetime => {
            served.as_mut().graceful_shutdown();
            timeout(FAREWELL, served.as_mut()).await.unwrap_or(Ok(()))
        }
        () = stopped(&mut stop) => {
            served.as_mut().graceful_shutdown();
            served.as_mut().await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, %peer, "a connection broke");
    }
}
