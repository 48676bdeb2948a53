//! `delete`: the calls of a range of days, from the CRM. Shows what will happen before it asks, and leaves the ledger
//! true under every reading of what the CRM's bounds may mean.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::ops::Range;

use chrono::{Days, NaiveDate, NaiveTime};
use serde_json::json;

use super::{Context, Ended, fail, now, sync};
use crate::call::Identity;
use crate::cdr::when::{day_bounds, parse_day};
use crate::cdr::window::Window;
use crate::cli::{DeleteArgs, Output};
use crate::config::Config;
use crate::intake::{Intake, Settings};
use crate::ledger::{Access, DeletionPlan, Ledger, LedgerLock, Purpose, Selection};
use crate::report::exit::{Code, Exit};
use crate::target::{self, DeleteBounds, Deletion};
use crate::text::{Shown, count};

/// Calls that are read from the ledger at a time.
const PAGE: usize = 4_096;

/// Largest offset from UTC in use, in seconds (Pacific/Kiritimati). Where a CRM so far east counts days by its own clock,
/// and takes the day named first along, the days it deletes begin that much before the same days in UTC. In the west
/// they end later, within the day after the last one.
const EASTERNMOST: i64 = 14 * 3600;

/// Deletes, after showing and asking.
pub async fn run(context: &Context, args: &DeleteArgs) -> Ended {
    let day = |flag: &str, text: &str| {
        parse_day(text).map_err(|why| Exit::new(Code::Usage, format!("{flag}: {why}")))
    };
    let from = day("--from", &args.from)?;
    let to = day("--to", &args.to)?;
    if to < from {
        return Err(Exit::new(
            Code::Usage,
            format!(
                "--from {from} is after --to {to}; give the earlier day first, nothing was deleted"
            ),
        ));
    }
    let config = context.load()?;
    let settings = Settings::new(&config).map_err(|error| fail(Code::Usage, &error))?;
    let crm = target::connect(&config.target).map_err(|error| fail(Code::Usage, &error))?;
    let Some(bounds) = crm.delete_bounds(from, to) else {
        return Err(Exit::new(
            Code::Usage,
            "these days cannot be deleted: the day before the first or after the last does not exist, or the CRM offers no \
             deletion",
        ));
    };
    let _lock = if args.dry_run {
        None
    } else {
        Some(LedgerLock::acquire(&config.ledger.path, args.wait).await?)
    };
    let access = if args.dry_run {
        Access::ReadOnly
    } else {
        Access::ReadWrite
    };
    let at = now().timestamp();
    let (ledger, _) = Ledger::open(&config.ledger.path, &config.job, access, at).await?;
    let days = Affected::new(from, to, &config);
    let lost = lost(&config, &settings, &ledger, &days, args.for_good).await?;
    let counts = ledger.count_delivered(days.readings()).await?;
    let plan = Plan {
        from,
        to,
        bounds,
        main: counts[0],
        around: counts[1].saturating_sub(counts[0]),
        lost,
        for_good: args.for_good,
    };
    if context.output == Output::Text && !context.quiet {
        context.print(&plan.text(&config));
    }
    if plan.lost > 0 && !args.allow_loss {
        ledger.close().await?;
        return Err(Exit::new(
            Code::Usage,
            format!(
                "the source does not hold {} any more that the CRM has, so nobody could send what is lost again; nothing was \
                 deleted; repeat with --allow-loss if that may go",
                count(plan.lost, "call")
            ),
        ));
    }
    if args.dry_run {
        ledger.close().await?;
        let exit = Exit::new(Code::Settled, "dry run: nothing was deleted");
        conclude(context, &config, &plan, None, true, &exit);
        return Ok(exit);
    }
    if !args.yes && !confirmed(context)? {
        return Ok(Exit::new(Code::Settled, "nothing was deleted"));
    }
    let begun = ledger
        .begin_deletion(DeletionPlan {
            days: from..=to,
            purpose: if args.for_good {
                Purpose::Withdraw
            } else {
                Purpose::SendAgain
            },
            main: days.main.clone(),
            around: days.around.clone(),
            started: at,
        })
        .await?;
    let deletion = crm.delete(bounds).await;
    ledger
        .finish_deletion(begun.id, now().timestamp(), deletion.clone())
        .await?;
    ledger.close().await?;
    let exit = exit(&deletion);
    conclude(
        context,
        &config,
        &plan,
        Some((&deletion, &counts)),
        false,
        &exit,
    );
    Ok(exit)
}

/// The days, as sets of calls. Whether the CRM's days are local, UTC or those of its own place, and whether its bounds
/// leave the two dates on the wire alone or only the midnights that begin them, is not known; every call that any reading
/// takes along is looked after.
struct Affected {
    main: Selection,
    around: Selection,
    readings: Vec<Selection>,
    all: Range<i64>,
}

