//! `--since` and `--until` of the verbs that list: how a window that may be open on either side is read, and how times of
//! calls are shown.

use chrono::DateTime;
use chrono_tz::Tz;

use crate::call::ColumnTime;
use crate::cdr::clock::clock_text;
use crate::cdr::when::parse_when;
use crate::cdr::window::Window;
use crate::config::Config;
use crate::report::exit::{Code, Exit};

/// A bound that no call reaches and that can still be added to.
const ALWAYS: i64 = 400_000_000_000;

/// The window that the flags name; without one of them it is open on that side.
///
/// # Errors
/// Code 2 for what is no time.
pub(super) fn window(
    config: &Config,
    since: Option<&str>,
    until: Option<&str>,
) -> Result<Window, Exit> {
    Ok(Window {
        since: when(config, "--since", since)?.unwrap_or(-ALWAYS),
        until: when(config, "--until", until)?.unwrap_or(ALWAYS),
    })
}

/// The instant that a flag names.
///
/// # Errors
/// Code 2 for what is no time.
pub(super) fn when(config: &Config, flag: &str, text: Option<&str>) -> Result<Option<i64>, Exit> {
    text.map(|text| {
        parse_when(text, config.source.timezone)
            .map_err(|why| Exit::new(Code::Usage, format!("{flag}: {why}")))
    })
    .transpose()
}

/// A start as the column holds it.
pub(super) fn stamp(at: ColumnTime) -> String {
    DateTime::from_timestamp(at.0, 0)
        .map_or_else(|| at.0.to_string(), |at| clock_text(at.timestamp(), ' '))
}

/// An instant as people read it.
pub(super) fn local(at: i64, zone: Tz) -> String {
    DateTime::from_timestamp(at, 0).map_or_else(
        || at.to_string(),
        |at| {
            let read = at.with_timezone(&zone).naive_local();
            clock_text(read.and_utc().timestamp(), ' ')
        },
    )
}

/// The day of an instant.
pub(super) fn day(at: i64, zone: Tz) -> String {
    local(at, zone).chars().take(10).collect()
}

/// An instant as machines read it.
pub(super) fn utc(at: i64) -> Option<String> {
    DateTime::from_timestamp(at, 0).map(|at| clock_text(at.timestamp(), 'T') + "Z")
}
