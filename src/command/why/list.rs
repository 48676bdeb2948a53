//! Several calls that can be meant: a line each, and how to ask for one of them.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::find::{Finding, Found};
use super::name;
use super::verdict::Around;
use crate::call::{Identity, Origin, TimeKind};
use crate::cdr::select::{Skip, classify};
use crate::command::between::stamp;
use crate::command::calls::masked_identity;
use crate::intake::describe;
use crate::text::Shown;

/// The latest calls that can be meant, oldest first, as text and as objects.
pub(super) fn several(
    finding: &Finding,
    asked: &str,
    around: Around<'_>,
    roles: &[String],
) -> (String, Vec<Value>) {
    let calls = finding.calls.len();
    let how_many = if finding.more {
        format!(
            "More than {calls} calls match `{}`; the latest {calls}:",
            Shown(asked)
        )
    } else {
        format!("{calls} calls match `{}`:", Shown(asked))
    };
    let mut text = format!("{how_many}\n\n");
    let mut objects = Vec::new();
    for (identity, found) in &finding.calls {
        let word = word(found, around, roles);
        let ask = name::argument(identity, origin(found), around.privacy);
        let shown = masked_identity(identity, around.privacy);
        let _ = writeln!(
            text,
            "{:<11} {}   cdrelay why {ask}",
            word.replace('_', " "),
            describe(&shown, TimeKind::Wall)
        );
        objects.push(object(&shown, found, word, &ask));
    }
    text.push('\n');
    (text, objects)
}

fn origin(found: &Found) -> Option<&Origin> {
    let row = found.row.as_ref().map(|row| &row.origin);
    row.or(found.listed.as_ref().map(|listed| &listed.origin))
}

/// One word about a call, as [`super::verdict::Verdict::word`], as far as it can be told without a closer look.
fn word(found: &Found, around: Around<'_>, roles: &[String]) -> &'static str {
    if let Some(listed) = &found.listed {
        return listed.state.as_str();
    }
    if found.owner.is_some() {
        return "same_key";
    }
    let config = around.config;
    let skip = found.row.as_ref().and_then(|row| {
        classify(
            row,
            &config.select,
            config.target.empty_source.as_deref(),
            roles,
        )
    });
    match skip {
        Some(
            Skip::Invalid(_)
            | Skip::ShortDestination
            | Skip::Excluded
            | Skip::Disposition
            | Skip::NoSource,
        ) => "left_out",
        None => "not_sent",
    }
}

fn object(shown: &Identity, found: &Found, word: &str, ask: &str) -> Value {
    json!({
        "start": stamp(shown.start),
        "fold": shown.fold.0,
        "source": shown.source.as_str(),
        "destination": shown.destination.as_str(),
        "state": word,
        "uniqueid": origin(found).and_then(|origin| origin.uniqueid.as_deref()),
        "ask": ask,
    })
}
