//! What clock and window promise at the transitions of the world's zones.

use std::collections::HashSet;
use std::ops::Range;

use chrono::{DateTime, NaiveDateTime};
use chrono_tz::Tz;
use proptest::prelude::*;

use super::clock::{Clock, ClockNote, Resolved};
use super::spans::Spans;
use super::window::Window;
use crate::call::{ColumnTime, Fold, TimeKind};
use crate::config::InitiatedAs;

/// 2038-01-01T00:00:00Z
const END: i64 = 2_145_916_800;

/// One line of `tests/data/tz_vectors.tsv`.
struct Vector {
    zone: Tz,
    at: i64,
    before: i64,
    after: i64,
    twice: bool,
    walls: Range<i64>,
}

#[test]
fn readings_at_all_44_transitions_follow_the_rule() {
    let vectors = vectors();
    assert_eq!(vectors.len(), 44);
    assert_eq!(vectors.iter().filter(|vector| vector.twice).count(), 22);
    for vector in &vectors {
        let Vector {
            zone,
            at,
            before,
            after,
            ref walls,
            twice,
        } = *vector;
        let clock = Clock::new(TimeKind::Wall, zone);
        assert_eq!(walls.end - walls.start, (after - before).abs(), "{zone}");
        assert_eq!(walls.start, at + before.min(after), "{zone}");

        // One second outside, on either side, there is nothing to decide, whatever the uniqueid says.
        for uniqueid in ["1.1", &format!("{at}.1")] {
            let last = clock.resolve(ColumnTime(walls.start - 1), Some(uniqueid));
            assert_eq!(
                last,
                resolved(walls.start - 1 - before, 0, ClockNote::Exact),
                "{zone}"
            );
            let next = clock.resolve(ColumnTime(walls.end), Some(uniqueid));
            assert_eq!(
                next,
                resolved(walls.end - after, 0, ClockNote::Exact),
                "{zone}"
            );
        }

        let middle = walls.start + (walls.end - walls.start) / 2;
        for wall in [walls.start, walls.start + 1, middle, walls.end - 1] {
            let reading = |uniqueid: &str| clock.resolve(ColumnTime(wall), Some(uniqueid));
            let (assumed, earlier, later, decided) = if twice {
                (
                    wall - before,
                    wall - before,
                    wall - after,
                    ClockNote::AmbiguousByUniqueid,
                )
            } else {
                (
                    wall - before,
                    wall - after,
                    wall - before,
                    ClockNote::SkippedByUniqueid,
                )
            };
            let undecided = resolved(
                assumed,
                0,
                if twice {
                    ClockNote::AmbiguousAssumedFirst
                } else {
                    ClockNote::SkippedShifted
                },
            );
            assert_eq!(
                clock.resolve(ColumnTime(wall), None),
                undecided,
                "{zone} {wall}"
            );
            for silent in [
                "",
                "asterisk",
                "1.2.x",
                "pbx-12345678.1",
                &format!("{}.1", earlier - 200_000),
            ] {
                assert_eq!(reading(silent), undecided, "{zone} {wall} {silent}");
            }
            // A channel made after both readings cannot have started this call: no evidence.
            assert_eq!(
                reading(&format!("{}.1", later + 60)),
                undecided,
                "{zone} {wall}"
            );

            let fold = u8::from(twice);
            for prefix in ["", "pbx-", "sede-norte-2-"] {
                let early = resolved(earlier, 0, decided);
                assert_eq!(
                    reading(&format!("{prefix}{earlier}.42")),
                    early,
                    "{zone} {wall}"
                );
                assert_eq!(
                    reading(&format!("{prefix}{}.42", earlier + 5)),
                    early,
                    "{zone} {wall}"
                );
                assert_eq!(
                    reading(&format!("{prefix}{}.42", earlier - 3600)),
                    early,
                    "{zone} {wall}"
                );
                let late = resolved(later, fold, decided);
                assert_eq!(
                    reading(&format!("{prefix}{later}.42")),
                    late,
                    "{zone} {wall}"
                );
                assert_eq!(
                    reading(&format!("{prefix}{}.42", earlier + 6)),
                    late,
                    "{zone} {wall}"
                );
            }
        }
    }
}

#[test]
fn columns_of_instants_pass_through_at_all_transitions() {
    for vector in vectors() {
        let clock = Clock::new(TimeKind::Instant, vector.zone);
        for instant in [vector.at - 1, vector.at, vector.at + 1] {
            let found = clock.resolve(ColumnTime(instant), Some("1498555635.1"));
            assert_eq!(found, resolved(instant, 0, ClockNote::Exact));
            let window = Window {
                since: instant,
                until: instant + 1,
            };
            assert_eq!(
                window.column_window(&clock),
                ColumnTime(instant)..ColumnTime(instant + 1)
            );
        }
    }
}

