//! A ledger put back from a backup, or without its log: what it no longer knows is sent again, with the same bytes, and
//! a CRM that keys calls holds each once.

use super::prompt::prompt;
use super::scene::{Scene, finish, listing, sandbox, signal, until, with, write_bytes};
use super::unruly::{Reply, Unruly};

#[test]
fn an_older_backup_sends_again_what_it_does_not_know_and_doubles_nothing() {
    let crm = sandbox();
    let scene = Scene::generated(300, 80);
    scene.point_at(crm.url.as_str());
    // The backup knows of the first half.
    let middle = &scene.rows[150];
    let day = super::golden::stamp(middle.wall, ' ');
    scene.program.sync(&["--full", "--until", &day], 0);
    let path = scene.program.path("ledger.db");
    let backup = std::fs::read(&path).unwrap();
    let first = crm.stats().created;
    scene.program.sync(&["--full"], 0);
    assert!(first > 50 && first < crm.stats().created);
    let all = crm.stats();
    write_bytes(&path, &backup);
    let report = scene.settles_at(&crm, str::to_owned);
    assert_eq!(report["calls"]["unchanged"], first, "{report}");
    assert_eq!(report["calls"]["created"], 0, "{report}");
    assert_eq!(report["calls"]["existing"], all.created - first, "{report}");
}

/// A run that is killed leaves its log; `spoil` does something to it. The next run works all the same.
#[track_caller]
fn killed_with_a_log(spoil: impl FnOnce(&Scene)) {
    let crm = sandbox();
    let scene = Scene::generated(200, 81);
    let addr = crm.addr;
    let through = Unruly::start(move |n, line| {
        if n < 40 {
            super::scene::pass_on(addr, line)
        } else {
            Reply::Silence
        }
    });
    scene.point_at_with(&through.url(), |config| {
        with(config, "target", "concurrency = 4")
    });
    let child = scene.program.spawn(&["sync"]);
    until("forty answers", || through.seen().len() > 40);
    signal(&child, "KILL");
    assert_eq!(finish(child).code, -1);
    let log = scene.program.path("ledger.db-wal");
    assert!(std::fs::metadata(&log).unwrap().len() > 0, "it has a log");
    spoil(&scene);
    scene.settles_at(&crm, str::to_owned);
    let names: Vec<String> = listing(scene.program.dir.path()).into_keys().collect();
    assert!(
        !names.iter().any(|name| name == "ledger.db-wal"),
        "{names:?}"
    );
}

#[test]
fn a_log_that_a_kill_left_is_taken_up_whole_cut_or_lost() {
    let log = |scene: &Scene| scene.program.path("ledger.db-wal");
    killed_with_a_log(|_| {});
    killed_with_a_log(|scene| std::fs::remove_file(log(scene)).unwrap());
    killed_with_a_log(|scene| std::fs::remove_file(scene.program.path("ledger.db-shm")).unwrap());
    for cut in [0, 1, 31, 32, 5000, 9001] {
        killed_with_a_log(|scene| {
            let bytes = std::fs::read(log(scene)).unwrap();
            write_bytes(&log(scene), &bytes[..cut.min(bytes.len())]);
        });
    }
    killed_with_a_log(|scene| {
        let mut bytes = std::fs::read(log(scene)).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x10;
        write_bytes(&log(scene), &bytes);
    });
}

#[test]
fn a_refused_ledger_keeps_its_log_too() {
    let crm = sandbox();
    let scene = Scene::generated(60, 82);
    scene.point_at(crm.url.as_str());
    scene.program.sync(&["--full"], 0);
    let path = scene.program.path("ledger.db");
    // What a newer version wrote just before it was killed: the schema's number stands in the log alone.
    let db = rusqlite::Connection::open(&path).unwrap();
    db.set_db_config(
        rusqlite::config::DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE,
        true,
    )
    .unwrap();
    db.pragma_update(None, "user_version", 99).unwrap();
    drop(db);
    let log = scene.program.path("ledger.db-wal");
    let (file, commits) = (std::fs::read(&path).unwrap(), std::fs::read(&log).unwrap());
    assert!(!commits.is_empty());
    for verb in [
        &["sync"][..],
        &["sync", "--dry-run"],
        &["status"],
        &["check"],
        &["init", "--ledger"],
    ] {
        let ran = prompt(&scene.program, verb);
        assert_eq!(ran.code, 12, "{verb:?}: {ran:?}");
        assert_eq!(std::fs::read(&path).unwrap(), file, "{verb:?}");
        assert_eq!(std::fs::read(&log).unwrap(), commits, "{verb:?}");
    }
    scene.said(&prompt(&scene.program, &["sync"]), 12, "", "cdrelay: the ledger `DIR/ledger.db` was written by a newer cdrelay (schema 99, this one knows 5); it was left as it is: run that version\n");
    std::fs::remove_file(&log).unwrap();
    scene.settles_at(&crm, str::to_owned);
}
