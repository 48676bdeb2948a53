//! What becomes of a deletion: done, refused, unanswered, interrupted.

use std::collections::BTreeSet;

use cdrelay::sandbox::{DeleteReading, RunningSandbox, SandboxOptions};

use super::days::{
    AGAIN, CARACAS, FOR_GOOD, HELD, arguments, configured, day, expected, per_day, range, said,
    scene, shown,
};
use super::scene::{Scene, finish, held, pass_on, same, sandbox, sandbox_with, signal, until};
use super::unruly::{Reply, Unruly};

/// A scene in local time whose calls this CRM holds, behind one that handles deletions by itself.
fn behind(
    crm: &RunningSandbox,
    delete: impl Fn(&str) -> Reply + Send + Sync + 'static,
) -> (Scene, Unruly) {
    let scene = scene();
    let addr = crm.addr;
    let front = Unruly::start(move |_, line| {
        if line.starts_with("GET /direct/items/phonecalls/delete?") {
            delete(line)
        } else {
            pass_on(addr, line)
        }
    });
    point(&scene, &front.url());
    scene.program.sync(&["--full"], 0);
    (scene, front)
}

fn point(scene: &Scene, url: &str) {
    scene.point_at_with(url, |config| configured(config, CARACAS, "local"));
}

#[track_caller]
fn golden_at(scene: &Scene, crm: &RunningSandbox) {
    let golden = expected(scene, CARACAS, "local");
    same(&held(crm), &golden);
    assert_eq!(crm.calls().len(), golden.len());
}

/// The deletions among the requests.
fn deletions(front: &Unruly) -> Vec<String> {
    front
        .seen()
        .into_iter()
        .filter(|line| line.contains("/delete?"))
        .collect()
}

/// Local days of the calls in a state.
fn days_in(scene: &Scene, state: &str) -> BTreeSet<String> {
    scene
        .listed()
        .iter()
        .filter(|call| call["state"] == state)
        .map(|call| call["start"].as_str().unwrap()[..10].to_owned())
        .collect()
}

#[test]
fn the_bounds_that_were_shown_are_sent_and_exactly_these_days_come_back() {
    let crm = sandbox();
    let addr = crm.addr;
    let (scene, front) = behind(&crm, move |line| pass_on(addr, line));
    let golden = expected(&scene, CARACAS, "local");
    let range = range();
    let report = scene.program.json(&arguments(&range, &["--yes"]), 0);
    assert_eq!(
        deletions(&front),
        [format!(
            "GET /direct/items/phonecalls/delete?token=sandbox&from={}&to={} HTTP/1.1",
            day(4),
            day(8)
        )]
    );
    assert_eq!(
        report["wire"],
        serde_json::json!({"from": day(4), "to": day(8)})
    );
    assert_eq!(
        (report["main"].as_u64(), report["deleted"].as_u64()),
        (Some(3 * per_day() as u64), Some(3 * per_day() as u64))
    );
    let verify = report["verify"].as_u64().unwrap();
    let mut due = scene.listed();
    due.retain(|call| call["state"] == "pending");
    let by_reason = |reason: &str| due.iter().filter(|call| call["pending"] == reason).count();
    assert_eq!(by_reason("deleted"), 3 * per_day());
    assert_eq!(by_reason("verify") as u64, verify);
    // Whole days on either side, whatever else.
    let days: BTreeSet<String> = due
        .iter()
        .map(|call| call["start"].as_str().unwrap()[..10].to_owned())
        .collect();
    for n in 4..=8 {
        assert!(days.contains(&day(n)), "{days:?}");
    }
    assert!(
        !days.contains(&day(2)) && !days.contains(&day(10)),
        "{days:?}"
    );
    for n in [4, 8] {
        let of_day = due
            .iter()
            .filter(|call| call["start"].as_str().unwrap().starts_with(&day(n)))
            .count();
        assert_eq!(of_day, per_day(), "all of {}", day(n));
    }
    let before = crm.stats();
    let report = scene.program.sync(&["--full"], 0);
    assert_eq!(report["calls"]["created"], 3 * per_day(), "{report}");
    assert_eq!(report["calls"]["existing"], verify, "{report}");
    assert_eq!(
        report["calls"]["unchanged"].as_u64().unwrap(),
        golden.len() as u64 - verify - 3 * per_day() as u64
    );
    assert_eq!(crm.stats().created - before.created, 3 * per_day() as u64);
    golden_at(&scene, &crm);
    let report = scene.program.sync(&["--full"], 0);
    assert_eq!(report["requests"]["sent"], 0, "{report}");
}

