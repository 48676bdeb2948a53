//! What to do about a call: pure, by what the ledger holds and what today's settings would send.

use super::entry::{PendingReason, Standing, State};

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
pub fn plan(known: Option<Standing>, today: Option<i64>, ctx: &PlanContext) -> Decision {
    let Some(known) = known else {
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
    let action = match known.state {
        State::Delivered if ctx.resend => Action::Resend,
        State::Delivered => Action::Settled,
        // Nothing of it is at the CRM: today's form, or nothing.
        State::Pending | State::Withdrawn if known.pending == Some(PendingReason::Rebuild) => {
            if today.is_some() {
                Action::Send
            } else {
                Action::Dropped
            }
        }
        State::Withdrawn if ctx.resend => Action::Resend,
        State::Withdrawn => Action::Withdrawn,
        State::Unmatched if ctx.full || ctx.resend || rested(&known, ctx) => Action::Recheck,
        State::Unmatched => Action::Settled,
        State::Rejected if ctx.full || ctx.resend => Action::Resend,
        State::Rejected => Action::Settled,
        State::Pending | State::InFlight => Action::Resend,
        State::Held => Action::Held,
    };
    // What is not at the CRM and not to be sent by its frozen form has nothing that could drift.
    let drift = match action {
        Action::Send | Action::Dropped | Action::Withdrawn => false,
        Action::Resend | Action::Recheck | Action::Settled | Action::Held => {
            today != Some(known.content_hash)
        }
    };
    Decision { action, drift }
}

/// Whether an unmatched call has rested long enough to be asked about again.
fn rested(known: &Standing, ctx: &PlanContext) -> bool {
    known.last_attempt.is_none_or(|at| at < ctx.recheck_before)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::{ColumnTime, Fold, Identity, RawNumber};
    use crate::ledger::{Entry, Missing};
    use crate::target::Receipt;

    /// Content hash of the frozen form of every entry here.
    const FROZEN: i64 = 7;
    /// Another one.
    const OTHER: i64 = 8;

    const INCREMENTAL: PlanContext = PlanContext {
        full: false,
        resend: false,
        recheck_before: 1_000,
    };
    const FULL: PlanContext = PlanContext {
        full: true,
        ..INCREMENTAL
    };
    const RESEND: PlanContext = PlanContext {
        resend: true,
        ..INCREMENTAL
    };

    fn entry(state: State, pending: Option<PendingReason>, last_attempt: Option<i64>) -> Entry {
        Entry {
            identity: Identity {
                start: ColumnTime(0),
                fold: Fold(0),
                source: RawNumber("100".into()),
                destination: RawNumber("95550100".into()),
            },
            state,
            pending,
            attempts: 1,
            unanswered: 0,
            last_attempt,
            content_hash: FROZEN,
            drift: false,
            missing: Missing::Nothing,
            receipt: Receipt::default(),
            wire: None,
        }
    }

    /// The actions in an incremental run, a full one and one with `--resend`, while today's form is the frozen one;
    /// then whether another form, and none, is drift, in an incremental run.
    #[track_caller]
    fn check(entry: &Entry, actions: [Action; 3], drifts: [bool; 2]) {
        for (ctx, action) in [INCREMENTAL, FULL, RESEND].iter().zip(actions) {
            let expected = Decision {
                action,
                drift: false,
            };
            assert_eq!(
                plan(Some(entry.standing()), Some(FROZEN), ctx),
                expected,
                "{ctx:?}"
            );
        }
        for (today, drift) in [Some(OTHER), None].into_iter().zip(drifts) {
            let decision = plan(Some(entry.standing()), today, &INCREMENTAL);
            assert_eq!(decision.drift, drift, "{today:?}");
            if entry.pending != Some(PendingReason::Rebuild) {
                assert_eq!(decision.action, actions[0], "today's form decides nothing");
            }
        }
    }

    #[test]
    fn known_calls_are_planned_by_their_state() {
        use Action::{Held, Recheck, Resend, Settled, Withdrawn};
        let at = |state| entry(state, None, Some(1_000));
        check(
            &at(State::Delivered),
            [Settled, Settled, Resend],
            [true, true],
        );
        check(
            &at(State::Withdrawn),
            [Withdrawn, Withdrawn, Resend],
            [false, false],
        );
        check(
            &at(State::Unmatched),
            [Settled, Recheck, Recheck],
            [true, true],
        );
        check(
            &at(State::Rejected),
            [Settled, Resend, Resend],
            [true, true],
        );
        check(&at(State::InFlight), [Resend, Resend, Resend], [true, true]);
        check(&at(State::Held), [Held, Held, Held], [true, true]);
    }

    #[test]
    fn pending_calls_are_due_in_every_run() {
        for reason in PendingReason::ALL {
            if reason != PendingReason::Rebuild {
                let pending = entry(State::Pending, Some(reason), None);
                check(&pending, [Action::Resend; 3], [true, true]);
            }
        }
    }

    #[test]
    fn a_rebuilt_call_takes_todays_form() {
        // Withdrawn, because there was nothing to send in its place before.
        for state in [State::Pending, State::Withdrawn] {
            let pending = entry(state, Some(PendingReason::Rebuild), Some(0));
            check(&pending, [Action::Send; 3], [false, false]);
            for ctx in [INCREMENTAL, FULL, RESEND] {
                let action = |today| plan(Some(pending.standing()), today, &ctx).action;
                assert_eq!(action(Some(OTHER)), Action::Send);
                assert_eq!(action(None), Action::Dropped);
            }
        }
    }

    #[test]
    fn unknown_calls_are_sent_unless_the_rules_drop_them() {
        for ctx in [INCREMENTAL, FULL, RESEND] {
            let send = Decision {
                action: Action::Send,
                drift: false,
            };
            assert_eq!(plan(None, Some(FROZEN), &ctx), send);
            let dropped = Decision {
                action: Action::Dropped,
                drift: false,
            };
            assert_eq!(plan(None, None, &ctx), dropped);
        }
    }

    #[test]
    fn an_unmatched_call_is_asked_about_again_once_it_has_rested() {
        let action = |last| {
            plan(
                Some(entry(State::Unmatched, None, last).standing()),
                None,
                &INCREMENTAL,
            )
            .action
        };
        assert_eq!(action(Some(999)), Action::Recheck);
        assert_eq!(action(Some(1_000)), Action::Settled);
        assert_eq!(action(Some(1_001)), Action::Settled);
        assert_eq!(action(None), Action::Recheck);
    }
}

#[cfg(test)]
mod properties;
