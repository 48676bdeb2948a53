//! A report's first sentence, and its figures for a terminal.

use std::fmt::Write as _;
use std::time::Duration;

use super::figures::{Figures, Found};
use crate::ledger::State;
use crate::text::{Shown, count};

/// How urgent a headline is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Everything is there.
    Good,
    /// Everything is settled; somebody may want to look.
    Settled,
    /// The next run goes on by itself.
    Waiting,
    /// A person has to act.
    Act,
}

/// Is everything there, and if not, what is to be done? One sentence; commands stand between backticks.
#[must_use]
pub fn headline(figures: &Figures, alert_after: Duration) -> (Standing, String) {
    let calls = &figures.calls;
    let missing = figures.look.row_gone.calls + figures.look.row_left_out.calls;
    let open = calls.of(State::Pending) + calls.of(State::InFlight);
    let due = open.saturating_sub(missing);
    if figures.runs.last_success.is_none() && calls.total == 0 && figures.runs.runs == 0 {
        return (
            Standing::Act,
            "Nothing was copied yet: begin with `cdrelay check`, then `cdrelay sync`.".to_owned(),
        );
    }
    let rest = rest(figures, missing);
    // A window that is over does not become staler.
    if figures.window.until > figures.generated
        && let Some(stale) = stale(figures, alert_after)
    {
        let waiting = match due {
            0 => String::new(),
            n => format!("; {} due meanwhile", are(n)),
        };
        return (Standing::Act, format!("{stale}{waiting}{rest}."));
    }
    let all = amount(calls.total, "call");
    if due > 0 {
        let stuck = match figures.look.stuck.calls {
            0 => "the next run sends them by itself".to_owned(),
            n => format!(
                "the next run tries again, but {} got no verdict in several (`cdrelay calls --state pending`)",
                grouped(n)
            ),
        };
        let standing = if figures.look.stuck.calls > 0 || calls.of(State::Held) > 0 {
            Standing::Act
        } else {
            Standing::Waiting
        };
        return (
            standing,
            format!(
                "Not everything is there yet: {} of {all} {} due, and {stuck}{rest}.",
                grouped(due),
                if due == 1 { "is" } else { "are" }
            ),
        );
    }
    let standing = if calls.of(State::Held) > 0 || calls.due_before > 0 {
        Standing::Act
    } else if rest.is_empty() {
        Standing::Good
    } else {
        Standing::Settled
    };
    let sentence = match (calls.total, rest.is_empty()) {
        (0, _) => format!("The ledger holds no call of this window{rest}."),
        (_, true) => format!("Everything is there: {all}."),
        (_, false) => format!("Everything is settled: {all}{rest}."),
    };
    (standing, sentence)
}

/// What is settled without being in the CRM, or can never be sent, and what to do about it.
fn rest(figures: &Figures, missing: u64) -> String {
    let calls = &figures.calls;
    let mut text = String::new();
    let parts = [
        (
            calls.of(State::Unmatched),
            "for numbers that no contact has: add the contacts, or mend the rules (`cdrelay calls --state unmatched`)",
        ),
        (
            calls.of(State::Rejected),
            "refused by the CRM for good (`cdrelay calls --state rejected`)",
        ),
        (
            calls.of(State::Held),
            "held until a person decides (`cdrelay calls --state held`)",
        ),
        (
            missing,
            "due without a row to send (`cdrelay calls --state pending`)",
        ),
        (
            calls.of(State::Withdrawn),
            "withdrawn (`cdrelay calls --state withdrawn`)",
        ),
    ];
    for (n, what) in parts {
        if n > 0 {
            let _ = write!(text, "; {} {what}", grouped(n));
        }
    }
    if calls.due_before > 0 {
        let _ = write!(
            text,
            "; {} from before this window {} still open (`cdrelay calls --state pending`): run `cdrelay sync --since …`",
            amount(calls.due_before, "call"),
            if calls.due_before == 1 { "is" } else { "are" }
        );
    }
    text
}

fn stale(figures: &Figures, alert_after: Duration) -> Option<String> {
    let Some(success) = figures.runs.last_success else {
        return Some("No run has succeeded yet: `cdrelay check` says what is missing".to_owned());
    };
    let age = u64::try_from(figures.generated.saturating_sub(success)).unwrap_or(0);
    (age > alert_after.as_secs()).then(|| {
        format!(
            "Not up to date: the last success was {} ago; `cdrelay status` shows how the last run ended, `cdrelay check` what \
             is wrong",
            span(age)
        )
    })
}

fn are(n: u64) -> String {
    format!(
        "{} {}",
        amount(n, "call"),
        if n == 1 { "is" } else { "are" }
    )
}

