//! Which call is meant: a `uniqueid`, a key, or a number.

use std::collections::BTreeSet;

use chrono::{DateTime, FixedOffset, NaiveDateTime};
use chrono_tz::Tz;

use crate::call::{Identity, PhoneNumber, WireForm};
use crate::cdr::uniqueid::creation_epoch;
use crate::cdr::when::parse_when;
use crate::ledger::Listed;
use crate::text::Shown;

/// What may stand between the parts of a key, as people and other programs write it.
const SEPARATORS: [&str; 7] = [" -> ", "->", "/", "|", ";", ",", " "];

/// Most ways in which one key is taken apart.
const MOST_SPLITS: usize = 32;

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    /// A text of the form that Asterisk gives a `uniqueid`, and the epoch in it.
    Uniqueid {
        /// The id.
        id: String,
        /// When its channel was created, Unix seconds.
        epoch: i64,
    },
    /// A start, with source and destination behind it, or without.
    Key(Key),
    /// Anything else: a number, raw or as sent, or a `uniqueid` of another form.
    Number(String),
}

/// A start as the column or the CRM has it, and what follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    /// The start to the letter: `initiated`, where the CRM's is meant.
    initiated: String,
    /// Its clock's reading, as if it were UTC.
    reading: i64,
    /// The instant, where the text says an offset.
    instant: Option<i64>,
    /// Source, separator and destination; `None`: every call of that second.
    numbers: Option<String>,
}

impl Wanted {
    /// Reads an argument.
    pub(super) fn parse(text: &str) -> Self {
        let text = text.trim();
        if let Some(epoch) = creation_epoch(text) {
            return Self::Uniqueid {
                id: text.to_owned(),
                epoch,
            };
        }
        match Key::parse(text) {
            Some(key) => Self::Key(key),
            None => Self::Number(text.to_owned()),
        }
    }

    /// The word for its kind.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Uniqueid { .. } => "uniqueid",
            Self::Key(_) => "key",
            Self::Number(_) => "number",
        }
    }
}

impl Key {
    fn parse(text: &str) -> Option<Self> {
        let start = text.get(..19)?;
        let reading = ["%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S"]
            .iter()
            .find_map(|form| NaiveDateTime::parse_from_str(start, form).ok())?
            .and_utc()
            .timestamp();
        let rest = &text[19..];
        let (zone, instant) = offset(start, rest);
        let after = &rest[zone..];
        // ` UTC` stands behind a start where the column holds instants.
        let (after, instant) = match after.strip_prefix(" UTC") {
            Some(after) => (after, Some(reading)),
            None => (after, instant),
        };
        let numbers = if after.trim().is_empty() {
            None
        } else {
            let behind = after.trim_start();
            let parted = SEPARATORS
                .iter()
                .map(|separator| separator.trim())
                .filter(|separator| !separator.is_empty())
                .find_map(|separator| behind.strip_prefix(separator));
            match parted {
                Some(numbers) => Some(numbers.trim_start().to_owned()),
                None if behind.len() < after.len() => Some(behind.to_owned()),
                None => return None,
            }
        };
        Some(Self {
            initiated: text[..19 + zone].to_owned(),
            reading,
            instant,
            numbers,
        })
    }

    /// The seconds of the column's clock that can be meant, whatever the column holds.
    pub(super) fn seconds(&self, zone: Tz) -> BTreeSet<i64> {
        let mut seconds = BTreeSet::from([self.reading]);
        let local = |instant: i64| {
            let at = DateTime::from_timestamp(instant, 0)?;
            Some(at.with_timezone(&zone).naive_local().and_utc().timestamp())
        };
        seconds.extend(self.instant);
        seconds.extend(self.instant.and_then(local));
        if self.instant.is_none() {
            seconds.extend(parse_when(&self.initiated, zone));
        }
        seconds
    }

    /// The wire forms whose key it can be.
    pub(super) fn forms(&self) -> Vec<WireForm> {
        let Some(numbers) = &self.numbers else {
            return Vec::new();
        };
        let mut forms = Vec::new();
        for separator in SEPARATORS {
            for (at, _) in numbers.match_indices(separator) {
                if forms.len() == MOST_SPLITS {
                    return forms;
                }
                forms.push(WireForm {
                    initiated: self.initiated.clone(),
                    source: PhoneNumber(numbers[..at].to_owned()),
                    destination: PhoneNumber(numbers[at + separator.len()..].to_owned()),
                    duration: 0,
                    url: None,
                    form: None,
                });
            }
        }
        forms
    }

    /// Whether these are its numbers, as they are or as they are shown.
    pub(super) fn names(&self, source: &str, destination: &str) -> bool {
        let Some(numbers) = &self.numbers else {
            return true;
        };
        let shown = (Shown(source).to_string(), Shown(destination).to_string());
        [(source, destination), (shown.0.as_str(), shown.1.as_str())]
            .iter()
            .any(|(source, destination)| {
                let between = numbers
                    .strip_prefix(source.trim_start())
                    .and_then(|rest| rest.strip_suffix(destination.trim_end()));
                // Nothing but a separator stands before the number that a withheld caller dialled.
                (source.is_empty() && numbers == destination)
                    || between.is_some_and(|between| {
                        SEPARATORS.contains(&between) || SEPARATORS.contains(&between.trim())
                    })
            })
    }

