//! The report as one HTML page: nothing is loaded, no script runs, and what came from outside is text.
//!
//! The templates (`page.html`, `chart.html`) escape every value, and every word from outside goes through
//! [`Shown`](crate::text::Shown) first, so that control characters and bidi marks are seen and do nothing. A content security policy forbids
//! what none of that should let through: everything but the one style sheet, which it knows by its digest. Geometry stands
//! in SVG attributes, colours in classes; there is no inline style.

use std::time::Duration;

use askama::Template;
use chrono::DateTime;
use chrono_tz::Tz;
use sha2::{Digest as _, Sha256};

use super::figures::Figures;
use super::summary::Standing;
use crate::text::base64;

mod chart;
mod look;
mod numbers;
mod runs;
mod sections;

use chart::Chart;
use look::LookView;
use numbers::{NumberRow, SideView};
use runs::RunList;
use sections::{BarRow, HeatRow, Percentile, Swatch, TableRow, Tile};

/// The style sheet, as it stands in the page.
const STYLE: &str = include_str!("style.css");

/// What the page is made with, beside the figures.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// How urgent the headline is.
    pub standing: Standing,
    /// Shows instants.
    pub zone: Tz,
    /// `monitor.alert_after`: a longer time without a success stands out.
    pub alert_after: Duration,
}

/// The page.
///
/// # Errors
/// None in practice: the templates write into memory.
pub fn render(figures: &Figures, setting: &Setting) -> Result<String, askama::Error> {
    let moment = Moment(setting.zone);
    let calls = sections::calls(figures);
    // The answer itself stands large, what is to be added to it below.
    let mut parts = figures.headline.trim_end_matches('.').split("; ");
    let answer = format!("{}.", parts.next().unwrap_or_default());
    let rest: Vec<&str> = parts.collect();
    let lag = runs::lag(figures, setting.alert_after);
    Page {
        policy: policy(),
        style: STYLE,
        version: env!("CARGO_PKG_VERSION"),
        job: look::shown(&figures.job),
        standing: match setting.standing {
            Standing::Good => "in order",
            Standing::Settled => "settled",
            Standing::Waiting => "not everything yet",
            Standing::Act => "needs a person",
        },
        standing_class: match setting.standing {
            Standing::Good => "good",
            Standing::Settled => "settled",
            Standing::Waiting => "waiting",
            Standing::Act => "act",
        },
        headline: pieces(&answer),
        rest: rest.into_iter().map(pieces).collect(),
        window: format!(
            "{} to {}",
            moment.minute(figures.window.since),
            moment.minute(figures.window.until)
        ),
        zone: setting.zone.name(),
        generated: moment.minute(figures.generated),
        masked: figures.masked,
        tiles: sections::tiles(figures),
        calls_lead: sections::calls_lead(figures),
        legend: sections::legend(figures),
        calls_step: calls.grain.word(),
        calls_table: sections::calls_table(figures),
        calls: if figures.calls.total == 0 {
            Vec::new()
        } else {
            calls.charts()
        },
        heat_lead: sections::heat_lead(figures),
        heat: sections::heat(figures),
        weekdays: sections::weekdays(),
        durations_lead: sections::durations_lead(figures),
        classes: sections::classes(figures),
        percentiles: sections::percentiles(figures),
        arrival: sections::arrival(figures),
        unmatched_lead: numbers::unmatched_lead(figures),
        unmatched: numbers::unmatched(figures, moment),
        sides: numbers::sides(figures),
        left_out: numbers::left_out(figures, moment),
        runs_lead: runs::lead(figures, moment),
        lag_title: runs::lag_title(figures),
        lag_step: figures.runs.step,
        lag_table: runs::lag_table(figures),
        lag,
        alert_after: super::summary::span(setting.alert_after.as_secs()),
        run_lists: runs::lists(figures, moment),
        looks: look::looks(figures, moment),
    }
    .render()
    .map(|page| page + "\n")
}

/// Forbids everything but the page's own style sheet.
fn policy() -> String {
    let digest = base64::encode(&Sha256::digest(STYLE));
    format!("default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'")
}

/// Shows instants in a zone.
#[derive(Debug, Clone, Copy)]
struct Moment(Tz);

impl Moment {
    /// `2026-11-20 16:08`
    fn minute(self, at: i64) -> String {
        DateTime::from_timestamp(at, 0).map_or_else(
            || at.to_string(),
            |time| {
                time.with_timezone(&self.0)
                    .format("%Y-%m-%d %H:%M")
                    .to_string()
            },
        )
    }
}

/// A part of a sentence; what stood between backticks is code.
#[derive(Debug)]
struct Piece {
    code: bool,
    text: String,
}

fn pieces(sentence: &str) -> Vec<Piece> {
    sentence
        .split('`')
        .enumerate()
        .filter(|(_, text)| !text.is_empty())
        .map(|(n, text)| Piece {
            code: n % 2 == 1,
            text: look::shown(text),
        })
        .collect()
}

/// Everything that the template writes down, in its order.
#[derive(Template)]
#[template(path = "page.html", config = "src/report/page/askama.toml")]
struct Page {
    policy: String,
    style: &'static str,
    version: &'static str,
    job: String,
    standing: &'static str,
    standing_class: &'static str,
    headline: Vec<Piece>,
    rest: Vec<Vec<Piece>>,
    window: String,
    zone: &'static str,
    generated: String,
    masked: bool,
    tiles: Vec<Tile>,
    calls_lead: String,
    legend: Vec<Swatch>,
    calls: Vec<Chart>,
    calls_step: &'static str,
    calls_table: Vec<TableRow>,
    heat_lead: String,
    heat: Vec<HeatRow>,
    weekdays: Vec<sections::Weekday>,
    durations_lead: String,
    classes: Vec<BarRow>,
    percentiles: Vec<Percentile>,
    arrival: Option<String>,
    unmatched_lead: String,
    unmatched: Vec<NumberRow>,
    sides: Vec<SideView>,
    left_out: Option<String>,
    runs_lead: String,
    lag_title: String,
    lag: Vec<Chart>,
    lag_step: &'static str,
    lag_table: Vec<TableRow>,
    alert_after: String,
    run_lists: Vec<RunList>,
    looks: Vec<LookView>,
}
