//! What databases hold is read as it stands there: every row of a window once, whatever its types, its encoding, its
//! server's zone, and however often the connection breaks.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cdrelay::call::{ColumnTime, Disposition, Origin, TimeKind};
use cdrelay::config::secret::Secret;
use cdrelay::config::{DatabaseTls, SourceConfig, SourceLocation, TableName};
use cdrelay::source::{
    CallSource, CdrRow, DurationCell, SLICE_ROWS, Slice, SourceError, StartCell, TimeIndex, connect,
};

#[path = "support/closed_port.rs"]
mod closed_port;
mod support;

use closed_port::closed_port;
use support::cdr_table::{
    FREEPBX, SQLITE3_CUSTOM, STOCK_MYSQL, STOCK_POSTGRES, Sample, inserts, samples,
};
use support::{mariadb, postgres};

/// 2012-08-23 12:20:33 as a wall clock.
const WALL: i64 = 1_345_724_433;

/// 2012-08-23 12:20:33 in Caracas, half an hour off the hour then: 16:50:33 UTC.
const INSTANT: i64 = 1_345_740_633;

/// All of Unix time up to 2100.
const EVER: Range<ColumnTime> = ColumnTime(0)..ColumnTime(4_102_444_800);

// ── MySQL and MariaDB ────────────────────────────────────────────────────────────────────────────────────────────────

#[tokio::test]
async fn a_freepbx_table_is_read_along_its_index() {
    let database = mariadb::server().database().await;
    database.run(FREEPBX).await;
    database
        .run(
            "INSERT INTO cdr (calldate, src, dst, duration, billsec, disposition, channel, uniqueid, linkedid, sequence, \
             recordingfile) VALUES ('2012-08-23 12:20:33', '2125551234', '92635678', 61, 55, 'ANSWERED', 'SIP/100-1', \
             '1345740633.7', '1345740633.1', 42, 'out-92635678.wav')",
        )
        .await;
    let mut source = open(
        &config(&database.url()),
        &["recordingfile", "did", "nosuch"],
    );
    let profile = source.probe().await.expect("probed");
    assert!(profile.server.contains("MariaDB"), "{}", profile.server);
    assert_eq!(profile.time, TimeKind::Wall);
    assert_eq!(profile.index, TimeIndex::Usable("calldate".to_owned()));
    assert_eq!(profile.extra, ["recordingfile", "did"]);
    assert_eq!(profile.notes, [""; 0]);
    let columns: Vec<String> = profile
        .columns
        .iter()
        .map(|found| format!("{} {} {}", found.role, found.column, found.sql_type))
        .collect();
    assert_eq!(
        columns[..4],
        [
            "initiated calldate datetime",
            "source src varchar(80)",
            "destination dst varchar(80)",
            "duration duration int(11)"
        ]
    );
    source.open(EVER).await.expect("opened");
    assert_eq!(source.expected().await.expect("counted"), Some(1));
    let slices = drain(&mut *source, &EVER).await;
    assert_eq!(
        slices[0].rows,
        [CdrRow {
            start: at(WALL),
            source: "2125551234".to_owned(),
            destination: "92635678".to_owned(),
            duration: DurationCell::Seconds(61),
            disposition: Disposition::Answered,
            origin: Origin {
                uniqueid: Some("1345740633.7".to_owned()),
                linkedid: Some("1345740633.1".to_owned()),
                sequence: Some(42),
            },
            extra: vec![Some("out-92635678.wav".to_owned()), None],
        }]
    );
}

#[tokio::test]
async fn a_stock_table_without_an_index_is_spooled_and_the_statement_that_would_add_one_is_told() {
    let database = mariadb::server().database().await;
    database.run(STOCK_MYSQL).await;
    let calls = samples(9_000, WALL, 3);
    for insert in inserts("start", &calls) {
        database.run(&insert).await;
    }
    database
        .run("INSERT INTO cdr (start, uniqueid) VALUES (NULL, 'lost.1')")
        .await;
    let mut source = open(&config(&database.url()), &[]);
    let profile = source.probe().await.expect("probed");
    let name = &database.name;
    assert_eq!(
        profile.index,
        TimeIndex::Missing(format!(
            "CREATE INDEX `cdr_start` ON `{name}`.`cdr` (`start`)"
        ))
    );
    source.open(EVER).await.expect("opened");
    assert_eq!(source.expected().await.expect("counted"), Some(9_000));
    let slices = drain(&mut *source, &EVER).await;
    same_calls(&calls, &slices);
    let undated = source.undated().await.expect("counted");
    assert_eq!(
        (undated.rows, undated.examples),
        (1, vec!["lost.1".to_owned()])
    );
}

#[tokio::test]
async fn a_window_without_index_leaves_out_what_is_outside() {
    let database = mariadb::server().database().await;
    database.run(STOCK_MYSQL).await;
    let calls = samples(3_000, WALL, 2);
    for insert in inserts("start", &calls) {
        database.run(&insert).await;
    }
    let window = ColumnTime(calls[1_000].start)..ColumnTime(calls[2_000].start);
    let mut source = open(&config(&database.url()), &[]);
    source.probe().await.expect("probed");
    source.open(window.clone()).await.expect("opened");
    let slices = drain(&mut *source, &window).await;
    let inside: Vec<Sample> = calls
        .into_iter()
        .filter(|call| window.contains(&ColumnTime(call.start)))
        .collect();
    same_calls(&inside, &slices);
}

#[tokio::test]
async fn a_mysql_timestamp_is_an_instant_and_a_datetime_a_wall_clock_whatever_the_zone_of_the_server()
 {
    let database = mariadb::server().database().await;
    for (sql_type, kind, seconds) in [
        ("DATETIME", TimeKind::Wall, WALL),
        ("TIMESTAMP NULL", TimeKind::Instant, INSTANT),
        ("DATETIME(6)", TimeKind::Wall, WALL),
        ("TIMESTAMP(6) NULL", TimeKind::Instant, INSTANT),
    ] {
        database
            .run(&format!(
                "DROP TABLE IF EXISTS cdr; {}; INSERT INTO cdr VALUES ('2012-08-23 12:20:33', '1', '2', 3, 'a.1'), \
                 ('2012-08-23 12:20:33.999999', '1', '2', 3, 'a.2')",
                small(&format!("calldate {sql_type}"), true)
            ))
            .await;
        let (found, rows) = everything(config(&database.url())).await;
        assert_eq!(found, kind, "{sql_type}");
        assert_eq!(starts(&rows), [at(seconds), at(seconds)], "{sql_type}");
    }
}

#[tokio::test]
async fn fractions_of_the_last_second_belong_to_the_window() {
    let database = mariadb::server().database().await;
    database
        .run(&format!(
            "{}; INSERT INTO cdr VALUES ('2012-08-23 12:20:32.999999', '1', '2', 3, 'before'), \
             ('2012-08-23 12:20:33.5', '1', '2', 3, 'in'), ('2012-08-23 12:20:34', '1', '2', 3, 'after')",
            small("calldate DATETIME(6)", true)
        ))
        .await;
    let window = ColumnTime(WALL)..ColumnTime(WALL + 1);
    let mut source = open(&config(&database.url()), &[]);
    source.probe().await.expect("probed");
    source.open(window.clone()).await.expect("opened");
    let slices = drain(&mut *source, &window).await;
    assert_eq!(uniqueids(&flat(slices)), ["in"]);
}