    /// Whether it names this call of the ledger, raw or as sent.
    pub(super) fn is(&self, call: &Listed) -> bool {
        let Identity {
            source,
            destination,
            ..
        } = &call.identity;
        self.names(source.as_str(), destination.as_str())
            || call
                .wire
                .as_ref()
                .is_some_and(|wire| self.names(wire.source.as_str(), wire.destination.as_str()))
    }
}

/// How many characters of `rest` are the offset of a time, and the instant with it.
fn offset(start: &str, rest: &str) -> (usize, Option<i64>) {
    let length = match rest.as_bytes() {
        [b'Z', ..] => 1,
        [b'+' | b'-', _, _, b':', _, _, ..] => 6,
        _ => return (0, None),
    };
    let text = format!("{}{}", start.replace(' ', "T"), &rest[..length]);
    match DateTime::<FixedOffset>::parse_from_rfc3339(&text) {
        Ok(at) => (length, Some(at.timestamp())),
        Err(_) => (0, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-03-02 09:00:00 as if it were UTC.
    const READING: i64 = 1_772_442_000;

    #[test]
    fn an_argument_is_an_id_a_key_or_a_number() {
        for (text, kind) in [
            ("1772456400.7", "uniqueid"),
            (" pbx-1772456400.7 ", "uniqueid"),
            ("2026-03-02 09:00:00", "key"),
            ("2026-03-02T13:00:00Z/7001/02122853348", "key"),
            ("2026-03-02 09:00:00 7001 -> 92853348", "key"),
            ("2026-03-02 09:00:00 UTC 7001 -> 92853348", "key"),
            ("2026-03-02T09:00:00-04:00,7001,92853348", "key"),
            ("2026-03-02T09:00:0", "number"),
            ("2026-13-02 09:00:00", "number"),
            ("02122853348", "number"),
            ("call-7", "number"),
            ("ñ026-03-02 09:00:0é", "number"),
            ("", "number"),
        ] {
            assert_eq!(Wanted::parse(text).kind(), kind, "{text}");
        }
    }

    #[track_caller]
    fn key(text: &str) -> Key {
        match Wanted::parse(text) {
            Wanted::Key(key) => key,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn a_key_names_its_numbers_with_any_separator_and_as_they_are_shown() {
        for text in [
            "2026-03-02T13:00:00Z/7001/02122853348",
            "2026-03-02 09:00:00 7001 -> 02122853348",
            "2026-03-02 09:00:00 | 7001 | 02122853348",
            "2026-03-02T09:00:00;7001;02122853348",
            "2026-03-02 09:00:00 7001 02122853348",
            "2026-03-02 09:00:00 UTC 7001 -> 02122853348",
        ] {
            let key = key(text);
            assert!(key.names("7001", "02122853348"), "{text}");
            for (source, destination) in [
                ("001", "02122853348"),
                ("7001", "2122853348"),
                ("", ""),
                ("7001", ""),
            ] {
                assert!(!key.names(source, destination), "{text}");
            }
        }
        assert!(key("2026-03-02T09:00:00/SIP/104/9").names("SIP/104", "9"));
        assert!(key("2026-03-02T09:00:00//9").names("", "9"));
        assert!(key("2026-03-02 09:00:00  -> 9").names("", "9"));
        assert!(key("2026-03-02 09:00:00").names("any", "number"));
        assert!(key("2026-03-02 09:00:00 a\\u{1b} -> 9\\n").names("a\u{1b}", "9\n"));
        let forms = key("2026-03-02T09:00:00Z/SIP/104/9").forms();
        assert!(forms.iter().any(|form| form.source.as_str() == "SIP/104"
            && form.destination.as_str() == "9"
            && form.initiated == "2026-03-02T09:00:00Z"));
        assert!(
            key(&format!("2026-03-02T09:00:00Z/{}", "/".repeat(999)))
                .forms()
                .len()
                <= MOST_SPLITS
        );
    }

    #[test]
    fn every_reading_of_a_start_is_looked_at() {
        let caracas = Tz::America__Caracas;
        let seconds = |text| key(text).seconds(caracas).into_iter().collect::<Vec<_>>();
        let ahead = READING + 4 * 3600;
        let behind = READING - 4 * 3600;
        assert_eq!(seconds("2026-03-02 09:00:00"), [READING, ahead]);
        assert_eq!(seconds("2026-03-02T09:00:00Z"), [behind, READING]);
        assert_eq!(seconds("2026-03-02T09:00:00-04:00"), [READING, ahead]);
        assert_eq!(seconds("2026-03-02 09:00:00 UTC"), [behind, READING]);
    }
}
