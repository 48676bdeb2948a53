//! What becomes of a rebuild: done, refused, unanswered, interrupted, taken up again.

use cdrelay::sandbox::RunningSandbox;
use serde_json::{Value, json};

use super::days::{CARACAS, HELD, configured, day, expected, per_day, range, said, scene};
use super::golden::Golden;
use super::readings::mixed;
use super::scene::{
    Scene, closed_port, finish, held, listing, pass_on, same, sandbox, slow_sandbox, until,
};
use super::unruly::{Reply, Unruly};

/// The arguments that rebuild the named days.
pub fn arguments<'a>(range: &'a [String; 2], more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec!["rebuild", "--from", &range[0], "--to", &range[1]];
    args.extend(more);
    args
}

/// Rebuilds the named days; the report must add up.
#[track_caller]
pub fn rebuild(scene: &Scene, code: i32) -> Value {
    let report = scene.program.json(&arguments(&range(), &["--yes"]), code);
    if !report["sync"].is_null() {
        super::program::check_sums(&report["sync"]);
    }
    report
}

pub fn status(scene: &Scene) -> Value {
    let ran = scene.program.run(&["status", "--output", "json"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    serde_json::from_str(&ran.stdout).unwrap()
}

/// What a rebuild shows before it asks.
fn shown(verify: usize, source: &str) -> String {
    format!(
        "Rebuild all calls of DAY5 to DAY7, both days included, at http://127.0.0.1:PORT/: delete them, and send them again by today's rules, zone, rendering and rows.

  request   from=DAY3 to=DAY9: both dates are exclusive on the wire, and a day wider than usual, so that no call survives that is to be sent in another form
  ledger    39 calls of these days delivered; they are sent again at once
            {verify} calls on either side are sent again as they were, harmless where they still exist
  source    {source}
  warning   the CRM deletes everybody's calls of these days: other PBXs', other configurations', hand-made ones.
            Every other configuration for this CRM has to run afterwards:
            cdrelay --config OTHER sync --resend --since DAY2 --until DAY11

"
    )
}

/// A scene whose calls this CRM holds in local time, labelled as UTC, behind one that handles deletions by itself; then
/// the rendering is mended.
fn behind(
    crm: &RunningSandbox,
    delete: impl Fn(usize, &str) -> Reply + Send + Sync + 'static,
) -> (Scene, Unruly, Golden) {
    let scene = scene();
    let addr = crm.addr;
    let front = Unruly::start(move |n, line| {
        if line.starts_with("GET /direct/items/phonecalls/delete?") {
            delete(n, line)
        } else {
            pass_on(addr, line)
        }
    });
    point(&scene, &front.url(), "local-z");
    scene.program.sync(&["--full"], 0);
    point(&scene, &front.url(), "utc");
    let golden = golden(&scene);
    (scene, front, golden)
}

/// What is to be there after the rebuild.
fn golden(scene: &Scene) -> Golden {
    mixed(scene, (CARACAS, "local-z"), (CARACAS, "utc"))
}

fn point(scene: &Scene, url: &str, rendering: &str) {
    scene.point_at_with(url, |config| configured(config, CARACAS, rendering));
}

#[track_caller]
fn golden_at(crm: &RunningSandbox, golden: &Golden) {
    same(&held(crm), golden);
    assert_eq!(crm.calls().len(), golden.len());
}

fn deletions(front: &Unruly) -> usize {
    let seen = front.seen();
    seen.iter().filter(|line| line.contains("/delete?")).count()
}

fn open(scene: &Scene) -> Value {
    status(scene)["unfinished_deletions"].clone()
}

#[test]
fn it_shows_what_it_does_and_does_what_it_showed() {
    let crm = sandbox();
    let addr = crm.addr;
    let (scene, front, golden) = behind(&crm, move |_, line| pass_on(addr, line));
    let before = listing(scene.program.dir.path());
    let range = range();
    said(
        &scene,
        &scene.program.run(&arguments(&range, &["--dry-run"])),
        0,
        &(shown(60, HELD) + "Dry run: nothing was deleted.\n"),
        "",
    );
    said(
        &scene,
        &scene.program.run(&arguments(&range, &[])),
        2,
        &shown(60, HELD),
        "cdrelay: nobody is there to ask; nothing was deleted; add --yes where that is meant, or --dry-run to look first\n",
    );
    assert_eq!(listing(scene.program.dir.path()), before);
    assert_eq!(deletions(&front), 0);
    let report = rebuild(&scene, 0);
    assert_eq!(
        front
            .seen()
            .iter()
            .find(|line| line.contains("/delete?"))
            .unwrap(),
        &format!(
            "GET /direct/items/phonecalls/delete?token=sandbox&from={}&to={} HTTP/1.1",
            day(3),
            day(9)
        )
    );
    assert_eq!(report["main"], 3 * per_day());
    assert_eq!(report["deleted"], 5 * per_day());
    assert_eq!(report["wire"], json!({"from": day(3), "to": day(9)}));
    assert_eq!(report["sync"]["mode"], "rebuild");
    assert_eq!(report["exit"], report["sync"]["exit"]);
    golden_at(&crm, &golden);
    let runs = status(&scene)["runs"].clone();
    assert_eq!(runs[0]["mode"], "rebuild", "{runs}");
    assert_eq!(runs[0]["run_id"], report["sync"]["run_id"]);
}

#[test]
fn a_refusal_or_a_crm_that_is_not_reached_puts_everything_back() {
    let crm = sandbox();
    let (scene, front, _) = behind(&crm, |_, _| {
        Reply::Json(200, r#"{"error":true,"errors":{"from":"no"}}"#.to_owned())
    });
    let before = (scene.listed(), held(&crm));
    let report = rebuild(&scene, 3);
    assert_eq!(
        report["exit"]["reason"],
        "the CRM refused the deletion, and nothing was deleted: from: no"
    );
    assert_eq!(
        (&report["deleted"], &report["sync"]),
        (&Value::Null, &Value::Null)
    );
    point(
        &scene,
        &format!("http://127.0.0.1:{}", closed_port()),
        "utc",
    );
    let report = rebuild(&scene, 4);
    assert_eq!(
        report["exit"]["reason"],
        "the CRM was not reached, and nothing was deleted: no connection to the CRM: tcp connect error: Connection refused (os error 111); try again later"
    );
    assert_eq!((scene.listed(), held(&crm)), before);
    assert_eq!(open(&scene), json!([]));
    point(&scene, &front.url(), "utc");
    let report = scene.program.sync(&["--full"], 0);
    assert_eq!(report["requests"]["sent"], 0, "{report}");
}

#[test]
fn the_next_sync_finishes_a_rebuild_whose_answer_was_lost() {
    // The first deletion was done and its answer lost; was lost itself; failed at the CRM.
    for first in 0..3 {
        let crm = sandbox();
        let addr = crm.addr;
        let asked = std::sync::atomic::AtomicUsize::new(0);
        let (scene, front, golden) = behind(&crm, move |_, line| {
            if asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst) > 0 {
                return pass_on(addr, line);
            }
            match first {
                0 => {
                    pass_on(addr, line);
                    Reply::Close
                }
                1 => Reply::Close,
                _ => Reply::Json(500, String::new()),
            }
        });
        let report = rebuild(&scene, 4);
        let reason = report["exit"]["reason"].as_str().unwrap();
        assert!(
            reason.ends_with("; the next `cdrelay sync` deletes them again and sends them; only then let other configurations run theirs"),
            "{reason}"
        );
        let sentence = format!(
            "a rebuild of {} to {}: the deletion is not confirmed",
            day(5),
            day(7)
        );
        assert_eq!(open(&scene), json!([sentence]));
        let frozen = scene.listed();
        assert!(frozen.iter().all(|call| call["pending"] != "rebuild"));
        let report = scene.program.sync(&["--dry-run"], 0);
        assert!(report["rebuilds"].is_null(), "{report}");
        // Whatever its window, and before it: this one holds none of the days.
        let report = scene.program.sync(&["--since", &day(15)], 0);
        assert_eq!(report["calls"]["total"], 0, "{report}");
        let rebuilt = &report["rebuilds"][0];
        assert_eq!(rebuilt["sync"]["mode"], "rebuild", "{report}");
        assert_eq!(
            (&rebuilt["from"], &rebuilt["to"]),
            (&json!(day(5)), &json!(day(7)))
        );
        super::program::check_sums(&rebuilt["sync"]);
        assert_eq!(deletions(&front), 2);
        golden_at(&crm, &golden);
        assert_eq!(open(&scene), json!([]));
        let report = scene.program.sync(&["--full"], 0);
        assert_eq!(report["requests"]["sent"], 0, "{report}");
    }
}

#[test]
fn a_deletion_that_is_refused_when_repeated_sends_the_calls_as_they_were() {
    let crm = sandbox();
    let addr = crm.addr;
    let asked = std::sync::atomic::AtomicUsize::new(0);
    let (scene, _front, golden) = behind(&crm, move |_, line| {
        match asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
            0 => {
                pass_on(addr, line);
                Reply::Close
            }
            1 => Reply::Json(200, r#"{"error":true,"errors":{"from":"no"}}"#.to_owned()),
            _ => pass_on(addr, line),
        }
    });
    rebuild(&scene, 4);
    let report = scene.program.sync(&["--since", &day(15)], 3);
    assert_eq!(
        report["exit"]["reason"],
        format!(
            "the CRM refused to repeat the deletion of {} to {}: from: no; their calls are sent again as they were; rebuild them once more",
            day(5),
            day(7)
        )
    );
    golden_at(&crm, &expected(&scene, CARACAS, "local-z"));
    assert_eq!(open(&scene), json!([]));
    rebuild(&scene, 0);
    golden_at(&crm, &golden);
}

#[test]
fn a_crm_that_does_not_answer_deletions_does_not_keep_new_calls_out() {
    let crm = sandbox();
    let (scene, front, _) = behind(&crm, |_, _| Reply::Json(500, String::new()));
    rebuild(&scene, 4);
    for _ in 0..2 {
        let report = scene.program.sync(&["--full"], 4);
        assert_eq!(report["calls"]["pending"], 0, "{report}");
        assert_eq!(
            report["exit"]["reason"],
            format!(
                "the deletion for the rebuild of {} to {} is not confirmed: the CRM answered 500 (server error); the next `cdrelay sync` goes on with it",
                day(5),
                day(7)
            )
        );
    }
    golden_at(&crm, &expected(&scene, CARACAS, "local-z"));
    assert_eq!(deletions(&front), 3);
    // A deletion that covers its days ends it.
    point(&scene, crm.url.as_str(), "utc");
    let range = range();
    scene
        .program
        .json(&super::days::arguments(&range, &["--yes"]), 0);
    scene.program.sync(&["--since", &day(15)], 0);
    assert_eq!(open(&scene), json!([]));
    golden_at(&crm, &expected(&scene, CARACAS, "local-z"));
}

#[test]
fn a_kill_at_the_deletion_is_mended_by_the_next_sync() {
    for done in [false, true] {
        let crm = sandbox();
        let addr = crm.addr;
        let asked = std::sync::atomic::AtomicUsize::new(0);
        let (scene, front, golden) = behind(&crm, move |_, line| {
            if asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst) > 0 {
                return pass_on(addr, line);
            }
            if done {
                pass_on(addr, line);
            }
            Reply::Silence
        });
        let range = range();
        let mut child = scene.program.spawn(&arguments(&range, &["--yes"]));
        until("the deletion", || {
            deletions(&front) > 0 && (crm.stats().deletes > 0) == done
        });
        child.kill().unwrap();
        assert_eq!(finish(child).code, -1);
        scene.program.sync(&["--since", &day(15)], 0);
        golden_at(&crm, &golden);
        assert_eq!(open(&scene), json!([]));
    }
}

#[test]
fn a_kill_while_the_calls_are_sent_is_mended_by_the_next_sync() {
    let scene = scene();
    let crm = slow_sandbox(40);
    scene.point_at_with(crm.url.as_str(), |config| {
        configured(config, CARACAS, "local-z").replace("[ledger]", "concurrency = 1\n[ledger]")
    });
    // Slow on purpose: only the days around the rebuild.
    scene
        .program
        .sync(&["--since", &day(4), "--until", &day(8)], 0);
    scene.point_at_with(crm.url.as_str(), |config| {
        configured(config, CARACAS, "utc").replace("[ledger]", "concurrency = 1\n[ledger]")
    });
    let before = crm.stats();
    let range = range();
    let mut child = scene.program.spawn(&arguments(&range, &["--yes"]));
    until("some calls", || crm.stats().created >= before.created + 5);
    child.kill().unwrap();
    assert_eq!(finish(child).code, -1);
    let sentence = format!(
        "a rebuild of {} to {}: its calls are not all sent again",
        day(5),
        day(7)
    );
    assert_eq!(open(&scene), json!([sentence]));
    let deletes = crm.stats().deletes;
    let report = scene.program.sync(&["--since", &day(15)], 0);
    assert_eq!(report["rebuilds"][0]["deleted"], Value::Null, "{report}");
    assert_eq!(crm.stats().deletes, deletes, "confirmed once is enough");
    scene.program.sync(&["--full"], 0);
    // Days that were never sent before go by today's settings.
    let known = |golden: &Golden| golden.len();
    let all = held(&crm);
    assert_eq!(known(&all), scene.rows.len());
    assert_eq!(crm.calls().len(), all.len());
    let utc = expected(&scene, CARACAS, "utc");
    let (first, last) = (day(5), day(7));
    for row in &scene.rows {
        let date = super::golden::stamp(row.wall, ' ')[..10].to_owned();
        if (first.clone()..=last.clone()).contains(&date) {
            let (key, _) = utc.iter().find(|(_, call)| call.0 == row.duration).unwrap();
            assert!(all.contains_key(key), "{key:?}");
        }
    }
}

#[test]
fn a_crm_that_goes_down_after_the_deletion_gets_its_calls_from_the_next_sync() {
    let crm = sandbox();
    let addr = crm.addr;
    let scene = scene();
    let down = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let front = Unruly::start({
        let down = std::sync::Arc::clone(&down);
        move |_, line| {
            let delete = line.contains("/delete?");
            if down.load(std::sync::atomic::Ordering::SeqCst) {
                return Reply::Json(503, String::new());
            }
            if delete {
                down.store(true, std::sync::atomic::Ordering::SeqCst);
            }
            pass_on(addr, line)
        }
    });
    point(&scene, &front.url(), "local-z");
    scene.program.sync(&["--full"], 0);
    point(&scene, &front.url(), "utc");
    let report = rebuild(&scene, 4);
    let reason = report["exit"]["reason"].as_str().unwrap();
    assert!(
        reason.ends_with("; the next `cdrelay sync` finishes the rebuild"),
        "{reason}"
    );
    down.store(false, std::sync::atomic::Ordering::SeqCst);
    scene.program.sync(&["--since", &day(15)], 0);
    golden_at(&crm, &golden(&scene));
    assert_eq!(open(&scene), json!([]));
}

#[test]
fn rebuilds_and_deletions_over_an_open_rebuild_lose_nothing() {
    let lost = || {
        let crm = sandbox();
        let addr = crm.addr;
        let asked = std::sync::atomic::AtomicUsize::new(0);
        let (scene, front, golden) = behind(&crm, move |_, line| {
            let reply = pass_on(addr, line);
            match asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
                0 => Reply::Close,
                _ => reply,
            }
        });
        rebuild(&scene, 4);
        (crm, scene, front, golden)
    };
    // Once more: one rebuild is left, and it is finished at once.
    let (crm, scene, front, golden) = lost();
    rebuild(&scene, 0);
    assert_eq!(open(&scene), json!([]));
    golden_at(&crm, &golden);
    assert_eq!(deletions(&front), 2);
    // One that overlaps: both are finished.
    let (crm, scene, front, _) = lost();
    let (from, to) = (day(7), day(8));
    scene
        .program
        .json(&["rebuild", "--from", &from, "--to", &to, "--yes"], 0);
    scene.program.sync(&["--since", &day(15)], 0);
    assert_eq!(open(&scene), json!([]));
    assert_eq!(deletions(&front), 3);
    let utc = expected(&scene, CARACAS, "utc");
    let before = expected(&scene, CARACAS, "local-z");
    let mut both: Golden = utc
        .iter()
        .filter(|(_, (duration, _))| {
            let row = &scene.rows[usize::try_from(*duration).unwrap() - 1];
            (day(5)..=day(8)).contains(&super::golden::stamp(row.wall, ' ')[..10].to_owned())
        })
        .map(|(key, call)| (key.clone(), call.clone()))
        .collect();
    let rebuilt: Vec<u64> = both.values().map(|call| call.0).collect();
    both.extend(
        before
            .into_iter()
            .filter(|(_, call)| !rebuilt.contains(&call.0)),
    );
    golden_at(&crm, &both);
    // For good: the days stay out, and the days around them come back.
    let (crm, scene, _front, golden) = lost();
    let range = range();
    scene
        .program
        .json(&super::days::arguments(&range, &["--yes", "--for-good"]), 0);
    scene.program.sync(&["--since", &day(15)], 0);
    assert_eq!(open(&scene), json!([]));
    scene.program.sync(&["--full"], 0);
    let named = expected(&scene, CARACAS, "utc");
    let without: Golden = golden
        .into_iter()
        .filter(|(key, call)| named.get(key) != Some(call))
        .collect();
    golden_at(&crm, &without);
}
