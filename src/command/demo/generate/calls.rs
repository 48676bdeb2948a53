//! What happens in the office, call by call, before any of it has a row.

use chrono::{NaiveDateTime, TimeDelta};

use super::CallKind;
use crate::call::Disposition;

/// One call: everything its rows share, and the rows.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) start: NaiveDateTime,
    pub(super) kind: CallKind,
    /// `src`; empty where withheld.
    pub(super) caller: String,
    pub(super) caller_name: String,
    /// `dst` of the call's own rows.
    pub(super) dst: String,
    /// What the CRM calls `dst`, for calls that went out.
    pub(super) crm_number: Option<String>,
    /// The number that was dialled from outside.
    pub(super) did: String,
    pub(super) outbound_cnum: &'static str,
    pub(super) dst_cnam: &'static str,
    /// FreePBX's word for why it was recorded.
    pub(super) recording: Option<&'static str>,
    /// A repetition of a call that found the number busy.
    pub(super) redial: bool,
    pub(super) rows: Vec<Draft>,
}

/// One row. In channel names `#` stands for the number that Asterisk gives a channel.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    /// Seconds from the call's start to the row's.
    pub(super) offset: u32,
    /// 0 for the caller's channel, 1 for one that the call opened on its way.
    pub(super) channel_no: u64,
    pub(super) dst: String,
    pub(super) context: &'static str,
    pub(super) channel: String,
    pub(super) dstchannel: String,
    pub(super) lastapp: &'static str,
    pub(super) lastdata: String,
    pub(super) duration: u32,
    pub(super) billsec: u32,
    pub(super) disposition: Disposition,
}

impl Call {
    pub(super) fn end(&self) -> NaiveDateTime {
        let seconds = self.rows.iter().map(|row| row.offset + row.duration).max();
        self.start + TimeDelta::seconds(seconds.unwrap_or(0).into())
    }

    /// Whether several rows share start, `src` and `dst`.
    pub(super) fn is_forked(&self) -> bool {
        let own = |row: &&Draft| row.channel_no == 0 && row.offset == 0 && row.dst == self.dst;
        self.rows.iter().filter(own).count() > 1
    }

    pub(super) fn has_hangup_row(&self) -> bool {
        self.rows.iter().any(|row| row.dst == "h")
    }
}
