//! A typed reader over a TOML document that keeps the lines.
//!
//! It collects problems instead of stopping at the first one, and it remembers which keys were asked for, so that what
//! nobody asked for can be reported as unknown, with the nearest name that would have been known.

use std::cell::RefCell;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::nearest::{dotted, nearest_key};
use super::report::{Found, Report, Reported};
use super::span;
use crate::text::Shown;

/// One table of the document, or its absence: then every setting is unset.
#[derive(Debug)]
pub(super) struct Section<'a> {
    report: &'a Report,
    table: Option<&'a DeTable<'a>>,
    /// As shown: `source`, `rules[2]`; empty for the document itself.
    path: String,
    /// As [`super::known_keys`] spells it: `rules`.
    plain_path: String,
    line: Option<usize>,
    asked: RefCell<Vec<String>>,
}

impl<'a> Section<'a> {
    pub(super) fn root(report: &'a Report, table: &'a DeTable<'a>) -> Self {
        Self::at(report, Some(table), String::new(), String::new(), None)
    }

    /// The line of its header; `None` for a section that is not there.
    pub(super) fn line(&self) -> Option<usize> {
        self.line
    }

    /// The full name of one of its keys, as shown.
    pub(super) fn key(&self, key: &str) -> String {
        dotted(&self.path, key)
    }

    /// Reports a problem of the setting `key`.
    pub(super) fn problem(&self, line: usize, key: &str, message: impl Into<String>) -> Reported {
        self.report.add(Some(line), &self.key(key), message)
    }

    /// Reports that `key` is not there and has to be; `why` says what to write.
    pub(super) fn missing(&self, key: &str, why: &str) -> Reported {
        let name = self.key(key);
        let message = format!("`{name}` is missing: {why}");
        self.report.add(self.line, &name, message)
    }

    /// Reports a problem of the setting `key` that stands outside the file.
    pub(super) fn problem_outside(&self, key: &str, message: String) -> Reported {
        self.report.add(None, &self.key(key), message)
    }

    /// Its name as shown: `source`, `rules[2]`.
    pub(super) fn shown_path(&self) -> &str {
        &self.path
    }

    /// Whether `key` is set, to whatever.
    pub(super) fn has(&self, key: &str) -> bool {
        self.find(key).is_some()
    }

    /// Notes that the setting on `line` is a secret itself.
    pub(super) fn holds_secret(&self, line: usize, key: &str) {
        self.report.holds_secret(line, &self.key(key));
    }

