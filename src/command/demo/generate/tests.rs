#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by panicking"
)]

use chrono::{TimeDelta, Timelike, Weekday};
use regex::Regex;
use rusqlite::Connection;
use rusqlite::types::Value;

use super::*;

/// A Friday afternoon.
fn now() -> NaiveDateTime {
    at("2026-11-20 16:20:00")
}

fn at(text: &str) -> NaiveDateTime {
    NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S").unwrap()
}

fn planned(seed: u64, days: u32) -> Vec<Call> {
    plan(seed, now().date() - Days::new(days.into()), now())
}

struct Demo {
    summary: Summary,
    database: Connection,
    _directory: tempfile::TempDir,
}

fn demo(seed: u64, now: NaiveDateTime, days: u32) -> Demo {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cdr.db");
    let summary = generate(&path, seed, now, days).unwrap();
    let database = Connection::open(&path).unwrap();
    Demo {
        summary,
        database,
        _directory: directory,
    }
}

impl Demo {
    fn rows(&self, sql: &str) -> Vec<Vec<Value>> {
        let mut statement = self.database.prepare(sql).unwrap();
        let width = statement.column_count();
        let rows = statement
            .query_map([], |row| (0..width).map(|i| row.get(i)).collect())
            .unwrap();
        rows.map(Result::unwrap).collect()
    }

    fn texts(&self, sql: &str) -> Vec<String> {
        let rows = self.rows(sql).into_iter();
        rows.map(|row| match row.into_iter().next() {
            Some(Value::Text(text)) => text,
            other => panic!("{sql} gives {other:?}"),
        })
        .collect()
    }

    fn number(&self, sql: &str) -> u64 {
        let number: i64 = self.database.query_row(sql, [], |row| row.get(0)).unwrap();
        u64::try_from(number).unwrap()
    }
}

#[test]
fn equal_arguments_give_equal_tables_and_another_seed_gives_another() {
    let all = "SELECT * FROM cdr ORDER BY rowid";
    let (a, b, c) = (demo(5, now(), 9), demo(5, now(), 9), demo(6, now(), 9));
    assert_eq!(a.rows(all), b.rows(all));
    assert_ne!(a.rows(all), c.rows(all));
    assert_eq!(contacts(&a.summary, 5), contacts(&b.summary, 5));
    assert_ne!(contacts(&a.summary, 5), contacts(&a.summary, 6));
}

#[test]
fn six_weeks_hold_four_to_six_thousand_rows_of_every_kind_for_any_seed() {
    for seed in 0..40 {
        let calls = planned(seed, DEFAULT_DAYS);
        let rows = rows::number(&calls).len() as u64;
        assert!((4_000..=6_000).contains(&rows), "seed {seed}: {rows} rows");
        let summary = summarize(Path::new("cdr.db"), &calls, rows);
        for (kind, calls) in &summary.calls_per_kind {
            assert!(*calls >= 10, "seed {seed}: {calls} calls of {kind:?}");
        }
        assert_eq!(summary.calls_per_kind.len(), CallKind::ALL.len());
        for (what, calls) in [
            ("forked", summary.forked),
            ("redialled", summary.redialled),
            ("withheld", summary.withheld),
            ("without source", summary.without_source),
            ("hangup rows", summary.hangup_rows),
        ] {
            assert!(calls >= 5, "seed {seed}: {calls} {what}");
        }
    }
}

