//! Calls from CSV files: every layout, every way in which a file can be unfinished, broken or rotated.

#![expect(clippy::unwrap_used, reason = "a failed test says where")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use cdrelay::call::{ColumnTime, Disposition, TimeKind};
use cdrelay::source::csv::CsvSource;
use cdrelay::source::{
    CallSource as _, CdrRow, DurationCell, SourceError, SourceProfile, StartCell, TimeIndex,
};
use proptest::prelude::*;
use tempfile::TempDir;

const SMALL: &[u8] = include_bytes!("data/fafeitsch_smallcdr.csv");

/// What one probe and one pass over a file gave.
struct Reading {
    profile: SourceProfile,
    rows: Vec<CdrRow>,
    undated: u64,
    notes: Vec<String>,
}

impl Reading {
    fn of(mut source: CsvSource, from: i64, until: i64) -> Result<Self, SourceError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(async {
            let profile = source.probe().await?;
            let window = ColumnTime(from)..ColumnTime(until);
            source.open(window.clone()).await?;
            let announced = source.expected().await?;
            let mut rows = Vec::new();
            let mut position = window.start;
            while let Some(slice) = source.next().await? {
                assert_eq!(slice.from, position);
                position = slice.until;
                rows.extend(slice.rows);
            }
            assert_eq!(position, window.end);
            assert_eq!(announced, Some(rows.len() as u64));
            let undated = source.undated().await?.rows;
            Ok(Self {
                profile,
                rows,
                undated,
                notes: source.notes().to_vec(),
            })
        })
    }

    fn dated(&self) -> impl Iterator<Item = &CdrRow> {
        self.rows
            .iter()
            .filter(|row| matches!(row.start, StartCell::At(_)))
    }

    fn broken(&self) -> usize {
        self.rows.len() - self.dated().count()
    }

    fn destinations(&self) -> Vec<&str> {
        self.dated().map(|row| row.destination.as_str()).collect()
    }

    fn column(&self, role: &str) -> &str {
        let mut columns = self.profile.columns.iter();
        &columns.find(|column| column.role == role).unwrap().column
    }
}

/// A directory with one log.
struct Log(TempDir);

impl Log {
    fn new(content: impl AsRef<[u8]>) -> Self {
        let log = Self(tempfile::tempdir().unwrap());
        fs::write(log.path(), content).unwrap();
        log
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("Master.csv")
    }

    /// A file beside the log, last written so many seconds ago.
    fn beside(&self, name: &str, content: impl AsRef<[u8]>, age: u64) {
        let path = self.0.path().join(name);
        fs::write(&path, content).unwrap();
        set_age(&path, age);
    }

    fn append(&self, content: impl AsRef<[u8]>) {
        let mut file = OpenOptions::new().append(true).open(self.path()).unwrap();
        file.write_all(content.as_ref()).unwrap();
    }

    #[track_caller]
    fn read(&self) -> Reading {
        self.read_as(None, &[], &[])
    }

    #[track_caller]
    fn read_as(&self, names: Option<&str>, columns: &[(&str, &str)], extra: &[&str]) -> Reading {
        self.try_read_as(names, columns, extra).unwrap()
    }

    fn try_read_as(
        &self,
        names: Option<&str>,
        columns: &[(&str, &str)],
        extra: &[&str],
    ) -> Result<Reading, SourceError> {
        let names = names.map(|names| names.split(',').map(str::to_owned).collect());
        let columns: BTreeMap<_, _> = columns
            .iter()
            .map(|&(role, name)| (role.to_owned(), name.to_owned()))
            .collect();
        let extra = extra.iter().map(|&role| role.to_owned()).collect();
        Reading::of(
            CsvSource::new(self.path(), names, &columns, extra),
            0,
            4_000_000_000,
        )
    }
}

fn set_age(path: &Path, seconds: u64) {
    let written = SystemTime::now() - Duration::from_secs(seconds);
    File::options()
        .write(true)
        .open(path)
        .unwrap()
        .set_modified(written)
        .unwrap();
}

/// A stock record of 16 fields, without its line end.
fn stock(destination: &str) -> String {
    format!(
        r#""acc","917-375-0980","{destination}","ctx","""Joe"" <100>","SIP/1-1","SIP/2-2","Dial","x,y","2026-01-31 12:00:05","2026-01-31 12:00:09","2026-01-31 12:01:00",55,51,"ANSWERED","DOCUMENTATION""#
    )
}

