//! Which connections gave a whole reply and were kept: only one of them can have been closed while it was idle.

use std::collections::{HashSet, VecDeque};
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hyper::http::Extensions;
use hyper_util::client::legacy::Error as PoolError;
use hyper_util::client::legacy::connect::HttpInfo;

/// Connections, by their address on this side; the oldest are forgotten.
#[derive(Debug)]
pub(super) struct Kept {
    known: Mutex<Known>,
    limit: usize,
}

#[derive(Debug, Default)]
struct Known {
    set: HashSet<SocketAddr>,
    /// In the order in which they became known.
    order: VecDeque<SocketAddr>,
}

impl Kept {
    /// `connections`: most that are kept at a time. The pool opens a few more now and then.
    pub(super) fn new(connections: usize) -> Self {
        Self {
            known: Mutex::default(),
            limit: connections.saturating_mul(4),
        }
    }

    /// A connection gave a whole reply.
    pub(super) fn replied(&self, connection: Option<SocketAddr>) {
        let Some(address) = connection else { return };
        let mut known = self.known();
        if known.set.insert(address) {
            known.order.push_back(address);
            if known.order.len() > self.limit
                && let Some(oldest) = known.order.pop_front()
            {
                known.set.remove(&oldest);
            }
        }
    }

    /// Whether the request that failed so went out over a connection which had given a whole reply before. It is not
    /// known any more after that.
    pub(super) fn forget(&self, error: &PoolError) -> bool {
        let Some(address) = failed_on(error) else {
            return false;
        };
        let mut known = self.known();
        let was_known = known.set.remove(&address);
        if was_known {
            known.order.retain(|other| *other != address);
        }
        was_known
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Nothing that runs under the lock leaves the list half written.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The connection that a reply came over.
pub(super) fn came_over(extensions: &Extensions) -> Option<SocketAddr> {
    Some(extensions.get::<HttpInfo>()?.local_addr())
}

/// The connection that a request failed on, where there was one.
fn failed_on(error: &PoolError) -> Option<SocketAddr> {
    let connected = error.connect_info()?;
    let mut extras = Extensions::new();
    connected.get_extras(&mut extras);
    Some(extras.get::<HttpInfo>()?.local_addr())
}
