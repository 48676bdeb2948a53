//! Callers that withhold their number.

use super::golden::{Golden, Row, stamp};
use super::scene::{Scene, held, now, same, sandbox, with};

const SOURCES: [&str; 6] = ["7001", "", "Anonymous", "7002", "  ", "anonymous"];

fn scene() -> Scene {
    let begun = now() - 86_400;
    Scene::of(
        SOURCES
            .iter()
            .enumerate()
            .map(|(i, src)| Row {
                wall: begun + i as i64 * 60 - 4 * 3600,
                src: (*src).to_owned(),
                dst: format!("90414555000{i}"),
                duration: 10,
                disposition: "ANSWERED",
                uniqueid: format!("{}.{i}", begun + i as i64 * 60),
                sequence: i as u64,
                recordingfile: String::new(),
            })
            .collect(),
    )
}

/// What the CRM must hold where the callers go out like this; `None`: not at all.
fn expected(scene: &Scene, sources: [Option<&str>; 6]) -> Golden {
    scene
        .rows
        .iter()
        .zip(sources)
        .filter_map(|(row, source)| {
            let initiated = stamp(row.wall + 4 * 3600, 'T') + "Z";
            Some((
                (initiated, source?.to_owned(), row.dst[1..].to_owned()),
                (10, None),
            ))
        })
        .collect()
}

#[test]
fn an_empty_source_is_skipped_and_counted() {
    let scene = scene();
    let crm = sandbox();
    scene.point_at(crm.url.as_str());
    let report = scene.program.sync(&[], 0);
    let sent = expected(
        &scene,
        [
            Some("7001"),
            None,
            Some("Anonymous"),
            Some("7002"),
            None,
            Some("anonymous"),
        ],
    );
    same(&held(&crm), &sent);
    assert_eq!(report["rows"]["skipped"]["no_source"], 2, "{report}");
}

#[test]
fn texts_that_mean_withheld_are_set_by_the_user() {
    let scene = scene();
    let crm = sandbox();
    scene.point_at_with(crm.url.as_str(), |config| {
        with(config, "select", "withheld = [\"anonymous\"]")
    });
    let report = scene.program.sync(&[], 0);
    same(
        &held(&crm),
        &expected(&scene, [Some("7001"), None, None, Some("7002"), None, None]),
    );
    assert_eq!(report["rows"]["skipped"]["no_source"], 4, "{report}");
}

#[test]
fn empty_source_names_what_is_sent_instead() {
    let scene = scene();
    let crm = sandbox();
    let all = |config: &str| {
        with(
            &with(config, "select", "withheld = [\"anonymous\"]"),
            "target",
            "empty_source = \"0000\"",
        )
    };
    // First without: the calls are left out, and no ledger entry keeps them out later.
    scene.point_at(crm.url.as_str());
    scene.program.sync(&[], 0);
    scene.point_at_with(crm.url.as_str(), all);
    let report = scene.program.sync(&[], 0);
    assert_eq!(report["rows"]["skipped"]["no_source"], 0, "{report}");
    assert_eq!(report["calls"]["created"], 2, "{report}");
    assert_eq!(
        report["drift"], 2,
        "those that went out as `Anonymous` stay: {report}"
    );
    same(
        &held(&crm),
        &expected(
            &scene,
            [
                Some("7001"),
                Some("0000"),
                Some("Anonymous"),
                Some("7002"),
                Some("0000"),
                Some("anonymous"),
            ],
        ),
    );
}
