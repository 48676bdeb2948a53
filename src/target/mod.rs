//! Where calls go: one trait, one file a CRM.
//!
//! A target turns one call into requests and the reply into an [`Outcome`]. It does not retry, keeps no record, and has
//! never heard of SQL. [`http`] is the one HTTP client; [`dry_run`] is a target that sends nothing.
//!
//! A new CRM is one file and one line: the file implements [`CrmTarget`] (`examples/custom_target.rs` is one to start
//! from), the line is an arm of [`connect`].

use std::time::Duration;

use chrono::NaiveDate;
use futures_util::future::{BoxFuture, FutureExt as _};
use serde_json::Value;

use crate::call::WireForm;
use crate::config::{OnUnknown, TargetConfig, TargetKind};

pub mod bgcrm;
pub mod dry_run;
pub mod http;
pub mod nimbox;

/// What became of one attempt to deliver one call. Data, not an error: the engine decides what to do about it.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The CRM holds the call.
    Delivered(Receipt),
    /// No contact has the destination: an ordinary answer that may change.
    Unmatched {
        /// The CRM's words.
        reason: String,
    },
    /// The CRM refused this call for good.
    Rejected {
        /// The CRM's words.
        reason: String,
    },
    /// Nothing can be said about the call: try again.
    NoVerdict(Trouble),
    /// The CRM does not speak as agreed: stop the run, decide nothing about the call.
    Broken {
        /// What is wrong and what to do.
        reason: String,
    },
    /// Nothing was sent, on purpose (`--dry-run`).
    NotSent,
}

/// The CRM's word that it holds a call.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Receipt {
    /// The CRM said that it was there before (or so the ledger concludes from `call_id`).
    pub existing: bool,
    /// The contact whose wall shows it.
    pub contact_id: Option<i64>,
    /// The CRM's own id for the call.
    pub call_id: Option<i64>,
}

/// An attempt without a verdict.
#[derive(Debug, Clone, PartialEq)]
pub struct Trouble {
    /// What kind, which decides how the engine reacts.
    pub kind: TroubleKind,
    /// What happened, free of secrets.
    pub reason: String,
    /// `Retry-After`, as a span from now.
    pub retry_after: Option<Duration>,
}

/// Kinds of trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TroubleKind {
    /// Refused, DNS, unreachable: nothing of the request arrived.
    Unreachable,
    /// No complete answer in time, or 408, 504: pressure.
    Timeout,
    /// 425, 429, 503: the CRM asks for less. From a CRM without keys only where it surely did nothing with the call.
    Busy,
    /// 500, 502, or another 5xx.
    ServerError,
    /// An answer that is none: broken framing, half a JSON, too long, wrong types, reset in mid-reply.
    Garbled,
    /// An HTML page where JSON was due (again and again, it means a login page or a wrong address).
    Html,
}

impl TroubleKind {
    /// Whether the CRM may have done what it was asked for, although it did not say so.
    #[must_use]
    pub fn may_have_acted(self) -> bool {
        match self {
            Self::Unreachable | Self::Busy => false,
            Self::Timeout | Self::ServerError | Self::Garbled | Self::Html => true,
        }
    }
}

/// What a CRM knows calls by, and so what a second request for one call does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keying {
    /// Start, source and destination, as NiMbox does: a second request changes nothing, and of two calls with one key it
    /// keeps one.
    Keyed,
    /// Nothing: every request counts, and no two calls are one.
    Keyless {
        /// What to do about a call that the CRM may have acted upon without saying so.
        on_unknown: OnUnknown,
    },
}

impl Keying {
    /// Whether a call whose outcome is unknown must not be sent again.
    #[must_use]
    pub fn holds_unknown(self) -> bool {
        self == Self::Keyless {
            on_unknown: OnUnknown::Hold,
        }
    }
}

/// What deleting a range of days came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deletion {
    /// Done; how many calls the CRM says it deleted.
    Deleted {
        /// The reply's `count`.
        count: u64,
    },
    /// The CRM refused, strictly: nothing was deleted.
    Refused {
        /// The CRM's words.
        reason: String,
    },
    /// The request never reached the CRM: nothing was deleted.
    NotSent {
        /// Why.
        reason: String,
    },
    /// No verdict: deleted or not, nobody knows.
    Unknown {
        /// Why.
        reason: String,
    },
    /// The CRM does not speak as agreed.
    Broken {
        /// What is wrong and what to do.
        reason: String,
    },
}

/// How the CRM bounds a deletion of the days `from..=to`: what goes over the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeleteBounds {
    /// The date sent as the lower bound.
    pub from: NaiveDate,
    /// The date sent as the upper bound.
    pub to: NaiveDate,
}