#[test]
fn the_summary_says_what_the_table_holds() {
    let demo = demo(1, now(), DEFAULT_DAYS);
    let summary = &demo.summary;
    assert_eq!(summary.rows, demo.number("SELECT count(*) FROM cdr"));
    let calls: u64 = summary.calls_per_kind.values().sum();
    let own = "SELECT DISTINCT calldate, src, dst FROM cdr WHERE channel NOT LIKE 'Local/%' AND dst <> 'h'";
    assert_eq!(calls, demo.number(&format!("SELECT count(*) FROM ({own})")));
    let kinds = [
        (
            "dst GLOB '9555[0-9]*' AND length(dst) = 8",
            CallKind::OutboundLocal,
        ),
        ("dst GLOB '900[0-9]*'", CallKind::OutboundInternational),
        ("dst GLOB '90800*'", CallKind::OutboundTollFree),
        ("dst GLOB '90[24]*'", CallKind::OutboundNational),
        ("dst GLOB '[*]72*'", CallKind::FeatureCode),
        ("dst = 's'", CallKind::InboundMenu),
        ("dst = '600'", CallKind::InboundRingGroup),
        ("dst = '700'", CallKind::InboundQueue),
        ("length(dst) = 4 AND did <> ''", CallKind::InboundExtension),
        ("length(dst) = 4 AND did = ''", CallKind::Internal),
    ];
    for (condition, kind) in kinds {
        let found = demo.number(&format!("SELECT count(*) FROM ({own} AND {condition})"));
        assert_eq!(found, summary.calls_per_kind[&kind], "{kind:?}");
    }
    assert_eq!(
        summary.hangup_rows,
        demo.number(
            "SELECT count(*) FROM cdr WHERE dst = 'h' AND duration = 0 AND dstchannel = ''"
        )
    );
    assert_eq!(
        summary.withheld,
        demo.number(&format!(
            "SELECT count(*) FROM ({own} AND src = '' AND did <> '')"
        ))
    );
    assert_eq!(
        summary.without_source,
        demo.number(&format!(
            "SELECT count(*) FROM ({own} AND src = '' AND did = '')"
        ))
    );
    let dialled: u64 = summary.dialled.iter().map(|number| number.calls).sum();
    assert_eq!(
        dialled,
        demo.number(&format!(
            "SELECT count(*) FROM ({own} AND src <> '' AND dst GLOB '9*')"
        ))
    );
    let span = summary.span.unwrap();
    assert_eq!(
        demo.texts("SELECT min(calldate) FROM cdr UNION ALL SELECT max(calldate) FROM cdr WHERE channel NOT LIKE 'Local/%' AND dst <> 'h'"),
        [span.0.to_string(), span.1.to_string()]
    );
}

#[test]
fn legs_of_a_forked_call_differ_in_channel_and_sequence_and_the_answered_one_comes_last() {
    let demo = demo(2, now(), DEFAULT_DAYS);
    let rows = demo.rows(
        "SELECT uniqueid || ' ' || calldate || ' ' || src || ' ' || dst AS call,
                group_concat(disposition, ',') AS ways, count(*), count(DISTINCT dstchannel),
                count(DISTINCT sequence), count(DISTINCT recordingfile), count(DISTINCT linkedid)
         FROM (SELECT * FROM cdr ORDER BY rowid) GROUP BY 1 HAVING count(*) > 1",
    );
    assert_eq!(rows.len() as u64, demo.summary.forked);
    let mut answered = 0;
    for row in rows {
        let Value::Text(ways) = &row[1] else {
            panic!("{row:?}");
        };
        let ways: Vec<&str> = ways.split(',').collect();
        let (last, others) = ways.split_last().unwrap();
        assert!(!others.contains(&"ANSWERED"), "{row:?}");
        answered += u32::from(*last == "ANSWERED");
        assert_eq!(row[2], row[3], "dstchannel repeats: {row:?}");
        assert_eq!(row[2], row[4], "sequence repeats: {row:?}");
        assert_eq!(row[5], Value::Integer(1), "recording differs: {row:?}");
        assert_eq!(row[6], Value::Integer(1), "linkedid differs: {row:?}");
    }
    assert!(answered > 50, "{answered}");
}

