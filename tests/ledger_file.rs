//! The ledger as a file among hostile ones: killed, cut, swapped, removed; locked, and read beside a run.

#![allow(clippy::unwrap_used, reason = "a step that fails fails the test")]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::ops::Range;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use cdrelay::call::{
    ColumnTime, Disposition, Fold, Identity, Origin, PhoneNumber, RawNumber, WireForm,
};
use cdrelay::ledger::{
    Accepted, Access, Action, Filter, Intent, Ledger, LedgerError, LedgerLock, Opened, PlanContext,
    Recorded, RunId, RunStart, State, Wires, init_ledger, lock_path, plan,
};
use cdrelay::target::Receipt;
use tempfile::TempDir;

const EVERYTHING: Range<ColumnTime> = ColumnTime(i64::MIN)..ColumnTime(i64::MAX);

fn place() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger.db");
    (directory, path)
}

fn intent(start: i64) -> Intent {
    Intent {
        identity: Identity {
            start: ColumnTime(start),
            fold: Fold(0),
            source: RawNumber("100".into()),
            destination: RawNumber("95550101".into()),
        },
        wire: Some(WireForm {
            initiated: "2026-11-10T00:00:00Z".into(),
            source: PhoneNumber("100".into()),
            destination: PhoneNumber(format!("{start}")),
            duration: 1,
            url: None,
            form: None,
        }),
        instant: start,
        origin: Origin::default(),
        disposition: Disposition::Busy,
    }
}

async fn open(path: &Path, access: Access) -> Result<(Ledger, Opened), LedgerError> {
    Ledger::open(path, "cdrelay", access, 1).await
}

async fn start(ledger: &Ledger) -> Result<RunId, LedgerError> {
    let run = RunStart {
        mode: "full".into(),
        window: 0..1,
        settings: "s".into(),
        started: 1,
    };
    ledger.start_run(run).await
}

/// A closed ledger that holds `calls` delivered calls.
async fn filled(path: &Path, calls: i64) {
    let (ledger, _) = open(path, Access::ReadWrite).await.unwrap();
    let run = start(&ledger).await.unwrap();
    ledger
        .record_intents(run, (0..calls).map(intent).collect())
        .await
        .unwrap();
    let outcomes = (0..calls)
        .map(|n| (intent(n).identity, Recorded::Delivered(Receipt::default())))
        .collect();
    ledger.record_outcomes(run, 1, outcomes).await.unwrap();
    ledger.close().await.unwrap();
}

fn files(directory: &TempDir) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Opening in both ways fails like this, and leaves the ledger's bytes as they are.
#[track_caller]
fn check_refused(path: &Path, code: u8, message: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let message = message
        .replace("LEDGER", &path.display().to_string())
        .replace("LOCK", &lock_path(path).display().to_string());
    let before = fs::read(path).ok();
    for access in [Access::ReadOnly, Access::ReadWrite] {
        let error = runtime.block_on(open(path, access)).unwrap_err();
        assert_eq!(error.to_string(), message, "{access:?}");
        assert_eq!(error.exit_code(), code, "{access:?}");
        assert_eq!(fs::read(path).ok(), before, "{access:?}");
    }
}

/// The same with a fresh runtime for the steps before.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

const MISSING: &str = "the ledger `LEDGER` is missing, but there was one; look for it or for a backup, and if it is lost, run `cdrelay init --ledger`: all calls of the window are then sent again, with today's settings";
const DAMAGED: &str = "the ledger `LEDGER` is damaged; it was left as it is: put a backup in its place, or move it away and run `cdrelay init --ledger`";
const NO_DATABASE: &str = "`LEDGER` is not a ledger (no SQLite database); it was left as it is: check `ledger.path`, or put a backup in its place";

