//! What a deletion shows before it asks, and the question.

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::ops::RangeInclusive;

use chrono::{Days, NaiveDate};

use crate::command::{Context, tell, terminal};
use crate::config::Config;
use crate::ledger::Purpose;
use crate::report::exit::{Code, Exit};
use crate::target::DeleteBounds;
use crate::text::count;

/// What is about to happen.
pub(super) struct Shown {
    /// The days that were named.
    pub(super) days: RangeInclusive<NaiveDate>,
    pub(super) purpose: Purpose,
    pub(super) bounds: DeleteBounds,
    /// Delivered calls of the named days.
    pub(super) main: u64,
    /// Delivered calls around them.
    pub(super) around: u64,
    /// Of all these, calls that the source no longer holds.
    pub(super) lost: u64,
}

impl Shown {
    /// The whole text, for a person.
    pub(super) fn text(&self, config: &Config) -> String {
        let (from, to) = (self.days.start(), self.days.end());
        let url = &config.target.url;
        let mut text = match self.purpose {
            Purpose::SendAgain | Purpose::Withdraw => {
                format!("Delete all calls of {from} to {to}, both days included, from {url}.\n\n")
            }
            Purpose::Rebuild => format!(
                "Rebuild all calls of {from} to {to}, both days included, at {url}: delete them, and send them again by \
                 today's rules, zone, rendering and rows.\n\n"
            ),
        };
        let wider = match self.purpose {
            Purpose::SendAgain | Purpose::Withdraw => "",
            Purpose::Rebuild => {
                ", and a day wider than usual, so that no call survives that is to be sent in another form"
            }
        };
        let _ = writeln!(
            text,
            "  request   from={} to={}: both dates are exclusive on the wire{wider}",
            self.bounds.from, self.bounds.to
        );
        let fate = match self.purpose {
            Purpose::SendAgain => "the next run that covers them sends them again",
            Purpose::Withdraw => {
                "they, and those of these days that are still due, stay out until `sync --resend`"
            }
            Purpose::Rebuild => "they are sent again at once",
        };
        let _ = writeln!(
            text,
            "  ledger    {} of these days delivered; {fate}",
            count(self.main, "call")
        );
        let verified = match self.purpose {
            Purpose::SendAgain | Purpose::Withdraw => {
                "will be verified: sent again, harmless where they still exist"
            }
            Purpose::Rebuild => "are sent again as they were, harmless where they still exist",
        };
        let _ = writeln!(
            text,
            "            {} on either side {verified}",
            count(self.around, "call")
        );
        let source = if self.lost == 0 {
            "holds all of them still".to_owned()
        } else {
            format!(
                "does not hold {} any more, which could never be sent again",
                count(self.lost, "call")
            )
        };
        let _ = writeln!(text, "  source    {source}");
        let _ = writeln!(
            text,
            "  warning   the CRM deletes everybody's calls of these days: other PBXs', other configurations', hand-made ones.\n            \
             Every other configuration for this CRM has to run afterwards:\n            \
             cdrelay --config OTHER sync --resend --since {} --until {}\n",
            self.since(),
            self.until()
        );
        text
    }

    /// First day of a window that holds every call the deletion may have taken along: a day before the first date on the
    /// wire, for a CRM whose days begin earlier.
    pub(super) fn since(&self) -> NaiveDate {
        let from = self.bounds.from;
        from.checked_sub_days(Days::new(1)).unwrap_or(from)
    }

    /// First day after that window: the last date on the wire may end on the next day here.
    pub(super) fn until(&self) -> NaiveDate {
        let to = self.bounds.to;
        to.checked_add_days(Days::new(2)).unwrap_or(to)
    }

    /// Asks, on a terminal. A signal is an answer, too.
    pub(super) async fn confirmed(&self, context: &Context) -> Result<bool, Exit> {
        if !std::io::stdin().is_terminal() {
            return Err(Exit::new(
                Code::Usage,
                "nobody is there to ask; nothing was deleted; add --yes where that is meant, or --dry-run to look first",
            ));
        }
        let verb = match self.purpose {
            Purpose::SendAgain | Purpose::Withdraw => "Delete",
            Purpose::Rebuild => "Rebuild",
        };
        let yes = terminal::yes(context, &format!("{verb} them? [y/N] "), false).await?;
        if !yes {
            tell("Nothing was deleted.\n");
        }
        Ok(yes)
    }
}
