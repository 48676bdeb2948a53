//! What may stand where the ledger, its log or its lock belong. Every verb says the same, none hangs, nothing is sent,
//! nothing is changed, and `check` shows it on one line with the code that `sync` gives.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::prompt::prompt;
use super::scene::{Scene, listing, sandbox, write_bytes};

const DELETE: &[&str] = &[
    "delete",
    "--from",
    "2026-01-01",
    "--to",
    "2026-01-01",
    "--yes",
];

/// The verbs that need the ledger, but `init`.
const VERBS: &[&[&str]] = &[
    &["sync"],
    &["sync", "--full"],
    &["sync", "--dry-run"],
    &["calls"],
    &["status"],
    DELETE,
];

const INIT: &[&str] = &["init", "--ledger"];

/// A scene whose calls are all delivered, and a CRM that has them.
fn delivered(crm: &str) -> Scene {
    let scene = Scene::generated(40, 60);
    scene.point_at(crm);
    scene.program.sync(&["--full"], 0);
    scene
}

/// What `check` says about the ledger or the lock: its lines that failed, and its code.
#[track_caller]
pub fn failed_lines(scene: &Scene) -> (i32, Vec<(String, String)>) {
    let ran = prompt(&scene.program, &["check", "--output", "json"]);
    let directory = scene.program.dir.path().display().to_string();
    let object: Value =
        serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    let lines = object["checks"].as_array().unwrap();
    for what in ["lock", "ledger"] {
        let found = lines.iter().filter(|line| line["check"] == what).count();
        assert_eq!(found, 1, "{what} has one line: {object}");
    }
    assert_eq!(object["exit"]["code"], ran.code, "{object}");
    let failed = lines
        .iter()
        .filter(|line| line["result"] == "failed")
        .map(|line| {
            let text = line["text"].as_str().unwrap().replace(&directory, "DIR");
            (line["check"].as_str().unwrap().to_owned(), text)
        })
        .collect();
    (ran.code, failed)
}

/// Names and kinds of everything in a directory, with the content of files.
fn contents(directory: &Path) -> Vec<(String, String, Vec<u8>)> {
    let mut found: Vec<_> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let kind = entry.file_type().unwrap();
            let bytes = if kind.is_file() {
                std::fs::read(entry.path()).unwrap()
            } else {
                Vec::new()
            };
            let name = entry.file_name().into_string().unwrap();
            (name, format!("{kind:?}"), bytes)
        })
        .collect();
    found.sort();
    found
}

/// Every verb refuses what stands there, `init --ledger` included, and leaves all as it is.
#[track_caller]
fn refused(spoil: impl FnOnce(&Path), stderr: &str) {
    let crm = sandbox();
    let scene = delivered(crm.url.as_str());
    let directory = scene.program.dir.path().to_owned();
    let good = directory.join("kept");
    std::fs::create_dir(&good).unwrap();
    for file in ["ledger.db", "ledger.db.lock"] {
        std::fs::copy(directory.join(file), good.join(file)).unwrap();
    }
    let before = crm.stats();
    spoil(&directory);
    let spoilt = contents(&directory);
    for verb in VERBS.iter().chain([&INIT]) {
        scene.said(&prompt(&scene.program, verb), 12, "", stderr);
        assert_eq!(contents(&directory), spoilt, "{verb:?} leaves all as it is");
    }
    assert_eq!(crm.stats(), before, "nothing was sent");
    let (code, lines) = failed_lines(&scene);
    assert_eq!(code, 12, "{lines:?}");
    let said = stderr.trim_end().trim_start_matches("cdrelay: ");
    assert!(
        lines.iter().any(|(_, text)| text.ends_with(said)),
        "{lines:?}"
    );
    assert_eq!(contents(&directory), spoilt, "check leaves all as it is");
    // Somebody clears up, and puts the ledger back.
    for name in [
        "ledger.db",
        "ledger.db-wal",
        "ledger.db-shm",
        "ledger.db.lock",
    ] {
        let path = directory.join(name);
        match path.symlink_metadata() {
            Ok(data) if data.is_dir() => std::fs::remove_dir(&path).unwrap(),
            Ok(_) => std::fs::remove_file(&path).unwrap(),
            Err(_) => {}
        }
    }
    for file in ["ledger.db", "ledger.db.lock"] {
        std::fs::copy(good.join(file), directory.join(file)).unwrap();
    }
    let report = scene.settles_at(&crm, str::to_owned);
    assert_eq!(report["calls"]["unchanged"], scene.golden().len());
}

