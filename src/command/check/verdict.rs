//! What the clock proof comes to, in words, with the mend.

use std::time::Duration;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use super::clock::MANY;
use super::findings::Findings;
use crate::call::TimeKind;
use crate::cdr::proof::Part;
use crate::command::sync::utc;
use crate::config::Config;
use crate::report::exit::{Code, Exit};
use crate::text::count;

/// What is said about the parts.
pub(super) struct Verdict<'a> {
    pub(super) column: &'a str,
    pub(super) config: &'a Config,
    pub(super) kind: TimeKind,
    pub(super) parts: &'a [Part],
    pub(super) looked_at: u64,
    pub(super) cut: bool,
}

impl Verdict<'_> {
    pub(super) fn tell(&self, findings: &mut Findings) {
        let (Some(last), earlier) = (self.parts.last(), self.parts.len().saturating_sub(1)) else {
            findings.ok(
                "clock",
                format!(
                    "{} with a time in `uniqueid`: too few to prove the zone",
                    count(self.looked_at, "call")
                ),
            );
            return;
        };
        if self.parts.len() > MANY {
            findings.warn("clock", self.mixed());
            return;
        }
        match (last.declared, earlier) {
            (true, 0) => findings.ok("clock", self.proven(last)),
            (true, _) => findings.warn("clock", self.changed(last)),
            (false, _) => findings.fail("clock", Exit::new(Code::Usage, self.contradicted(last))),
        }
    }

    fn proven(&self, part: &Part) -> String {
        let what = match self.kind {
            TimeKind::Wall => self.config.source.timezone.name().to_owned(),
            TimeKind::Instant => "that these are instants".to_owned(),
        };
        let others = self.looked_at.saturating_sub(part.agreeing);
        let others = if others == 0 {
            String::new()
        } else {
            format!("; {} later than their channel", count_start(others))
        };
        let cut = if self.cut {
            " (the source was too slow to look further back)"
        } else {
            ""
        };
        format!(
            "{what} is proven by the times in `uniqueid`: {} of {} looked at since {}{cut}{others}",
            part.agreeing,
            count(self.looked_at, "call"),
            self.day(part.first),
        )
    }

    /// The latest part is as declared, and others are not.
    fn changed(&self, last: &Part) -> String {
        let history: Vec<String> = self
            .parts
            .windows(2)
            .map(|pair| {
                format!(
                    "it was {} until {}",
                    self.named(&pair[0]),
                    self.change(&pair[0], &pair[1])
                )
            })
            .collect();
        // The last change into what was declared.
        let change = self
            .parts
            .windows(2)
            .rev()
            .find(|pair| !pair[0].declared)
            .map(|pair| (&pair[0], &pair[1]));
        let mend = match (self.kind, change) {
            (TimeKind::Wall, Some((wrong, right))) => format!(
                "Calls before that would be sent with a wrong start. Send them once with their own zone, before the next full \
                 run: with a copy of this configuration that has job = \"{}\", the same ledger and source.timezone = \
                 \"{}\", run `cdrelay sync --full --until {}`; what went out already it mends by `cdrelay rebuild`. Of the \
                 calls within {} of the change, some keep a wrong start",
                self.config.job,
                wrong.zones.first().map_or("UTC", |zone| zone.name()),
                utc(right.first),
                humantime::format_duration(Duration::from_secs(
                    wrong.ends.1.abs_diff(right.ends.0)
                )),
            ),
            (TimeKind::Wall | TimeKind::Instant, _) => {
                "Calls before that carry a wrong start, which no setting mends: the \
                 database took the time of another zone for its own"
                    .to_owned()
            }
        };
        format!(
            "`{}` is {} now, as declared, but {}. {mend}",
            self.column,
            self.named(last),
            history.join(", and "),
        )
    }

    /// The latest part is not as declared.
    fn contradicted(&self, last: &Part) -> String {
        let since = match self.parts {
            [.., before, _] => format!(
                ", since {} ({} before)",
                self.change(before, last),
                self.named(before)
            ),
            [_] | [] => String::new(),
        };
        let proof = format!(
            "{} of {} looked at show it",
            last.agreeing,
            count(self.looked_at, "call")
        );
        match self.kind {
            TimeKind::Wall => format!(
                "your `{}` is {}, you declared {}{since}; {proof}. Set source.timezone to the zone of the phone system: {}",
                self.column,
                offsets(last),
                self.declared(last),
                proposal(last),
            ),
            TimeKind::Instant => format!(
                "`{}` holds instants, and they are {}{since}; {proof}. The phone system writes the time of another zone \
                 than its database session has: set that session's time zone to {}, or make the column one without a zone \
                 (DATETIME, timestamp) and set source.timezone",
                self.column,
                apart(last),
                proposal(last),
            ),
        }
    }

    fn mixed(&self) -> String {
        let declared: u64 = self
            .parts
            .iter()
            .filter(|part| part.declared)
            .map(|part| part.agreeing)
            .sum();
        let other = self.parts.iter().find(|part| !part.declared);
        format!(
            "`{}` goes back and forth between clocks: {declared} of {} looked at are as declared, others are {}; where \
             several phone systems write into one table, give each a configuration of its own, with a view of its rows",
            self.column,
            count(self.looked_at, "call"),
            other.map_or_else(|| "not".to_owned(), offsets),
        )
    }

    /// When one part went over into the next.
    fn change(&self, before: &Part, after: &Part) -> String {
        if after.first - before.last <= 3600 {
            self.minute(after.first)
        } else {
            format!(
                "some time between {} and {}",
                self.minute(before.last),
                self.minute(after.first)
            )
        }
    }

    /// How a part is called: by its zone where it is the declared one, else by what was seen.
    fn named(&self, part: &Part) -> String {
        match (part.declared, self.kind) {
            (true, TimeKind::Wall) => {
                format!("{} ({})", offsets(part), self.config.source.timezone)
            }
            (true, TimeKind::Instant) => "right".to_owned(),
            (false, _) => offsets(part),
        }
    }

    /// The declared zone as it would have been over a part.
    fn declared(&self, part: &Part) -> String {
        let zone = self.config.source.timezone;
        if zone == Tz::UTC {
            return "UTC".to_owned();
        }
        let offset = |at: i64| {
            use chrono::Offset as _;
            use chrono::TimeZone as _;
            let at = instant(at).naive_utc();
            i64::from(zone.offset_from_utc_datetime(&at).fix().local_minus_utc())
        };
        format!("{zone} ({} then)", shown_offset(offset(part.last)))
    }

    fn day(&self, epoch: i64) -> String {
        self.local(epoch, "%Y-%m-%d")
    }

    fn minute(&self, epoch: i64) -> String {
        format!(
            "{} ({})",
            self.local(epoch, "%Y-%m-%d %H:%M"),
            self.config.source.timezone
        )
    }

    fn local(&self, epoch: i64, form: &str) -> String {
        instant(epoch)
            .with_timezone(&self.config.source.timezone)
            .format(form)
            .to_string()
    }
}