#[tokio::test]
async fn a_first_run_creates_the_ledger_for_its_owner_alone_and_then_the_witness() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state/cdrelay/ledger.db");
    let (ledger, opened) = open(&path, Access::ReadWrite).await.unwrap();
    assert!(opened.created);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    start(&ledger).await.unwrap();
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    for file in [
        "ledger.db",
        "ledger.db-wal",
        "ledger.db-shm",
        "ledger.db.lock",
    ] {
        assert_eq!(mode(&path.with_file_name(file)), 0o600, "{file}");
    }
    ledger.close().await.unwrap();
    assert_eq!(
        fs::read_to_string(lock_path(&path))
            .unwrap()
            .trim_end()
            .len(),
        32
    );
    let (_, opened) = open(&path, Access::ReadWrite).await.unwrap();
    assert!(!opened.created);
}

#[tokio::test]
async fn a_reader_creates_nothing_and_writes_nothing() {
    let (directory, path) = place();
    let (reader, opened) = open(&path, Access::ReadOnly).await.unwrap();
    assert!(!opened.created);
    let run = start(&reader).await.unwrap();
    reader.record_intents(run, vec![intent(1)]).await.unwrap();
    assert_eq!(
        reader
            .entries(EVERYTHING, Wires::All, None, usize::MAX)
            .await
            .unwrap(),
        []
    );
    reader.close().await.unwrap();
    assert_eq!(files(&directory), [""; 0]);

    filled(&path, 3).await;
    let (listing, bytes) = (files(&directory), fs::read(&path).unwrap());
    assert_eq!(listing, ["ledger.db", "ledger.db.lock"]);
    let (reader, _) = open(&path, Access::ReadOnly).await.unwrap();
    let run = start(&reader).await.unwrap();
    reader.record_intents(run, vec![intent(9)]).await.unwrap();
    reader
        .record_outcomes(run, 5, vec![(intent(9).identity, Recorded::NotAttempted)])
        .await
        .unwrap();
    reader
        .record_drift(vec![(intent(1).identity, true)])
        .await
        .unwrap();
    assert_eq!(
        reader
            .entries(EVERYTHING, Wires::All, None, usize::MAX)
            .await
            .unwrap()
            .len(),
        3
    );
    assert_eq!(reader.counts().await.unwrap().drift, 0);
    reader.close().await.unwrap();
    assert_eq!(
        (files(&directory), fs::read(&path).unwrap()),
        (listing, bytes)
    );
}

#[tokio::test]
async fn a_listing_beside_a_run_sees_its_last_commit() {
    let (_directory, path) = place();
    let (ledger, _) = open(&path, Access::ReadWrite).await.unwrap();
    let (reader, _) = open(&path, Access::ReadOnly).await.unwrap();
    let run = start(&ledger).await.unwrap();
    for n in 0..50 {
        ledger.record_intents(run, vec![intent(n)]).await.unwrap();
        let listed = reader.list(Filter::default(), None, 99).await.unwrap();
        assert_eq!(listed.len() as i64, n + 1);
    }
    reader.close().await.unwrap();
    ledger.record_intents(run, vec![intent(50)]).await.unwrap();
    ledger.close().await.unwrap();
}

#[test]
fn a_missing_or_emptied_ledger_is_no_first_run() {
    let (_directory, path) = place();
    block_on(filled(&path, 1));
    fs::remove_file(&path).unwrap();
    check_refused(&path, 10, MISSING);
    fs::write(&path, "").unwrap();
    check_refused(&path, 10, &MISSING.replace("is missing", "is empty"));
    fs::remove_file(&path).unwrap();
    // SQLite writes this for a database that nothing was ever put into.
    rusqlite::Connection::open(&path)
        .unwrap()
        .execute_batch("VACUUM; PRAGMA user_version = 2")
        .unwrap();
    check_refused(&path, 10, &MISSING.replace("is missing", "holds no tables"));
    // A witness that was cut is still one.
    fs::remove_file(&path).unwrap();
    fs::write(lock_path(&path), "6a").unwrap();
    check_refused(&path, 10, MISSING);
}

