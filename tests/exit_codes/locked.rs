//! Code 11: one run at a time.

use super::scene::{Scene, finish, sandbox, signal, until};
use super::unruly::{Reply, Unruly};

#[test]
fn a_second_run_ends_at_once_having_sent_nothing() {
    let scene = Scene::generated(60, 50);
    // Answers nothing, so the first run holds the lock until it is ended.
    let mute = Unruly::always(Reply::Silence);
    scene.point_at(&mute.url());
    let first = scene.program.spawn(&["sync"]);
    until("the first run's request", || !mute.seen().is_empty());
    let crm = sandbox();
    scene.point_at(crm.url.as_str());
    for verb in [
        &["sync"][..],
        &["sync", "--full", "--output", "json"],
        &["sync", "--wait", "200ms"],
        &[
            "delete",
            "--from",
            "2026-01-01",
            "--to",
            "2026-01-01",
            "--yes",
        ],
        &["init", "--ledger"],
    ] {
        scene.said(&scene.program.run(verb), 11, "", "cdrelay: another run holds the lock `DIR/ledger.db.lock`; try again later, or wait for it with `--wait`\n");
    }
    scene.said(&scene.program.run(&["sync", "--quiet"]), 11, "", "");
    assert_eq!(crm.stats().requests, 0);
    assert_eq!(mute.seen().len(), 1);
    // Looking is allowed.
    let report = scene.program.sync(&["--dry-run"], 0);
    assert_eq!(report["calls"]["pending"], scene.golden().len());
    assert_eq!(scene.program.run(&["status"]).code, 0);
    assert_eq!(scene.program.run(&["calls"]).code, 0);
    // The lock dies with its holder.
    signal(&first, "KILL");
    assert_eq!(finish(first).code, -1);
    scene.settles_at(&crm, str::to_owned);
}

#[test]
fn a_run_that_waits_goes_on_when_the_lock_is_free() {
    let scene = Scene::generated(60, 51);
    let mute = Unruly::always(Reply::Silence);
    scene.point_at(&mute.url());
    let first = scene.program.spawn(&["sync"]);
    until("the first run's request", || !mute.seen().is_empty());
    let crm = sandbox();
    scene.point_at(crm.url.as_str());
    let second = scene
        .program
        .spawn(&["sync", "--full", "--wait", "60s", "--output", "json"]);
    signal(&first, "KILL");
    finish(first);
    let ran = finish(second);
    assert_eq!(ran.code, 0, "{ran:?}");
    scene.check(&crm);
}

#[test]
fn many_runs_at_once_send_every_call_once() {
    let scene = Scene::generated(200, 52);
    let crm = sandbox();
    scene.point_at(crm.url.as_str());
    let runs: Vec<_> = (0..8).map(|_| scene.program.spawn(&["sync"])).collect();
    let codes: Vec<i32> = runs.into_iter().map(|run| finish(run).code).collect();
    assert!(codes.contains(&0), "{codes:?}");
    assert!(codes.iter().all(|code| matches!(code, 0 | 11)), "{codes:?}");
    scene.check(&crm);
    assert_eq!(
        crm.stats().requests,
        crm.stats().created,
        "no call was sent twice"
    );
}
