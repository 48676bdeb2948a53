//! Calls that ring an extension: from inside, and from outside.

use chrono::NaiveDateTime;

use super::super::CallKind;
use super::super::calls::{Call, Draft};
use super::super::numbers::MAIN_NUMBER;
use super::super::stations::{CALLER_NAMES, QUEUE, QUEUE_MEMBERS, RING_GROUP, RING_GROUP_MEMBERS};
use super::{Planner, alone, station_channel};
use crate::call::Disposition;

impl Planner {
    pub(super) fn internal(&mut self, start: NaiveDateTime) {
        let (Some(from), Some(to)) = (self.free_station(start), self.free_station(start)) else {
            return;
        };
        if from.extension == to.extension {
            return;
        }
        let row = self.rung(to.extension, "from-internal", station_channel(from), 40.0);
        let mut call = self.call(start, CallKind::Internal, from.extension, from.name);
        call.dst_cnam = to.name;
        call.recording = self.random.percent(10).then_some("internal");
        self.keep(call, vec![row], &[from.extension, to.extension]);
    }

    pub(super) fn reach_extension(&mut self, start: NaiveDateTime) {
        let Some(to) = self.free_station(start) else {
            return;
        };
        let row = self.rung(to.extension, "ext-local", inbound_channel(), 110.0);
        let mut call = self.inbound(start, CallKind::InboundExtension);
        call.did = format!("021255501{:02}", 1 + self.random.below(5));
        call.dst_cnam = to.name;
        call.recording = Some("external");
        self.keep(call, vec![row], &[to.extension]);
    }

    /// The caller's row, and, where an agent answers, one of the local channel that the queue rings the agent through.
    pub(super) fn reach_queue(&mut self, start: NaiveDateTime) {
        let mut call = self.inbound(start, CallKind::InboundQueue);
        call.recording = Some("q");
        let waiting = self.random.between(4, 90);
        let agents: Vec<&'static str> = QUEUE_MEMBERS
            .into_iter()
            .filter(|agent| self.is_free(agent, start))
            .collect();
        let mut row = Draft {
            offset: 0,
            channel_no: 0,
            dst: QUEUE.to_owned(),
            context: "ext-queues",
            channel: inbound_channel(),
            dstchannel: String::new(),
            lastapp: "Queue",
            lastdata: format!("{QUEUE},t,,,120"),
            duration: waiting,
            billsec: waiting,
            disposition: Disposition::Answered,
        };
        let Some(agent) = self.random.pick(&agents).copied() else {
            self.keep(call, vec![row], &[]);
            return;
        };
        let talk = self.random.log_normal(130.0, 0.8, 3_600);
        let ring = waiting.min(6);
        row.dstchannel = format!("Local/{agent}@from-queue-#;1");
        row.duration = waiting + talk;
        row.billsec = row.duration;
        let local = Draft {
            offset: waiting - ring,
            channel_no: 1,
            dst: agent.to_owned(),
            context: "from-queue",
            channel: format!("Local/{agent}@from-queue-#;2"),
            dstchannel: format!("PJSIP/{agent}-#"),
            lastapp: "Dial",
            lastdata: format!("PJSIP/{agent},15,tr"),
            duration: ring + talk,
            billsec: talk,
            disposition: Disposition::Answered,
        };
        self.keep(call, vec![row, local], &[agent]);
    }

    /// All members ring at once: one row each, those that did not answer first.
    pub(super) fn reach_ring_group(&mut self, start: NaiveDateTime) {
        let mut call = self.inbound(start, CallKind::InboundRingGroup);
        let mut members: Vec<&'static str> = RING_GROUP_MEMBERS
            .into_iter()
            .filter(|member| self.is_free(member, start))
            .collect();
        if members.len() < 2 {
            members = RING_GROUP_MEMBERS.to_vec();
        }
        self.random.shuffle(&mut members);
        let answered =
            members.iter().all(|member| self.is_free(member, start)) && self.random.percent(80);
        let ring = if answered {
            self.random.between(3, 18)
        } else {
            20
        };
        let talk = self.random.log_normal(110.0, 0.9, 5_400);
        let dialled: Vec<String> = RING_GROUP_MEMBERS
            .iter()
            .map(|member| format!("PJSIP/{member}"))
            .collect();
        let last = members.len() - 1;
        let rows = members
            .iter()
            .enumerate()
            .map(|(place, member)| {
                let won = answered && place == last;
                let billsec = if won { talk } else { 0 };
                Draft {
                    offset: 0,
                    channel_no: 0,
                    dst: RING_GROUP.to_owned(),
                    context: "ext-group",
                    channel: inbound_channel(),
                    dstchannel: format!("PJSIP/{member}-#"),
                    lastapp: "Dial",
                    lastdata: format!("{},20,tr", dialled.join("&")),
                    duration: ring + billsec,
                    billsec,
                    disposition: if won {
                        Disposition::Answered
                    } else {
                        Disposition::NoAnswer
                    },
                }
            })
            .collect();
        call.recording = answered.then_some("rg");
        let talking = if answered { &members[last..] } else { &[] };
        self.keep(call, rows, talking);
    }

    pub(super) fn reach_menu(&mut self, start: NaiveDateTime) {
        let call = self.inbound(start, CallKind::InboundMenu);
        let heard = self.random.between(3, 40);
        let row = alone("s", "ivr-1", inbound_channel(), "BackGround", heard);
        self.keep(call, vec![row], &[]);
    }

    fn inbound(&mut self, start: NaiveDateTime, kind: CallKind) -> Call {
        let (caller, name) = if self.random.percent(9) {
            (String::new(), "")
        } else {
            let name = self.random.pick(&CALLER_NAMES).copied().unwrap_or("");
            (self.directory.caller(&mut self.random), name)
        };
        let mut call = self.call(start, kind, &caller, name);
        call.did = MAIN_NUMBER.to_owned();
        call
    }

    /// A row of an extension that rings, and mostly answers.
    fn rung(&mut self, to: &str, context: &'static str, channel: String, median: f64) -> Draft {
        let (ring, talk, disposition) = if self.random.percent(76) {
            let talk = self.random.log_normal(median, 0.9, 5_400);
            (self.random.between(2, 17), talk, Disposition::Answered)
        } else {
            (self.random.between(8, 20), 0, Disposition::NoAnswer)
        };
        Draft {
            offset: 0,
            channel_no: 0,
            dst: to.to_owned(),
            context,
            channel,
            dstchannel: format!("PJSIP/{to}-#"),
            lastapp: "Dial",
            lastdata: format!("PJSIP/{to},20,tr"),
            duration: ring + talk,
            billsec: talk,
            disposition,
        }
    }
}

fn inbound_channel() -> String {
    "PJSIP/trunk-1-#".to_owned()
}
