//! What is refused before any request, and what changes nothing.

use super::days::{
    AGAIN, CARACAS, FOR_GOOD, HELD, arguments, configured, day, per_day, range, said, scene, shown,
};
use super::scene::{listing, sandbox};

#[test]
fn wrong_days_are_refused_before_any_request() {
    let crm = sandbox();
    let scene = scene();
    scene.point_at(crm.url.as_str());
    scene.program.sync(&["--full"], 0);
    let (before, stats) = (listing(scene.program.dir.path()), crm.stats());
    let delete = |from: &str, to: &str, stderr: &str| {
        let ran = scene
            .program
            .run(&["delete", "--from", from, "--to", to, "--yes"]);
        said(&scene, &ran, 2, "", stderr);
    };
    delete(
        "2026-03-04",
        "2026-03-02",
        "cdrelay: --from 2026-03-04 is after --to 2026-03-02; give the earlier day first, nothing was deleted\n",
    );
    let time = "has a time of day; only whole days can be given here, as `2026-11-20`";
    let no_day = "is no day; write it as `2026-11-20` (year, month, day)";
    for (text, why) in [
        ("2026-03-02 10:00", format!("`2026-03-02 10:00` {time}")),
        (
            "2026-03-02T10:00:00Z",
            format!("`2026-03-02T10:00:00Z` {time}"),
        ),
        (
            "2026-02-30",
            "there is no day 2026-02-30 in the calendar".to_owned(),
        ),
        (
            "2025-02-29",
            "there is no day 2025-02-29 in the calendar".to_owned(),
        ),
        ("02.03.2026", format!("`02.03.2026` {no_day}")),
        ("20260302", format!("`20260302` {no_day}")),
        ("2026-3-2", format!("`2026-3-2` {no_day}")),
        ("\u{202e}", format!("`\\u{{202e}}` {no_day}")),
        ("", format!("`` {no_day}")),
    ] {
        delete(text, "2026-03-04", &format!("cdrelay: --from: {why}\n"));
        delete("2025-03-02", text, &format!("cdrelay: --to: {why}\n"));
    }
    // The day before would go over the wire as a negative year.
    delete(
        "0000-01-01",
        "0000-01-02",
        "cdrelay: these days cannot be deleted: the day before the first or after the last does not exist, or the CRM offers no \
         deletion\n",
    );
    assert_eq!(crm.stats(), stats);
    assert_eq!(listing(scene.program.dir.path()), before);
}

#[test]
fn nobody_there_to_ask_is_a_refusal() {
    let crm = sandbox();
    let scene = scene();
    scene.point_at(crm.url.as_str());
    scene.program.sync(&["--full"], 0);
    let stats = crm.stats();
    let range = range();
    let ran = scene.program.run(&arguments(&range, &["--output", "json"]));
    said(
        &scene,
        &ran,
        2,
        "",
        "cdrelay: nobody is there to ask; nothing was deleted; add --yes where that is meant, or --dry-run to look first\n",
    );
    assert_eq!(crm.stats(), stats);
    scene.check(&crm);
}

#[test]
fn a_dry_run_shows_and_changes_nothing() {
    let crm = sandbox();
    let scene = scene();
    scene.point_at_with(crm.url.as_str(), |config| {
        configured(config, CARACAS, "local")
    });
    let ran = scene.program.run(&arguments(&range(), &["--dry-run"]));
    assert_eq!(
        ran.code, 0,
        "before the first run there is nothing to delete: {ran:?}"
    );
    assert!(!scene.program.path("ledger.db").exists());
    assert!(!scene.program.path("ledger.db.lock").exists());
    scene.program.sync(&["--full"], 0);
    let (before, stats) = (listing(scene.program.dir.path()), crm.stats());
    let range = range();
    let report = scene.program.json(&arguments(&range, &["--dry-run"]), 0);
    assert_eq!(
        report,
        serde_json::json!({
            "job": "cdrelay", "from": day(5), "to": day(7), "wire": {"from": day(4), "to": day(8)},
            "dry_run": true, "for_good": false, "main": 3 * per_day(), "verify": report["verify"], "lost": 0,
            "deleted": null, "reading": null, "exit": {"code": 0, "reason": "dry run: nothing was deleted"},
        })
    );
    assert!(
        report["verify"].as_u64().unwrap() >= 2 * per_day() as u64,
        "{report}"
    );
    said(
        &scene,
        &scene.program.run(&arguments(&range, &["--dry-run"])),
        0,
        &(shown(AGAIN, 34, HELD) + "Dry run: nothing was deleted.\n"),
        "",
    );
    said(
        &scene,
        &scene
            .program
            .run(&arguments(&range, &["--dry-run", "--for-good"])),
        0,
        &(shown(FOR_GOOD, 34, HELD) + "Dry run: nothing was deleted.\n"),
        "",
    );
    assert_eq!(listing(scene.program.dir.path()), before);
    assert_eq!(crm.stats(), stats);
}

#[test]
fn calls_that_nobody_could_send_again_are_not_deleted() {
    let crm = sandbox();
    let mut scene = scene();
    let local = |config: &str| configured(config, CARACAS, "local");
    scene.point_at_with(crm.url.as_str(), local);
    scene.program.sync(&["--full"], 0);
    // Two calls of a named day and one of the day before are gone from the PBX.
    let gone: Vec<String> = scene
        .rows
        .iter()
        .filter(|row| {
            let at = super::golden::stamp(row.wall, ' ');
            at == format!("{} 00:00:01", day(6))
                || at == format!("{} 12:00:01", day(6))
                || at == format!("{} 12:00:01", day(4))
        })
        .map(|row| row.uniqueid.clone())
        .collect();
    assert_eq!(gone.len(), 3);
    for uniqueid in &gone {
        scene
            .source()
            .execute("DELETE FROM cdr WHERE uniqueid = ?1", [uniqueid])
            .unwrap();
    }
    let stats = crm.stats();
    let range = range();
    said(
        &scene,
        &scene.program.run(&arguments(&range, &["--yes"])),
        2,
        &shown(
            AGAIN,
            34,
            "does not hold 3 calls any more, which could never be sent again",
        ),
        "cdrelay: the source does not hold 3 calls any more that the CRM has, so nobody could send what is lost again; nothing was deleted; repeat with --allow-loss if that may go\n",
    );
    // For good, the named days are meant to go; the day before is not.
    said(
        &scene,
        &scene
            .program
            .run(&arguments(&range, &["--yes", "--for-good"])),
        2,
        &shown(
            FOR_GOOD,
            34,
            "does not hold 1 call any more, which could never be sent again",
        ),
        "cdrelay: the source does not hold 1 call any more that the CRM has, so nobody could send what is lost again; nothing was deleted; repeat with --allow-loss if that may go\n",
    );
    assert_eq!(crm.stats(), stats);
    let report = scene
        .program
        .json(&arguments(&range, &["--yes", "--allow-loss"]), 0);
    assert_eq!(report["lost"], 3);
    assert_eq!(report["deleted"], 3 * per_day());
    scene.program.sync(&["--full"], 0);
    let on_named_days = |uniqueid: &String| {
        let row = scene
            .rows
            .iter()
            .find(|row| row.uniqueid == *uniqueid)
            .unwrap();
        super::golden::stamp(row.wall, ' ').starts_with(&day(6))
    };
    let lost: Vec<String> = gone.into_iter().filter(on_named_days).collect();
    scene.rows.retain(|row| !lost.contains(&row.uniqueid));
    super::scene::same(
        &super::scene::held(&crm),
        &super::days::expected(&scene, CARACAS, "local"),
    );
}