/// The figures for a terminal; `at` shows an instant in the report's zone.
#[must_use]
pub fn text(figures: &Figures, at: &dyn Fn(i64) -> String) -> String {
    let mut text = format!("{}\n\n", figures.headline);
    let mut line = |label: &str, value: &str| {
        let _ = writeln!(text, "  {label:<11} {value}");
    };
    line(
        "window",
        &format!(
            "{} to {} ({})",
            at(figures.window.since),
            at(figures.window.until),
            figures.timezone
        ),
    );
    let states: Vec<String> = State::ALL
        .iter()
        .zip(figures.calls.states)
        .filter(|(_, n)| *n > 0)
        .map(|(state, n)| format!("{} {}", grouped(n), state.as_str()))
        .collect();
    line(
        "calls",
        &match states.len() {
            0 => "none".to_owned(),
            _ => format!("{}: {}", grouped(figures.calls.total), states.join(", ")),
        },
    );
    if let Some((n, weekday, hour)) = busiest(figures) {
        line(
            "busiest",
            &format!(
                "{weekday}, {hour:02}:00 to {:02}:00, {}",
                hour + 1,
                amount(n, "call")
            ),
        );
    }
    let lengths = figures.durations.lengths;
    if lengths.calls > 0 {
        line(
            "duration",
            &format!(
                "{} (median), {} (95 %), {} (longest)",
                span(lengths.p50_s),
                span(lengths.p95_s),
                span(lengths.longest_s)
            ),
        );
    }
    if figures.arrival.calls > 0 {
        line(
            "in the CRM",
            &format!(
                "{} after the start of the call (median), {} (95 %)",
                span(figures.arrival.p50_s),
                span(figures.arrival.p95_s)
            ),
        );
    }
    for number in figures.unmatched_numbers.top.iter().take(5) {
        line(
            "no contact",
            &format!(
                "{}  {}, last {}",
                Shown(&number.number),
                amount(number.calls, "call"),
                number.last.map_or_else(|| "?".to_owned(), at)
            ),
        );
    }
    let runs = &figures.runs;
    if runs.runs > 0 {
        line(
            "runs",
            &format!(
                "{}, {} of them not finished; longest time without a success {}",
                grouped(runs.runs),
                grouped(runs.not_finished),
                runs.longest_gap_s
                    .map_or_else(|| "unknown".to_owned(), span)
            ),
        );
    }
    for used in &figures.rules.destination.rules {
        line(
            "rule",
            &format!(
                "{} (line {}): {}",
                Shown(&used.rule),
                used.line,
                amount(used.numbers, "number")
            ),
        );
    }
    if !figures.rules.destination.rules.is_empty() {
        line(
            "no rule",
            &amount(figures.rules.destination.untouched.numbers, "number"),
        );
    }
    for (found, what) in looks(figures) {
        if found.calls > 0 {
            line(what, &amount(found.calls, "call"));
        }
    }
    text
}

/// What to look at, with the word for it.
fn looks(figures: &Figures) -> [(&Found, &'static str); 4] {
    let look = &figures.look;
    [
        (&look.stuck, "stuck"),
        (&look.drift, "drift"),
        (&look.row_gone, "row gone"),
        (&look.row_left_out, "left out"),
    ]
}

/// The weekdays, from Monday.
pub const WEEKDAYS: [&str; 7] = [
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
];

/// The hour with the most calls, the first of equals.
#[must_use]
pub fn busiest(figures: &Figures) -> Option<(u64, &'static str, usize)> {
    let mut best: Option<(u64, &'static str, usize)> = None;
    for (weekday, hours) in WEEKDAYS.into_iter().zip(&figures.by_hour) {
        for (hour, n) in hours.iter().enumerate() {
            if *n > best.map_or(0, |(most, ..)| most) {
                best = Some((*n, weekday, hour));
            }
        }
    }
    best
}

/// `1,234,567`
#[must_use]
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 call`, `1,234 calls`
#[must_use]
pub fn amount(n: u64, noun: &str) -> String {
    match n {
        0..1_000 => count(n, noun),
        _ => format!("{} {noun}s", grouped(n)),
    }
}

/// A length of time in its two largest units: `0 s`, `2 min 5 s`, `3 d 4 h`.
#[must_use]
pub fn span(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    let pair = |a: u64, unit: &str, b: u64, lower: &str| match b {
        0 => format!("{} {unit}", grouped(a)),
        b => format!("{} {unit} {b} {lower}", grouped(a)),
    };
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => pair(minutes, "min", seconds % 60, "s"),
        3_600..86_400 => pair(hours, "h", minutes, "min"),
        _ => pair(days, "d", hours, "h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_spans_have_two_units() {
        for (n, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(grouped(n), text);
        }
        for (seconds, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (125, "2 min 5 s"),
            (3_600, "1 h"),
            (86_399, "23 h 59 min"),
            (1_234_567, "14 d 6 h"),
            (u64::MAX, "213,503,982,334,601 d 7 h"),
        ] {
            assert_eq!(span(seconds), text);
        }
    }
}
