//! The sections about calls: from figures to what stands on the page, word for word.

use crate::ledger::State;
use crate::report::figures::timeline::Grain;
use crate::report::figures::{Figures, StateStep};
use crate::report::summary::{WEEKDAYS, amount, busiest, grouped, span};

use super::chart::{Column, Series, step_name};

/// A count by state.
#[derive(Debug)]
pub(super) struct Tile {
    pub(super) name: &'static str,
    pub(super) class: Option<&'static str>,
    pub(super) count: String,
    pub(super) note: String,
    pub(super) zero: bool,
}

/// An entry of a legend.
#[derive(Debug)]
pub(super) struct Swatch {
    pub(super) class: &'static str,
    pub(super) name: &'static str,
    pub(super) text: String,
}

/// A row of a table of figures.
#[derive(Debug)]
pub(super) struct TableRow {
    pub(super) name: String,
    pub(super) cells: Vec<String>,
}

/// An hour of the day.
#[derive(Debug)]
pub(super) struct HeatRow {
    pub(super) hour: String,
    pub(super) cells: Vec<HeatCell>,
}

/// An hour of a weekday; `level` 0 to 5.
#[derive(Debug)]
pub(super) struct HeatCell {
    pub(super) level: u64,
    pub(super) text: String,
}

/// A weekday's name.
#[derive(Debug)]
pub(super) struct Weekday {
    pub(super) long: &'static str,
    pub(super) short: &'static str,
}

/// A bar with its figures; `width` in per cent.
#[derive(Debug)]
pub(super) struct BarRow {
    pub(super) name: String,
    pub(super) width: String,
    pub(super) count: String,
    pub(super) share: String,
}

/// A percentile, named.
#[derive(Debug)]
pub(super) struct Percentile {
    pub(super) name: &'static str,
    pub(super) text: String,
}

/// The class that gives a state its colour.
fn class(state: State) -> &'static str {
    state.as_str()
}

fn note(state: State) -> &'static str {
    match state {
        State::Delivered => "the CRM holds them",
        State::Withdrawn => "deleted, and kept out",
        State::Unmatched => "no contact has the number",
        State::Rejected => "refused by the CRM",
        State::Pending => "due; the next run sends them",
        State::InFlight => "sent, no answer on record",
        State::Held => "a person decides",
    }
}

/// All calls, then each state.
pub(super) fn tiles(figures: &Figures) -> Vec<Tile> {
    let total = figures.calls.total;
    let all = Tile {
        name: "all calls",
        class: None,
        count: grouped(total),
        note: "of this window".to_owned(),
        zero: total == 0,
    };
    let states = State::ALL
        .into_iter()
        .zip(figures.calls.states)
        .map(|(state, n)| Tile {
            name: word(state),
            class: Some(class(state)),
            count: grouped(n),
            note: if n == 0 {
                note(state).to_owned()
            } else {
                format!("{}: {}", percent(n, total), note(state))
            },
            zero: n == 0,
        });
    std::iter::once(all).chain(states).collect()
}

fn word(state: State) -> &'static str {
    match state {
        State::InFlight => "in flight",
        State::Delivered
        | State::Withdrawn
        | State::Unmatched
        | State::Rejected
        | State::Pending
        | State::Held => state.as_str(),
    }
}

/// The states that occur, with their counts.
pub(super) fn legend(figures: &Figures) -> Vec<Swatch> {
    State::ALL
        .into_iter()
        .zip(figures.calls.states)
        .filter(|(_, n)| *n > 0)
        .map(|(state, n)| Swatch {
            class: class(state),
            name: word(state),
            text: format!("{} {}", grouped(n), word(state)),
        })
        .collect()
}

fn grain(step: &str) -> Grain {
    let named = Grain::ALL.into_iter().find(|grain| grain.word() == step);
    named.unwrap_or(Grain::Day)
}

/// The calls along the calendar.
pub(super) fn calls(figures: &Figures) -> Series {
    let grain = grain(figures.over_time.step);
    let columns = figures
        .over_time
        .steps
        .iter()
        .map(|StateStep { from, states }| {
            let total: u64 = states.iter().sum();
            let named: Vec<String> = State::ALL
                .iter()
                .zip(states)
                .filter(|(_, n)| **n > 0)
                .map(|(state, n)| format!("{} {}", grouped(*n), word(*state)))
                .collect();
            let parts = State::ALL.iter().zip(states);
            Column {
                from: *from,
                #[expect(clippy::cast_precision_loss, reason = "the height of a bar")]
                parts: parts.map(|(state, n)| (class(*state), *n as f64)).collect(),
                title: if named.is_empty() {
                    format!("{from}: no call")
                } else {
                    format!("{from}: {} ({})", amount(total, "call"), named.join(", "))
                },
                label: grouped(total),
            }
        })
        .collect();
    Series {
        id: "calls",
        title: format!("Calls by {} and state", grain.word()),
        summary: calls_lead(figures),
        grain,
        columns,
        unit: "",
    }
}

/// What the chart shows, in words.
pub(super) fn calls_lead(figures: &Figures) -> String {
    let steps = &figures.over_time.steps;
    let (Some(first), Some(last)) = (steps.first(), steps.last()) else {
        return String::new();
    };
    let most = steps.iter().max_by_key(|step| {
        (
            step.states.iter().sum::<u64>(),
            std::cmp::Reverse(step.from),
        )
    });
    let (word, grain) = (figures.over_time.step, grain(figures.over_time.step));
    let stretch = if first.from == last.from {
        format!("The {word} of {}", first.from)
    } else {
        format!("By {word}, {} to {}", first.from, last.from)
    };
    match most {
        Some(most) if first.from != last.from => format!(
            "{stretch}; the most on {}: {}.",
            match grain {
                Grain::Day => format!(
                    "{} {}",
                    most.from.format("%A,"),
                    step_name(grain, most.from)
                ),
                Grain::Week => format!("the week from {}", step_name(grain, most.from)),
                Grain::Month | Grain::Year | Grain::Decade | Grain::Millennium =>
                    step_name(grain, most.from),
            },
            amount(most.states.iter().sum(), "call")
        ),
        Some(_) | None => format!("{stretch}."),
    }
}