const NOON: ColumnTime = ColumnTime(1_769_860_805);

#[test]
fn real_calls_are_read_completely() {
    let log = Log::new(SMALL);
    let reading = log.read();
    assert_eq!(reading.rows.len(), 45);
    assert_eq!((reading.broken(), reading.undated), (0, 0));
    let identities: BTreeSet<_> = reading
        .rows
        .iter()
        .map(|row| {
            (
                format!("{:?}", row.start),
                row.source.clone(),
                row.destination.clone(),
            )
        })
        .collect();
    assert_eq!(identities.len(), 37);
    let seconds = |row: &CdrRow| match row.duration {
        DurationCell::Seconds(seconds) => seconds,
        DurationCell::Unreadable(_) => panic!("{row:?}"),
    };
    assert_eq!(reading.rows.iter().map(seconds).sum::<u64>(), 7_855);
    let ended = |how: Disposition| {
        reading
            .rows
            .iter()
            .filter(|row| row.disposition == how)
            .count()
    };
    assert_eq!(ended(Disposition::Answered), 27);
    assert_eq!(ended(Disposition::NoAnswer), 17);
    assert_eq!(ended(Disposition::Busy), 1);
    assert_eq!(
        reading.rows[0].start,
        StartCell::At(ColumnTime(1_498_555_635))
    );
    assert_eq!(
        reading.rows[0].origin.uniqueid.as_deref(),
        Some("1498555635.0")
    );
    assert_eq!(reading.profile.time, TimeKind::Wall);
    assert_eq!(reading.profile.index, TimeIndex::File);
    assert_eq!(reading.column("initiated"), "start");
    assert_eq!(reading.profile.columns[0].sql_type, "field 10");
}

#[test]
fn only_the_window_is_read() {
    let log = Log::new(SMALL);
    let source = || CsvSource::new(log.path(), None, &BTreeMap::new(), Vec::new());
    let at = 1_498_559_927;
    let reading = Reading::of(source(), at, at + 1).unwrap();
    assert_eq!(reading.destinations(), ["397-815-2211", "397-815-2211"]);
    assert_eq!(Reading::of(source(), at + 1, at + 2).unwrap().rows, []);
}

