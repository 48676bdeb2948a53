//! A SQLite source of which every field, type, index and name is hostile, and database servers that say hostile things.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use super::scene::{now, sandbox};
use super::unruly::{Reply, Unruly};
use super::{HOSTILE, MARKS, Program, every_way, golden};

/// A text for SQL, quoted.
fn quoted(text: &str, quote: char) -> String {
    let double = quote.to_string().repeat(2);
    format!("{quote}{}{quote}", text.replace(quote, &double))
}

/// A `cdr` of nine calls whose every text is hostile, two of them in bytes that are no UTF-8; one start is hostile, too.
fn fill(program: &Program) {
    let db = rusqlite::Connection::open(program.path(&format!("cdr{MARKS}.db"))).unwrap();
    let kind = quoted(&format!("TEXT{HOSTILE}"), '"');
    let index = quoted(&format!("by time{HOSTILE}"), '"');
    let odd = quoted(&format!("odd{HOSTILE}"), '"');
    db.execute_batch(&format!(
        "CREATE TABLE cdr (calldate TEXT, src {kind}, dst {kind}, duration INTEGER, disposition {kind}, uniqueid {kind}, \
         linkedid {kind}, recordingfile {kind}, sequence INTEGER, {odd} TEXT);
         CREATE INDEX {index} ON cdr (calldate);"
    ))
    .unwrap();
    let at = |n: i64| cdrelay::source::inspect::stamp(now() - 4 * 3600 - 600 * n);
    for n in 0..6 {
        db.execute(
            "INSERT INTO cdr VALUES (?1, ?2, ?3, 5, ?2, ?4, ?4, ?2, ?5, ?2)",
            rusqlite::params![
                at(n),
                format!("10{n}{HOSTILE}"),
                format!("9555014{n}{HOSTILE}"),
                format!("17{HOSTILE}.{n}"),
                n
            ],
        )
        .unwrap();
    }
    // Latin-1, and a control sequence in eight bits.
    db.execute_batch(&format!(
        "INSERT INTO cdr VALUES ('{}', CAST(x'31ff9b33316d' AS TEXT), CAST(x'39353535303134c39b0a464f52474544' AS TEXT), 5, \
         CAST(x'9b00ff' AS TEXT), CAST(x'ff0a464f52474544' AS TEXT), NULL, CAST(x'ff9b' AS TEXT), 7, '')",
        at(7)
    ))
    .unwrap();
    // Rows that are reported as invalid, with their words.
    db.execute(
        "INSERT INTO cdr VALUES (?1, '100', '95550148', ?2, ?2, ?2, ?2, ?2, 8, ?2)",
        rusqlite::params![at(8), HOSTILE],
    )
    .unwrap();
    db.execute(
        "INSERT INTO cdr VALUES (?1, '100', '95550149', 5, ?2, ?2, ?2, ?2, 9, ?2)",
        rusqlite::params![format!("{}{HOSTILE}", at(9)), HOSTILE],
    )
    .unwrap();
}

/// The configuration of golden over that source, its names marked as far as a configuration takes them.
fn config(crm: &str) -> String {
    golden::config(&format!("url = \"sqlite:cdr{MARKS}.db\""), crm)
        .replace(
            "name = \"outside line\"",
            &format!("name = \"outside{MARKS}\""),
        )
        .replace("ledger.db", &format!("ledger{MARKS}.db"))
}

#[test]
fn every_verb_shows_a_hostile_table_escaped() {
    let crm = sandbox();
    let program = Program::new(&config(crm.url.as_str()));
    fill(&program);
    let dry = every_way(&program, &["sync", "--full", "--dry-run"]);
    assert!(dry.contains("7 calls would be sent"), "{dry}");
    let sent = every_way(&program, &["sync", "--full"]);
    assert!(
        sent.contains("2 invalid") && sent.contains("FORGED"),
        "{sent}"
    );
    assert_eq!(crm.calls().len(), 7);
    let checked = every_way(&program, &["check"]);
    assert!(
        checked.contains("src (TEXT") && checked.contains("led by"),
        "{checked}"
    );
    let id = format!("17{HOSTILE}.0");
    let start = cdrelay::source::inspect::stamp(now() - 4 * 3600);
    for args in [
        &["calls"][..],
        &["calls", "--state", "delivered"],
        &["calls", "--number", "_X."],
        &["unmatched"],
        &["why", HOSTILE],
        &["why", &id],
        &["why", &format!("100{HOSTILE}")],
        &["why", &format!("{start}/100{HOSTILE}/95550140{HOSTILE}")],
        &["why", "--mask", &format!("9555014{}{HOSTILE}", 1)],
        &["explain", "--history"],
        &["status"],
        &["sync", "--full", "--resend"],
        &[
            "delete",
            "--from",
            "2026-01-01",
            "--to",
            "2026-01-02",
            "--dry-run",
        ],
        &[
            "delete",
            "--from",
            "2026-01-01",
            "--to",
            "2026-01-02",
            "--yes",
        ],
        &["delete", "--from", "2026-01-01", "--to", "2026-01-02"],
        &["init", "--ledger"],
    ] {
        let printed = every_way(&program, args);
        assert!(!printed.is_empty(), "{args:?}");
    }
    for args in [&["calls", "--csv"][..], &["unmatched", "--csv"]] {
        let mut output = program.command(args).output().unwrap();
        // The one place where a line ends with CRLF.
        let text = String::from_utf8(output.stdout).unwrap();
        output.stdout = text.replace("\r\n", "\n").into_bytes();
        super::clean(&format!("{args:?}"), &output);
        assert!(!output.stdout.is_empty(), "{args:?}");
    }
    let listed = program.run(&["calls", "--output", "json"]);
    let hostile = listed
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .filter(|call| call["source"].as_str().unwrap().ends_with(HOSTILE))
        .count();
    assert_eq!(
        hostile, 6,
        "JSON says the very same text: {}",
        listed.stdout
    );
}

