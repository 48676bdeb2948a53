//! The clock proof.

use chrono_tz::Tz;

use crate::scene::now;
use crate::stage::{Kind, Stage, call, calls, shown};

const DAY: i64 = 86_400;

#[tokio::test]
async fn the_right_zone_is_proven_over_summer_time_in_every_source() {
    let rows = calls(3_000, 350, |_| Tz::America__New_York);
    let first = shown(Tz::America__New_York, now() - 350 * DAY, "%Y-%m-%d");
    for kind in Kind::ALL {
        let stage = Stage::of(kind, &rows).await;
        stage.declare("America/New_York");
        let said = stage.line("clock", 0);
        let proven = format!(
            "America/New_York is proven by the times in `uniqueid`: 3000 of 3000 calls looked at since {first}"
        );
        assert_eq!(said, ("ok".to_owned(), proven), "{kind:?}");
    }
}

#[tokio::test]
async fn a_zone_that_the_calls_contradict_fails_with_the_one_that_fits() {
    for kind in Kind::ALL {
        let stage = Stage::of(kind, &calls(1_000, 350, |_| Tz::America__Caracas)).await;
        stage.declare("UTC");
        let (result, text) = stage.line("clock", 2);
        assert_eq!(result, "failed", "{kind:?}: {text}");
        let column = match kind {
            Kind::Csv => "",
            Kind::MariaDb | Kind::Postgres | Kind::Sqlite => "calldate",
        };
        let begins = format!("your `{column}");
        assert!(text.starts_with(&begins), "{kind:?}: {text}");
        assert!(
            text.contains(
                "` is UTC-4, you declared UTC; 1000 of 1000 calls looked at show it. Set source.timezone to the zone of the \
                 phone system: \"America/Caracas\" fits, and so do \"America/La_Paz\", \"America/Santo_Domingo\" and "
            ),
            "{kind:?}: {text}"
        );
    }
    // UTC under a declared zone with summer time, as CDRUSEGMT or usegmtime leave it.
    let stage = Stage::of(Kind::MariaDb, &calls(1_000, 350, |_| Tz::UTC)).await;
    stage.declare("America/New_York");
    let (result, text) = stage.line("clock", 2);
    assert_eq!(
        (result.as_str(), text.as_str()),
        (
            "failed",
            "your `calldate` is UTC, you declared America/New_York (UTC-5 then); 1000 of 1000 calls looked at show it. Set \
             source.timezone to the zone of the phone system: \"UTC\""
        )
    );
}

#[tokio::test]
async fn a_switch_in_mid_life_is_dated_to_the_minute() {
    let switch = now() - 100 * DAY - 7_000;
    let zone = move |epoch: i64| {
        if epoch < switch {
            Tz::UTC
        } else {
            Tz::America__Caracas
        }
    };
    let mut rows = calls(3_000, 300, zone);
    // The hours around it are as busy as an office is: a call every twenty seconds.
    rows.extend((0..2_000).map(|n| call(10_000 + n, switch - 20_000 + n * 20, &zone)));
    let first = shown(Tz::America__Caracas, switch, "%Y-%m-%d %H:%M");
    for kind in Kind::ALL {
        let stage = Stage::of(kind, &rows).await;
        let (result, text) = stage.line("clock", 0);
        assert_eq!(result, "warning", "{kind:?}: {text}");
        assert!(
            text.contains(" is UTC-4 (America/Caracas) now, as declared, but it was UTC until "),
            "{kind:?}: {text}"
        );
        let (_, said) = text.split_once(" until ").unwrap();
        let minute = |text: &str| -> i64 {
            chrono::NaiveDateTime::parse_from_str(&text[..16], "%Y-%m-%d %H:%M")
                .unwrap()
                .and_utc()
                .timestamp()
                / 60
        };
        let off = minute(said) - minute(&first);
        assert!((0..=2).contains(&off), "{kind:?}: {first}, but {text}");
        assert!(
            text.contains(
                "with a copy of this configuration that has job = \"cdrelay\", the same ledger and source.timezone = \"UTC\", run `cdrelay sync --full --until "
            ),
            "{text}"
        );
        // The other way round, today's calls are the wrong ones.
        stage.declare("UTC");
        let (result, text) = stage.line("clock", 2);
        assert_eq!(result, "failed", "{kind:?}: {text}");
        assert!(
            text.contains(" is UTC-4, you declared UTC, since "),
            "{kind:?}: {text}"
        );
    }
}