/// The same as a table.
pub(super) fn calls_table(figures: &Figures) -> Vec<TableRow> {
    let steps = figures.over_time.steps.iter();
    steps
        .map(|step| {
            let present = step.states.iter().zip(figures.calls.states);
            let cells = present
                .filter(|(_, all)| *all > 0)
                .map(|(n, _)| grouped(*n));
            TableRow {
                name: step.from.to_string(),
                cells: std::iter::once(grouped(step.states.iter().sum()))
                    .chain(cells)
                    .collect(),
            }
        })
        .collect()
}

/// The weekdays with their short names.
pub(super) fn weekdays() -> Vec<Weekday> {
    let named = WEEKDAYS.into_iter();
    named
        .map(|long| Weekday {
            long,
            short: long.get(..3).unwrap_or(long),
        })
        .collect()
}

/// When most calls are made.
pub(super) fn heat_lead(figures: &Figures) -> String {
    busiest(figures).map_or_else(String::new, |(n, weekday, hour)| {
        format!(
            "The busiest hour: {weekday}, {hour:02}:00 to {:02}:00, {}.",
            hour + 1,
            amount(n, "call")
        )
    })
}

/// An hour a row, a weekday a column.
pub(super) fn heat(figures: &Figures) -> Vec<HeatRow> {
    let Some((most, ..)) = busiest(figures) else {
        return Vec::new();
    };
    (0..24)
        .map(|hour| HeatRow {
            hour: format!("{hour:02}"),
            cells: figures
                .by_hour
                .iter()
                .map(|day| HeatCell {
                    level: (u128::from(day[hour]) * 5).div_ceil(u128::from(most)) as u64,
                    text: short(day[hour]),
                })
                .collect(),
        })
        .collect()
}

/// A count in a narrow cell.
fn short(n: u64) -> String {
    match n {
        0 => "·".to_owned(),
        1..100_000 => n.to_string(),
        100_000..100_000_000 => format!("{}k", n / 1_000),
        _ => format!("{}M", n / 1_000_000),
    }
}

/// How long calls last, in a sentence.
pub(super) fn durations_lead(figures: &Figures) -> String {
    let lengths = figures.durations.lengths;
    format!(
        "Half of them {} or less; the longest {}.",
        span(lengths.p50_s),
        span(lengths.longest_s)
    )
}

/// The classes of durations; none without calls.
pub(super) fn classes(figures: &Figures) -> Vec<BarRow> {
    let lengths = figures.durations.lengths;
    if lengths.calls == 0 {
        return Vec::new();
    }
    let classes = &figures.durations.classes;
    let most = classes.iter().map(|class| class.calls).max().unwrap_or(0);
    classes
        .iter()
        .map(|class| BarRow {
            name: match (class.from_s, class.until_s) {
                (0, Some(1)) => "0 s".to_owned(),
                (from, Some(until)) => format!("{} to {}", unitless(from, until), span(until)),
                (from, None) => format!("{} or more", span(from)),
            },
            width: width(class.calls, most),
            count: grouped(class.calls),
            share: percent(class.calls, lengths.calls),
        })
        .collect()
}

/// The lower bound of a class, without the unit where the upper one has the same.
fn unitless(from: u64, until: u64) -> String {
    match (from, until) {
        (from, ..60) => from.to_string(),
        (60.., ..3_600) => (from / 60).to_string(),
        (from, _) => span(from),
    }
}

/// The percentiles by name.
pub(super) fn percentiles(figures: &Figures) -> Vec<Percentile> {
    let lengths = figures.durations.lengths;
    [
        ("median", lengths.p50_s),
        ("90 % at most", lengths.p90_s),
        ("95 % at most", lengths.p95_s),
        ("99 % at most", lengths.p99_s),
    ]
    .into_iter()
    .map(|(name, seconds)| Percentile {
        name,
        text: span(seconds),
    })
    .collect()
}

/// How soon calls are in the CRM; `None` where no call was made since the first run.
pub(super) fn arrival(figures: &Figures) -> Option<String> {
    let arrival = figures.arrival;
    (arrival.calls > 0).then(|| {
        format!(
            "Of the {} made since the first run and delivered at the first try, half were there within {} of their start, 95 % within {}.",
            amount(arrival.calls, "call"),
            span(arrival.p50_s),
            span(arrival.p95_s)
        )
    })
}

/// Per cent of the widest, for an attribute.
pub(super) fn width(n: u64, most: u64) -> String {
    if n == 0 || most == 0 {
        return "0".to_owned();
    }
    #[expect(clippy::cast_precision_loss, reason = "the length of a bar")]
    let share = n as f64 * 100.0 / most as f64;
    format!("{:.1}", share.max(0.5))
}

/// `12.3 %`; never 0 % for something, nor 100 % for less than all.
fn percent(n: u64, total: u64) -> String {
    if n == 0 || total == 0 {
        return "0 %".to_owned();
    }
    if n == total {
        return "100 %".to_owned();
    }
    #[expect(clippy::cast_precision_loss, reason = "a share in words")]
    let share = n as f64 * 100.0 / total as f64;
    match share {
        share if share < 0.1 => "under 0.1 %".to_owned(),
        share if share > 99.9 => "over 99.9 %".to_owned(),
        share => format!("{share:.1} %"),
    }
}
