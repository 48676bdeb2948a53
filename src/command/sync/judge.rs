//! What a run ends with: one exit code and the sentence that explains it. Pure.

use super::board::Board;
use crate::delivery::{Ending, Stop, Summary};
use crate::ledger::STUCK_AFTER;
use crate::report::RunReport;
use crate::report::exit::{Code, Exit};
use crate::text::Shown;
use crate::text::mask::Privacy;

/// How a run ended: the worst of what happened. The CRM's words may name a number: `privacy` says how much of it is
/// repeated.
pub(super) fn judge(
    report: &RunReport,
    summary: &Summary,
    failure: Option<Exit>,
    board: &Board,
    fail_on_unmatched: bool,
    privacy: Privacy,
) -> Exit {
    let shown = |words: &str| Shown(&privacy.text(words)).to_string();
    let calls = &report.calls;
    let pending = crate::text::count(calls.pending, "call");
    let mut exit = report.exit.clone();
    if report.dry_run {
        exit.reason = format!("dry run: {pending} would be sent");
    }
    let fresh = board.newly_rejected();
    if fresh > 0 {
        exit = exit.worse(Exit::new(
            Code::Look,
            format!(
                "the CRM rejected {} for good; `cdrelay calls --state rejected` lists them with its words",
                crate::text::count(fresh, "call")
            ),
        ));
    }
    if calls.held > 0 {
        exit = exit.worse(Exit::new(
            Code::Look,
            format!(
                "{} held, outcome unknown; `cdrelay held` lists them and says what to do",
                crate::text::count(calls.held, "call")
            ),
        ));
    }
    let unmatched = board.unmatched_in_window();
    if fail_on_unmatched && unmatched > 0 {
        exit = exit.worse(Exit::new(
            Code::Look,
            format!(
                "{} unmatched; `cdrelay calls --state unmatched` lists them",
                crate::text::count(unmatched, "call")
            ),
        ));
    }
    // What is left are calls that fail by themselves: the CRM answered others, or would have been given up.
    let only_stuck = calls.pending > 0
        && report.stuck == calls.pending
        && match summary.ending {
            Ending::Done => true,
            Ending::Down(_) => board.answered() > 0,
            Ending::OutOfTime | Ending::Unheard | Ending::Broken(_) | Ending::Stopped(_) => false,
        };
    if only_stuck && !report.dry_run {
        let last = board.last_trouble().map_or_else(String::new, |why| {
            format!(", the last time: {}", shown(&why))
        });
        exit = exit.worse(Exit::new(
            Code::Incomplete,
            format!(
                "{pending} pending, stuck: no verdict in {STUCK_AFTER} runs or more{last}; `cdrelay calls --state pending` \
                 lists them"
            ),
        ));
    }
    // Why sending ended comes first: of two sentences with one code the first stays. The CRM's words are hostile text.
    match &summary.ending {
        // What failed is in `failure`, and says more.
        Ending::Done | Ending::Unheard | Ending::Stopped(_) => {}
        Ending::Down(why) => {
            exit = exit.worse(Exit::new(
                Code::Incomplete,
                format!("{pending} pending: {}", shown(why)),
            ));
        }
        Ending::OutOfTime => {
            let what = if calls.pending > 0 {
                format!("{pending} pending: --max-runtime passed")
            } else {
                "--max-runtime passed before the window was read to its end".to_owned()
            };
            exit = exit.worse(Exit::new(Code::Incomplete, what));
        }
        Ending::Broken(why) => {
            exit = exit.worse(Exit::new(Code::Crm, shown(why)));
        }
    }
    if !report.dry_run && calls.pending > 0 {
        let why = board
            .last_trouble()
            .unwrap_or_else(|| "not sent yet".to_owned());
        exit = exit.worse(Exit::new(
            Code::Incomplete,
            format!("{pending} pending: {}", shown(&why)),
        ));
    }
    if let Some(failure) = failure {
        exit = exit.worse(failure);
    }
    match summary.ending {
        Ending::Stopped(Stop::Terminate) => exit.worse(Exit::new(
            Code::Terminated,
            format!("stopped by SIGTERM; {pending} pending, the next run goes on"),
        )),
        Ending::Stopped(Stop::Interrupt) => exit.worse(Exit::new(
            Code::Interrupted,
            format!("stopped by SIGINT; {pending} pending, the next run goes on"),
        )),
        // No signal: what failed is judged above.
        Ending::Stopped(Stop::No | Stop::Unrecorded)
        | Ending::Done
        | Ending::Down(_)
        | Ending::OutOfTime
        | Ending::Unheard
        | Ending::Broken(_) => exit,
    }
}
