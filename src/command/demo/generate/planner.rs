//! What happens in the office, one scene after another.

use std::collections::{BTreeMap, HashSet};

use chrono::{NaiveDate, NaiveDateTime, TimeDelta};

use super::CallKind;
use super::calls::{Call, Draft};
use super::numbers::Directory;
use super::office_hours;
use super::random::Random;
use super::stations::{STATIONS, Station};
use crate::call::Disposition;

mod inbound;
mod outbound;

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
