//! Two runs never overlap: whoever does not get the lock ends with 11 having sent nothing, and the lock dies with its
//! holder.

use std::os::unix::fs::symlink;
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cdrelay::sandbox::RunningSandbox;

use super::program::Ran;
use super::prompt::prompt;
use super::scene::{Scene, finish, pass_on, sandbox, signal, until};
use super::soak;
use super::unruly::{Reply, Unruly};

const HELD: &str = "cdrelay: another run holds the lock `DIR/ledger.db.lock`; try again later, or wait for it with `--wait`\n";

/// A CRM that answers nobody until its gate is opened: whoever sends to it holds the lock for as long as a test likes.
struct Gated {
    crm: Unruly,
    open: Arc<AtomicBool>,
}

impl Gated {
    fn before(behind: &RunningSandbox) -> Self {
        let open = Arc::new(AtomicBool::new(false));
        let addr = behind.addr;
        let gate = Arc::clone(&open);
        let crm = Unruly::start(move |_, line| {
            let since = Instant::now();
            while !gate.load(Ordering::SeqCst) {
                if since.elapsed() > Duration::from_secs(60) {
                    return Reply::Close;
                }
                std::thread::sleep(Duration::from_millis(2));
            }
            pass_on(addr, line)
        });
        Self { crm, open }
    }

    fn open(&self) {
        self.open.store(true, Ordering::SeqCst);
    }
}

impl Drop for Gated {
    fn drop(&mut self) {
        self.open();
    }
}

/// A scene with a holder that has sent its first request and gets no answer.
fn held(scene: &Scene, gated: &Gated) -> Child {
    scene.point_at(&gated.crm.url());
    let holder = scene.program.spawn(&["sync", "--full"]);
    until("the holder's request", || !gated.crm.seen().is_empty());
    holder
}

#[test]
fn of_twenty_at_once_one_works_and_the_others_end_having_sent_nothing() {
    let rounds = soak::count(5, 100);
    let mut slowest = Duration::ZERO;
    let mut refused = 0;
    for round in 0..rounds {
        let (took, turned_away) = twenty(round);
        slowest = slowest.max(took);
        refused += turned_away;
    }
    soak::note(
        "20 runs at once",
        rounds,
        &format!(
            "one worked, {refused} ended with 11 having sent nothing, the slowest of them {} ms after its start",
            slowest.as_millis()
        ),
    );
}

/// Gives how long the slowest of those took that did not get the lock, and how many these were.
#[track_caller]
fn twenty(round: usize) -> (Duration, usize) {
    let scene = Scene::generated(40, 200 + round as u64);
    let behind = sandbox();
    scene.point_at(behind.url.as_str());
    // There is something to delete, and a ledger for `init` to find in order.
    let first = super::golden::stamp(scene.rows[20].wall, ' ');
    scene.program.sync(&["--full", "--until", &first], 0);
    let day = first[..10].to_owned();
    let gated = Gated::before(&behind);
    scene.point_at(&gated.crm.url());
    let delete = [
        "delete",
        "--from",
        &day,
        "--to",
        &day,
        "--yes",
        "--allow-loss",
    ];
    let mut running: Vec<(&str, Instant, Child)> = (0..20)
        .map(|n| {
            let verb: &[&str] = match (n + round) % 7 {
                5 => &delete,
                6 => &["init", "--ledger"],
                odd if odd % 2 == 1 => &["sync", "--full"],
                _ => &["sync"],
            };
            (verb[0], Instant::now(), scene.program.spawn(verb))
        })
        .collect();
    let mut slowest = Duration::ZERO;
    let mut turned_away = 0;
    // The holder waits for the gate: that all others end before it opens is the proof that none of them waits.
    until("nineteen have ended", || {
        let mut still = Vec::new();
        for (verb, since, mut child) in std::mem::take(&mut running) {
            if child.try_wait().unwrap().is_none() {
                still.push((verb, since, child));
                continue;
            }
            let took = since.elapsed();
            let ran = finish(child);
            if verb == "init" && ran.code == 0 {
                assert!(ran.stdout.starts_with("Nothing to do"), "{ran:?}");
            } else {
                scene.said(&ran, 11, "", HELD);
                slowest = slowest.max(took);
                turned_away += 1;
            }
        }
        running = still;
        running.len() <= 1 && !gated.crm.seen().is_empty()
    });
    let (_, _, holder) = running.pop().expect("one works");
    assert_eq!(gated.crm.seen().len(), 1, "one alone has sent");
    if round.is_multiple_of(2) {
        gated.open();
        let ran = finish(holder);
        assert_eq!(ran.code, 0, "{ran:?}");
    } else {
        signal(&holder, "KILL");
        assert_eq!(finish(holder).code, -1);
        // What it had sent arrives, a deletion too, before anything is sent after it.
        let arrived = || behind.stats().requests + behind.stats().deletes;
        let before = arrived();
        gated.open();
        until("its request", || arrived() > before);
        // At once, without a look at who it was.
        scene.point_at(behind.url.as_str());
        let ran = prompt(&scene.program, &["sync"]);
        assert_eq!(ran.code, 0, "{ran:?}");
    }
    drop(gated);
    scene.settles_at(&behind, str::to_owned);
    (slowest, turned_away)
}

