//! `kill -9` at any instant, over and over on the same job, with rows arriving in between and rules that change: nothing
//! is lost; on a keyed CRM nothing is doubled, on one without keys at most what was in flight.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::chance::{Chance, Seed};
use super::crm::{Crm, Key, Manners};
use super::golden::{self, Golden, Row, stamp};
use super::scene::{Scene, finish, now, same};
use super::{soak, trace};

/// Kills on one job before the next begins, so that a run's time does not grow with the number of kills.
const KILLS_A_JOB: usize = 50;

/// Rows that arrive between two runs.
const ARRIVING: usize = 30;

/// Start on the column's clock, raw source, raw destination.
type Identity = (i64, String, String);

/// The rules of a job: two sets that put the same calls together and give each another number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rules {
    /// `0212…`, `0414…`
    National,
    /// `58212…`, `58414…`
    International,
}

impl Rules {
    fn other(self) -> Self {
        match self {
            Self::National => Self::International,
            Self::International => Self::National,
        }
    }

    fn config(self, config: &str) -> String {
        let config = config.replace("[target]\n", "[target]\nconcurrency = 8\n");
        match self {
            Self::National => config,
            Self::International => config.replace("0212${EXTEN:1}", "58212${EXTEN:1}").replace(
                "strip_prefix = \"9\"",
                "match = \"_90X.\"\nrewrite = \"58${EXTEN:2}\"",
            ),
        }
    }

    /// What the rules say, in plain code.
    fn number(self, raw: &str) -> String {
        let Some(dialled) = raw.strip_prefix('9') else {
            return raw.to_owned();
        };
        let (area, country) = match self {
            Self::National => ("0", ""),
            Self::International => ("", "58"),
        };
        match dialled.strip_prefix('0') {
            Some(rest) => format!("{country}{area}{rest}"),
            None => format!("{country}{area}212{dialled}"),
        }
    }
}

/// What one undisturbed run creates for each call that is not frozen yet, and what was frozen for the rest.
fn expected(rows: &[Row], frozen: &HashMap<Identity, Rules>, today: Rules) -> Golden {
    let mut best: BTreeMap<Key, &Row> = BTreeMap::new();
    for row in rows {
        if row.dst.chars().count() < 7 || row.src.is_empty() {
            continue;
        }
        let rank = |row: &Row| {
            (
                row.disposition != "ANSWERED",
                u64::MAX - row.duration,
                row.sequence,
            )
        };
        let class = (
            stamp(row.wall, ' '),
            row.src.clone(),
            Rules::National.number(&row.dst),
        );
        let kept = best.entry(class).or_insert(row);
        if rank(row) < rank(kept) {
            *kept = row;
        }
    }
    best.into_values()
        .map(|row| {
            let identity = (row.wall, row.src.clone(), row.dst.clone());
            let rules = frozen.get(&identity).copied().unwrap_or(today);
            // One row at a time, golden says everything but the number.
            let (key, call) = golden::golden(std::slice::from_ref(row))
                .pop_first()
                .expect("a call that counts");
            ((key.0, key.1, rules.number(&row.dst)), call)
        })
        .collect()
}

/// What the kills came to.
#[derive(Debug, Default)]
struct Tally {
    kills: usize,
    /// Kills at which the CRM had calls of that very run which the ledger did not know as delivered.
    gaps: usize,
    /// Most of them at one kill.
    most_unrecorded: usize,
    /// Creates of calls that the CRM had before: refused by a keyed CRM, doubled by another.
    repeated: u64,
    ended: usize,
    changes: usize,
    jobs: usize,
}

/// One job: so many kills, each followed by another run on what it left, and an undisturbed one in the end.
fn job(keyed: bool, kills: usize, chance: &mut Chance, tally: &mut Tally) {
    let crm = Crm::start(Manners {
        keyed,
        silent: chance.once_in(2),
        latency: Duration::from_millis(2 + chance.below(10)),
        ..Manners::default()
    });
    let mut scene = Scene::of(Vec::new());
    let mut rules = Rules::National;
    let mut frozen: HashMap<Identity, Rules> = HashMap::new();
    // Keys that may be sent again: those in flight at the last kill.
    let mut doubtful: HashMap<Key, i64> = HashMap::new();
    let mut killed = 0;
    while killed < kills {
        arrive(&mut scene, chance);
        if chance.once_in(8) {
            for entry in trace::entries(&scene.program) {
                frozen.entry(entry.identity).or_insert(rules);
            }
            rules = rules.other();
            tally.changes += 1;
        }
        scene.point_at_with(&crm.url(), |config| rules.config(config));
        let before = crm.book().clone();
        let due = expected(&scene.rows, &frozen, rules).len() - before.calls.len();
        let args: &[&str] = if chance.once_in(3) {
            &["sync", "--full"]
        } else {
            &["sync"]
        };
        let mut child = scene.program.spawn(args);
        if chance.once_in(8) {
            std::thread::sleep(Duration::from_micros(chance.below(60_000)));
        } else {
            let wanted = before.requests + 1 + chance.below(due as u64);
            while crm.requests() < wanted && child.try_wait().expect("a child").is_none() {
                std::thread::sleep(Duration::from_micros(200));
            }
            std::thread::sleep(Duration::from_micros(chance.below(6_000)));
        }
        child.kill().expect("a kill");
        let ran = finish(child);
        crm.rests();
        let after = crm.book().clone();
        assert_eq!(after.nonsense, 0);
        for (key, call) in &after.calls {
            let times = before.calls.get(key).map_or(0, |known| known.times);
            if times > 0 && call.times > times {
                assert!(!keyed, "doubled: {key:?}");
                assert!(
                    doubtful.contains_key(key),
                    "sent again without need: {key:?}"
                );
            }
        }
        tally.repeated += if keyed {
            after.existing - before.existing
        } else {
            after.created - before.created - (after.calls.len() - before.calls.len()) as u64
        };
        let entries = trace::entries(&scene.program);
        doubtful = trace::in_flight(&entries);
        if ran.code != -1 {
            assert_eq!(ran.code, 0, "{ran:?}");
            assert!(doubtful.is_empty(), "{doubtful:?}");
            tally.ended += 1;
            continue;
        }
        killed += 1;
        tally.kills += 1;
        let unrecorded = doubtful
            .keys()
            .filter(|key| after.calls.contains_key(*key) && !before.calls.contains_key(*key))
            .count();
        tally.gaps += usize::from(unrecorded > 0);
        tally.most_unrecorded = tally.most_unrecorded.max(unrecorded);
        // Nothing reaches the CRM that the ledger did not know of before.
        let intended: HashMap<&Key, i64> = entries
            .iter()
            .map(|entry| (&entry.key, entry.state))
            .collect();
        for key in after.calls.keys() {
            assert!(
                intended.contains_key(key),
                "sent without an intent: {key:?}"
            );
        }
        if killed % 10 == 0 || killed == kills {
            settles(&scene, &crm, &frozen, rules, &doubtful);
            doubtful.clear();
        }
    }
    tally.jobs += 1;
}

