//! Rows that cdrelay never writes: the ledger is damaged (12), which is no fault of the program (1), and nothing of
//! such a row is sent.

use super::odd_files::failed_lines;
use super::prompt::prompt;
use super::scene::{Scene, sandbox, with};
use super::unruly::{Reply, Unruly};

const IN_USE: &str = "cdrelay: the ledger `DIR/ledger.db` is damaged, as was found while it was in use; from then on nothing was sent: put a backup in its place, or move it away and run `cdrelay init --ledger`";

/// A ledger whose calls are all pending is changed by `sql`; an incremental run ends with 12 and `cause`, having sent
/// nothing, and `check` sees it too.
#[track_caller]
fn nonsense(sql: &str, cause: &str) {
    let scene = Scene::generated(60, 70);
    let down = Unruly::always(Reply::Json(503, String::new()));
    scene.point_at_with(&down.url(), |config| {
        with(config, "target", "concurrency = 2")
    });
    assert_eq!(
        prompt(&scene.program, &["sync", "--max-runtime", "1s"]).code,
        4
    );
    let path = scene.program.path("ledger.db");
    let good = std::fs::read(&path).unwrap();
    let db = rusqlite::Connection::open(&path).unwrap();
    db.pragma_update(None, "ignore_check_constraints", true)
        .unwrap();
    assert!(db.execute(sql, []).unwrap() > 0, "{sql}");
    drop(db);
    let crm = sandbox();
    scene.point_at(crm.url.as_str());
    scene.said(
        &prompt(&scene.program, &["sync"]),
        12,
        "",
        &format!("{IN_USE}{cause}\n"),
    );
    assert_eq!(crm.stats().requests, 0, "nothing was sent");
    let (code, lines) = failed_lines(&scene);
    assert_eq!(
        (code, lines.len(), lines[0].0.as_str()),
        (12, 1, "ledger"),
        "{lines:?}"
    );
    assert!(lines[0].1.contains("is damaged"), "{lines:?}");
    std::fs::write(&path, good).unwrap();
    scene.settles_at(&crm, str::to_owned);
}

#[test]
fn rows_that_cdrelay_never_writes_are_damage() {
    nonsense("UPDATE calls SET state = 9, reason = NULL", "");
    nonsense("UPDATE calls SET reason = 77", "");
    nonsense(
        "UPDATE calls SET fold = 4711",
        ": Integer 4711 out of range at index 1",
    );
    nonsense(
        "UPDATE calls SET source = CAST(x'ff' AS TEXT) WHERE source = (SELECT max(source) FROM calls)",
        ": invalid utf-8 sequence of 1 bytes from index 0 at index 2: invalid utf-8 sequence of 1 bytes from index 0",
    );
    nonsense(
        "UPDATE wire_forms SET url = CAST(x'68c3' AS TEXT)",
        ": incomplete utf-8 byte sequence from index 1 at index 18: incomplete utf-8 byte sequence from index 1",
    );
    nonsense(
        "UPDATE calls SET attempts = -1",
        ": Integer -1 out of range at index 6",
    );
}

#[test]
fn bytes_that_are_not_those_that_were_frozen_are_never_sent() {
    nonsense("UPDATE wire_forms SET destination = '0' || destination", "");
    nonsense("UPDATE wire_forms SET duration = duration + 1", "");
    nonsense(
        "UPDATE wire_forms SET url = 'https://pbx.example.com/x'",
        "",
    );
    nonsense("UPDATE wire_forms SET initiated = ''", "");
    nonsense("DELETE FROM wire_forms", "");
    nonsense("UPDATE calls SET id = id + 1000", "");
}
