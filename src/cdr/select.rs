//! Which rows are calls to send.

use super::filter::ColumnFilter;
use crate::call::{ColumnTime, Disposition};
use crate::config::SelectConfig;
use crate::number::dialplan::Pattern;
use crate::source::{CdrRow, DurationCell, LONGEST_NUMBER, StartCell};
use crate::text::Shown;

/// Why a row is not sent. A row with several reasons counts under the first of them, in this order:
/// [`Skip::Invalid`], [`Skip::ShortDestination`], [`Skip::Excluded`], [`Skip::Disposition`], [`Skip::NoSource`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Skip {
    /// The start, the duration or a number cannot be used; what is wrong with it, safe to show.
    Invalid(String),
    /// `dst` is shorter than `select.min_destination_length`.
    ShortDestination,
    /// `dst` matches a pattern of `select.exclude`, or a column holds what `[select.where]` does not want.
    Excluded,
    /// `select.dispositions` does not name the row's.
    Disposition,
    /// The caller withheld the number, and `target.empty_source` does not say what to send instead.
    NoSource,
}

/// Why a row is not sent, if it is not.
///
/// `dst` is judged as the column holds it, before any rule, as the reference script did; its length counts characters.
/// `extra_roles` names the values of [`CdrRow::extra`].
#[must_use]
pub fn classify(
    row: &CdrRow,
    select: &SelectConfig,
    empty_source: Option<&str>,
    extra_roles: &[String],
) -> Option<Skip> {
    if let Some(reason) = unusable(row) {
        return Some(Skip::Invalid(reason));
    }
    if row.destination.chars().count() < select.min_destination_length {
        return Some(Skip::ShortDestination);
    }
    let excluded = |pattern: &Pattern| pattern.is_match(&row.destination);
    if select.exclude.iter().any(excluded) || objecting(row, select, extra_roles).is_some() {
        return Some(Skip::Excluded);
    }
    let wanted = |disposition: &Disposition| same(disposition, &row.disposition);
    if !select.dispositions.is_empty() && !select.dispositions.iter().any(wanted) {
        return Some(Skip::Disposition);
    }
    if empty_source.is_none() && is_withheld(&row.source, select) {
        return Some(Skip::NoSource);
    }
    None
}

/// The filter of `[select.where]` that a row does not pass, with the value that it objects to.
#[must_use]
pub fn objecting<'a>(
    row: &'a CdrRow,
    select: &'a SelectConfig,
    extra_roles: &[String],
) -> Option<(&'a ColumnFilter, Option<&'a str>)> {
    select.filters.iter().find_map(|filter| {
        let at = extra_roles.iter().position(|role| role == filter.column());
        let value = at.and_then(|at| row.extra.get(at)?.as_deref());
        (!filter.passes(value)).then_some((filter, value))
    })
}

/// Whether the source column says that the caller withheld the number: it is blank, or holds one of the texts of
/// `select.withheld`, compared without regard to case and to blanks around it.
#[must_use]
pub fn is_withheld(source: &str, select: &SelectConfig) -> bool {
    let source = source.trim();
    // A number, the common case, is spared the conversion of case.
    source.is_empty()
        || (!select.withheld.is_empty() && {
            let source = source.to_lowercase();
            select
                .withheld
                .iter()
                .any(|text| text.trim().to_lowercase() == source)
        })
}

/// What is wrong with the start, the duration, or the length of a number.
pub(super) fn unusable(row: &CdrRow) -> Option<String> {
    match &row.start {
        StartCell::At(ColumnTime(at)) if (FIRST_START..END_OF_STARTS).contains(at) => {}
        StartCell::At(_) => {
            return Some("its start lies outside the years 1970 to 9999".to_owned());
        }
        StartCell::Missing => return Some("it has no start".to_owned()),
        StartCell::Unreadable(text) => {
            return Some(format!("its start `{}` is no time", excerpt(text)));
        }
    }
    if let DurationCell::Unreadable(text) = &row.duration {
        return Some(format!(
            "its duration `{}` is no number of seconds",
            excerpt(text)
        ));
    }
    // A source may have shortened it, and two different ones may begin alike.
    let long = |what: &str, text: &str| {
        is_longer(text, LONGEST_NUMBER).then(|| {
            format!(
                "its {what} `{}` is longer than {LONGEST_NUMBER} characters",
                excerpt(text)
            )
        })
    };
    long("source", &row.source).or_else(|| long("destination", &row.destination))
}

/// Whether a text has more characters than `longest`.
pub(super) fn is_longer(text: &str, longest: usize) -> bool {
    text.len() > longest && text.chars().nth(longest).is_some()
}

/// 1970-01-01 00:00:00 on the column's clock.
const FIRST_START: i64 = 0;
/// 10000-01-01 00:00:00: ISO 8601 has four digits for a year.
const END_OF_STARTS: i64 = 253_402_300_800;

/// As much of a hostile text as one line of a report can bear.
fn excerpt(text: &str) -> String {
    let end = text.char_indices().nth(60).map(|(at, _)| at);
    match end {
        Some(end) => format!("{}…", Shown(&text[..end])),
        None => Shown(text).to_string(),
    }
}

