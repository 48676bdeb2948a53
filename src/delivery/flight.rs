//! A call's way through the engine: waiting, in flight, between two attempts, back.

use std::sync::Arc;

use tokio::time::Instant;

use super::{Fate, Parcel, Settled};
use crate::call::WireForm;
use crate::target::Outcome;

/// A call that is not in flight.
pub(super) struct Waiting<T> {
    pub(super) ticket: T,
    /// Shared with the request, so that the call can be given back when the request is given up.
    pub(super) call: Arc<WireForm>,
    pub(super) attempts: u32,
    /// Whether any of its requests may have reached the CRM.
    pub(super) left: bool,
    /// Why the last attempt brought no verdict.
    pub(super) trouble: String,
}

/// A call between two attempts; the earliest due comes first out of a [`std::collections::BinaryHeap`].
pub(super) struct Retry<T> {
    pub(super) due: Instant,
    pub(super) waiting: Waiting<T>,
}

/// A call whose answer is out.
pub(super) struct Flight<T> {
    pub(super) waiting: Waiting<T>,
    pub(super) started: Instant,
}

/// A request that came to its end.
pub(super) struct Landing {
    /// Where its call waits.
    pub(super) place: usize,
    pub(super) outcome: Outcome,
}

impl<T> Waiting<T> {
    pub(super) fn new(parcel: Parcel<T>) -> Self {
        Self {
            ticket: parcel.ticket,
            call: Arc::new(parcel.call),
            attempts: 0,
            left: false,
            trouble: String::new(),
        }
    }

    pub(super) fn back(self, fate: Fate) -> Settled<T> {
        Settled {
            parcel: Parcel {
                ticket: self.ticket,
                call: Arc::unwrap_or_clone(self.call),
            },
            fate,
            attempts: self.attempts,
        }
    }
}

impl<T> Ord for Retry<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        other.due.cmp(&self.due)
    }
}
impl<T> PartialOrd for Retry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<T> PartialEq for Retry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.due == other.due
    }
}
impl<T> Eq for Retry<T> {}
