//! What became of a call in one sentence, and what would change it. Pure.

use chrono_tz::Tz;

use super::case::Case;
use super::name;
use crate::call::Identity;
use crate::command::between::{day, local};
use crate::command::seconds;
use crate::config::Config;
use crate::intake::{Today, describe};
use crate::ledger::{Listed, Missing, PendingReason, Run, State};
use crate::number::chain::Verdict as Chained;
use crate::report::exit::Code;
use crate::text::mask::Privacy;
use crate::text::{Shown, count};

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    /// One word: a state of the ledger, or `left_out`, `dropped`, `same_key`, `not_read`, `unknown`, `due`.
    pub(super) word: &'static str,
    /// What became of the call. May repeat what a CRM or a PBX said; not escaped.
    pub(super) says: String,
    /// What would change that, or why nothing has to.
    pub(super) next: String,
}

/// What the answer depends on beside the call.
#[derive(Clone, Copy)]
pub(super) struct Around<'a> {
    pub(super) config: &'a Config,
    /// Unix seconds.
    pub(super) now: i64,
    pub(super) privacy: Privacy,
    /// The ledger could not be read: what is not known may have been sent.
    pub(super) blind: bool,
}

impl Around<'_> {
    fn zone(&self) -> Tz {
        self.config.source.timezone
    }

    /// The day of an instant, and the one after it.
    fn days(&self, at: i64) -> (String, String) {
        let next = at.saturating_add(86_400);
        (day(at, self.zone()), day(next, self.zone()))
    }

    fn full(&self, at: i64) -> String {
        let (since, until) = self.days(at);
        format!("`cdrelay sync --full --since {since} --until {until}`")
    }

    fn resend(&self, at: i64) -> String {
        let (since, until) = self.days(at);
        format!("`cdrelay sync --resend --since {since} --until {until}`")
    }

    fn lookback(&self) -> i64 {
        self.now - seconds(self.config.select.lookback)
    }

    fn full_lookback(&self) -> i64 {
        self.now - seconds(self.config.select.full_lookback)
    }

    /// The command whose window holds an instant.
    fn sync(&self, at: i64) -> String {
        if at >= self.lookback() {
            "`cdrelay sync`, or the next run by itself".to_owned()
        } else if at >= self.full_lookback() {
            "`cdrelay sync --full`, or the next full run by itself".to_owned()
        } else {
            let (since, until) = self.days(at);
            format!("`cdrelay sync --since {since} --until {until}`")
        }
    }

    fn call(&self, identity: &Identity) -> String {
        describe(
            &crate::command::calls::masked_identity(identity, self.privacy),
            crate::call::TimeKind::Wall,
        )
    }
}

/// The answer about a call.
pub(super) fn verdict(case: &Case, around: Around<'_>) -> Verdict {
    match &case.listed {
        Some(listed) => recorded(case, listed, around),
        None => unrecorded(case, around),
    }
}

/// A call that the ledger knows.
fn recorded(case: &Case, listed: &Listed, around: Around<'_>) -> Verdict {
    let at = listed.instant;
    let sent = listed
        .wire
        .as_ref()
        .map_or("", |wire| wire.destination.as_str());
    let words = listed.words.as_deref().unwrap_or_default();
    let (says, next) = match listed.state {
        State::Delivered => delivered(listed, around),
        State::Unmatched => (
            format!("the CRM knows no contact with the number {sent}: {words}"),
            format!(
                "add a contact with this number; the CRM is asked again each night, or now by {}. If the number is \
                 wrong, mend the rules and rebuild the day",
                around.full(at)
            ),
        ),
        State::Rejected => (
            format!("the CRM refused this call: {words}"),
            format!(
                "mend what it complains about; it is asked again each night, or now by {}",
                around.full(at)
            ),
        ),
        State::Pending => pending(case, listed, around),
        State::InFlight => (
            "it was on its way when the last answer was recorded: a run is at work, or was killed".to_owned(),
            format!("{}: it is sent again with the same bytes", around.sync(at)),
        ),
        State::Held => (
            format!("nobody knows whether the CRM took it, and this CRM has no key that would tell: {words}"),
            "look in the CRM, and say what you found: `cdrelay held` lists such calls and how".to_owned(),
        ),
        State::Withdrawn if listed.withdrawn_by_rebuild => (
            "it was deleted from the CRM by a rebuild, and there was nothing to send in its place".to_owned(),
            "nothing, until a rule or its row gives it something to send; then the next run over its day does".to_owned(),
        ),
        State::Withdrawn => (
            "it was deleted from the CRM for good".to_owned(),
            format!("nothing; to send it again: {}", around.resend(at)),
        ),
    };
    Verdict {
        word: listed.state.as_str(),
        says,
        next,
    }
}

fn delivered(listed: &Listed, around: Around<'_>) -> (String, String) {
    let receipt = &listed.receipt;
    let how = if receipt.existing {
        "the CRM had it already"
    } else {
        "the CRM took it"
    };
    let mut says = how.to_owned();
    if let Some(id) = receipt.call_id {
        says.push_str(&format!(" as call {id}"));
    }
    if let Some(id) = receipt.contact_id {
        says.push_str(&format!(" of contact {id}"));
    }
    if let Some(at) = listed.last_attempt {
        says.push_str(&format!(" on {}", local(at, around.zone())));
    }
    let next = if listed.drift {
        says.push_str("; today's rules, zone or row would send something else (drift)");
        let day = day(listed.instant, around.zone());
        format!("to send what today's settings give: `cdrelay rebuild --from {day} --to {day}`")
    } else {
        "nothing to do: if nobody finds it in the CRM, look at the contact that has the number"
            .to_owned()
    };
    (says, next)
}

