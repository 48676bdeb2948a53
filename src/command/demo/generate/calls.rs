//! What happens in the office, call by call, before any of it has a row.

use std::collections::{BTreeMap, HashSet};

use chrono::{NaiveDate, NaiveDateTime, TimeDelta};

use super::CallKind;
use super::numbers::{DialledLine, Directory, MAIN_NUMBER, OUTSIDE_LINE, mobile};
use super::office_hours;
use super::random::Random;
use super::stations::{
    CALLER_NAMES, QUEUE, QUEUE_MEMBERS, RING_GROUP, RING_GROUP_MEMBERS, STATIONS, Station,
};
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

/// What may happen next.
#[derive(Debug, Clone, Copy)]
enum Scene {
    Internal,
    ToExtension,
    ToQueue,
    ToRingGroup,
    ToMenu,
    Dial(CallKind),
    Fax,
    Forward,
}

/// How often each happens, in parts of their sum.
const SCENES: [(Scene, u32); 11] = [
    (Scene::Internal, 170),
    (Scene::ToExtension, 115),
    (Scene::ToQueue, 60),
    (Scene::ToRingGroup, 55),
    (Scene::ToMenu, 40),
    (Scene::Dial(CallKind::OutboundLocal), 210),
    (Scene::Dial(CallKind::OutboundNational), 240),
    (Scene::Dial(CallKind::OutboundInternational), 45),
    (Scene::Dial(CallKind::OutboundTollFree), 35),
    (Scene::Fax, 8),
    (Scene::Forward, 12),
];

/// Plans calls so that no extension talks to two people at once and no caller starts two calls in one second.
#[derive(Debug)]
pub(super) struct Planner {
    random: Random,
    directory: Directory,
    started: HashSet<(NaiveDateTime, String)>,
    busy_until: BTreeMap<&'static str, NaiveDateTime>,
    calls: Vec<Call>,
}

impl Planner {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let directory = Directory::new(&mut random);
        Self {
            random,
            directory,
            started: HashSet::new(),
            busy_until: BTreeMap::new(),
            calls: Vec::new(),
        }
    }

    pub(super) fn plan_day(&mut self, day: NaiveDate) {
        for start in office_hours::starts(day, &mut self.random) {
            let weights = SCENES.iter().map(|(_, weight)| *weight);
            let (scene, _) = SCENES[self.random.weighted(weights)];
            match scene {
                Scene::Internal => self.internal(start),
                Scene::ToExtension => self.reach_extension(start),
                Scene::ToQueue => self.reach_queue(start),
                Scene::ToRingGroup => self.reach_ring_group(start),
                Scene::ToMenu => self.reach_menu(start),
                Scene::Dial(kind) => self.dial(start, kind),
                Scene::Fax => self.fax(start),
                Scene::Forward => self.forward(start),
            }
        }
    }

    pub(super) fn into_calls(self) -> Vec<Call> {
        self.calls
    }

    fn internal(&mut self, start: NaiveDateTime) {
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

    fn reach_extension(&mut self, start: NaiveDateTime) {
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
    fn reach_queue(&mut self, start: NaiveDateTime) {
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
    fn reach_ring_group(&mut self, start: NaiveDateTime) {
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

    fn reach_menu(&mut self, start: NaiveDateTime) {
        let call = self.inbound(start, CallKind::InboundMenu);
        let heard = self.random.between(3, 40);
        let row = alone("s", "ivr-1", inbound_channel(), "BackGround", heard);
        self.keep(call, vec![row], &[]);
    }

    /// Somebody calls out, and tries again where the number is busy.
    fn dial(&mut self, start: NaiveDateTime, kind: CallKind) {
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
    fn fax(&mut self, start: NaiveDateTime) {
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
    fn forward(&mut self, start: NaiveDateTime) {
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

    fn call(&mut self, start: NaiveDateTime, kind: CallKind, caller: &str, name: &str) -> Call {
        let mut start = start;
        while !self.started.insert((start, caller.to_owned())) {
            start += TimeDelta::seconds(1);
        }
        Call {
            start,
            kind,
            caller: caller.to_owned(),
            caller_name: name.to_owned(),
            dst: String::new(),
            crm_number: None,
            did: String::new(),
            outbound_cnum: "",
            dst_cnam: "",
            recording: None,
            redial: false,
            rows: Vec::new(),
        }
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

    /// Ends a call's planning: its first row says where it went, and those who talk are busy until it ends.
    fn keep(&mut self, mut call: Call, rows: Vec<Draft>, talking: &[&'static str]) {
        if let Some(first) = rows.first() {
            call.dst.clone_from(&first.dst);
        }
        if rows.iter().all(|row| row.billsec == 0) {
            call.recording = None;
        }
        call.rows = rows;
        for extension in talking {
            self.busy_until.insert(extension, call.end());
        }
        self.calls.push(call);
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

    fn is_free(&self, extension: &str, at: NaiveDateTime) -> bool {
        self.busy_until.get(extension).is_none_or(|end| *end < at)
    }

    fn free_station(&mut self, at: NaiveDateTime) -> Option<Station> {
        let free: Vec<Station> = STATIONS
            .into_iter()
            .filter(|station| self.is_free(station.extension, at))
            .collect();
        self.random.pick_favourite(&free).copied()
    }
}

fn station_channel(station: Station) -> String {
    format!("PJSIP/{}-#", station.extension)
}

fn inbound_channel() -> String {
    "PJSIP/trunk-1-#".to_owned()
}

/// A row of a channel that talks to the PBX alone.
fn alone(
    dst: &str,
    context: &'static str,
    channel: String,
    app: &'static str,
    seconds: u32,
) -> Draft {
    Draft {
        offset: 0,
        channel_no: 0,
        dst: dst.to_owned(),
        context,
        channel,
        dstchannel: String::new(),
        lastapp: app,
        lastdata: String::new(),
        duration: seconds,
        billsec: seconds,
        disposition: Disposition::Answered,
    }
}
