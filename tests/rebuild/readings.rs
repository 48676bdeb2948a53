//! Whatever the CRM means by its bounds, and wherever it counts its days, rebuilt calls stand there once, in today's form.

use cdrelay::sandbox::{DayZone, DeleteReading, SandboxOptions};

use super::answers::{rebuild, status};
use super::days::{CARACAS, Place, SHANGHAI, configured, expected, range, scene};
use super::golden::{Golden, stamp};
use super::scene::{Scene, held, same, sandbox_with};

/// The zone that was configured first, by mistake: three hours west of Caracas, without summer time since 1968.
const MISTAKEN: Place = Place {
    zone: "America/Phoenix",
    offset: -7 * 3600,
    suffix: "-07:00",
};

/// What the CRM must hold: the named days by today's settings, the others as they were sent first. A call is of the day that
/// its row names, and of the one that its first instant falls on by today's clock.
pub fn mixed(scene: &Scene, before: (Place, &str), after: (Place, &str)) -> Golden {
    let [first, last] = range();
    let named = |wall: i64| {
        let day = stamp(wall, ' ')[..10].to_owned();
        (first.as_str()..=last.as_str()).contains(&day.as_str())
    };
    // Every row has a duration of its own.
    let rebuilt: Vec<u64> = scene
        .rows
        .iter()
        .filter(|row| named(row.wall) || named(row.wall - before.0.offset + after.0.offset))
        .map(|row| row.duration)
        .collect();
    let mut all = expected(scene, after.0, after.1);
    all.retain(|_, (duration, _)| rebuilt.contains(duration));
    let mut others = expected(scene, before.0, before.1);
    others.retain(|_, (duration, _)| !rebuilt.contains(duration));
    all.extend(others);
    all
}

#[track_caller]
fn every_reading(before: (Place, &str), after: (Place, &str)) {
    let at = |hours: i32| DayZone::Fixed(chrono::FixedOffset::east_opt(hours * 3600).unwrap());
    for days in [DeleteReading::NamedDaysStay, DeleteReading::NamedDaysGo] {
        for day_zone in [DayZone::WireText, at(0), at(8), at(-5)] {
            let crm = sandbox_with(SandboxOptions {
                days,
                day_zone,
                ..SandboxOptions::default()
            });
            let scene = scene();
            let url = crm.url.as_str();
            scene.point_at_with(url, |config| configured(config, before.0, before.1));
            scene.program.sync(&["--full"], 0);
            scene.point_at_with(url, |config| configured(config, after.0, after.1));
            let golden = mixed(&scene, before, after);
            let context = format!("{days:?} {day_zone:?}");
            let report = rebuild(&scene, 0);
            assert_eq!(report["deleted"], crm.stats().deleted, "{context} {report}");
            assert_eq!(
                report["sync"]["calls"]["created"], report["deleted"],
                "{context} {report}"
            );
            same(&held(&crm), &golden);
            assert_eq!(crm.calls().len(), golden.len(), "{context}");
            let [first, last] = range();
            let listed = scene.listed();
            assert!(
                listed.iter().all(|call| call["state"] == "delivered"),
                "{context}"
            );
            let adrift = listed.iter().filter(|call| {
                let day = &call["start"].as_str().unwrap()[..10];
                call["drift"] == true && (first.as_str()..=last.as_str()).contains(&day)
            });
            assert_eq!(adrift.count(), 0, "{context}");
            assert_eq!(
                status(&scene)["unfinished_deletions"],
                serde_json::json!([])
            );
            let report = scene.program.sync(&["--full"], 0);
            assert_eq!(report["requests"]["sent"], 0, "{context} {report}");
            let of_old = expected(&scene, before.0, before.1);
            let stay = golden
                .iter()
                .filter(|(key, call)| of_old.get(*key) == Some(call));
            assert_eq!(report["drift"], stay.count(), "{context} {report}");
        }
    }
}

#[test]
fn another_rendering() {
    every_reading((CARACAS, "local-z"), (CARACAS, "utc"));
}

#[test]
fn a_corrected_zone() {
    every_reading((MISTAKEN, "utc"), (CARACAS, "utc"));
}

#[test]
fn a_corrected_zone_in_the_east() {
    every_reading((CARACAS, "offset"), (SHANGHAI, "offset"));
}

#[test]
fn a_zone_and_a_rendering() {
    every_reading((SHANGHAI, "utc"), (MISTAKEN, "local"));
}