#[test]
fn a_log_without_its_ledger_is_a_trace_of_one() {
    let (directory, path) = place();
    fs::write(directory.path().join("ledger.db-wal"), "commits").unwrap();
    let error = block_on(open(&path, Access::ReadWrite)).unwrap_err();
    assert_eq!(
        error.to_string(),
        MISSING.replace("LEDGER", &path.display().to_string())
    );
    assert_eq!(init_ledger(&path, 1).unwrap(), Accepted::New);
    assert_eq!(
        files(&directory),
        ["ledger.db", "ledger.db-wal.orphaned", "ledger.db.lock"]
    );
}

#[test]
fn only_a_missing_or_empty_ledger_is_replaced_on_request() {
    let (directory, path) = place();
    block_on(filled(&path, 5));
    let witness = fs::read(lock_path(&path)).unwrap();
    assert_eq!(init_ledger(&path, 1).unwrap(), Accepted::HealthyAlready);
    assert_eq!(fs::read(lock_path(&path)).unwrap(), witness);
    let lock = LedgerLock::try_acquire(&path).unwrap();
    assert_eq!(init_ledger(&path, 1).unwrap_err().exit_code(), 11);
    drop(lock);
    fs::write(&path, "keep me, whatever I am").unwrap();
    let error = init_ledger(&path, 1).unwrap_err();
    assert_eq!(
        error.to_string(),
        NO_DATABASE.replace("LEDGER", &path.display().to_string())
    );
    assert_eq!(fs::read(&path).unwrap(), b"keep me, whatever I am");
    fs::write(&path, "").unwrap();
    assert_eq!(init_ledger(&path, 1).unwrap(), Accepted::New);
    assert_ne!(fs::read(lock_path(&path)).unwrap(), witness);
    assert_eq!(files(&directory), ["ledger.db", "ledger.db.lock"]);
    let (ledger, opened) = block_on(open(&path, Access::ReadWrite)).unwrap();
    assert!(!opened.created);
    assert_eq!(
        block_on(ledger.entries(EVERYTHING, Wires::All, None, usize::MAX)).unwrap(),
        []
    );
}

#[test]
fn a_lost_witness_is_written_again() {
    let (_directory, path) = place();
    block_on(filled(&path, 1));
    let witness = fs::read(lock_path(&path)).unwrap();
    for lost in [Some(""), Some("6a"), None] {
        match lost {
            Some(text) => fs::write(lock_path(&path), text).unwrap(),
            None => fs::remove_file(lock_path(&path)).unwrap(),
        }
        block_on(async {
            open(&path, Access::ReadWrite)
                .await
                .unwrap()
                .0
                .close()
                .await
                .unwrap();
        });
        assert_eq!(fs::read(lock_path(&path)).unwrap(), witness, "{lost:?}");
    }
}

#[test]
fn a_ledger_that_is_not_the_one_that_was_here_is_refused() {
    let (_directory, path) = place();
    let (_elsewhere, other) = place();
    block_on(filled(&path, 1));
    block_on(filled(&other, 1));
    fs::copy(&other, &path).unwrap();
    check_refused(
        &path,
        12,
        "the ledger `LEDGER` is not the one that the lock file beside it names; it was left as it is: put the right one back, or, if this one is meant, remove `LOCK`",
    );
}

#[test]
fn foreign_and_newer_files_are_refused_untouched() {
    let (_directory, path) = place();
    fs::write(&path, "calldate,src,dst\n").unwrap();
    check_refused(&path, 12, NO_DATABASE);
    fs::write(&path, [0; 8192]).unwrap();
    check_refused(&path, 12, NO_DATABASE);
    fs::write(&path, "SQLite format 3\0").unwrap();
    check_refused(&path, 12, DAMAGED);
    fs::remove_file(&path).unwrap();
    let foreign = rusqlite::Connection::open(&path).unwrap();
    foreign
        .execute_batch("CREATE TABLE cdr (calldate TEXT)")
        .unwrap();
    check_refused(
        &path,
        12,
        "`LEDGER` is a database of another program; it was left as it is: set `ledger.path` to a file of its own",
    );
    fs::remove_file(&path).unwrap();
    block_on(filled(&path, 1));
    rusqlite::Connection::open(&path)
        .unwrap()
        .execute_batch("PRAGMA user_version = 99")
        .unwrap();
    check_refused(
        &path,
        12,
        "the ledger `LEDGER` was written by a newer cdrelay (schema 99, this one knows 5); it was left as it is: run that version",
    );
    let (_elsewhere, path) = place();
    fs::create_dir(&path).unwrap();
    check_refused(
        &path,
        12,
        "`LEDGER` is not a file; set `ledger.path` to a file",
    );
}