impl Affected {
    fn new(from: NaiveDate, to: NaiveDate, config: &Config) -> Self {
        let zone = config.source.timezone;
        let before = from.checked_sub_days(Days::new(1)).unwrap_or(from);
        let after = to.checked_add_days(Days::new(1)).unwrap_or(to);
        let local = |first: NaiveDate, last: NaiveDate| {
            day_bounds(first, zone).start..day_bounds(last, zone).end
        };
        let utc = |first: NaiveDate, last: NaiveDate| {
            let midnight = |day: NaiveDate| day.and_time(NaiveTime::MIN).and_utc().timestamp();
            midnight(first)..midnight(last.checked_add_days(Days::new(1)).unwrap_or(last))
        };
        let set = |range: Range<i64>| Selection {
            instants: vec![range],
            wire_dates: None,
        };
        let main = set(local(from, to));
        let eastern = |range: Range<i64>| range.start - EASTERNMOST..range.end;
        let around = Selection {
            instants: vec![eastern(local(before, after)), eastern(utc(before, after))],
            wire_dates: Some(before..=after),
        };
        // Between two midnights, both excluded: the first date goes, the second stays.
        let midnights = |first: Range<i64>, last: Range<i64>| first.start + 1..last.start;
        let readings = vec![
            main.clone(),
            around.clone(),
            set(utc(from, to)),
            set(midnights(local(before, before), local(after, after))),
            set(midnights(utc(before, before), utc(after, after))),
        ];
        // A wire date can lie a day off its instant's local and UTC dates.
        let wide = local(before, after);
        let wide_utc = utc(before, after);
        let all = wide.start.min(wide_utc.start) - 86_400..wide.end.max(wide_utc.end) + 86_400;
        Self {
            main,
            around,
            readings,
            all,
        }
    }

    /// Named days and everything affected, then the other readings of the bounds.
    fn readings(&self) -> Vec<Selection> {
        self.readings.clone()
    }
}

/// How many delivered calls of the affected days the source no longer holds. With `for_good` those of the named days
/// are meant to go.
async fn lost(
    config: &Config,
    settings: &Settings<'_>,
    ledger: &Ledger,
    days: &Affected,
    for_good: bool,
) -> Result<u64, Exit> {
    let window = Window {
        since: days.all.start,
        until: days.all.end,
    };
    let (source, profile) = sync::connect_source(config).await?;
    let (mut intake, _) = Intake::open(settings, source, profile, window).await?;
    let mut after: Option<Identity> = None;
    let mut delivered = Vec::new();
    let mut more = true;
    let mut lost = 0;
    let mut held: BTreeSet<Identity> = BTreeSet::new();
    // Both sides come in the order of identities: slice by slice of the source, page by page of the ledger.
    loop {
        let batch = intake.next().await?;
        let until = batch.as_ref().map(|batch| batch.until);
        if let Some(batch) = batch {
            held.extend(
                batch
                    .calls
                    .into_iter()
                    .map(|candidate| candidate.call.identity),
            );
        }
        loop {
            while more && delivered.len() < PAGE {
                let page = ledger
                    .delivered_in(days.all.clone(), after.clone(), PAGE)
                    .await?;
                more = page.len() == PAGE;
                if let Some((identity, _)) = page.last() {
                    after = Some(identity.clone());
                }
                delivered.extend(page);
            }
            let ready = delivered
                .iter()
                .take_while(|(identity, _)| until.is_none_or(|until| identity.start < until))
                .count();
            for (identity, instant) in delivered.drain(..ready) {
                let ours = affected(days, instant);
                let meant = for_good && days.main.instants[0].contains(&instant);
                if ours && !meant && !held.contains(&identity) {
                    lost += 1;
                }
            }
            if !delivered.is_empty() || !more {
                break;
            }
        }
        let Some(until) = until else { return Ok(lost) };
        held.retain(|identity| identity.start >= until);
    }
}

/// Whether any reading by instants takes the call along.
fn affected(days: &Affected, instant: i64) -> bool {
    days.around
        .instants
        .iter()
        .any(|range| range.contains(&instant))
}

/// What is about to happen.
struct Plan {
    from: NaiveDate,
    to: NaiveDate,
    bounds: DeleteBounds,
    main: u64,
    around: u64,
    lost: u64,
    for_good: bool,
}

