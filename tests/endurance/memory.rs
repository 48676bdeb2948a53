//! Memory stays bounded, whatever the window: a first and a second full run over a table of a million rows.

use std::io::Read;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;

use super::crm::{Crm, Manners};
use super::program::check_sums;
use super::scene::{Scene, kib};
use super::soak;

/// What is promised, in KiB.
const LIMIT: u64 = 64 << 10;

/// A table of this many calls over the last 350 days, to so many numbers in turns.
fn scene(rows: usize, numbers: usize) -> Scene {
    let scene = Scene::of(Vec::new());
    let db = scene.source();
    let span = 350 * 86_400_u64;
    let begun = super::scene::now() as u64 - span;
    db.execute_batch("PRAGMA synchronous = OFF").unwrap();
    let made = db
        .execute(
            "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?1) \
             INSERT INTO cdr SELECT strftime('%Y-%m-%d %H:%M:%S', ?2 + i * ?3 / ?1, 'unixepoch'), \
             printf('7%03d', i % 60), printf('90414%07d', i % ?4), i % 900, i % 600, 'ANSWERED', \
             printf('%d.%d', ?2 + i * ?3 / ?1, i), printf('out-90414%07d-7%03d-%d.wav', i, i % 60, i), i FROM n",
            (rows as i64, begun as i64, span as i64, numbers as i64),
        )
        .unwrap();
    assert_eq!(made, rows);
    scene
}

/// Runs to the end and gives the report with the most memory that the process ever had, in KiB (proc(5), `VmHWM`), and
/// how much of what it had at that time was its own (`RssAnon`) rather than the program's file.
#[track_caller]
fn measured(scene: &Scene, args: &[&str]) -> (Value, u64, u64) {
    let mut child = scene.program.spawn(args);
    let (mut peak, mut own) = (0, 0);
    while child.try_wait().expect("a child").is_none() {
        peak = peak.max(kib(&child, "VmHWM").unwrap_or_default());
        own = own.max(kib(&child, "RssAnon").unwrap_or_default());
        std::thread::sleep(Duration::from_millis(5));
    }
    // One line of JSON: it fits into the pipe, so the process did not wait for a reader.
    let (mut out, mut err) = (String::new(), String::new());
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut out)
        .unwrap();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut err)
        .unwrap();
    let report: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{err}"));
    check_sums(&report);
    assert_eq!(report["exit"]["code"], 0, "{report}");
    assert!(peak > 0, "never seen at work");
    (report, peak, own)
}

/// A first and a second full run stay within the limit.
#[track_caller]
fn bounded(name: &str, calls_a_number: usize, knows: fn(&str) -> bool) {
    let rows = soak::count(50_000, 1_000_000);
    let scene = scene(rows, rows / calls_a_number);
    // Two runs that are measured side by side would only be slower.
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let crm = Crm::start(Manners {
        knows,
        ..Manners::default()
    });
    scene.point_at(&crm.url());
    let args = ["sync", "--full", "--output", "json"];
    let (first, first_peak, first_own) = measured(&scene, &args);
    let matched = crm.book().created;
    assert_eq!(first["calls"]["created"], matched, "{first}");
    assert_eq!(
        first["calls"]["unmatched"],
        rows as u64 - matched,
        "{first}"
    );
    assert_eq!(crm.book().requests, rows as u64);
    let (second, second_peak, second_own) = measured(&scene, &args);
    // Each number without a contact is asked about, with one call at least.
    let asked = second["calls"]["unmatched"].as_u64().expect("a count");
    let unknown = rows as u64 - matched;
    assert!(
        asked <= unknown && asked >= unknown / calls_a_number as u64,
        "{second}"
    );
    assert_eq!(second["requests"]["sent"], asked, "{second}");
    assert_eq!(
        second["calls"]["unchanged"],
        rows as u64 - asked,
        "{second}"
    );
    assert_eq!(crm.book().created, matched);
    let told = format!(
        "first run {:.1} MiB ({:.1} its own, {:.0} s), second {:.1} MiB ({:.1} its own, {:.0} s)",
        mib(first_peak),
        mib(first_own),
        first["timings"]["total_s"].as_f64().unwrap(),
        mib(second_peak),
        mib(second_own),
        second["timings"]["total_s"].as_f64().unwrap(),
    );
    println!("{name}, {rows} rows: {told}");
    assert!(first_peak < LIMIT && second_peak < LIMIT, "{told}");
    soak::note(name, rows, &told);
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}

#[test]
fn memory_stays_bounded_over_any_window_where_every_number_has_a_contact() {
    bounded("memory: all numbers known", 1, |_| true);
}

#[test]
fn memory_stays_bounded_over_any_window_where_half_the_numbers_have_none() {
    bounded("memory: half of the numbers unknown", 2, |number| {
        number.ends_with(['0', '2', '4', '6', '8'])
    });
}