fn fifo(path: &Path) {
    let made = Command::new("mkfifo").arg(path).status().unwrap();
    assert!(made.success());
}

const NO_FILE: &str = "cdrelay: `DIR/ledger.db` is not a file; set `ledger.path` to a file\n";
const LOCK_NO_FILE: &str = "cdrelay: `DIR/ledger.db.lock` is not a file, and a file of this name belongs to the ledger; move it away\n";

#[test]
fn a_directory_in_its_place_is_refused() {
    refused(
        |dir| {
            std::fs::remove_file(dir.join("ledger.db")).unwrap();
            std::fs::create_dir(dir.join("ledger.db")).unwrap();
        },
        NO_FILE,
    );
}

#[test]
fn a_pipe_in_its_place_is_refused_and_nobody_waits_for_it() {
    refused(
        |dir| {
            std::fs::remove_file(dir.join("ledger.db")).unwrap();
            fifo(&dir.join("ledger.db"));
        },
        NO_FILE,
    );
}

#[test]
fn a_link_to_a_device_is_refused() {
    refused(
        |dir| {
            std::fs::remove_file(dir.join("ledger.db")).unwrap();
            symlink("/dev/null", dir.join("ledger.db")).unwrap();
        },
        NO_FILE,
    );
    assert!(!Path::new("/dev/null.lock").exists());
}

#[test]
fn a_link_to_itself_is_refused() {
    refused(
        |dir| {
            std::fs::remove_file(dir.join("ledger.db")).unwrap();
            symlink("other.db", dir.join("ledger.db")).unwrap();
            symlink("ledger.db", dir.join("other.db")).unwrap();
        },
        "cdrelay: `DIR/ledger.db` is a symbolic link that leads back to itself; set `ledger.path` to a file\n",
    );
}

#[test]
fn a_link_into_a_directory_that_is_not_mounted_is_refused() {
    refused(
        |dir| {
            std::fs::remove_file(dir.join("ledger.db")).unwrap();
            symlink("disk/ledger.db", dir.join("ledger.db")).unwrap();
        },
        "cdrelay: `DIR/ledger.db` is a symbolic link to `DIR/disk/ledger.db`, whose directory is missing; mount its disk, or set `ledger.path` to another file\n",
    );
}

#[test]
fn a_lock_that_is_a_directory_is_refused() {
    refused(
        |dir| {
            std::fs::remove_file(dir.join("ledger.db.lock")).unwrap();
            std::fs::create_dir(dir.join("ledger.db.lock")).unwrap();
        },
        LOCK_NO_FILE,
    );
}

#[test]
fn a_lock_that_is_a_pipe_is_refused_and_nobody_waits_for_it() {
    refused(
        |dir| {
            std::fs::remove_file(dir.join("ledger.db.lock")).unwrap();
            fifo(&dir.join("ledger.db.lock"));
        },
        LOCK_NO_FILE,
    );
}

#[test]
fn a_lock_that_links_to_a_file_of_somebody_else_never_overwrites_it() {
    refused(
        |dir| {
            std::fs::remove_file(dir.join("ledger.db.lock")).unwrap();
            std::fs::write(dir.join("precious"), "precious").unwrap();
            symlink("precious", dir.join("ledger.db.lock")).unwrap();
        },
        LOCK_NO_FILE,
    );
}

