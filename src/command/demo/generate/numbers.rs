//! The numbers of the demonstration: all of them fictitious.
//!
//! North American numbers are 555-0100 to 555-0199, which the numbering plan keeps for fiction; British ones are
//! 020 7946 0000 to 0999, which Ofcom recommends for drama. Venezuela has no such range, so its subscriber numbers
//! follow the American one: 555 01xx behind every area and mobile code, and behind 0800.

use super::CallKind;
use super::random::Random;

/// The digit that gives an outside line.
pub const OUTSIDE_LINE: &str = "9";
/// The office's own area code, which callers leave out.
pub const AREA_CODE: &str = "0212";
/// The office's main number: what it shows to those it calls.
pub const MAIN_NUMBER: &str = "02125550100";

const AREA_CODES: [&str; 4] = ["0241", "0251", "0261", "0281"];
const MOBILE_CODES: [&str; 5] = ["0414", "0424", "0412", "0416", "0426"];
const NORTH_AMERICAN_AREAS: [&str; 4] = ["212", "305", "713", "415"];

/// A number as an extension dials it, and as the CRM knows it.
#[derive(Debug, Clone)]
pub(super) struct DialledLine {
    pub(super) raw: String,
    pub(super) crm: String,
}

/// Everybody the office talks to, as the CRM writes their numbers and the PBX shows them when they call.
#[derive(Debug)]
pub(super) struct Directory {
    local: Vec<String>,
    national: Vec<String>,
    international: Vec<String>,
    toll_free: Vec<String>,
}

impl Directory {
    pub(super) fn new(random: &mut Random) -> Self {
        // 555-0100 to 555-0109 in the own area are the office itself.
        let local = subscribers(random, 10, 64)
            .map(|subscriber| format!("{AREA_CODE}{subscriber}"))
            .collect();
        let mut national = Vec::new();
        for (codes, lines) in [(&AREA_CODES[..], 8), (&MOBILE_CODES[..], 18)] {
            for code in codes {
                national.extend(subscribers(random, 0, lines).map(|rest| format!("{code}{rest}")));
            }
        }
        let mut international = Vec::new();
        for area in NORTH_AMERICAN_AREAS {
            international.extend(subscribers(random, 0, 3).map(|rest| format!("001{area}{rest}")));
        }
        let london: Vec<String> = (0..8)
            .map(|_| format!("00442079460{:03}", random.below(1000)))
            .collect();
        international.extend(london);
        let toll_free = subscribers(random, 0, 6)
            .map(|rest| format!("0800{rest}"))
            .collect();
        random.shuffle(&mut national);
        random.shuffle(&mut international);
        Self {
            local,
            national,
            international,
            toll_free,
        }
    }

    /// A number of this kind, as an extension dials it; `None` for a kind that does not go out.
    pub(super) fn dial(&self, kind: CallKind, random: &mut Random) -> Option<DialledLine> {
        let lines = match kind {
            CallKind::OutboundLocal => &self.local,
            CallKind::OutboundNational => {
                // Some dial their own area in full, so one contact is reached under two raw numbers.
                if random.percent(20) {
                    &self.local
                } else {
                    &self.national
                }
            }
            CallKind::OutboundInternational => &self.international,
            CallKind::OutboundTollFree => &self.toll_free,
            CallKind::Internal
            | CallKind::InboundExtension
            | CallKind::InboundQueue
            | CallKind::InboundRingGroup
            | CallKind::InboundMenu
            | CallKind::FeatureCode => return None,
        };
        let crm = random.pick_favourite(lines)?.clone();
        let raw = match crm.strip_prefix(AREA_CODE) {
            Some(subscriber) if kind == CallKind::OutboundLocal => {
                format!("{OUTSIDE_LINE}{subscriber}")
            }
            Some(_) | None => format!("{OUTSIDE_LINE}{crm}"),
        };
        Some(DialledLine { raw, crm })
    }

    /// Somebody who calls the office: mostly those whom it calls, too.
    pub(super) fn caller(&self, random: &mut Random) -> String {
        let known = match random.below(10) {
            0..=3 => &self.local,
            4..=8 => &self.national,
            _ => &self.international,
        };
        if random.percent(75)
            && let Some(line) = random.pick_favourite(known)
        {
            return line.clone();
        }
        mobile(random)
    }
}

/// Any mobile number.
pub(super) fn mobile(random: &mut Random) -> String {
    let code = random.pick(&MOBILE_CODES).copied().unwrap_or(AREA_CODE);
    format!("{code}55501{:02}", random.below(100))
}

/// `count` different subscriber numbers of 555-01xx, the last two digits not below `lowest`.
fn subscribers(random: &mut Random, lowest: u32, count: usize) -> impl Iterator<Item = String> {
    let mut last_two: Vec<u32> = (lowest..100).collect();
    random.shuffle(&mut last_two);
    last_two
        .into_iter()
        .take(count)
        .map(|last_two| format!("55501{last_two:02}"))
}
