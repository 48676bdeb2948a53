//! What the ledger knows about a call, and what it is told.

use crate::call::{Disposition, Identity, Origin, WireForm};
use crate::target::Receipt;

/// The state of a call, as the reports and `calls --state` name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum State {
    /// The CRM holds it: created, or there before.
    Delivered,
    /// Deleted for good: kept out until `--resend`.
    Withdrawn,
    /// No contact has the number; may change.
    Unmatched,
    /// The CRM refused this call for good.
    Rejected,
    /// Due; see [`PendingReason`].
    Pending,
    /// Intent recorded, answer not: the next run takes it up as pending.
    InFlight,
    /// Outcome unknown on a CRM without a natural key: a person decides.
    Held,
}

impl State {
    /// Every state, settled ones first.
    pub const ALL: [Self; 7] = [
        Self::Delivered,
        Self::Withdrawn,
        Self::Unmatched,
        Self::Rejected,
        Self::Pending,
        Self::InFlight,
        Self::Held,
    ];

    /// The word in reports, metrics and flags.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Withdrawn => "withdrawn",
            Self::Unmatched => "unmatched",
            Self::Rejected => "rejected",
            Self::Pending => "pending",
            Self::InFlight => "in_flight",
            Self::Held => "held",
        }
    }

    /// Reads [`State::as_str`]; `None` for any other word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }

    /// The number in the ledger's `calls.state`.
    pub(super) const fn code(self) -> i64 {
        match self {
            Self::Delivered => 0,
            Self::Withdrawn => 1,
            Self::Unmatched => 2,
            Self::Rejected => 3,
            Self::Pending => 4,
            Self::InFlight => 5,
            Self::Held => 6,
        }
    }

    /// Reads [`State::code`].
    pub(super) fn from_code(code: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.code() == code)
    }

    /// Whether the partial index over calls that are not settled holds it.
    pub(super) const fn is_unsettled(self) -> bool {
        self.code() > 1
    }
}

/// Why a pending call is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PendingReason {
    /// Its wire form is frozen, and nothing was ever sent.
    New,
    /// An attempt ended without a verdict.
    Retry,
    /// A deletion may have taken it with it, depending on how the CRM reads its bounds: sent again, to be sure.
    Verify,
    /// Deleted from the CRM, to be sent again with the same bytes.
    Deleted,
    /// Deleted from the CRM, confirmed: today's wire form replaces the frozen one.
    Rebuild,
}

impl PendingReason {
    /// Every reason.
    pub const ALL: [Self; 5] = [
        Self::New,
        Self::Retry,
        Self::Verify,
        Self::Deleted,
        Self::Rebuild,
    ];

    /// The word that `calls` shows.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Retry => "retry",
            Self::Verify => "verify",
            Self::Deleted => "deleted",
            Self::Rebuild => "rebuild",
        }
    }

    /// The number in the ledger's `calls.reason`.
    pub(super) const fn code(self) -> i64 {
        match self {
            Self::New => 0,
            Self::Retry => 1,
            Self::Verify => 2,
            Self::Deleted => 3,
            Self::Rebuild => 4,
        }
    }

    /// Reads [`PendingReason::code`].
    pub(super) fn from_code(code: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.code() == code)
    }
}

/// Runs in a row without a verdict after which a call is *stuck*: it is still due, and goes last.
pub const STUCK_AFTER: u32 = 3;

/// Why a call that is due cannot be sent: the source is the truth, and what it does not give is not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Missing {
    /// Nothing is in the way.
    #[default]
    Nothing,
    /// The source does not hold its row any more.
    Row,
    /// The source holds its row, and `[select]` leaves it out.
    Selection,
}

impl Missing {
    const ALL: [Self; 3] = [Self::Nothing, Self::Row, Self::Selection];

    /// The number in the ledger's `calls.missing`.
    pub(super) const fn code(self) -> i64 {
        match self {
            Self::Nothing => 0,
            Self::Row => 1,
            Self::Selection => 2,
        }
    }

    /// Reads [`Missing::code`].
    pub(super) fn from_code(code: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|missing| missing.code() == code)
    }
}