#[test]
fn truncated_and_altered_ledgers_are_refused_untouched() {
    let (_directory, path) = place();
    block_on(filled(&path, 2_000));
    let whole = fs::read(&path).unwrap();
    for length in [1, 15] {
        fs::write(&path, &whole[..length]).unwrap();
        check_refused(&path, 12, NO_DATABASE);
    }
    for length in [
        16,
        107,
        511,
        512,
        4095,
        4096,
        whole.len() / 2,
        whole.len() - 1,
    ] {
        fs::write(&path, &whole[..length]).unwrap();
        check_refused(&path, 12, DAMAGED);
    }
    fs::write(&path, &whole).unwrap();
    rusqlite::Connection::open(&path)
        .unwrap()
        .execute_batch("DROP INDEX wire_forms_key")
        .unwrap();
    check_refused(&path, 12, DAMAGED);
}

#[test]
fn a_flipped_page_inside_is_found_by_the_integrity_check() {
    let (_directory, path) = place();
    block_on(filled(&path, 2_000));
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..middle + 200].fill(0xa5);
    fs::write(&path, bytes).unwrap();
    block_on(async {
        let (ledger, _) = open(&path, Access::ReadOnly).await.unwrap();
        let error = ledger.integrity().await.unwrap_err();
        assert_eq!(
            error.to_string(),
            DAMAGED.replace("LEDGER", &path.display().to_string())
        );
        assert_eq!(error.exit_code(), 12);
    });
}

#[tokio::test]
async fn a_ledger_removed_or_replaced_while_open_is_noticed_by_the_next_commit() {
    type Fate = fn(&Path);
    let fates: [(&str, Fate); 4] = [
        ("", |path| fs::remove_file(path).unwrap()),
        ("", |path| {
            fs::rename(path, path.with_extension("old")).unwrap();
        }),
        ("", |path| {
            fs::copy(path, path.with_extension("copy")).unwrap();
            fs::rename(path.with_extension("copy"), path).unwrap();
        }),
        ("-wal", |path| {
            fs::remove_file(path.with_file_name("ledger.db-wal")).unwrap();
        }),
    ];
    for (suffix, fate) in fates {
        let (_directory, path) = place();
        let (ledger, _) = open(&path, Access::ReadWrite).await.unwrap();
        let run = start(&ledger).await.unwrap();
        ledger.record_intents(run, vec![intent(1)]).await.unwrap();
        fate(&path);
        let message = format!(
            "`{}{suffix}` was removed or replaced while the ledger was open; find out by whom, and put it back before the next run",
            path.display()
        );
        for _ in 0..2 {
            let error = ledger
                .record_intents(run, vec![intent(2)])
                .await
                .unwrap_err();
            assert_eq!(
                (error.exit_code(), error.to_string()),
                (12, message.clone())
            );
        }
        assert_eq!(ledger.close().await.unwrap_err().to_string(), message);
    }
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let (directory, path) = place();
    fs::write(&path, "in the way").unwrap();
    let inside = path.join("sub/ledger.db");
    let error = block_on(open(&inside, Access::ReadWrite)).unwrap_err();
    assert_eq!(error.exit_code(), 12);
    assert_eq!(
        error.to_string(),
        format!(
            "cannot create the directory `{}`; check the disk and `ledger.path`",
            path.join("sub").display()
        )
    );
    assert_eq!(files(&directory), ["ledger.db"]);
}

/// Starts this binary's ignored test `name` as a process of its own and waits until it says that it is ready.
fn child(name: &str, path: &Path) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--ignored", "--nocapture"])
        .env("CDRELAY_TEST_LEDGER", path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let ready = lines
        .map_while(Result::ok)
        .any(|line| line.contains("child is ready"));
    assert!(ready, "the child ended before it was ready");
    child
}

