//! Bars along the calendar, as numbers for an SVG: where each stands and what it says. The template only writes them down.

use chrono::NaiveDate;

use crate::report::figures::timeline::Grain;
use crate::report::summary::grouped;

/// Room around the bars, in the chart's own units.
const LEFT: f64 = 46.0;
const RIGHT: f64 = 6.0;
const ABOVE: f64 = 18.0;
const BELOW: f64 = 24.0;

/// Room that a label below takes, how near its middle comes to the edge, and room for each character of one over a bar.
const LABEL: f64 = 66.0;
const EDGE: f64 = 26.0;
const CHARACTER: f64 = 7.2;

/// A chart of one size.
#[derive(Debug)]
pub(super) struct Chart {
    /// `wide` or `narrow`: the class that shows one of the two.
    pub size: &'static str,
    /// Distinguishes the ids of one page.
    pub id: String,
    /// What it shows, for those who do not see it.
    pub title: String,
    /// The same in figures.
    pub summary: String,
    /// Units.
    pub width: f64,
    /// Units.
    pub height: f64,
    /// Where the grid begins and ends.
    pub left: f64,
    /// See `left`.
    pub right: f64,
    /// Lines of the grid with their values, from below.
    pub grid: Vec<Mark>,
    /// The bars.
    pub bars: Vec<Bar>,
    /// Steps of the calendar that are named.
    pub labels: Vec<Mark>,
}

/// A text at a place; `at` is the one coordinate that matters.
#[derive(Debug)]
pub(super) struct Mark {
    /// Units.
    pub at: f64,
    /// Units; where the text stands.
    pub text_at: f64,
    /// The text.
    pub text: String,
}

/// A bar of several parts.
#[derive(Debug)]
pub(super) struct Bar {
    /// What it says when it is pointed at.
    pub title: String,
    /// Left edge.
    pub x: f64,
    /// Width.
    pub width: f64,
    /// Middle, for the text over it.
    pub middle: f64,
    /// Upper edge.
    pub top: f64,
    /// The value over it, where there is room for each.
    pub label: Option<String>,
    /// From below.
    pub parts: Vec<Part>,
}

/// One part of a bar.
#[derive(Debug)]
pub(super) struct Part {
    /// Class that gives it its colour.
    pub class: &'static str,
    /// Upper edge.
    pub y: f64,
    /// Height.
    pub height: f64,
}

/// What a bar is to show.
#[derive(Debug, Clone)]
pub(super) struct Column {
    /// First day of its step.
    pub from: NaiveDate,
    /// Values with their classes, from below.
    pub parts: Vec<(&'static str, f64)>,
    /// What it says when it is pointed at.
    pub title: String,
    /// The value over it.
    pub label: String,
}

/// What a chart shows, whatever its size.
#[derive(Debug)]
pub(super) struct Series {
    /// Begins its ids.
    pub id: &'static str,
    /// What it shows, for those who do not see it.
    pub title: String,
    /// The same in figures.
    pub summary: String,
    /// How steps are named.
    pub grain: Grain,
    /// The bars.
    pub columns: Vec<Column>,
    /// What stands behind the values of the grid, such as ` h`.
    pub unit: &'static str,
}

impl Series {
    /// For a desk and for a phone: both stand on the page, and the style shows one of them.
    #[must_use]
    pub(super) fn charts(&self) -> Vec<Chart> {
        vec![
            self.chart("wide", 1_040.0, 250.0),
            self.chart("narrow", 344.0, 210.0),
        ]
    }

    fn chart(&self, size: &'static str, width: f64, height: f64) -> Chart {
        let (floor, room) = (height - BELOW, height - BELOW - ABOVE);
        let sum = |column: &Column| column.parts.iter().map(|(_, n)| n).sum::<f64>();
        let most = self.columns.iter().map(sum).fold(0.0, f64::max);
        let ticks = ticks(most);
        let top = ticks.last().copied().unwrap_or(1.0);
        let scale = room / top;
        #[expect(clippy::cast_precision_loss, reason = "a hundred bars at most")]
        let pitch = (width - LEFT - RIGHT) / self.columns.len().max(1) as f64;
        // One bar or a few do not become walls.
        let bar = (pitch * 0.82).min(56.0);
        let longest = self.columns.iter().map(|column| column.label.len()).max();
        #[expect(clippy::cast_precision_loss, reason = "a number's digits")]
        let labelled = longest.unwrap_or(0) as f64 * CHARACTER <= pitch;
        let mut bars = Vec::with_capacity(self.columns.len());
        for (n, column) in self.columns.iter().enumerate() {
            #[expect(clippy::cast_precision_loss, reason = "a hundred bars at most")]
            let middle = LEFT + pitch * (n as f64 + 0.5);
            let mut y = floor;
            let mut parts = Vec::new();
            for (class, value) in &column.parts {
                if *value > 0.0 {
                    // What is there is seen, however little it is.
                    let height = (value * scale).max(0.8);
                    y -= height;
                    parts.push(Part {
                        class,
                        y: tenth(y),
                        height: tenth(height),
                    });
                }
            }
            bars.push(Bar {
                title: column.title.clone(),
                x: tenth(middle - bar / 2.0),
                width: tenth(bar.max(0.6)),
                middle: tenth(middle),
                top: tenth(y - 4.0),
                label: (labelled && !parts.is_empty()).then(|| column.label.clone()),
                parts,
            });
        }
        Chart {
            size,
            id: format!("{}-{size}", self.id),
            title: self.title.clone(),
            summary: self.summary.clone(),
            width,
            height,
            left: LEFT,
            right: width - RIGHT,
            grid: ticks
                .iter()
                .map(|value| Mark {
                    at: tenth(floor - value * scale),
                    text_at: tenth(floor - value * scale + 4.0),
                    text: format!("{}{}", tick_text(*value), self.unit),
                })
                .collect(),
            labels: self.labels(pitch, width, &bars),
            bars,
        }
    }

