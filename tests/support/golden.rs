//! Generated FreePBX-shaped rows, and what a CRM must hold after them: computed here from the rows' meaning, with no
//! code of the program.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "every test binary compiles all of it, as a module of its own, and uses some"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// One row of the table.
#[derive(Debug, Clone)]
pub struct Row {
    /// Seconds since the epoch of the wall clock, read as if it were UTC.
    pub wall: i64,
    pub src: String,
    pub dst: String,
    pub duration: u64,
    pub disposition: &'static str,
    pub uniqueid: String,
    pub sequence: u64,
    pub recordingfile: String,
}

/// Key (initiated, source, destination) to (duration, url).
pub type Golden = BTreeMap<(String, String, String), (u64, Option<String>)>;

/// Caracas has been at UTC-4 since 2016-05-01.
const OFFSET: i64 = 4 * 3600;

/// Rules that the configuration below carries, said again in plain code.
fn number(raw: &str) -> String {
    match raw.strip_prefix('9') {
        Some(rest) if rest.len() == 7 && !rest.starts_with(['0', '1']) => format!("0212{rest}"),
        Some(rest) => rest.to_owned(),
        None => raw.to_owned(),
    }
}

/// The part of a configuration that golden assumes.
pub fn config(source: &str, crm: &str) -> String {
    format!(
        r#"
[source]
{source}
timezone = "America/Caracas"

[[rules]]
name = "local"
match = "_9NXXXXXX"
rewrite = "0212${{EXTEN:1}}"
stop = true

[[rules]]
name = "outside line"
strip_prefix = "9"

[target]
kind = "nimbox"
url = "{crm}"
token_file = "crm.token"
initiated_as = "utc"
recording_url = "https://pbx.example.com/rec/{{date:%Y/%m/%d}}/{{recordingfile}}"

[ledger]
path = "ledger.db"
"#
    )
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

/// `count` rows over the `days` days before `now` (Unix seconds): outbound calls of every kind, internal and inbound
/// ones, forked legs with the unanswered one first, callers without number, and pairs that only the rules make equal.
pub fn rows(count: usize, now: i64, days: i64, seed: u64) -> Vec<Row> {
    let mut random = Random(seed);
    let mut rows = Vec::with_capacity(count);
    let span = days * 86_400;
    let mut sequence = 0;
    while rows.len() < count {
        let place = i64::try_from(rows.len()).unwrap();
        let total = i64::try_from(count).unwrap();
        let instant = now - span + span * place / total - i64::try_from(random.below(5)).unwrap();
        let wall = instant - OFFSET;
        let mut row = |src: String, dst: String, duration, disposition| {
            sequence += 1;
            rows.push(Row {
                wall,
                uniqueid: format!("{instant}.{sequence}"),
                sequence,
                recordingfile: if disposition == "ANSWERED" {
                    format!("out-{dst}-{src}-{instant}.{sequence}.wav")
                } else {
                    String::new()
                },
                src,
                dst,
                duration,
                disposition,
            });
        };
        let extension = format!("7{:03}", random.below(60));
        let subscriber = 2_000_000 + random.below(7_999_999);
        let duration = random.below(900);
        match random.below(20) {
            0 | 1 => row(
                extension,
                format!("7{:03}", random.below(60)),
                duration,
                "ANSWERED",
            ),
            2 => row(
                format!("0414555{:04}", random.below(9999)),
                "s".to_owned(),
                duration,
                "ANSWERED",
            ),
            3 => row(
                String::new(),
                format!("9{subscriber}"),
                duration,
                "NO ANSWER",
            ),
            4..=6 => {
                // A ring group or a second trunk: legs of one call, the unanswered one first.
                let dst = format!("90414{subscriber}");
                row(extension.clone(), dst.clone(), duration + 5, "NO ANSWER");
                row(extension, dst, duration, "ANSWERED");
            }
            7 => {
                // Two ways to dial one number in one second: one key.
                row(
                    extension.clone(),
                    format!("9{subscriber}"),
                    duration,
                    "BUSY",
                );
                row(
                    extension,
                    format!("90212{subscriber}"),
                    duration,
                    "ANSWERED",
                );
            }
            8..=10 => row(
                extension,
                format!("90012125550{:03}", random.below(999)),
                duration,
                "ANSWERED",
            ),
            11 => row(
                format!("+58414{subscriber}"),
                format!("0212{subscriber}"),
                duration,
                "ANSWERED",
            ),
            _ => row(extension, format!("9{subscriber}"), duration, "ANSWERED"),
        }
    }
    rows.truncate(count);
    rows
}

/// What the CRM must hold.
pub fn golden(rows: &[Row]) -> Golden {
    let mut best: BTreeMap<(String, String, String), &Row> = BTreeMap::new();
    for row in rows {
        if row.dst.chars().count() < 7 || row.src.is_empty() {
            continue;
        }
        let key = (
            stamp(row.wall + OFFSET, 'T') + "Z",
            row.src.clone(),
            number(&row.dst),
        );
        let preference = |row: &Row| {
            (
                row.disposition != "ANSWERED",
                u64::MAX - row.duration,
                row.sequence,
            )
        };
        best.entry(key)
            .and_modify(|kept| {
                if preference(row) < preference(kept) {
                    *kept = row;
                }
            })
            .or_insert(row);
    }
    best.into_iter()
        .map(|(key, row)| {
            let url = (!row.recordingfile.is_empty()).then(|| {
                let day = stamp(row.wall, 'T')[..10].replace('-', "/");
                let file = row.recordingfile.replace('+', "%2B");
                format!("https://pbx.example.com/rec/{day}/{file}")
            });
            (key, (row.duration, url))
        })
        .collect()
}

/// `2026-11-20T12:00:00`, by counting days: no date library, no code of the program.
pub fn stamp(seconds: i64, between: char) -> String {
    let days = seconds.div_euclid(86_400);
    let rest = seconds.rem_euclid(86_400);
    // Civil from days, after Howard Hinnant's public-domain description of the calendar arithmetic.
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = yoe + era * 400 + i64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}{between}{:02}:{:02}:{:02}",
        rest / 3600,
        rest / 60 % 60,
        rest % 60
    )
}

/// Multi-row INSERTs of some thousand rows each, for a table with FreePBX's names.
pub fn inserts(table: &str, rows: &[Row]) -> Vec<String> {
    rows.chunks(2000)
        .map(|chunk| {
            let mut sql = format!(
                "INSERT INTO {table} (calldate, src, dst, duration, billsec, disposition, uniqueid, recordingfile, sequence) VALUES "
            );
            for (i, row) in chunk.iter().enumerate() {
                let comma = if i == 0 { "" } else { "," };
                let _ = write!(
                    sql,
                    "{comma}('{}','{}','{}',{},0,'{}','{}','{}',{})",
                    stamp(row.wall, ' '),
                    row.src,
                    row.dst,
                    row.duration,
                    row.disposition,
                    row.uniqueid,
                    row.recordingfile,
                    row.sequence
                );
            }
            sql
        })
        .collect()
}