#[test]
fn a_header_that_says_otherwise_is_refused() {
    // Without its log; in another encoding; with an older schema than any.
    for (at, value) in [(19, 1), (59, 2), (63, 0)] {
        refused(
            |dir| {
                let path = dir.join("ledger.db");
                let mut bytes = std::fs::read(&path).unwrap();
                bytes[at] = value;
                write_bytes(&path, &bytes);
            },
            "cdrelay: the ledger `DIR/ledger.db` is damaged; it was left as it is: put a backup in its place, or move it away and run `cdrelay init --ledger`\n",
        );
    }
}

/// A missing or emptied ledger is code 10 for every verb, and `check` says so on one line.
#[track_caller]
fn gone(spoil: impl FnOnce(&Path), file: &str, how: &str) {
    let crm = sandbox();
    let scene = delivered(crm.url.as_str());
    let before = crm.stats();
    spoil(scene.program.dir.path());
    let said = format!(
        "the ledger `DIR/{file}` {how}, but there was one; look for it or for a backup, and if it is lost, run `cdrelay init --ledger`: all calls of the window are then sent again, with today's settings"
    );
    for verb in VERBS {
        scene.said(
            &prompt(&scene.program, verb),
            10,
            "",
            &format!("cdrelay: {said}\n"),
        );
    }
    assert_eq!(crm.stats(), before, "nothing was sent");
    let line = ("ledger".to_owned(), format!("DIR/ledger.db: {said}"));
    assert_eq!(failed_lines(&scene), (10, vec![line]));
    assert_eq!(prompt(&scene.program, INIT).code, 0);
    scene.settles_at(&crm, str::to_owned);
}

#[test]
fn a_ledger_that_is_gone_is_missed_by_every_verb() {
    gone(
        |dir| std::fs::remove_file(dir.join("ledger.db")).unwrap(),
        "ledger.db",
        "is missing",
    );
    gone(
        |dir| write_bytes(&dir.join("ledger.db"), b""),
        "ledger.db",
        "is empty",
    );
    // A link whose file is gone: the lock beside the file knows of it.
    gone(
        |dir| {
            std::fs::create_dir(dir.join("disk")).unwrap();
            std::fs::rename(dir.join("ledger.db.lock"), dir.join("disk/real.db.lock")).unwrap();
            std::fs::remove_file(dir.join("ledger.db")).unwrap();
            symlink("disk/real.db", dir.join("ledger.db")).unwrap();
        },
        "disk/real.db",
        "is missing",
    );
}

/// What stands beside the ledger does no harm: every verb works, and the next full run finds all as it was.
#[track_caller]
fn harmless(spoil: impl FnOnce(&Path)) {
    let crm = sandbox();
    let scene = delivered(crm.url.as_str());
    spoil(scene.program.dir.path());
    for verb in [&["calls"][..], &["status"], &["check"], &["sync"], INIT] {
        let ran = prompt(&scene.program, verb);
        assert_eq!(ran.code, 0, "{verb:?}: {ran:?}");
    }
    let report = scene.settles_at(&crm, str::to_owned);
    assert_eq!(report["calls"]["unchanged"], scene.golden().len());
}

#[test]
fn garbage_beside_a_sound_ledger_does_no_harm() {
    let garbage: Vec<u8> = (0..40_000_u32).map(|n| (n * 37 % 251) as u8).collect();
    for name in [
        "ledger.db-wal",
        "ledger.db-shm",
        "ledger.db-journal",
        "ledger.db.new",
        "ledger.db.new-wal",
    ] {
        harmless(|dir| write_bytes(&dir.join(name), &garbage));
        harmless(|dir| write_bytes(&dir.join(name), b""));
    }
    // Half an id: the ledger says which one it is.
    harmless(|dir| write_bytes(&dir.join("ledger.db.lock"), &garbage));
    harmless(|dir| write_bytes(&dir.join("ledger.db.lock"), b"4711\n"));
}