#[tokio::test]
async fn mysql_epochs_of_every_number_type_are_instants() {
    let database = mariadb::server().database().await;
    for sql_type in ["INT UNSIGNED", "BIGINT", "DECIMAL(16,6)", "DOUBLE"] {
        database
            .run(&format!(
                "DROP TABLE IF EXISTS cdr; {}; INSERT INTO cdr VALUES ({INSTANT}, '1', '2', 3, 'a.1'), \
                 (0, '1', '2', 3, 'none.1'), (NULL, '1', '2', 3, 'none.2')",
                small(&format!("calldate {sql_type}"), true)
            ))
            .await;
        let mut source = open(&config(&database.url()), &[]);
        let profile = source.probe().await.expect("probed");
        assert_eq!(profile.time, TimeKind::Instant, "{sql_type}");
        source.open(EVER).await.expect("opened");
        let rows = flat(drain(&mut *source, &EVER).await);
        assert_eq!(starts(&rows), [at(INSTANT)], "{sql_type}");
        let undated = source.undated().await.expect("counted");
        assert_eq!(undated.rows, 2, "{sql_type}");
    }
}

#[tokio::test]
async fn text_times_are_read_along_the_index_only_while_they_sort_as_times() {
    let database = mariadb::server().database().await;
    database
        .run(&format!(
            "{}; INSERT INTO cdr VALUES ('2012-08-23 12:20:33', '1', '2', 3, 'a.1'), ('', '1', '2', 3, 'none.1'), \
             ('0000-00-00 00:00:00', '1', '2', 3, 'none.2'), ('garbage', '1', '2', 3, 'none.3')",
            small("calldate VARCHAR(30)", true)
        ))
        .await;
    let (kind, rows) = everything(config(&database.url())).await;
    assert_eq!(kind, TimeKind::Wall);
    // An unreadable one is handed on, so that it is reported.
    assert_eq!(
        starts(&rows),
        [at(WALL), StartCell::Unreadable("garbage".to_owned())]
    );
    database
        .run("DELETE FROM cdr WHERE calldate = 'garbage'")
        .await;
    let mut source = open(&config(&database.url()), &[]);
    source.probe().await.expect("probed");
    source.open(EVER).await.expect("opened");
    assert_eq!(starts(&flat(drain(&mut *source, &EVER).await)), [at(WALL)]);
    let undated = source.undated().await.expect("counted");
    assert_eq!(undated.rows, 2);
    // As text it stands behind the whole of August.
    database
        .run("INSERT INTO cdr VALUES ('2012/8/23 12:20:34', '1', '2', 3, 'a.2')")
        .await;
    let window = ColumnTime(WALL)..ColumnTime(WALL + 2);
    source.open(window.clone()).await.expect("opened");
    let rows = flat(drain(&mut *source, &window).await);
    assert_eq!(starts(&rows), [at(WALL), at(WALL + 1)]);
}

#[tokio::test]
async fn dates_that_stand_for_none_are_counted_and_impossible_ones_handed_on() {
    let database = mariadb::server().database().await;
    for index in [true, false] {
        database
            .run(&format!(
                "DROP TABLE IF EXISTS cdr; {}; INSERT INTO cdr VALUES ('2012-08-23 12:20:33', '1', '2', 3, 'a.1'), \
                 ('0000-00-00 00:00:00', '1', '2', 3, 'zero'), ('1000-01-01 00:00:00', '1', '2', 3, 'thousand'), \
                 ('1970-01-01 00:00:00', '1', '2', 3, 'epoch'), (NULL, '1', '2', 3, 'null'), \
                 ('2011-00-00 00:00:00', '1', '2', 3, 'impossible')",
                small("calldate DATETIME", index)
            ))
            .await;
        let mut source = open(&config(&database.url()), &[]);
        source.probe().await.expect("probed");
        source.open(EVER).await.expect("opened");
        let mut rows = flat(drain(&mut *source, &EVER).await);
        rows.sort_by_key(|row| row.origin.uniqueid.clone());
        assert_eq!(
            starts(&rows),
            [
                at(WALL),
                StartCell::Unreadable("2011-00-00 00:00:00".to_owned())
            ]
        );
        let mut undated = source.undated().await.expect("counted");
        undated.examples.sort();
        assert_eq!(undated.rows, 4, "index: {index}");
        assert_eq!(undated.examples, ["epoch", "null", "thousand", "zero"]);
    }
}

#[tokio::test]
async fn dispositions_are_understood_as_numbers_and_as_enum() {
    let database = mariadb::server().database().await;
    for sql_type in [
        "INT",
        "TINYINT(1)",
        "VARCHAR(45)",
        "ENUM('8','0','4')",
        "BIGINT UNSIGNED",
    ] {
        database
            .run(&format!(
                "DROP TABLE IF EXISTS cdr; CREATE TABLE cdr (calldate DATETIME, src TEXT, dst TEXT, duration INT, \
                 disposition {sql_type}); INSERT INTO cdr VALUES ('2012-08-23 12:20:33', '1', '2', 3, '8')"
            ))
            .await;
        let (_, rows) = everything(config(&database.url())).await;
        assert_eq!(rows[0].disposition, Disposition::Answered, "{sql_type}");
    }
    database
        .run(
            "DROP TABLE cdr; CREATE TABLE cdr (calldate DATETIME, src TEXT, dst TEXT, duration FLOAT, \
             disposition ENUM('ANSWERED','BUSY','FAILED','NO ANSWER','CONGESTION')); \
             INSERT INTO cdr VALUES ('2012-08-23 12:20:33', '1', '2', 3.75, 'NO ANSWER')",
        )
        .await;
    let (_, rows) = everything(config(&database.url())).await;
    assert_eq!(rows[0].disposition, Disposition::NoAnswer);
}

#[tokio::test]
async fn mysql_durations_of_every_type_are_whole_seconds() {
    let database = mariadb::server().database().await;
    for (sql_type, value, seconds) in [
        ("INT", "61", 61),
        ("INT", "-1", 0),
        ("INT", "NULL", 0),
        ("INT UNSIGNED", "4294967295", 4_294_967_295),
        ("BIGINT UNSIGNED", "18446744073709551615", u64::MAX),
        ("SMALLINT", "-32768", 0),
        ("MEDIUMINT", "8388607", 8_388_607),
        ("TINYINT UNSIGNED", "255", 255),
        ("DECIMAL(10,3)", "61.999", 61),
        ("FLOAT", "61.5", 61),
        ("DOUBLE", "1234567.9", 1_234_567),
        ("VARCHAR(20)", "'12.345678'", 12),
        ("VARCHAR(20)", "''", 0),
        ("BLOB", "'12'", 12),
    ] {
        database
            .run(&format!(
                "DROP TABLE IF EXISTS cdr; CREATE TABLE cdr (calldate DATETIME, src TEXT, dst TEXT, duration {sql_type}); \
                 INSERT INTO cdr VALUES ('2012-08-23 12:20:33', '1', '2', {value})"
            ))
            .await;
        let (_, rows) = everything(config(&database.url())).await;
        let expected = DurationCell::Seconds(seconds);
        assert_eq!(rows[0].duration, expected, "{value} in {sql_type}");
    }
}

#[tokio::test]
async fn names_in_a_latin1_table_arrive_as_they_were_written() {
    let database = mariadb::server().database().await;
    database
        .run(
            "CREATE TABLE cdr (calldate DATETIME, src VARCHAR(80) CHARACTER SET latin1, dst VARBINARY(80), duration INT); \
             INSERT INTO cdr VALUES ('2012-08-23 12:20:33', 'Peña', x'5065f161', 3)",
        )
        .await;
    let (_, rows) = everything(config(&database.url())).await;
    assert_eq!((&*rows[0].source, &*rows[0].destination), ("Peña", "Peña"));
}

