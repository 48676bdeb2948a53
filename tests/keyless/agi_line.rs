//! What a peer on the AGI line can do: say too much, too little, or what is none of its business.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::agi::{
    SET, asterisk, environment, server, signal, stage, started, status, through_a_pipe, uniqueid,
};
use crate::crm::{Answer, Crm, ok};
use crate::stage::{Stage, missed, now};

#[test]
fn overlong_lines_controls_and_a_missing_end_change_neither_number_nor_call() {
    let crm = Crm::good();
    let stage = stage(&crm);
    let long = "x".repeat(100_000);
    let cases = [
        // A line that is longer than any buffer; what stands behind it is still read.
        format!(
            "agi_request: {long}\n{}",
            environment("02125550100", &long, &uniqueid(1), &[])
        ),
        format!(
            "\u{0}\u{1}\u{1b}[2J\u{0}: \u{0}\n{}",
            environment("02125550101", "J\u{0}ne", &uniqueid(2), &[])
        ),
        environment("02125550102", "\u{202e}eman", &uniqueid(3), &[]),
        // Lines that a value with a line break would make: what was said first counts.
        environment(
            "02125550103",
            "x\nagi_uniqueid: 1.1\nagi_callerid: 900",
            &uniqueid(4),
            &[],
        ),
    ];
    for (n, text) in cases.iter().enumerate() {
        let (set, code, _) = through_a_pipe(&stage, &[], text);
        assert_eq!((status(&set), code), ("DELIVERED", 0), "{n}");
        assert_eq!(crm.numbers()[n], format!("0212555010{n}"));
    }
    // No empty line at the end, and the pipe stays open: it is told all the same.
    let whole = environment("02125550104", "", &uniqueid(5), &[]);
    let (set, code, _) = through_a_pipe(&stage, &[], whole.trim_end());
    assert_eq!((status(&set), code), ("DELIVERED", 0));
    let (set, ..) = through_a_pipe(&stage, &[], &whole);
    assert_eq!(status(&set), "DELIVERED");
    assert_eq!(crm.requests().len(), 5);
    assert_eq!(stage.sync(&[], 0)["agi"]["taken_up"], 5);
}

#[test]
fn bytes_that_are_no_text_are_no_number() {
    let crm = Crm::good();
    let stage = stage(&crm);
    let mut child = started(&stage, &[]);
    let mut stdin = child.stdin.take().unwrap();
    stdin
        .write_all(b"agi_request: \xff\xfe\nagi_uniqueid: 1.\xc3\nagi_callerid: \xff0212\nagi_calleridname: \x80\n\n")
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert_eq!(line, "SET VARIABLE CRM_NOTHING \"\"\n");
    drop(stdin);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(crm.requests().is_empty());
}

