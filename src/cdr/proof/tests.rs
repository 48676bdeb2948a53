use chrono_tz::Tz;

use super::*;
use crate::call::{ColumnTime, Disposition, Origin};
use crate::source::DurationCell;

/// 2026-01-01T00:00:00Z
const YEAR: i64 = 1_767_225_600;
const HOUR: i64 = 3600;

/// A call every two hours from `YEAR` on, over so many days, whose column is read off the clock that `zone` gives; the
/// start lies behind the channel's epoch by what `late` gives.
fn calls(days: i64, zone: impl Fn(i64) -> Tz, late: impl Fn(i64) -> i64) -> Vec<Sighting> {
    (0..days * 12)
        .map(|n| {
            let epoch = YEAR + n * 2 * HOUR + n % 7;
            Sighting {
                epoch,
                at: epoch + offset_at(zone(epoch), epoch) + late(n),
            }
        })
        .collect()
}

#[track_caller]
fn one_part(sightings: &[Sighting], declared: Tz) -> Part {
    let mut found = parts(sightings, declared);
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

#[test]
fn the_right_zone_is_proven_over_all_its_transitions() {
    for zone in [
        Tz::America__Caracas,
        Tz::America__New_York,
        Tz::Australia__Lord_Howe,
        Tz::Asia__Kathmandu,
        Tz::UTC,
    ] {
        let part = one_part(&calls(360, |_| zone, |n| n % 2), zone);
        assert!(part.declared, "{zone}");
        assert_eq!(part.agreeing, 360 * 12, "{zone}");
        assert_eq!(part.zones[0], zone);
    }
}

#[test]
fn calls_that_were_parked_or_handed_on_prove_nothing_and_hide_nothing() {
    // Of ten rows four start long after their channel: a minute, ten minutes, an hour, and what looks like a quarter.
    let late = |n: i64| match n % 10 {
        3 => 70,
        5 => 611,
        7 => HOUR + 200,
        9 => 15 * 60 + 3,
        _ => 0,
    };
    let sightings = calls(60, |_| Tz::America__Caracas, late);
    let part = one_part(&sightings, Tz::America__Caracas);
    assert!(part.declared);
    assert_eq!(part.agreeing, 60 * 12 * 7 / 10);
    let part = one_part(&sightings, Tz::UTC);
    assert!(!part.declared);
    assert_eq!(part.zones[0], Tz::America__Caracas);
    assert_eq!(part.offsets, [-4 * HOUR]);
}

#[test]
fn a_zone_with_summer_time_is_told_from_one_without() {
    let part = one_part(
        &calls(360, |_| Tz::America__New_York, |_| 0),
        Tz::America__Caracas,
    );
    assert!(!part.declared);
    assert_eq!(part.zones[0], Tz::America__New_York);
    assert_eq!(part.offsets, [-5 * HOUR, -4 * HOUR]);
    assert!(!part.zones.contains(&Tz::America__Bogota));
}

#[test]
fn a_switch_in_mid_life_is_found_between_the_last_call_before_and_the_first_after() {
    let switch = YEAR + 100 * 86_400 + 5 * HOUR;
    let zone = |epoch: i64| {
        if epoch < switch {
            Tz::UTC
        } else {
            Tz::America__Caracas
        }
    };
    let sightings = calls(200, zone, |n| n % 2);
    for declared in [Tz::America__Caracas, Tz::UTC, Tz::Asia__Tokyo] {
        let found = parts(&sightings, declared);
        assert_eq!(found.len(), 2, "{declared}: {found:?}");
        let declared: Vec<bool> = [Tz::UTC, Tz::America__Caracas]
            .iter()
            .map(|zone| *zone == declared)
            .collect();
        assert_eq!([found[0].declared, found[1].declared], declared[..]);
        assert_eq!(found[0].zones[0], Tz::UTC);
        assert_eq!(found[1].zones[0], Tz::America__Caracas);
        let gap = found[0].last..found[1].first;
        assert!(gap.contains(&switch), "{gap:?}");
        // Rows decide in groups: the last of the old ones may stand in a group of new ones.
        assert!(gap.end - gap.start <= 2 * HOUR * 6, "{gap:?}");
    }
}

#[test]
fn an_hour_that_a_wrong_clock_lasted_is_seen_on_both_sides() {
    let wrong = YEAR + 30 * 86_400..YEAR + 44 * 86_400;
    let zone = |epoch: i64| {
        if wrong.contains(&epoch) {
            Tz::Europe__Madrid
        } else {
            Tz::America__Bogota
        }
    };
    let found = parts(&calls(90, zone, |_| 0), Tz::America__Bogota);
    let shown: Vec<(bool, Tz)> = found
        .iter()
        .map(|part| (part.declared, part.zones[0]))
        .collect();
    assert_eq!(shown.len(), 3, "{shown:?}");
    assert_eq!(shown[0], (true, Tz::America__Bogota));
    assert!(!shown[1].0);
    assert!(found[1].zones.contains(&Tz::Europe__Madrid));
    assert_eq!(shown[2], (true, Tz::America__Bogota));
}

#[test]
fn some_odd_rows_in_a_row_end_nothing() {
    let mut sightings = calls(60, |_| Tz::America__Caracas, |_| 0);
    // Five calls that were parked for two hours to the second, one after the other.
    for odd in &mut sightings[100..105] {
        odd.at += 2 * HOUR;
    }
    let part = one_part(&sightings, Tz::America__Caracas);
    assert!(part.declared);
    assert_eq!(part.agreeing, 60 * 12 - 5);
}

#[test]
fn too_few_calls_prove_nothing() {
    let sightings = calls(1, |_| Tz::America__Caracas, |_| 0);
    assert_eq!(parts(&sightings[..4], Tz::America__Caracas), []);
    assert_eq!(parts(&sightings[..5], Tz::America__Caracas).len(), 1);
    assert_eq!(parts(&[], Tz::America__Caracas), []);
}

#[test]
fn a_vote_is_a_quarter_of_an_hour_and_at_most_a_minute_and_a_half_more() {
    let vote = |apart| {
        Sighting {
            epoch: YEAR,
            at: YEAR + apart,
        }
        .offset()
    };
    assert_eq!(vote(0), Some(0));
    assert_eq!(vote(-5), Some(0));
    assert_eq!(vote(-6), None);
    assert_eq!(vote(90), Some(0));
    assert_eq!(vote(91), None);
    assert_eq!(vote(-4 * HOUR + 3), Some(-4 * HOUR));
    assert_eq!(vote(5 * HOUR + 45 * 60), Some(5 * HOUR + 45 * 60));
    assert_eq!(vote(15 * HOUR), None, "no zone is that far from UTC");
    assert_eq!(
        Sighting {
            epoch: i64::MAX,
            at: i64::MIN
        }
        .offset(),
        None
    );
}

#[test]
fn of_a_channel_the_row_that_starts_first_is_looked_at() {
    let row = |at: i64, uniqueid: Option<&str>| CdrRow {
        start: StartCell::At(ColumnTime(at)),
        source: String::new(),
        destination: String::new(),
        duration: DurationCell::Seconds(0),
        disposition: Disposition::Answered,
        origin: Origin {
            uniqueid: uniqueid.map(str::to_owned),
            ..Origin::default()
        },
        extra: Vec::new(),
    };
    let uniqueid = format!("pbx-{YEAR}.7");
    let rows = [
        row(YEAR + 500, Some(&uniqueid)),
        row(YEAR + 1, Some(&uniqueid)),
        row(YEAR + 900, Some(&uniqueid)),
        row(YEAR, None),
        row(YEAR, Some("7d3a2a0e-6a0c-4a58-9a54-0d4a1c4e5a2b")),
    ];
    let expected = Sighting {
        epoch: YEAR,
        at: YEAR + 1,
    };
    assert_eq!(Sighting::among(&rows), [expected]);
}