#[tokio::test]
async fn reserved_words_and_capitals_are_no_obstacle_in_mysql() {
    let database = mariadb::server().database().await;
    database
        .run(
            "CREATE TABLE `Order` (`Start` DATETIME, `from` TEXT, `to` TEXT, `Duration` INT, `end` DATETIME, KEY (`Start`)); \
             INSERT INTO `Order` VALUES ('2012-08-23 12:20:33', '1', '2', 3, '2012-08-23 12:21:00')",
        )
        .await;
    let mut config = config(&database.url());
    config.table.name = "Order".to_owned();
    config.columns = overrides(&[("source", "from"), ("destination", "to")]);
    let mut source = open(&config, &["end"]);
    let profile = source.probe().await.expect("probed");
    assert_eq!(profile.index, TimeIndex::Usable("Start".to_owned()));
    source.open(EVER).await.expect("opened");
    let rows = flat(drain(&mut *source, &EVER).await);
    assert_eq!(rows[0].extra, [Some("2012-08-23 12:21:00".to_owned())]);
}

#[tokio::test]
async fn a_column_of_dates_or_of_times_of_day_is_refused() {
    let database = mariadb::server().database().await;
    let name = &database.name;
    for (sql_type, why) in [
        ("date", "of type date, which holds no time of day"),
        ("time", "of type time, which holds no date"),
        ("json", "of type longtext"),
        ("bit(8)", "of type bit, which is no type of time"),
    ] {
        database
            .run(&format!(
                "DROP TABLE IF EXISTS cdr; {}",
                small(&format!("calldate {sql_type}"), false)
            ))
            .await;
        let mut source = open(&config(&database.url()), &[]);
        if sql_type == "json" {
            // Text to MariaDB: judged by its values, of which there are none.
            assert_eq!(source.probe().await.expect("probed").time, TimeKind::Wall);
            continue;
        }
        assert_eq!(
            source.probe().await.expect_err("refused").to_string(),
            format!(
                "column `calldate` of `{name}.cdr` is {why}; set `source.columns.initiated` to the column that holds the \
                 start of the call"
            )
        );
    }
}

#[tokio::test]
async fn an_ignored_a_partial_or_a_later_index_is_none() {
    let database = mariadb::server().database().await;
    for index in [
        "KEY (calldate(10))",
        "KEY (uniqueid, calldate)",
        "KEY k (calldate) IGNORED",
    ] {
        database
            .run(&format!(
                "DROP TABLE IF EXISTS cdr; CREATE TABLE cdr (calldate VARCHAR(30), src TEXT, dst TEXT, duration INT, \
                 uniqueid VARCHAR(32), {index}); \
                 INSERT INTO cdr VALUES ('2012-08-23 12:20:33', '1', '2', 3, 'a.1')"
            ))
            .await;
        let mut source = open(&config(&database.url()), &[]);
        let profile = source.probe().await.expect("probed");
        assert!(
            matches!(profile.index, TimeIndex::Missing(_)),
            "{index}: {:?}",
            profile.index
        );
        source.open(EVER).await.expect("opened");
        assert_eq!(starts(&flat(drain(&mut *source, &EVER).await)), [at(WALL)]);
    }
}

#[tokio::test]
async fn the_local_socket_serves_as_well() {
    let database = mariadb::server().database().await;
    database.run(FREEPBX).await;
    let (_, rows) = everything(config(&database.socket_url())).await;
    assert_eq!(rows, []);
    let database = postgres::server().database().await;
    database.run(STOCK_POSTGRES).await;
    let (_, rows) = everything(config(&database.socket_url())).await;
    assert_eq!(rows, []);
}

// ── PostgreSQL ───────────────────────────────────────────────────────────────────────────────────────────────────────

#[tokio::test]
async fn a_stock_table_of_postgresql_is_spooled_without_and_read_along_an_index() {
    let database = postgres::server().database().await;
    database.run(STOCK_POSTGRES).await;
    let calls = samples(9_000, WALL, 3);
    for insert in inserts("start", &calls) {
        database.run(&insert).await;
    }
    let mut source = open(&config(&database.url()), &["end"]);
    let profile = source.probe().await.expect("probed");
    let hint = "CREATE INDEX \"cdr_start\" ON \"public\".\"cdr\" (\"start\")";
    assert_eq!(profile.index, TimeIndex::Missing(hint.to_owned()));
    assert_eq!(profile.columns[0].sql_type, "timestamp without time zone");
    source.open(EVER).await.expect("opened");
    assert_eq!(source.expected().await.expect("counted"), Some(9_000));
    same_calls(&calls, &drain(&mut *source, &EVER).await);
    database.run(hint).await;
    let profile = source.probe().await.expect("probed");
    assert_eq!(profile.index, TimeIndex::Usable("cdr_start".to_owned()));
    source.open(EVER).await.expect("opened");
    assert_eq!(source.expected().await.expect("counted"), Some(9_000));
    let slices = drain(&mut *source, &EVER).await;
    assert_eq!(slices.len(), 5);
    same_calls(&calls, &slices);
}

#[tokio::test]
async fn a_timestamptz_is_an_instant_and_infinities_are_no_date() {
    let database = postgres::server().database().await;
    for (sql_type, kind, seconds) in [
        ("timestamp", TimeKind::Wall, WALL),
        ("timestamptz", TimeKind::Instant, INSTANT),
    ] {
        for index in [true, false] {
            database
                .run(&format!(
                    "DROP TABLE IF EXISTS cdr; {}; INSERT INTO cdr VALUES ('2012-08-23 12:20:33', '1', '2', 3, 'a.1'), \
                     ('2012-08-23 12:20:33.999999', '1', '2', 3, 'a.2'), ('infinity', '1', '2', 3, 'none.1'), \
                     ('-infinity', '1', '2', 3, 'none.2'), (NULL, '1', '2', 3, 'none.3'), \
                     ('0044-03-15 10:00:00 BC', '1', '2', 3, 'none.4')",
                    small_postgres(&format!("calldate {sql_type}"), index)
                ))
                .await;
            let mut source = open(&config(&database.url()), &[]);
            let profile = source.probe().await.expect("probed");
            assert_eq!(profile.time, kind, "{sql_type}");
            source.open(EVER).await.expect("opened");
            let rows = flat(drain(&mut *source, &EVER).await);
            assert_eq!(starts(&rows), [at(seconds), at(seconds)], "{sql_type}");
            let mut undated = source.undated().await.expect("counted");
            undated.examples.sort();
            assert_eq!(undated.rows, 4, "{sql_type}, index: {index}");
            assert_eq!(undated.examples, ["none.1", "none.2", "none.3", "none.4"]);
        }
    }
}

#[tokio::test]
async fn postgresql_epochs_of_every_number_type_are_instants() {
    let database = postgres::server().database().await;
    for sql_type in ["int4", "int8", "float8", "numeric"] {
        database
            .run(&format!(
                "DROP TABLE IF EXISTS cdr; {}; INSERT INTO cdr VALUES ({INSTANT}, '1', '2', 3, 'a.1')",
                small_postgres(&format!("calldate {sql_type}"), true)
            ))
            .await;
        if !sql_type.starts_with("int") {
            database
                .run(&format!(
                    "INSERT INTO cdr VALUES ({INSTANT}.75, '1', '2', 3, 'a.2'), ('NaN', '1', '2', 3, 'none.1')"
                ))
                .await;
        }
        let (kind, rows) = everything(config(&database.url())).await;
        assert_eq!(kind, TimeKind::Instant, "{sql_type}");
        assert!(
            starts(&rows).iter().all(|start| *start == at(INSTANT)) && !rows.is_empty(),
            "{sql_type}: {rows:?}"
        );
    }
}