#[test]
fn the_epoch_in_a_uniqueid_is_the_start_four_hours_west_of_greenwich() {
    let demo = demo(3, now(), DEFAULT_DAYS);
    let rows = demo.rows("SELECT calldate, uniqueid, linkedid, duration, dst FROM cdr");
    let mut hangups = 0;
    for row in rows {
        let [
            Value::Text(start),
            Value::Text(id),
            Value::Text(linked),
            _,
            Value::Text(dst),
        ] = &row[..]
        else {
            panic!("{row:?}");
        };
        let instant = at(start).and_utc().timestamp() + 4 * 3600;
        let epoch: i64 = id.split_once('.').unwrap().0.parse().unwrap();
        if dst == "h" {
            assert!(epoch < instant, "{row:?}");
            hangups += 1;
        } else {
            assert_eq!(epoch, instant, "{row:?}");
        }
        let oldest: i64 = linked.split_once('.').unwrap().0.parse().unwrap();
        // An agent's channel is opened while the caller waits in the queue, for 90 seconds at most.
        assert!((0..=90).contains(&(epoch - oldest)), "{row:?}");
    }
    assert_eq!(hangups, demo.summary.hangup_rows);
    assert_eq!(
        demo.number("SELECT count(*) FROM (SELECT DISTINCT uniqueid, sequence FROM cdr)"),
        demo.summary.rows
    );
    assert!(demo.number("SELECT count(*) FROM cdr WHERE sequence = 0") >= 6);
}

#[test]
fn every_number_is_fictitious() {
    let demo = demo(4, now(), DEFAULT_DAYS);
    let stamp = Regex::new(r"-\d{8}-\d{6}-\d+\.\d+\.wav$").unwrap();
    let channel_number = Regex::new(r"-[0-9a-f]{8}(;[12])?$").unwrap();
    let long = Regex::new(r"\d{5,}").unwrap();
    let fictitious = Regex::new(
        r"^(9|72)?(55501\d\d|0(212|241|251|261|281|412|414|416|424|426|800)55501\d\d|001(212|305|713|415)55501\d\d|00442079460\d{3})$",
    )
    .unwrap();
    let mut seen = 0;
    for column in [
        "clid",
        "src",
        "dst",
        "channel",
        "dstchannel",
        "lastdata",
        "did",
        "recordingfile",
        "cnum",
        "cnam",
        "outbound_cnum",
        "outbound_cnam",
        "dst_cnam",
    ] {
        for text in demo.texts(&format!("SELECT DISTINCT {column} FROM cdr")) {
            let text = stamp.replace(&text, "");
            let text = channel_number.replace(&text, "");
            for number in long.find_iter(&text) {
                assert!(fictitious.is_match(number.as_str()), "{column}: {text}");
                seen += 1;
            }
        }
    }
    assert!(seen > 1_000, "{seen}");
    for number in contacts(&demo.summary, 4) {
        assert!(fictitious.is_match(&number), "{number}");
    }
}

#[test]
fn numbers_before_and_after_the_rules_agree_with_the_rules() {
    let demo = demo(5, now(), DEFAULT_DAYS);
    for Dialled { raw, crm, .. } in &demo.summary.dialled {
        let inner = raw.strip_prefix('9').unwrap();
        let expected = if inner.len() == 7 {
            format!("0212{inner}")
        } else {
            inner.to_owned()
        };
        assert_eq!(*crm, expected);
    }
    let reached_twice = demo
        .summary
        .dialled
        .iter()
        .filter(|number| number.raw.starts_with("90212"))
        .filter(|full| {
            let others = demo.summary.dialled.iter();
            others.filter(|other| other.crm == full.crm).count() == 2
        })
        .count();
    assert!(reached_twice > 10, "{reached_twice}");
}

#[test]
fn contacts_cover_most_outbound_calls_and_leave_a_few_unknown() {
    for (seed, days) in (0..40).flat_map(|seed| [(seed, 7), (seed, DEFAULT_DAYS)]) {
        let calls = planned(seed, days);
        let summary = summarize(Path::new("cdr.db"), &calls, 0);
        let known = contacts(&summary, seed);
        assert!(known.is_sorted_by(|a, b| a < b));
        let total: u64 = summary.dialled.iter().map(|number| number.calls).sum();
        let covered: u64 = summary
            .dialled
            .iter()
            .filter(|number| known.contains(&number.crm))
            .map(|number| number.calls)
            .sum();
        let share = covered as f64 / total as f64;
        assert!(
            (0.85..=0.97).contains(&share),
            "seed {seed}, {days} days: {share}"
        );
    }
}

