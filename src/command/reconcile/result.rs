//! What a comparison is shown as, and what it ends with.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::compare::Compared;
use super::days::{Day, Days, total};
use crate::cdr::window::Window;
use crate::config::Config;
use crate::ledger::State;
use crate::report::RunReport;
use crate::report::exit::{Code, Exit};
use crate::text::count;

/// A comparison, after `--heal` with the passes that sent, and their worst end.
pub(super) struct Outcome {
    days: Days,
    undated: u64,
    total: Day,
    window: Window,
    healed: Option<(Vec<RunReport>, Exit)>,
}

impl Outcome {
    pub(super) fn new(
        compared: Compared,
        window: Window,
        healed: Option<(Vec<RunReport>, Exit)>,
    ) -> Self {
        Self {
            total: total(&compared.days),
            days: compared.days,
            undated: compared.undated,
            window,
            healed,
        }
    }

    /// 0 where every call is settled, 3 with gaps; after `--heal` by what is left, or why the sending ended.
    pub(super) fn exit(&self) -> Exit {
        let code = if self.total.gaps() == 0 {
            Code::Settled
        } else {
            Code::Look
        };
        let own = Exit::new(code, self.headline());
        match &self.healed {
            Some((_, exit)) => own.worse(exit.clone()),
            None => own,
        }
    }

    /// Is everything there, and if not, what to do?
    fn headline(&self) -> String {
        let total = &self.total;
        let gaps = total.gaps();
        if gaps == 0 {
            let sent: u64 = self
                .healed
                .iter()
                .flat_map(|(reports, _)| reports)
                .map(sent)
                .sum();
            let sent = if sent > 0 {
                format!(", {sent} of them sent now")
            } else {
                String::new()
            };
            return format!(
                "Everything is there: {} of {} settled{sent}.",
                count(total.calls, "call"),
                count(self.days.len() as u64, "day"),
            );
        }
        let open_days = self.days.values().filter(|day| day.gaps() > 0).count();
        let mut parts = Vec::new();
        for (n, what) in [
            (total.missing, "missing from the ledger"),
            (total.due(), "due"),
            (total.of(State::Held), "held"),
        ] {
            if n > 0 {
                parts.push(format!("{n} {what}"));
            }
        }
        format!(
            "Not everything is there: {} of {} ({}). {}",
            count(gaps, "call"),
            count(open_days as u64, "day"),
            parts.join(", "),
            self.mend()
        )
    }

    fn mend(&self) -> String {
        let total = &self.total;
        if let Some((_, exit)) = &self.healed
            && exit.code != Code::Settled
        {
            return format!("Not all could be sent: {}", exit.reason);
        }
        if total.of(State::Held) == total.gaps() {
            return "A person decides: `cdrelay calls --state held` lists them.".to_owned();
        }
        if self.healed.is_some() {
            return "They came while the others were sent: the next `cdrelay sync` sends them."
                .to_owned();
        }
        if total.newer == total.gaps() {
            return "All are newer than the last run: the next `cdrelay sync` sends them."
                .to_owned();
        }
        "`cdrelay reconcile --heal` sends them.".to_owned()
    }

