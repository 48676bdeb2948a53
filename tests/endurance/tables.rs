//! Tables of any content: every kind of row that a phone system has been seen to write, and some that only an attacker
//! would.

use rusqlite::types::Value;

use super::chance::Chance;
use super::golden::stamp;
use super::model::Raw;

/// Texts that must pass through unharmed, and harm nothing on their way.
const HOSTILE: [&str; 12] = [
    "'; DROP TABLE cdr; --",
    "\u{1b}[31mred\u{1b}[0m",
    "a&token=b&source=c",
    "100%25+1 #2?x=y",
    "line\nfeed\r\nX-Header: 1",
    "\u{202e}gnp.cod",
    "日本語の番号 0412",
    "../../../etc/passwd",
    "<script>alert(1)</script>",
    "=cmd|' /C calc'!A0",
    " 0212 555 0101 ",
    "\u{0}\u{1}\u{7f}\u{feff}0414",
];

/// Texts that are no start.
const NO_START: [&str; 5] = [
    "",
    "0000-00-00 00:00:00",
    "1000-01-01 00:00:00",
    "yesterday",
    "2026-02-30 10:00:00",
];

/// Some rows, on seconds that no other block of rows uses. `wall` is now on the column's clock.
pub fn rows(chance: &mut Chance, wall: i64, block: i64) -> Vec<Raw> {
    let mut rows = Vec::new();
    let mut sequence = block * 10_000;
    for _ in 0..chance.below(40) {
        let ago = chance.below(20 * 86_400 / 8) as i64 * 8 + block % 8 + 60;
        let mut row = one(chance, wall - ago, sequence);
        sequence += 10;
        match chance.below(12) {
            0 => row.start = Err(chance.of(&NO_START).to_owned()),
            1 => row.src = chance.of(&[None, Some(""), Some("  ")]).map(str::to_owned),
            2 => {
                row.dst = chance
                    .of(&[None, Some("s"), Some("7001"), Some("")])
                    .map(str::to_owned);
            }
            3 => row.src = Some(chance.of(&HOSTILE).to_owned()),
            4 => row.dst = Some(format!("{}{}", chance.of(&["", "9"]), chance.of(&HOSTILE))),
            5 => {
                row.file = chance
                    .of(&[None, Some(""), Some("a b/ü&?.wav"), Some("..")])
                    .map(str::to_owned);
            }
            6 => {
                row.duration = match chance.below(4) {
                    0 => None,
                    1 => Some(Ok(-7)),
                    2 => Some(Ok(4_000_000_000)),
                    _ => Some(Err("long".to_owned())),
                }
            }
            _ => {}
        }
        // A file that would lead elsewhere makes no link: kept out here, where links are not the question.
        if row.file.as_deref() == Some("..") {
            row.file = None;
        }
        let copies = if chance.once_in(4) {
            chance.below(4)
        } else {
            0
        };
        for copy in 0..copies {
            let mut leg = row.clone();
            leg.sequence = row.sequence.map(|first| first + copy as i64 + 1);
            match chance.below(4) {
                // The very same row once more.
                0 => leg = row.clone(),
                1 => leg.disposition = chance.of(&[Some("NO ANSWER"), Some("ANSWERED"), None]),
                2 => leg.duration = Some(Ok(chance.below(900) as i64)),
                // Another way to dial the same number in the same second.
                _ => {
                    leg.dst = leg.dst.map(|dst| match dst.strip_prefix('9') {
                        Some(rest) if rest.len() == 7 => format!("90212{rest}"),
                        Some(rest) => rest.to_owned(),
                        None => dst,
                    });
                }
            }
            rows.push(leg);
        }
        rows.push(row);
    }
    rows
}

fn one(chance: &mut Chance, wall: i64, sequence: i64) -> Raw {
    let subscriber = 2_000_000 + chance.below(7_999_999);
    let dst = match chance.below(6) {
        0 => format!("90414{subscriber}"),
        1 => format!("90012125550{:03}", chance.below(1000)),
        2 => format!("0212{subscriber}"),
        _ => format!("9{subscriber}"),
    };
    let src = match chance.below(5) {
        0 => format!("+58414{subscriber}"),
        _ => format!("7{:03}", chance.below(60)),
    };
    Raw {
        start: Ok(wall),
        file: Some(format!("out-{dst}-{src}-{sequence}.wav")),
        src: Some(src),
        dst: Some(dst),
        duration: Some(Ok(chance.below(900) as i64)),
        disposition: chance.of(&[
            Some("ANSWERED"),
            Some("ANSWERED"),
            Some("answered"),
            Some("NO ANSWER"),
            Some("BUSY"),
            Some("weird"),
            None,
        ]),
        uniqueid: (!chance.once_in(10)).then(|| format!("{wall}.{sequence}")),
        sequence: (!chance.once_in(10)).then_some(sequence),
    }
}

/// Writes rows into the table.
pub fn write(db: &rusqlite::Connection, rows: &[Raw]) {
    let text = |cell: Option<&str>| cell.map_or(Value::Null, |text| Value::Text(text.to_owned()));
    for row in rows {
        let start = match &row.start {
            Ok(wall) => stamp(*wall, ' '),
            Err(text) => text.clone(),
        };
        let duration = match &row.duration {
            None => Value::Null,
            Some(Ok(seconds)) => Value::Integer(*seconds),
            Some(Err(text)) => Value::Text(text.clone()),
        };
        let values = [
            Value::Text(start),
            text(row.src.as_deref()),
            text(row.dst.as_deref()),
            duration,
            Value::Integer(0),
            text(row.disposition),
            text(row.uniqueid.as_deref()),
            text(row.file.as_deref()),
            row.sequence.map_or(Value::Null, Value::Integer),
        ];
        db.execute(
            "INSERT INTO cdr (calldate, src, dst, duration, billsec, disposition, uniqueid, recordingfile, sequence) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            rusqlite::params_from_iter(values),
        )
        .expect("a row");
    }
}
