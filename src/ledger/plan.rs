//! What to do about a call: pure, by what the ledger holds and what today's settings would send.

use super::entry::{Entry, PendingReason, State};

/// What of the run bears on the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlanContext {
    /// A full run: tries again what the CRM had not matched or had rejected.
    pub full: bool,
    /// `--resend`: delivered, unmatched, rejected and withdrawn calls are due too.
    pub resend: bool,
    /// An unmatched call whose last attempt is older than this instant (Unix seconds) is due in every run.
    pub recheck_before: i64,
}

/// What to do about one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// The step to take.
    pub action: Action,
    /// Whether today's settings or the row as it is today would give another wire form than the frozen one.
    pub drift: bool,
}

/// The steps a run can take about a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Not known, or deleted to be rebuilt: freeze today's wire form and send it.
    Send,
    /// Due again: send the frozen wire form.
    Resend,
    /// Unmatched and due: one call per number goes first, the others follow if it matched. Frozen wire form.
    Recheck,
    /// Nothing: delivered, or answered otherwise and not due yet.
    Settled,
    /// Nothing: deleted for good.
    Withdrawn,
    /// Nothing: a person decides.
    Held,
    /// Nothing: today's rules drop it, and no older form of it is to be sent.
    Dropped,
}

/// Decides about one call.
///
/// `today` is [`crate::call::WireForm::content_hash`] of what today's settings would send; `None` where they drop the
/// call. A call that is known is sent with its frozen bytes whatever `today` says, one exception aside: after a
/// confirmed deletion for `rebuild` nothing of it is left at the CRM, so today's form (or drop) takes its place.
#[must_use]
pub fn plan(entry: Option<&Entry>, today: Option<i64>, ctx: &PlanContext) -> Decision {
    let Some(entry) = entry else {
        let action = if today.is_some() {
            Action::Send
        } else {
            Action::Dropped
        };
        return Decision {
            action,
            drift: false,
        };
    };
    let action = match entry.state {
        State::Delivered if ctx.resend => Action::Resend,
        State::Delivered => Action::Settled,
        State::Withdrawn if ctx.resend => Action::Resend,
        State::Withdrawn => Action::Withdrawn,
        State::Unmatched if ctx.full || ctx.resend || rested(entry, ctx) => Action::Recheck,
        State::Unmatched => Action::Settled,
        State::Rejected if ctx.full || ctx.resend => Action::Resend,
        State::Rejected => Action::Settled,
        State::Pending if entry.pending == Some(PendingReason::Rebuild) => {
            if today.is_some() {
                Action::Send
            } else {
                Action::Dropped
            }
        }
        State::Pending | State::InFlight => Action::Resend,
        State::Held => Action::Held,
    };
    // What is not at the CRM and not to be sent by its frozen form has nothing that could drift.
    let drift = match action {
        Action::Send | Action::Dropped | Action::Withdrawn => false,
        Action::Resend | Action::Recheck | Action::Settled | Action::Held => {
            today != Some(entry.content_hash)
        }
    };
    Decision { action, drift }
}

/// Whether an unmatched call has rested long enough to be asked about again.
fn rested(entry: &Entry, ctx: &PlanContext) -> bool {
    entry.last_attempt.is_none_or(|at| at < ctx.recheck_before)
}
