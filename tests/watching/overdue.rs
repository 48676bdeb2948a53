//! `--quiet` and `monitor.alert_after`: silence about what heals by itself, until it has not for too long.

use cdrelay::ledger::LedgerLock;

use super::program::Ran;
use super::scene::{Scene, sandbox, with};
use super::unruly::{Reply, Unruly};

/// Makes everything that the ledger remembers of runs, and of its own birth, so many seconds older.
pub fn age(scene: &Scene, seconds: i64) {
    let db = rusqlite::Connection::open(scene.program.path("ledger.db")).unwrap();
    db.execute(
        "UPDATE runs SET started = started - ?1, ended = ended - ?1",
        [seconds],
    )
    .unwrap();
    db.execute(
        "UPDATE meta SET value = CAST(value AS INTEGER) - ?1 WHERE key = 'created'",
        [seconds],
    )
    .unwrap();
}

/// A CRM that says that it is down, and for long: a run ends at once, with 4.
pub fn down() -> Unruly {
    Unruly::always(Reply::With(
        503,
        "Retry-After: 86400\r\n".to_owned(),
        String::new(),
    ))
}

/// What stands on stderr, times and the directory replaced.
fn plain(scene: &Scene, ran: &Ran) -> String {
    let directory = scene.program.dir.path().display().to_string();
    let text = ran.stderr.replace(&directory, "DIR");
    [
        (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "WHEN"),
        (
            r"\d+ calls? pending: .*?; (the last|no run)",
            "N calls pending: WHY; $1",
        ),
        (r"\b7h( \d+m)?( \d+s)? ago", "7h ago"),
    ]
    .iter()
    .fold(text, |text, (from, to)| {
        regex::Regex::new(from)
            .unwrap()
            .replace_all(&text, *to)
            .into_owned()
    })
}

#[track_caller]
fn quietly(scene: &Scene, args: &[&str], code: i32) -> Ran {
    let mut args = args.to_vec();
    args.push("--quiet");
    let ran = scene.program.run(&args);
    assert_eq!(ran.code, code, "{ran:?}");
    ran
}

#[track_caller]
fn silent(scene: &Scene, args: &[&str], code: i32) {
    let ran = quietly(scene, args, code);
    assert_eq!(
        (ran.stdout.as_str(), ran.stderr.as_str()),
        ("", ""),
        "{args:?}"
    );
}

const DOWN: &str = "`cdrelay check` says what is not ready, `cdrelay status` shows the runs\n";
const BUSY: &str = "cdrelay: another run holds the lock `DIR/ledger.db.lock`; try again later, or wait for it with `--wait`; ";
const HANGS: &str =
    "`cdrelay status` shows the runs; if the one that is under way does not get on, end it\n";

#[test]
fn incomplete_runs_are_silent_until_the_last_success_is_too_old() {
    let scene = Scene::generated(40, 130);
    let down = down();
    let crm = sandbox();
    scene.point_at(crm.url.as_str());
    silent(&scene, &["sync"], 0);
    scene.point_at(&down.url());
    silent(&scene, &["sync", "--resend"], 4);
    age(&scene, 5 * 3600);
    silent(&scene, &["sync"], 4);
    age(&scene, 2 * 3600);
    let ran = quietly(&scene, &["sync"], 4);
    assert_eq!(
        plain(&scene, &ran),
        format!(
            "cdrelay: N calls pending: WHY; the last success was at WHEN (America/Caracas), 7h ago: {DOWN}"
        )
    );
    // The report goes with it, once.
    assert!(
        ran.stdout.starts_with("Not everything is there yet: "),
        "{ran:?}"
    );
    assert_eq!(ran.stdout.matches("the last success").count(), 1, "{ran:?}");
    // What nobody has to know is still not said.
    scene.point_at(crm.url.as_str());
    silent(&scene, &["sync"], 0);
    scene.point_at(&down.url());
    silent(&scene, &["sync", "--resend"], 4);
}

#[test]
fn where_nothing_ever_succeeded_the_first_run_counts() {
    let scene = Scene::generated(40, 131);
    let down = down();
    scene.point_at(&down.url());
    silent(&scene, &["sync"], 4);
    age(&scene, 7 * 3600);
    let ran = quietly(&scene, &["sync"], 4);
    assert_eq!(
        plain(&scene, &ran),
        format!(
            "cdrelay: N calls pending: WHY; no run has succeeded since the first at WHEN (America/Caracas), 7h ago: {DOWN}"
        )
    );
    // How long that may be is the configuration's.
    scene.point_at_with(&down.url(), |config| {
        with(config, "monitor", "alert_after = \"8h\"")
    });
    silent(&scene, &["sync"], 4);
}

#[test]
fn a_held_lock_is_passed_over_in_silence_until_nothing_has_succeeded_for_too_long() {
    let scene = Scene::generated(40, 132);
    let crm = sandbox();
    scene.point_at(crm.url.as_str());
    let held = || LedgerLock::try_acquire(&scene.program.path("ledger.db")).unwrap();
    // Before there is a ledger.
    let lock = held();
    silent(&scene, &["sync"], 11);
    drop(lock);
    // A ledger that never saw a run: its birth counts.
    assert_eq!(scene.program.run(&["init", "--ledger"]).code, 0);
    let lock = held();
    silent(&scene, &["sync"], 11);
    age(&scene, 7 * 3600);
    let ran = quietly(&scene, &["sync"], 11);
    assert_eq!(
        plain(&scene, &ran),
        format!(
            "{BUSY}no run has succeeded since the first at WHEN (America/Caracas), 7h ago: {HANGS}"
        )
    );
    assert_eq!(ran.stdout, "");
    drop(lock);
    silent(&scene, &["sync"], 0);
    let lock = held();
    silent(&scene, &["sync"], 11);
    age(&scene, 7 * 3600);
    let ran = quietly(&scene, &["sync"], 11);
    assert_eq!(
        plain(&scene, &ran),
        format!("{BUSY}the last success was at WHEN (America/Caracas), 7h ago: {HANGS}")
    );
    drop(lock);
}