#[tokio::test]
async fn text_durations_of_cdr_pgsql_and_odd_types_are_read() {
    let database = postgres::server().database().await;
    for (sql_type, value, seconds) in [
        ("varchar(20)", "'12.345678'", 12),
        ("char(20)", "'12.345678'", 12),
        ("int2", "7", 7),
        ("int8", "4294967296", 4_294_967_296),
        ("numeric", "61.999", 61),
        ("float4", "1234567", 1_234_567),
        ("float8", "-3.5", 0),
        ("int4", "NULL", 0),
    ] {
        database
            .run(&format!(
                "DROP TABLE IF EXISTS cdr; CREATE TABLE cdr (calldate timestamp, src text, dst char(12), \
                 duration {sql_type}, disposition int); \
                 INSERT INTO cdr VALUES ('2012-08-23 12:20:33', '1', '2', {value}, 8)"
            ))
            .await;
        let (_, rows) = everything(config(&database.url())).await;
        let expected = DurationCell::Seconds(seconds);
        assert_eq!(rows[0].duration, expected, "{value} in {sql_type}");
        assert_eq!(rows[0].disposition, Disposition::Answered);
        // char(n) pads with blanks, which are not part of the number.
        assert_eq!(rows[0].destination, "2");
    }
}

#[tokio::test]
async fn text_times_of_postgresql_serve_with_their_index() {
    let database = postgres::server().database().await;
    for sql_type in ["text", "varchar(19)", "char(19)"] {
        database
            .run(&format!(
                "DROP TABLE IF EXISTS cdr; {}; INSERT INTO cdr VALUES ('2012-08-23 12:20:33', '1', '2', 3, 'a.1')",
                small_postgres(&format!("calldate {sql_type}"), true)
            ))
            .await;
        let mut source = open(&config(&database.url()), &[]);
        let profile = source.probe().await.expect("probed");
        assert_eq!(profile.index, TimeIndex::Usable("k".to_owned()));
        assert_eq!(profile.time, TimeKind::Wall, "{sql_type}");
        source.open(EVER).await.expect("opened");
        let rows = flat(drain(&mut *source, &EVER).await);
        assert_eq!(starts(&rows), [at(WALL)], "{sql_type}");
    }
}

#[tokio::test]
async fn broken_utf8_in_a_sql_ascii_database_fails_no_row() {
    let database = postgres::server().database_in("SQL_ASCII").await;
    database
        .run(&format!(
            "{}; SET client_encoding = 'SQL_ASCII'; \
             INSERT INTO cdr VALUES ('2012-08-23 12:20:33', E'Pe\\xf1a', E'cut \\xc3', 3, E'ok \\xc3\\xb1')",
            small_postgres("calldate timestamp", true)
        ))
        .await;
    let (_, rows) = everything(config(&database.url())).await;
    assert_eq!(rows[0].source, "Peña");
    assert_eq!(rows[0].destination, "cut Ã");
    assert_eq!(uniqueids(&rows), ["ok ñ"]);
}

#[tokio::test]
async fn capitals_and_reserved_words_are_no_obstacle_in_postgresql() {
    let database = postgres::server().database().await;
    database
        .run(
            "CREATE SCHEMA \"Phone\"; CREATE TABLE \"Phone\".\"CDR\" (\"CallDate\" timestamp, \"Src\" text, \"to\" text, \
             \"Duration\" int, \"end\" timestamp); \
             INSERT INTO \"Phone\".\"CDR\" VALUES ('2012-08-23 12:20:33', '1', '2', 3, '2012-08-23 12:21:00.5')",
        )
        .await;
    let mut config = config(&database.url());
    config.table = TableName {
        schema: Some("phone".to_owned()),
        name: "cdr".to_owned(),
    };
    config.columns = overrides(&[("destination", "to")]);
    let mut source = open(&config, &["end"]);
    source.probe().await.expect("probed");
    source.open(EVER).await.expect("opened");
    let rows = flat(drain(&mut *source, &EVER).await);
    assert_eq!(rows[0].extra, [Some("2012-08-23 12:21:00".to_owned())]);
}

#[tokio::test]
async fn the_sample_table_whose_calldate_is_a_time_is_refused() {
    let database = postgres::server().database().await;
    for (sql_type, why) in [
        ("time", "time, which holds no date"),
        ("date", "date, which holds no time of day"),
        ("uuid", "uuid, which is no type of time"),
    ] {
        database
            .run(&format!(
                "DROP TABLE IF EXISTS cdr; {}",
                small_postgres(&format!("calldate {sql_type}"), false)
            ))
            .await;
        let mut source = open(&config(&database.url()), &[]);
        assert_eq!(
            source.probe().await.expect_err("refused").to_string(),
            format!(
                "column `calldate` of `public.cdr` is of type {why}; set `source.columns.initiated` to the column that holds \
                 the start of the call"
            )
        );
    }
}

#[tokio::test]
async fn a_partial_or_hashed_index_of_postgresql_is_none() {
    let database = postgres::server().database().await;
    for index in [
        "(calldate) WHERE duration > 0",
        "USING hash (calldate)",
        "(uniqueid, calldate)",
        "(date_trunc('day', calldate))",
    ] {
        let index = format!("CREATE INDEX ON cdr {index}");
        database
            .run(&format!(
                "DROP TABLE IF EXISTS cdr; {}; {index}",
                small_postgres("calldate timestamp", false)
            ))
            .await;
        let profile = open(&config(&database.url()), &[])
            .probe()
            .await
            .expect("probed");
        assert!(matches!(profile.index, TimeIndex::Missing(_)), "{index}");
    }
}

// ── SQLite ───────────────────────────────────────────────────────────────────────────────────────────────────────────

#[tokio::test]
async fn a_table_of_cdr_sqlite3_custom_is_read_with_and_without_an_index() {
    let file = SqliteDb::new(SQLITE3_CUSTOM);
    let calls = samples(9_000, WALL, 3);
    for insert in inserts("calldate", &calls) {
        file.run(&insert);
    }
    file.run("INSERT INTO cdr (calldate, uniqueid) VALUES (NULL, 'none.1'), ('', 'none.2')");
    let mut source = open(&file.config(), &[]);
    let profile = source.probe().await.expect("probed");
    assert_eq!(profile.time, TimeKind::Wall);
    let hint = "CREATE INDEX \"cdr_calldate\" ON \"cdr\" (\"calldate\")";
    assert_eq!(profile.index, TimeIndex::Missing(hint.to_owned()));
    for statement in ["SELECT 1", hint] {
        file.run(statement);
        source.probe().await.expect("probed");
        source.open(EVER).await.expect("opened");
        assert_eq!(source.expected().await.expect("counted"), Some(9_000));
        let slices = drain(&mut *source, &EVER).await;
        same_calls(&calls, &slices);
        let undated = source.undated().await.expect("counted");
        assert_eq!(undated.rows, 2, "{statement}");
        assert_eq!(undated.examples, ["none.1", "none.2"]);
    }
}

#[tokio::test]
async fn epochs_in_a_sqlite_column_are_instants_and_text_among_them_is_unreadable() {
    for index in ["", "CREATE INDEX k ON cdr (calldate)"] {
        let file = SqliteDb::new(SQLITE3_CUSTOM);
        file.run(&format!(
            "INSERT INTO cdr (calldate, src, dst, duration, uniqueid) VALUES \
             ('2012-08-23 12:20:33', '1', '2', 3, 'other'), ({INSTANT}, 1, 2, 3.9, 'a.1'), \
             ({INSTANT}.5, '1', '2', '3', 'a.2'), (0, '1', '2', 3, 'none.1')"
        ));
        file.run(index);
        let mut source = open(&file.config(), &[]);
        let profile = source.probe().await.expect("probed");
        assert_eq!(profile.time, TimeKind::Instant);
        source.open(EVER).await.expect("opened");
        let rows = flat(drain(&mut *source, &EVER).await);
        let undated = source.undated().await.expect("counted");
        assert_eq!(starts(&rows)[..2], [at(INSTANT), at(INSTANT)]);
        assert_eq!(uniqueids(&rows)[..2], ["a.1", "a.2"]);
        assert_eq!(rows[0].source, "1");
        assert_eq!(rows[0].duration, DurationCell::Seconds(3));
        // The text among the numbers is reported either way: as a row without a time, or as one of no window.
        let text = usize::from(rows.len() == 3);
        assert_eq!(undated.rows, 2 - text as u64, "{index}");
    }
}

