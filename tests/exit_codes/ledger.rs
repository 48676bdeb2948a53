//! Codes 10 and 12: the ledger.

use super::scene::{Scene, finish, held, pass_on, same, sandbox, until, with, write_bytes};
use super::unruly::{Reply, Unruly};

/// What `init --ledger` says.
const ACCEPTED: &str = "A new, empty ledger stands at DIR/ledger.db.
The next run asks the CRM about every call of its window: none that it has already is doubled, and it may say of each whether it was there. \
Begin with: cdrelay sync --full
";

/// A scene whose calls are all delivered.
fn delivered(crm: &str, seed: u64) -> Scene {
    let scene = Scene::generated(120, seed);
    scene.point_at(crm);
    scene.program.sync(&["--full"], 0);
    scene
}

/// After a look, `init --ledger` accepts an empty ledger, and the run after it creates nothing twice.
#[track_caller]
fn missing(spoil: impl FnOnce(&Scene), stderr: &str) {
    let crm = sandbox();
    let scene = delivered(crm.url.as_str(), 40);
    let golden = scene.golden().len();
    let before = crm.stats();
    spoil(&scene);
    for verb in [
        &["sync"][..],
        &["sync", "--dry-run"],
        &["sync", "--output", "json"],
        &["status"],
        &["calls"],
        &[
            "delete",
            "--from",
            "2026-01-01",
            "--to",
            "2026-01-01",
            "--yes",
        ],
    ] {
        scene.said(&scene.program.run(verb), 10, "", stderr);
    }
    assert_eq!(crm.stats(), before, "nothing was sent");
    scene.said(&scene.program.run(&["init", "--ledger"]), 0, ACCEPTED, "");
    let report = scene.program.sync(&["--full"], 0);
    assert_eq!(report["calls"]["existing"], golden, "{report}");
    assert_eq!(report["calls"]["created"], 0, "{report}");
    scene.check(&crm);
    scene.said(
        &scene.program.run(&["init", "--ledger"]),
        0,
        "Nothing to do: the ledger at DIR/ledger.db is in order and was left as it is.\n",
        "",
    );
    scene.check(&crm);
}

#[test]
fn a_missing_ledger_is_noticed() {
    missing(
        |scene| std::fs::remove_file(scene.program.path("ledger.db")).unwrap(),
        "cdrelay: the ledger `DIR/ledger.db` is missing, but there was one; look for it or for a backup, and if it is lost, run `cdrelay init --ledger`: all calls of the window are then sent again, with today's settings\n",
    );
}

#[test]
fn a_ledger_of_length_zero_is_noticed() {
    missing(
        |scene| write_bytes(&scene.program.path("ledger.db"), b""),
        "cdrelay: the ledger `DIR/ledger.db` is empty, but there was one; look for it or for a backup, and if it is lost, run `cdrelay init --ledger`: all calls of the window are then sent again, with today's settings\n",
    );
}

/// A file that is no usable ledger is refused by every command and left as it is, byte for byte.
#[track_caller]
fn unusable(spoil: impl FnOnce(&Scene), stderr: &str) {
    let crm = sandbox();
    let scene = delivered(crm.url.as_str(), 41);
    let path = scene.program.path("ledger.db");
    let good = std::fs::read(&path).unwrap();
    let before = crm.stats();
    spoil(&scene);
    let bad = std::fs::read(&path).unwrap();
    assert_ne!(good, bad);
    for verb in [
        &["sync"][..],
        &["sync", "--full", "--output", "json"],
        &["sync", "--dry-run"],
        &["init", "--ledger"],
        &[
            "delete",
            "--from",
            "2026-01-01",
            "--to",
            "2026-01-01",
            "--yes",
        ],
        &["calls"],
        &["status"],
    ] {
        scene.said(&scene.program.run(verb), 12, "", stderr);
        assert_eq!(
            std::fs::read(&path).unwrap(),
            bad,
            "{verb:?} left it as it was"
        );
    }
    assert_eq!(crm.stats(), before, "nothing was sent");
    write_bytes(&path, &good);
    let report = scene.settles_at(&crm, str::to_owned);
    assert_eq!(report["calls"]["unchanged"], scene.golden().len());
}

#[test]
fn a_text_file_in_its_place_is_refused() {
    unusable(
        |scene| write_bytes(&scene.program.path("ledger.db"), &[b'-'; 8192]),
        "cdrelay: `DIR/ledger.db` is not a ledger (no SQLite database); it was left as it is: check `ledger.path`, or put a backup in its place\n",
    );
}

#[test]
fn a_truncated_ledger_is_refused() {
    unusable(
        |scene| {
            let path = scene.program.path("ledger.db");
            let bytes = std::fs::read(&path).unwrap();
            write_bytes(&path, &bytes[..bytes.len() / 2]);
        },
        "cdrelay: the ledger `DIR/ledger.db` is damaged; it was left as it is: put a backup in its place, or move it away and run `cdrelay init --ledger`\n",
    );
}

