//! Which connections gave a whole reply and were kept: only one of them can have been closed while it was idle.

use std::collections::VecDeque;
use std::error::Error as StdError;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hyper::http::Extensions;
use hyper_util::client::legacy::Error as PoolError;
use hyper_util::client::legacy::connect::HttpInfo;

/// Connections, by their address on this side; the oldest are forgotten.
#[derive(Debug)]
pub(super) struct Kept {
    known: Mutex<VecDeque<SocketAddr>>,
    limit: usize,
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
        let mut known = self.known();
        if let Some(address) = connection
            && !known.contains(&address)
        {
            known.push_back(address);
            if known.len() > self.limit {
                known.pop_front();
            }
        }
    }

    /// Whether the request that failed so went out over a connection which had given a whole reply before. It is not
    /// known any more after that.
    pub(super) fn forget(&self, error: &(dyn StdError + 'static)) -> bool {
        let Some(address) = failed_on(error) else {
            return false;
        };
        let mut known = self.known();
        let before = known.len();
        known.retain(|other| *other != address);
        known.len() < before
    }

    fn known(&self) -> MutexGuard<'_, VecDeque<SocketAddr>> {
        // Nothing that runs under the lock leaves the list half written.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The connection that a reply came over.
pub(super) fn came_over(response: &reqwest::Response) -> Option<SocketAddr> {
    let info = response.extensions().get::<HttpInfo>()?;
    Some(info.local_addr())
}

/// The connection that a request failed on, where there was one.
fn failed_on(error: &(dyn StdError + 'static)) -> Option<SocketAddr> {
    let mut link = error;
    let pool_error = loop {
        match link.downcast_ref::<PoolError>() {
            Some(found) => break found,
            None => link = link.source()?,
        }
    };
    let connected = pool_error.connect_info()?;
    let mut extras = Extensions::new();
    connected.get_extras(&mut extras);
    Some(extras.get::<HttpInfo>()?.local_addr())
}
