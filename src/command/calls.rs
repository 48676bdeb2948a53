//! `calls`: lists what the ledger holds, and the calls that were folded into another for their key.

use std::fmt::Write as _;
use std::ops::Range;

use serde_json::json;

use super::between::{self, local, stamp, utc};
use super::{Context, Ended, now};
use crate::agi;
use crate::call::{ColumnTime, Identity, RawNumber, TimeKind, WireForm};
use crate::cdr::clock::Clock;
use crate::cdr::window::Window;
use crate::cli::{CallsArgs, Output};
use crate::config::Config;
use crate::ledger::{Access, Collision, Filter, Ledger, Listed, Missing, NumberFilter, State};
use crate::number::dialplan::Pattern;
use crate::report::csv;
use crate::report::exit::{Code, Exit};
use crate::text::mask::Privacy;
use crate::text::{Shown, visible_json};

mod object;

use object::CallObject;
pub(super) use object::{object, wire_object};

/// Calls that are read from the ledger at a time.
const PAGE: usize = 2_000;

/// The head of the CSV.
const HEAD: [&str; 20] = [
    "state",
    "start",
    "source",
    "destination",
    "sent_source",
    "sent_destination",
    "initiated",
    "duration",
    "disposition",
    "attempts",
    "last_attempt",
    "reason",
    "drift",
    "stuck",
    "missing",
    "contact_id",
    "call_id",
    "uniqueid",
    "linkedid",
    "url",
];

/// Lists, a line a call; reads the ledger beside a run that is under way.
pub async fn run(context: &Context, args: &CallsArgs) -> Ended {
    let form = Form::asked(context, args.csv)?;
    let config = context.load()?;
    let window = between::window(&config, args.since.as_deref(), args.until.as_deref())?;
    // The column's clock may be a wall clock or not.
    let clock = Clock::new(TimeKind::Wall, config.source.timezone);
    let wall = window.column_window(&clock);
    let list = List {
        context,
        config: &config,
        form,
        privacy: Privacy::asked(args.mask),
        filter: filter(args, window, &wall)?,
        wall,
    };
    let (ledger, _) = Ledger::open(
        &config.ledger.path,
        &config.job,
        Access::ReadOnly,
        now().timestamp(),
    )
    .await?;
    if form == Form::Csv {
        context.print_csv(&csv::line(HEAD));
    }
    let from = match args.limit {
        Some(limit) => ledger.before_last(list.filter.clone(), limit).await?,
        None => None,
    };
    let mut listed = list.calls(&ledger, from.clone()).await?;
    // What is said about single calls says nothing about those that never became one.
    let every = args.state.is_none() && !args.drift && !args.stuck && args.uniqueid.is_none();
    if every {
        listed += list.folded(&ledger, from).await?;
    }
    ledger.close().await?;
    // Calls that were told while they happened are a job of their own.
    let job = agi::job(&config.job);
    let at = now().timestamp();
    let (told, _) = Ledger::open(&config.ledger.path, &job, Access::ReadOnly, at).await?;
    let from = match args.limit {
        Some(limit) => told.before_last(list.filter.clone(), limit).await?,
        None => None,
    };
    listed += list.calls(&told, from).await?;
    told.close().await?;
    if listed > 0 && args.state == Some(State::Held) && form == Form::Text && !context.quiet {
        context.print("\nWhat to do about them: `cdrelay held`.\n");
    }
    if listed == 0 && form == Form::Text && !context.quiet {
        context.print("The ledger holds no such call.\n");
    }
    Ok(Exit::new(Code::Settled, "listed"))
}

/// The forms of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// For people.
    Text,
    /// One object a line.
    Json,
    /// For spreadsheets.
    Csv,
}

impl Form {
    /// The form that `--csv` and `--output` ask for.
    ///
    /// # Errors
    /// Code 2 where they ask for two.
    pub(super) fn asked(context: &Context, csv: bool) -> Result<Self, Exit> {
        match (csv, context.output) {
            (true, Output::Json) => Err(Exit::new(
                Code::Usage,
                "`--csv` and `--output json` are two forms of one list; leave one of them out",
            )),
            (true, Output::Text) => Ok(Self::Csv),
            (false, Output::Json) => Ok(Self::Json),
            (false, Output::Text) => Ok(Self::Text),
        }
    }
}

/// A number as `--number` takes it: what begins with `_` is a dialplan pattern.
pub(super) fn number(text: &str) -> Result<NumberFilter, Exit> {
    if !text.starts_with('_') {
        return Ok(NumberFilter::Exact(text.to_owned()));
    }
    Pattern::parse(text)
        .map(NumberFilter::Pattern)
        .map_err(|why| {
            Exit::new(
                Code::Usage,
                format!("--number: `{}` is no dialplan pattern: {why}", Shown(text)),
            )
        })
}

