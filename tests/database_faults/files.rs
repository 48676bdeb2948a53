//! Files as sources: locked, replaced, deleted, rotated, truncated and growing while they are read.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::golden::{self, Row};
use crate::program::Program;
use crate::scene::{Scene, finish, held, listens, now, pass_on, same, sandbox, signal, with};
use crate::soak;
use crate::stage::{self, tries_again};
use crate::unruly::Unruly;

/// Only a run that hangs takes so long.
const HANGS: Duration = Duration::from_secs(40);

/// Holds the file as a writer does that is about to commit.
fn exclusive(scene: &Scene) -> rusqlite::Connection {
    let writer = scene.source();
    writer.execute_batch("BEGIN EXCLUSIVE").unwrap();
    writer
}

#[test]
fn a_sqlite_file_that_its_writer_holds_is_waited_for_and_then_told() {
    let crm = sandbox();
    let scene = Scene::generated(200, 51);
    scene.point_at_with(crm.url.as_str(), |config| {
        with(config, "source", "timeout = \"4s\"")
    });
    let writer = exclusive(&scene);
    let ran = scene.program.run(&["sync", "--full", "-v"]);
    assert_eq!(ran.code, 5, "{ran:?}");
    assert_eq!(tries_again(&ran), 3, "{ran:?}");
    let directory = scene.program.dir.path().display().to_string();
    let stderr = ran.stderr.replace(&directory, "DIR");
    assert_eq!(
        stderr.lines().next_back(),
        Some(
            "cdrelay: SQLite file DIR/cdr.db is locked by its writer while describing the table; run again: database is locked \
             (5)"
        )
    );
    // A signal does not wait for the lock.
    scene.point_at(crm.url.as_str());
    let child = scene.program.spawn(&["sync", "--full"]);
    listens(&child);
    std::thread::sleep(Duration::from_millis(500));
    let since = Instant::now();
    signal(&child, "TERM");
    let ran = finish(child);
    assert_eq!(ran.code, 143, "{ran:?}");
    assert!(since.elapsed() < HANGS, "{:?}", since.elapsed());
    // One that ends is waited for.
    let child = scene.program.spawn(&["sync", "--full", "-v"]);
    std::thread::sleep(Duration::from_millis(1500));
    drop(writer);
    let ran = finish(child);
    assert_eq!(ran.code, 0, "{ran:?}");
    scene.check(&crm);
    scene.settles_at(&crm, str::to_owned);
}

/// A scene of several slices, of which few rows are calls.
fn long_scene() -> Scene {
    Scene::of(stage::rows())
}

/// Does something to the source when the first request is there, while slices are still to be read.
fn meanwhile(scene: &Scene, work: impl Fn(&Path) + Send + Sync + 'static) {
    let crm = sandbox();
    let addr = crm.addr;
    let path = scene.program.path("cdr.db");
    let front = Unruly::start(move |number, line| {
        if number == 0 {
            work(&path);
        }
        pass_on(addr, line)
    });
    scene.point_at(&front.url());
    let ran = scene.program.run(&["sync", "--full"]);
    assert!(ran.code == 0 || ran.code == 5, "{ran:?}");
    scene.settles_at(&crm, str::to_owned);
}

#[test]
fn a_sqlite_file_replaced_while_it_is_read_costs_no_call() {
    let mut scene = long_scene();
    // A later copy, with calls that the first has not.
    let copy = scene.program.path("later.db");
    fs::copy(scene.program.path("cdr.db"), &copy).unwrap();
    let more = golden::rows(50, now() - 600, 1, 99);
    let db = rusqlite::Connection::open(&copy).unwrap();
    for insert in golden::inserts("cdr", &more) {
        db.execute_batch(&insert).unwrap();
    }
    drop(db);
    scene.rows.extend(more);
    meanwhile(&scene, move |path| fs::rename(&copy, path).unwrap());
}

