//! Random histories: whatever was asked for, in whatever order, under whichever reading, with lost answers and kills, the
//! next covering runs bring the CRM to what should be there, and every report told the truth.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use cdrelay::sandbox::{DayZone, DeleteReading, RunningSandbox, SandboxOptions};
use serde_json::{Value, json};

use super::answers::status;
use super::days::{CARACAS, Place, SHANGHAI, configured, day, scene};
use super::golden::{Row, stamp};
use super::scene::{Scene, finish, pass_on, sandbox_with};
use super::soak;
use super::unruly::{Reply, Unruly};

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

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::try_from(self.below(choices.len() as u64)).unwrap()]
    }
}

const PHOENIX: Place = Place {
    zone: "America/Phoenix",
    offset: -7 * 3600,
    suffix: "-07:00",
};

/// What of the configuration changes in between.
#[derive(Debug, Clone, Copy)]
struct Settings {
    place: Place,
    rendering: &'static str,
    area: &'static str,
}

impl Settings {
    fn random(random: &mut Random) -> Self {
        Self {
            place: random.of(&[CARACAS, SHANGHAI, PHOENIX]),
            rendering: random.of(&["utc", "offset", "local", "local-z"]),
            area: random.of(&["0212", "0412"]),
        }
    }

    /// The key that these settings give a row.
    fn key(&self, row: &Row) -> (String, String, String) {
        let place = self.place;
        let initiated = match self.rendering {
            "utc" => stamp(row.wall - place.offset, 'T') + "Z",
            "offset" => stamp(row.wall, 'T') + place.suffix,
            "local" => stamp(row.wall, 'T'),
            _ => stamp(row.wall, 'T') + "Z",
        };
        (
            initiated,
            row.src.clone(),
            format!("{}{}", self.area, &row.dst[5..]),
        )
    }