#[tokio::test]
async fn numbers_among_text_times_are_reported() {
    for index in ["", "CREATE INDEX k ON cdr (calldate)"] {
        let file = SqliteDb::new(SQLITE3_CUSTOM);
        file.run(&format!(
            "INSERT INTO cdr (calldate, src, dst, duration, uniqueid) VALUES \
             ({INSTANT}, '1', '2', 3, 'other'), ('2012-08-23 12:20:33', '1', '2', 3, 'a.1')"
        ));
        file.run(index);
        let (kind, rows) = everything(file.config()).await;
        assert_eq!(kind, TimeKind::Wall);
        assert_eq!(
            starts(&rows),
            [at(WALL), StartCell::Unreadable(INSTANT.to_string())]
        );
    }
}

#[tokio::test]
async fn broken_utf8_in_a_sqlite_file_fails_no_row_and_utf16_is_read() {
    let file = SqliteDb::new(SQLITE3_CUSTOM);
    file.run(
        "INSERT INTO cdr (calldate, src, dst, duration) VALUES \
         ('2012-08-23 12:20:33', CAST(x'5065f161' AS TEXT), x'63757420c3', 3)",
    );
    let (_, rows) = everything(file.config()).await;
    assert_eq!((&*rows[0].source, &*rows[0].destination), ("Peña", "cut Ã"));
    let file = SqliteDb::new(&format!("PRAGMA encoding = 'UTF-16'; {SQLITE3_CUSTOM}"));
    file.run("INSERT INTO cdr (calldate, src, dst, duration) VALUES ('2012-08-23 12:20:33', 'Peña', '2', 3)");
    let (_, rows) = everything(file.config()).await;
    assert_eq!((starts(&rows), &*rows[0].source), (vec![at(WALL)], "Peña"));
}

#[tokio::test]
async fn a_file_in_wal_mode_is_read_while_its_writer_is_at_work() {
    let file = SqliteDb::new(&format!("PRAGMA journal_mode = WAL; {SQLITE3_CUSTOM}"));
    let writer = rusqlite::Connection::open(&file.path).expect("opened");
    writer
        .execute_batch(
            "INSERT INTO cdr (calldate, src, dst, duration) VALUES ('2012-08-23 12:20:33', '1', '2', 3); \
             BEGIN IMMEDIATE; \
             INSERT INTO cdr (calldate, src, dst, duration) VALUES ('2012-08-23 12:20:34', '1', '2', 3)",
        )
        .expect("written");
    let (_, rows) = everything(file.config()).await;
    assert_eq!(starts(&rows), [at(WALL)]);
    writer
        .execute_batch("COMMIT")
        .expect("the writer was not locked out");
}

#[tokio::test]
async fn what_is_no_readable_sqlite_file_is_told_in_one_sentence() {
    let directory = tempfile::tempdir().expect("created");
    let missing = directory.path().join("master.db");
    refuses(
        sqlite(&missing),
        &format!(
            "SQLite file {} cannot be opened: No such file or directory (os error 2); correct `source.url`, or give \
             cdrelay's user the right to read it",
            missing.display()
        ),
    )
    .await;
    assert!(!missing.exists(), "reading creates no file");
    refuses(
        sqlite(directory.path()),
        &format!(
            "{} is no file; correct `source.url`",
            directory.path().display()
        ),
    )
    .await;
    let old = directory.path().join("cdr.db");
    std::fs::write(
        &old,
        "** This file contains an SQLite 2.1 database **".repeat(40),
    )
    .expect("written");
    refuses(
        sqlite(&old),
        &format!(
            "SQLite file {} is no SQLite 3 database: file is not a database; the cdr.db of Asterisk's old cdr_sqlite is \
             SQLite 2, which has to be converted first",
            old.display()
        ),
    )
    .await;
    let file = SqliteDb::new("CREATE TABLE calls (a); CREATE VIEW recent AS SELECT 1");
    refuses(
        file.config(),
        &format!(
            "table `cdr` not found in SQLite file {}; set `source.table` (it has `calls`, `recent`)",
            file.path.display()
        ),
    )
    .await;
}

// ── Slices ───────────────────────────────────────────────────────────────────────────────────────────────────────────

#[tokio::test]
async fn twenty_thousand_rows_come_once_each_in_closed_sets_from_every_database() {
    let calls = samples(20_000, WALL, 40);
    let mysql = mariadb::server().database().await;
    mysql.run(FREEPBX).await;
    let postgres = postgres::server().database().await;
    postgres.run(STOCK_POSTGRES).await;
    postgres
        .run("ALTER TABLE cdr RENAME COLUMN start TO calldate; CREATE INDEX ON cdr (calldate)")
        .await;
    let sqlite = SqliteDb::new(SQLITE3_CUSTOM);
    sqlite.run("CREATE INDEX k ON cdr (calldate)");
    for insert in inserts("calldate", &calls) {
        mysql.run(&insert).await;
        postgres.run(&insert).await;
        sqlite.run(&insert);
    }
    let mut read = Vec::new();
    for config in [
        config(&mysql.url()),
        config(&postgres.url()),
        sqlite.config(),
    ] {
        let mut source = open(&config, &[]);
        let profile = source.probe().await.expect("probed");
        assert!(matches!(profile.index, TimeIndex::Usable(_)));
        source.open(EVER).await.expect("opened");
        assert_eq!(source.expected().await.expect("counted"), Some(20_000));
        let slices = drain(&mut *source, &EVER).await;
        assert_eq!(slices.len(), 8, "{}", profile.server);
        same_calls(&calls, &slices);
        let mut rows = flat(slices);
        for row in &mut rows {
            // FreePBX's defaults where the others have NULL or no column.
            row.origin.linkedid = None;
            row.origin.sequence = None;
        }
        rows.sort_by_key(|row| row.origin.uniqueid.clone());
        read.push(rows);
    }
    assert!(read[0] == read[1], "MariaDB and PostgreSQL give equal rows");
    assert!(read[0] == read[2], "MariaDB and SQLite give equal rows");
}

#[tokio::test]
async fn a_second_with_more_rows_than_a_slice_holds_is_one_slice() {
    let mut calls = samples(300, WALL, 2);
    let crowded = calls[150].start;
    for number in 0..10_000 {
        let mut call = calls[150].clone();
        call.uniqueid = format!("crowd.{number}");
        calls.push(call);
    }
    let mysql = mariadb::server().database().await;
    mysql.run(FREEPBX).await;
    let postgres = postgres::server().database().await;
    postgres.run("CREATE TABLE cdr (calldate timestamp, src text, dst text, duration int, disposition text, uniqueid text); \
                  CREATE INDEX ON cdr (calldate)").await;
    let sqlite = SqliteDb::new(SQLITE3_CUSTOM);
    sqlite.run("CREATE INDEX k ON cdr (calldate)");
    for insert in inserts("calldate", &calls) {
        mysql.run(&insert).await;
        postgres.run(&insert).await;
        sqlite.run(&insert);
    }
    for config in [
        config(&mysql.url()),
        config(&postgres.url()),
        sqlite.config(),
    ] {
        let mut source = open(&config, &[]);
        source.probe().await.expect("probed");
        source.open(EVER).await.expect("opened");
        let slices = drain(&mut *source, &EVER).await;
        same_calls(&calls, &slices);
        let full: Vec<usize> = slices
            .iter()
            .map(|slice| slice.rows.len())
            .filter(|rows| *rows > SLICE_ROWS)
            .collect();
        assert_eq!(full.len(), 1);
        let slice = slices.iter().find(|slice| slice.rows.len() > SLICE_ROWS);
        assert_eq!(
            slice.map(|slice| slice.until),
            Some(ColumnTime(crowded + 1))
        );
    }
}