#[test]
fn a_stopped_holder_still_holds() {
    let scene = Scene::generated(40, 301);
    let behind = sandbox();
    let gated = Gated::before(&behind);
    let holder = held(&scene, &gated);
    signal(&holder, "STOP");
    for _ in 0..3 {
        scene.said(&prompt(&scene.program, &["sync"]), 11, "", HELD);
    }
    scene.said(
        &prompt(&scene.program, &["sync", "--wait", "300ms"]),
        11,
        "",
        HELD,
    );
    assert_eq!(gated.crm.seen().len(), 1);
    signal(&holder, "CONT");
    gated.open();
    let ran = finish(holder);
    assert_eq!(ran.code, 0, "{ran:?}");
    scene.settles_at(&behind, str::to_owned);
}

#[test]
fn every_name_of_a_ledger_has_one_lock() {
    let scene = Scene::generated(40, 302);
    let behind = sandbox();
    let gated = Gated::before(&behind);
    let dir = scene.program.dir.path();
    let holder = held(&scene, &gated);
    symlink("ledger.db", dir.join("link.db")).unwrap();
    symlink("link.db", dir.join("link of link.db")).unwrap();
    symlink(dir.join("ledger.db"), dir.join("absolute link.db")).unwrap();
    symlink(dir, dir.join("same")).unwrap();
    std::fs::create_dir(dir.join("sub")).unwrap();
    symlink("../ledger.db", dir.join("sub/up.db")).unwrap();
    let absolute = dir.join("ledger.db").display().to_string();
    for name in [
        "ledger.db",
        "./ledger.db",
        "sub/../ledger.db",
        "same/ledger.db",
        "same/same/sub/../ledger.db",
        "link.db",
        "same/link.db",
        "link of link.db",
        "absolute link.db",
        "sub/up.db",
        &absolute,
    ] {
        scene.point_at_with(&gated.crm.url(), |config| {
            config.replace("\"ledger.db\"", &format!("\"{name}\""))
        });
        for verb in [&["sync"][..], &["init", "--ledger"]] {
            let ran = prompt(&scene.program, verb);
            assert_eq!(ran.code, 11, "{name}: {ran:?}");
        }
    }
    assert_eq!(gated.crm.seen().len(), 1);
    gated.open();
    assert_eq!(finish(holder).code, 0);
    // And one ledger: what was recorded under one name is known under the other.
    let report = scene.settles_at(&behind, |config| {
        config.replace("\"ledger.db\"", "\"link of link.db\"")
    });
    assert_eq!(report["calls"]["unchanged"], scene.golden().len());
}

#[test]
fn what_stands_in_the_lock_file_locks_nobody_out() {
    // A process number, as programs write it that know no kernel locks; this one's, which lives.
    let scene = Scene::generated(40, 303);
    let crm = sandbox();
    scene
        .program
        .write("ledger.db.lock", &format!("{}\n", std::process::id()));
    scene.point_at(crm.url.as_str());
    // It is no empty file, so there was a ledger.
    assert_eq!(prompt(&scene.program, &["sync"]).code, 10);
    assert_eq!(prompt(&scene.program, &["init", "--ledger"]).code, 0);
    scene.settles_at(&crm, str::to_owned);
}

/// Whether the kernel has this process in the queue of a lock; `None` where it does not say.
fn is_queued(child: &Child) -> Option<bool> {
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    let id = child.id().to_string();
    Some(
        locks
            .lines()
            .any(|line| line.contains("->") && line.split_whitespace().any(|word| word == id)),
    )
}

#[test]
fn those_who_wait_get_the_lock_in_the_order_in_which_they_came() {
    let scene = Scene::generated(40, 304);
    let behind = sandbox();
    let gated = Gated::before(&behind);
    let holder = held(&scene, &gated);
    if is_queued(&holder).is_none() {
        println!("/proc/locks cannot be read here: the order of waiting runs is not tested");
        signal(&holder, "KILL");
        finish(holder);
        return;
    }
    let days = ["2026-01-04", "2026-01-02", "2026-01-03", "2026-01-01"];
    let waiting: Vec<Child> = days
        .iter()
        .map(|day| {
            let child = scene
                .program
                .spawn(&["sync", "--wait", "60s", "--since", day]);
            until("it waits in the kernel", || is_queued(&child) == Some(true));
            child
        })
        .collect();
    scene.said(&prompt(&scene.program, &["sync"]), 11, "", HELD);
    assert_eq!(gated.crm.seen().len(), 1, "who waits sends nothing");
    signal(&holder, "KILL");
    finish(holder);
    gated.open();
    let ended: Vec<Ran> = waiting.into_iter().map(finish).collect();
    for ran in &ended {
        assert_eq!(ran.code, 0, "{ran:?}");
    }
    let db = rusqlite::Connection::open(scene.program.path("ledger.db")).unwrap();
    let runs: Vec<String> = db
        .prepare("SELECT date(since, 'unixepoch') FROM runs WHERE id > 1 ORDER BY id")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    drop(db);
    assert_eq!(runs, days);
    scene.settles_at(&behind, str::to_owned);
}

#[test]
fn a_signal_ends_a_run_that_waits() {
    let scene = Scene::generated(40, 305);
    let behind = sandbox();
    let gated = Gated::before(&behind);
    let holder = held(&scene, &gated);
    let waiting = scene.program.spawn(&["sync", "--wait", "1h"]);
    // Its handlers stand before it looks for the lock.
    until("it waits", || is_queued(&waiting).unwrap_or(true));
    signal(&waiting, "TERM");
    scene.said(
        &finish(waiting),
        143,
        "",
        "cdrelay: stopped by SIGTERM before anything was sent\n",
    );
    assert_eq!(gated.crm.seen().len(), 1);
    gated.open();
    assert_eq!(finish(holder).code, 0);
    scene.settles_at(&behind, str::to_owned);
}
