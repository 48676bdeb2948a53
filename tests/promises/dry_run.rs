//! `--dry-run`: reads, plans and reports; sends nothing, writes nothing.

use super::scene::{Scene, listing, sandbox};

#[test]
fn before_the_first_run_it_leaves_no_trace() {
    let scene = Scene::generated(200, 20);
    let crm = sandbox();
    scene.point_at(crm.url.as_str());
    let before = listing(scene.program.dir.path());
    for args in [
        &["--dry-run"][..],
        &["--dry-run", "--full"],
        &["--dry-run", "--resend"],
    ] {
        let report = scene.program.sync(args, 0);
        assert_eq!(report["calls"]["pending"], scene.golden().len(), "{report}");
        assert_eq!(report["calls"]["total"], scene.golden().len(), "{report}");
        assert_eq!(
            (&report["run_id"], &report["dry_run"]),
            (&0.into(), &true.into()),
            "{report}"
        );
        assert_eq!(report["requests"]["sent"], 0, "{report}");
    }
    scene.said(&scene.program.run(&["sync", "--dry-run"]), 0, "Dry run: 145 calls would be sent, of 145.

  window    SINCE to UNTIL (America/Caracas), incremental
  rows      200 read; left out: 21 with a short destination, 7 without a caller's number; 27 folded into another row of the same call
  calls     145: 145 pending
  same key  11 calls with the start, source and destination of another; the CRM keeps one of each: `cdrelay calls` lists them
  requests  none
  time      TIME
", "");
    assert_eq!(crm.stats().requests, 0);
    assert_eq!(crm.stats().connections, 0);
    assert_eq!(listing(scene.program.dir.path()), before);
}

#[test]
fn beside_a_ledger_it_writes_nothing() {
    let mut scene = Scene::generated(400, 21);
    let crm = sandbox();
    scene.point_at(crm.url.as_str());
    // Half of the rows come later.
    let late = scene.rows.split_off(200);
    scene
        .source()
        .execute("DELETE FROM cdr WHERE sequence > 200", [])
        .unwrap();
    scene.program.sync(&["--full"], 0);
    scene.check(&crm);
    for insert in super::golden::inserts("cdr", &late) {
        scene.source().execute_batch(&insert).unwrap();
    }
    let known = scene.golden().len();
    scene.rows.extend(late);
    let (before, stats) = (listing(scene.program.dir.path()), crm.stats());
    let report = scene.program.sync(&["--dry-run"], 0);
    let due = scene.golden().len() - known;
    assert_eq!(report["calls"]["pending"], due, "{report}");
    assert_eq!(report["calls"]["unchanged"], known, "{report}");
    scene.said(&scene.program.run(&["sync", "--dry-run"]), 0, "Dry run: 143 calls would be sent, of 272.

  window    SINCE to UNTIL (America/Caracas), incremental
  rows      400 read; left out: 47 with a short destination, 16 without a caller's number; 65 folded into another row of the same call
  calls     272: 129 unchanged, 143 pending
  same key  18 calls with the start, source and destination of another; the CRM keeps one of each: `cdrelay calls` lists them
  requests  none
  time      TIME
", "");
    let report = scene.program.sync(&["--dry-run", "--resend"], 0);
    assert_eq!(report["calls"]["pending"], scene.golden().len(), "{report}");
    for verb in [&["calls"][..], &["status"], &["explain", "92853348"]] {
        assert_eq!(scene.program.run(verb).code, 0);
    }
    assert_eq!(listing(scene.program.dir.path()), before);
    assert_eq!(crm.stats(), stats);
    scene.settles_at(&crm, str::to_owned);
}
