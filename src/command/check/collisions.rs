//! Calls that a CRM cannot tell apart: how many of the lookback give one key, by today's rules and rendering.

use std::collections::HashMap;

use super::findings::Findings;
use crate::call::{Call, TimeKind, WireForm};
use crate::cdr::window::Window;
use crate::config::{Config, span};
use crate::intake::{Intake, Settings, Today, describe, preferred};
use crate::source::{CallSource, SourceError, SourceProfile, TimeIndex};
use crate::text::count;

/// Calls that are looked at, at most: the earliest of the lookback.
const MOST: usize = 50_000;
/// Groups that are named.
const EXAMPLES: usize = 3;

/// Groups of calls with one key.
#[derive(Debug, Default)]
struct Forecast {
    calls: Vec<Call>,
    /// By the hash of their key: the calls that have it, the one that is kept first. Hashes of different keys are as good
    /// as different.
    by_key: HashMap<i64, Vec<usize>>,
    /// Numbers on both sides as sent, and the start.
    pairs: Vec<(i64, i64)>,
    whole: bool,
}

impl Forecast {
    fn add(&mut self, mut call: Call, wire: &WireForm) {
        call.extra = Vec::new();
        let place = self.calls.len();
        let numbers = [wire.source.as_str(), wire.destination.as_str()];
        let pair = crate::call::digest(numbers.map(str::as_bytes));
        self.pairs.push((pair, call.instant));
        let group = self.by_key.entry(wire.key_hash()).or_default();
        group.push(place);
        let last = group.len() - 1;
        if preferred(&call, self.calls.get(group[0]).unwrap_or(&call)) {
            group.swap(0, last);
        }
        self.calls.push(call);
    }

    /// Pairs of calls with the same numbers as sent that start one second apart.
    fn near_misses(&mut self) -> u64 {
        self.pairs.sort_unstable();
        let near = self
            .pairs
            .windows(2)
            .filter(|pair| pair[0].0 == pair[1].0 && pair[1].1 - pair[0].1 == 1);
        near.count() as u64
    }

    /// Groups of several, those with the earliest calls first.
    fn groups(&self) -> Vec<&Vec<usize>> {
        let mut groups: Vec<_> = self
            .by_key
            .values()
            .filter(|group| group.len() > 1)
            .collect();
        groups.sort_by_key(|group| group.iter().min());
        groups
    }

    fn tell(&mut self, kind: TimeKind, lookback: &str, on_record: u64, findings: &mut Findings) {
        let near = self.near_misses();
        let groups = self.groups();
        let whole = if self.whole {
            format!("of the last {lookback}")
        } else {
            format!("from the beginning of the last {lookback}")
        };
        let mut text = format!("of {} {whole}, ", count(self.calls.len() as u64, "call"));
        let kept_out: usize = groups.iter().map(|group| group.len() - 1).sum();
        if groups.is_empty() {
            text.push_str("no two have one key (second, caller and number as sent)");
        } else {
            let some: Vec<String> = groups
                .iter()
                .take(EXAMPLES)
                .map(|group| {
                    let named = |place: &usize| describe(&self.calls[*place].identity, kind);
                    let others: Vec<String> = group[1..].iter().take(EXAMPLES).map(named).collect();
                    format!("{} keeps out {}", named(&group[0]), others.join(" and "))
                })
                .collect();
            text.push_str(&format!(
                "{} would be kept out by another with the same key (second, caller and number as sent), in {}: {}",
                count(kept_out as u64, "call"),
                count(groups.len() as u64, "group"),
                some.join("; ")
            ));
            if groups.len() > EXAMPLES {
                text.push_str("; …");
            }
            text.push_str(
                ". The CRM keeps one: the one that was sent first, else the answered, the longest, the one written first",
            );
        }
        text.push_str(&format!(
            "; {} one second apart; {on_record} on record as kept out",
            count(near, "pair")
        ));
        // Seldom it is chance; often it is a rule that makes different numbers equal.
        if kept_out * 100 > self.calls.len() {
            text.push_str(
                ". That is more than one in a hundred: see by `cdrelay explain` whether a rule makes different numbers equal",
            );
            findings.warn("same key", text);
        } else {
            findings.ok("same key", text);
        }
    }
}

/// Looks at the calls of the lookback. `on_record`: how many the ledger has as kept out.
pub(super) async fn judge(
    source: Box<dyn CallSource>,
    profile: SourceProfile,
    config: &Config,
    now: i64,
    on_record: u64,
    findings: &mut Findings,
) -> Result<(), SourceError> {
    if matches!(profile.index, TimeIndex::Missing(_)) {
        findings.ok(
            "same key",
            format!(
                "not looked for, because without an index the whole table would be read; `cdrelay sync --dry-run` counts them; {on_record} on record as kept out"
            ),
        );
        return Ok(());
    }
    // What is wrong with the rules has a line of its own.
    let Ok(settings) = Settings::new(config) else {
        return Ok(());
    };
    let lookback = config.select.lookback;
    let kind = profile.time;
    let window = Window::incremental(now, lookback);
    let mut intake = Intake::open(&settings, source, profile, window).await?;
    let mut forecast = Forecast {
        whole: true,
        ..Forecast::default()
    };
    while let Some(batch) = intake.next().await? {
        for candidate in batch.calls {
            if let Today::Wire(wire) = &candidate.today {
                forecast.add(candidate.call, wire);
            }
        }
        if forecast.calls.len() >= MOST {
            forecast.whole = false;
            break;
        }
    }
    forecast.tell(kind, &span::render(lookback), on_record, findings);
    Ok(())
}
