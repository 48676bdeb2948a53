//! Every state, every reason to be pending, every run, every form of today: few enough to go through all of them.

use super::{Action, Decision, PlanContext, plan};
use crate::call::{ColumnTime, Fold, Identity, RawNumber};
use crate::ledger::entry::{Entry, Missing, PendingReason, State};
use crate::target::Receipt;

const FROZEN: i64 = 7;
const RECHECK_BEFORE: i64 = 1_000;

/// Every entry that differs in what a plan can look at.
fn entries() -> Vec<Entry> {
    let mut all = Vec::new();
    for state in State::ALL {
        let reasons: Vec<Option<PendingReason>> = match state {
            State::Pending => PendingReason::ALL.into_iter().map(Some).collect(),
            State::Delivered
            | State::Unmatched
            | State::Rejected
            | State::InFlight
            | State::Held
            | State::Withdrawn => vec![None],
        };
        for pending in reasons {
            for last_attempt in [None, Some(i64::MIN), Some(999), Some(1_000), Some(i64::MAX)] {
                for (attempts, drift) in [(0, false), (1, true), (u32::MAX, false)] {
                    all.push(Entry {
                        identity: Identity {
                            start: ColumnTime(0),
                            fold: Fold(0),
                            source: RawNumber("100".to_owned()),
                            destination: RawNumber("95550100".to_owned()),
                        },
                        state,
                        pending,
                        attempts,
                        last_attempt,
                        content_hash: FROZEN,
                        drift,
                        receipt: Receipt::default(),
                        missing: Missing::Nothing,
                        wire: None,
                        unanswered: 0,
                    });
                }
            }
        }
    }
    all
}

fn context(full: bool, resend: bool) -> PlanContext {
    PlanContext {
        full,
        resend,
        recheck_before: RECHECK_BEFORE,
    }
}

/// Each entry with each form of today and each run, and what is decided.
fn decisions() -> Vec<(Entry, Option<i64>, PlanContext, Decision)> {
    let mut all = Vec::new();
    for entry in entries() {
        for today in [Some(FROZEN), Some(8), Some(i64::MIN), None] {
            for (full, resend) in [(false, false), (true, false), (false, true), (true, true)] {
                let ctx = context(full, resend);
                let decision = plan(Some(entry.standing()), today, &ctx);
                all.push((entry.clone(), today, ctx, decision));
            }
        }
    }
    assert!(all.len() > 1_000, "only {} decisions", all.len());
    all
}

/// Whether a request goes out.
fn sends(action: Action) -> bool {
    match action {
        Action::Send | Action::Resend | Action::Recheck => true,
        Action::Settled | Action::Withdrawn | Action::Held | Action::Dropped => false,
    }
}

#[test]
fn a_settled_call_is_never_sent_without_being_asked_for() {
    for (entry, today, ctx, decision) in decisions() {
        let told = format!("{:?} {today:?} {ctx:?} {decision:?}", entry.state);
        match entry.state {
            State::Delivered | State::Withdrawn => {
                assert_eq!(sends(decision.action), ctx.resend, "{told}");
            }
            State::Rejected => assert_eq!(sends(decision.action), ctx.resend || ctx.full, "{told}"),
            State::Unmatched => {
                let rested = entry.last_attempt.is_none_or(|at| at < RECHECK_BEFORE);
                assert_eq!(
                    sends(decision.action),
                    ctx.resend || ctx.full || rested,
                    "{told}"
                );
            }
            State::Held => assert!(!sends(decision.action), "{told}"),
            State::Pending | State::InFlight => {
                let gone = entry.pending == Some(PendingReason::Rebuild) && today.is_none();
                assert_eq!(sends(decision.action), !gone, "{told}");
            }
        }
    }
}

#[test]
fn a_known_call_never_gets_new_bytes_but_after_a_deletion_to_rebuild() {
    for (entry, today, _, decision) in decisions() {
        let rebuilt = entry.pending == Some(PendingReason::Rebuild);
        assert_eq!(
            matches!(decision.action, Action::Send | Action::Dropped),
            rebuilt,
            "{:?} {today:?} {decision:?}",
            entry.state
        );
    }
}

#[test]
fn what_today_would_send_decides_drift_and_nothing_else() {
    for (entry, today, ctx, decision) in decisions() {
        if entry.pending == Some(PendingReason::Rebuild) {
            assert!(!decision.drift, "nothing of it is left that could drift");
            continue;
        }
        let same = plan(Some(entry.standing()), Some(FROZEN), &ctx);
        assert_eq!(decision.action, same.action, "{:?} {today:?}", entry.state);
        assert!(!same.drift, "the frozen form is no drift");
        let differs = today != Some(FROZEN);
        let withdrawn = decision.action == Action::Withdrawn;
        assert_eq!(
            decision.drift,
            differs && !withdrawn,
            "{:?} {today:?}",
            entry.state
        );
    }
}

#[test]
fn a_run_that_asks_for_more_never_sends_less() {
    for entry in entries() {
        for today in [Some(FROZEN), Some(8), None] {
            let sent = |full, resend| {
                sends(plan(Some(entry.standing()), today, &context(full, resend)).action)
            };
            assert!(sent(true, false) || !sent(false, false), "{entry:?}");
            assert!(sent(false, true) || !sent(true, false), "{entry:?}");
            assert_eq!(sent(true, true), sent(false, true), "{entry:?}");
        }
    }
}
