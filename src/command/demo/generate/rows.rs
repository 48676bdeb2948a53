//! From calls to rows: what Asterisk numbers itself, and FreePBX's names.

use std::collections::BTreeMap;

use chrono::{NaiveDateTime, TimeDelta, TimeZone, Weekday};

use super::ZONE;
use super::calls::{Call, Draft};

/// One row of `cdr`, column by column.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) calldate: String,
    pub(super) clid: String,
    pub(super) src: String,
    pub(super) dst: String,
    pub(super) dcontext: &'static str,
    pub(super) channel: String,
    pub(super) dstchannel: String,
    pub(super) lastapp: &'static str,
    pub(super) lastdata: String,
    pub(super) duration: u32,
    pub(super) billsec: u32,
    pub(super) disposition: String,
    pub(super) uniqueid: String,
    pub(super) did: String,
    pub(super) recordingfile: String,
    pub(super) cnum: String,
    pub(super) cnam: String,
    pub(super) outbound_cnum: &'static str,
    pub(super) dst_cnam: &'static str,
    pub(super) linkedid: String,
    pub(super) sequence: u64,
}

/// Gives the calls, which are in the order of their starts, their channels' and rows' numbers, and puts the rows in the
/// order in which Asterisk writes them: at hangup, all rows of a channel together.
pub(super) fn number(calls: &[Call]) -> Vec<Row> {
    let mut rows: Vec<(NaiveDateTime, Row)> = Vec::new();
    let mut week = None;
    let mut channels = 0;
    let mut sequence = 0;
    for call in calls {
        // The machine restarts in the night to Sunday, and both counters with it: their values come back, and only
        // together with the epoch in front do they tell channels apart.
        let this_week = call.start.date().week(Weekday::Sun).checked_first_day();
        if week.replace(this_week) != Some(this_week) {
            channels = 0;
            sequence = 0;
        }
        let end = call.end();
        let mut names = ChannelNumbers::new(channels);
        for draft in &call.rows {
            rows.push((end, row(call, draft, &mut names, sequence)));
            sequence += 1;
        }
        channels = names.next;
    }
    rows.sort_by_key(|(end, _)| *end);
    rows.into_iter().map(|(_, row)| row).collect()
}

/// The numbers of one call's channels, counted over the life of the Asterisk process.
struct ChannelNumbers {
    first: u64,
    next: u64,
    given: BTreeMap<String, u64>,
}

impl ChannelNumbers {
    fn new(first: u64) -> Self {
        Self {
            first,
            next: first,
            given: BTreeMap::new(),
        }
    }

    /// Puts the channel's number in the place of `#`. Both halves of a local channel carry the same one.
    fn name(&mut self, name: &str) -> String {
        let Some((front, back)) = name.split_once('#') else {
            return name.to_owned();
        };
        let number = *self.given.entry(front.to_owned()).or_insert_with(|| {
            self.next += 1;
            self.next - 1
        });
        format!("{front}{number:08x}{back}")
    }
}

fn row(call: &Call, draft: &Draft, names: &mut ChannelNumbers, sequence: u64) -> Row {
    let linkedid = format!("{}.{}", epoch(call.start), names.first);
    let start = call.start + TimeDelta::seconds(draft.offset.into());
    let uniqueid = if draft.channel_no == 0 {
        linkedid.clone()
    } else {
        format!("{}.{}", epoch(start), names.first + draft.channel_no)
    };
    let recordingfile = call.recording.map_or_else(String::new, |reason| {
        let from = if call.caller.is_empty() {
            "unknown"
        } else {
            &call.caller
        };
        let stamp = call.start.format("%Y%m%d-%H%M%S");
        format!("{reason}-{}-{from}-{stamp}-{linkedid}.wav", call.dst)
    });
    Row {
        calldate: start.format("%Y-%m-%d %H:%M:%S").to_string(),
        clid: clid(&call.caller_name, &call.caller),
        src: call.caller.clone(),
        dst: draft.dst.clone(),
        dcontext: draft.context,
        channel: names.name(&draft.channel),
        dstchannel: names.name(&draft.dstchannel),
        lastapp: draft.lastapp,
        lastdata: draft.lastdata.clone(),
        duration: draft.duration,
        billsec: draft.billsec,
        disposition: draft.disposition.as_str().to_owned(),
        uniqueid,
        did: call.did.clone(),
        recordingfile,
        cnum: call.caller.clone(),
        cnam: cut(&call.caller_name),
        outbound_cnum: call.outbound_cnum,
        dst_cnam: call.dst_cnam,
        linkedid,
        sequence,
    }
}

/// The instant of a wall time of the PBX, in Unix seconds.
fn epoch(local: NaiveDateTime) -> i64 {
    // Every wall time from 2017 on is one instant of this zone, so that the first answer is the only one.
    ZONE.from_local_datetime(&local)
        .earliest()
        .map_or_else(|| local.and_utc().timestamp(), |time| time.timestamp())
}

/// `"name" <number>`, with quotes and backslashes escaped, cut as Asterisk's buffer of 80 bytes cuts it.
fn clid(name: &str, number: &str) -> String {
    let name = name.replace('\\', "\\\\").replace('"', "\\\"");
    cut(&format!("\"{name}\" <{number}>"))
}

/// The first 79 bytes, less the part of a character that would be cut in two.
fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(79)].to_owned()
}