    /// Text without control characters. Its value is never repeated in a message.
    pub(super) fn text(&self, key: &str) -> Option<Found<&'a str>> {
        let value = self.find(key)?;
        self.as_text(key, value)
    }

    /// The same, where an empty text means "not set".
    pub(super) fn filled(&self, key: &str) -> Option<Found<&'a str>> {
        self.text(key).filter(|found| !found.value.is_empty())
    }

    /// A path, relative ones taken from `directory`; empty means "not set".
    pub(super) fn path(&self, key: &str, directory: &Path) -> Option<Found<PathBuf>> {
        self.filled(key).map(|found| Found {
            value: directory.join(found.value),
            line: found.line,
        })
    }

    pub(super) fn flag(&self, key: &str) -> Option<Found<bool>> {
        let found = self.find(key)?;
        match found.value {
            DeValue::Boolean(value) => Some(Found {
                value: *value,
                line: found.line,
            }),
            other => {
                self.wrong_type(key, found.line, "true or false", other);
                None
            }
        }
    }

    /// A whole number within `range`; `default` where unset or wrong.
    pub(super) fn number(&self, key: &str, range: RangeInclusive<u64>, default: u64) -> u64 {
        self.number_if_set(key, range).unwrap_or(default)
    }

    pub(super) fn number_if_set(&self, key: &str, range: RangeInclusive<u64>) -> Option<u64> {
        let found = self.find(key)?;
        let DeValue::Integer(integer) = found.value else {
            self.wrong_type(key, found.line, "a whole number", found.value);
            return None;
        };
        let number = u64::from_str_radix(integer.as_str(), integer.radix()).ok();
        let number = number.filter(|number| range.contains(number));
        if number.is_none() {
            let (low, high) = range.into_inner();
            let name = self.key(key);
            let message = format!("`{name}` must lie between {low} and {high}");
            self.problem(found.line, key, message);
        }
        number
    }

    /// A span of time above zero; `default` where unset or wrong.
    pub(super) fn span(&self, key: &str, default: Duration) -> Duration {
        self.span_if_set(key).map_or(default, |found| found.value)
    }

    pub(super) fn span_if_set(&self, key: &str) -> Option<Found<Duration>> {
        let found = self.text(key)?;
        let name = self.key(key);
        match span::parse(found.value) {
            Ok(Duration::ZERO) => {
                self.problem(
                    found.line,
                    key,
                    format!("`{name}` must be longer than nothing"),
                );
                None
            }
            Ok(value) => Some(Found {
                value,
                line: found.line,
            }),
            Err(why) => {
                self.problem(found.line, key, format!("`{name}` {why}"));
                None
            }
        }
    }

    /// A list of texts; `None` where unset or wrong.
    pub(super) fn texts(&self, key: &str) -> Option<Vec<Found<&'a str>>> {
        let found = self.find(key)?;
        let DeValue::Array(array) = found.value else {
            let wanted = "a list of texts, such as [\"one\", \"two\"]";
            self.wrong_type(key, found.line, wanted, found.value);
            return None;
        };
        let items = array.iter().map(|item| {
            let line = self.report.line_at(item.span().start);
            let value = item.get_ref();
            self.as_text(key, Found { value, line })
        });
        // Collected whole before the first bad item ends it, so that each bad one is reported.
        let items: Vec<_> = items.collect();
        items.into_iter().collect()
    }

    /// Whether the setting is written as a list.
    pub(super) fn is_list(&self, key: &str) -> bool {
        matches!(
            self.find(key).map(|found| found.value),
            Some(DeValue::Array(_))
        )
    }

    /// Whether the setting is written as a whole number.
    pub(super) fn is_number(&self, key: &str) -> bool {
        matches!(
            self.find(key).map(|found| found.value),
            Some(DeValue::Integer(_))
        )
    }

    /// A table inside this one.
    pub(super) fn section(&self, key: &str) -> Self {
        let (path, plain) = (self.key(key), dotted(&self.plain_path, key));
        let Some(found) = self.find(key) else {
            return Self::at(self.report, None, path, plain, None);
        };
        let DeValue::Table(table) = found.value else {
            let wanted = format!("a section, [{path}]");
            self.wrong_type(key, found.line, &wanted, found.value);
            return Self::at(self.report, None, path, plain, Some(found.line));
        };
        Self::at(self.report, Some(table), path, plain, Some(found.line))
    }

    /// The tables of an array of tables, `[[key]]`, in order.
    pub(super) fn sections(&self, key: &str) -> Vec<Self> {
        let (path, plain) = (self.key(key), dotted(&self.plain_path, key));
        let Some(found) = self.find(key) else {
            return Vec::new();
        };
        let wanted = format!("a list of sections, [[{path}]]");
        let DeValue::Array(array) = found.value else {
            self.wrong_type(key, found.line, &wanted, found.value);
            return Vec::new();
        };
        let mut sections = Vec::new();
        for (index, item) in array.iter().enumerate() {
            let line = self.report.line_at(item.span().start);
            match item.get_ref() {
                DeValue::Table(table) => sections.push(Self::at(
                    self.report,
                    Some(table),
                    format!("{path}[{}]", index + 1),
                    plain.clone(),
                    Some(line),
                )),
                other => {
                    self.wrong_type(key, line, &wanted, other);
                }
            }
        }
        sections
    }

    /// The names of all its keys, in the order of the alphabet, with their lines.
    pub(super) fn names(&self) -> Vec<Found<&'a str>> {
        let keys = self.table.into_iter().flat_map(DeTable::keys);
        keys.map(|key| Found {
            value: key.get_ref().as_ref(),
            line: self.report.line_at(key.span().start),
        })
        .collect()
    }

    /// Reports every key that nobody asked for.
    pub(super) fn close(&self) {
        let asked = self.asked.borrow();
        for name in self.names() {
            if asked.iter().any(|known| known == name.value) {
                continue;
            }
            let message = format!(
                "unknown key `{}`; the nearest known one is `{}`",
                self.key(&shown(name.value)),
                nearest_key(name.value, &self.path, &asked),
            );
            self.problem(name.line, &shown(name.value), message);
        }
    }

    fn at(
        report: &'a Report,
        table: Option<&'a DeTable<'a>>,
        path: String,
        plain_path: String,
        line: Option<usize>,
    ) -> Self {
        Self {
            report,
            table,
            path,
            plain_path,
            line,
            asked: RefCell::default(),
        }
    }

    fn find(&self, key: &str) -> Option<Found<&'a DeValue<'a>>> {
        let plain = dotted(&self.plain_path, key);
        self.report.ask(plain);
        self.asked.borrow_mut().push(key.to_owned());
        let (name, value) = self.table?.get_key_value(key)?;
        Some(Found {
            value: value.get_ref(),
            line: self.report.line_at(Spanned::span(name).start),
        })
    }

    fn as_text(&self, key: &str, found: Found<&'a DeValue<'a>>) -> Option<Found<&'a str>> {
        let line = found.line;
        let DeValue::String(text) = found.value else {
            self.wrong_type(key, line, "text in quotes", found.value);
            return None;
        };
        if text.chars().any(char::is_control) {
            let name = self.key(key);
            let message = format!(
                "`{name}` holds a control character (a line end or a tab, perhaps); remove it"
            );
            self.problem(line, key, message);
            return None;
        }
        Some(Found { value: text, line })
    }

    fn wrong_type(&self, key: &str, line: usize, wanted: &str, found: &DeValue<'_>) -> Reported {
        let found = match found {
            DeValue::String(_) => "text",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a fraction",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a section",
        };
        let name = self.key(key);
        self.problem(
            line,
            key,
            format!("`{name}` must be {wanted}, and is {found}"),
        )
    }
}

/// Text of the user as it may stand in a message: made safe, and cut to 80 characters. Never for a secret.
pub(super) fn shown(text: &str) -> String {
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", Shown(&text[..end])),
        None => Shown(text).to_string(),
    }
}
