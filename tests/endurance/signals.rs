//! SIGTERM and SIGINT at any instant: nothing new is sent, what is in flight is recorded and reported, and the next run
//! goes on. A second signal stops at once.

use std::time::Duration;

use serde_json::Value;

use super::chance::{Chance, Seed};
use super::crm::{Crm, Manners};
use super::program::check_sums;
use super::scene::{Scene, finish, same, signal, with};
use super::{soak, trace};

/// What became of a run that a signal was sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hit {
    /// In mid-run, with a report.
    Working,
    /// Before its first request.
    Early,
    /// A second signal ended it.
    Twice,
    /// It was through already.
    Through,
}

/// How the signals are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// At once.
    Free,
    /// While the CRM holds all answers back, so that it can be seen what leaves once they come.
    Held,
    /// Like that, and once more while they are still held back.
    Twice,
}

fn signalled(chance: &mut Chance, way: Way, name: &str, code: i32) -> Hit {
    let crm = Crm::start(Manners {
        latency: Duration::from_millis(1 + chance.below(8)),
        ..Manners::default()
    });
    let scene = Scene::generated(120, chance.next());
    let golden = scene.golden();
    let concurrency = chance.of(&[1, 4, 16, 32]);
    scene.point_at_with(&crm.url(), |config| {
        with(config, "target", &format!("concurrency = {concurrency}"))
    });
    let mut child = scene.program.spawn(&["sync", "--output", "json"]);
    if way == Way::Free && chance.once_in(3) {
        std::thread::sleep(Duration::from_micros(chance.below(80_000)));
    } else {
        let wanted = 1 + chance.below(golden.len() as u64 - 1);
        while crm.requests() < wanted && child.try_wait().expect("a child").is_none() {
            std::thread::sleep(Duration::from_micros(200));
        }
    }
    let mut at_work = child.try_wait().expect("a child").is_none();
    if at_work && way != Way::Free {
        crm.hold();
        at_work = trace::sleeps(&mut child, &crm);
    }
    if !at_work {
        crm.release();
        assert_eq!(finish(child).code, 0);
        next_run_completes(&scene, &crm);
        return Hit::Through;
    }
    signal(&child, name);
    let mut seen = None;
    if way != Way::Free {
        assert!(
            trace::sleeps(&mut child, &crm),
            "it waits for what is in flight"
        );
        // It knows of the signal, and every answer that comes from here on makes room for a request.
        seen = Some(crm.requests());
        if way == Way::Twice {
            signal(&child, chance.of(&["INT", "TERM"]));
            let ran = finish(child);
            assert_eq!(
                Some(crm.requests()),
                seen,
                "a request left after the signal"
            );
            assert_eq!(
                (ran.code, ran.stdout.as_str(), ran.stderr.as_str()),
                (
                    code,
                    "",
                    "cdrelay: stopped at once by a second signal; the next run goes on\n"
                )
            );
            crm.release();
            next_run_completes(&scene, &crm);
            return Hit::Twice;
        }
        crm.release();
    }
    let ran = finish(child);
    crm.release();
    if let Some(seen) = seen {
        assert_eq!(crm.requests(), seen, "a request left after the signal");
    }
    if ran.code == 0 {
        next_run_completes(&scene, &crm);
        return Hit::Through;
    }
    if ran.stdout.is_empty() {
        // Before the signal was listened for, the system ends the program by it, as good as a kill; after that it says so.
        let said = format!("cdrelay: stopped by SIG{name} before anything was sent\n");
        assert!(
            (ran.code, ran.stderr.as_str()) == (-1, "") || (ran.code, &ran.stderr) == (code, &said),
            "{ran:?}"
        );
        assert_eq!(crm.requests(), 0, "{ran:?}");
        next_run_completes(&scene, &crm);
        return Hit::Early;
    }
    let report: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{ran:?}"));
    check_sums(&report);
    let (created, pending) = (&report["calls"]["created"], &report["calls"]["pending"]);
    let calls = if *pending == 1 { "call" } else { "calls" };
    let reason = format!("stopped by SIG{name}; {pending} {calls} pending, the next run goes on");
    assert_eq!(
        (ran.code, ran.stderr),
        (code, format!("cdrelay: {reason}\n"))
    );
    assert_eq!(
        report["exit"],
        serde_json::json!({"code": code, "reason": reason})
    );
    // Printed = what the CRM saw = what the ledger holds.
    let book = crm.book().clone();
    assert_eq!(report["requests"]["sent"], book.requests, "{report}");
    assert_eq!(
        *created, book.created,
        "what was in flight is recorded: {report}"
    );
    let count = |state: &str| {
        let states = scene.states();
        states
            .iter()
            .find(|(name, _)| name == state)
            .map_or(0, |(_, n)| *n)
    };
    assert_eq!(*created, count("delivered"), "{report}");
    assert_eq!(*pending, count("pending"), "{report}");
    assert_eq!(count("in_flight"), 0, "{report}");
    let report = next_run_completes(&scene, &crm);
    assert_eq!(report["calls"]["unchanged"], *created, "{report}");
    assert_eq!(crm.book().existing, 0, "no call was sent twice");
    if book.requests == 0 {
        Hit::Early
    } else {
        Hit::Working
    }
}

#[track_caller]
fn next_run_completes(scene: &Scene, crm: &Crm) -> Value {
    let report = scene.program.sync(&["--full"], 0);
    let golden = scene.golden();
    same(&crm.held(), &golden);
    assert_eq!(crm.book().created, golden.len() as u64, "each once");
    assert_eq!(scene.states(), [("delivered".to_owned(), golden.len())]);
    report
}

#[test]
fn a_signal_at_any_instant_sends_nothing_more_and_forgets_nothing() {
    let seed = 20_261_122;
    let name = "SIGTERM and SIGINT";
    let _seed = Seed("SIGTERM and SIGINT", seed);
    let mut chance = Chance(seed);
    let wanted = soak::count(20, 200);
    let (mut working, mut early, mut twice, mut through, mut round) = (0, 0, 0, 0, 0);
    while working < wanted {
        round += 1;
        assert!(
            round < wanted * 10,
            "hardly any run was at work when its signal came"
        );
        let (signal, code) = chance.of(&[("TERM", 143), ("INT", 130)]);
        let way = chance.of(&[Way::Free, Way::Free, Way::Held, Way::Held, Way::Twice]);
        match signalled(&mut chance, way, signal, code) {
            Hit::Working => working += 1,
            Hit::Early => early += 1,
            Hit::Twice => twice += 1,
            Hit::Through => through += 1,
        }
    }
    let told = format!(
        "no request after the signal, all in flight recorded, report = ledger = CRM; besides {early} before the first \
         request, {twice} stopped at once by a second signal, {through} after the end"
    );
    println!("{name}: {working}: {told}");
    assert!(twice > 0, "{told}");
    soak::note(name, working, &told);
}