#[test]
fn recordings_are_named_as_freepbx_names_them() {
    let demo = demo(6, now(), DEFAULT_DAYS);
    let named = demo.rows(
        "SELECT recordingfile, linkedid, strftime('%Y%m%d-%H%M%S', linkedid, 'unixepoch', '-4 hours')
         FROM (SELECT recordingfile, CAST(linkedid AS INTEGER) AS linkedid FROM cdr WHERE recordingfile <> '')",
    );
    assert!(named.len() > 1_000, "{}", named.len());
    let form = Regex::new(
        r"^(out|internal|external|q|rg)-[0-9*]+-(\d+|unknown)-(\d{8}-\d{6})-(\d+)\.\d+\.wav$",
    )
    .unwrap();
    for row in named {
        let [Value::Text(name), Value::Integer(epoch), Value::Text(stamp)] = &row[..] else {
            panic!("{row:?}");
        };
        let parts = form.captures(name).unwrap_or_else(|| panic!("{name}"));
        assert_eq!(&parts[3], stamp, "{name}");
        assert_eq!(parts[4], epoch.to_string(), "{name}");
    }
}

#[test]
fn nobody_talks_to_two_people_at_once() {
    let calls = planned(7, DEFAULT_DAYS);
    let mut busy: BTreeMap<&str, NaiveDateTime> = BTreeMap::new();
    let stations = calls.iter().filter(|call| call.caller.len() == 4);
    for call in stations {
        if let Some(end) = busy.insert(&call.caller, call.end()) {
            assert!(end < call.start, "{} at {}", call.caller, call.start);
        }
    }
    assert!(busy.len() > 15);
}

#[test]
fn a_redialled_number_was_busy_a_few_minutes_before() {
    let calls = planned(8, DEFAULT_DAYS);
    for again in calls.iter().filter(|call| call.redial) {
        let before = calls.iter().any(|call| {
            call.caller == again.caller
                && call.dst == again.dst
                && call.rows[0].disposition.as_str() == "BUSY"
                && (TimeDelta::seconds(1)..=TimeDelta::minutes(5))
                    .contains(&(again.start - call.start))
        });
        assert!(
            before,
            "{} to {} at {}",
            again.caller, again.dst, again.start
        );
    }
}

#[test]
fn calls_keep_office_hours() {
    let calls = planned(9, DEFAULT_DAYS);
    let weekend = |call: &&Call| matches!(call.start.weekday(), Weekday::Sat | Weekday::Sun);
    let at_hour = |hour: u32| {
        let working = calls.iter().filter(|call| !weekend(call));
        working.filter(|call| call.start.hour() == hour).count()
    };
    assert!(at_hour(13) * 2 < at_hour(10), "no lunch");
    assert!(at_hour(13) * 2 < at_hour(15), "no afternoon");
    assert_eq!((0..7).map(at_hour).sum::<usize>(), 0);
    let on_weekends = calls.iter().filter(weekend).count();
    assert!(
        on_weekends > 50 && on_weekends * 10 < calls.len(),
        "{on_weekends}"
    );
}

#[test]
fn every_call_lies_in_the_window_and_has_ended_and_rows_come_in_the_order_of_hangup() {
    for now in [
        "2026-11-20 16:20:00",
        "2026-11-23 00:00:05",
        "2026-03-01 11:59:59",
    ]
    .map(at)
    {
        let demo = demo(10, now, 14);
        let first = (now.date() - Days::new(14)).to_string();
        let rows = demo.rows("SELECT calldate, duration, linkedid FROM cdr ORDER BY rowid");
        let mut ends: BTreeMap<&str, NaiveDateTime> = BTreeMap::new();
        for row in &rows {
            let [
                Value::Text(start),
                Value::Integer(duration),
                Value::Text(call),
            ] = &row[..]
            else {
                panic!("{row:?}");
            };
            assert!(*start >= first, "{row:?}");
            let end = at(start) + TimeDelta::seconds(*duration);
            let last = ends.entry(call).or_insert(end);
            *last = end.max(*last);
        }
        let mut last_hangup = NaiveDateTime::MIN;
        for row in &rows {
            let Value::Text(call) = &row[2] else {
                panic!("{row:?}");
            };
            let hangup = ends[call.as_str()];
            assert!(last_hangup <= hangup && hangup <= now, "{row:?}");
            last_hangup = hangup;
        }
        assert!(last_hangup > now - TimeDelta::days(3));
        let starts = demo.texts("SELECT calldate FROM cdr ORDER BY rowid");
        assert!(!starts.is_sorted(), "long calls are written late");
    }
}

