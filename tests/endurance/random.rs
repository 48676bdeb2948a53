//! Any table, any settings, any sequence of runs: in the end what a run printed, what the ledger holds and what the CRM
//! saw are one and the same, and the CRM holds golden.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::chance::{Chance, Seed};
use super::crm::{Book, Crm, Key, Manners};
use super::model::{self, Fate, Outcome, Raw, Settings};
use super::program::check_sums;
use super::scene::{Scene, closed_port, finish, now};
use super::{soak, tables};

/// One table with its settings, CRM and program.
struct Play {
    scene: Scene,
    crm: Crm,
    settings: Settings,
    rows: Vec<Raw>,
    blocks: i64,
}

impl Play {
    fn new(chance: &mut Chance) -> Self {
        Self {
            scene: Scene::of(Vec::new()),
            crm: Crm::start(Manners {
                silent: chance.once_in(2),
                latency: Duration::from_micros(chance.below(2000)),
                knows: model::knows,
                refuses: model::refuses,
                ..Manners::default()
            }),
            settings: Settings::random(chance),
            rows: Vec::new(),
            blocks: 0,
        }
    }

    fn arrive(&mut self, chance: &mut Chance) {
        let wall = now() + self.settings.zone.1;
        let rows = tables::rows(chance, wall, self.blocks);
        self.blocks += 1;
        tables::write(&self.scene.source(), &rows);
        self.rows.extend(rows);
    }

    fn point_at(&self, crm: &str) {
        self.scene.program.configure(&self.settings.config(crm));
    }

    /// An undisturbed run: what it printed is what the CRM saw.
    fn runs(&self, args: &[&str]) -> Value {
        let before = self.crm.book().clone();
        let mut all = vec!["sync", "--output", "json"];
        all.extend(args);
        let ran = self.scene.program.run(&all);
        let report: Value =
            serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
        check_sums(&report);
        let after = self.crm.book().clone();
        let rejected = report["calls"]["rejected"].as_u64().expect("a count");
        assert_eq!(report["exit"]["code"], ran.code, "{ran:?}");
        assert!(ran.code == 0 || (ran.code == 3 && rejected > 0), "{ran:?}");
        let since = |count: fn(&Book) -> u64| count(&after) - count(&before);
        let mut seen = [
            since(|book| book.requests),
            since(|book| book.created),
            since(|book| book.existing),
            since(|book| book.unmatched),
            since(|book| book.refused),
            0,
        ];
        let mut printed = [
            &report["requests"]["sent"],
            &report["calls"]["created"],
            &report["calls"]["existing"],
            &report["calls"]["unmatched"],
            &report["calls"]["rejected"],
            &report["calls"]["pending"],
        ]
        .map(|count| count.as_u64().expect("a count"));
        if !self.crm.tells() {
            // What was killed before its answer was recorded looks new.
            for counts in [&mut printed, &mut seen] {
                counts[1] += std::mem::take(&mut counts[2]);
            }
        }
        assert_eq!(printed, seen, "{report}");
        assert_eq!(after.nonsense, 0);
        report
    }

    /// Something happens.
    fn act(&mut self, chance: &mut Chance) {
        self.point_at(&self.crm.url());
        match chance.below(8) {
            0 => {
                self.runs(&[]);
            }
            1 => {
                self.runs(&["--full"]);
            }
            2 => {
                // Delivered calls are asked about again, and are there.
                self.runs(&["--resend"]);
            }
            3 => {
                let (requests, listed) = (self.crm.requests(), self.scene.listed());
                let ran = self.scene.program.run(&["sync", "--full", "--dry-run"]);
                assert_eq!(ran.code, 0, "{ran:?}");
                assert_eq!(self.crm.requests(), requests, "a dry run sends nothing");
                assert_eq!(self.scene.listed(), listed, "a dry run writes nothing");
            }
            4 => {
                self.point_at(&format!("http://127.0.0.1:{}", closed_port()));
                let ran = self.scene.program.run(&["sync", "--full"]);
                assert!(matches!(ran.code, 0 | 4), "{ran:?}");
            }
            5 | 6 => {
                let mut child = self.scene.program.spawn(&["sync", "--full"]);
                std::thread::sleep(Duration::from_micros(chance.below(120_000)));
                child.kill().expect("a kill");
                finish(child);
                self.crm.rests();
            }
            _ => self.arrive(chance),
        }
    }

