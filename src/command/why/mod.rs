//! `why`: where is my call? Everything about one call, from the row to the CRM's answer, and what would change it.
//!
//! `wanted` reads which call is meant, `find` looks for it in the ledger and the source (`hunt`), `case` gathers
//! all about it, `verdict` says what became of it, `show` and `object` print it. Nothing is sent and nothing is written.

use serde_json::{Value, json};

use super::between::{self, stamp};
use super::{Context, Ended, fail, now};
use crate::call::TimeKind;
use crate::cdr::window::Window;
use crate::cli::{Output, WhyArgs};
use crate::config::Config;
use crate::delivery::Stop;
use crate::intake::Settings;
use crate::ledger::{Access, Ledger};
use crate::report::exit::{Code, Exit};
use crate::source::TimeIndex;
use crate::text::mask::Privacy;
use crate::text::{Shown, count};

mod case;
mod find;
mod hunt;
mod list;
pub(super) mod masked;
mod name;
mod object;
mod show;
mod verdict;
mod wanted;

use case::{Case, Files};
use find::Finding;
use hunt::Hunt;
use verdict::{Around, verdict};
use wanted::Wanted;

/// Answers; reads the ledger beside a run that is under way.
pub async fn run(context: &Context, args: &WhyArgs) -> Ended {
    let config = context.load()?;
    let settings = Settings::new(&config).map_err(|error| fail(Code::Usage, &error))?;
    let mut stop = context.stop.clone();
    tokio::select! {
        biased;
        asked = stop.wait_for(|stop| *stop != Stop::No) => {
            let code = match asked.map(|stop| *stop) {
                Ok(Stop::Terminate) => Code::Terminated,
                Ok(Stop::No | Stop::Interrupt | Stop::Unrecorded) | Err(_) => Code::Interrupted,
            };
            Err(Exit::new(code, "stopped before the answer was found"))
        }
        done = answer(context, &config, &settings, args) => done,
    }
}

/// What an answer is made from.
struct Search {
    wanted: Wanted,
    /// Where a number is looked for.
    window: Window,
    /// Somebody named that window.
    given: bool,
    finding: Finding,
    /// What could not be asked: a sentence, and the exit code where nothing else was found.
    unasked: Vec<Exit>,
    ledger: Option<Ledger>,
    hunt: Option<Hunt>,
}

impl Search {
    async fn begin(config: &Config, args: &WhyArgs) -> Result<Self, Exit> {
        let at = now().timestamp();
        let given = args.since.is_some() || args.until.is_some();
        let standard = Window::incremental(at, config.select.lookback);
        let since = between::when(config, "--since", args.since.as_deref())?;
        let until = between::when(config, "--until", args.until.as_deref())?;
        let mut search = Self {
            wanted: Wanted::parse(&args.call),
            window: Window {
                since: since.unwrap_or_else(|| {
                    Window::incremental(until.unwrap_or(at), config.select.lookback).since
                }),
                until: until.unwrap_or(standard.until),
            },
            given,
            finding: Finding::default(),
            unasked: Vec::new(),
            ledger: None,
            hunt: None,
        };
        match Ledger::open(&config.ledger.path, &config.job, Access::ReadOnly, at).await {
            Ok((ledger, _)) => search.ledger = Some(ledger),
            Err(error) => search.unasked.push(error.into()),
        }
        match Hunt::begin(config).await {
            Ok(hunt) => search.hunt = Some(hunt),
            Err(error) => search.unasked.push(error.into()),
        }
        Ok(search)
    }

    /// Looks in both places.
    async fn look(&mut self, config: &Config, settings: &Settings<'_>) {
        if let Some(ledger) = &self.ledger {
            let window = self.given.then_some(self.window);
            let zone = config.source.timezone;
            let found = self
                .finding
                .in_ledger(ledger, &self.wanted, zone, window)
                .await;
            if let Err(error) = found {
                self.unasked.push(error.into());
                self.ledger = None;
            }
        }
        if let Some(hunt) = &mut self.hunt {
            let found = self
                .finding
                .in_source(hunt, &self.wanted, settings, self.window, self.given)
                .await;
            if let Err(error) = found {
                self.unasked.push(error.into());
                self.hunt = None;
            }
        }
    }

    /// Everything about the one call that was found.
    async fn gather(&mut self, files: &Files<'_>) -> Result<Option<Case>, Exit> {
        let Some((identity, found)) = self.finding.calls.pop_first() else {
            return Ok(None);
        };
        let mut case = files.case(identity, found.listed).await?;
        if let Some(hunt) = &mut self.hunt
            && let Err(error) = files.add_rows(&mut case, hunt).await
        {
            self.unasked.push(error.into());
        }
        Ok(Some(case))
    }

