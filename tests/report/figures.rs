//! What `report --output json` says, against counts of the same calls by other code.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::golden::stamp;
use super::stage::{Entry, Fate, OFFSET, Ran, fill, now, program};

const DAY: i64 = 86_400;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

/// Calls of `days` days that end now, of every fate, to some hundred numbers.
fn generated(count: i64, days: i64, now: i64) -> Vec<Entry> {
    let mut random = Random(20_261_127);
    (0..count)
        .map(|n| {
            let instant = now - days * DAY + n * days * DAY / count;
            let subscriber = 2_000_000 + random.below(300) * 101;
            let (destination, sent) = match random.below(3) {
                0 => (format!("9{subscriber}"), format!("0212{subscriber}")),
                1 => (format!("90414{subscriber}"), format!("0414{subscriber}")),
                _ => (format!("0416{subscriber}"), format!("0416{subscriber}")),
            };
            let fate = match random.below(40) {
                0..=5 => Fate::Unmatched,
                6 => Fate::Rejected("duration out of range".to_owned()),
                7 => Fate::Pending(1, "timeout".to_owned()),
                8 => Fate::Pending(3, "timeout".to_owned()),
                9 => Fate::InFlight,
                _ => Fate::Delivered,
            };
            Entry {
                source: format!("7{:03}", random.below(40)),
                sent,
                duration: random.below(5_000),
                drift: random.below(50) == 0,
                ..Entry::delivered(instant, &destination).with(fate)
            }
        })
        .collect()
}

fn count<K: Ord>(keys: impl Iterator<Item = K>) -> BTreeMap<K, u64> {
    let mut counts = BTreeMap::new();
    for key in keys {
        *counts.entry(key).or_insert(0) += 1;
    }
    counts
}

fn state(fate: &Fate) -> &'static str {
    match fate {
        Fate::Delivered => "delivered",
        Fate::Unmatched => "unmatched",
        Fate::Rejected(_) => "rejected",
        Fate::Pending(..) => "pending",
        Fate::Held(_) => "held",
        Fate::InFlight => "in_flight",
    }
}