fn filter(args: &CallsArgs, window: Window, wall: &Range<ColumnTime>) -> Result<Filter, Exit> {
    // The widest reading of the window serves every kind of column, and the instant decides.
    let since = ColumnTime(wall.start.0.min(window.since));
    let until = ColumnTime(wall.end.0.max(window.until));
    Ok(Filter {
        state: args.state,
        drifting: args.drift,
        stuck: args.stuck,
        since: args.since.is_some().then_some(since),
        until: args.until.is_some().then_some(until),
        instants: (args.since.is_some() || args.until.is_some())
            .then_some(window.since..window.until),
        uniqueid: args.uniqueid.clone(),
        number: args.number.as_deref().map(number).transpose()?,
    })
}

/// One list in the making.
struct List<'a> {
    context: &'a Context,
    config: &'a Config,
    form: Form,
    privacy: Privacy,
    filter: Filter,
    /// The window on a wall clock.
    wall: Range<ColumnTime>,
}

impl List<'_> {
    /// Prints the calls after this one; gives how many there are.
    async fn calls(&self, ledger: &Ledger, mut after: Option<Identity>) -> Result<u64, Exit> {
        let mut listed: u64 = 0;
        let list = |after| ledger.list(self.filter.clone(), after, PAGE);
        let mut page = list(after.take()).await?;
        loop {
            let last = page.len() < PAGE;
            let next = page.last().map(|call| call.identity.clone());
            listed += page.len() as u64;
            // The ledger is asked for the next ones first, and looks for them while these are printed.
            let (following, ()) = tokio::join!(
                biased;
                async {
                    match next.filter(|_| !last) {
                        Some(next) => list(Some(next)).await,
                        None => Ok(Vec::new()),
                    }
                },
                async { self.page(page) },
            );
            page = following?;
            if last {
                return Ok(listed);
            }
        }
    }

    /// Prints some calls.
    fn page(&self, page: Vec<Listed>) {
        let mut text = String::new();
        for call in page {
            let call = masked(call, self.privacy);
            match self.form {
                Form::Text => line(&mut text, &call, self.config),
                Form::Json => {
                    let json = serde_json::to_string(&CallObject::of(&call)).unwrap_or_default();
                    let _ = writeln!(text, "{}", visible_json(&json));
                }
                Form::Csv => text.push_str(&csv::line(cells(&call))),
            }
        }
        self.print(&text);
    }

    /// Prints the calls that another call's key keeps out, after this one; gives how many there are.
    async fn folded(&self, ledger: &Ledger, mut after: Option<Identity>) -> Result<u64, Exit> {
        let mut listed = 0;
        loop {
            let page = ledger.collisions(after.clone(), PAGE).await?;
            let last = page.len() < PAGE;
            after = page.last().map(|collision| collision.folded.clone());
            let mut text = String::new();
            for collision in page.iter().filter(|collision| self.holds(collision)) {
                listed += 1;
                let folded = masked_identity(&collision.folded, self.privacy);
                let owner = masked_identity(&collision.owner, self.privacy);
                self.collision(&mut text, &folded, &owner);
            }
            self.print(&text);
            if last {
                return Ok(listed);
            }
        }
    }

    fn holds(&self, collision: &Collision) -> bool {
        let folded = &collision.folded;
        let numbers = [folded.source.as_str(), folded.destination.as_str()];
        self.wall.contains(&folded.start)
            && match &self.filter.number {
                None => true,
                Some(NumberFilter::Exact(number)) => numbers.contains(&number.as_str()),
                Some(NumberFilter::Pattern(pattern)) => {
                    numbers.iter().any(|number| pattern.is_match(number))
                }
            }
    }

    fn collision(&self, text: &mut String, folded: &Identity, owner: &Identity) {
        let of = |identity| crate::intake::describe(identity, TimeKind::Wall);
        match self.form {
            Form::Text => {
                let _ = writeln!(
                    text,
                    "same key    {}, kept out by {}",
                    of(folded),
                    of(owner)
                );
            }
            Form::Json => {
                let side = |identity: &Identity| {
                    json!({
                        "start": stamp(identity.start),
                        "source": identity.source.as_str(),
                        "destination": identity.destination.as_str(),
                    })
                };
                let mut object = side(folded);
                object["owner"] = side(owner);
                let line = json!({ "collision": object }).to_string();
                let _ = writeln!(text, "{}", visible_json(&line));
            }
            Form::Csv => {
                let mut cells = [const { String::new() }; HEAD.len()];
                cells[0] = "same key".to_owned();
                cells[1] = stamp(folded.start);
                cells[2] = folded.source.0.clone();
                cells[3] = folded.destination.0.clone();
                cells[11] = format!("kept out by {}", of(owner));
                text.push_str(&csv::line(cells));
            }
        }
    }

    fn print(&self, text: &str) {
        match self.form {
            Form::Text | Form::Json => self.context.print(text),
            Form::Csv => self.context.print_csv(text),
        }
    }
}