impl Plan {
    fn text(&self, config: &Config) -> String {
        let mut text = format!(
            "Delete all calls of {} to {}, both days included, from {}.\n\n",
            self.from, self.to, config.target.url
        );
        let _ = writeln!(
            text,
            "  request   from={} to={}: both dates are exclusive on the wire",
            self.bounds.from, self.bounds.to
        );
        let fate = if self.for_good {
            "they stay out until `sync --resend`"
        } else {
            "the next run that covers them sends them again"
        };
        let _ = writeln!(
            text,
            "  ledger    {} of these days delivered; {fate}",
            count(self.main, "call")
        );
        let _ = writeln!(
            text,
            "            {} on either side will be verified: sent again, harmless where they still exist",
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
    fn since(&self) -> NaiveDate {
        let from = self.bounds.from;
        from.checked_sub_days(Days::new(1)).unwrap_or(from)
    }

    /// First day after that window: the last date on the wire may end on the next day here.
    fn until(&self) -> NaiveDate {
        let to = self.bounds.to;
        to.checked_add_days(Days::new(2)).unwrap_or(to)
    }
}

/// Asks, on a terminal.
fn confirmed(context: &Context) -> Result<bool, Exit> {
    if !std::io::stdin().is_terminal() {
        return Err(Exit::new(
            Code::Usage,
            "nobody is there to ask; nothing was deleted; add --yes where that is meant, or --dry-run to look first",
        ));
    }
    let mut stderr = std::io::stderr().lock();
    let _ = write!(stderr, "Delete them? [y/N] ");
    let _ = stderr.flush();
    drop(stderr);
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    let yes = read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes" | "Yes" | "YES");
    if !yes {
        context.print("Nothing was deleted.\n");
    }
    Ok(yes)
}

fn exit(deletion: &Deletion) -> Exit {
    match deletion {
        Deletion::Deleted { count: n } => Exit::new(
            Code::Settled,
            format!("the CRM deleted {}", count(*n, "call")),
        ),
        Deletion::Refused { reason } => Exit::new(
            Code::Look,
            format!(
                "the CRM refused the deletion, and nothing was deleted: {}",
                Shown(reason)
            ),
        ),
        Deletion::NotSent { reason } => Exit::new(
            Code::Incomplete,
            format!(
                "the CRM was not reached, and nothing was deleted: {}; try again later",
                Shown(reason)
            ),
        ),
        Deletion::Unknown { reason } => Exit::new(
            Code::Incomplete,
            format!(
                "the CRM may have deleted the calls or not: {}; the next `cdrelay sync` that covers these days sends what \
                 is missing, and the deletion can be repeated",
                Shown(reason)
            ),
        ),
        Deletion::Broken { reason } => Exit::new(Code::Crm, Shown(reason).to_string()),
    }
}

/// What the CRM's count says about its reading of the bounds, where the readings differ.
fn reading(deleted: u64, counts: &[u64]) -> Option<&'static str> {
    let [local, _, utc, local_midnights, utc_midnights] = counts else {
        return None;
    };
    let names = [
        (
            *local,
            "the two dates on the wire are left alone, and days are local",
        ),
        (
            *utc,
            "the two dates on the wire are left alone, and days are UTC",
        ),
        (
            *local_midnights,
            "only the midnights that begin the two dates on the wire are left alone, and days are local",
        ),
        (
            *utc_midnights,
            "only the midnights that begin the two dates on the wire are left alone, and days are UTC",
        ),
    ];
    let mut fitting = names.iter().filter(|(n, _)| *n == deleted);
    let first = fitting.next()?;
    fitting.next().is_none().then_some(first.1)
}

fn conclude(
    context: &Context,
    config: &Config,
    plan: &Plan,
    done: Option<(&Deletion, &[u64])>,
    dry_run: bool,
    exit: &Exit,
) {
    let deleted = match done {
        Some((Deletion::Deleted { count }, _)) => Some(*count),
        _ => None,
    };
    let reading = deleted
        .zip(done)
        .and_then(|(n, (_, counts))| reading(n, counts));
    match context.output {
        Output::Json => context.print_json(&json!({
            "job": config.job,
            "from": plan.from,
            "to": plan.to,
            "wire": {"from": plan.bounds.from, "to": plan.bounds.to},
            "dry_run": dry_run,
            "for_good": plan.for_good,
            "main": plan.main,
            "verify": plan.around,
            "lost": plan.lost,
            "deleted": deleted,
            "reading": reading,
            "exit": exit,
        })),
        Output::Text if context.quiet => {}
        Output::Text if dry_run => context.print("Dry run: nothing was deleted.\n"),
        Output::Text => {
            if let Some(n) = deleted {
                let mut text = format!("The CRM deleted {}.\n", count(n, "call"));
                if let Some(reading) = reading {
                    let _ = writeln!(text, "By that count, {reading}.");
                } else if n != plan.main {
                    let _ = writeln!(
                        text,
                        "The ledger knew {} of these days; the rest came from elsewhere, or was not there any more.",
                        count(plan.main, "call")
                    );
                }
                if !plan.for_good {
                    let _ = writeln!(
                        text,
                        "To send them again now: cdrelay sync --since {} --until {}",
                        plan.since(),
                        plan.until()
                    );
                }
                context.print(&text);
            }
        }
    }
}