#[test]
fn a_first_run_takes_no_notice_of_an_unfinished_ledger() {
    let crm = sandbox();
    let scene = Scene::generated(40, 61);
    write_bytes(&scene.program.path("ledger.db.new"), &[7; 9000]);
    write_bytes(&scene.program.path("ledger.db.new-wal"), &[7; 9000]);
    scene.settles_at(&crm, str::to_owned);
    let names: Vec<String> = listing(scene.program.dir.path()).into_keys().collect();
    assert!(
        !names.iter().any(|name| name.contains(".new")),
        "it is cleared away: {names:?}"
    );
}

#[test]
fn a_link_to_the_ledger_is_the_ledger() {
    let crm = sandbox();
    let scene = delivered(crm.url.as_str());
    let dir = scene.program.dir.path();
    std::fs::create_dir(dir.join("disk")).unwrap();
    for suffix in ["", ".lock"] {
        std::fs::rename(
            dir.join(format!("ledger.db{suffix}")),
            dir.join(format!("disk/real.db{suffix}")),
        )
        .unwrap();
    }
    symlink("disk/real.db", dir.join("link.db")).unwrap();
    symlink("link.db", dir.join("ledger.db")).unwrap();
    let report = scene.settles_at(&crm, str::to_owned);
    assert_eq!(report["calls"]["unchanged"], scene.golden().len());
    assert!(
        dir.join("ledger.db").is_symlink(),
        "the link was not replaced"
    );
    let names: Vec<String> = listing(&dir.join("disk")).into_keys().collect();
    assert_eq!(names, ["real.db", "real.db.lock"]);
    // Where the file is not there yet, it is made where the link leads.
    for name in names {
        std::fs::remove_file(dir.join("disk").join(name)).unwrap();
    }
    scene.settles_at(&crm, str::to_owned);
    assert!(dir.join("ledger.db").is_symlink());
    assert!(dir.join("disk/real.db").is_file());
}

#[test]
fn two_jobs_share_a_ledger_and_know_nothing_of_each_other() {
    let crm = sandbox();
    let scene = delivered(crm.url.as_str());
    let other = sandbox();
    scene.point_at_with(other.url.as_str(), |config| {
        format!("job = \"other\"\n{config}")
    });
    let report = scene.program.sync(&["--full"], 0);
    assert_eq!(report["calls"]["created"], scene.golden().len());
    scene.check(&other);
    let report = scene.settles_at(&crm, str::to_owned);
    assert_eq!(report["calls"]["unchanged"], scene.golden().len());
}

#[test]
fn a_new_ledger_is_made_with_its_directory_and_a_check_makes_neither() {
    let crm = sandbox();
    let scene = Scene::generated(20, 62);
    scene.point_at_with(crm.url.as_str(), |config| {
        config.replace("\"ledger.db\"", "\"new/place/ledger.db\"")
    });
    let before = listing(scene.program.dir.path());
    let (code, lines) = failed_lines(&scene);
    assert_eq!((code, lines), (0, Vec::new()));
    assert_eq!(listing(scene.program.dir.path()), before);
    let ran = prompt(&scene.program, INIT);
    assert_eq!(ran.code, 0, "{ran:?}");
    scene.program.sync(&["--full"], 0);
    scene.check(&crm);
}

#[test]
fn a_place_that_cannot_be_made_is_seen_by_check() {
    let crm = sandbox();
    let scene = Scene::generated(20, 63);
    scene.program.write("file", "");
    scene.point_at_with(crm.url.as_str(), |config| {
        config.replace("\"ledger.db\"", "\"file/ledger.db\"")
    });
    assert_eq!(prompt(&scene.program, &["sync"]).code, 12);
    assert_eq!(crm.stats().requests, 0);
    let (code, lines) = failed_lines(&scene);
    assert_eq!(code, 12, "{lines:?}");
    assert_eq!(
        lines[0],
        (
            "lock".to_owned(),
            "cannot create the directory `DIR/file`; check the disk and `ledger.path`: not a directory"
                .to_owned()
        )
    );
}