/// An undisturbed run makes the CRM hold golden.
#[track_caller]
fn settles(
    scene: &Scene,
    crm: &Crm,
    frozen: &HashMap<Identity, Rules>,
    rules: Rules,
    doubtful: &HashMap<Key, i64>,
) {
    let mut frozen = frozen.clone();
    for entry in trace::entries(&scene.program) {
        frozen.entry(entry.identity).or_insert(rules);
    }
    let before = crm.book().clone();
    let report = scene.program.sync(&["--full"], 0);
    let after = crm.book().clone();
    let golden = expected(&scene.rows, &frozen, rules);
    same(&crm.held(), &golden);
    assert_eq!(
        report["requests"]["sent"],
        after.requests - before.requests,
        "{report}"
    );
    let count = |what: &str| report["calls"][what].as_u64().expect("a count");
    let (created, existing) = (
        after.created - before.created,
        after.existing - before.existing,
    );
    if crm.tells() {
        let printed = (count("created"), count("existing"));
        assert_eq!(printed, (created, existing), "{report}");
    } else {
        // What was killed before its answer was recorded looks new.
        let printed = count("created") + count("existing");
        assert_eq!(printed, created + existing, "{report}");
    }
    assert_eq!(report["calls"]["total"], golden.len(), "{report}");
    assert_eq!(scene.states(), [("delivered".to_owned(), golden.len())]);
    for (key, call) in &after.calls {
        let times = before.calls.get(key).map_or(0, |known| known.times);
        let repeated = times > 0 && call.times > times;
        assert!(
            !repeated || doubtful.contains_key(key),
            "sent again without need: {key:?}"
        );
    }
}

/// Rows that were not there before, anywhere in the last seven days.
fn arrive(scene: &mut Scene, chance: &mut Chance) {
    let rows = golden::rows(ARRIVING, now(), 7, chance.next());
    let db = scene.source();
    for insert in golden::inserts("cdr", &rows) {
        db.execute_batch(&insert).expect("rows");
    }
    scene.rows.extend(rows);
}

#[track_caller]
fn killed(name: &'static str, keyed: bool, kills: usize, seed: u64) {
    let _seed = Seed(name, seed);
    let mut chance = Chance(seed);
    let mut tally = Tally::default();
    while tally.kills < kills {
        let next = KILLS_A_JOB.min(kills - tally.kills);
        job(keyed, next, &mut chance, &mut tally);
    }
    let told = format!(
        "0 lost, {}; {} of {} kills between sent and recorded (at most {} calls at one), {} rule changes, {} jobs, {} runs \
         were through before their kill",
        if keyed {
            format!("0 doubled ({} repeats, all recognised)", tally.repeated)
        } else {
            format!(
                "{} repeated, all of them in flight at the kill before",
                tally.repeated
            )
        },
        tally.gaps,
        tally.kills,
        tally.most_unrecorded,
        tally.changes,
        tally.jobs,
        tally.ended,
    );
    println!("{name}: {told}");
    // Kills that hit nothing in flight would prove nothing.
    assert!(tally.gaps * 2 >= tally.kills, "{told}");
    soak::note(name, tally.kills, &told);
}

#[test]
fn a_kill_at_any_instant_loses_nothing_and_doubles_nothing_on_a_keyed_crm() {
    killed(
        "kill -9, keyed CRM",
        true,
        soak::count(30, 1000),
        20_261_120,
    );
}

#[test]
fn a_kill_at_any_instant_repeats_at_most_what_was_in_flight_on_a_crm_without_keys() {
    killed(
        "kill -9, CRM without keys",
        false,
        soak::count(20, 500),
        20_261_121,
    );
}
