//! A finished row of an Asterisk-shaped `cdr` table.

use chrono::DateTime;

use crate::call::{ColumnTime, Disposition};

/// One row. The columns are FreePBX's; those that no event tells anything about get their defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The start, on the wall clock of `collector.timezone`.
    pub calldate: ColumnTime,
    /// The caller's number.
    pub src: String,
    /// The number called.
    pub dst: String,
    /// Seconds from start to end.
    pub duration: u32,
    /// Seconds from answer to end; 0 where nobody answered.
    pub billsec: u32,
    /// How it ended.
    pub disposition: Disposition,
    /// The id of the call at its switch.
    pub uniqueid: String,
    /// What ties the rows of one call together.
    pub linkedid: String,
    /// Which way it went, or the context of the dialplan.
    pub dcontext: String,
    /// The caller's name and number, as Asterisk writes them; empty: made of `src`.
    pub clid: String,
    /// The caller's channel.
    pub channel: String,
    /// The channel of whom was called.
    pub dstchannel: String,
    /// What ran on the caller's channel; for events, their dialect.
    pub lastapp: String,
    /// Its argument.
    pub lastdata: String,
    /// Who pays: of asterCC, the agent's number.
    pub accountcode: String,
    /// What has no column of its own, as `key=value;key=value`.
    pub userfield: String,
    /// The number that an outside caller dialled.
    pub did: String,
}

/// The columns that are written, in order, with the most characters that each holds. They are FreePBX's, but for the two
/// ids, which FreePBX cuts after 32: FreeSWITCH's have 36.
pub const COLUMNS: [(&str, usize); 17] = [
    ("calldate", 19),
    ("src", 80),
    ("dst", 80),
    ("duration", 10),
    ("billsec", 10),
    ("disposition", 45),
    ("uniqueid", 150),
    ("linkedid", 150),
    ("dcontext", 80),
    ("clid", 80),
    ("channel", 80),
    ("dstchannel", 80),
    ("lastapp", 80),
    ("lastdata", 80),
    ("accountcode", 80),
    ("userfield", 255),
    ("did", 50),
];

/// What a cell holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// Text, or a date as text.
    Text(String),
    /// A number.
    Number(i64),
}

impl Row {
    /// The cells, in the order of [`COLUMNS`], each short enough for its column: text is cut between characters, as
    /// Asterisk cuts it.
    #[must_use]
    pub fn cells(&self) -> Vec<Cell> {
        let clid = if self.clid.is_empty() {
            format!("\"\" <{}>", self.src)
        } else {
            self.clid.clone()
        };
        let cells = [
            Cell::Text(stamp(self.calldate)),
            Cell::Text(self.src.clone()),
            Cell::Text(self.dst.clone()),
            Cell::Number(i64::from(self.duration)),
            Cell::Number(i64::from(self.billsec)),
            Cell::Text(self.disposition.as_str().to_owned()),
            Cell::Text(self.uniqueid.clone()),
            Cell::Text(self.linkedid.clone()),
            Cell::Text(self.dcontext.clone()),
            Cell::Text(clid),
            Cell::Text(self.channel.clone()),
            Cell::Text(self.dstchannel.clone()),
            Cell::Text(self.lastapp.clone()),
            Cell::Text(self.lastdata.clone()),
            Cell::Text(self.accountcode.clone()),
            Cell::Text(self.userfield.clone()),
            Cell::Text(self.did.clone()),
        ];
        let fit = |(cell, (_, most)): (Cell, (&str, usize))| match cell {
            Cell::Text(text) => Cell::Text(cut(&text, most)),
            number @ Cell::Number(_) => number,
        };
        cells.into_iter().zip(COLUMNS).map(fit).collect()
    }
}

/// `YYYY-MM-DD HH:MM:SS`.
#[must_use]
pub fn stamp(at: ColumnTime) -> String {
    DateTime::from_timestamp(at.0, 0)
        .unwrap_or_default()
        .format("%Y-%m-%d %H:%M:%S")
        .to_string()
}

/// No database holds a NUL in text, and PostgreSQL refuses it.
fn cut(text: &str, most: usize) -> String {
    text.chars().filter(|&c| c != '\0').take(most).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_fit_their_columns_and_stay_text() {
        let row = Row {
            calldate: ColumnTime(1_262_334_121),
            src: "ü".repeat(100),
            dst: "1\u{0}2".to_owned(),
            duration: u32::MAX,
            billsec: 1,
            disposition: Disposition::NoAnswer,
            uniqueid: "u".repeat(200),
            linkedid: String::new(),
            dcontext: String::new(),
            clid: String::new(),
            channel: String::new(),
            dstchannel: String::new(),
            lastapp: String::new(),
            lastdata: String::new(),
            accountcode: String::new(),
            userfield: "x".repeat(300),
            did: String::new(),
        };
        let cells = row.cells();
        assert_eq!(cells[0], Cell::Text("2010-01-01 08:22:01".to_owned()));
        assert_eq!(cells[2], Cell::Text("12".to_owned()));
        assert_eq!(cells[3], Cell::Number(4_294_967_295));
        assert_eq!(cells[5], Cell::Text("NO ANSWER".to_owned()));
        for (cell, (name, most)) in cells.iter().zip(COLUMNS) {
            if let Cell::Text(text) = cell {
                assert!(text.chars().count() <= most, "{name}");
            }
        }
    }
}
