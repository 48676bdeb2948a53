//! What a CRM must hold after a table of any content under settings of any kind: said again in plain code, from what the
//! settings mean, with no code of the program.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::chance::Chance;
use super::crm::Key;
use super::golden::stamp;

/// A row as it goes into the table.
#[derive(Debug, Clone)]
pub struct Raw {
    /// A start on the wall clock, or a text that is none.
    pub start: Result<i64, String>,
    pub src: Option<String>,
    pub dst: Option<String>,
    /// Seconds, or a text that is no number.
    pub duration: Option<Result<i64, String>>,
    pub disposition: Option<&'static str>,
    pub uniqueid: Option<String>,
    pub sequence: Option<i64>,
    pub file: Option<String>,
}

/// Settings under test.
#[derive(Debug, Clone)]
pub struct Settings {
    /// IANA name, and seconds east of Greenwich: zones that have kept theirs for years.
    pub zone: (&'static str, i64),
    pub initiated_as: &'static str,
    pub rules: Rules,
    pub min_length: usize,
    pub answered_only: bool,
    pub exclude: bool,
    pub empty_source: Option<&'static str>,
    pub recording: bool,
}

/// Chains of rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rules {
    /// As it is.
    None,
    /// The outside line off, the area code on.
    National,
    /// The same, with calls abroad dropped.
    Dropping,
}

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Delivered,
    Unmatched,
    Rejected,
}

/// What must come of a table.
#[derive(Debug, Default)]
pub struct Outcome {
    pub calls: BTreeMap<Key, (u64, Option<String>, Option<Fate>)>,
    pub read: u64,
    pub invalid: u64,
    pub short: u64,
    pub excluded: u64,
    pub disposition: u64,
    pub no_source: u64,
    pub dropped: u64,
    pub merged: u64,
    pub collisions: u64,
}

impl Outcome {
    pub fn count(&self, fate: Fate) -> u64 {
        self.calls
            .values()
            .filter(|call| call.2 == Some(fate))
            .count() as u64
    }
}

/// Whether a contact of the CRM has the number.
pub fn knows(destination: &str) -> bool {
    destination.bytes().map(u64::from).sum::<u64>() % 4 != 0
}

/// Whether the CRM refuses the caller for good.
pub fn refuses(source: &str) -> bool {
    source.ends_with("13")
}

impl Settings {
    pub fn random(chance: &mut Chance) -> Self {
        Self {
            zone: chance.of(&[
                ("America/Caracas", -4 * 3600),
                ("Asia/Kolkata", 19_800),
                ("Asia/Tokyo", 9 * 3600),
                ("Africa/Lagos", 3600),
                ("UTC", 0),
            ]),
            initiated_as: chance.of(&["utc", "offset", "local", "local-z"]),
            rules: chance.of(&[
                Rules::None,
                Rules::National,
                Rules::National,
                Rules::Dropping,
            ]),
            min_length: chance.of(&[0, 7, 7, 10]),
            answered_only: chance.once_in(5),
            exclude: chance.once_in(4),
            empty_source: chance.of(&[None, None, Some("anonymous")]),
            recording: !chance.once_in(3),
        }
    }

    /// The configuration that says the same.
    pub fn config(&self, crm: &str) -> String {
        let mut text = format!(
            "[source]\nurl = \"sqlite://cdr.db\"\ntimezone = \"{}\"\n[select]\nmin_destination_length = {}\n",
            self.zone.0, self.min_length
        );
        if self.answered_only {
            text += "dispositions = [\"ANSWERED\"]\n";
        }
        if self.exclude {
            text += "exclude = [\"_900X.\"]\n";
        }
        let drop = "[[rules]]\nname = \"abroad\"\nmatch = \"_90012X.\"\ndrop = true\n";
        let national = "[[rules]]\nname = \"local\"\nmatch = \"_9NXXXXXX\"\nrewrite = \"0212${EXTEN:1}\"\nstop = true\n\
                        [[rules]]\nname = \"outside line\"\nstrip_prefix = \"9\"\n";
        match self.rules {
            Rules::None => {}
            Rules::National => text += national,
            Rules::Dropping => text = text + drop + national,
        }
        let _ = write!(
            text,
            "[target]\nkind = \"nimbox\"\nurl = \"{crm}\"\ntoken_file = \"crm.token\"\ninitiated_as = \"{}\"\n",
            self.initiated_as
        );
        if let Some(number) = self.empty_source {
            let _ = writeln!(text, "empty_source = \"{number}\"");
        }
        if self.recording {
            text +=
                "recording_url = \"https://pbx.example.com/rec/{date:%Y/%m/%d}/{recordingfile}\"\n";
        }
        text + "[ledger]\npath = \"ledger.db\"\n"
    }