    /// What was looked at, as text.
    fn searched(&self, config: &Config) -> Vec<String> {
        let mut searched = Vec::new();
        if self.ledger.is_some() {
            searched.push("the ledger".to_owned());
        }
        let Some(hunt) = &self.hunt else {
            return searched;
        };
        let zone = match hunt.kind() {
            TimeKind::Wall => config.source.timezone.name(),
            TimeKind::Instant => "UTC",
        };
        for one in &hunt.searched {
            let cut = if one.cut { ", and no further" } else { "" };
            searched.push(format!(
                "the source from {} to {} ({zone}; {}{cut})",
                stamp(one.range.start),
                stamp(one.range.end),
                count(one.rows, "row"),
            ));
        }
        if let TimeIndex::Missing(statement) = &hunt.profile.index {
            searched.push(format!(
                "all of the table for it, because its time column has no index: {statement}"
            ));
        }
        searched
    }

    /// The exit where no call was found.
    fn nothing(&self, privacy: Privacy, asked: &str) -> Exit {
        let unasked = self.unasked.first().cloned();
        unasked.unwrap_or_else(|| {
            let wider = match &self.wanted {
                Wanted::Number(_) => {
                    "; a number is looked for in the last runs' window: `--since` widens it"
                }
                Wanted::Uniqueid { .. } | Wanted::Key(_) => "",
            };
            Exit::new(
                Code::Look,
                format!(
                    "neither the ledger nor the source has a call `{}`{wider}",
                    shown_asked(&self.wanted, asked, privacy)
                ),
            )
        })
    }
}

/// What was asked for, as it may be shown.
fn shown_asked(wanted: &Wanted, asked: &str, privacy: Privacy) -> String {
    match (wanted, privacy) {
        (Wanted::Uniqueid { .. }, _) | (_, Privacy::Whole) => asked.to_owned(),
        (Wanted::Number(_), Privacy::Masked) => privacy.number(asked).into(),
        // A start, and numbers behind it.
        (Wanted::Key(_), Privacy::Masked) => asked.trim().chars().take(19).collect(),
    }
}

async fn answer(
    context: &Context,
    config: &Config,
    settings: &Settings<'_>,
    args: &WhyArgs,
) -> Ended {
    let privacy = Privacy::asked(args.mask);
    let mut search = Search::begin(config, args).await?;
    search.look(config, settings).await;
    let around = Around {
        config,
        now: now().timestamp(),
        privacy,
        blind: search.ledger.is_none(),
    };
    let matches = search.finding.calls.len();
    let asked = shown_asked(&search.wanted, &args.call, privacy);
    let (mut text, calls) = match matches {
        0 => (String::new(), Vec::new()),
        1 => {
            let ledger = search.ledger.clone();
            let files = Files {
                config,
                settings,
                ledger: ledger.as_ref(),
            };
            match search.gather(&files).await? {
                Some(case) => {
                    let case = case.masked(privacy);
                    let verdict = verdict(&case, around);
                    (
                        show::text(&case, &verdict, around),
                        vec![object::object(&case, &verdict, around)],
                    )
                }
                None => (String::new(), Vec::new()),
            }
        }
        _ => {
            let roles = search.hunt.as_ref().map(|hunt| &*hunt.profile.extra);
            list::several(&search.finding, &asked, around, roles.unwrap_or_default())
        }
    };
    let searched = search.searched(config);
    if !text.is_empty() {
        text.push_str(&format!("searched   {}\n", Shown(&searched.join("; "))));
        for unasked in &search.unasked {
            text.push_str(&format!("not asked  {}\n", unasked.reason));
        }
    }
    let exit = if matches == 0 {
        search.nothing(privacy, &args.call)
    } else {
        Exit::new(Code::Settled, "found")
    };
    match context.output {
        Output::Text if matches == 0 => {
            context.print(&format!("searched   {}\n", Shown(&searched.join("; "))));
        }
        Output::Text => context.print(&text),
        Output::Json => context.print_json(&json!({
            "job": config.job,
            "asked": asked,
            "kind": search.wanted.kind(),
            "matches": matches,
            "more": search.finding.more,
            "calls": calls,
            "searched": looked_at(&search),
            "not_asked": search.unasked.iter().map(|exit| &exit.reason).collect::<Vec<_>>(),
            "exit": exit,
        })),
    }
    Ok(exit)
}

/// What was looked at, for machines.
fn looked_at(search: &Search) -> Value {
    let source: Vec<Value> = search
        .hunt
        .iter()
        .flat_map(|hunt| &hunt.searched)
        .map(|one| {
            json!({
                "since": stamp(one.range.start),
                "until": stamp(one.range.end),
                "rows": one.rows,
                "cut": one.cut,
            })
        })
        .collect();
    json!({"ledger": search.ledger.is_some(), "source": source})
}