#[test]
fn all_stock_layouts_are_told_apart() {
    #[track_caller]
    fn check(tail: &str, uniqueid: Option<&str>, userfield: Option<&str>, linkedid: Option<&str>) {
        let log = Log::new(format!("{}{tail}\n", stock("5550100")));
        let reading = log.read_as(None, &[], &["userfield", "accountcode", "no such"]);
        assert_eq!(reading.profile.extra, ["userfield", "accountcode"]);
        let [row] = &reading.rows[..] else {
            panic!("{:?}", reading.rows)
        };
        assert_eq!(row.start, StartCell::At(NOON));
        assert_eq!(
            (row.source.as_str(), row.destination.as_str()),
            ("917-375-0980", "5550100")
        );
        assert_eq!(row.duration, DurationCell::Seconds(55));
        assert_eq!(row.disposition, Disposition::Answered);
        assert_eq!(row.origin.uniqueid.as_deref(), uniqueid);
        assert_eq!(row.origin.linkedid.as_deref(), linkedid);
        assert_eq!(row.origin.sequence, linkedid.map(|_| 7));
        assert_eq!(
            row.extra,
            [userfield.map(str::to_owned), Some("acc".to_owned())]
        );
    }
    let id = Some("1769860805.12");
    check("", None, None, None);
    check(r#","1769860805.12""#, id, None, None);
    check(
        r#","pbx-a-1769860805.12""#,
        Some("pbx-a-1769860805.12"),
        None,
        None,
    );
    check(r#","some text""#, None, Some("some text"), None);
    check(
        r#","1769860805.12","some text""#,
        id,
        Some("some text"),
        None,
    );
    check(r#","","1769860804.1",7"#, None, None, Some("1769860804.1"));
    check(
        r#","1769860805.12","","1769860804.1",7"#,
        id,
        None,
        Some("1769860804.1"),
    );
    check(
        r#","some text","","1769860804.1",7"#,
        None,
        Some("some text"),
        Some("1769860804.1"),
    );
    check(
        r#","1769860805.12","u","","1769860804.1",7"#,
        id,
        Some("u"),
        Some("1769860804.1"),
    );
}

#[test]
fn the_layout_may_change_in_the_middle_of_a_file() {
    let text = format!(
        "{}\n{},\"1769860805.12\"\n{},\"1769860805.13\",\"u\"\n",
        stock("1"),
        stock("2"),
        stock("3")
    );
    let reading = Log::new(&text).read();
    assert_eq!(reading.destinations(), ["1", "2", "3"]);
    let names = "accountcode,src,dst,dcontext,clid,channel,dstchannel,lastapp,lastdata,start,answer,end,duration,billsec,\
                 disposition,amaflags,userfield";
    let reading = Log::new(&text).read_as(Some(names), &[], &["userfield"]);
    assert_eq!(reading.destinations(), ["1", "2", "3"]);
    assert_eq!(reading.rows[1].extra, [Some("1769860805.12".to_owned())]);
    assert_eq!(reading.rows[1].origin.uniqueid, None);
    assert_eq!(
        reading.rows[2].origin.uniqueid.as_deref(),
        Some("1769860805.13")
    );
}

#[test]
fn cdr_custom_is_told_from_cdr_csv_by_its_content() {
    let record = r#""""Joe"" <100>","1001","5550100","ctx","SIP/1","SIP/2","Dial","x","2026-01-31 12:00:05","","2026-01-31 12:01:00","55","0","NO ANSWER","DOCUMENTATION","","1769860805.12","""#;
    for record in [record.to_owned(), format!("{record},7")] {
        let reading = Log::new(format!("{record}\n")).read();
        let [row] = &reading.rows[..] else {
            panic!("{:?}", reading.rows)
        };
        assert_eq!(
            (row.source.as_str(), row.destination.as_str()),
            ("1001", "5550100")
        );
        assert_eq!(row.start, StartCell::At(NOON));
        assert_eq!(row.duration, DurationCell::Seconds(55));
        assert_eq!(row.disposition, Disposition::NoAnswer);
        assert_eq!(row.origin.uniqueid.as_deref(), Some("1769860805.12"));
    }
}

#[test]
fn an_export_of_freepbx_is_read_by_its_header() {
    let header = "calldate,clid,src,dst,dcontext,channel,dstchannel,lastapp,lastdata,duration,billsec,disposition,amaflags,accountcode,uniqueid,userfield,did,cnum,cnam,outbound_cnum,outbound_cnam,dst_cnam,recordingfile,linkedid,peeraccount,sequence";
    let record = r#"2026-01-31 12:00:05,"""Joe"" <100>",100,5550100,from-internal,PJSIP/100-1,PJSIP/t-2,Dial,"PJSIP/5550100@t,300",55,51,ANSWERED,3,,1769860805.12,,,100,Joe,5550199,,,out-5550100-100-20260131.wav,1769860805.12,,42"#;
    let log = Log::new(format!("\u{feff}{header}\r\n{record}\r\n"));
    let reading = log.read_as(
        None,
        &[("source", "outbound_cnum")],
        &["recordingfile", "did"],
    );
    let [row] = &reading.rows[..] else {
        panic!("{:?}", reading.rows)
    };
    assert_eq!(row.start, StartCell::At(NOON));
    assert_eq!(
        (row.source.as_str(), row.destination.as_str()),
        ("5550199", "5550100")
    );
    assert_eq!(row.origin.sequence, Some(42));
    assert_eq!(
        row.extra,
        [Some("out-5550100-100-20260131.wav".to_owned()), None]
    );
    assert_eq!(reading.column("initiated"), "calldate");
    assert_eq!(reading.column("source"), "outbound_cnum");
    assert_eq!(reading.profile.columns[0].sql_type, "field 1");
}

#[test]
fn freeswitch_is_read_with_its_causes_its_blanks_and_its_bare_quotes() {
    let record = |name: &str, answer: &str, cause: &str| {
        format!(
            r#""","1001","5550100","default","{name} <1001>","sofia/a","sofia/b","bridge","x","2026-01-31 12:00:05","{answer}","2026-01-31 12:01:00","55","0","{cause}","3","f81d4fae-7dec-11d0-a765-00a0c91e6bf6", """#
        )
    };
    let text = [
        record("Joe", "2026-01-31 12:00:09", "NORMAL_CLEARING"),
        record("Joe", "", "NORMAL_CLEARING"),
        record("Joe", "", "USER_BUSY"),
        record("Joe", "", "GATEWAY_DOWN"),
        record(r#"Joe "X" Doe"#, "2026-01-31 12:00:09", "NORMAL_CLEARING"),
    ];
    let log = Log::new(text.join("\n") + "\n");
    let reading = log.read();
    let ended: Vec<_> = reading.rows.iter().map(|row| &row.disposition).collect();
    let answered = &Disposition::Answered;
    assert_eq!(
        ended,
        [
            answered,
            &Disposition::NoAnswer,
            &Disposition::Busy,
            &Disposition::Failed,
            answered
        ]
    );
    assert!(reading.rows.iter().all(|row| row.destination == "5550100"
        && row.origin.uniqueid.as_deref() == Some("f81d4fae-7dec-11d0-a765-00a0c91e6bf6")));
}

#[test]
fn each_template_of_freeswitch_is_known_by_its_fields() {
    let shared = |n: u32| {
        format!(
            r#""Joe "X" Doe","1001","90212555010{n}","default","2026-01-31 12:00:05","2026-01-31 12:00:09","2026-01-31 12:01:00","55","51","NORMAL_CLEARING","u-{n}","b-{n}""#
        )
    };
    let codecs = r#""1001","PCMU","PCMA""#;
    let text = [
        // `sql`, and the one that is built in: with a blank before the last field.
        format!("INSERT INTO cdr VALUES ({}, \"1001\");", shared(1)),
        format!("{}, \"1001\"", shared(2)),
        format!("{},{codecs}", shared(3)),
        format!("{},{codecs},\"Linksys\",\"PS=1\"", shared(4)),
        format!(
            "{},{codecs},\"snom\",\"\",\"\",\"\",\"/rec/5.wav\"",
            shared(5)
        ),
    ];
    // Each by itself, and all in one file, as where the template was changed.
    for lines in text.iter().map(std::slice::from_ref).chain([&text[..]]) {
        let reading = Log::new(lines.join("\n") + "\n").read();
        assert_eq!(
            (reading.rows.len(), reading.broken()),
            (lines.len(), 0),
            "{lines:?}"
        );
        for row in &reading.rows {
            assert_eq!(row.start, StartCell::At(NOON), "{row:?}");
            assert_eq!(row.source, "1001");
            assert_eq!(row.duration, DurationCell::Seconds(55));
            assert_eq!(row.disposition, Disposition::Answered);
            let id = row.origin.uniqueid.as_deref().unwrap();
            assert_eq!(row.destination, format!("90212555010{}", &id[2..]));
        }
    }
    let log = Log::new(text[4].clone() + "\n");
    let reading = log.read_as(None, &[], &["sofia_record_file"]);
    assert_eq!(reading.rows[0].extra, [Some("/rec/5.wav".to_owned())]);
}

#[test]
fn named_columns_serve_any_layout() {
    let names = "caller_id_name,caller_id_number,destination_number,context,start_stamp,answer_stamp,end_stamp,duration,billsec,hangup_cause,uuid,bleg_uuid,accountcode,read_codec";
    let record = r#""Joe","1001","5550100","default","2020/2/10 22:41","","2020-02-10 22:41:30","12","0","NO_ANSWER","u-1","","","PCMU""#;
    let log = Log::new(format!("{record}\n"));
    let error = log.try_read_as(None, &[], &[]).err().unwrap().to_string();
    assert_eq!(
        error,
        format!(
            "`{}` holds no call record of a known layout; line 1 has 14 fields and begins with \
             `\"Joe\",\"1001\",\"5550100\",\"default\",\"2020/2/10 22:41\",\"\",\"2020-`; name the columns, in order, in \
             `source.csv_columns`",
            fs::canonicalize(log.path()).unwrap().display()
        )
    );
    let reading = log.read_as(Some(names), &[], &["read_codec"]);
    let [row] = &reading.rows[..] else {
        panic!("{:?}", reading.rows)
    };
    assert_eq!(row.start, StartCell::At(ColumnTime(1_581_374_460)));
    assert_eq!(row.disposition, Disposition::NoAnswer);
    assert_eq!(row.origin.uniqueid.as_deref(), Some("u-1"));
    assert_eq!(row.extra, [Some("PCMU".to_owned())]);
}

#[test]
fn a_column_that_is_not_there_is_named() {
    let log = Log::new(SMALL);
    let path = fs::canonicalize(log.path()).unwrap();
    let path = path.display();
    let error = log
        .try_read_as(None, &[("source", "cnum")], &[])
        .err()
        .unwrap();
    assert_eq!(
        error.to_string(),
        format!(
            "column `cnum` not found in `{path}`; set `source.columns.source` to one that it has, or name its columns in \
             `source.csv_columns`"
        )
    );
    let error = log
        .try_read_as(Some("start,src,duration"), &[], &[])
        .err()
        .unwrap();
    assert!(
        error
            .to_string()
            .starts_with("column `destination` not found in"),
        "{error}"
    );
    assert!(matches!(error, SourceError::Unusable(_)));
}

#[test]
fn records_in_an_unknown_order_are_refused() {
    let record = stock("5550100").replace("\"2026-01-31 12:00:05\"", "\"SIP/9\"");
    let log = Log::new(format!("{record}\n"));
    let error = log.try_read_as(None, &[], &[]).err().unwrap().to_string();
    assert!(
        error.contains("have 16 fields, but do not read as calls: start `SIP/9`"),
        "{error}"
    );
}

#[test]
fn epoch_columns_hold_instants_and_a_stamp_among_them_is_unreadable() {
    let names = "start,src,dst,duration";
    let log = Log::new(
        "1769860805,1,5550100,5\n1769860806.75,1,5550101,5\n2026-01-31 12:00:05,1,2,5\n0,1,3,5\n,1,4,5\n",
    );
    let reading = log.read_as(Some(names), &[], &[]);
    assert_eq!(reading.profile.time, TimeKind::Instant);
    assert_eq!(reading.rows[0].start, StartCell::At(NOON));
    assert_eq!(
        reading.rows[1].start,
        StartCell::At(ColumnTime(1_769_860_806))
    );
    assert_eq!(
        reading.rows[2].start,
        StartCell::Unreadable("2026-01-31 12:00:05".to_owned())
    );
    assert_eq!((reading.rows.len(), reading.undated), (3, 2));

    let log = Log::new("2026-01-31 12:00:05,1,5550100,5\n1769860805,1,5550101,5\n");
    let reading = log.read_as(Some(names), &[], &[]);
    assert_eq!(reading.profile.time, TimeKind::Wall);
    assert_eq!(
        reading.rows[1].start,
        StartCell::Unreadable("1769860805".to_owned())
    );
}

#[test]
fn names_that_are_no_utf8_fail_no_row() {
    let mut text = stock("5550100").into_bytes();
    let at = text.windows(3).position(|part| part == b"917").unwrap();
    text[at] = 0xf1;
    text.push(b'\n');
    assert_eq!(Log::new(text).read().rows[0].source, "ñ17-375-0980");
}

#[test]
fn a_record_cut_off_anywhere_is_read_once_it_is_whole() {
    let text = SMALL.to_vec();
    let last = text[..text.len() - 1]
        .iter()
        .rposition(|&byte| byte == b'\n')
        .unwrap()
        + 1;
    let golden = Log::new(SMALL).read().rows;
    for cut in last..text.len() {
        let log = Log::new(&text[..cut]);
        let reading = log.read();
        assert_eq!(
            (reading.rows.len(), reading.broken(), reading.undated),
            (44, 0, 0),
            "at {cut}"
        );
        assert_eq!(reading.notes.is_empty(), cut == last, "at {cut}");
        log.append(&text[cut..]);
        let reading = log.read();
        assert_eq!(reading.rows, golden, "at {cut}");
        assert_eq!(reading.notes, [""; 0]);
    }
}

#[test]
fn a_record_over_several_lines_may_be_cut_off_anywhere_too() {
    let text = format!(
        "{}\n{},\"1769860805.12\",\"one\ntwo\n\nthree\"\n",
        stock("1"),
        stock("2")
    );
    let last = stock("1").len() + 1;
    for cut in last..text.len() {
        let log = Log::new(&text[..cut]);
        let reading = log.read();
        assert_eq!(
            (reading.destinations(), reading.broken()),
            (vec!["1"], 0),
            "at {cut}"
        );
        log.append(&text[cut..]);
        let reading = log.read_as(None, &[], &["userfield"]);
        assert_eq!(reading.destinations(), ["1", "2"]);
        assert_eq!(
            reading.rows[1].extra,
            [Some("one\ntwo\n\nthree".to_owned())]
        );
    }
}

#[test]
fn a_file_nobody_writes_any_more_is_read_to_its_last_byte() {
    let log = Log::new(format!("{}\n{}", stock("1"), stock("2")));
    assert_eq!(log.read().destinations(), ["1"]);
    set_age(&log.path(), 2 * 3_600);
    let reading = log.read();
    assert_eq!(
        (reading.destinations(), reading.broken()),
        (vec!["1", "2"], 0)
    );
    log.append("\n\"acc\",\"9");
    set_age(&log.path(), 2 * 3_600);
    let reading = log.read();
    assert_eq!(
        (reading.destinations(), reading.broken()),
        (vec!["1", "2"], 1)
    );
}

#[test]
fn a_broken_line_costs_itself_and_says_where_it_is() {
    let broken = &stock("lost")[..60];
    let log = Log::new(format!(
        "{}\n{broken}\n{}\n{}\n",
        stock("1"),
        stock("2"),
        stock("3")
    ));
    let reading = log.read();
    assert_eq!(
        (reading.destinations(), reading.broken()),
        (vec!["1", "2", "3"], 1)
    );
    let path = fs::canonicalize(log.path()).unwrap();
    let expected = format!("{}, line 2, is no whole record: {broken}", path.display());
    assert_eq!(reading.rows[3].start, StartCell::Unreadable(expected));
}

#[test]
fn thousands_of_broken_lines_are_bounded_and_counted() {
    let text = format!("{}\n{}{}\n", stock("1"), "junk\n".repeat(2_500), stock("2"));
    let reading = Log::new(text).read();
    assert_eq!(reading.destinations(), ["1", "2"]);
    assert_eq!((reading.broken(), reading.undated), (1_000, 1_500));
}

#[test]
fn rows_without_a_start_belong_to_no_window() {
    let text = format!(
        "{0},\"1769860805.12\"\n{1},\"1769860805.13\"\n",
        stock("1"),
        stock("2")
    )
    .replacen("\"2026-01-31 12:00:05\"", "", 1);
    let log = Log::new(text);
    let reading = log.read();
    assert_eq!(
        (reading.destinations(), reading.broken(), reading.undated),
        (vec!["2"], 0, 1)
    );
    let mut source = CsvSource::new(log.path(), None, &BTreeMap::new(), Vec::new());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let undated = runtime.block_on(source.undated()).unwrap();
    assert_eq!(
        (undated.rows, undated.examples),
        (1, vec!["1769860805.12".to_owned()])
    );
}

fn packed(text: &str) -> Vec<u8> {
    use std::io::Write as _;
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packer.write_all(text.as_bytes()).unwrap();
    packer.finish().unwrap()
}

#[test]
fn a_damaged_gzip_file_is_named_and_not_passed_over() {
    let whole = packed(&(stock("1") + "\n"));
    let log = Log::new(stock("2") + "\n");
    log.beside("Master.csv.1.gz", &whole[..whole.len() / 2], 100);
    let mut source = CsvSource::new(log.path(), None, &BTreeMap::new(), Vec::new());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(source.probe()).unwrap();
    let error = runtime
        .block_on(source.open(ColumnTime(0)..ColumnTime(4_102_444_800)))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("Master.csv.1.gz` is damaged: ")
            && error.ends_with("; unpack what can be saved, or move it away"),
        "{error}"
    );
}

#[test]
fn rotated_files_are_read_and_other_files_are_not() {
    let line = |destination: &str| stock(destination) + "\n";
    let log = Log::new(line("now"));
    log.beside("Master.csv.1", line("one"), 100);
    log.beside("Master.csv-20260130", line("dated"), 200);
    log.beside("Master.csv.2026-01-29-10-00-00", line("freeswitch"), 300);
    log.beside("acc.csv", line("account"), 50);
    log.beside("Master.csv.bak", line("backup"), 50);
    log.beside("Master.csv.2.bz2", b"BZh", 400);
    log.beside("Master.csv.3.gz", packed(&line("packed")), 500);
    fs::create_dir(log.0.path().join("Master.csv.9")).unwrap();
    let reading = log.read();
    assert_eq!(
        reading.destinations(),
        ["packed", "freeswitch", "dated", "one", "now"]
    );
    assert_eq!(reading.notes.len(), 1);
    assert!(
        reading.notes[0].contains("Master.csv.2.bz2` is not compressed by gzip and was not read")
    );
    assert!(
        reading
            .profile
            .notes
            .iter()
            .any(|note| note.starts_with("4 rotated files beside it"))
    );
    assert!(
        reading
            .profile
            .notes
            .iter()
            .any(|note| note.contains("Master.csv.2.bz2"))
    );

    // gzip keeps the original until it is done.
    log.beside("Master.csv.1.gz", b"\x1f", 0);
    let reading = log.read();
    assert_eq!(reading.destinations().len(), 5);
    assert!(
        !reading
            .notes
            .iter()
            .any(|note| note.contains("Master.csv.1.gz"))
    );

    fs::remove_file(log.path()).unwrap();
    assert_eq!(
        log.read().destinations(),
        ["packed", "freeswitch", "dated", "one"]
    );
    fs::write(log.path(), "").unwrap();
    assert_eq!(
        log.read().destinations(),
        ["packed", "freeswitch", "dated", "one"]
    );
}

#[test]
fn rotated_files_from_before_the_window_are_left_alone() {
    let log = Log::new(stock("now") + "\n");
    let day = 86_400;
    log.beside("Master.csv.1", stock("inside") + "\n", day);
    log.beside("Master.csv.2", stock("before") + "\n", 3 * day + 3_600);
    log.beside("Master.csv.3.gz", "", 3 * day + 3_600);
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    // The rows' own dates are far from the window here: what counts is which files were opened.
    let broken = "junk\n";
    log.append(broken);
    for name in ["Master.csv.1", "Master.csv.2"] {
        let path = log.0.path().join(name);
        let written = fs::metadata(&path).unwrap().modified().unwrap();
        OpenOptions::new()
            .append(true)
            .open(&path)
            .unwrap()
            .write_all(broken.as_bytes())
            .unwrap();
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_modified(written)
            .unwrap();
    }
    let source = CsvSource::new(log.path(), None, &BTreeMap::new(), Vec::new());
    let from = i64::try_from(now - 2 * day).unwrap();
    let reading = Reading::of(source, from, i64::MAX).unwrap();
    assert_eq!((reading.broken(), reading.notes.len()), (2, 0));
}

#[test]
fn what_is_no_file_is_refused_with_the_mend() {
    let log = Log::new("");
    let directory = fs::canonicalize(log.0.path()).unwrap();
    let source = |path: &Path| CsvSource::new(path.to_owned(), None, &BTreeMap::new(), Vec::new());
    let error = Reading::of(source(&directory), 0, 1).err().unwrap();
    assert_eq!(
        error.to_string(),
        format!(
            "`{}` is no regular file; name the file itself in source.url, such as \
             csv:/var/log/asterisk/cdr-csv/Master.csv",
            directory.display()
        )
    );
    assert!(matches!(error, SourceError::Unusable(_)));
    let error = Reading::of(source(&directory.join("none.csv")), 0, 1)
        .err()
        .unwrap();
    assert_eq!(
        error.to_string(),
        format!(
            "`{}` does not exist; name the file in source.url, and see that Asterisk writes it (`cdr show status` lists \
             csv)",
            directory.join("none.csv").display()
        )
    );
    assert!(matches!(error, SourceError::Unreachable { .. }));
    let reading = Reading::of(source(&log.path()), 0, 1).unwrap();
    assert_eq!(reading.rows, []);
    assert!(reading.profile.notes[0].ends_with("holds no record yet."));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whole_lines_are_read_whatever_stands_between_them(
        junk in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..6),
    ) {
        // The first record makes the layout known; each further one follows arbitrary bytes.
        let mut text = stock("first").into_bytes();
        text.push(b'\n');
        let mut expected = vec!["first".to_owned()];
        for (n, junk) in junk.iter().enumerate() {
            text.extend(junk);
            text.push(b'\n');
            text.extend(stock(&format!("call {n}")).bytes());
            text.push(b'\n');
            expected.push(format!("call {n}"));
        }
        let reading = Log::new(&text).read();
        prop_assert_eq!(reading.destinations(), expected);
    }
}