#[test]
fn a_sqlite_file_deleted_while_it_is_read_costs_no_call() {
    let scene = long_scene();
    let copy = scene.program.path("copy.db");
    fs::copy(scene.program.path("cdr.db"), &copy).unwrap();
    let back = copy.clone();
    let gone = Arc::new(AtomicBool::new(false));
    let crm = sandbox();
    let front = Unruly::start({
        let (path, gone, addr) = (scene.program.path("cdr.db"), Arc::clone(&gone), crm.addr);
        move |_, line| {
            if !gone.swap(true, Ordering::SeqCst) {
                fs::remove_file(&path).unwrap();
            }
            pass_on(addr, line)
        }
    });
    scene.point_at(&front.url());
    // What was open is read to its end; the next run finds nothing, and says so.
    scene.program.sync(&["--full"], 0);
    scene.program.sync(&["--full"], 5);
    fs::rename(&back, scene.program.path("cdr.db")).unwrap();
    scene.settles_at(&crm, str::to_owned);
}

#[test]
fn a_sqlite_file_in_wal_mode_is_read_while_it_is_written_and_checkpointed() {
    let mut scene = long_scene();
    scene
        .source()
        .query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))
        .unwrap();
    let more = late_calls(300, 0);
    let inserts: Vec<String> = more
        .chunks(10)
        .flat_map(|rows| golden::inserts("cdr", rows))
        .collect();
    let path = scene.program.path("cdr.db");
    let writer = std::thread::spawn(move || {
        let db = rusqlite::Connection::open(path).unwrap();
        db.busy_timeout(Duration::from_secs(30)).unwrap();
        for (number, insert) in inserts.iter().enumerate() {
            db.execute_batch(insert).unwrap();
            if number % 10 == 0 {
                let _ = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    });
    let crm = sandbox();
    scene.point_at(crm.url.as_str());
    let ran = scene.program.run(&["sync", "--full"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    writer.join().unwrap();
    scene.rows.extend(more);
    scene.settles_at(&crm, str::to_owned);
}

/// A log of records, and the program set up for it.
struct Log {
    program: Program,
    rows: Vec<Row>,
}

impl Log {
    fn new() -> Self {
        let log = Self {
            program: Program::new(""),
            rows: stage::rows(),
        };
        fs::write(log.path(), records(&log.rows)).unwrap();
        log
    }

    fn path(&self) -> PathBuf {
        self.program.path("Master.csv")
    }

    fn point_at(&self, crm: &str) {
        let source = "url = \"csv:Master.csv\"\ncsv_columns = \"calldate,src,dst,duration,billsec,disposition,uniqueid,\
                      recordingfile,sequence\"";
        self.program.configure(&golden::config(source, crm));
    }

    /// Does something to the log at an instant of a run that differs from round to round. A run that says 0 has settled
    /// every row that was there when it began; the one after it, the rest.
    fn disturbed(mut self, rounds: usize, work: impl Fn(&Path, usize) -> Vec<Row> + Send + Sync) {
        let mut whole = 0;
        for round in 0..rounds {
            let crm = sandbox();
            self.forget();
            self.point_at(crm.url.as_str());
            let child = self.program.spawn(&["sync", "--full", "-v"]);
            std::thread::sleep(Duration::from_millis(
                10 + round as u64 * 150 / rounds as u64,
            ));
            let more = work(&self.path(), round);
            let ran = finish(child);
            if ran.code == 0 {
                whole += 1;
                let golden = golden::golden(&self.rows);
                let held = held(&crm);
                let missing: Vec<_> = golden
                    .keys()
                    .filter(|key| !held.contains_key(*key))
                    .collect();
                assert!(
                    missing.is_empty(),
                    "round {round}: {} missing: {ran:?}",
                    missing.len()
                );
            } else {
                assert_eq!(ran.code, 5, "round {round}: {ran:?}");
            }
            self.rows.extend(more);
            let ran = self.program.run(&["sync", "--full"]);
            assert_eq!(ran.code, 0, "round {round}: {ran:?}");
            same(&held(&crm), &golden::golden(&self.rows));
        }
        assert!(whole > 0, "no run was whole");
    }

    fn forget(&self) {
        for entry in fs::read_dir(self.program.dir.path()).unwrap() {
            let path = entry.unwrap().path();
            if path.to_string_lossy().contains("ledger.db") {
                fs::remove_file(path).unwrap();
            }
        }
    }
}

fn records(rows: &[Row]) -> String {
    rows.iter()
        .map(|row| {
            format!(
                "\"{}\",\"{}\",\"{}\",{},0,\"{}\",\"{}\",\"{}\",{}\n",
                golden::stamp(row.wall, ' '),
                row.src,
                row.dst,
                row.duration,
                row.disposition,
                row.uniqueid,
                row.recordingfile,
                row.sequence
            )
        })
        .collect()
}

/// Renames `Master.csv.1` and so on, to make room for the next.
fn shift(path: &Path) {
    let name = |number: usize| PathBuf::from(format!("{}.{number}", path.display()));
    for number in (1..60).rev() {
        if name(number).exists() {
            fs::rename(name(number), name(number + 1)).unwrap();
        }
    }
}

/// A few calls that hang up in this instant, of one leg each: a leg that comes after its call was sent is drift, and no
/// fault.
fn new_calls(round: usize) -> Vec<Row> {
    late_calls(5, round)
}

fn late_calls(count: i64, round: usize) -> Vec<Row> {
    let now = now();
    (0..count)
        .map(|number| {
            let instant = now - 60 - number;
            Row {
                wall: instant - 4 * 3600,
                src: format!("8{round:03}"),
                dst: format!("0414{:07}", 1000 * round as i64 + number),
                duration: 7,
                disposition: "ANSWERED",
                uniqueid: format!("{instant}.{round}{number}"),
                sequence: 5_000_000,
                recordingfile: format!("new-{round}-{number}.wav"),
            }
        })
        .collect()
}

fn append(path: &Path, text: &str) {
    let mut file = fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

#[test]
fn a_log_that_is_renamed_while_it_is_read_is_read_whole() {
    Log::new().disturbed(soak::count(5, 100), |path, round| {
        shift(path);
        fs::rename(path, format!("{}.1", path.display())).unwrap();
        let more = new_calls(round);
        append(path, &records(&more));
        more
    });
}

#[test]
fn a_log_that_is_copied_and_truncated_while_it_is_read_is_read_whole_or_not_at_all() {
    Log::new().disturbed(soak::count(5, 100), |path, round| {
        shift(path);
        fs::copy(path, format!("{}.1", path.display())).unwrap();
        fs::File::options()
            .write(true)
            .open(path)
            .unwrap()
            .set_len(0)
            .unwrap();
        let more = new_calls(round);
        append(path, &records(&more));
        more
    });
}

#[test]
fn a_log_that_is_replaced_by_a_longer_one_while_it_is_read_is_read_whole() {
    Log::new().disturbed(soak::count(4, 100), |path, round| {
        let more = new_calls(round);
        let text = fs::read_to_string(path).unwrap() + &records(&more);
        let new = path.with_extension("new");
        fs::write(&new, text).unwrap();
        fs::rename(new, path).unwrap();
        more
    });
}

#[test]
fn a_log_that_grows_by_halves_of_lines_while_it_is_read_gives_whole_records_only() {
    Log::new().disturbed(soak::count(4, 100), |path, round| {
        let more = new_calls(round);
        let text = records(&more);
        for half in text.as_bytes().chunks(37) {
            append(path, std::str::from_utf8(half).unwrap());
            std::thread::sleep(Duration::from_millis(3));
        }
        more
    });
}

#[test]
fn a_half_record_at_the_end_is_left_to_the_next_run_and_no_row_is_lost() {
    let log = Log::new();
    let crm = sandbox();
    log.point_at(crm.url.as_str());
    let more = new_calls(0);
    let text = records(&more);
    let (first, second) = text.split_at(text.len() - 20);
    append(&log.path(), first);
    let ran = log.program.run(&["sync", "--full"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.stdout
            .contains("is not finished yet; the next run reads it"),
        "{ran:?}"
    );
    append(&log.path(), second);
    let ran = log.program.run(&["sync", "--full"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let rows: Vec<Row> = log.rows.iter().chain(&more).cloned().collect();
    same(&held(&crm), &golden::golden(&rows));
}