#[test]
fn figures_are_those_of_an_independent_count() {
    let now = now();
    let entries = generated(4_000, 80, now);
    let program = program();
    fill(&program, &[Ran::ended(now - 60, 0)], &entries);
    // A window in the middle, to the second: what lies on its first second is in it, what lies on its end is not.
    let (since, until) = (entries[500].instant, entries[3_500].instant);
    let inside: Vec<&Entry> = entries
        .iter()
        .filter(|entry| (since..until).contains(&entry.instant))
        .collect();
    assert_eq!(inside.len(), 3_000);
    let at = |instant: i64| stamp(instant, 'T') + "Z";
    let args = [
        "report",
        "--output",
        "json",
        "--since",
        &at(since),
        "--until",
        &at(until),
    ];
    let ran = program.run(&args);
    assert_eq!(ran.code, 0, "{ran:?}");
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();

    assert_eq!(
        report["window"],
        json!({"since": at(since), "until": at(until)})
    );
    assert_eq!(report["timezone"], "America/Caracas");
    assert_eq!(report["calls"]["total"], 3_000);
    let states = count(inside.iter().map(|entry| state(&entry.fate)));
    for (state, n) in &states {
        assert_eq!(report["calls"]["states"][state], *n, "{state}");
    }
    let shown: u64 = numbers(&report["calls"]["states"]).values().sum();
    assert_eq!(shown, 3_000);

    let local = |entry: &Entry| stamp(entry.instant - OFFSET, 'T');
    let days = count(inside.iter().map(|entry| local(entry)[..10].to_owned()));
    assert_eq!(report["over_time"]["step"], "day");
    for step in report["over_time"]["steps"].as_array().unwrap() {
        let n: u64 = numbers(&step["states"]).values().sum();
        let day = step["from"].as_str().unwrap();
        assert_eq!(n, days.get(day).copied().unwrap_or(0), "{day}");
    }
    // 1970-01-01 was a Thursday.
    let weekday = |entry: &Entry| (entry.instant - OFFSET).div_euclid(DAY).rem_euclid(7) + 3;
    let hours = count(inside.iter().map(|entry| {
        let hour: usize = local(entry)[11..13].parse().unwrap();
        ((weekday(entry) % 7) as usize, hour)
    }));
    for (day, hour) in (0..7).flat_map(|day| (0..24).map(move |hour| (day, hour))) {
        let expected = hours.get(&(day, hour)).copied().unwrap_or(0);
        assert_eq!(report["by_hour"][day][hour], expected, "{day} {hour}");
    }

    let mut durations: Vec<u64> = inside.iter().map(|entry| entry.duration).collect();
    durations.sort_unstable();
    for (key, percent) in [("p50_s", 50), ("p90_s", 90), ("p95_s", 95), ("p99_s", 99)] {
        let exact = durations[durations.len() * percent / 100 - 1];
        let found = report["durations"][key].as_u64().unwrap();
        assert!(
            found.abs_diff(exact) <= exact / 128,
            "{key}: {found}, {exact}"
        );
    }
    assert_eq!(report["durations"]["longest_s"], *durations.last().unwrap());
    for class in report["durations"]["classes"].as_array().unwrap() {
        let from = class["from_s"].as_u64().unwrap();
        let until = class["until_s"].as_u64().unwrap_or(u64::MAX);
        let n = durations
            .iter()
            .filter(|d| (from..until).contains(d))
            .count();
        assert_eq!(class["calls"], n, "{class}");
    }

    unmatched(&report, &inside);
    rules(&report, &inside);
    let stuck = inside
        .iter()
        .filter(|entry| matches!(entry.fate, Fate::Pending(3, _)));
    assert_eq!(report["look"]["stuck"]["calls"], stuck.count());
    let drift = inside.iter().filter(|entry| entry.drift).count();
    assert_eq!(report["look"]["drift"]["calls"], drift);
    let rejected = &report["look"]["rejected"];
    assert_eq!(rejected["calls"], states["rejected"]);
    let newest = inside
        .iter()
        .rfind(|entry| matches!(entry.fate, Fate::Rejected(_)))
        .unwrap();
    let example = &rejected["examples"][4];
    assert_eq!(example["start"], at(newest.instant));
    assert_eq!(example["words"], "duration out of range");
    let due = entries[..500]
        .iter()
        .filter(|entry| matches!(entry.fate, Fate::Pending(..) | Fate::InFlight))
        .filter(|entry| entry.instant - OFFSET < since - DAY);
    assert_eq!(report["calls"]["due_before"], due.count());
}

fn numbers(object: &Value) -> BTreeMap<String, u64> {
    let object = object.as_object().unwrap();
    object
        .iter()
        .map(|(key, n)| (key.clone(), n.as_u64().unwrap()))
        .collect()
}

/// The numbers without a contact are ranked by calls, with the start of the last one.
#[track_caller]
fn unmatched(report: &Value, inside: &[&Entry]) {
    let unmatched = inside.iter().filter(|entry| entry.fate == Fate::Unmatched);
    let counts = count(unmatched.clone().map(|entry| entry.sent.clone()));
    let shown = &report["unmatched_numbers"];
    assert_eq!(shown["numbers"], counts.len());
    assert_eq!(shown["count_may_lack"], 0);
    let mut ranked: Vec<(&String, &u64)> = counts.iter().collect();
    ranked.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    let top = shown["top"].as_array().unwrap();
    assert_eq!(top.len(), 20);
    for (shown, (number, calls)) in top.iter().zip(ranked) {
        assert_eq!(shown["number"], *number);
        assert_eq!(shown["calls"], *calls);
        let last = unmatched
            .clone()
            .filter(|entry| entry.sent == *number)
            .map(|entry| entry.instant)
            .max();
        assert_eq!(shown["last"], stamp(last.unwrap(), 'T') + "Z");
    }
}