impl Entry {
    /// Whether its frozen key stands for it at the CRM, now or soon: no other call may take it. A call that waits for
    /// today's form has none, and one that is due without a row is never sent.
    #[must_use]
    pub fn holds_its_key(&self) -> bool {
        if self.pending == Some(PendingReason::Rebuild) {
            return false;
        }
        match self.state {
            State::Pending | State::InFlight => self.missing == Missing::Nothing,
            State::Delivered
            | State::Withdrawn
            | State::Unmatched
            | State::Rejected
            | State::Held => true,
        }
    }
}

/// What the ledger holds about one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// How it is known.
    pub identity: Identity,
    /// What became of it.
    pub state: State,
    /// Why it is due: `Some` where `state` is pending. A withdrawn call has [`PendingReason::Rebuild`] where a rebuild
    /// found nothing to send in its place: it is sent as soon as there is something.
    pub pending: Option<PendingReason>,
    /// Times that it was sent, or about to be sent when the run was killed. Retries within one run count as one.
    pub attempts: u32,
    /// Runs in a row, up to the last one that tried, in which it got no verdict; 0 in any state but pending (*retry*).
    pub unanswered: u32,
    /// When the last attempt's end was recorded, Unix seconds.
    pub last_attempt: Option<i64>,
    /// [`WireForm::content_hash`] of the frozen wire form.
    pub content_hash: i64,
    /// Whether it is on record as drifting.
    pub drift: bool,
    /// Why it cannot be sent although it is due, as the last run over it saw.
    pub missing: Missing,
    /// The CRM's last word that it holds the call.
    pub receipt: Receipt,
    /// The frozen wire form, where it was asked for; see [`Wires`].
    pub wire: Option<WireForm>,
}

/// Where a call stands: all of its entry that bears on the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// What became of it.
    pub state: State,
    /// As [`Entry::pending`].
    pub pending: Option<PendingReason>,
    /// As [`Entry::last_attempt`].
    pub last_attempt: Option<i64>,
    /// As [`Entry::content_hash`].
    pub content_hash: i64,
    /// As [`Entry::drift`].
    pub drift: bool,
}

impl Entry {
    /// What of it bears on the plan.
    #[must_use]
    pub fn standing(&self) -> Standing {
        Standing {
            state: self.state,
            pending: self.pending,
            last_attempt: self.last_attempt,
            content_hash: self.content_hash,
            drift: self.drift,
        }
    }

    /// Whether it got no verdict in so many runs that the others go first.
    #[must_use]
    pub fn is_stuck(&self) -> bool {
        self.unanswered >= STUCK_AFTER
    }
}

/// For which entries the wire form is read along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wires {
    /// Those not settled: all that a run without `--resend` can send.
    Due,
    /// Every one.
    All,
}

/// A call that is about to be sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Intent {
    /// How it is known.
    pub identity: Identity,
    /// The form to freeze, for a call that the ledger does not know or that is to be rebuilt. `None`: what is frozen.
    pub wire: Option<WireForm>,
    /// Its start as an instant, Unix seconds.
    pub instant: i64,
    /// The representing row.
    pub origin: Origin,
    /// Outcome of the representing row.
    pub disposition: Disposition,
}

/// How an intent ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recorded {
    /// The CRM holds the call.
    Delivered(Receipt),
    /// No contact has the number.
    Unmatched {
        /// The CRM's words.
        reason: String,
    },
    /// Refused for good.
    Rejected {
        /// The CRM's words.
        reason: String,
    },
    /// Sent, perhaps, and no verdict: due again.
    Pending {
        /// What went wrong, free of secrets.
        reason: String,
    },
    /// Sent, perhaps, no verdict, on a CRM without a natural key: a person decides.
    Held {
        /// What went wrong, free of secrets.
        reason: String,
    },
    /// The CRM's word that it holds the call is not to be believed: sent again, to be sure. The one outcome that a
    /// delivered call can have without a new intent.
    Doubted {
        /// What is wrong with it, free of secrets.
        reason: String,
    },
    /// Never sent: back to the state before the intent, and not counted as an attempt.
    NotAttempted,
}

/// An identity that gives the same wire key as another one and was folded into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collision {
    /// The one that was folded: the CRM never gets it.
    pub folded: Identity,
    /// The one that owns the key.
    pub owner: Identity,
}