fn pending(case: &Case, listed: &Listed, around: Around<'_>) -> (String, String) {
    let words = listed.words.as_deref().unwrap_or_default();
    let at = listed.instant;
    let again = around.sync(at);
    match listed.missing {
        Missing::Nothing => {}
        Missing::Row => {
            return (
                "it is due, and the source does not hold its row any more: it is never sent".to_owned(),
                "nothing, unless the row comes back; the ledger forgets it after `ledger.retention`".to_owned(),
            );
        }
        Missing::Selection => {
            let why = case
                .left_out()
                .map_or_else(String::new, |filter| format!(" ({})", filter.why));
            return (
                format!("it is due, and [select] leaves its row out now{why}"),
                format!("change [select] if it should be sent; then {again}"),
            );
        }
    }
    let says = match listed.pending {
        Some(PendingReason::Retry) if listed.is_stuck() => {
            return (
                format!(
                    "the CRM gave no verdict about it in {}: {words}",
                    count(u64::from(listed.unanswered), "run")
                ),
                "look in the CRM's own log why it fails on this call; every run asks again, after all others".to_owned(),
            );
        }
        Some(PendingReason::Retry) => format!("it was sent and got no verdict: {words}"),
        Some(PendingReason::New) | None => "it is on record and was never sent".to_owned(),
        Some(PendingReason::Verify) => {
            "a deletion may have taken it along, or its delivery is doubted: it is sent again, to be sure".to_owned()
        }
        Some(PendingReason::Deleted) => "it was deleted from the CRM, to be sent again as it was".to_owned(),
        Some(PendingReason::Rebuild) => {
            "it was deleted from the CRM, to be sent again as today's settings have it".to_owned()
        }
    };
    (says, again)
}

/// A call that the ledger does not know.
fn unrecorded(case: &Case, around: Around<'_>) -> Verdict {
    let at = case.instant();
    let again = at.map_or_else(|| "`cdrelay sync`".to_owned(), |at| around.sync(at));
    if let Some(filter) = case.left_out() {
        return Verdict {
            word: "left_out",
            says: format!("its row is left out: {}", filter.why),
            next: format!("nothing; if it should be sent, change the setting, and then {again}"),
        };
    }
    if let Some((rule, reason)) = dropped(case) {
        return Verdict {
            word: "dropped",
            says: format!("the rule \"{}\" drops it: {}", Shown(rule), Shown(reason)),
            next: format!("nothing; if it should be sent, change the rule, and then {again}"),
        };
    }
    if let Some(owner) = &case.owner {
        let ask = name::command(owner, None, around.privacy);
        return Verdict {
            word: "same_key",
            says: format!(
                "another call has the same start, source and destination in the CRM, which keeps one: {}",
                around.call(owner)
            ),
            next: format!("nothing; {ask} tells about the other one"),
        };
    }
    if case.legs.is_none() {
        return Verdict {
            word: "not_read",
            says: "the ledger does not know it, and the source could not be asked".to_owned(),
            next: again,
        };
    }
    if around.blind {
        return Verdict {
            word: "unknown",
            says: "the ledger could not be read, so nobody knows whether it was sent; without the ledger it would be"
                .to_owned(),
            next: "mend the ledger first: `cdrelay check`".to_owned(),
        };
    }
    let Some(at) = at else {
        return Verdict {
            word: "not_read",
            says: "the source holds no such row now".to_owned(),
            next: "nothing".to_owned(),
        };
    };
    Verdict {
        word: "due",
        says: unread(case, at, around),
        next: again,
    }
}

/// The rule that drops the call today.
fn dropped(case: &Case) -> Option<(&str, &str)> {
    if !matches!(case.today.form, Some(Today::Dropped)) {
        return None;
    }
    [case.today.source.as_ref(), Some(&case.today.destination)]
        .into_iter()
        .flatten()
        .find_map(|trace| match &trace.verdict {
            Chained::Dropped { rule, reason } => Some((rule.as_str(), reason.as_str())),
            Chained::Number(_) => None,
        })
}

/// Why no run has sent it.
fn unread(case: &Case, at: i64, around: Around<'_>) -> String {
    let zone = around.zone();
    let Some(last) = case.runs.first() else {
        return "it was not sent yet: the ledger knows no run".to_owned();
    };
    let covered = |run: &&Run| run.start.window.contains(&at);
    let when = |run: &Run| {
        format!(
            "run {} ({}, {})",
            run.id.0,
            run.start.mode,
            local(run.start.started, zone)
        )
    };
    match case.runs.iter().find(covered) {
        Some(run) => match &run.end {
            None => format!(
                "it was not sent yet: {} is under way over its day, or was killed",
                when(run)
            ),
            Some(end)
                if end.exit_code == Code::Settled.number()
                    || end.exit_code == Code::Look.number() =>
            {
                format!(
                    "it was not sent yet: its row was not in the table when {} read it; a row is written at hangup",
                    when(run)
                )
            }
            Some(end) => format!(
                "it was not sent yet: {} looked at its day and ended early with {}: {}",
                when(run),
                end.exit_code,
                end.reason
            ),
        },
        None if at >= last.start.window.end => format!(
            "it was not sent yet: it started behind the window of {}, which ended at {}",
            when(last),
            local(last.start.window.end, zone)
        ),
        None => {
            let oldest = case
                .runs
                .iter()
                .map(|run| run.start.window.start)
                .min()
                .unwrap_or(at);
            format!(
                "it was never read: it started before the windows of the latest {}, which reach back to {}",
                count(case.runs.len() as u64, "run"),
                local(oldest, zone)
            )
        }
    }
}