/// Equal dispositions; those that Asterisk does not know are compared without regard to case.
fn same(wanted: &Disposition, found: &Disposition) -> bool {
    match (wanted, found) {
        (Disposition::Other(wanted), Disposition::Other(found)) => {
            wanted.trim().to_lowercase() == found.trim().to_lowercase()
        }
        (wanted, found) => wanted == found,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::call::Origin;

    fn select() -> SelectConfig {
        SelectConfig {
            lookback: Duration::from_secs(200 * 3600),
            full_lookback: Duration::from_secs(360 * 86_400),
            min_destination_length: 7,
            dispositions: Vec::new(),
            exclude: Vec::new(),
            withheld: Vec::new(),
            filters: Vec::new(),
            recheck_unmatched: Duration::from_secs(86_400),
            full_at: chrono::NaiveTime::MIN,
        }
    }

    fn row(source: &str, destination: &str) -> CdrRow {
        CdrRow {
            start: StartCell::At(ColumnTime(1_345_724_433)),
            source: source.to_owned(),
            destination: destination.to_owned(),
            duration: DurationCell::Seconds(12),
            disposition: Disposition::NoAnswer,
            origin: Origin::default(),
            extra: Vec::new(),
        }
    }

    #[track_caller]
    fn is(row: &CdrRow, select: &SelectConfig, expected: impl Into<Option<Skip>>) {
        let roles = ["dcontext".to_owned()];
        assert_eq!(classify(row, select, None, &roles), expected.into());
    }

    #[test]
    fn destinations_are_counted_in_characters_of_the_raw_number() {
        for (destination, length, expected) in [
            ("1234567", 7, None),
            ("123456", 7, Some(Skip::ShortDestination)),
            ("", 1, Some(Skip::ShortDestination)),
            ("", 0, None),
            // The 9 of the outside line counts, as it did for the reference script.
            ("9123456", 7, None),
            ("ñññññññ", 7, None),
            ("ññññññ", 7, Some(Skip::ShortDestination)),
        ] {
            let select = SelectConfig {
                min_destination_length: length,
                ..select()
            };
            is(&row("104", destination), &select, expected);
        }
    }

    #[test]
    fn a_withheld_source_is_skipped_unless_there_is_something_to_send_instead() {
        let words = SelectConfig {
            withheld: vec!["anonymous".to_owned(), " Ñandú ".to_owned()],
            ..select()
        };
        for (source, select, withheld) in [
            ("104", &select(), false),
            ("", &select(), true),
            (" \t", &select(), true),
            ("anonymous", &select(), false),
            ("Anonymous", &words, true),
            (" ANONYMOUS ", &words, true),
            ("ñANDÚ", &words, true),
            ("anonymous1", &words, false),
        ] {
            is(
                &row(source, "1234567"),
                select,
                withheld.then_some(Skip::NoSource),
            );
            assert_eq!(
                classify(&row(source, "1234567"), select, Some("0000"), &[]),
                None
            );
            assert_eq!(is_withheld(source, select), withheld, "{source}");
        }
    }

    #[test]
    fn dispositions_are_compared_by_meaning() {
        let wanted = |words: &[&str]| SelectConfig {
            dispositions: words.iter().map(|word| Disposition::parse(word)).collect(),
            ..select()
        };
        let found = |word: &str| CdrRow {
            disposition: Disposition::parse(word),
            ..row("104", "1234567")
        };
        is(&found("8"), &wanted(&["answered"]), None);
        is(
            &found("NOANSWER"),
            &wanted(&["answered", "no answer"]),
            None,
        );
        is(
            &found("BUSY"),
            &wanted(&["answered"]),
            Some(Skip::Disposition),
        );
        is(&found("Voicemail"), &wanted(&["VOICEMAIL"]), None);
        is(&found(""), &wanted(&["answered"]), Some(Skip::Disposition));
        is(&found(""), &wanted(&[]), None);
    }

    #[test]
    fn a_row_without_a_usable_start_or_duration_is_invalid() {
        let invalid = |reason: &str| Some(Skip::Invalid(reason.to_owned()));
        let start = |start: StartCell| CdrRow {
            start,
            ..row("104", "1234567")
        };
        is(
            &start(StartCell::Missing),
            &select(),
            invalid("it has no start"),
        );
        is(
            &start(StartCell::Unreadable("soon\u{1b}[2J".to_owned())),
            &select(),
            invalid("its start `soon\\u{1b}[2J` is no time"),
        );
        for at in [-1, END_OF_STARTS, i64::MIN, i64::MAX] {
            is(
                &start(StartCell::At(ColumnTime(at))),
                &select(),
                invalid("its start lies outside the years 1970 to 9999"),
            );
        }
        let duration = DurationCell::Unreadable("ñ".repeat(100));
        let reason = format!("its duration `{}…` is no number of seconds", "ñ".repeat(60));
        is(
            &CdrRow {
                duration,
                ..row("104", "1234567")
            },
            &select(),
            invalid(&reason),
        );
    }

    #[test]
    fn a_row_with_several_reasons_counts_under_the_first() {
        let all = SelectConfig {
            dispositions: vec![Disposition::Answered],
            exclude: vec![Pattern::parse("_123.").expect("a pattern")],
            filters: vec![ColumnFilter::new("dcontext", ["from-queue"])],
            ..select()
        };
        let mut bad = CdrRow {
            duration: DurationCell::Unreadable("x".to_owned()),
            ..row("", "123456")
        };
        let reason = "its duration `x` is no number of seconds".to_owned();
        is(&bad, &all, Some(Skip::Invalid(reason)));
        bad.duration = DurationCell::Seconds(0);
        is(&bad, &all, Some(Skip::ShortDestination));
        bad.destination.push('7');
        is(&bad, &all, Some(Skip::Excluded));
        bad.destination.insert(0, '0');
        is(&bad, &all, Some(Skip::Excluded));
        bad.extra = vec![Some("from-internal".to_owned())];
        is(&bad, &all, Some(Skip::Excluded));
        bad.extra = vec![Some("from-queue".to_owned())];
        is(&bad, &all, Some(Skip::Disposition));
        bad.disposition = Disposition::Answered;
        is(&bad, &all, Some(Skip::NoSource));
        bad.source.push('7');
        is(&bad, &all, None);
    }
}