#[tokio::test]
async fn an_empty_window_has_no_slice_and_an_empty_table_one_without_rows() {
    let database = mariadb::server().database().await;
    database.run(FREEPBX).await;
    let mut source = open(&config(&database.url()), &[]);
    source.probe().await.expect("probed");
    let nothing = ColumnTime(WALL)..ColumnTime(WALL);
    source.open(nothing).await.expect("opened");
    assert_eq!(source.expected().await.expect("counted"), Some(0));
    assert_eq!(source.next().await.expect("read"), None);
    let window = ColumnTime(i64::MIN)..ColumnTime(i64::MAX);
    source.open(window.clone()).await.expect("opened");
    assert_eq!(source.expected().await.expect("counted"), Some(0));
    let slice = source.next().await.expect("read").expect("one");
    assert_eq!((slice.from, slice.until), (window.start, window.end));
    assert_eq!(slice.rows, []);
    assert_eq!(source.next().await.expect("read"), None);
}

#[tokio::test]
async fn after_a_killed_connection_the_same_slice_is_read_again() {
    let calls = samples(20_000, WALL, 10);
    let mysql = mariadb::server().database().await;
    mysql.run(FREEPBX).await;
    let postgres = postgres::server().database().await;
    postgres.run(STOCK_POSTGRES).await;
    postgres
        .run("ALTER TABLE cdr RENAME COLUMN start TO calldate; CREATE INDEX ON cdr (calldate)")
        .await;
    for insert in inserts("calldate", &calls) {
        mysql.run(&insert).await;
        postgres.run(&insert).await;
    }
    let name = &mysql.name;
    mysql
        .run(&format!(
            "CREATE USER victim@'127.0.0.1'; GRANT SELECT ON {name}.* TO victim@'127.0.0.1'"
        ))
        .await;
    let mut source = open(&config(&mysql.url_of("victim")), &[]);
    let mut slices = first_slice(&mut *source).await;
    let connection = mysql
        .number("SELECT CAST(MAX(ID) AS SIGNED) FROM information_schema.PROCESSLIST WHERE USER = 'victim'")
        .await;
    mysql.run(&format!("KILL {connection}")).await;
    loses_and_resumes(&mut *source, &mut slices).await;
    same_calls(&calls, &slices);

    let mut source = open(&config(&postgres.url()), &[]);
    let mut slices = first_slice(&mut *source).await;
    let gone = postgres
        .number(&format!(
            "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity \
             WHERE application_name = 'cdrelay' AND datname = '{}'",
            postgres.name
        ))
        .await;
    assert_eq!(gone, 1, "one connection, no more");
    loses_and_resumes(&mut *source, &mut slices).await;
    same_calls(&calls, &slices);
}

// ── Reading only ─────────────────────────────────────────────────────────────────────────────────────────────────────

#[tokio::test]
async fn a_user_who_may_only_read_suffices_and_one_who_may_not_is_told() {
    let mysql = mariadb::server().database().await;
    mysql.run(FREEPBX).await;
    let name = &mysql.name;
    mysql
        .run(&format!(
            "CREATE USER reader@'127.0.0.1' IDENTIFIED BY 'canary-1'; GRANT SELECT ON {name}.cdr TO reader@'127.0.0.1'; \
             CREATE USER stranger@'127.0.0.1'; CREATE TABLE other (a INT); \
             GRANT SELECT ON {name}.other TO stranger@'127.0.0.1'; \
             CREATE USER half@'127.0.0.1'; GRANT SELECT (calldate, src, dst), INSERT ON {name}.cdr TO half@'127.0.0.1'"
        ))
        .await;
    let mut reader = config(&mysql.url_of("reader"));
    reader.password = Some(secret("canary-1"));
    everything(reader).await;
    let port = mariadb::server().port;
    refuses(
        config(&mysql.url_of("stranger")),
        &format!(
            "table `cdr` not found in database `{name}` of MySQL at 127.0.0.1:{port}; set `source.table`, or give user \
             `stranger` the right to read it (`{name}` has `other`)"
        ),
    )
    .await;
    refuses(
        config(&mysql.url_of("half")),
        &format!(
            "user `half` may not read the table on MySQL at 127.0.0.1:{port}: SELECT command denied to user \
             'half'@'127.0.0.1' for column 'duration' in table 'cdr'; grant SELECT on it to that user"
        ),
    )
    .await;

    let postgres = postgres::server().database().await;
    postgres.run(STOCK_POSTGRES).await;
    let (good, bad) = (
        format!("r_{}", postgres.name),
        format!("s_{}", postgres.name),
    );
    postgres
        .run(&format!(
            "CREATE USER {good} PASSWORD 'canary-2'; GRANT SELECT ON cdr TO {good}; CREATE USER {bad} PASSWORD 'canary-3'"
        ))
        .await;
    let mut reader = config(&postgres.url_of(&good));
    reader.password = Some(secret("canary-2"));
    everything(reader).await;
    let mut stranger = config(&postgres.url_of(&bad));
    stranger.password = Some(secret("canary-3"));
    let port = postgres::server().port;
    refuses(
        stranger,
        &format!(
            "user `{bad}` may not read the table on PostgreSQL at 127.0.0.1:{port}: permission denied for table cdr; grant \
             SELECT on it (and USAGE on its schema) to that user"
        ),
    )
    .await;
}

#[tokio::test]
async fn not_even_a_view_that_writes_can_write() {
    let mysql = mariadb::server().database().await;
    mysql
        .run(
            "CREATE TABLE written (n INT) ENGINE = InnoDB; \
             CREATE FUNCTION scribble() RETURNS INT MODIFIES SQL DATA \
             BEGIN INSERT INTO written VALUES (1); RETURN 1; END",
        )
        .await;
    mysql
        .run(
            "CREATE VIEW cdr AS SELECT CAST('2012-08-23 12:20:33' AS DATETIME) AS calldate, '1' AS src, '2' AS dst, \
             scribble() AS duration",
        )
        .await;
    assert_eq!(
        mysql
            .number("SELECT CAST(duration AS SIGNED) FROM cdr")
            .await,
        1
    );
    assert_eq!(mysql.number("SELECT COUNT(*) FROM written").await, 1);
    // MariaDB does not even describe such a view to a session that may only read.
    let described = "SELECT COUNT(*) FROM information_schema.COLUMNS \
                     WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'cdr'";
    assert_eq!(mysql.number(described).await, 4);
    refuses(
        config(&mysql.url()),
        &format!(
            "column `calldate` not found in `{}.cdr`; set `source.columns.initiated` (the table shows no columns: is it a \
             broken view, or one that this user may not read?)",
            mysql.name
        ),
    )
    .await;
    assert_eq!(mysql.number("SELECT COUNT(*) FROM written").await, 1);

    let postgres = postgres::server().database().await;
    postgres
        .run(
            "CREATE TABLE written (n int); CREATE FUNCTION scribble() RETURNS int LANGUAGE sql VOLATILE AS \
             'INSERT INTO written VALUES (1) RETURNING n'; \
             CREATE VIEW cdr AS SELECT timestamp '2012-08-23 12:20:33' AS calldate, '1'::text AS src, '2'::text AS dst, \
             scribble() AS duration",
        )
        .await;
    assert_eq!(postgres.number("SELECT duration::int8 FROM cdr").await, 1);
    let mut source = open(&config(&postgres.url()), &[]);
    source.probe().await.expect("probed");
    let error = source.open(EVER).await.expect_err("refused").to_string();
    let port = postgres::server().port;
    assert_eq!(
        error,
        format!(
            "PostgreSQL at 127.0.0.1:{port} refused while reading calls: cannot execute INSERT in a read-only transaction"
        )
    );
    assert_eq!(postgres.number("SELECT COUNT(*) FROM written").await, 1);
}