#[test]
fn a_spoilt_header_is_refused() {
    unusable(
        |scene| {
            let path = scene.program.path("ledger.db");
            let mut bytes = std::fs::read(&path).unwrap();
            bytes[3] ^= 0x20;
            write_bytes(&path, &bytes);
        },
        "cdrelay: `DIR/ledger.db` is not a ledger (no SQLite database); it was left as it is: check `ledger.path`, or put a backup in its place\n",
    );
}

#[test]
fn a_newer_schema_is_refused() {
    unusable(
        |scene| {
            let db = rusqlite::Connection::open(scene.program.path("ledger.db")).unwrap();
            db.pragma_update(None, "user_version", 999).unwrap();
        },
        "cdrelay: the ledger `DIR/ledger.db` was written by a newer cdrelay (schema 999, this one knows 5); it was left as it is: run that version\n",
    );
}

#[test]
fn another_programs_database_is_refused() {
    unusable(
        |scene| {
            let path = scene.program.path("ledger.db");
            std::fs::remove_file(&path).unwrap();
            let db = rusqlite::Connection::open(&path).unwrap();
            db.execute_batch(
                "CREATE TABLE contacts (name TEXT); INSERT INTO contacts VALUES ('x')",
            )
            .unwrap();
        },
        "cdrelay: `DIR/ledger.db` is a database of another program; it was left as it is: set `ledger.path` to a file of its own\n",
    );
}

#[test]
fn the_ledger_of_another_place_is_refused() {
    let elsewhere = sandbox();
    let other = delivered(elsewhere.url.as_str(), 42);
    unusable(
        |scene| {
            let bytes = std::fs::read(other.program.path("ledger.db")).unwrap();
            write_bytes(&scene.program.path("ledger.db"), &bytes);
        },
        "cdrelay: the ledger `DIR/ledger.db` is not the one that the lock file beside it names; it was left as it is: put the right one back, or, if this one is meant, remove `DIR/ledger.db.lock`\n",
    );
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let crm = sandbox();
    let scene = Scene::generated(20, 43);
    scene.program.write("file", "");
    scene.point_at_with(crm.url.as_str(), |config| {
        config.replace("ledger.db", "file/ledger.db")
    });
    scene.said(&scene.program.run(&["sync"]), 12, "", "cdrelay: cannot create the directory `DIR/file`; check the disk and `ledger.path`: File exists (os error 17)\n");
    assert_eq!(crm.stats().requests, 0);
    scene.settles_at(&crm, str::to_owned);
}

#[test]
fn a_ledger_that_vanishes_in_mid_run_ends_it() {
    let scene = Scene::generated(400, 44);
    let behind = sandbox();
    let addr = behind.addr;
    let ledger = scene.program.path("ledger.db");
    let crm = Unruly::start(move |n, line| {
        if n == 20 {
            std::fs::remove_file(&ledger).unwrap();
        }
        // Slow enough that many commits are still to come.
        std::thread::sleep(std::time::Duration::from_millis(20));
        pass_on(addr, line)
    });
    scene.point_at_with(&crm.url(), |config| {
        with(config, "target", "concurrency = 4")
    });
    let ran = scene.program.run(&["sync", "--output", "json"]);
    scene.said(&ran, 12, "", "cdrelay: `DIR/ledger.db` was removed or replaced while the ledger was open; find out by whom, and put it back before the next run\n");
    assert!(
        crm.seen().len() < scene.golden().len(),
        "the run ended early"
    );
    scene.said(&scene.program.run(&["sync"]), 10, "", "cdrelay: the ledger `DIR/ledger.db` is missing, but there was one; look for it or for a backup, and if it is lost, run `cdrelay init --ledger`: all calls of the window are then sent again, with today's settings\n");
    scene.said(&scene.program.run(&["init", "--ledger"]), 0, ACCEPTED, "");
    scene.settles_at(&behind, str::to_owned);
}

#[test]
fn a_ledger_that_vanishes_under_a_waiting_request_ends_the_run_too() {
    let scene = Scene::generated(60, 45);
    let crm = Unruly::always(Reply::Silence);
    scene.point_at_with(&crm.url(), |config| {
        with(config, "target", "timeout = \"2s\"")
    });
    let child = scene.program.spawn(&["sync", "--output", "json"]);
    until("the first request", || !crm.seen().is_empty());
    std::fs::remove_file(scene.program.path("ledger.db")).unwrap();
    scene.said(&finish(child), 12, "", "cdrelay: `DIR/ledger.db` was removed or replaced while the ledger was open; find out by whom, and put it back before the next run\n");
    let whole = sandbox();
    scene.point_at(whole.url.as_str());
    scene.said(&scene.program.run(&["sync"]), 10, "", "cdrelay: the ledger `DIR/ledger.db` is missing, but there was one; look for it or for a backup, and if it is lost, run `cdrelay init --ledger`: all calls of the window are then sent again, with today's settings\n");
    scene.said(&scene.program.run(&["init", "--ledger"]), 0, ACCEPTED, "");
    scene.program.sync(&["--full"], 0);
    same(&held(&whole), &scene.golden());
}
