//! Whatever the CRM means by its bounds, and wherever it counts its days, the run after a deletion reaches golden.

use cdrelay::sandbox::{DayZone, DeleteReading, SandboxOptions};

use super::days::{CARACAS, Place, SHANGHAI, arguments, configured, expected, range, scene};
use super::scene::{held, same, sandbox_with};

/// Every reading for one place and rendering.
#[track_caller]
fn every_reading(place: Place, rendering: &str) {
    let at = |hours: i32| DayZone::Fixed(chrono::FixedOffset::east_opt(hours * 3600).unwrap());
    let range = range();
    for days in [DeleteReading::NamedDaysStay, DeleteReading::NamedDaysGo] {
        for day_zone in [DayZone::WireText, at(0), at(8), at(-5)] {
            let crm = sandbox_with(SandboxOptions {
                days,
                day_zone,
                ..SandboxOptions::default()
            });
            let scene = scene();
            scene.point_at_with(crm.url.as_str(), |config| {
                configured(config, place, rendering)
            });
            scene.program.sync(&["--full"], 0);
            let golden = expected(&scene, place, rendering);
            same(&held(&crm), &golden);
            let report = scene.program.json(&arguments(&range, &["--yes"]), 0);
            let deleted = crm.stats().deleted;
            assert!(deleted > 0, "{days:?} {day_zone:?}");
            assert_eq!(report["deleted"], deleted, "{report}");
            // What went is sent again; what is verified besides was there still, and stays once.
            let report = scene.program.sync(&["--full"], 0);
            let context = format!("{days:?} {day_zone:?} {report}");
            assert_eq!(report["calls"]["created"], deleted, "{context}");
            same(&held(&crm), &golden);
            assert_eq!(crm.calls().len(), golden.len(), "{context}");
            let report = scene.program.sync(&["--full"], 0);
            assert_eq!(report["calls"]["unchanged"], golden.len(), "{context}");
        }
    }
}

#[test]
fn caracas_utc() {
    every_reading(CARACAS, "utc");
}

#[test]
fn caracas_offset() {
    every_reading(CARACAS, "offset");
}

#[test]
fn caracas_local() {
    every_reading(CARACAS, "local");
}

#[test]
fn caracas_local_labelled_as_utc() {
    every_reading(CARACAS, "local-z");
}

#[test]
fn shanghai_utc() {
    every_reading(SHANGHAI, "utc");
}

#[test]
fn shanghai_offset() {
    every_reading(SHANGHAI, "offset");
}

#[test]
fn shanghai_local() {
    every_reading(SHANGHAI, "local");
}

#[test]
fn shanghai_local_labelled_as_utc() {
    every_reading(SHANGHAI, "local-z");
}
