//! `report`: what the ledger holds of a window, as one page, as figures, or as a summary on the terminal.

use std::path::Path;

use chrono::DateTime;
use serde_json::Value;

use super::{Context, Ended, fail, now, whole_file};
use crate::cdr::when::parse_when;
use crate::cdr::window::Window;
use crate::cli::{Output, ReportArgs};
use crate::config::{Config, Side};
use crate::intake::Settings;
use crate::ledger::{Access, Ledger, Run};
use crate::report::exit::{Code, Exit};
use crate::report::figures::gather::{Gather, Known};
use crate::report::figures::{Figures, LeftOut};
use crate::report::page::{self, Setting};
use crate::report::summary::{self, Standing};
use crate::text::Shown;
use crate::text::mask::Privacy;

/// A page for stdout.
const STDOUT: &str = "-";

/// Reads the ledger beside a run that is under way, and asks neither source nor CRM.
pub async fn run(context: &Context, args: &ReportArgs) -> Ended {
    let config = context.load()?;
    let window = window(&config, args)?;
    let to_stdout = args
        .html
        .as_deref()
        .is_some_and(|path| path.as_os_str() == STDOUT);
    if to_stdout && context.output == Output::Json {
        return Err(Exit::new(
            Code::Usage,
            "stdout cannot carry both the page and the JSON object: give `--html FILE`, or leave `--output json` out",
        ));
    }
    let (standing, figures) = figures(&config, window, Privacy::asked(args.mask)).await?;
    if let Some(path) = args.html.as_deref() {
        let html = html(&config, standing, &figures)?;
        if to_stdout {
            context.print(&html);
            return Ok(Exit::new(Code::Settled, "shown"));
        }
        write(path, &html)?;
    }
    match (context.output, args.html.as_deref()) {
        (Output::Json, _) => context.print_json(&figures),
        (Output::Text, None) => {
            let zone = config.source.timezone;
            let at = |at: i64| {
                DateTime::from_timestamp(at, 0).map_or_else(
                    || at.to_string(),
                    |at| at.with_timezone(&zone).format("%Y-%m-%d %H:%M").to_string(),
                )
            };
            context.print(&summary::text(&figures, &at));
        }
        (Output::Text, Some(path)) => {
            if !context.quiet {
                let path = path.display().to_string();
                context.print(&format!(
                    "{}\n\nThe page is in {}.\n",
                    figures.headline,
                    Shown(&path)
                ));
            }
        }
    }
    Ok(Exit::new(Code::Settled, "shown"))
}

/// Writes the page of the window of a full run, for `demo`.
pub(super) async fn leave_page(config: &Config, path: &Path) -> Result<(), Exit> {
    let window = Window::full(now().timestamp(), config.select.full_lookback);
    let (standing, figures) = figures(config, window, Privacy::Whole).await?;
    write(path, &html(config, standing, &figures)?)
}

fn html(config: &Config, standing: Standing, figures: &Figures) -> Result<String, Exit> {
    let setting = Setting {
        standing,
        zone: config.source.timezone,
        alert_after: config.monitor.alert_after,
    };
    page::render(figures, &setting)
        .map_err(|error| Exit::new(Code::Internal, format!("the page cannot be made: {error}")))
}

fn write(path: &Path, html: &str) -> Result<(), Exit> {
    whole_file::replace(path, html.as_bytes()).map_err(|error| {
        Exit::new(
            Code::Usage,
            format!(
                "the page cannot be written to `{}`: {error}; give another FILE, in a directory that this user may write to",
                path.display()
            ),
        )
    })
}

/// What the ledger holds of the window adds up to.
async fn figures(
    config: &Config,
    window: Window,
    privacy: Privacy,
) -> Result<(Standing, Figures), Exit> {
    let settings = Settings::new(config).map_err(|error| fail(Code::Usage, &error))?;
    let now = now().timestamp();
    let (ledger, _) = Ledger::open(&config.ledger.path, &config.job, Access::ReadOnly, now).await?;
    let callers = config.rules.iter().any(|rule| rule.on == Side::Source);
    let gather = Gather::new(window, config.source.timezone, callers);
    let gather = ledger.survey(window.since..window.until, gather).await?;
    let last_instants = ledger.instants(gather.last_calls()).await?;
    let mut words = Vec::new();
    for identity in gather.examples() {
        let attempts = ledger.attempts(identity).await?;
        words.push(attempts.into_iter().last().map(|attempt| attempt.words));
    }
    let success = ledger.last_success(None).await?;
    let full = ledger.last_success(Some("full")).await?;
    ledger.close().await?;
    let mut figures = gather.figures(Known {
        job: &config.job,
        now,
        privacy,
        rules: &config.rules,
        destination: &settings.destination,
        source: &settings.source,
        last_success: success.and_then(|run| Some(run.end?.ended)),
        left_out: full.as_ref().and_then(left_out),
        last_instants,
        words,
    });
    let (standing, headline) = summary::headline(&figures, config.monitor.alert_after);
    figures.headline = headline;
    Ok((standing, figures))
}

/// What a run left out, by the counts that it recorded.
fn left_out(run: &Run) -> Option<LeftOut> {
    let end = run.end.as_ref()?;
    let counts: Value = serde_json::from_str(&end.counts).ok()?;
    let rows = &counts["rows"];
    let skipped = rows["skipped"].as_object()?;
    Some(LeftOut {
        run_ended: end.ended,
        read: rows["read"].as_u64()?,
        merged: rows["merged"].as_u64()?,
        skipped: skipped
            .iter()
            .filter_map(|(reason, n)| Some((reason.clone(), n.as_u64()?)))
            .filter(|(_, n)| *n > 0)
            .collect(),
    })
}

/// By default the window of a full run.
fn window(config: &Config, args: &ReportArgs) -> Result<Window, Exit> {
    let standard = Window::full(now().timestamp(), config.select.full_lookback);
    let when = |flag: &str, text: &Option<String>, otherwise: i64| match text {
        None => Ok(otherwise),
        Some(text) => parse_when(text, config.source.timezone)
            .map_err(|why| Exit::new(Code::Usage, format!("{flag}: {why}"))),
    };
    let window = Window {
        since: when("--since", &args.since, standard.since)?,
        until: when("--until", &args.until, standard.until)?,
    };
    if window.is_empty() {
        return Err(Exit::new(
            Code::Usage,
            "the window is empty: it would end before it begins; give an --until after --since",
        ));
    }
    Ok(window)
}
