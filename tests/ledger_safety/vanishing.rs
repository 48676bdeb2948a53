//! A ledger that is taken away while a run has it open, at random instants.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::prompt::prompt;
use super::scene::{Scene, finish, pass_on, sandbox, until, with};
use super::soak::{self, Chance};
use super::unruly::Unruly;

/// What is done to the ledger, what the run says, and whether the next one misses the ledger.
struct Fate {
    name: &'static str,
    act: fn(&Path),
    said: &'static str,
    missed: bool,
}

const GONE: &str = "`DIR/ledger.dbSUFFIX` was removed or replaced while the ledger was open; find out by whom, and put it back before the next run";

const FATES: &[Fate] = &[
    Fate {
        name: "removed",
        act: |path| std::fs::remove_file(path).unwrap(),
        said: "",
        missed: true,
    },
    Fate {
        name: "renamed",
        act: |path| std::fs::rename(path, path.with_extension("away")).unwrap(),
        said: "",
        missed: true,
    },
    Fate {
        name: "replaced",
        act: |path| {
            // What a backup of the moment before the run would be.
            std::fs::rename(path.with_extension("backup"), path).unwrap();
        },
        said: "",
        missed: false,
    },
    Fate {
        name: "cut",
        act: |path| {
            std::fs::OpenOptions::new()
                .write(true)
                .truncate(true)
                .open(path)
                .unwrap();
        },
        said: "cut",
        missed: true,
    },
    Fate {
        name: "log removed",
        act: |path| remove_beside(path, "db-wal"),
        said: "-wal",
        missed: false,
    },
    Fate {
        name: "index removed",
        act: |path| remove_beside(path, "db-shm"),
        said: "-shm",
        missed: false,
    },
    Fate {
        name: "lock removed",
        act: |path| std::fs::remove_file(path.with_extension("db.lock")).unwrap(),
        said: ".lock",
        missed: false,
    },
];

/// A run that is just ending may have removed it first.
fn remove_beside(path: &Path, extension: &str) {
    match std::fs::remove_file(path.with_extension(extension)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => panic!("{error}"),
        Ok(()) | Err(_) => {}
    }
}

#[test]
fn a_ledger_taken_away_at_any_instant_ends_the_run_and_loses_nothing() {
    let rounds = soak::count(14, 210);
    let mut random = Chance(0x004c_6564_6765);
    let mut most_after = 0;
    let mut late = 0;
    for round in 0..rounds {
        let fate = &FATES[round % FATES.len()];
        let (sent_after, ended_before) = taken_away(fate, round as u64, &mut random);
        most_after = most_after.max(sent_after);
        late += usize::from(ended_before);
    }
    assert_eq!(late, 0, "runs that ended before it");
    soak::note(
        "ledger taken away while open",
        rounds,
        &format!(
            "noticed in {} runs ({late} had ended before), at most {most_after} requests after it, 0 lost",
            rounds - late
        ),
    );
}

/// Gives how many requests left afterwards, and whether the run had done its work before.
#[track_caller]
fn taken_away(fate: &Fate, round: u64, random: &mut Chance) -> (usize, bool) {
    let scene = Scene::generated(160, 100 + round);
    let behind = sandbox();
    let addr = behind.addr;
    // From one request on none is answered before it has happened: it happens while the run is at work.
    let last = Arc::new(AtomicUsize::new(usize::MAX));
    let crm = Unruly::start({
        let last = Arc::clone(&last);
        move |n, line| {
            std::thread::sleep(Duration::from_millis(4));
            until("it has happened", || n < last.load(Ordering::SeqCst));
            pass_on(addr, line)
        }
    });
    scene.point_at_with(&crm.url(), |config| {
        with(config, "target", "concurrency = 4")
    });
    // An older run, so that there is something to put back.
    let first = super::golden::stamp(scene.rows[20].wall, ' ');
    scene.program.sync(&["--full", "--until", &first], 0);
    let path = scene.program.path("ledger.db");
    std::fs::copy(&path, path.with_extension("backup")).unwrap();
    let before = crm.seen().len();
    let all = scene.golden().len();
    let at = (before + 2 + random.below(80)).min(all - 2);
    last.store((at + 16).min(all - 2), Ordering::SeqCst);
    let child = scene.program.spawn(&["sync", "--full"]);
    until("that many requests", || crm.seen().len() >= at);
    std::thread::sleep(Duration::from_micros(random.below(8_000) as u64));
    (fate.act)(&path);
    last.store(usize::MAX, Ordering::SeqCst);
    let seen = crm.seen().len();
    let ran = finish(child);
    let sent_after = crm.seen().len() - seen;
    let ended_before = ran.code == 0;
    if !ended_before {
        let said = if fate.said == "cut" {
            "`DIR/ledger.db` was cut short while the ledger was open; find out by whom, and put a backup of the ledger in its place before the next run".to_owned()
        } else {
            GONE.replace("SUFFIX", fate.said)
        };
        let error = ran
            .stderr
            .replace(&scene.program.dir.path().display().to_string(), "DIR");
        assert_eq!(
            (ran.code, error),
            (12, format!("cdrelay: {said}\n")),
            "{}",
            fate.name
        );
        // Those in flight, whose answers are the next commit, and those that leave while a slow disk makes it.
        assert!(
            sent_after <= 48,
            "{}: {sent_after} requests left after it",
            fate.name
        );
        if fate.missed {
            for verb in [&["sync"][..], &["status"], &["check"]] {
                let ran = prompt(&scene.program, verb);
                assert_eq!(ran.code, 10, "{}: {verb:?}: {ran:?}", fate.name);
            }
            if fate.name == "renamed" && round.is_multiple_of(2) {
                std::fs::rename(path.with_extension("away"), &path).unwrap();
            } else {
                assert_eq!(prompt(&scene.program, &["init", "--ledger"]).code, 0);
            }
        }
    }
    if ended_before && fate.missed {
        assert_eq!(prompt(&scene.program, &["init", "--ledger"]).code, 0);
    }
    let report = scene.settles_at(&behind, str::to_owned);
    assert!(report["calls"]["total"].as_u64() > Some(0));
    (sent_after, ended_before)
}
