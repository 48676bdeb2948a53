//! The link to a call's recording, made from a template.
//!
//! The values come from the PBX and are hostile: whatever they hold, they stay inside the one path segment, or the one
//! query value, that the template gives them. Host and path prefix are the administrator's alone.

use std::fmt;

use chrono::NaiveDateTime;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

mod date;
mod read;
#[cfg(test)]
mod tests;

use date::DateFormat;

/// Everything but RFC 3986's unreserved characters.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A template such as `https://pbx.example.com/rec/{date:%Y/%m/%d}/{recordingfile}`.
///
/// `{column}` stands for a column's value, `{date:FORMAT}` for the local start of the call, `{date}` for its day
/// (`%Y-%m-%d`). FORMAT knows `%Y %m %d %H %M %S %y %j %F`, with letters, digits and `/ - _ . ~ :` between them.
/// Placeholders stand in the path or in the query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlTemplate {
    text: String,
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Column(String),
    Date(DateFormat),
}

impl UrlTemplate {
    /// Reads a template.
    ///
    /// # Errors
    /// What is wrong with it and what to write instead: no absolute `http://` or `https://` address, a user name or
    /// password in it (everybody who sees the call would see them), a placeholder before the path or after `#`, an
    /// unknown letter in a date format, a brace without its partner, a character that an address cannot hold, a path
    /// segment `.` or `..`.
    pub fn parse(text: &str) -> Result<Self, String> {
        read::check_start(text)?;
        read::check_characters(text)?;
        let template = Self {
            text: text.to_owned(),
            pieces: read::pieces(text)?,
        };
        template.probe()?;
        Ok(template)
    }

    /// The columns whose values the template needs, each once, in the order of their first use (roles, as
    /// `[source.columns]` names them). The start of the call is not among them.
    #[must_use]
    pub fn placeholders(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for piece in &self.pieces {
            if let Piece::Column(name) = piece
                && !names.contains(&name.as_str())
            {
                names.push(name);
            }
        }
        names
    }

    /// The link for a call that started at `local`, with the columns' values from `value`.
    ///
    /// `None` where a value is missing or empty, and where a value would make a path segment `.` or `..`, which every
    /// reader of addresses resolves away and which no recording is called. A `/` in a value is encoded as well: a
    /// template says with `{date:…}` or its own text which directories there are.
    #[must_use]
    pub fn render<'v>(
        &self,
        local: NaiveDateTime,
        value: impl Fn(&str) -> Option<&'v str>,
    ) -> Option<String> {
        let mut link = String::with_capacity(self.text.len() + 64);
        for piece in &self.pieces {
            match piece {
                Piece::Literal(text) => link.push_str(text),
                Piece::Column(name) => {
                    let value = value(name).filter(|value| !value.is_empty())?;
                    link.extend(utf8_percent_encode(value, ESCAPED));
                }
                Piece::Date(format) => format.push(&mut link, local),
            }
        }
        (!has_dot_segment(&link)).then_some(link)
    }

    /// Renders the template once, with harmless values, and has the result judged as an address.
    fn probe(&self) -> Result<(), String> {
        let sample = chrono::NaiveDate::from_ymd_opt(2026, 11, 20)
            .and_then(|day| day.and_hms_opt(8, 30, 0))
            .unwrap_or_default();
        let Some(link) = self.render(sample, |_| Some("x")) else {
            return Err(
                "a path segment `.` or `..` leads elsewhere; write the path that it leads to"
                    .to_owned(),
            );
        };
        let url = Url::parse(&link).map_err(|error| format!("this is no address: {error}"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err("a user name or password does not belong here: everybody who sees the call would see it".to_owned());
        }
        Ok(())
    }
}

impl fmt::Display for UrlTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Whether a path segment is `.` or `..`, however its dots are written: readers of addresses take `%2e` for a dot here
/// (WHATWG URL, "double-dot path segment").
fn has_dot_segment(link: &str) -> bool {
    let path = link.split(['?', '#']).next().unwrap_or_default();
    path.split('/').any(|segment| {
        if segment.len() > 6 || !segment.starts_with(['.', '%']) {
            return false;
        }
        matches!(
            segment.to_ascii_lowercase().replace("%2e", ".").as_str(),
            "." | ".."
        )
    })
}
