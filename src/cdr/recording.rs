//! The link to a call's recording, made from a template.
//!
//! The values come from the PBX and are hostile: whatever they hold, they stay inside the one path segment, or the one
//! query value, that the template gives them. Host and path prefix are the administrator's alone.

use std::borrow::Cow;
use std::fmt;

use chrono::{Datelike as _, NaiveDateTime, Timelike as _};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

use crate::text::Shown;

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
    Date(Vec<DatePiece>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DatePiece {
    Literal(char),
    Year,
    YearOfCentury,
    Month,
    Day,
    DayOfYear,
    Hour,
    Minute,
    Second,
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
        check_start(text)?;
        if let Some(c) = text.chars().find(|c| !may_stand_in_address(*c)) {
            return Err(format!(
                "`{}` cannot stand in an address; write it percent-encoded (a blank is `%20`)",
                Shown(&c.to_string())
            ));
        }
        let template = Self {
            text: text.to_owned(),
            pieces: pieces(text)?,
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
                Piece::Date(format) => push_date(&mut link, format, local),
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

/// Scheme, host and port stand there, and hold no placeholder.
fn check_start(text: &str) -> Result<(), String> {
    let scheme = ["https://", "http://"]
        .into_iter()
        .find(|scheme| {
            text.get(..scheme.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
        })
        .ok_or("the link must be a whole address that begins with `https://` or `http://`")?;
    let host = text[scheme.len()..]
        .split(['/', '?', '#'])
        .next()
        .unwrap_or_default();
    if host.is_empty() {
        return Err("the address has no host".to_owned());
    }
    if host.contains(['{', '}']) {
        return Err(
            "a placeholder cannot stand in the host or the port: a value from the PBX would decide where links lead"
                .to_owned(),
        );
    }
    Ok(())
}

/// RFC 3986's characters, and the two braces.
fn may_stand_in_address(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._~:/?#[]@!$&'()*+,;=%{}".contains(c)
}

fn pieces(text: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    let mut fragment = false;
    while let Some(open) = rest.find(['{', '}']) {
        let (literal, from_brace) = rest.split_at(open);
        fragment |= literal.contains('#');
        push_literal(&mut pieces, literal)?;
        let close = from_brace.find('}').filter(|at| *at > 0);
        let Some(close) = close else {
            return Err(format!(
                "the brace in `{}` has no partner; a placeholder is `{{recordingfile}}`, a brace itself `%7B` or `%7D`",
                Shown(from_brace)
            ));
        };
        if fragment {
            return Err("a placeholder cannot stand after `#`: that part is never sent".to_owned());
        }
        pieces.push(placeholder(&from_brace[1..close])?);
        rest = &from_brace[close + 1..];
    }
    push_literal(&mut pieces, rest)?;
    Ok(pieces)
}

/// Adds a stretch of the template's own text. An escape in it must be whole: half of one would swallow the first
/// characters of the value that follows.
fn push_literal(pieces: &mut Vec<Piece>, literal: &str) -> Result<(), String> {
    let whole = |after: &str| {
        after
            .as_bytes()
            .get(..2)
            .is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit))
    };
    if !literal.split('%').skip(1).all(whole) {
        return Err("a `%` in the address must be followed by two hexadecimal digits; a percent sign itself is `%25`".to_owned());
    }
    if !literal.is_empty() {
        pieces.push(Piece::Literal(literal.to_owned()));
    }
    Ok(())
}

/// What stands between two braces.
fn placeholder(inside: &str) -> Result<Piece, String> {
    if inside == "date" {
        return date_format("%F").map(Piece::Date);
    }
    if let Some(format) = inside.strip_prefix("date:") {
        return date_format(format).map(Piece::Date);
    }
    if inside == "initiated" {
        return Err(
            "`{initiated}` is written as `{date:%Y-%m-%d}`, in the form that the link needs"
                .to_owned(),
        );
    }
    let starts_well = inside.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let goes_on_well = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '$';
    if starts_well && inside.chars().all(goes_on_well) && inside.len() <= 64 {
        return Ok(Piece::Column(inside.to_owned()));
    }
    Err(format!(
        "`{{{}}}` is no placeholder; write a column's name such as `{{recordingfile}}`, or `{{date:%Y/%m/%d}}`",
        Shown(inside)
    ))
}

fn date_format(format: &str) -> Result<Vec<DatePiece>, String> {
    use DatePiece::{Day, DayOfYear, Hour, Literal, Minute, Month, Second, Year, YearOfCentury};
    if format.is_empty() {
        return Err("`{date:}` has no format; write `{date}` or `{date:%Y/%m/%d}`".to_owned());
    }
    let mut pieces = Vec::new();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        match c {
            '%' => match chars.next() {
                Some('Y') => pieces.push(Year),
                Some('y') => pieces.push(YearOfCentury),
                Some('m') => pieces.push(Month),
                Some('d') => pieces.push(Day),
                Some('j') => pieces.push(DayOfYear),
                Some('H') => pieces.push(Hour),
                Some('M') => pieces.push(Minute),
                Some('S') => pieces.push(Second),
                Some('F') => pieces.extend([Year, Literal('-'), Month, Literal('-'), Day]),
                other => {
                    let letter: Cow<'_, str> = other.map_or("".into(), |c| c.to_string().into());
                    return Err(format!(
                        "`%{}` is unknown in `{{date:{}}}`; there are %Y %m %d %H %M %S %y %j %F",
                        Shown(&letter),
                        Shown(format)
                    ));
                }
            },
            c if c.is_ascii_alphanumeric() || "/-_.~:".contains(c) => pieces.push(Literal(c)),
            c => {
                return Err(format!(
                    "`{}` cannot stand in `{{date:{}}}`; between the parts of a date go letters, digits and / - _ . ~ :",
                    Shown(&c.to_string()),
                    Shown(format)
                ));
            }
        }
    }
    Ok(pieces)
}

fn push_date(link: &mut String, format: &[DatePiece], local: NaiveDateTime) {
    use fmt::Write as _;
    for piece in format {
        // Writing to a String cannot fail.
        let _ = match piece {
            DatePiece::Literal(c) => link.write_char(*c),
            DatePiece::Year => write!(link, "{:04}", local.year()),
            DatePiece::YearOfCentury => write!(link, "{:02}", local.year().rem_euclid(100)),
            DatePiece::Month => write!(link, "{:02}", local.month()),
            DatePiece::Day => write!(link, "{:02}", local.day()),
            DatePiece::DayOfYear => write!(link, "{:03}", local.ordinal()),
            DatePiece::Hour => write!(link, "{:02}", local.hour()),
            DatePiece::Minute => write!(link, "{:02}", local.minute()),
            DatePiece::Second => write!(link, "{:02}", local.second()),
        };
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

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;
    use proptest::prelude::*;

    use super::*;

    const USUAL: &str = "https://pbx.example.com/rec/{date:%Y/%m/%d}/{recordingfile}";

    fn start() -> NaiveDateTime {
        NaiveDate::from_ymd_opt(2012, 8, 23)
            .and_then(|day| day.and_hms_opt(2, 5, 9))
            .expect("a time")
    }

    #[track_caller]
    fn link(template: &str, value: &str, expected: Option<&str>) {
        let template = UrlTemplate::parse(template).expect(template);
        let link = template.render(start(), |_| Some(value));
        assert_eq!(link.as_deref(), expected, "{template} {value}");
    }

    #[test]
    fn a_link_holds_the_local_date_and_the_file() {
        link(
            USUAL,
            "out-02125551234-104-20120823-122033-pbx-1345740633.12.wav",
            Some(
                "https://pbx.example.com/rec/2012/08/23/out-02125551234-104-20120823-122033-pbx-1345740633.12.wav",
            ),
        );
        link(
            "http://127.0.0.1:8080/{date}",
            "",
            Some("http://127.0.0.1:8080/2012-08-23"),
        );
        link(
            "HTTPS://h/{date:%y%j_%H:%M:%S.%F~a}",
            "",
            Some("HTTPS://h/12236_02:05:09.2012-08-23~a"),
        );
        link(
            "https://h?id={uniqueid}&d={date}",
            "1.2&x",
            Some("https://h?id=1.2%26x&d=2012-08-23"),
        );
        link("https://h/static#top", "", Some("https://h/static#top"));
        link("https://h/a%20b/{x}", "c d", Some("https://h/a%20b/c%20d"));
    }

    #[test]
    fn hostile_file_names_stay_in_their_segment() {
        let base = "https://pbx.example.com/rec/2012/08/23/";
        for (name, encoded) in [
            ("../../etc/passwd", "..%2F..%2Fetc%2Fpasswd"),
            ("/var/spool/a.wav", "%2Fvar%2Fspool%2Fa.wav"),
            ("..\\..\\a", "..%5C..%5Ca"),
            ("//evil.example/a", "%2F%2Fevil.example%2Fa"),
            ("@evil.example", "%40evil.example"),
            ("https://evil.example", "https%3A%2F%2Fevil.example"),
            ("a?b#c&d=e+f", "a%3Fb%23c%26d%3De%2Bf"),
            ("%2e%2e", "%252e%252e"),
            ("%2E.", "%252E."),
            ("...", "..."),
            (" ", "%20"),
            ("a\r\nSet-Cookie: x", "a%0D%0ASet-Cookie%3A%20x"),
            ("a\u{0}\u{1b}\"'<>", "a%00%1B%22%27%3C%3E"),
            ("ñ\u{202e}", "%C3%B1%E2%80%AE"),
            ("{recordingfile}", "%7Brecordingfile%7D"),
        ] {
            link(USUAL, name, Some(&format!("{base}{encoded}")));
        }
    }

    #[test]
    fn there_is_no_link_without_a_value_or_with_a_segment_of_dots() {
        for name in ["", ".", ".."] {
            link(USUAL, name, None);
        }
        link("https://h/rec/{a}{b}", ".", None);
        link("https://h/rec/.{a}", ".", None);
        link("https://h/rec/%2E{a}?x", ".", None);
        link("https://h/rec/{a}?file={a}", "..", None);
        link("https://h/rec/{a}-{b}", ".", Some("https://h/rec/.-."));
        link(
            "https://h/rec?file={a}",
            "..",
            Some("https://h/rec?file=.."),
        );
        let template = UrlTemplate::parse(USUAL).expect("a template");
        assert_eq!(template.render(start(), |_| None), None);
    }

    #[test]
    fn placeholders_are_named_once_and_the_text_is_kept() {
        let template = UrlTemplate::parse("https://h/{b}/{date}/{a}?{b}").expect("a template");
        assert_eq!(template.placeholders(), ["b", "a"]);
        assert_eq!(template.to_string(), "https://h/{b}/{date}/{a}?{b}");
    }

    #[track_caller]
    fn refused(template: &str, message: &str) {
        assert_eq!(
            UrlTemplate::parse(template),
            Err(message.to_owned()),
            "{template}"
        );
    }

    #[test]
    fn a_template_that_could_lead_elsewhere_is_refused() {
        let whole = "the link must be a whole address that begins with `https://` or `http://`";
        for template in [
            "",
            "/rec/{a}",
            "ftp://h/{a}",
            "{a}",
            "javascript:alert(1)",
            "htt{a}://h/",
            "https:/h/{a}",
            "ñttps://h",
        ] {
            refused(template, whole);
        }
        let host = "a placeholder cannot stand in the host or the port: a value from the PBX would decide where links lead";
        for template in [
            "https://{a}/",
            "https://h{a}",
            "https://h:{a}/",
            "https://h.{a}?x",
            "https://u{a}@h/",
            "https://h}/x",
        ] {
            refused(template, host);
        }
        refused("https:///x", "the address has no host");
        refused(
            "https://h/#{a}",
            "a placeholder cannot stand after `#`: that part is never sent",
        );
        let person = "a user name or password does not belong here: everybody who sees the call would see it";
        refused("https://u:p@h/{a}", person);
        refused("https://u@h/{a}", person);
        let dots = "a path segment `.` or `..` leads elsewhere; write the path that it leads to";
        for template in [
            "https://h/a/../{a}",
            "https://h/./{a}",
            "https://h/%2e%2E/{a}",
            "https://h/{date:..}",
            "https://h/{date:%Y/../}",
        ] {
            refused(template, dots);
        }
        refused(
            "https://h:99999/{a}",
            "this is no address: invalid port number",
        );
    }

    #[test]
    fn a_template_with_a_slip_of_the_pen_is_refused() {
        for (template, message) in [
            (
                "https://h/{a",
                "the brace in `{a` has no partner; a placeholder is `{recordingfile}`, a brace itself `%7B` or `%7D`",
            ),
            (
                "https://h/a}b",
                "the brace in `}b` has no partner; a placeholder is `{recordingfile}`, a brace itself `%7B` or `%7D`",
            ),
            (
                "https://h/{}",
                "`{}` is no placeholder; write a column's name such as `{recordingfile}`, or `{date:%Y/%m/%d}`",
            ),
            (
                "https://h/{{a}}",
                "`{{a}` is no placeholder; write a column's name such as `{recordingfile}`, or `{date:%Y/%m/%d}`",
            ),
            (
                "https://h/{1a}",
                "`{1a}` is no placeholder; write a column's name such as `{recordingfile}`, or `{date:%Y/%m/%d}`",
            ),
            (
                "https://h/{initiated}",
                "`{initiated}` is written as `{date:%Y-%m-%d}`, in the form that the link needs",
            ),
            (
                "https://h/{date:}",
                "`{date:}` has no format; write `{date}` or `{date:%Y/%m/%d}`",
            ),
            (
                "https://h/{date:%Q}",
                "`%Q` is unknown in `{date:%Q}`; there are %Y %m %d %H %M %S %y %j %F",
            ),
            (
                "https://h/{date:%-d}",
                "`%-` is unknown in `{date:%-d}`; there are %Y %m %d %H %M %S %y %j %F",
            ),
            (
                "https://h/{date:%}",
                "`%` is unknown in `{date:%}`; there are %Y %m %d %H %M %S %y %j %F",
            ),
            (
                "https://h/{date:%Y?%m}",
                "`?` cannot stand in `{date:%Y?%m}`; between the parts of a date go letters, digits and / - _ . ~ :",
            ),
            (
                "https://h/a b/{a}",
                "` ` cannot stand in an address; write it percent-encoded (a blank is `%20`)",
            ),
            (
                "https://h\\x/{a}",
                "`\\` cannot stand in an address; write it percent-encoded (a blank is `%20`)",
            ),
            (
                "https://h/\u{1b}",
                "`\\u{1b}` cannot stand in an address; write it percent-encoded (a blank is `%20`)",
            ),
            (
                "https://h/%{a}",
                "a `%` in the address must be followed by two hexadecimal digits; a percent sign itself is `%25`",
            ),
            (
                "https://h/%2{a}",
                "a `%` in the address must be followed by two hexadecimal digits; a percent sign itself is `%25`",
            ),
        ] {
            refused(template, message);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_value_changes_host_path_prefix_or_number_of_segments(value in "(\\PC|[./\\\\%2eE?#@:;\\x00-\\x20]){0,40}") {
            let template = UrlTemplate::parse("https://pbx.example.com:8443/rec/{a}/play?id={a}").expect("a template");
            match template.render(start(), |_| Some(&value)) {
                None => prop_assert!(matches!(value.as_str(), "" | "." | "..")),
                Some(link) => {
                    let url = Url::parse(&link).expect("an address");
                    prop_assert_eq!(url.host_str(), Some("pbx.example.com"));
                    prop_assert_eq!(url.port(), Some(8443));
                    let segments: Vec<&str> = url.path_segments().expect("a path").collect();
                    prop_assert_eq!(segments.len(), 3);
                    prop_assert_eq!((segments[0], segments[2]), ("rec", "play"));
                    let decoded = percent_encoding::percent_decode_str(segments[1]).decode_utf8().expect("UTF-8");
                    prop_assert_eq!(&*decoded, value.as_str());
                    prop_assert_eq!(url.fragment(), None);
                    prop_assert_eq!(url.query_pairs().count(), 1);
                }
            }
        }

        #[test]
        fn any_text_as_template_is_read_or_refused(text in "(https?://h)?(\\PC|[{}%/?#]|\\{date:|%[a-zA-Z]){0,20}") {
            if let Ok(template) = UrlTemplate::parse(&text) {
                let _ = template.render(start(), |_| Some("x"));
            }
        }
    }
}