#[tokio::test]
async fn a_clock_that_was_wrong_for_two_weeks_is_seen_on_both_sides() {
    let wrong = now() - 60 * DAY..now() - 46 * DAY;
    let zone = move |epoch: i64| {
        if wrong.contains(&epoch) {
            Tz::Asia__Tokyo
        } else {
            Tz::America__Caracas
        }
    };
    let stage = Stage::of(Kind::Sqlite, &calls(2_000, 200, zone)).await;
    let (result, text) = stage.line("clock", 0);
    assert_eq!(result, "warning", "{text}");
    assert!(
        text.contains("it was UTC-4 (America/Caracas) until ")
            && text.contains(", and it was UTC+9 until "),
        "{text}"
    );
}

#[tokio::test]
async fn instants_are_proven_as_such_and_told_from_local_time_that_only_looks_like_them() {
    // The session of the private server is in Caracas: what is written is taken for local time there, as Asterisk's is.
    let rows = calls(600, 100, |_| Tz::America__Caracas);
    let stage = Stage::typed(Kind::MariaDb, &rows, "timestamp NULL").await;
    let (result, text) = stage.line("clock", 0);
    assert_eq!(result, "ok", "{text}");
    assert!(
        text.starts_with("that these are instants is proven by the times in `uniqueid`: 600 of 600 calls looked at since "),
        "{text}"
    );
    let rows = calls(600, 100, |_| Tz::UTC);
    let stage = Stage::typed(Kind::MariaDb, &rows, "timestamp NULL").await;
    let (result, text) = stage.line("clock", 2);
    assert_eq!(result, "failed", "{text}");
    assert!(
        text.starts_with(
            "`calldate` holds instants, and they are 4h late; 600 of 600 calls looked at show it. The phone system writes the \
             time of another zone than its database session has: set that session's time zone to "
        ),
        "{text}"
    );
    // Epoch numbers.
    let rows = calls(600, 100, |_| Tz::UTC);
    let stage = Stage::typed(Kind::Sqlite, &rows, "INTEGER").await;
    rusqlite::Connection::open(stage.program.path("cdr.db"))
        .unwrap()
        .execute_batch("UPDATE cdr SET calldate = unixepoch(calldate)")
        .unwrap();
    let (result, text) = stage.line("clock", 0);
    assert_eq!(result, "ok", "{text}");
    assert!(
        text.starts_with("that these are instants is proven"),
        "{text}"
    );
}

#[tokio::test]
async fn calls_that_were_parked_hide_nothing() {
    let mut rows = calls(2_000, 200, |_| Tz::America__Caracas);
    // A third of the rows are later legs of a channel: seconds to hours after it.
    for (n, row) in rows.iter_mut().enumerate().filter(|(n, _)| n % 3 == 0) {
        row.wall += 100 + i64::try_from(n * 37 % 20_000).unwrap();
    }
    let stage = Stage::of(Kind::MariaDb, &rows).await;
    let (result, text) = stage.line("clock", 0);
    assert_eq!(result, "ok", "{text}");
    assert!(
        text.contains("America/Caracas is proven") && text.contains("later than their channel"),
        "{text}"
    );
    stage.declare("America/Bogota");
    let (result, text) = stage.line("clock", 2);
    assert_eq!(result, "failed", "{text}");
    assert!(
        text.starts_with("your `calldate` is UTC-4, you declared America/Bogota (UTC-5 then); "),
        "{text}"
    );
}

#[tokio::test]
async fn without_a_time_in_uniqueid_nothing_is_proven_and_nothing_fails() {
    let mut rows = calls(300, 30, |_| Tz::UTC);
    for row in &mut rows {
        row.uniqueid = format!("7d3a2a0e-6a0c-4a58-9a54-{:012x}", row.sequence);
    }
    rows[299].uniqueid = "\u{1b}[31m|".to_owned();
    let stage = Stage::of(Kind::Postgres, &rows).await;
    let (result, text) = stage.line("clock", 0);
    assert_eq!(result, "ok", "{text}");
    assert!(
        text.starts_with(
            "the zone cannot be proven: no `uniqueid` holds the time of its channel, such as `"
        ),
        "{text}"
    );
    let stage = Stage::of(Kind::Sqlite, &[]).await;
    let said = stage.line("clock", 0);
    let none = "there is no call yet to prove the zone by";
    assert_eq!(said, ("ok".to_owned(), none.to_owned()));
}

#[tokio::test]
async fn a_table_without_an_index_is_judged_by_what_a_short_look_shows() {
    let stage = Stage::without_index(&calls(500, 100, |_| Tz::UTC)).await;
    let (result, text) = stage.line("clock", 2);
    assert_eq!(result, "failed", "{text}");
    assert!(
        text.starts_with("your `start` is UTC, you declared America/Caracas (UTC-4 then)"),
        "{text}"
    );
}