#[test]
fn a_column_that_is_missing_is_told_with_hostile_neighbours() {
    let crm = sandbox();
    let program = Program::new(&config(crm.url.as_str()));
    fill(&program);
    let text = config(crm.url.as_str()).replace(
        "[target]",
        "[source.columns]\nsource = \"caller\"\n[target]",
    );
    program.configure(&text);
    for verb in ["check", "sync"] {
        let printed = every_way(&program, &[verb]);
        assert!(
            printed.contains("`caller`") && printed.contains("odd\\u{1b}"),
            "{printed}"
        );
    }
    // A table that does not exist, a source that is no database, a ledger that is none.
    let at = format!("cdr{MARKS}.db");
    program.configure(&config(crm.url.as_str()).replace("[source]", "[source]\ntable = \"other\""));
    every_way(&program, &["check"]);
    program.write(&at, HOSTILE);
    program.configure(&config(crm.url.as_str()));
    every_way(&program, &["sync"]);
    program.write(&format!("ledger{MARKS}.db"), HOSTILE);
    for verb in ["sync", "calls", "status", "check"] {
        every_way(&program, &[verb]);
    }
}

/// A server that sends these bytes to whoever connects, having read what `first` says.
fn server(first: bool, reply: Vec<u8>) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { break };
            let mut asked = [0; 1024];
            if first && stream.read(&mut asked).is_err() {
                continue;
            }
            let _ = stream.write_all(&reply);
            // Whatever else is asked: read, so that closing does not take the answer back.
            let _ = stream.shutdown(std::net::Shutdown::Write);
            while stream.read(&mut asked).is_ok_and(|n| n > 0) {}
        }
    });
    address
}

#[test]
fn what_database_servers_say_is_escaped() {
    // An ERR packet in the place of a greeting, as MySQL sends it to a host that it has blocked: length, number, 0xff,
    // error code, message.
    let mut body = vec![0xff, 0x69, 0x04];
    body.extend_from_slice(HOSTILE.as_bytes());
    let length = u32::try_from(body.len()).unwrap().to_le_bytes();
    let mysql = server(false, [&length[..3], &[0], &body].concat());
    // An ErrorResponse of PostgreSQL: severity, code and message.
    let mut fields = b"SFATAL\0VFATAL\0C28000\0M".to_vec();
    fields.extend_from_slice(HOSTILE.as_bytes());
    fields.extend_from_slice(b"\0\0");
    let length = u32::try_from(fields.len() + 4).unwrap().to_be_bytes();
    let postgres = server(true, [&b"E"[..], &length, &fields].concat());
    let crm = Unruly::always(Reply::Close);
    for url in [
        format!("mysql://cdr@{mysql}/asteriskcdrdb"),
        format!("postgres://cdr@{postgres}/asteriskcdrdb"),
        // Names that come back in messages.
        format!("mysql://cdr%1B%0AFORGED%E2%80%AE@{mysql}/a%1B%0AFORGED"),
        format!("postgres://cdr%1B%0AFORGED%E2%80%AE@{postgres}/a%1B%0AFORGED"),
    ] {
        let program = Program::new(&golden::config(&format!("url = \"{url}\""), &crm.url()));
        for verb in ["check", "sync"] {
            let printed = every_way(&program, &[verb]);
            if !url.contains('%') {
                assert!(printed.contains("FORGED"), "{url}: {printed}");
            }
        }
    }
}
