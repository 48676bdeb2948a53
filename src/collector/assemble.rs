//! From the events of one call to its row. Pure: the same set of events, settings and time give the same answer, in
//! whatever order they came and however often.

use std::collections::BTreeMap;

use chrono_tz::Tz;

use super::event::{Dialect, Received};
use super::moment::Reader;
use super::row::Row;
use super::{astercc, cti_bridge, freeswitch};

/// What assembly needs to know beside the events.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The clock that asterCC writes.
    pub astercc: Reader,
    /// The clock that FreeSWITCH writes, `cti_bridge` included.
    pub freeswitch: Reader,
    /// How the administrator named `cti_bridge`'s parameters.
    pub cti_bridge: cti_bridge::Names,
    /// How long a call must have been quiet before its row appears or changes, in milliseconds.
    pub settle: i64,
    /// How long a call that has not ended may be quiet before it is closed, in milliseconds.
    pub close_after: i64,
}

impl Settings {
    /// For a table in zone `table`; each system in its own zone.
    #[must_use]
    pub fn new(
        table: Tz,
        astercc: Tz,
        freeswitch: Tz,
        cti_bridge: cti_bridge::Names,
        settle: i64,
        close_after: i64,
    ) -> Self {
        Self {
            astercc: Reader::new(astercc, table),
            freeswitch: Reader::new(freeswitch, table),
            cti_bridge,
            settle,
            close_after,
        }
    }
}

/// What is to be done about a call now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Assembly {
    /// Nothing before that time, milliseconds since 1970: it has not ended, or may not have settled.
    Wait(i64),
    /// This is its row.
    Row(Box<Row>),
    /// It is over, and there is no row to write: a leg of another call, or a call that never reached anybody outside.
    Nothing,
}

/// What a dialect makes of a call's events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Draft {
    /// Whether the conversation is over.
    pub(super) ended: bool,
    /// The row by what is known so far; `None` where there is none to write.
    pub(super) row: Option<Row>,
}

/// Assembles the events of one call.
#[must_use]
pub fn assemble(received: &[Received], settings: &Settings, now: i64) -> Assembly {
    let events = distinct(received);
    let Some(last) = events.iter().map(|received| received.at).max() else {
        return Assembly::Nothing;
    };
    let of = |dialect: Dialect| -> Vec<&Received> {
        let of_dialect = events
            .iter()
            .filter(|received| received.event.dialect == dialect);
        of_dialect.copied().collect()
    };
    let (astercc, posts) = (of(Dialect::Astercc), of(Dialect::Freeswitch));
    let draft = if !astercc.is_empty() {
        astercc::draft(&astercc, &settings.astercc)
    } else if !posts.is_empty() {
        // What the switch itself says at the end of a call is more than the notices said on the way.
        freeswitch::draft(&posts, &settings.freeswitch)
    } else {
        let names = &settings.cti_bridge;
        cti_bridge::draft(&of(Dialect::CtiBridge), &settings.freeswitch, names)
    };
    let patience = if draft.ended {
        settings.settle
    } else {
        settings.close_after
    };
    let due = last.saturating_add(patience);
    if due > now {
        return Assembly::Wait(due);
    }
    match draft.row {
        None => Assembly::Nothing,
        Some(mut row) => {
            if !draft.ended {
                row.userfield = noted(&row.userfield, UNFINISHED);
            }
            Assembly::Row(Box::new(row))
        }
    }
}

/// What stands in `userfield` of a call whose end was never heard of.
pub const UNFINISHED: &str = "unfinished";

/// Adds a note to a `userfield`.
pub(super) fn noted(userfield: &str, note: &str) -> String {
    if userfield.is_empty() {
        note.to_owned()
    } else {
        // In front: the column may cut what is behind.
        format!("{note};{userfield}")
    }
}

/// Each event once, with the time at which it first came, in an order that does not depend on how they came.
fn distinct(received: &[Received]) -> Vec<&Received> {
    let mut events: BTreeMap<String, &Received> = BTreeMap::new();
    for one in received {
        events
            .entry(one.event.fingerprint())
            .and_modify(|known| {
                if one.at < known.at {
                    *known = one;
                }
            })
            .or_insert(one);
    }
    events.into_values().collect()
}

#[cfg(test)]
mod tests;