/// `local` takes 9 and seven digits, `outside line` whatever else begins with 9.
#[track_caller]
fn rules(report: &Value, inside: &[&Entry]) {
    let rule = |number: &str| match number.strip_prefix('9') {
        Some(rest) if rest.len() == 7 => "local",
        Some(_) => "outside line",
        None => "none",
    };
    let calls = count(inside.iter().map(|entry| rule(&entry.destination)));
    let distinct: std::collections::BTreeSet<&str> = inside
        .iter()
        .map(|entry| entry.destination.as_str())
        .collect();
    let numbers = count(distinct.iter().map(|number| rule(number)));
    let shown = &report["rules"]["destination"];
    assert_eq!(shown["one_number_in"], 1);
    assert_eq!(shown["numbers"], distinct.len());
    for (n, name) in ["local", "outside line"].into_iter().enumerate() {
        assert_eq!(shown["rules"][n]["rule"], name);
        assert_eq!(shown["rules"][n]["calls"], calls[name]);
        assert_eq!(shown["rules"][n]["numbers"], numbers[name]);
    }
    let example = &shown["rules"][0]["example"];
    let before = example[0].as_str().unwrap();
    assert_eq!(example[1], format!("0212{}", &before[1..]));
    assert_eq!(shown["untouched"]["calls"], calls["none"]);
    assert_eq!(shown["untouched"]["numbers"], numbers["none"]);
    assert_eq!(report["rules"]["source"], Value::Null);
}

#[test]
fn runs_are_counted_with_those_that_were_killed() {
    let now = now();
    let program = program();
    let mut runs: Vec<Ran> = (0..30)
        .map(|n| Ran::ended(now - 30 * DAY + n * DAY, if n % 5 == 4 { 4 } else { 0 }))
        .collect();
    runs[12].end = None;
    runs[20].mode = "full";
    fill(&program, &runs, &[Entry::delivered(now - DAY, "92853348")]);
    let ran = program.run(&["report", "--output", "json"]);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    let history = &report["runs"];
    assert_eq!(history["runs"], 30, "{report}");
    assert_eq!(history["not_finished"], 7);
    assert_eq!(
        history["exit_codes"],
        json!([{"code": null, "runs": 1}, {"code": 0, "runs": 23}, {"code": 4, "runs": 6}])
    );
    // Day 12 (killed) and day 14 (exit 4) leave gaps of two days.
    assert_eq!(history["longest_gap_s"], 2 * DAY);
    assert_eq!(history["latest"].as_array().unwrap().len(), 10);
    assert_eq!(history["latest"][0]["code"], 4);
    assert_eq!(history["failures_before"].as_array().unwrap().len(), 5);
    let killed = history["failures_before"]
        .as_array()
        .unwrap()
        .iter()
        .find(|run| run["code"].is_null())
        .unwrap();
    assert_eq!(killed["reason"], "under way, or killed");
    assert_eq!(
        report["left_out"],
        json!({"run_ended": stamp(now - 10 * DAY + 30, 'T') + "Z", "read": 1_200, "merged": 15, "skipped": [["short_destination", 300]]})
    );
}

#[test]
fn a_rule_for_callers_is_shown_with_the_callers() {
    let now = now();
    let program = program();
    let config = super::golden::config("url = \"sqlite:cdr.db\"", "http://127.0.0.1:9");
    program.configure(&config.replace(
        "[target]",
        "[[rules]]\nname = \"extensions\"\non = \"source\"\nmatch = \"_7XXX\"\nadd_prefix = \"0212555\"\n\n[target]",
    ));
    let entries: Vec<Entry> = (0..10)
        .map(|n| Entry {
            source: if n < 7 {
                format!("700{n}")
            } else {
                "02125550199".to_owned()
            },
            ..Entry::delivered(now - 600 - n, "92853348")
        })
        .collect();
    fill(&program, &[Ran::ended(now - 60, 0)], &entries);
    let report: Value =
        serde_json::from_str(&program.run(&["report", "--output", "json"]).stdout).unwrap();
    let callers = &report["rules"]["source"];
    assert_eq!(callers["rules"][0]["rule"], "extensions", "{report}");
    assert_eq!(
        (
            &callers["rules"][0]["numbers"],
            &callers["rules"][0]["calls"]
        ),
        (&json!(7), &json!(7))
    );
    assert_eq!(callers["untouched"]["examples"], json!(["02125550199"]));
}