fn instant(epoch: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(epoch, 0).unwrap_or_default()
}

fn count_start(n: u64) -> String {
    if n == 1 {
        "1 call starts".to_owned()
    } else {
        format!("{n} calls start")
    }
}

/// How far instants lie from where they should: `4h early`.
fn apart(part: &Part) -> String {
    let shown: Vec<String> = part
        .offsets
        .iter()
        .map(|offset| {
            let span = humantime::format_duration(Duration::from_secs(offset.unsigned_abs()));
            let side = if *offset < 0 { "early" } else { "late" };
            format!("{span} {side}")
        })
        .collect();
    shown.join(" or ")
}

/// The offsets of a part: `UTC-4`, or `UTC-5 and UTC-4 by season`.
fn offsets(part: &Part) -> String {
    let shown: Vec<String> = part
        .offsets
        .iter()
        .map(|offset| shown_offset(*offset))
        .collect();
    match &shown[..] {
        [one] => one.clone(),
        several => format!("{} by season", several.join(" and ")),
    }
}

fn shown_offset(seconds: i64) -> String {
    if seconds == 0 {
        return "UTC".to_owned();
    }
    let sign = if seconds < 0 { '-' } else { '+' };
    let minutes = seconds.unsigned_abs() / 60;
    match minutes % 60 {
        0 => format!("UTC{sign}{}", minutes / 60),
        rest => format!("UTC{sign}{}:{rest:02}", minutes / 60),
    }
}

/// The zones that explain a part.
fn proposal(part: &Part) -> String {
    let named = |zone: &Tz| format!("\"{}\"", zone.name());
    match &part.zones[..] {
        [] => "none fits".to_owned(),
        [one] => named(one),
        [utc, ..] if *utc == Tz::UTC => named(utc),
        [first, others @ ..] => {
            let some: Vec<String> = others.iter().take(2).map(named).collect();
            let more = others.len().saturating_sub(2);
            let more = if more > 0 {
                format!(" and {more} more")
            } else {
                String::new()
            };
            format!("{} fits, and so do {}{more}", named(first), some.join(", "))
        }
    }
}
