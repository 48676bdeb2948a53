//! Keys that change: calls that collide by today's rules and did not before, and the other way round.

use serde_json::Value;

use super::answers::{arguments, status};
use super::golden::{Row, stamp};
use super::scene::{Scene, held, now, sandbox};

/// Two ways to dial one number in one second: by the rules of the configuration one key, and the answered one is kept.
fn pair() -> Scene {
    let midnight = (now() / 86_400 - 3) * 86_400;
    let row = |dst: &str, disposition, sequence: u64| Row {
        wall: midnight + 36_000,
        src: "7001".to_owned(),
        dst: dst.to_owned(),
        duration: 10 * sequence,
        disposition,
        uniqueid: format!("call-{sequence}"),
        sequence,
        recordingfile: String::new(),
    };
    Scene::of(vec![
        row("92345678", "BUSY", 1),
        row("902122345678", "ANSWERED", 2),
    ])
}

/// Rules that tell the two apart.
fn apart(config: &str) -> String {
    config.replace("0212${EXTEN:1}", "0412${EXTEN:1}")
}

fn days(scene: &Scene) -> [String; 2] {
    let day = stamp(scene.rows[0].wall, ' ')[..10].to_owned();
    [day.clone(), day]
}

#[track_caller]
fn rebuild(scene: &Scene) -> Value {
    let report = scene.program.json(&arguments(&days(scene), &["--yes"]), 0);
    super::program::check_sums(&report["sync"]);
    report["sync"].clone()
}

/// Numbers that the CRM holds calls to, and how many identities are kept out.
#[track_caller]
fn holds(scene: &Scene, crm: &cdrelay::sandbox::RunningSandbox, numbers: &[&str], folded: u64) {
    let mut found: Vec<String> = held(crm).into_keys().map(|key| key.2).collect();
    found.sort();
    assert_eq!(found, numbers);
    assert_eq!(crm.calls().len(), numbers.len());
    assert_eq!(status(scene)["collisions"], folded);
    let listed = scene.program.run(&["calls"]).stdout;
    assert_eq!(
        listed.matches("same key").count() as u64,
        folded,
        "{listed}"
    );
    for _ in 0..2 {
        let report = scene.program.sync(&["--full"], 0);
        assert_eq!(report["requests"]["sent"], 0, "{report}");
        assert_eq!(report["collisions"], folded, "{report}");
    }
}

#[test]
fn calls_that_todays_rules_tell_apart_are_both_sent() {
    let crm = sandbox();
    let scene = pair();
    scene.point_at(crm.url.as_str());
    scene.program.sync(&["--full"], 0);
    holds(&scene, &crm, &["02122345678"], 1);
    // A change of rules alone sends nothing beside what went out frozen.
    scene.point_at_with(crm.url.as_str(), apart);
    holds(&scene, &crm, &["02122345678"], 1);
    let report = rebuild(&scene);
    assert_eq!(report["calls"]["created"], 2, "{report}");
    holds(&scene, &crm, &["02122345678", "04122345678"], 0);
}

#[test]
fn of_calls_that_collide_by_todays_rules_one_is_kept() {
    let crm = sandbox();
    let scene = pair();
    scene.point_at_with(crm.url.as_str(), apart);
    scene.program.sync(&["--full"], 0);
    holds(&scene, &crm, &["02122345678", "04122345678"], 0);
    scene.point_at(crm.url.as_str());
    let report = rebuild(&scene);
    assert_eq!(
        (
            &report["calls"]["created"],
            &report["collisions"],
            &report["rows"]["merged"]
        ),
        (&1.into(), &1.into(), &1.into()),
        "{report}"
    );
    assert_eq!(
        held(&crm).into_values().next().unwrap().0,
        20,
        "the answered one"
    );
    assert_eq!(
        scene.states(),
        [("delivered".to_owned(), 1), ("withdrawn".to_owned(), 1)]
    );
    holds(&scene, &crm, &["02122345678"], 1);
    // And back.
    scene.point_at_with(crm.url.as_str(), apart);
    holds(&scene, &crm, &["02122345678"], 1);
    rebuild(&scene);
    holds(&scene, &crm, &["02122345678", "04122345678"], 0);
    assert_eq!(scene.states(), [("delivered".to_owned(), 2)]);
}

#[test]
fn a_rebuilt_call_that_gets_the_key_of_a_call_elsewhere_is_folded_into_it() {
    let crm = sandbox();
    let midnight = (now() / 86_400 - 6) * 86_400;
    let row = |wall, sequence: u64| Row {
        wall,
        src: "7001".to_owned(),
        dst: "90212345678".to_owned(),
        duration: 10 * sequence,
        disposition: "ANSWERED",
        uniqueid: format!("call-{sequence}"),
        sequence,
        recordingfile: String::new(),
    };
    // 22:00 in Caracas is 02:00 of the next day in UTC, and 02:00 is what was sent for 02:00.
    let scene = Scene::of(vec![
        row(midnight + 86_400 - 7_200, 1),
        row(midnight + 86_400 + 7_200, 2),
    ]);
    scene.point_at_with(crm.url.as_str(), |config| {
        config.replace("initiated_as = \"utc\"", "initiated_as = \"local-z\"")
    });
    scene.program.sync(&["--full"], 0);
    scene.point_at(crm.url.as_str());
    let [first, second] = [0, 1].map(|n| stamp(scene.rows[n].wall, ' ')[..10].to_owned());
    let rebuild = |day: &String| {
        let days = [day.clone(), day.clone()];
        let report = scene.program.json(&arguments(&days, &["--yes"]), 0);
        super::program::check_sums(&report["sync"]);
        report["sync"].clone()
    };
    let report = rebuild(&first);
    assert_eq!(report["collisions"], 1, "{report}");
    let durations = || -> Vec<u64> { held(&crm).into_values().map(|call| call.0).collect() };
    assert_eq!(durations(), [20]);
    let report = scene.program.sync(&["--full"], 0);
    assert_eq!(
        (&report["collisions"], &report["requests"]["sent"]),
        (&1.into(), &0.into())
    );
    // Once the other one has left the key, the call is sent.
    rebuild(&second);
    assert_eq!(durations(), [10, 20]);
    assert_eq!(status(&scene)["collisions"], 0);
    let report = scene.program.sync(&["--full"], 0);
    assert_eq!(
        (&report["collisions"], &report["requests"]["sent"]),
        (&0.into(), &0.into())
    );
}

#[test]
fn a_call_is_sent_itself_where_the_row_of_its_owner_is_gone() {
    let crm = sandbox();
    let scene = pair();
    // Nothing gets through: the owner of the key is due, and never got a verdict.
    scene.point_at(&format!("http://127.0.0.1:{}", super::scene::closed_port()));
    let report = scene.program.sync(&["--full"], 4);
    assert_eq!(report["collisions"], 1, "{report}");
    let db = scene.source();
    db.execute("DELETE FROM cdr WHERE uniqueid = 'call-2'", [])
        .unwrap();
    scene.point_at(crm.url.as_str());
    let report = scene.program.sync(&["--full"], 0);
    assert_eq!(
        (
            &report["calls"]["created"],
            &report["collisions"],
            &report["missing"]["gone"]
        ),
        (&1.into(), &0.into(), &1.into()),
        "{report}"
    );
    assert_eq!(held(&crm).into_values().next().unwrap().0, 10);
    let listed = scene.program.run(&["calls"]).stdout;
    assert!(!listed.contains("same key"), "{listed}");
}