#[test]
fn durations_are_plausible() {
    let demo = demo(11, now(), DEFAULT_DAYS);
    for (what, condition) in [
        ("longer talk than call", "billsec > duration"),
        (
            "unanswered talk",
            "disposition <> 'ANSWERED' AND billsec > 0",
        ),
        (
            "answered without talk",
            "disposition = 'ANSWERED' AND billsec = 0 AND dst <> 'h'",
        ),
        ("endless", "duration > 9000"),
        (
            "unknown word",
            "disposition NOT IN ('ANSWERED', 'NO ANSWER', 'BUSY', 'FAILED')",
        ),
    ] {
        assert_eq!(
            demo.number(&format!("SELECT count(*) FROM cdr WHERE {condition}")),
            0,
            "{what}"
        );
    }
    assert!(demo.number("SELECT count(*) FROM cdr WHERE duration > 900") > 5);
    assert!(demo.number("SELECT count(DISTINCT billsec) FROM cdr") > 300);
}

#[test]
fn names_are_as_hostile_as_real_ones() {
    let demo = demo(12, now(), DEFAULT_DAYS);
    let names = demo.texts("SELECT DISTINCT clid FROM cdr");
    for part in [
        "ñ",
        "\u{1b}[31m",
        "\u{202e}",
        "\\\"La Niña\\\"",
        "d'Oro",
        "<script>",
        "\\\\Usados",
    ] {
        assert!(names.iter().any(|name| name.contains(part)), "{part:?}");
    }
    assert!(names.iter().all(|name| name.len() <= 79));
    assert!(names.iter().any(|name| !name.ends_with('>')), "none is cut");
    assert!(
        names.iter().any(|name| name.ends_with(" <>")),
        "none is withheld"
    );
}

#[test]
fn a_file_that_was_there_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cdr.db");
    std::fs::write(&path, "mine").unwrap();
    let error = generate(&path, 1, now(), 1).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "cannot create the demonstration's database {}; name a new file in a directory that you can write to",
            path.display()
        )
    );
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
}

#[test]
fn impossible_requests_are_refused_before_anything_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cdr.db");
    for (now, days, expected) in [
        (now(), 0, "a demonstration covers 1 to 3660 days, not 0"),
        (
            now(),
            u32::MAX,
            "a demonstration covers 1 to 3660 days, not 4294967295",
        ),
        (
            at("2017-01-07 00:00:00"),
            7,
            "the clock says 2017-01-07 00:00:00, and 7 days before that it was not yet 2017, which is where a demonstration can start; please set the clock or ask for fewer days",
        ),
        (
            at("1970-01-01 00:00:00"),
            7,
            "the clock says 1970-01-01 00:00:00, and 7 days before that it was not yet 2017, which is where a demonstration can start; please set the clock or ask for fewer days",
        ),
        (
            NaiveDateTime::MIN,
            7,
            "the clock says -262143-01-01 00:00:00, and 7 days before that it was not yet 2017, which is where a demonstration can start; please set the clock or ask for fewer days",
        ),
        (
            at("2026-11-20 16:20:00").with_year(10_000).unwrap(),
            7,
            "the clock says +10000-11-20 16:20:00; a demonstration ends in the year 9999, please set the clock",
        ),
    ] {
        assert_eq!(
            generate(&path, 1, now, days).unwrap_err().to_string(),
            expected
        );
        assert!(!path.exists());
    }
}