/// Says that it is ready, and waits to be killed; ends by itself with its parent, whose end closes stdin.
fn wait_to_be_killed() {
    let mut out = std::io::stdout();
    writeln!(out, "child is ready").unwrap();
    out.flush().unwrap();
    let mut line = String::new();
    let _ = std::io::stdin().read_line(&mut line);
}

#[test]
#[ignore = "run by `intents_survive_a_kill_and_are_due` as a process of its own"]
fn child_records_intents() {
    block_on(async {
        let Some(path) = std::env::var_os("CDRELAY_TEST_LEDGER").map(PathBuf::from) else {
            return;
        };
        let _lock = LedgerLock::try_acquire(&path).unwrap();
        let (ledger, _) = open(&path, Access::ReadWrite).await.unwrap();
        let run = start(&ledger).await.unwrap();
        ledger
            .record_intents(run, vec![intent(1), intent(2), intent(3)])
            .await
            .unwrap();
        let outcome = Recorded::Delivered(Receipt::default());
        ledger
            .record_outcomes(run, 1, vec![(intent(1).identity, outcome)])
            .await
            .unwrap();
        wait_to_be_killed();
    });
}

#[test]
fn intents_survive_a_kill_and_are_due() {
    let (_directory, path) = place();
    let mut child = child("child_records_intents", &path);
    assert_eq!(LedgerLock::try_acquire(&path).unwrap_err().exit_code(), 11);
    child.kill().unwrap();
    child.wait().unwrap();
    // The lock died with its holder.
    let _lock = LedgerLock::try_acquire(&path).unwrap();
    block_on(async {
        for access in [Access::ReadOnly, Access::ReadWrite] {
            let (ledger, _) = open(&path, access).await.unwrap();
            let entries = ledger
                .entries(EVERYTHING, Wires::Due, None, usize::MAX)
                .await
                .unwrap();
            let states: Vec<_> = entries.iter().map(|entry| entry.state).collect();
            assert_eq!(
                states,
                [State::Delivered, State::InFlight, State::InFlight],
                "{access:?}"
            );
            let ctx = PlanContext {
                full: false,
                resend: false,
                recheck_before: 0,
            };
            assert_eq!(
                plan(Some(entries[1].standing()), None, &ctx).action,
                Action::Resend
            );
            assert_eq!(entries[1].wire, intent(2).wire);
            ledger.close().await.unwrap();
        }
    });
}

#[test]
fn a_held_lock_is_named_and_a_wait_for_it_ends() {
    let (_directory, path) = place();
    let holder = LedgerLock::try_acquire(&path).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let message = format!(
        "another run holds the lock `{}`; try again later, or wait for it with `--wait`",
        lock_path(&path).display()
    );
    runtime.block_on(async {
        for wait in [None, Some(Duration::ZERO), Some(Duration::from_millis(150))] {
            let error = LedgerLock::acquire(&path, wait).await.unwrap_err();
            assert_eq!(
                (error.exit_code(), error.to_string()),
                (11, message.clone())
            );
        }
        let (taken, ()) = tokio::join!(LedgerLock::acquire(&path, Some(Duration::MAX)), async {
            tokio::time::sleep(Duration::from_millis(150)).await;
            drop(holder);
        });
        taken.unwrap();
    });
}

#[test]
fn the_lock_file_is_never_replaced() {
    use std::os::unix::fs::MetadataExt;
    let (_directory, path) = place();
    let lock = LedgerLock::try_acquire(&path).unwrap();
    let inode = fs::metadata(lock_path(&path)).unwrap().ino();
    block_on(filled(&path, 1));
    assert_eq!(LedgerLock::try_acquire(&path).unwrap_err().exit_code(), 11);
    fs::remove_file(&path).unwrap();
    drop(lock);
    init_ledger(&path, 1).unwrap();
    assert_eq!(fs::metadata(lock_path(&path)).unwrap().ino(), inode);
}