// ── Connections ──────────────────────────────────────────────────────────────────────────────────────────────────────

#[tokio::test]
async fn tls_is_verified_or_there_is_no_connection() {
    let directory = tempfile::tempdir().expect("created");
    let other = support::tls::Authority::new().write(directory.path());
    let mysql = mariadb::server().database().await;
    mysql.run(FREEPBX).await;
    let bare_mysql = mariadb::server_without_tls().database().await;
    bare_mysql.run(FREEPBX).await;
    let postgres = postgres::server().database().await;
    postgres.run(STOCK_POSTGRES).await;
    let bare_postgres = postgres::server_without_tls().database().await;
    bare_postgres.run(STOCK_POSTGRES).await;
    let mysql_ca = tempfile::tempdir().expect("created");
    let postgres_ca = tempfile::tempdir().expect("created");
    for (product, url, bare_url, authority, ca, port, bare_port) in [
        (
            "MySQL",
            mysql.url(),
            bare_mysql.url(),
            &mariadb::server().authority,
            &mysql_ca,
            mariadb::server().port,
            mariadb::server_without_tls().port,
        ),
        (
            "PostgreSQL",
            postgres.url(),
            bare_postgres.url(),
            &postgres::server().authority,
            &postgres_ca,
            postgres::server().port,
            postgres::server_without_tls().port,
        ),
    ] {
        let ca = authority.write(ca.path()).ca;
        let verified = |url: &str, ca: &Path| SourceConfig {
            tls: DatabaseTls::Verify {
                ca_file: Some(ca.to_owned()),
            },
            ..config(url)
        };
        everything(verified(&url, &ca)).await;
        everything(config(&bare_url)).await;
        refuses(
            verified(&url, &other.ca),
            &format!(
                "the certificate of {product} at 127.0.0.1:{port} is not accepted: invalid peer certificate: UnknownIssuer; \
                 set `source.ca_file` to the CA that signed it, and use the host name that it was issued for in \
                 `source.url`"
            ),
        )
        .await;
        refuses(
            verified(&bare_url, &ca),
            &format!(
                "no TLS with {product} at 127.0.0.1:{bare_port}: server does not support TLS; switch TLS on there, or set \
                 `source.tls = \"plaintext\"` if the network between is trusted"
            ),
        )
        .await;
        let error = failure(verified(&url.replace("127.0.0.1", "localhost"), &ca)).await;
        let text = error.to_string();
        assert!(matches!(error, SourceError::Unusable(_)), "{error:?}");
        assert!(
            text.starts_with(&format!(
                "the certificate of {product} at localhost:{port} is not accepted: invalid peer certificate: certificate \
                 not valid for name \"localhost\""
            )),
            "{text}"
        );
    }
    refuses_at_once(
        &SourceConfig {
            tls: DatabaseTls::Verify {
                ca_file: Some(PathBuf::from("/nonexistent/ca.pem")),
            },
            ..config(&mysql.url())
        },
        "`source.ca_file` /nonexistent/ca.pem cannot be read: No such file or directory (os error 2); name a file that \
         cdrelay's user may read",
    );
    refuses_at_once(
        &SourceConfig {
            tls: DatabaseTls::Verify {
                ca_file: Some(other.key.clone()),
            },
            ..config(&mysql.url())
        },
        &format!(
            "`source.ca_file` {} holds no PEM certificate; name the CA's certificate, which starts with -----BEGIN \
             CERTIFICATE-----",
            other.key.display()
        ),
    );
}

#[tokio::test]
async fn refusals_of_a_server_name_what_is_wrong_and_what_to_do_and_never_the_password() {
    let mysql = mariadb::server().database().await;
    let port = mariadb::server().port;
    mysql
        .run("CREATE USER keeper@'127.0.0.1' IDENTIFIED BY 'right'")
        .await;
    let mut wrong = config(&mysql.url_of("keeper"));
    wrong.password = Some(secret("canary-4711"));
    refuses(
        wrong,
        &format!(
            "MySQL at 127.0.0.1:{port} refused user `keeper`: Access denied for user 'keeper'@'127.0.0.1' (using password: \
             YES); check the user in `source.url` and the password in `source.password_file`"
        ),
    )
    .await;
    refuses(
        config(&format!("mysql://root@127.0.0.1:{port}/nosuch")),
        &format!(
            "MySQL at 127.0.0.1:{port} has no database `nosuch`; correct the end of `source.url`"
        ),
    )
    .await;
    mysql
        .run("CREATE TABLE calls (a INT); CREATE TABLE cel (a INT)")
        .await;
    let name = &mysql.name;
    refuses(
        config(&mysql.url()),
        &format!(
            "table `cdr` not found in database `{name}` of MySQL at 127.0.0.1:{port}; set `source.table`, or give user \
             `root` the right to read it (`{name}` has `calls`, `cel`)"
        ),
    )
    .await;
    mysql
        .run("CREATE TABLE cdr (src INT, dst INT, duration INT)")
        .await;
    refuses(
        config(&mysql.url()),
        &format!(
            "column `calldate` not found in `{name}.cdr`; set `source.columns.initiated` (the table has `src`, `dst`, \
             `duration`)"
        ),
    )
    .await;

    let postgres = postgres::server().database().await;
    let port = postgres::server().port;
    let (name, user) = (&postgres.name, format!("k_{}", postgres.name));
    postgres
        .run(&format!("CREATE USER {user} PASSWORD 'right'"))
        .await;
    let mut wrong = config(&postgres.url_of(&user));
    wrong.password = Some(secret("canary-4711"));
    refuses(
        wrong,
        &format!(
            "PostgreSQL at 127.0.0.1:{port} refused user `{user}`: password authentication failed for user \"{user}\"; check \
             the user in `source.url`, the password in `source.password_file`, and pg_hba.conf there"
        ),
    )
    .await;
    refuses(
        config(&format!("postgres://postgres@127.0.0.1:{port}/nosuch")),
        &format!("PostgreSQL at 127.0.0.1:{port} has no database `nosuch`; correct the end of `source.url`"),
    )
    .await;
    postgres
        .run("CREATE TABLE calls (a int); CREATE SCHEMA s; CREATE TABLE s.cel (a int)")
        .await;
    refuses(
        config(&postgres.url()),
        &format!(
            "table `cdr` not found in database `{name}` of PostgreSQL at 127.0.0.1:{port}; set `source.table` (`{name}` has \
             `calls`, `s.cel`)"
        ),
    )
    .await;
}

#[tokio::test]
async fn a_closed_port_is_worth_another_try_and_a_wrong_url_is_not() {
    let port = closed_port();
    for (scheme, product) in [("mysql", "MySQL"), ("postgres", "PostgreSQL")] {
        let error = failure(config(&format!("{scheme}://cdr@127.0.0.1:{port}/asterisk"))).await;
        assert!(
            matches!(error, SourceError::Unreachable { .. }),
            "{error:?}"
        );
        assert_eq!(
            error.to_string(),
            format!(
                "no connection to {product} at 127.0.0.1:{port}; see that the server runs there and that `source.url` is \
                 right"
            )
        );
        refuses_at_once(
            &config(&format!("{scheme}://127.0.0.1/asterisk")),
            &format!("`source.url` names no user; write it as {scheme}://USER@HOST:PORT/DATABASE"),
        );
        refuses_at_once(
            &config(&format!("{scheme}://cdr@127.0.0.1/")),
            &format!(
                "`source.url` names no database; write it as {scheme}://USER@HOST:PORT/DATABASE"
            ),
        );
        refuses_at_once(
            &config(&format!(
                "{scheme}://cdr@127.0.0.1/asterisk?ssl-mode=PREFERRED"
            )),
            "`source.url` has `ssl-mode`, which cdrelay does not know; only `socket` may follow the `?` (TLS is set by \
             `source.tls` and `source.ca_file`)",
        );
    }
    let error = failure(config(&format!("mysql://cdr@[::1]:{port}/asterisk"))).await;
    assert!(
        error
            .to_string()
            .contains(&format!("MySQL at [::1]:{port}")),
        "{error}"
    );
}

