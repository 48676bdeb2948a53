//! `calls`: lists what the ledger holds, and the calls that were folded into another for their key.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Context, Ended, now};
use crate::call::{ColumnTime, Identity, TimeKind};
use crate::cdr::clock::Clock;
use crate::cdr::when::parse_when;
use crate::cdr::window::Window;
use crate::cli::{CallsArgs, Output};
use crate::config::Config;
use crate::ledger::{Access, Collision, Filter, Ledger, Listed, Missing, State};
use crate::report::exit::{Code, Exit};
use crate::text::{Shown, visible_json};

/// Calls that are read from the ledger at a time.
const PAGE: usize = 2_000;

/// Lists, a line a call; reads the ledger beside a run that is under way.
pub async fn run(context: &Context, args: &CallsArgs) -> Ended {
    let config = context.load()?;
    let window = window(&config, args)?;
    let (ledger, _) = Ledger::open(
        &config.ledger.path,
        &config.job,
        Access::ReadOnly,
        now().timestamp(),
    )
    .await?;
    // The column's clock may be a wall clock or not; the widest reading of the window serves both, and the instant decides.
    let clock = Clock::new(TimeKind::Wall, config.source.timezone);
    let wall = window.column_window(&clock);
    let filter = Filter {
        state: args.state,
        since: args
            .since
            .is_some()
            .then(|| ColumnTime(wall.start.0.min(window.since))),
        until: args
            .until
            .is_some()
            .then(|| ColumnTime(wall.end.0.max(window.until))),
        ..Filter::default()
    };
    let mut listed: u64 = 0;
    let mut after: Option<Identity> = None;
    loop {
        let page = ledger.list(filter.clone(), after.clone(), PAGE).await?;
        let last = page.len() < PAGE;
        after = page.last().map(|call| call.identity.clone());
        let mut text = String::new();
        for call in page.iter().filter(|call| window.contains(call.instant)) {
            listed += 1;
            match context.output {
                Output::Text => line(&mut text, call, &config),
                Output::Json => {
                    let _ = writeln!(text, "{}", visible_json(&object(call).to_string()));
                }
            }
        }
        context.print(&text);
        if last {
            break;
        }
    }
    if args.state.is_none() {
        folded(context, &ledger, &wall).await?;
    }
    ledger.close().await?;
    if listed > 0
        && args.state == Some(State::Held)
        && context.output == Output::Text
        && !context.quiet
    {
        context.print("\nWhat to do about them: `cdrelay held`.\n");
    }
    if listed == 0 && context.output == Output::Text && !context.quiet {
        context.print("The ledger holds no such call.\n");
    }
    Ok(Exit::new(Code::Settled, "listed"))
}

/// The calls that another call's key keeps out.
async fn folded(
    context: &Context,
    ledger: &Ledger,
    wall: &std::ops::Range<ColumnTime>,
) -> Result<(), Exit> {
    let mut after: Option<Identity> = None;
    loop {
        let page = ledger.collisions(after.clone(), PAGE).await?;
        let last = page.len() < PAGE;
        after = page.last().map(|collision| collision.folded.clone());
        let mut text = String::new();
        for Collision { folded, owner } in &page {
            if !wall.contains(&folded.start) {
                continue;
            }
            let _ = match context.output {
                Output::Text => writeln!(
                    text,
                    "same key    {}, kept out by {}",
                    crate::intake::describe(folded, TimeKind::Wall),
                    crate::intake::describe(owner, TimeKind::Wall)
                ),
                Output::Json => {
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
                    writeln!(text, "{}", visible_json(&line))
                }
            };
        }
        context.print(&text);
        if last {
            return Ok(());
        }
    }
}

fn window(config: &Config, args: &CallsArgs) -> Result<Window, Exit> {
    let when = |flag: &str, text: &Option<String>, otherwise: i64| match text {
        None => Ok(otherwise),
        Some(text) => parse_when(text, config.source.timezone)
            .map_err(|why| Exit::new(Code::Usage, format!("{flag}: {why}"))),
    };
    // Bounds that no call reaches and that can still be added to.
    const ALWAYS: i64 = 400_000_000_000;
    Ok(Window {
        since: when("--since", &args.since, -ALWAYS)?,
        until: when("--until", &args.until, ALWAYS)?,
    })
}

pub(super) fn line(text: &mut String, call: &Listed, config: &Config) {
    let at = chrono::DateTime::from_timestamp(call.instant, 0).map_or_else(
        || call.instant.to_string(),
        |at| {
            at.with_timezone(&config.source.timezone)
                .format("%Y-%m-%d %H:%M:%S")
                .to_string()
        },
    );
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

pub(super) fn object(call: &Listed) -> Value {
    let wire = call.wire.as_ref();
    json!({
        "state": call.state.as_str(),
        "pending": call.pending.map(crate::ledger::PendingReason::as_str),
        "start": stamp(call.identity.start),
        "fold": call.identity.fold.0,
        "source": call.identity.source.as_str(),
        "destination": call.identity.destination.as_str(),
        "instant": chrono::DateTime::from_timestamp(call.instant, 0).map(|at| at.format("%Y-%m-%dT%H:%M:%SZ").to_string()),
        "wire": wire.map(|wire| json!({
            "initiated": wire.initiated,
            "source": wire.source.as_str(),
            "destination": wire.destination.as_str(),
            "duration": wire.duration,
            "url": wire.url,
            "form": wire.form,
        })),
        "stuck": call.is_stuck(),
        "attempts": call.attempts,
        "last_attempt": call.last_attempt,
        "reason": call.words,
        "drift": call.drift,
        "missing": missing(call.missing),
        "contact_id": call.receipt.contact_id,
        "call_id": call.receipt.call_id,
        "uniqueid": call.origin.uniqueid,
        "linkedid": call.origin.linkedid,
        "disposition": call.disposition.as_str(),
    })
}

/// Why a due call is not sent: the word on record.
fn missing(missing: Missing) -> Option<&'static str> {
    match missing {
        Missing::Nothing => None,
        Missing::Row => Some("row_gone"),
        Missing::Selection => Some("row_left_out"),
    }
}

/// A start as the column holds it.
fn stamp(at: ColumnTime) -> String {
    chrono::DateTime::from_timestamp(at.0, 0).map_or_else(
        || at.0.to_string(),
        |at| at.format("%Y-%m-%d %H:%M:%S").to_string(),
    )
}
