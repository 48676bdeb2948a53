//! Calls that are due, and rows that the source does not give any more.

use serde_json::json;

use super::answers::{arguments, rebuild, status};
use super::days::{CARACAS, configured, day, expected, range, scene};
use super::golden::{Row, stamp};
use super::scene::{Scene, closed_port, held, now, same, sandbox, with};

fn three() -> Scene {
    let midnight = (now() / 86_400 - 3) * 86_400;
    let rows = (1..=3).map(|sequence| Row {
        wall: midnight + 36_000 + i64::try_from(sequence).unwrap(),
        src: "7001".to_owned(),
        dst: format!("9021255500{sequence}"),
        duration: 10,
        disposition: "ANSWERED",
        uniqueid: format!("call-{sequence}"),
        sequence,
        recordingfile: String::new(),
    });
    Scene::of(rows.collect())
}

#[test]
fn a_due_call_without_a_row_is_never_sent_and_never_forgotten() {
    let crm = sandbox();
    let scene = three();
    scene.point_at(&format!("http://127.0.0.1:{}", closed_port()));
    scene.program.sync(&["--full"], 4);
    scene
        .source()
        .execute("DELETE FROM cdr WHERE uniqueid = 'call-1'", [])
        .unwrap();
    // Behind the last row that is left, too: the last one is left out now.
    let excluding = |config: &str| with(config, "select", "exclude = [\"90212555003\"]");
    scene.point_at_with(crm.url.as_str(), excluding);
    for created in [1, 0] {
        let report = scene.program.sync(&["--full"], 0);
        assert_eq!(report["calls"]["created"], created, "{report}");
        assert_eq!(report["calls"]["total"], 1, "{report}");
        assert_eq!(
            report["missing"],
            json!({"gone": 1, "left_out": 1, "withdrawn": 0}),
            "{report}"
        );
    }
    let day = stamp(scene.rows[0].wall, ' ')[..10].to_owned();
    let listed = scene.program.run(&["calls", "--state", "pending"]).stdout;
    assert_eq!(
        listed.replace(&day, "DAY"),
        "pending     DAY 10:00:01  7001 -> 90212555001 (as 0212555001)  [retry]  [row gone]  no connection to the CRM: tcp connect error: Connection refused (os error 111)\n\
         pending     DAY 10:00:03  7001 -> 90212555003 (as 0212555003)  [retry]  [row left out]  no connection to the CRM: tcp connect error: Connection refused (os error 111)\n"
    );
    assert_eq!(status(&scene)["missing"], json!({"gone": 1, "left_out": 1}));
    let text = scene.program.run(&["status"]).stdout;
    assert!(
        text.contains("    no row      1 (due, and the source does not hold the row any more: not sent)\n    no row      1 (due, and the row is left out now: not sent)\n"),
        "{text}"
    );
    let text = scene.program.run(&["sync", "--full"]).stdout;
    assert!(
        text.contains("  no row    1 call due, and the source does not hold the row any more: not sent; `cdrelay calls --state pending` marks them; they are sent where the rows come back, else forgotten after `ledger.retention`\n"),
        "{text}"
    );
    // The row is back, and taken in again.
    super::golden::inserts("cdr", &scene.rows[..1])
        .iter()
        .for_each(|insert| scene.source().execute_batch(insert).unwrap());
    scene.point_at(crm.url.as_str());
    let report = scene.program.sync(&["--full"], 0);
    assert_eq!(report["missing"]["gone"], 0, "{report}");
    scene.check(&crm);
    assert_eq!(status(&scene)["missing"], json!({"gone": 0, "left_out": 0}));
}

#[test]
fn a_rebuild_withdraws_what_has_no_row_and_sends_it_when_the_row_is_back() {
    let crm = sandbox();
    let scene = scene();
    let url = crm.url.as_str();
    scene.point_at_with(url, |config| configured(config, CARACAS, "utc"));
    scene.program.sync(&["--full"], 0);
    let golden = held(&crm);
    let gone: Vec<Row> = scene
        .rows
        .iter()
        .filter(|row| stamp(row.wall, ' ').starts_with(&day(6)))
        .take(2)
        .cloned()
        .collect();
    for row in &gone {
        scene
            .source()
            .execute("DELETE FROM cdr WHERE uniqueid = ?1", [&row.uniqueid])
            .unwrap();
    }
    let range = range();
    let ran = scene.program.run(&arguments(&range, &["--yes"]));
    assert_eq!(ran.code, 2, "{ran:?}");
    same(&held(&crm), &golden);
    let report = scene
        .program
        .json(&arguments(&range, &["--yes", "--allow-loss"]), 0);
    assert_eq!(report["lost"], 2, "{report}");
    assert_eq!(
        report["sync"]["missing"],
        json!({"gone": 0, "left_out": 0, "withdrawn": 2}),
        "{report}"
    );
    assert_eq!(crm.calls().len(), golden.len() - 2);
    assert!(scene.states().contains(&("withdrawn".to_owned(), 2)));
    assert_eq!(status(&scene)["unfinished_deletions"], json!([]));
    for insert in super::golden::inserts("cdr", &gone) {
        scene.source().execute_batch(&insert).unwrap();
    }
    let report = scene.program.sync(&["--full"], 0);
    assert_eq!(report["calls"]["created"], 2, "{report}");
    same(&held(&crm), &golden);
}

#[test]
fn what_todays_rules_drop_is_withdrawn_until_they_do_not() {
    let crm = sandbox();
    let scene = scene();
    let url = crm.url.as_str();
    scene.point_at_with(url, |config| configured(config, CARACAS, "utc"));
    scene.program.sync(&["--full"], 0);
    let golden = expected(&scene, CARACAS, "utc");
    let dropping = |config: &str| {
        configured(config, CARACAS, "utc").replace(
            "[[rules]]\nname = \"local\"",
            "[[rules]]\nname = \"none\"\nmatch = \"_90212.\"\ndrop = true\n\n[[rules]]\nname = \"local\"",
        )
    };
    scene.point_at_with(url, dropping);
    let report = rebuild(&scene, 0);
    let per_day = super::days::per_day();
    let dropped = &report["sync"]["rows"]["skipped"]["dropped_by_rule"];
    assert_eq!(*dropped, 3 * per_day, "{report}");
    assert_eq!(crm.calls().len(), golden.len() - 3 * per_day);
    assert!(
        scene
            .states()
            .contains(&("withdrawn".to_owned(), 3 * per_day))
    );
    let report = scene.program.sync(&["--full"], 0);
    assert_eq!(report["requests"]["sent"], 0, "{report}");
    scene.point_at_with(url, |config| configured(config, CARACAS, "utc"));
    let report = scene.program.sync(&["--full"], 0);
    assert_eq!(report["calls"]["created"], 3 * per_day, "{report}");
    same(&held(&crm), &golden);
}
