//! The practice CRM: a web service with NiMbox's semantics, on loopback only, in memory only.
//!
//! It serves `cdrelay sandbox`, the demo and the tests. It keys calls by start, source and destination, answers an
//! unknown number with the documented refusal, and lets its caller choose what NiMbox's documentation leaves open:
//! [`Duplicates`], [`DeleteReading`] and [`DayZone`]. One thread, one map, no lock that is held across a wait.
//!
//! `GET /stats` gives [`Stats`] as one JSON object, `GET /calls` what it holds as JSON lines; both without credentials.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use anyhow::{Context as _, bail};
use serde::Serialize;
use tokio::sync::oneshot;
use url::Url;

use self::gate::Gate;
pub use self::options::{
    Contacts, Credentials, DayZone, DeleteReading, DigestAlgorithm, Duplicates, SandboxOptions,
};
use self::state::State;

mod gate;
mod options;
mod query;
mod server;
mod service;
mod state;
mod wire_time;

/// What a sandbox has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Stats {
    /// Calls that it holds.
    pub calls: u64,
    /// Requests to the web service, whatever came of them; `/stats` and `/calls` do not count.
    pub requests: u64,
    /// Calls created.
    pub created: u64,
    /// Creates of calls that it held.
    pub existing: u64,
    /// Creates for numbers that it does not know.
    pub unmatched: u64,
    /// Requests refused for another reason: token, missing or unreadable parameters.
    pub refused: u64,
    /// Deletions carried out.
    pub deletes: u64,
    /// Calls that these deleted.
    pub deleted: u64,
    /// Connections accepted.
    pub connections: u64,
    /// Most requests that were being answered at one time.
    pub in_flight_max: u64,
}

/// A call that a sandbox holds. The order is that of [`RunningSandbox::calls`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HeldCall {
    /// The start, as sent.
    pub initiated: String,
    /// The caller, as sent.
    pub source: String,
    /// The number called, as sent.
    pub destination: String,
    /// Seconds, where sent.
    pub duration: Option<u64>,
    /// The link, where sent.
    pub url: Option<String>,
    /// The sandbox's id of the call; ascending.
    pub phonecall_id: i64,
    /// The contact that has the destination.
    pub contact_id: i64,
}

/// The way in: [`Sandbox::start`].
#[derive(Debug, Clone, Copy)]
pub struct Sandbox;

/// A sandbox at work on a thread of its own. Dropping it stops it.
pub struct RunningSandbox {
    /// Where it listens.
    pub addr: SocketAddr,
    /// The same as a base address, for `target.url`.
    pub url: Url,
    state: Arc<Mutex<State>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Sandbox {
    /// Starts a sandbox on a thread of its own; it listens when this returns.
    ///
    /// # Errors
    /// The address is not a loopback address, or is taken, or the thread cannot be started.
    pub fn start(options: SandboxOptions) -> anyhow::Result<RunningSandbox> {
        let listen = options.listen;
        if !listen.ip().is_loopback() {
            bail!(
                "the sandbox listens on this machine only, and {} is reachable from others; use 127.0.0.1:{} or [::1]:{}",
                listen.ip(),
                listen.port(),
                listen.port()
            );
        }
        let listener = std::net::TcpListener::bind(listen).with_context(|| {
            format!(
                "the sandbox cannot listen on {listen}; another program may, so choose another port, or port 0 for a free \
                 one"
            )
        })?;
        listener
            .set_nonblocking(true)
            .context("the sandbox's socket cannot be set up")?;
        let addr = listener
            .local_addr()
            .context("the sandbox's socket has no address")?;
        let url =
            Url::parse(&format!("http://{addr}/")).context("the sandbox's address is no URL")?;
        let gate = Gate::new(options.credentials);
        let latency = options.latency;
        let state = Arc::new(Mutex::new(State::new(
            options.token,
            options.contacts,
            options.duplicates,
            options.days,
            options.day_zone,
        )));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("the sandbox's runtime cannot be started")?;
        let (stop, stopped) = oneshot::channel();
        let shared = Arc::clone(&state);
        let thread = std::thread::Builder::new()
            .name("sandbox".to_owned())
            .spawn(move || server::run(&runtime, listener, shared, gate, latency, stopped))
            .context("the sandbox's thread cannot be started")?;
        Ok(RunningSandbox {
            addr,
            url,
            state,
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl RunningSandbox {
    /// What it has seen so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.state().stats()
    }

    /// What it holds, sorted by start, source and destination.
    #[must_use]
    pub fn calls(&self) -> Vec<HeldCall> {
        self.state().calls()
    }

    /// Stops it: connections are closed, its thread has ended when this returns.
    pub fn stop(mut self) {
        self.halt();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn halt(&mut self) {
        if let Some(stop) = self.stop.take() {
            // Fails where the thread has ended by itself, which is what is wanted.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported there; it must not become a second one in a drop.
            let _ = thread.join();
        }
    }
}

impl Drop for RunningSandbox {
    fn drop(&mut self) {
        self.halt();
    }
}

impl fmt::Debug for RunningSandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunningSandbox")
            .field("addr", &self.addr)
            .finish_non_exhaustive()
    }
}

/// The state is whole after every step, so a panic elsewhere does not spoil it.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