    /// The triple check, after a full run.
    fn closes(&self) -> Outcome {
        self.point_at(&self.crm.url());
        let report = self.runs(&["--full"]);
        let outcome = self.settings.outcome(&self.rows);
        let rows = &report["rows"];
        let printed = [
            &rows["read"],
            &rows["skipped"]["invalid"],
            &rows["skipped"]["short_destination"],
            &rows["skipped"]["excluded"],
            &rows["skipped"]["disposition"],
            &rows["skipped"]["no_source"],
            &rows["skipped"]["dropped_by_rule"],
            &rows["merged"],
            &report["collisions"],
            &report["calls"]["total"],
            &report["drift"],
        ]
        .map(|count| count.as_u64().expect("a count"));
        let meant = [
            outcome.read,
            outcome.invalid,
            outcome.short,
            outcome.excluded,
            outcome.disposition,
            outcome.no_source,
            outcome.dropped,
            outcome.merged,
            outcome.collisions,
            outcome.calls.len() as u64,
            0,
        ];
        assert_eq!(printed, meant, "{report}");
        // What the ledger holds: call by call, by its own list, and summed up.
        let ledger = self.listed();
        assert_eq!(ledger, outcome.calls, "what the ledger holds");
        let status = self.scene.program.run(&["status", "--output", "json"]);
        let status: Value = serde_json::from_str(&status.stdout).expect("JSON");
        let summed: u64 = status["calls"]
            .as_object()
            .expect("an object")
            .values()
            .map(|count| count.as_u64().expect("a count"))
            .sum();
        assert_eq!(summed, outcome.calls.len() as u64, "{status}");
        for (state, fate) in [
            ("delivered", Fate::Delivered),
            ("unmatched", Fate::Unmatched),
            ("rejected", Fate::Rejected),
        ] {
            let held = status["calls"][state].as_u64().unwrap_or(0);
            assert_eq!(held, outcome.count(fate), "{state}: {status}");
        }
        assert_eq!(status["runs"][0]["run_id"], report["run_id"], "{status}");
        assert_eq!(
            status["runs"][0]["counts"]["calls"], report["calls"],
            "{status}"
        );
        // What the CRM holds: golden, each call created once.
        let held = self.crm.book().clone();
        let held: BTreeMap<Key, _> = held
            .calls
            .into_iter()
            .map(|(key, call)| {
                assert_eq!(call.times, 1, "{key:?}");
                (key, (call.duration, call.url, Some(Fate::Delivered)))
            })
            .collect();
        let golden: BTreeMap<Key, _> = outcome
            .calls
            .iter()
            .filter(|(_, call)| call.2 == Some(Fate::Delivered))
            .map(|(key, call)| (key.clone(), call.clone()))
            .collect();
        assert_eq!(held, golden, "what the CRM holds");
        outcome
    }

    /// What `calls` lists, in the form of the model; `None` for a state that a settled window does not have.
    fn listed(&self) -> BTreeMap<Key, (u64, Option<String>, Option<Fate>)> {
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        self.scene
            .listed()
            .iter()
            .map(|call| {
                let wire = &call["wire"];
                let key = (
                    text(&wire["initiated"]),
                    text(&wire["source"]),
                    text(&wire["destination"]),
                );
                let fate = match call["state"].as_str() {
                    Some("delivered") => Some(Fate::Delivered),
                    Some("unmatched") => Some(Fate::Unmatched),
                    Some("rejected") => Some(Fate::Rejected),
                    _ => None,
                };
                let duration = wire["duration"].as_u64().expect("a duration");
                (
                    key,
                    (duration, wire["url"].as_str().map(str::to_owned), fate),
                )
            })
            .collect()
    }
}

#[test]
fn what_a_run_printed_is_what_the_ledger_holds_and_what_the_crm_saw_for_any_table() {
    let name = "random tables, settings and runs";
    let sets = soak::count(25, 1000);
    let (mut calls, mut rows, mut acts) = (0, 0, 0);
    for seed in 0..sets as u64 {
        let _seed = Seed("random tables, settings and runs", seed);
        let mut chance = Chance(seed);
        let mut play = Play::new(&mut chance);
        play.arrive(&mut chance);
        for _ in 0..chance.below(5) {
            play.act(&mut chance);
            acts += 1;
        }
        let outcome = play.closes();
        // Settled: another full run asks about what may have changed, and creates nothing.
        let again = play.runs(&["--full"]);
        assert_eq!(again["calls"]["created"], 0, "{again}");
        calls += outcome.calls.len();
        rows += play.rows.len();
    }
    let told = format!(
        "printed = ledger = CRM = golden in every one; {rows} rows, {calls} calls, {acts} runs, kills and outages between"
    );
    println!("{name}: {sets}: {told}");
    soak::note(name, sets, &told);
}
