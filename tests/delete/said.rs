//! What `delete` says, in full.

use cdrelay::sandbox::{DayZone, DeleteReading, SandboxOptions};

use super::days::{AGAIN, CARACAS, HELD, arguments, configured, range, said, scene, shown};
use super::scene::{Scene, held, same, sandbox_with};

/// The count tells which reading the CRM follows, where the readings differ.
#[track_caller]
fn tells(days: DeleteReading, hours: Option<i32>, rendering: &str, stdout: &str) {
    let crm = sandbox_with(SandboxOptions {
        days,
        day_zone: hours.map_or(DayZone::WireText, |hours| {
            DayZone::Fixed(chrono::FixedOffset::east_opt(hours * 3600).unwrap())
        }),
        ..SandboxOptions::default()
    });
    let scene = uneven();
    scene.point_at_with(crm.url.as_str(), |config| {
        configured(config, CARACAS, rendering)
    });
    scene.program.sync(&["--full"], 0);
    let golden = held(&crm);
    let range = range();
    said(
        &scene,
        &scene.program.run(&arguments(&range, &["--yes"])),
        0,
        stdout,
        "",
    );
    scene.program.sync(&["--full"], 0);
    same(&held(&crm), &golden);
}

/// Fewer calls on the days before the named ones, so that no two readings hold equally many: with the 39 calls of the
/// named days as measure, UTC days have 2 less (3 of the last evening go, 1 of the evening before comes), local midnights
/// 3 more, UTC midnights 1 more.
fn uneven() -> Scene {
    let all = scene();
    let first = all.rows[0].wall;
    let rows = all
        .rows
        .into_iter()
        .filter(|row| {
            let (day, time) = ((row.wall - first) / 86_400, (row.wall - first) % 86_400);
            match day {
                3 => time == 82_800,
                4 => [3_600, 28_800, 72_000].contains(&time),
                _ => true,
            }
        })
        .collect();
    Scene::of(rows)
}

#[test]
fn local_days_between_the_two_dates() {
    tells(
        DeleteReading::NamedDaysStay,
        None,
        "local",
        &(shown(AGAIN, 17, HELD)
            + "The CRM deleted 39 calls.\n\
By that count, the two dates on the wire are left alone, and days are local.\n\
To send them again now: cdrelay sync --since DAY3 --until DAY10\n"),
    );
}

#[test]
fn utc_days_between_the_two_dates() {
    tells(
        DeleteReading::NamedDaysStay,
        Some(0),
        "utc",
        &(shown(AGAIN, 17, HELD)
            + "The CRM deleted 37 calls.\n\
By that count, the two dates on the wire are left alone, and days are UTC.\n\
To send them again now: cdrelay sync --since DAY3 --until DAY10\n"),
    );
}

#[test]
fn local_days_between_midnights() {
    tells(
        DeleteReading::NamedDaysGo,
        None,
        "local",
        &(shown(AGAIN, 17, HELD)
            + "The CRM deleted 42 calls.\n\
By that count, only the midnights that begin the two dates on the wire are left alone, and days are local.\n\
To send them again now: cdrelay sync --since DAY3 --until DAY10\n"),
    );
}

#[test]
fn utc_days_between_midnights() {
    tells(
        DeleteReading::NamedDaysGo,
        Some(0),
        "utc",
        &(shown(AGAIN, 17, HELD)
            + "The CRM deleted 40 calls.\n\
By that count, only the midnights that begin the two dates on the wire are left alone, and days are UTC.\n\
To send them again now: cdrelay sync --since DAY3 --until DAY10\n"),
    );
}

#[test]
fn a_reading_that_the_ledger_does_not_know() {
    tells(
        DeleteReading::NamedDaysGo,
        Some(-5),
        "offset",
        &(shown(AGAIN, 17, HELD)
            + "The CRM deleted 43 calls.\n\
The ledger knew 39 calls of these days; the rest came from elsewhere, or was not there any more.\n\
To send them again now: cdrelay sync --since DAY3 --until DAY10\n"),
    );
}

#[test]
fn calls_from_elsewhere_are_counted_by_the_crm_alone() {
    let crm = sandbox_with(SandboxOptions::default());
    let scene = uneven();
    scene.point_at_with(crm.url.as_str(), |config| {
        configured(config, CARACAS, "local")
    });
    scene.program.sync(&["--full"], 0);
    // Hand-made calls of the second of the named days.
    for source in 1..=2 {
        let line = format!(
            "GET /direct/items/phonecalls/create?token=sandbox&initiated={}T10:10:10&source={source}&destination=2 HTTP/1.1",
            super::days::day(6)
        );
        super::scene::pass_on(crm.addr, &line);
    }
    let range = range();
    said(
        &scene,
        &scene.program.run(&arguments(&range, &["--yes"])),
        0,
        &(shown(AGAIN, 17, HELD)
            + "The CRM deleted 41 calls.\n\
The ledger knew 39 calls of these days; the rest came from elsewhere, or was not there any more.\n\
To send them again now: cdrelay sync --since DAY3 --until DAY10\n"),
        "",
    );
    said(
        &scene,
        &scene.program.run(&arguments(&range, &["--yes", "--quiet"])),
        0,
        "",
        "",
    );
}