    pub(super) fn text(&self, config: &Config) -> String {
        let mut text = format!("{}\n\n", self.headline());
        let _ = writeln!(
            text,
            "  {:<24} {:>8} {:>8} {:>8} {:>6} {:>8} {:>8} {:>7}",
            "day", "rows", "calls", "settled", "due", "missing", "no row", "drift"
        );
        for (first, last, day) in self.lines() {
            let label = if first == last {
                first.to_string()
            } else {
                format!("{first} to {last}")
            };
            row(&mut text, &label, &day);
        }
        if self.days.len() > 1 {
            row(&mut text, "all", &self.total);
        }
        if let Some((reports, _)) = &self.healed {
            for report in reports {
                let _ = writeln!(
                    text,
                    "\n  sent: {} of {} to {}; {}",
                    count(sent(report), "call"),
                    report.window.since,
                    report.window.until,
                    report.exit.reason
                );
            }
        }
        if self.total.drift > 0 {
            let _ = writeln!(
                text,
                "\n  drift: today's settings would send these differently; `cdrelay rebuild` mends days."
            );
        }
        if self.total.without_row + self.total.left_out > 0 {
            let _ = writeln!(
                text,
                "\n  no row: {} gone from the source, {} left out by [select] now; what was delivered stays delivered.",
                self.total.without_row, self.total.left_out
            );
        }
        if self.undated > 0 {
            let _ = writeln!(
                text,
                "\n  {} without a usable start; no run can send them.",
                count(self.undated, "row")
            );
        }
        let _ = writeln!(
            text,
            "\n  window: {} to {}; days of {}",
            super::sync::utc(self.window.since),
            super::sync::utc(self.window.until),
            config.source.timezone
        );
        text
    }

    /// The days as they are shown: plain ones in a row as one.
    fn lines(&self) -> Vec<(chrono::NaiveDate, chrono::NaiveDate, Day)> {
        let mut lines: Vec<(chrono::NaiveDate, chrono::NaiveDate, Day)> = Vec::new();
        for (day, figures) in &self.days {
            match lines.last_mut() {
                Some((_, last, sum)) if sum.is_plain() && figures.is_plain() => {
                    *last = *day;
                    *sum = std::mem::take(sum).plus(figures);
                }
                Some(_) | None => lines.push((*day, *day, figures.clone())),
            }
        }
        lines
    }

    pub(super) fn object(&self, config: &Config, exit: &Exit) -> Value {
        let days: Vec<Value> = self
            .days
            .iter()
            .map(|(day, figures)| {
                let mut object = shown(figures);
                object.insert("day".to_owned(), json!(day.to_string()));
                Value::Object(object)
            })
            .collect();
        let mut object = json!({
            "job": config.job,
            "window": {
                "since": super::sync::utc(self.window.since),
                "until": super::sync::utc(self.window.until),
            },
            "days": days,
            "total": shown(&self.total),
            "undated": self.undated,
            "exit": exit,
        });
        if let Some((reports, _)) = &self.healed {
            object["healed"] = json!(reports);
        }
        object
    }
}

/// Calls that a pass got an answer for.
fn sent(report: &RunReport) -> u64 {
    let calls = &report.calls;
    calls.created + calls.existing + calls.unmatched + calls.rejected
}

fn row(text: &mut String, label: &str, day: &Day) {
    let _ = writeln!(
        text,
        "  {label:<24} {:>8} {:>8} {:>8} {:>6} {:>8} {:>8} {:>7}",
        day.rows,
        day.calls,
        day.calls - day.gaps(),
        day.due() + day.of(State::Held),
        day.missing,
        day.without_row + day.left_out,
        day.drift
    );
}

/// A day as JSON.
fn shown(day: &Day) -> Map<String, Value> {
    let ledger: Map<String, Value> = State::ALL
        .iter()
        .map(|state| (state.as_str().to_owned(), json!(day.of(*state))))
        .collect();
    let mut object = Map::new();
    for (key, value) in [
        ("rows", json!(day.rows)),
        ("calls", json!(day.calls)),
        ("ledger", Value::Object(ledger)),
        ("folded", json!(day.folded)),
        ("told", json!(day.told)),
        ("missing", json!(day.missing)),
        ("newer", json!(day.newer)),
        ("without_row", json!(day.without_row)),
        ("left_out", json!(day.left_out)),
        ("drift", json!(day.drift)),
        (
            "digest",
            json!({"source": day.source.hex(), "ledger": day.ledger.hex()}),
        ),
        ("settled", json!(day.gaps() == 0)),
    ] {
        object.insert(key.to_owned(), value);
    }
    object
}