#[test]
fn for_good_keeps_the_calls_out_until_they_are_asked_for() {
    let crm = sandbox();
    let addr = crm.addr;
    let (scene, _front) = behind(&crm, move |line| pass_on(addr, line));
    let golden = expected(&scene, CARACAS, "local");
    let range = range();
    said(
        &scene,
        &scene
            .program
            .run(&arguments(&range, &["--yes", "--for-good"])),
        0,
        &(shown(FOR_GOOD, 34, HELD)
            + "The CRM deleted 39 calls.\n\
Where the CRM's days are not those of America/Caracas, up to 14 calls at the edge of these days did not go. \
To be sure, delete the days on either side as well, and send the calls of these again:\n\
cdrelay delete --from DAY4 --to DAY8, then cdrelay sync --since DAY2 --until DAY11\n"),
        "",
    );
    assert_eq!(
        days_in(&scene, "withdrawn"),
        BTreeSet::from([day(5), day(6), day(7)])
    );
    for _ in 0..2 {
        let report = scene.program.sync(&["--full"], 0);
        assert_eq!(report["calls"]["created"], 0, "{report}");
        assert_eq!(report["calls"]["withdrawn"], 3 * per_day(), "{report}");
    }
    let without: super::golden::Golden = golden
        .iter()
        .filter(|(key, _)| !(day(5)..=day(7)).contains(&key.0[..10].to_owned()))
        .map(|(key, call)| (key.clone(), call.clone()))
        .collect();
    same(&held(&crm), &without);
    let report = scene.program.sync(&["--full", "--resend"], 0);
    assert_eq!(report["calls"]["created"], 3 * per_day(), "{report}");
    golden_at(&scene, &crm);
}

#[test]
fn an_answer_that_was_lost_leaves_all_calls_due() {
    let crm = sandbox();
    let addr = crm.addr;
    let (scene, front) = behind(&crm, move |line| {
        pass_on(addr, line);
        Reply::Close
    });
    let range = range();
    said(
        &scene,
        &scene.program.run(&arguments(&range, &["--yes"])),
        4,
        &shown(AGAIN, 34, HELD),
        "cdrelay: the CRM may have deleted the calls or not: no complete reply: connection closed before message completed; the next `cdrelay sync` that covers these days sends what is missing, and the deletion can be repeated\n",
    );
    assert_eq!(
        crm.stats().deleted as usize,
        3 * per_day(),
        "it was done all the same"
    );
    assert_eq!(
        deletions(&front).len(),
        1,
        "a deletion is not repeated by itself"
    );
    assert!(days_in(&scene, "pending").is_superset(&BTreeSet::from([
        day(4),
        day(5),
        day(6),
        day(7),
        day(8)
    ])));
    let report = scene.program.sync(&["--full"], 0);
    assert_eq!(report["calls"]["created"], 3 * per_day(), "{report}");
    golden_at(&scene, &crm);
}

#[test]
fn a_deletion_that_failed_unnoticed_doubles_nothing() {
    let crm = sandbox();
    let (scene, _front) = behind(&crm, |_| Reply::Json(500, String::new()));
    let range = range();
    said(
        &scene,
        &scene.program.run(&arguments(&range, &["--yes"])),
        4,
        &shown(AGAIN, 34, HELD),
        "cdrelay: the CRM may have deleted the calls or not: the CRM answered 500 (server error); the next `cdrelay sync` that covers these days sends what is missing, and the deletion can be repeated\n",
    );
    let report = scene.program.sync(&["--full"], 0);
    assert_eq!(report["calls"]["created"], 0, "{report}");
    golden_at(&scene, &crm);
}

#[test]
fn a_refusal_puts_everything_back() {
    let crm = sandbox();
    let (scene, front) = behind(&crm, |_| {
        Reply::Json(
            200,
            r#"{"error":true,"errors":{"from":"fecha\n no permitida"}}"#.to_owned(),
        )
    });
    let range = range();
    let before = scene.listed();
    said(
        &scene,
        &scene.program.run(&arguments(&range, &["--yes"])),
        3,
        &shown(AGAIN, 34, HELD),
        "cdrelay: the CRM refused the deletion, and nothing was deleted: from: fecha\\n no permitida\n",
    );
    said(
        &scene,
        &scene
            .program
            .run(&arguments(&range, &["--yes", "--for-good"])),
        3,
        &shown(FOR_GOOD, 34, HELD),
        "cdrelay: the CRM refused the deletion, and nothing was deleted: from: fecha\\n no permitida\n",
    );
    assert_eq!(scene.listed(), before);
    let requests = front.seen().len();
    let report = scene.program.sync(&["--full"], 0);
    assert_eq!(report["calls"]["unchanged"], before.len(), "{report}");
    assert_eq!(front.seen().len(), requests, "nothing is due");
    golden_at(&scene, &crm);
}