/// What [`CrmTarget::probe`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// Reachable, speaks as agreed, accepts the token. A sentence for `check`.
    Ready(String),
    /// Not reachable now, or overloaded.
    Unavailable(String),
    /// Reachable, and does not speak as agreed (token, credentials, TLS, redirect, HTML).
    Broken(String),
}

/// A CRM.
///
/// # Contract
///
/// - [`CrmTarget::deliver`] may be called again with the same call, and concurrently.
/// - It does not retry by itself and ends within its deadline; the engine gives up one that does not. Two repetitions are none of the engine's business: one with
///   credentials after a 401, and one where a kept connection turned out to be closed.
/// - It reports; it does not judge the run. An `Outcome` carries no secret.
/// - A target without keys ([`CrmTarget::keying`]) answers with trouble that [may have acted](TroubleKind::may_have_acted)
///   unless it is sure that nothing was done: such a call is never sent again by itself. `Broken` says that nothing was.
pub trait CrmTarget: Send + Sync {
    /// Delivers one call: one attempt.
    fn deliver<'a>(&'a self, call: &'a WireForm) -> BoxFuture<'a, Outcome>;

    /// The same, with the CRM's reply where it is JSON, secrets struck out: what a dialplan may be told of it.
    fn tell<'a>(&'a self, call: &'a WireForm) -> BoxFuture<'a, (Outcome, Option<Value>)> {
        async move { (self.deliver(call).await, None) }.boxed()
    }

    /// Is it there, and does it accept the token? Creates nothing. Only `check` asks.
    fn probe(&self) -> BoxFuture<'_, Probe>;

    /// The bounds that [`CrmTarget::delete`] would send for the days `from..=to`; `None` where the CRM cannot delete.
    fn delete_bounds(&self, from: NaiveDate, to: NaiveDate) -> Option<DeleteBounds>;

    /// Deletes by the bounds that `delete_bounds` gave.
    fn delete(&self, bounds: DeleteBounds) -> BoxFuture<'_, Deletion>;

    /// What the CRM knows calls by. The same for as long as the target exists.
    fn keying(&self) -> Keying {
        Keying::Keyed
    }

    /// How many requests have left since this target exists, where it counts them itself. `None`: each call of
    /// [`CrmTarget::deliver`] that found a connection counts as one. Worth saying only where an attempt can be several
    /// requests (a login) or a connection can fail after all.
    fn requests(&self) -> Option<u64> {
        None
    }
}

/// Prepares the CRM that `target.kind` names; nothing is sent yet.
///
/// # Errors
/// What the configuration names cannot be used, such as an unreadable `ca_file`.
pub fn connect(config: &TargetConfig) -> Result<Box<dyn CrmTarget>, anyhow::Error> {
    match &config.kind {
        TargetKind::Nimbox(own) => Ok(Box::new(nimbox::Nimbox::new(config, own)?)),
        TargetKind::Bgcrm(own) => Ok(Box::new(bgcrm::Bgcrm::new(config, own)?)),
    }
}

/// The request that goes out for a call, as text for people: to the letter what [`CrmTarget::deliver`] sends, but for the
/// word `HIDDEN` in the place of each secret. Nothing is sent.
///
/// # Errors
/// As [`connect`].
pub fn shown_request(config: &TargetConfig, call: &WireForm) -> Result<String, anyhow::Error> {
    match &config.kind {
        TargetKind::Nimbox(_) => nimbox::shown_request(&config.url, call),
        TargetKind::Bgcrm(own) => bgcrm::shown_request(&config.url, own, call),
    }
}

/// A boxed target is a target, so that decorators take what [`connect`] gives.
impl<T: CrmTarget + ?Sized> CrmTarget for Box<T> {
    fn deliver<'a>(&'a self, call: &'a WireForm) -> BoxFuture<'a, Outcome> {
        (**self).deliver(call)
    }

    fn tell<'a>(&'a self, call: &'a WireForm) -> BoxFuture<'a, (Outcome, Option<Value>)> {
        (**self).tell(call)
    }

    fn probe(&self) -> BoxFuture<'_, Probe> {
        (**self).probe()
    }

    fn delete_bounds(&self, from: NaiveDate, to: NaiveDate) -> Option<DeleteBounds> {
        (**self).delete_bounds(from, to)
    }

    fn delete(&self, bounds: DeleteBounds) -> BoxFuture<'_, Deletion> {
        (**self).delete(bounds)
    }

    fn keying(&self) -> Keying {
        (**self).keying()
    }

    fn requests(&self) -> Option<u64> {
        (**self).requests()
    }
}