#[test]
fn adjacent_windows_lose_nothing_and_double_nothing() {
    for vector in vectors() {
        let clock = Clock::new(TimeKind::Wall, vector.zone);
        let at = vector.at;
        let cuts = [
            at - 400_000,
            at - 90_000,
            at - 3600,
            at - 1,
            at,
            at + 1,
            at + 1799,
            at + 3600,
            at + 86_400,
            at + 400_000,
        ];
        let windows: Vec<_> = cuts
            .windows(2)
            .map(|pair| Window {
                since: pair[0],
                until: pair[1],
            })
            .map(|window| (window, window.column_window(&clock)))
            .collect();
        // Every half minute or so of the days around, and every second near each edge as either offset shows it.
        let mut walls: Vec<i64> = (at - 180_000..at + 180_000).step_by(31).collect();
        for edge in cuts[1..cuts.len() - 1]
            .iter()
            .flat_map(|cut| [cut + vector.before, cut + vector.after])
        {
            walls.extend(edge - 3..edge + 4);
        }
        walls.extend([
            vector.walls.start - 1,
            vector.walls.start,
            vector.walls.end - 1,
            vector.walls.end,
        ]);
        for wall in walls {
            for uniqueid in evidence(&vector, wall) {
                in_exactly_one(&clock, &windows, wall, uniqueid.as_deref());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_cut_near_a_transition_parts_the_calls_in_two(
        vector in 0..44_usize,
        cut in -100_000..100_000_i64,
        wall in -200_000..200_000_i64,
    ) {
        let vector = &vectors()[vector];
        let clock = Clock::new(TimeKind::Wall, vector.zone);
        let cut = vector.at + cut;
        let windows = [(cut - 700_000, cut), (cut, cut + 700_000)]
            .map(|(since, until)| Window { since, until })
            .map(|window| (window, window.column_window(&clock)));
        let wall = vector.at + vector.before + wall;
        for uniqueid in evidence(vector, wall) {
            in_exactly_one(&clock, &windows, wall, uniqueid.as_deref());
        }
    }
}

#[test]
fn no_two_instants_of_any_zone_share_a_text_under_utc_and_offset() {
    let mut seen = 0;
    for zone in chrono_tz::TZ_VARIANTS {
        let clock = Clock::new(TimeKind::Wall, zone);
        for (at, before, after) in Spans::of(zone).transitions().filter(|(at, ..)| *at < END) {
            seen += 1;
            let mut texts = HashSet::new();
            let shift = (after - before).abs();
            let instants: HashSet<i64> = [
                -shift,
                1 - shift,
                -1800,
                -30,
                -1,
                0,
                1,
                30,
                1800,
                shift - 1,
                shift,
            ]
            .map(|distance| at + distance)
            .into();
            for instant in &instants {
                let column = ColumnTime(instant + clock.spans().offset_at(*instant));
                for initiated_as in [InitiatedAs::Utc, InitiatedAs::Offset] {
                    let text = clock.render(column, *instant, initiated_as);
                    let read = DateTime::parse_from_rfc3339(&text)
                        .expect("RFC 3339")
                        .timestamp();
                    assert_eq!(read, *instant, "{zone} {text}");
                    assert!(texts.insert(text), "{zone} {instant}");
                }
            }
        }
    }
    assert!(seen > 20_000, "only {seen} transitions were looked at");
}

#[test]
fn every_instant_of_every_zone_is_found_again_by_its_reading_and_uniqueid() {
    for zone in chrono_tz::TZ_VARIANTS {
        let clock = Clock::new(TimeKind::Wall, zone);
        for (at, before, after) in Spans::of(zone).transitions().filter(|(at, ..)| *at < END) {
            let shift = (after - before).abs();
            for instant in [
                at - shift - 1,
                at - shift,
                at - 1,
                at,
                at + 1,
                at + shift - 1,
                at + shift,
            ] {
                let wall = instant + if instant < at { before } else { after };
                // Nine digits at least, so nothing before 1973 carries evidence.
                if instant < 100_000_000 {
                    continue;
                }
                let found = clock.resolve(ColumnTime(wall), Some(&format!("{instant}.0")));
                assert_eq!(found.instant, instant, "{zone} {at}");
                let window = Window {
                    since: instant,
                    until: instant + 1,
                };
                assert!(
                    window.column_window(&clock).contains(&ColumnTime(wall)),
                    "{zone} {at}"
                );
            }
        }
    }
}

#[track_caller]
fn in_exactly_one(
    clock: &Clock,
    windows: &[(Window, Range<ColumnTime>)],
    wall: i64,
    uniqueid: Option<&str>,
) {
    let wall = ColumnTime(wall);
    let instant = clock.resolve(wall, uniqueid).instant;
    let holding: Vec<_> = windows
        .iter()
        .filter(|(window, _)| window.contains(instant))
        .collect();
    assert_eq!(
        holding.len(),
        1,
        "{} {wall:?} {uniqueid:?} {instant}",
        clock.zone()
    );
    assert!(
        holding[0].1.contains(&wall),
        "{} {wall:?} {uniqueid:?} {holding:?}",
        clock.zone()
    );
}

/// No uniqueid, and one for each of the two offsets around the transition.
fn evidence(vector: &Vector, wall: i64) -> [Option<String>; 3] {
    [
        None,
        Some(format!("{}.7", wall - vector.before)),
        Some(format!("pbx-{}.7", wall - vector.after)),
    ]
}

fn resolved(instant: i64, fold: u8, note: ClockNote) -> Resolved {
    Resolved {
        instant,
        fold: Fold(fold),
        note,
    }
}

fn vectors() -> Vec<Vector> {
    let text = include_str!("../../tests/data/tz_vectors.tsv");
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let fields: Vec<&str> = line.split('\t').collect();
            let (before, after) = fields[2].split_once("->").expect("two offsets");
            let (from, until) = fields[4]
                .trim_matches(['[', ')'])
                .split_once(", ")
                .expect("a range");
            Vector {
                zone: fields[0].parse().expect("a zone"),
                at: DateTime::parse_from_rfc3339(fields[1])
                    .expect("an instant")
                    .timestamp(),
                before: offset(before),
                after: offset(after),
                twice: match fields[3] {
                    "AMBIG" => true,
                    "SKIPPED" => false,
                    other => panic!("unknown kind {other}"),
                },
                walls: wall(from)..wall(until),
            }
        })
        .collect()
}

fn offset(text: &str) -> i64 {
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let (hours, minutes) = text[1..].split_once(':').expect("hours and minutes");
    let number = |text: &str| text.parse::<i64>().expect("a number");
    sign * (number(hours) * 3600 + number(minutes) * 60)
}

fn wall(text: &str) -> i64 {
    let time = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S").expect("a wall time");
    time.and_utc().timestamp()
}

/// Whether the long version was asked for.
fn is_long() -> bool {
    std::env::var("CDRELAY_SOAK").as_deref() == Ok("long")
}

#[test]
fn every_reading_around_every_transition_of_every_zone_follows_the_rule() {
    use chrono::offset::LocalResult;
    use chrono::{Offset as _, TimeZone as _};
    let mut looked_at = [0_u32; 3];
    for zone in chrono_tz::TZ_VARIANTS {
        let clock = Clock::new(TimeKind::Wall, zone);
        for (at, before, after) in Spans::of(zone).transitions().filter(|(at, ..)| *at < END) {
            let (low, high) = (at + before.min(after), at + before.max(after));
            let mut walls = vec![low - 1, low, low + (high - low) / 2, high - 1, high];
            if is_long() {
                walls.extend((low - 3600..high + 3600).step_by(60));
            }
            for wall in walls {
                let found = clock.resolve(ColumnTime(wall), None);
                // The zone database's own answer, by another way.
                let local = zone.from_local_datetime(&super::spans::naive(wall));
                let expected = match local {
                    LocalResult::Single(time) => {
                        looked_at[0] += 1;
                        resolved(time.timestamp(), 0, ClockNote::Exact)
                    }
                    LocalResult::Ambiguous(one, other) => {
                        looked_at[1] += 1;
                        let (first, second) = (
                            one.timestamp().min(other.timestamp()),
                            one.timestamp().max(other.timestamp()),
                        );
                        if second >= 100_000_000 {
                            let uniqueid = format!("pbx-{second}.1");
                            let decided = clock.resolve(ColumnTime(wall), Some(&uniqueid));
                            assert_eq!(
                                decided,
                                resolved(second, 1, ClockNote::AmbiguousByUniqueid),
                                "{zone} {wall}"
                            );
                        }
                        resolved(first, 0, ClockNote::AmbiguousAssumedFirst)
                    }
                    LocalResult::None => {
                        looked_at[2] += 1;
                        resolved(wall - before, 0, ClockNote::SkippedShifted)
                    }
                };
                assert_eq!(found, expected, "{zone} {wall}");
            }
            // The window's stretch of the column holds every instant's reading, and only instants of the window count.
            for (since, until) in [
                (at - 1, at + 1),
                (at, at + 1),
                (at - 7200, at),
                (at, at + 7200),
            ] {
                let window = Window { since, until };
                let column = window.column_window(&clock);
                for instant in [since, since + (until - since) / 2, until - 1] {
                    let offset = zone.offset_from_utc_datetime(&super::spans::naive(instant));
                    let wall = instant + i64::from(offset.fix().local_minus_utc());
                    assert!(
                        window.contains(instant) && column.contains(&ColumnTime(wall)),
                        "{zone} {instant}"
                    );
                }
                assert!(!window.contains(since - 1) && !window.contains(until));
            }
        }
    }
    assert!(looked_at.iter().all(|n| *n > 20_000), "{looked_at:?}");
}