/// The same call with its numbers as they may be shown.
pub(super) fn masked(call: Listed, privacy: Privacy) -> Listed {
    match privacy {
        Privacy::Whole => call,
        Privacy::Masked => Listed {
            identity: masked_identity(&call.identity, privacy),
            words: call
                .words
                .as_deref()
                .map(|words| privacy.text(words).into()),
            wire: call.wire.as_ref().map(|wire| masked_wire(wire, privacy)),
            ..call
        },
    }
}

/// The same identity with its numbers as they may be shown.
pub(super) fn masked_identity(identity: &Identity, privacy: Privacy) -> Identity {
    Identity {
        source: RawNumber(privacy.number(identity.source.as_str()).into()),
        destination: RawNumber(privacy.number(identity.destination.as_str()).into()),
        ..*identity
    }
}

/// The same form with its numbers, and what its link holds of them, as they may be shown.
pub(super) fn masked_wire(wire: &WireForm, privacy: Privacy) -> WireForm {
    use crate::call::PhoneNumber;
    WireForm {
        initiated: wire.initiated.clone(),
        source: PhoneNumber(privacy.number(wire.source.as_str()).into()),
        destination: PhoneNumber(privacy.number(wire.destination.as_str()).into()),
        duration: wire.duration,
        url: wire.url.as_deref().map(|url| privacy.link(url).into()),
        form: wire.form.as_deref().map(|form| privacy.form(form).into()),
    }
}

/// One call on one line.
pub(super) fn line(text: &mut String, call: &Listed, config: &Config) {
    let at = local(call.instant, config.source.timezone);
    let sent = call
        .wire
        .as_ref()
        .map_or("", |wire| wire.destination.as_str());
    let _ = write!(
        text,
        "{:<11} {at}  {} -> {}",
        call.state.as_str(),
        Shown(call.identity.source.as_str()),
        Shown(call.identity.destination.as_str())
    );
    if sent != call.identity.destination.as_str() && !sent.is_empty() {
        let _ = write!(text, " (as {})", Shown(sent));
    }
    if let Some(pending) = call.pending {
        let _ = write!(text, "  [{}]", pending.as_str());
    }
    if call.is_stuck() {
        text.push_str("  [stuck]");
    }
    if call.drift {
        text.push_str("  [drift]");
    }
    if let Some(missing) = missing(call.missing) {
        let _ = write!(text, "  [{}]", missing.replace('_', " "));
    }
    if let Some(words) = call.words.as_deref().filter(|words| !words.is_empty()) {
        let _ = write!(text, "  {}", Shown(words));
    }
    text.push('\n');
}

/// One call as cells, in the order of [`HEAD`].
fn cells(call: &Listed) -> [String; HEAD.len()] {
    let wire = call.wire.as_ref();
    let number = |n: Option<i64>| n.map(|n| n.to_string()).unwrap_or_default();
    let yes = |flag: bool| if flag { "yes" } else { "" }.to_owned();
    [
        call.state.as_str().to_owned(),
        stamp(call.identity.start),
        call.identity.source.0.clone(),
        call.identity.destination.0.clone(),
        wire.map(|wire| wire.source.0.clone()).unwrap_or_default(),
        wire.map(|wire| wire.destination.0.clone())
            .unwrap_or_default(),
        wire.map(|wire| wire.initiated.clone()).unwrap_or_default(),
        wire.map(|wire| wire.duration.to_string())
            .unwrap_or_default(),
        call.disposition.as_str().to_owned(),
        call.attempts.to_string(),
        call.last_attempt.and_then(utc).unwrap_or_default(),
        call.words.clone().unwrap_or_default(),
        yes(call.drift),
        yes(call.is_stuck()),
        missing(call.missing).unwrap_or_default().to_owned(),
        number(call.receipt.contact_id),
        number(call.receipt.call_id),
        call.origin.uniqueid.clone().unwrap_or_default(),
        call.origin.linkedid.clone().unwrap_or_default(),
        wire.and_then(|wire| wire.url.clone()).unwrap_or_default(),
    ]
}

/// Why a due call is not sent: the word on record.
pub(super) fn missing(missing: Missing) -> Option<&'static str> {
    match missing {
        Missing::Nothing => None,
        Missing::Row => Some("row_gone"),
        Missing::Selection => Some("row_left_out"),
    }
}