// ── What the tests share ─────────────────────────────────────────────────────────────────────────────────────────────

fn config(url: &str) -> SourceConfig {
    let url: url::Url = url.parse().expect("a URL");
    SourceConfig {
        location: if url.scheme() == "mysql" {
            SourceLocation::Mysql(url)
        } else {
            SourceLocation::Postgres(url)
        },
        password: None,
        table: TableName {
            schema: None,
            name: "cdr".to_owned(),
        },
        timezone: chrono_tz::America::Caracas,
        tls: DatabaseTls::Plaintext,
        timeout: Duration::from_secs(60),
        columns: BTreeMap::new(),
        csv_columns: None,
    }
}

fn sqlite(path: &Path) -> SourceConfig {
    SourceConfig {
        location: SourceLocation::Sqlite(path.to_owned()),
        ..config("mysql://nobody@127.0.0.1/nothing")
    }
}

fn overrides(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let owned = |(role, column): &(&str, &str)| ((*role).to_owned(), (*column).to_owned());
    pairs.iter().map(owned).collect()
}

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned()).expect("a secret")
}

/// A SQLite file of one test.
struct SqliteDb {
    _directory: tempfile::TempDir,
    path: PathBuf,
}

impl SqliteDb {
    fn new(sql: &str) -> Self {
        let directory = tempfile::tempdir().expect("created");
        let path = directory.path().join("master db?.sqlite");
        let file = Self {
            _directory: directory,
            path,
        };
        file.run(sql);
        file
    }

    fn run(&self, sql: &str) {
        rusqlite::Connection::open(&self.path)
            .and_then(|db| db.execute_batch(sql))
            .expect("the statements run");
    }

    fn config(&self) -> SourceConfig {
        sqlite(&self.path)
    }
}

/// A table with the columns that a call needs, and an index `k` on the first if asked for.
fn small(time: &str, index: bool) -> String {
    let name = time.split(' ').next().unwrap_or(time);
    let index = if index {
        format!(", KEY k ({name})")
    } else {
        String::new()
    };
    format!(
        "CREATE TABLE cdr ({time}, src VARCHAR(80), dst VARCHAR(80), duration INT, uniqueid VARCHAR(150){index})"
    )
}

fn small_postgres(time: &str, index: bool) -> String {
    let name = time.split(' ').next().unwrap_or(time);
    let table = small(time, false);
    if index {
        format!("{table}; CREATE INDEX k ON cdr ({name})")
    } else {
        table
    }
}

fn open(config: &SourceConfig, extra: &[&str]) -> Box<dyn CallSource> {
    let extra = extra.iter().map(|role| (*role).to_owned()).collect();
    connect(config, extra).expect("a usable configuration")
}

/// All rows of all time, and what the time column holds.
async fn everything(config: SourceConfig) -> (TimeKind, Vec<CdrRow>) {
    let mut source = open(&config, &[]);
    let profile = source.probe().await.expect("probed");
    source.open(EVER).await.expect("opened");
    let mut rows = flat(drain(&mut *source, &EVER).await);
    rows.sort_by_key(|row| row.origin.uniqueid.clone());
    (profile.time, rows)
}

async fn drain(source: &mut dyn CallSource, window: &Range<ColumnTime>) -> Vec<Slice> {
    let mut slices = Vec::new();
    while let Some(slice) = source.next().await.expect("read") {
        slices.push(slice);
    }
    closed(window, &slices);
    slices
}

/// The slices cover the window without gap or overlap, and every row stands in its own.
fn closed(window: &Range<ColumnTime>, slices: &[Slice]) {
    let mut reached = window.start;
    for slice in slices {
        assert_eq!(slice.from, reached);
        assert!(slice.until > slice.from);
        reached = slice.until;
        for row in &slice.rows {
            match &row.start {
                StartCell::At(at) => assert!((slice.from..slice.until).contains(at), "{row:?}"),
                StartCell::Unreadable(_) => {}
                StartCell::Missing => panic!("a row of no window: {row:?}"),
            }
        }
    }
    assert_eq!(reached, window.end);
}

async fn first_slice(source: &mut dyn CallSource) -> Vec<Slice> {
    source.probe().await.expect("probed");
    source.open(EVER).await.expect("opened");
    vec![source.next().await.expect("read").expect("a slice")]
}

async fn loses_and_resumes(source: &mut dyn CallSource, slices: &mut Vec<Slice>) {
    let error = source.next().await.expect_err("the connection is gone");
    assert!(
        matches!(error, SourceError::Unreachable { .. }),
        "{error:?}"
    );
    while let Some(slice) = source.next().await.expect("read again") {
        slices.push(slice);
    }
    closed(&EVER, slices);
}

async fn failure(config: SourceConfig) -> SourceError {
    let mut source = open(&config, &[]);
    source.probe().await.expect_err("refused")
}

/// The message in full, and no secret anywhere in the error.
async fn refuses(config: SourceConfig, expected: &str) {
    let error = failure(config).await;
    assert_eq!(error.to_string(), expected);
    assert!(matches!(error, SourceError::Unusable(_)), "{error:?}");
    assert!(!format!("{error:?}").contains("canary"), "{error:?}");
}

#[track_caller]
fn refuses_at_once(config: &SourceConfig, expected: &str) {
    let Err(error) = connect(config, Vec::new()) else {
        panic!("accepted")
    };
    assert_eq!(error.to_string(), expected);
}

fn at(seconds: i64) -> StartCell {
    StartCell::At(ColumnTime(seconds))
}

fn flat(slices: Vec<Slice>) -> Vec<CdrRow> {
    slices.into_iter().flat_map(|slice| slice.rows).collect()
}

fn starts(rows: &[CdrRow]) -> Vec<StartCell> {
    rows.iter().map(|row| row.start.clone()).collect()
}

fn uniqueids(rows: &[CdrRow]) -> Vec<&str> {
    rows.iter()
        .filter_map(|row| row.origin.uniqueid.as_deref())
        .collect()
}

/// Every call once, as it was written.
#[track_caller]
fn same_calls(calls: &[Sample], slices: &[Slice]) {
    let mut expected: Vec<(String, StartCell, &str, &str, u64, Disposition)> = calls
        .iter()
        .map(|call| {
            (
                call.uniqueid.clone(),
                at(call.start),
                call.src.as_str(),
                call.dst.as_str(),
                u64::from(call.duration),
                Disposition::parse(call.disposition),
            )
        })
        .collect();
    let mut found: Vec<(String, StartCell, &str, &str, u64, Disposition)> = slices
        .iter()
        .flat_map(|slice| &slice.rows)
        .map(|row| {
            let DurationCell::Seconds(seconds) = row.duration else {
                panic!("{row:?}")
            };
            (
                row.origin.uniqueid.clone().unwrap_or_default(),
                row.start.clone(),
                row.source.as_str(),
                row.destination.as_str(),
                seconds,
                row.disposition.clone(),
            )
        })
        .collect();
    expected.sort_by(|a, b| a.0.cmp(&b.0));
    found.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found, expected);
    }
}
