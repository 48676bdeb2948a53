//! Calls over the outside line, and feature codes.

use chrono::{NaiveDateTime, TimeDelta};

use super::super::CallKind;
use super::super::calls::Draft;
use super::super::numbers::{DialledLine, MAIN_NUMBER, OUTSIDE_LINE, mobile};
use super::super::stations::Station;
use super::{Planner, alone, station_channel};
use crate::call::Disposition;

impl Planner {
    /// Somebody calls out, and tries again where the number is busy.
    pub(super) fn dial(&mut self, start: NaiveDateTime, kind: CallKind) {
        let (Some(from), Some(line)) = (
            self.free_station(start),
            self.directory.dial(kind, &mut self.random),
        ) else {
            return;
        };
        let mut start = start;
        let mut redial = false;
        let busy_times = if self.random.percent(8) {
            self.random.between(1, 3)
        } else {
            0
        };
        for _ in 0..busy_times {
            let rows = vec![self.trunk_row(from, &line, "trunk-1", Disposition::Busy)];
            self.keep_outbound(start, kind, from, &line, redial, rows);
            start += TimeDelta::seconds(self.random.between(40, 240).into());
            redial = true;
        }
        let ending = match self.random.below(100) {
            0..=3 => Disposition::Failed,
            4..=25 => Disposition::NoAnswer,
            _ => Disposition::Answered,
        };
        let mut rows = Vec::new();
        if self.random.percent(7) {
            let first = if self.random.percent(30) {
                Disposition::Failed
            } else {
                Disposition::NoAnswer
            };
            rows.push(self.trunk_row(from, &line, "trunk-1", first));
            rows.push(self.trunk_row(from, &line, "trunk-2", ending));
        } else {
            rows.push(self.trunk_row(from, &line, "trunk-1", ending));
        }
        self.keep_outbound(start, kind, from, &line, redial, rows);
    }

    /// A fax behind an analogue adapter: its calls go out without a number of their own.
    pub(super) fn fax(&mut self, start: NaiveDateTime) {
        const FAX: Station = Station {
            extension: "",
            name: "",
        };
        let kind = CallKind::OutboundNational;
        if let Some(line) = self.directory.dial(kind, &mut self.random) {
            let mut row = self.trunk_row(FAX, &line, "trunk-1", Disposition::Answered);
            row.channel = "DAHDI/4-#".to_owned();
            self.keep_outbound(start, kind, FAX, &line, false, vec![row]);
        }
    }

    /// Call forwarding: `*72` and an announcement that asks for the number, or `*72` and the number at once.
    pub(super) fn forward(&mut self, start: NaiveDateTime) {
        let Some(from) = self.free_station(start) else {
            return;
        };
        let to = if self.random.percent(60) {
            mobile(&mut self.random)
        } else {
            String::new()
        };
        let seconds = self.random.between(5, 18);
        let row = alone(
            &format!("*72{to}"),
            "from-internal",
            station_channel(from),
            "Playback",
            seconds,
        );
        let call = self.call(start, CallKind::FeatureCode, from.extension, from.name);
        self.keep(call, vec![row], &[from.extension]);
    }

    fn keep_outbound(
        &mut self,
        start: NaiveDateTime,
        kind: CallKind,
        from: Station,
        line: &DialledLine,
        redial: bool,
        mut rows: Vec<Draft>,
    ) {
        let answered = rows.last().filter(|row| row.billsec > 0).cloned();
        if let Some(row) = &answered
            && self.random.percent(3)
        {
            // What the dialplan does after the Dial has ended can leave a row of its own.
            rows.push(Draft {
                offset: row.duration,
                dst: "h".to_owned(),
                dstchannel: String::new(),
                lastapp: "Hangup",
                lastdata: String::new(),
                duration: 0,
                billsec: 0,
                ..row.clone()
            });
        }
        let mut call = self.call(start, kind, from.extension, from.name);
        call.crm_number = Some(line.crm.clone());
        call.outbound_cnum = MAIN_NUMBER;
        call.redial = redial;
        if answered.is_some() && self.random.percent(85) {
            call.recording = Some("out");
        }
        self.keep(call, rows, &[from.extension]);
    }

    /// A row of a number dialled over a trunk; the trunk gets it without the digit for the outside line.
    fn trunk_row(
        &mut self,
        from: Station,
        line: &DialledLine,
        trunk: &str,
        disposition: Disposition,
    ) -> Draft {
        let (ring, talk) = match disposition {
            Disposition::Answered => (
                self.random.between(4, 22),
                self.random.log_normal(95.0, 0.95, 7_200),
            ),
            Disposition::NoAnswer | Disposition::Cancel => (self.random.between(12, 45), 0),
            Disposition::Busy => (self.random.between(2, 6), 0),
            Disposition::Failed | Disposition::Congestion | Disposition::Other(_) => {
                (self.random.between(0, 3), 0)
            }
        };
        let number = line.raw.strip_prefix(OUTSIDE_LINE).unwrap_or(&line.raw);
        Draft {
            offset: 0,
            channel_no: 0,
            dst: line.raw.clone(),
            context: "from-internal",
            channel: station_channel(from),
            dstchannel: format!("PJSIP/{trunk}-#"),
            lastapp: "Dial",
            lastdata: format!("PJSIP/{number}@{trunk},300,T"),
            duration: ring + talk,
            billsec: talk,
            disposition,
        }
    }
}
