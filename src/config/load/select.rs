//! `[select]`

use std::time::Duration;

use chrono::NaiveTime;

use super::super::SelectConfig;
use super::super::names::{COLUMN_NAMES, is_column_name};
use super::super::reader::{Section, shown};
use crate::call::Disposition;
use crate::cdr::filter::ColumnFilter;
use crate::number::dialplan::Pattern;

const HOUR: Duration = Duration::from_secs(3600);

/// Reads the section. What is wrong is reported, and the default stands in for it.
pub(super) fn read(section: &Section<'_>) -> SelectConfig {
    let config = SelectConfig {
        lookback: section.span("lookback", 200 * HOUR),
        full_lookback: section.span("full_lookback", 360 * 24 * HOUR),
        min_destination_length: usize::try_from(section.number(
            "min_destination_length",
            0..=255,
            7,
        ))
        .unwrap_or(7),
        dispositions: dispositions(section),
        exclude: exclude(section),
        withheld: withheld(section),
        filters: filters(&section.section("where")),
        recheck_unmatched: section.span("recheck_unmatched", 24 * HOUR),
        full_at: full_at(section),
    };
    section.close();
    config
}

fn full_at(section: &Section<'_>) -> NaiveTime {
    let default = NaiveTime::from_hms_opt(23, 0, 0).unwrap_or_default();
    let Some(found) = section.filled("full_at") else {
        return default;
    };
    NaiveTime::parse_from_str(found.value, "%H:%M").unwrap_or_else(|_| {
        let message = format!(
            "`select.full_at`: \"{}\" is no time of day; write hours and minutes, such as \"23:00\"",
            shown(found.value)
        );
        section.problem(found.line, "full_at", message);
        default
    })
}

fn dispositions(section: &Section<'_>) -> Vec<Disposition> {
    let mut dispositions = Vec::new();
    for found in section.texts("dispositions").unwrap_or_default() {
        match Disposition::parse(found.value) {
            Disposition::Other(text) => {
                let message = format!(
                    "`select.dispositions`: \"{}\" is no disposition; known are ANSWERED, NO ANSWER, BUSY, FAILED, CONGESTION and CANCEL",
                    shown(&text)
                );
                section.problem(found.line, "dispositions", message);
            }
            known @ (Disposition::Answered
            | Disposition::NoAnswer
            | Disposition::Busy
            | Disposition::Failed
            | Disposition::Congestion
            | Disposition::Cancel) => {
                if !dispositions.contains(&known) {
                    dispositions.push(known);
                }
            }
        }
    }
    dispositions
}

fn exclude(section: &Section<'_>) -> Vec<Pattern> {
    let mut patterns = Vec::new();
    for found in section.texts("exclude").unwrap_or_default() {
        match Pattern::parse(found.value) {
            Ok(pattern) => patterns.push(pattern),
            Err(why) => {
                let message = format!("`select.exclude`: {why}");
                section.problem(found.line, "exclude", message);
            }
        }
    }
    patterns
}

/// `[select.where]`: each key names a column as `[source.columns]` does.
fn filters(section: &Section<'_>) -> Vec<ColumnFilter> {
    let mut filters = Vec::new();
    for name in section.names() {
        if !is_column_name(name.value) || name.value == "initiated" {
            let text = shown(name.value);
            let message = if name.value == "initiated" {
                "`select.where.initiated`: the start is selected by `select.lookback`, --since and --until; remove it".to_owned()
            } else {
                format!("`select.where`: \"{text}\" is no column name; write {COLUMN_NAMES}")
            };
            section.problem(name.line, &text, message);
            continue;
        }
        let Some(texts) = section.texts(name.value) else {
            continue;
        };
        if texts.is_empty() {
            let message = format!(
                "`select.where.{}` is an empty list, which no row could satisfy; name what the column may hold, or remove it",
                name.value
            );
            section.problem(name.line, name.value, message);
            continue;
        }
        let texts = texts.into_iter().map(|found| found.value);
        filters.push(ColumnFilter::new(name.value, texts));
    }
    filters
}

fn withheld(section: &Section<'_>) -> Vec<String> {
    let mut words = Vec::new();
    for found in section.texts("withheld").unwrap_or_default() {
        if found.value.trim().is_empty() {
            let message = "`select.withheld` holds an empty text; an empty column means \"withheld\" without it, so remove it";
            section.problem(found.line, "withheld", message);
        } else {
            words.push(found.value.to_owned());
        }
    }
    words
}