    /// What must come of these rows, all of which lie in the window.
    pub fn outcome(&self, rows: &[Raw]) -> Outcome {
        let mut outcome = Outcome::default();
        // Legs of one identity first, then identities of one key.
        let mut calls: BTreeMap<(i64, String, String), Vec<&Raw>> = BTreeMap::new();
        for row in rows {
            outcome.read += 1;
            let (src, dst) = (text(row.src.as_ref()), text(row.dst.as_ref()));
            let (Ok(wall), Some(_)) = (&row.start, seconds(row)) else {
                outcome.invalid += 1;
                continue;
            };
            if dst.chars().count() < self.min_length {
                outcome.short += 1;
            } else if self.exclude && abroad(dst, "900", 1) {
                outcome.excluded += 1;
            } else if self.answered_only && !answered(row) {
                outcome.disposition += 1;
            } else if self.empty_source.is_none() && src.trim().is_empty() {
                outcome.no_source += 1;
            } else if self.rules == Rules::Dropping && abroad(dst, "90012", 1) {
                outcome.dropped += 1;
            } else {
                let identity = (*wall, src.to_owned(), dst.to_owned());
                calls.entry(identity).or_default().push(row);
            }
        }
        let mut keys: BTreeMap<Key, Vec<(Rank, Option<String>)>> = BTreeMap::new();
        for ((wall, src, dst), mut legs) in calls {
            legs.sort_by_key(|leg| rank(leg));
            outcome.merged += legs.len() as u64 - 1;
            let file = legs
                .iter()
                .filter_map(|leg| leg.file.as_deref())
                .find(|file| !file.is_empty());
            let source = match self.empty_source {
                Some(number) if src.trim().is_empty() => number.to_owned(),
                Some(_) | None => src,
            };
            let key = (self.initiated(wall), source, self.number(&dst));
            keys.entry(key)
                .or_default()
                .push((rank(legs[0]), self.link(wall, file)));
        }
        for (key, mut rivals) in keys {
            rivals.sort();
            let more = rivals.len() as u64 - 1;
            outcome.merged += more;
            outcome.collisions += more;
            let fate = if refuses(&key.1) {
                Fate::Rejected
            } else if knows(&key.2) {
                Fate::Delivered
            } else {
                Fate::Unmatched
            };
            let (rank, link) = rivals.swap_remove(0);
            outcome
                .calls
                .insert(key, (u64::MAX - rank.1, link, Some(fate)));
        }
        outcome
    }

    fn initiated(&self, wall: i64) -> String {
        let east = self.zone.1;
        match self.initiated_as {
            "utc" => stamp(wall - east, 'T') + "Z",
            "local" => stamp(wall, 'T'),
            "local-z" => stamp(wall, 'T') + "Z",
            "offset" => {
                let sign = if east < 0 { '-' } else { '+' };
                let minutes = east.abs() / 60;
                format!(
                    "{}{sign}{:02}:{:02}",
                    stamp(wall, 'T'),
                    minutes / 60,
                    minutes % 60
                )
            }
            other => panic!("no such rendering: {other}"),
        }
    }

    fn number(&self, raw: &str) -> String {
        match (self.rules, raw.strip_prefix('9')) {
            (Rules::None, _) | (_, None) => raw.to_owned(),
            (Rules::National | Rules::Dropping, Some(rest)) => {
                let digits = rest.bytes().all(|byte| byte.is_ascii_digit());
                if digits && rest.len() == 7 && !rest.starts_with(['0', '1']) {
                    format!("0212{rest}")
                } else {
                    rest.to_owned()
                }
            }
        }
    }

    fn link(&self, wall: i64, file: Option<&str>) -> Option<String> {
        let file = file.filter(|_| self.recording)?;
        let mut link = format!(
            "https://pbx.example.com/rec/{}/",
            stamp(wall, 'T')[..10].replace('-', "/")
        );
        for byte in file.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                link.push(char::from(byte));
            } else {
                let _ = write!(link, "%{byte:02X}");
            }
        }
        Some(link)
    }
}

/// Answered first, the longest, the lowest sequence with none last, the lowest uniqueid with none last.
type Rank = (bool, u64, bool, Option<i64>, bool, Option<String>);

fn rank(row: &Raw) -> Rank {
    (
        !answered(row),
        u64::MAX - seconds(row).unwrap_or(0),
        row.sequence.is_none(),
        row.sequence,
        row.uniqueid.is_none(),
        row.uniqueid.clone(),
    )
}

fn answered(row: &Raw) -> bool {
    matches!(row.disposition, Some("ANSWERED" | "answered"))
}

/// No duration is 0, and less than 0 too; what is no number is none.
fn seconds(row: &Raw) -> Option<u64> {
    match &row.duration {
        None => Some(0),
        Some(Ok(seconds)) => Some(u64::try_from(*seconds).unwrap_or(0)),
        Some(Err(_)) => None,
    }
}

fn text(cell: Option<&String>) -> &str {
    cell.map_or("", String::as_str)
}

/// The pattern `_PREFIX` + `X.`: a digit and at least one character more behind the prefix.
fn abroad(dst: &str, prefix: &str, digits: usize) -> bool {
    dst.strip_prefix(prefix).is_some_and(|rest| {
        rest.chars().count() > digits && rest.chars().take(digits).all(|c| c.is_ascii_digit())
    })
}