#[test]
fn a_crm_that_is_not_reached_deletes_nothing() {
    let crm = sandbox();
    let addr = crm.addr;
    let (scene, _front) = behind(&crm, move |line| pass_on(addr, line));
    let before = scene.listed();
    point(
        &scene,
        &format!("http://127.0.0.1:{}", super::scene::closed_port()),
    );
    let range = range();
    said(
        &scene,
        &scene.program.run(&arguments(&range, &["--yes"])),
        4,
        &shown(AGAIN, 34, HELD),
        "cdrelay: the CRM was not reached, and nothing was deleted: no connection to the CRM: tcp connect error: Connection refused (os error 111); try again later\n",
    );
    assert_eq!(scene.listed(), before);
    point(&scene, crm.url.as_str());
    let report = scene.program.sync(&["--full"], 0);
    assert_eq!(report["requests"]["sent"], 0, "{report}");
    golden_at(&scene, &crm);
}

#[test]
fn a_refused_token_stops_the_deletion() {
    let crm = sandbox();
    let (scene, _front) = behind(&crm, |_| {
        Reply::Json(200, r#"{"error":true,"errors":{"token":"no"}}"#.to_owned())
    });
    let range = range();
    said(
        &scene,
        &scene.program.run(&arguments(&range, &["--yes"])),
        6,
        &shown(AGAIN, 34, HELD),
        "cdrelay: the CRM refused the token: token: no; check `target.token_file`\n",
    );
    scene.program.sync(&["--full"], 0);
    golden_at(&scene, &crm);
}

#[test]
fn a_kill_between_intent_and_answer_loses_nothing() {
    // Killed before the CRM did anything, and after it had done everything.
    for done in [false, true] {
        let crm = sandbox_with(SandboxOptions {
            days: DeleteReading::NamedDaysGo,
            ..SandboxOptions::default()
        });
        let addr = crm.addr;
        let (scene, front) = behind(&crm, move |line| {
            if done {
                pass_on(addr, line);
            }
            Reply::Silence
        });
        let range = range();
        let mut child = scene.program.spawn(&arguments(&range, &["--yes"]));
        until("the deletion", || {
            !deletions(&front).is_empty() && (crm.stats().deletes > 0) == done
        });
        child.kill().unwrap();
        assert_eq!(finish(child).code, -1);
        let status = scene.program.run(&["status"]);
        let sentence = format!(
            "  unfinished     a deletion of {} to {} was interrupted: its calls are due again; run it again if it is still wanted\n",
            day(5),
            day(7)
        );
        assert!(status.stdout.contains(&sentence), "{}", status.stdout);
        let report = scene.program.sync(&["--full"], 0);
        assert_eq!(report["calls"]["created"], crm.stats().deleted, "{report}");
        assert_eq!(crm.stats().deleted > 0, done);
        golden_at(&scene, &crm);
    }
}

#[test]
fn a_signal_while_the_deletion_is_out_gives_the_crm_ten_seconds_and_leaves_its_calls_due() {
    let crm = sandbox_with(SandboxOptions {
        days: DeleteReading::NamedDaysGo,
        ..SandboxOptions::default()
    });
    let addr = crm.addr;
    let (scene, front) = behind(&crm, move |line| {
        pass_on(addr, line);
        Reply::Silence
    });
    let range = range();
    let child = scene.program.spawn(&arguments(&range, &["--yes"]));
    until("the deletion", || crm.stats().deletes > 0);
    signal(&child, "TERM");
    said(
        &scene,
        &finish(child),
        143,
        &shown(AGAIN, 34, HELD),
        "cdrelay: the CRM may have deleted the calls or not: the program was stopped before the CRM answered; the next `cdrelay sync` that covers these days sends what is missing, and the deletion can be repeated\n",
    );
    assert_eq!(deletions(&front).len(), 1);
    assert!(crm.stats().deleted > 0);
    let report = scene.program.sync(&["--full"], 0);
    assert_eq!(report["calls"]["created"], crm.stats().deleted, "{report}");
    golden_at(&scene, &crm);
}