#[test]
fn what_a_crm_says_cannot_become_a_command() {
    let crm = Crm::start(|_, _| {
        let id = r#"4711\"\nEXEC System \"rm\\\r\n\u0000HANGUP"#;
        Answer::Says(
            200,
            format!(
                r#"{{"status":"ok","message":"","data":{{"process":{{"id":"{id}"}}}},"eventList":[]}}"#
            ),
        )
    });
    let stage = stage(&crm);
    let (set, code, _) = through_a_pipe(
        &stage,
        &[],
        &environment("02125550142", "", &uniqueid(1), &[]),
    );
    assert_eq!((status(&set), code), ("DELIVERED", 0));
    let value = &set
        .iter()
        .find(|(name, _)| name == "CRM_PROCESS")
        .unwrap()
        .1;
    assert_eq!(value, r#"4711\" EXEC System \"rm\\   HANGUP"#);
}

#[test]
fn the_same_call_told_twice_at_the_same_time_opens_one_process() {
    // So long that the second one comes meanwhile.
    let crm = Crm::start(|_, _| Answer::After(Duration::from_secs(3), Box::new(ok())));
    let stage = Stage::new(&[]);
    stage.point_patiently_at(&crm.url(), SET);
    let text = environment("02125550142", "", &uniqueid(1), &[]);
    let mut words: Vec<String> = std::thread::scope(|scope| {
        let both: Vec<_> = (0..2)
            .map(|_| scope.spawn(|| through_a_pipe(&stage, &[], &text).0))
            .collect();
        both.into_iter()
            .map(|one| status(&one.join().unwrap()).to_owned())
            .collect()
    });
    words.sort();
    assert_eq!(words, ["DELIVERED", "UNKNOWN"]);
    assert_eq!(crm.requests().len(), 1);
}

#[test]
fn a_pending_call_is_sent_once_although_its_row_is_there_as_well() {
    let crm = Crm::start(|_, _| Answer::Says(429, String::new()));
    let stage = stage(&crm);
    let row = missed("02125550142", 600);
    let text = environment("02125550142", "", &row.uniqueid, &[]);
    let (set, ..) = through_a_pipe(&stage, &[], &text);
    assert_eq!(status(&set), "PENDING");
    crm.change(|_, _| ok());
    stage.add(&row);
    let before = crm.requests().len();
    let report = stage.sync(&[], 0);
    assert_eq!(report["agi"]["delivered"], 1, "{report}");
    assert_eq!(report["calls"]["created"], 0, "{report}");
    for args in [&[][..], &["--full"]] {
        stage.sync(args, 0);
    }
    assert_eq!(crm.requests().len(), before + 1);
    // `reconcile` misses nothing.
    let ran = stage.run(&["reconcile", "--output", "json"]);
    let report: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(
        (
            ran.code,
            &report["total"]["told"],
            &report["total"]["missing"]
        ),
        (0, &serde_json::json!(1), &serde_json::json!(0)),
        "{report}"
    );
}

#[test]
fn a_row_that_was_sent_already_is_not_told_again() {
    let crm = Crm::good();
    let row = missed("02125550142", 600);
    let stage = stage(&crm);
    stage.add(&row);
    assert_eq!(stage.sync(&[], 0)["calls"]["created"], 1);
    let text = environment("02125550142", "", &row.uniqueid, &[]);
    let (set, ..) = through_a_pipe(&stage, &[], &text);
    assert_eq!(status(&set), "DELIVERED");
    assert_eq!(crm.requests().len(), 1);
}

#[test]
fn a_ledger_that_nobody_can_read_just_now_leaves_the_call_due() {
    let crm = Crm::good();
    let stage = Stage::new(&[]);
    stage.point_at(&crm.url(), &SET.replace("10s", "3s"));
    stage.sync(&[], 0);
    let db = rusqlite::Connection::open(stage.program.path("ledger.db")).unwrap();
    db.execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; CREATE TABLE x (y);")
        .unwrap();
    let begun = Instant::now();
    let text = environment("02125550142", "", &uniqueid(1), &[]);
    let (set, code, _) = through_a_pipe(&stage, &[], &text);
    assert_eq!((status(&set), code), ("PENDING", 0));
    assert!(
        begun.elapsed() < Duration::from_secs(8),
        "{:?}",
        begun.elapsed()
    );
    assert!(crm.requests().is_empty());
    db.execute_batch("ROLLBACK;").unwrap();
    drop(db);
    assert_eq!(stage.sync(&[], 0)["agi"]["delivered"], 1);
    assert_eq!(crm.numbers(), ["02125550142"]);
}

#[test]
fn peers_that_say_nothing_or_never_end_keep_no_call_out() {
    let crm = Crm::good();
    let stage = stage(&crm);
    let (mut child, address, _) = server(&stage);
    // More than are served at a time, all of them mute; each is let go within two seconds.
    let mute: Vec<TcpStream> = (0..300)
        .map(|_| TcpStream::connect(&address).unwrap())
        .collect();
    // Some that talk without an end, until they are let go.
    let endless: Vec<_> = (0..4)
        .map(|n| {
            let address = address.clone();
            std::thread::spawn(move || {
                let mut stream = TcpStream::connect(address).unwrap();
                let line = match n {
                    0 => vec![b'a'; 4096],
                    1 => b"agi_x: y\n".repeat(400),
                    2 => b"HANGUP\n".repeat(400),
                    _ => vec![0; 4096],
                };
                stream
                    .set_write_timeout(Some(Duration::from_secs(60)))
                    .unwrap();
                let begun = Instant::now();
                while begun.elapsed() < Duration::from_secs(60) {
                    if stream.write_all(&line).is_err() {
                        return;
                    }
                }
                panic!("{n} was never let go");
            })
        })
        .collect();
    let stream = TcpStream::connect(&address).unwrap();
    let text = environment("02125550142", "", &uniqueid(1), &[]);
    let begun = Instant::now();
    let set = asterisk(stream.try_clone().unwrap(), stream, &text);
    assert_eq!(status(&set), "DELIVERED");
    assert!(
        begun.elapsed() < Duration::from_secs(30),
        "{:?}",
        begun.elapsed()
    );
    for peer in endless {
        peer.join().unwrap();
    }
    for mut peer in mute {
        peer.set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        let mut said = Vec::new();
        peer.read_to_end(&mut said).unwrap();
        assert!(said.is_empty(), "{}", String::from_utf8_lossy(&said));
    }
    signal(&child, "TERM");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_crm_that_hangs_leaves_further_calls_due_and_in_no_doubt() {
    let crm = Crm::start(|_, _| Answer::Silence);
    let stage = Stage::new(&[]);
    // The CRM is waited for longer than any of the callers.
    stage.point_patiently_at(&crm.url(), &format!("concurrency = 2\n{SET}"));
    let (mut child, address, _) = server(&stage);
    let mut words: Vec<String> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..6)
            .map(|n| {
                let address = &address;
                scope.spawn(move || {
                    let stream = TcpStream::connect(address).unwrap();
                    let number = format!("0212555010{n}");
                    let text = environment(&number, "", &format!("{}.{n}", now()), &[]);
                    let set = asterisk(stream.try_clone().unwrap(), stream, &text);
                    status(&set).to_owned()
                })
            })
            .collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    words.sort();
    assert_eq!(
        words,
        [
            "PENDING", "PENDING", "PENDING", "PENDING", "UNKNOWN", "UNKNOWN"
        ]
    );
    signal(&child, "TERM");
    assert_eq!(child.wait().unwrap().code(), Some(0));
    crm.change(|_, _| ok());
    let report = stage.sync(&[], 3);
    assert_eq!(report["agi"]["delivered"], 4, "{report}");
    assert_eq!(report["agi"]["held"], 2, "{report}");
    assert_eq!(crm.requests().len(), 6);
}
