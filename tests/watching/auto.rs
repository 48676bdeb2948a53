//! `run --auto`: which run is due, and what is said where another one is at work.

use cdrelay::ledger::LedgerLock;
use chrono::{DateTime, TimeDelta};
use chrono_tz::Tz;
use serde_json::Value;

use super::overdue::{age, down};
use super::program::check_sums;
use super::scene::{Scene, now, sandbox, with};

/// The night begins at a time of day that is twelve hours away, so that none begins while a test runs.
fn nightly(config: &str) -> String {
    let at = DateTime::from_timestamp(now(), 0)
        .unwrap()
        .with_timezone(&Tz::America__Caracas)
        + TimeDelta::hours(12);
    with(
        config,
        "select",
        &format!("full_at = \"{}\"", at.format("%H:%M")),
    )
}

#[track_caller]
fn auto(scene: &Scene, code: i32) -> Value {
    let report = scene.program.json(&["run", "--auto"], code);
    check_sums(&report);
    report
}

#[test]
fn the_first_run_and_the_first_of_each_night_are_full_and_the_others_are_not() {
    let scene = Scene::generated(60, 140);
    let crm = sandbox();
    scene.point_at_with(crm.url.as_str(), nightly);
    assert_eq!(auto(&scene, 0)["mode"], "full");
    scene.check(&crm);
    for _ in 0..2 {
        assert_eq!(auto(&scene, 0)["mode"], "incremental");
    }
    // The night has come, and some hours have passed since.
    age(&scene, 13 * 3600);
    assert_eq!(auto(&scene, 0)["mode"], "full");
    assert_eq!(auto(&scene, 0)["mode"], "incremental");
    // The machine was off for three nights: one full run makes up for them.
    age(&scene, 3 * 86_400);
    assert_eq!(auto(&scene, 0)["mode"], "full");
    assert_eq!(auto(&scene, 0)["mode"], "incremental");
}

#[test]
fn a_night_that_failed_is_made_up_for_and_a_backfill_is_no_night() {
    let scene = Scene::generated(60, 141);
    let crm = sandbox();
    scene.point_at_with(&down().url(), nightly);
    assert_eq!(auto(&scene, 4)["mode"], "full");
    scene.point_at_with(crm.url.as_str(), nightly);
    let day = DateTime::from_timestamp(now() - 2 * 86_400, 0).unwrap();
    let day = day.format("%Y-%m-%d").to_string();
    let backfill = scene.program.sync(&["--full", "--since", &day], 0);
    assert_eq!(backfill["mode"], "full");
    assert_eq!(auto(&scene, 0)["mode"], "full");
    assert_eq!(auto(&scene, 0)["mode"], "incremental");
    scene.check(&crm);
}

/// A CRM that fails at one call for ever would otherwise be asked about the whole year each hour.
#[test]
fn calls_that_the_crm_never_answers_do_not_make_every_run_a_full_one() {
    let scene = Scene::generated(60, 142);
    let crm = sandbox();
    scene.point_at_with(crm.url.as_str(), nightly);
    assert_eq!(auto(&scene, 0)["mode"], "full");
    let db = rusqlite::Connection::open(scene.program.path("ledger.db")).unwrap();
    let left = |pending: u64, stuck: u64| {
        let counts: String = db
            .query_row("SELECT counts FROM runs WHERE mode = 'full'", [], |row| {
                row.get(0)
            })
            .unwrap();
        let mut counts: Value = serde_json::from_str(&counts).unwrap();
        assert!(
            counts["stuck"].is_u64() && counts["calls"]["pending"].is_u64(),
            "{counts}"
        );
        counts["calls"]["pending"] = pending.into();
        counts["stuck"] = stuck.into();
        db.execute(
            "UPDATE runs SET exit_code = 4, counts = ?1 WHERE mode = 'full'",
            [counts.to_string()],
        )
        .unwrap();
    };
    left(2, 2);
    assert_eq!(auto(&scene, 0)["mode"], "incremental");
    // One of them may be settled by trying again.
    left(2, 1);
    assert_eq!(auto(&scene, 0)["mode"], "full");
}

#[test]
fn the_report_is_syncs_own() {
    let scene = Scene::generated(60, 143);
    let crm = sandbox();
    scene.point_at_with(crm.url.as_str(), nightly);
    let late = scene
        .program
        .json(&["run", "--auto", "--max-runtime", "0s"], 4);
    assert_eq!(late["mode"], "full");
    auto(&scene, 0);
    let [run, sync] = [&["run", "--auto"][..], &["sync"]].map(|args| {
        let ran = scene.program.run(args);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
        super::scene::plain(&ran.stdout)
    });
    assert_eq!(run, sync);
    let quiet = scene.program.run(&["run", "--auto", "--quiet"]);
    assert_eq!(
        (quiet.code, quiet.stdout.as_str(), quiet.stderr.as_str()),
        (0, "", "")
    );
}

#[test]
fn where_another_run_is_at_work_it_ends_with_0_and_says_nothing() {
    let scene = Scene::generated(60, 144);
    let crm = sandbox();
    scene.point_at_with(crm.url.as_str(), nightly);
    let lock = || LedgerLock::try_acquire(&scene.program.path("ledger.db")).unwrap();
    let silent = |args: &[&str]| {
        let ran = scene.program.run(args);
        assert_eq!(
            (ran.code, ran.stdout.as_str(), ran.stderr.as_str()),
            (0, "", ""),
            "{args:?}"
        );
    };
    let held = lock();
    silent(&["run", "--auto"]);
    silent(&["run", "--auto", "--wait", "50ms", "--output", "json"]);
    drop(held);
    assert_eq!(crm.stats().requests, 0);
    auto(&scene, 0);
    let held = lock();
    silent(&["run", "--auto"]);
    // A run that hangs for ever is for a person.
    age(&scene, 7 * 3600);
    let ran = scene.program.run(&["run", "--auto", "--quiet"]);
    assert_eq!(ran.code, 11, "{ran:?}");
    assert!(ran.stderr.contains("the last success was at "), "{ran:?}");
    drop(held);
    // One that waits goes on where the other one ends, and chooses only then.
    let held = lock();
    let waiting = scene
        .program
        .spawn(&["run", "--auto", "--wait", "60s", "--output", "json"]);
    drop(held);
    let ran = super::scene::finish(waiting);
    assert_eq!(ran.code, 0, "{ran:?}");
}
