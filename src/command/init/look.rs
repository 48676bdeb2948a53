//! A look at the source before anything is written: does it answer, are the columns there, how many calls are there, and
//! what would the rules make of their numbers?

use std::fmt::Write as _;

use chrono_tz::Tz;

use super::super::{now, sync};
use crate::cdr::window::Window;
use crate::config::Config;
use crate::intake::{Intake, Settings, Today};
use crate::source::{SourceError, TimeIndex};
use crate::text::{Shown, count};

/// Most rows that are read for it: enough to see what numbers look like, and soon over on any server.
const MOST_ROWS: u64 = 20_000;

/// How many numbers are shown as examples.
const EXAMPLES: usize = 4;

/// What was seen.
#[derive(Debug)]
pub(super) struct Look {
    /// Product and version, or file.
    pub(super) server: String,
    /// How many columns are in use.
    pub(super) columns: usize,
    /// Rows read.
    pub(super) rows: u64,
    /// Calls that a run would look at.
    pub(super) calls: u64,
    /// Whether there was more to read.
    pub(super) more: bool,
    /// A number as the PBX wrote it, and as the CRM would get it.
    pub(super) numbers: Vec<(String, String)>,
    /// Whether the time column can be searched; else the statement that adds an index.
    pub(super) index: Option<String>,
    zone: Option<Tz>,
}

/// Connects, and reads the calls of `select.lookback`.
///
/// # Errors
/// [`SourceError`]
pub(super) async fn look(config: &Config) -> Result<Look, SourceError> {
    let (source, profile) = sync::connect_source(config).await?;
    let mut look = Look {
        server: profile.server.clone(),
        columns: profile.columns.len(),
        rows: 0,
        calls: 0,
        more: false,
        numbers: Vec::new(),
        index: match &profile.index {
            TimeIndex::Missing(statement) => Some(statement.clone()),
            TimeIndex::Usable(_) | TimeIndex::File => None,
        },
        zone: None,
    };
    let Ok(settings) = Settings::new(config) else {
        // The rules are written here and fulfil their own examples.
        return Ok(look);
    };
    let window = Window::incremental(now().timestamp(), config.select.lookback);
    let mut intake = Intake::open(&settings, source, profile, window).await?;
    while let Some(batch) = intake.next().await? {
        look.rows += batch.rows;
        look.calls += batch.calls.len() as u64;
        for candidate in &batch.calls {
            let raw = candidate.call.identity.destination.as_str();
            let Today::Wire(wire) = &candidate.today else {
                continue;
            };
            let sent = wire.destination.as_str();
            let shape = |number: &str| (number.len(), number.chars().next());
            let known = look
                .numbers
                .iter()
                .any(|(seen, _)| shape(seen) == shape(raw));
            if !known && look.numbers.len() < EXAMPLES {
                look.numbers.push((raw.to_owned(), sent.to_owned()));
            }
        }
        if look.rows >= MOST_ROWS {
            look.more = true;
            break;
        }
    }
    Ok(look)
}

impl Look {
    /// The zone that the calls themselves show, where they do.
    pub(super) fn proven_zone(&self) -> Option<Tz> {
        self.zone
    }

    /// What a person should see of it.
    pub(super) fn text(&self) -> String {
        let mut text = format!(
            "The source answers: {}; {} found.\n",
            Shown(&self.server),
            count(self.columns as u64, "column")
        );
        let more = if self.more { "the first " } else { "" };
        let _ = writeln!(
            text,
            "Read: {more}{} of the last days, with {} to send.",
            count(self.rows, "row"),
            count(self.calls, "call")
        );
        for (raw, sent) in &self.numbers {
            let _ = if raw == sent {
                writeln!(text, "  {:<20} is sent as it is", Shown(raw).to_string())
            } else {
                writeln!(
                    text,
                    "  {:<20} is sent as {}",
                    Shown(raw).to_string(),
                    Shown(sent)
                )
            };
        }
        if let Some(statement) = &self.index {
            let _ = writeln!(
                text,
                "The time column has no index, so every run reads the whole table; add one: {}",
                Shown(statement)
            );
        }
        text
    }
}