    /// As many names as there is room for, evenly.
    fn labels(&self, pitch: f64, width: f64, bars: &[Bar]) -> Vec<Mark> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between one and a hundred"
        )]
        let every = (LABEL / pitch).ceil().max(1.0) as usize;
        // Counted from the last one, which is the one that most people look for.
        let last = self.columns.len().saturating_sub(1);
        self.columns
            .iter()
            .zip(bars)
            .enumerate()
            .filter(|(n, _)| (last - n).is_multiple_of(every))
            .map(|(_, (column, bar))| Mark {
                at: bar.middle,
                text_at: bar.middle.clamp(EDGE, width - EDGE),
                text: step_name(self.grain, column.from),
            })
            .collect()
    }
}

/// How a step is named below the bars.
#[must_use]
pub(super) fn step_name(grain: Grain, from: NaiveDate) -> String {
    let form = match grain {
        Grain::Day | Grain::Week => "%-d %b",
        Grain::Month => "%b %Y",
        Grain::Year => "%Y",
        Grain::Decade | Grain::Millennium => "from %Y",
    };
    from.format(form).to_string()
}

/// Values of the grid: 0 and up to five round steps, the last one not below `most`.
fn ticks(most: f64) -> Vec<f64> {
    if most <= 0.0 {
        return vec![0.0, 1.0];
    }
    let rough = most / 4.0;
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|step| *step >= rough && (step.fract() == 0.0 || most < 4.0))
        .unwrap_or(10.0 * power);
    // Halves of a call there are none.
    let step = step.max(if most > 4.0 { 1.0 } else { 0.0 });
    let mut ticks = vec![0.0];
    let mut value = 0.0;
    while value < most && ticks.len() < 12 {
        value += step;
        ticks.push(value);
    }
    ticks
}

fn tick_text(value: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "whole and not negative"
    )]
    if value.fract() == 0.0 && value < 1e15 {
        match value as u64 {
            n if n >= 10_000_000 => format!("{} M", grouped(n / 1_000_000)),
            n if n >= 10_000 => format!("{} k", grouped(n / 1_000)),
            n => grouped(n),
        }
    } else if value < 1e15 {
        format!("{value:.1}")
    } else {
        format!("{value:.0e}")
    }
}

/// Rounded to a tenth of a unit: what nobody sees need not be written down.
fn tenth(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        reason = "a day that does not exist fails the test"
    )]

    use super::*;

    #[track_caller]
    fn grid(most: f64, expected: &[&str]) {
        let texts: Vec<String> = ticks(most).iter().map(|value| tick_text(*value)).collect();
        assert_eq!(texts, expected, "{most}");
    }

    #[test]
    fn the_grid_is_round_and_reaches_over_the_highest_bar() {
        grid(0.0, &["0", "1"]);
        grid(1.0, &["0", "0.2", "0.5", "0.8", "1"]);
        grid(5.0, &["0", "2", "4", "6"]);
        grid(116.0, &["0", "50", "100", "150"]);
        grid(1_000_000.0, &["0", "250 k", "500 k", "750 k", "1,000 k"]);
        grid(39_000.0, &["0", "10 k", "20 k", "30 k", "40 k"]);
        for most in [0.001, 3.0, 7.0, 12_345.0, 1e15, 1e19] {
            let ticks = ticks(most);
            assert!(
                *ticks.last().unwrap() >= most && ticks.len() <= 7,
                "{ticks:?}"
            );
        }
    }

    fn series(values: &[f64]) -> Series {
        let first: NaiveDate = "2026-11-01".parse().unwrap();
        let columns = first
            .iter_days()
            .zip(values)
            .map(|(from, value)| Column {
                from,
                parts: vec![("delivered", *value), ("unmatched", value / 2.0)],
                title: String::new(),
                label: grouped(*value as u64),
            })
            .collect();
        Series {
            id: "calls",
            title: String::new(),
            summary: String::new(),
            grain: Grain::Day,
            columns,
            unit: "",
        }
    }

    #[test]
    fn everything_stays_inside_whatever_the_values() {
        for values in [
            vec![],
            vec![1.0],
            vec![0.0, 0.0],
            vec![1.0; 100],
            vec![1.0, 1e19, 3.0],
            (0..100).map(f64::from).collect(),
        ] {
            for chart in series(&values).charts() {
                assert_eq!(chart.bars.len(), values.len());
                for bar in &chart.bars {
                    assert!(bar.x >= LEFT && bar.x + bar.width <= chart.width, "{bar:?}");
                    for part in &bar.parts {
                        assert!(part.y >= 0.0 && part.height > 0.0, "{part:?}");
                        assert!(part.y + part.height <= chart.height - BELOW + 0.2);
                    }
                }
                for pair in chart.labels.windows(2) {
                    assert!(pair[1].text_at - pair[0].text_at >= 46.0);
                }
            }
        }
    }

    #[test]
    fn values_stand_over_the_bars_where_there_is_room_for_all_of_them() {
        let charts = series(&[12.0; 7]).charts();
        assert!(
            charts[0]
                .bars
                .iter()
                .all(|bar| bar.label.as_deref() == Some("12"))
        );
        let charts = series(&[12_345.0; 90]).charts();
        assert!(
            charts
                .iter()
                .flat_map(|chart| &chart.bars)
                .all(|bar| bar.label.is_none())
        );
    }
}