    fn apply(&self, scene: &Scene, url: &str) {
        let area = self.area;
        scene.point_at_with(url, |config| {
            configured(config, self.place, self.rendering).replace(
                "strip_prefix = \"9\"",
                &format!("regex = '^90212(\\d+)$'\nreplace = '{area}$1'"),
            )
        });
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Delete,
    ForGood,
    Rebuild,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// The deletion is done, and its answer lost.
    LostAnswer,
    Kill,
}

/// A CRM that takes some numbers only later, slow where it is told to be, behind which the practice CRM keeps the calls.
struct Crm {
    behind: RunningSandbox,
    front: Unruly,
    choosy: Arc<AtomicBool>,
    lose: Arc<AtomicBool>,
    slow: Arc<AtomicU64>,
}

impl Crm {
    fn start(random: &mut Random) -> Self {
        let hours = random.of(&[0, 8, -5]);
        let fixed = DayZone::Fixed(chrono::FixedOffset::east_opt(hours * 3600).unwrap());
        let behind = sandbox_with(SandboxOptions {
            days: random.of(&[DeleteReading::NamedDaysStay, DeleteReading::NamedDaysGo]),
            day_zone: random.of(&[DayZone::WireText, fixed, fixed]),
            ..SandboxOptions::default()
        });
        let choosy = Arc::new(AtomicBool::new(true));
        let lose = Arc::new(AtomicBool::new(false));
        let slow = Arc::new(AtomicU64::new(0));
        let addr = behind.addr;
        let front = Unruly::start({
            let (choosy, lose, slow) = (choosy.clone(), lose.clone(), slow.clone());
            move |_, line| {
                std::thread::sleep(Duration::from_millis(slow.load(Ordering::SeqCst)));
                let deletes = line.contains("/delete?");
                if choosy.load(Ordering::SeqCst) && !deletes {
                    let destination = line
                        .split("destination=")
                        .nth(1)
                        .and_then(|rest| rest.split(['&', ' ']).next())
                        .unwrap_or("");
                    if destination.ends_with('3') {
                        let no = r#"{"error":true,"errors":{"destination":"no contact"}}"#;
                        return Reply::Json(200, no.to_owned());
                    }
                    if destination.ends_with('7') {
                        let no =
                            format!(r#"{{"error":true,"errors":{{"url":"not {destination}"}}}}"#);
                        return Reply::Json(200, no);
                    }
                }
                let reply = pass_on(addr, line);
                if deletes && lose.swap(false, Ordering::SeqCst) {
                    return Reply::Close;
                }
                reply
            }
        });
        Self {
            behind,
            front,
            choosy,
            lose,
            slow,
        }
    }

    fn keys(&self) -> BTreeSet<(String, String, String)> {
        let calls = self.behind.calls();
        let keys: BTreeSet<_> = calls
            .iter()
            .map(|call| {
                (
                    call.initiated.clone(),
                    call.source.clone(),
                    call.destination.clone(),
                )
            })
            .collect();
        assert_eq!(keys.len(), calls.len(), "no call is there twice");
        keys
    }
}

/// What is expected of one row: any of these forms, once, or that it is out.
#[derive(Debug, Clone)]
struct Expected {
    forms: Vec<usize>,
    out: bool,
    /// One of the forms puts it on a day that was deleted for good, and another does not: it may be out.
    open: bool,
}

fn picky(row: &Row) -> bool {
    row.dst.ends_with('3') || row.dst.ends_with('7')
}

/// One history.
#[track_caller]
fn play(seed: u64, verb: Verb, fault: Fault) {
    let mut random = Random(seed);
    let crm = Crm::start(&mut random);
    let scene = scene();
    let mut settings = vec![Settings::random(&mut random)];
    settings[0].apply(&scene, &crm.front.url());
    let first = scene.program.run(&["sync", "--full"]);
    assert_eq!(first.code, 3, "{first:?}");
    let mut rows: BTreeMap<usize, Expected> = (0..scene.rows.len())
        .map(|n| {
            let expected = Expected {
                forms: vec![0],
                out: false,
                open: false,
            };
            (n, expected)
        })
        .collect();
    // One or two operations, the last of them with the fault; each after a change of the settings, perhaps.
    let mut verbs = vec![(verb, fault)];
    if random.below(2) == 0 {
        verbs.insert(0, (random.of(&[Verb::Delete, Verb::Rebuild]), Fault::None));
    }
    for (verb, fault) in verbs {
        if random.below(4) > 0 {
            settings.push(Settings::random(&mut random));
            settings[settings.len() - 1].apply(&scene, &crm.front.url());
        }
        let from = 1 + i64::try_from(random.below(9)).unwrap();
        let to = (from + i64::try_from(random.below(3)).unwrap()).min(10);
        let what = format!("seed {seed}: {verb:?} {fault:?} {from} to {to}, {settings:?}");
        let done = operate(
            &scene,
            &crm,
            &mut random,
            verb,
            fault,
            &[day(from), day(to)],
            &what,
        );
        expect(
            &scene,
            &settings,
            &mut rows,
            verb,
            &[day(from), day(to)],
            done,
        );
        if random.below(2) == 0 && verb != Verb::ForGood {
            scene.program.run(&["sync", "--full"]);
        }
    }
    let what = format!("seed {seed}: {verb:?} {fault:?}, {settings:?}");
    // Whatever its window, a run finishes what is open; those that cover the days do the rest.
    scene.program.run(&["sync", "--since", &day(15)]);
    let open = status(&scene)["unfinished_deletions"].to_string();
    assert!(!open.contains("a rebuild"), "{what}: {open}");
    crm.choosy.store(false, Ordering::SeqCst);
    scene.program.sync(&["--full"], 0);
    let report = scene.program.sync(&["--full"], 0);
    assert_eq!(report["requests"]["sent"], 0, "{what} {report}");
    assert_eq!(status(&scene)["unfinished_deletions"], json!([]), "{what}");
    let mut found = crm.keys();
    for (n, expected) in &rows {
        let row = &scene.rows[*n];
        let there: Vec<_> = (0..settings.len())
            .map(|form| settings[form].key(row))
            .collect::<BTreeSet<_>>()
            .into_iter()
            .filter(|key| found.remove(key))
            .collect();
        if expected.out {
            assert!(there.is_empty(), "{what}: {there:?} is to stay out");
            continue;
        }
        let allowed: Vec<_> = expected
            .forms
            .iter()
            .map(|form| settings[*form].key(row))
            .collect();
        if expected.open && there.is_empty() {
            continue;
        }
        assert_eq!(there.len(), 1, "{what}: {there:?}, one of {allowed:?}");
        assert!(
            allowed.contains(&there[0]),
            "{what}: {there:?}, one of {allowed:?}"
        );
    }
    assert!(found.is_empty(), "{what}: {found:?} is nobody's");
}

/// Does it, with its fault; gives whether it came to pass.
#[track_caller]
fn operate(
    scene: &Scene,
    crm: &Crm,
    random: &mut Random,
    verb: Verb,
    fault: Fault,
    days: &[String; 2],
    what: &str,
) -> bool {
    let mut args = match verb {
        Verb::Delete | Verb::ForGood => vec!["delete"],
        Verb::Rebuild => vec!["rebuild"],
    };
    args.extend(["--from", &days[0], "--to", &days[1], "--yes"]);
    if verb == Verb::ForGood {
        args.push("--for-good");
    }
    let before = crm.behind.stats();
    match fault {
        Fault::None => {}
        Fault::LostAnswer => {
            crm.lose.store(true, Ordering::SeqCst);
            let report = scene.program.json(&args, 4);
            assert!(report["deleted"].is_null(), "{what} {report}");
        }
        Fault::Kill => {
            crm.slow.store(3, Ordering::SeqCst);
            let mut child = scene.program.spawn(&args);
            std::thread::sleep(Duration::from_millis(random.below(500)));
            let _ = child.kill();
            finish(child);
            crm.slow.store(0, Ordering::SeqCst);
        }
    }
    let open = status(scene)["unfinished_deletions"] != json!([]);
    let done = open || crm.behind.stats().deletes > before.deletes;
    if fault != Fault::None && verb != Verb::ForGood {
        return done;
    }
    // For good is repeated by the person who asked for it.
    let before = crm.behind.stats();
    let there = crm.keys();
    args.extend(["--output", "json"]);
    let ran = scene.program.run(&args);
    // A rebuild asks about refused calls again.
    let codes: &[i32] = if verb == Verb::Rebuild { &[0, 3] } else { &[0] };
    assert!(codes.contains(&ran.code), "{what} {ran:?}");
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    let deleted = crm.behind.stats().deleted - before.deleted;
    assert_eq!(report["deleted"], deleted, "{what} {report}");
    if verb != Verb::Rebuild {
        let went = there.difference(&crm.keys()).count() as u64;
        assert_eq!(went, deleted, "{what}");
    }
    if verb == Verb::ForGood {
        stands(scene, crm, &report, what);
    }
    true
}

/// What the ledger keeps out and the CRM has left standing is at most what the report said; a person takes that away.
#[track_caller]
fn stands(scene: &Scene, crm: &Crm, report: &Value, what: &str) {
    let said = report["left_standing"].as_u64().unwrap();
    let there = crm.keys();
    let standing = scene
        .listed()
        .iter()
        .filter(|call| {
            let wire = &call["wire"];
            let text = |name: &str| wire[name].as_str().unwrap().to_owned();
            call["state"] == "withdrawn"
                && there.contains(&(text("initiated"), text("source"), text("destination")))
        })
        .count() as u64;
    assert!(standing <= said, "{what}: {standing} stand, {report}");
    if standing > 0 {
        // As the output says: the days on either side go as well, and come back with the next run.
        let wire = &report["wire"];
        let (from, to) = (wire["from"].as_str().unwrap(), wire["to"].as_str().unwrap());
        scene
            .program
            .json(&["delete", "--from", from, "--to", to, "--yes"], 0);
    }
}

/// Notes what the rows are to be after it.
fn expect(
    scene: &Scene,
    settings: &[Settings],
    rows: &mut BTreeMap<usize, Expected>,
    verb: Verb,
    days: &[String; 2],
    done: bool,
) {
    let today = settings.len() - 1;
    let place = settings[today].place;
    let within =
        |wall: i64| (days[0].as_str()..=days[1].as_str()).contains(&&stamp(wall, ' ')[..10]);
    for (n, expected) in rows.iter_mut() {
        let row = &scene.rows[*n];
        // The day by the form as it was frozen, on today's clock.
        let by_instant = expected
            .forms
            .iter()
            .map(|form| within(row.wall - settings[*form].place.offset + place.offset));
        match verb {
            Verb::Delete => {}
            Verb::ForGood => {
                let by_instant: Vec<bool> = by_instant.collect();
                // Never at the CRM: nothing to keep out.
                let named = |test: fn(&[bool]) -> bool| done && test(&by_instant) && !picky(row);
                expected.out |= named(|all| all.iter().all(|named| *named));
                expected.open |= named(|all| all.contains(&true));
            }
            Verb::Rebuild if !done => {}
            Verb::Rebuild if within(row.wall) => expected.forms = vec![today],
            Verb::Rebuild => {
                if by_instant.into_iter().any(|named| named) {
                    expected.forms.push(today);
                }
            }
        }
    }
}

#[track_caller]
fn sweep(verb: Verb) {
    let seeds = soak::count(2, 34);
    for seed in 0..seeds as u64 {
        for (n, fault) in [Fault::None, Fault::LostAnswer, Fault::Kill]
            .into_iter()
            .enumerate()
        {
            play(seed * 1_000 + n as u64 * 100 + verb as u64, verb, fault);
        }
    }
}

#[test]
fn deletions_of_random_days_lose_nothing() {
    sweep(Verb::Delete);
}

#[test]
fn deletions_for_good_keep_out_what_they_said() {
    sweep(Verb::ForGood);
}

#[test]
fn rebuilds_of_random_days_leave_todays_form_once() {
    sweep(Verb::Rebuild);
}
