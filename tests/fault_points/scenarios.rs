//! The jobs that are disturbed: small ones that together pass every point.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::LazyLock;

use super::crm::{Book, Crm, Key};
use super::golden::{self, Golden, Row, golden, stamp};
use super::program::Program;
use super::scene::{Scene, now};
use super::stage::{CRM, Job, Scenario, disturb};
use super::support::mariadb;

/// All of them, each walked through once.
pub(crate) static ALL: LazyLock<Vec<Scenario>> = LazyLock::new(|| {
    let mut all = vec![
        first(),
        changed(),
        deletion(),
        after_deletion(),
        accepted(),
        csv(),
        rebuild(),
        taken_up(),
        older(),
        row_gone(),
        known(),
    ];
    for scenario in &mut all {
        scenario.walk();
    }
    all
});

/// One of them.
pub(crate) fn scenario(name: &str) -> &'static Scenario {
    ALL.iter()
        .find(|scenario| scenario.name == name)
        .expect("a name from the list")
}

/// A first incremental run on a new ledger.
fn first() -> Scenario {
    let rows = office();
    Scenario {
        code: 0,
        afterwards: vec![(args("sync"), vec![0])],
        ..blank("first", Job::Sync, &rows, "sync --output json")
    }
}

/// A full run after a change of the rules: calls that would look different today, numbers that no contact had, refusals,
/// new calls, and one that is too old to be kept.
fn changed() -> Scenario {
    let mut rows = office();
    let old = row(90, 50 * 24 * 60, "7010", "904145550010", 10, "ANSWERED");
    let waits = [
        // Two calls to a number that gets a contact, two to one that does not.
        row(21, 400, "7001", "904145550001", 10, "ANSWERED"),
        row(22, 390, "7002", "904145550001", 11, "BUSY"),
        row(23, 380, "7001", "904145550002", 12, "ANSWERED"),
        row(24, 370, "7002", "904145550002", 13, "BUSY"),
        row(25, 360, "7001", "904145550003", 14, "ANSWERED"),
        row(26, 350, "7001", "904145550004", 15, "ANSWERED"),
    ];
    let new = [
        row(31, 40, "7001", "904145550005", 16, "ANSWERED"),
        row(32, 30, "7002", "904145550006", 17, "NO ANSWER"),
    ];
    rows.push(old.clone());
    rows.extend(waits);
    let scene = Scene::of(rows.clone());
    let config = scene
        .config(CRM)
        .replacen(
            "[[rules]]",
            "[select]\nfull_lookback = \"10d\"\n\n[[rules]]",
            1,
        )
        .replace("[ledger]\n", "[ledger]\nretention = \"41d\"\n");
    let number = |last: &str| format!("0414555000{last}");
    let crm = Crm::start(Book {
        unknown: BTreeSet::from([number("1"), number("2")]),
        refused: BTreeSet::from([number("3"), number("4")]),
        ..Book::default()
    });
    scene.program.configure(&config.replace(CRM, &crm.url()));
    let since = stamp(now() - 60 * 86_400, ' ');
    scene.program.sync(&["--since", &since], 3);
    crm.change(|book| {
        book.unknown.remove(&number("1"));
        book.refused.remove(&number("4"));
    });
    for insert in golden::inserts("cdr", &new) {
        scene.source().execute_batch(&insert).expect("rows");
    }
    rows.extend(new);
    let mut golden = golden(&rows);
    let mut settled: BTreeMap<Key, &str> = golden
        .keys()
        .map(|key| {
            let state = match &key.2 {
                to if *to == number("2") => "unmatched",
                to if *to == number("3") => "rejected",
                _ => "delivered",
            };
            (key.clone(), state)
        })
        .collect();
    golden.retain(|key, _| settled[key] == "delivered");
    settled.retain(|key, _| key.1 != old.src);
    let book = crm.book();
    Scenario {
        code: 0,
        files: files(&scene.program),
        config: config.replace("0212${EXTEN:1}", "0412${EXTEN:1}"),
        book,
        // A refusal whose first answer was lost is news to the run that hears it.
        afterwards: vec![(args("sync --full"), vec![0, 3])],
        golden,
        settled,
        ..blank("changed", Job::Sync, &rows, "sync --full --output json")
    }
}

/// A deletion, and the run that sends again what it took.
fn deletion() -> Scenario {
    let (scene, crm) = delivered();
    let day = middle_day();
    Scenario {
        code: 0,
        files: files(&scene.program),
        book: crm.book(),
        afterwards: vec![(args("sync --full"), vec![0])],
        deleted: vec![day.clone()],
        ..blank(
            "deletion",
            Job::Delete,
            &scene.rows,
            &format!("delete --from {day} --to {day} --yes --output json"),
        )
    }
}

/// The run after a deletion that was killed once its request had been answered.
fn after_deletion() -> Scenario {
    let (scene, crm) = delivered();
    let day = middle_day();
    let delete = ["delete", "--from", &day, "--to", &day, "--yes"];
    let ended = disturb(&scene.program, &delete, "delete.answered#1:kill");
    assert_eq!(ended.signal, Some(9), "{ended:?}");
    assert_eq!(crm.book().deletions.len(), 1);
    Scenario {
        code: 0,
        files: files(&scene.program),
        book: crm.book(),
        afterwards: vec![(args("sync --full"), vec![0])],
        ..blank(
            "after_deletion",
            Job::Sync,
            &scene.rows,
            "sync --full --output json",
        )
    }
}

/// `init --ledger` after the ledger was lost, its log left behind.
fn accepted() -> Scenario {
    let (scene, crm) = delivered();
    let mut files = files(&scene.program);
    files.remove("ledger.db").expect("a ledger");
    files.insert(
        "ledger.db-wal".to_owned(),
        b"what a lost ledger left".to_vec(),
    );
    Scenario {
        code: 0,
        files,
        book: crm.book(),
        // Whoever runs `sync` first is told to accept the new ledger, or works with it: never that it is a wrong one.
        afterwards: vec![
            (args("sync"), vec![0, 10]),
            (args("init --ledger"), vec![0]),
            (args("sync --full"), vec![0]),
        ],
        ..blank("accepted", Job::Init, &scene.rows, "init --ledger")
    }
}

/// A first run from a CSV file, which is spooled.
fn csv() -> Scenario {
    let rows = office();
    let mut text =
        "calldate,src,dst,duration,billsec,disposition,uniqueid,recordingfile,sequence\r\n"
            .to_owned();
    for row in &rows {
        let start = stamp(row.wall, ' ');
        let Row {
            src,
            dst,
            duration,
            disposition,
            uniqueid,
            recordingfile,
            sequence,
            ..
        } = row;
        let _ = write!(
            text,
            "{start},{src},{dst},{duration},0,{disposition},{uniqueid},{recordingfile},{sequence}\r\n"
        );
    }
    Scenario {
        code: 0,
        files: BTreeMap::from([("cdr.csv".to_owned(), text.into_bytes())]),
        config: golden::config("url = \"csv:cdr.csv\"", CRM),
        afterwards: vec![(args("sync"), vec![0])],
        ..blank("csv", Job::Sync, &rows, "sync --output json")
    }
}

/// A rebuild of everything after a change of the rules, which parts what had one key, and drops a number.
fn rebuild() -> Scenario {
    let (scene, crm) = delivered();
    let (from, to) = (date(-7), date(1));
    let before = golden(&scene.rows);
    // The same in plain code: local numbers get another area code, and one number is left out.
    let rows: Vec<Row> = scene
        .rows
        .iter()
        .filter(|row| row.dst != DROPPED)
        .cloned()
        .map(|mut row| {
            if row.dst.len() == 8 && row.dst.starts_with('9') {
                row.dst = format!("90412{}", &row.dst[1..]);
            }
            row
        })
        .collect();
    let after = golden(&rows);
    let dropped = format!("0212{}", &DROPPED[1..]);
    let mut settled: BTreeMap<Key, &str> =
        after.keys().map(|key| (key.clone(), "delivered")).collect();
    let gone = before
        .keys()
        .find(|key| key.2 == dropped)
        .expect("it was sent");
    settled.insert(gone.clone(), "withdrawn");
    Scenario {
        files: files(&scene.program),
        config: changed_rules(&scene.config(CRM)),
        book: crm.book(),
        afterwards: vec![(args("sync --full"), vec![0])],
        golden: after,
        settled,
        untouched: Some(before),
        ..blank(
            "rebuild",
            Job::Rebuild,
            &scene.rows,
            &format!("rebuild --from {from} --to {to} --yes --output json"),
        )
    }
}

/// The run that takes up a rebuild which was killed when its deletion was on record and had not left.
fn taken_up() -> Scenario {
    let whole = rebuild();
    let crm = Crm::start(whole.book.clone());
    let program = whole.program(&crm.url());
    let command: Vec<&str> = whole.command.iter().map(String::as_str).collect();
    let ended = disturb(&program, &command, "delete.begun#1:kill");
    assert_eq!(ended.signal, Some(9), "{ended:?}");
    assert!(crm.book().deletions.is_empty());
    Scenario {
        name: "taken_up",
        job: Job::Sync,
        files: files(&program),
        command: args("sync --full --output json"),
        ..whole
    }
}

/// A first run on an empty ledger that an older version made.
fn older() -> Scenario {
    let rows = office();
    let mut scenario = Scenario {
        afterwards: vec![(args("sync"), vec![0])],
        ..blank("older", Job::Sync, &rows, "sync --output json")
    };
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("ledger.db");
    let db = rusqlite::Connection::open(&path).expect("a database");
    db.pragma_update(None, "journal_mode", "WAL")
        .expect("a log");
    db.execute_batch(include_str!("../../src/ledger/migrations/0001_ledger.sql"))
        .expect("the first schema");
    let id = "0123456789abcdef0123456789abcdef";
    db.execute(
        "INSERT INTO meta VALUES ('ledger_id', ?1), ('created', '0')",
        [id],
    )
    .expect("an id");
    db.pragma_update(None, "application_id", cdrelay::ledger::APPLICATION_ID)
        .expect("a mark");
    db.pragma_update(None, "user_version", 1)
        .expect("a version");
    db.close().expect("closed");
    let bytes = std::fs::read(&path).expect("a file");
    scenario.files.insert("ledger.db".to_owned(), bytes);
    scenario
        .files
        .insert("ledger.db.lock".to_owned(), format!("{id}\n").into_bytes());
    scenario
}

/// A full run after a deletion whose days lost a row of the source in the meantime.
fn row_gone() -> Scenario {
    let (scene, crm) = delivered();
    let day = middle_day();
    let delete = ["delete", "--from", &day, "--to", &day, "--yes"];
    assert_eq!(scene.program.run(&delete).code, 0);
    let book = crm.book();
    let golden = golden(&scene.rows);
    let taken = golden.keys().find(|key| !book.held.contains_key(*key));
    let taken = taken.expect("one was deleted").clone();
    let lost = scene
        .rows
        .iter()
        .find(|row| row.src == taken.1 && taken.2.ends_with(&row.dst[1..]));
    let lost = lost.expect("its row").uniqueid.clone();
    // So did a row that was folded into another one for its key.
    let folded = scene.rows[0].uniqueid.clone();
    let removed = scene
        .source()
        .execute("DELETE FROM cdr WHERE uniqueid IN (?1, ?2)", [lost, folded]);
    assert_eq!(removed.expect("a statement"), 2);
    let mut scenario = Scenario {
        files: files(&scene.program),
        book,
        afterwards: vec![(args("sync --full"), vec![0])],
        ..blank(
            "row_gone",
            Job::Sync,
            &scene.rows,
            "sync --full --output json",
        )
    };
    scenario.golden.remove(&taken);
    scenario.settled.insert(taken, "pending");
    scenario
}

/// A full run over a table on a server, most of which was read before and is what it was: calls of a deleted day are sent by
/// what is on record, and later rows are read.
fn known() -> Scenario {
    // Where the CRM cannot tell two calls apart, rows are read each time.
    let rows: Vec<Row> = office()
        .into_iter()
        .filter(|row| row.sequence != 2)
        .collect();
    let url = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(async {
            let database = mariadb::server().database().await;
            database
                .run(
                    "CREATE TABLE cdr (calldate datetime NOT NULL, src varchar(80), dst varchar(80), duration int, billsec int, \
                     disposition varchar(45), uniqueid varchar(150), recordingfile varchar(255), sequence int, KEY (calldate))",
                )
                .await;
            for insert in golden::inserts("cdr", &rows) {
                database.run(&insert).await;
            }
            format!(
                "mysql://root@127.0.0.1:{}/{}",
                database.server.port, database.name
            )
        });
    let config = golden::config(&format!("url = \"{url}\""), CRM);
    let crm = Crm::start(Book::default());
    let program = Program::new(&config.replace(CRM, &crm.url()));
    let until = stamp(now() - 4 * 3600 - 12 * 3600, ' ');
    program.sync(&["--full", "--until", &until], 0);
    let day = middle_day();
    let ran = program.run(&["delete", "--from", &day, "--to", &day, "--yes"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    Scenario {
        code: 0,
        files: files(&program),
        config,
        book: crm.book(),
        afterwards: vec![(args("sync --full"), vec![0])],
        ..blank("known", Job::Sync, &rows, "sync --full --output json")
    }
}

/// These rows in a SQLite file, nothing sent yet, all of them to be delivered.
fn blank(name: &'static str, job: Job, rows: &[Row], command: &str) -> Scenario {
    let scene = Scene::of(rows.to_vec());
    let golden: Golden = golden(rows);
    Scenario {
        name,
        job,
        files: files(&scene.program),
        config: scene.config(CRM),
        book: Book::default(),
        command: args(command),
        code: 0,
        afterwards: Vec::new(),
        settled: golden
            .keys()
            .map(|key| (key.clone(), "delivered"))
            .collect(),
        golden,
        untouched: None,
        deleted: Vec::new(),
        passages: Vec::new(),
    }
}

/// The office's calls, all of them delivered.
fn delivered() -> (Scene, Crm) {
    let scene = Scene::of(office());
    let crm = Crm::start(Book::default());
    scene.point_at(&crm.url());
    scene.program.sync(&["--full"], 0);
    (scene, crm)
}

/// Six calls in nine rows of four days: two rows of one call, two ways to dial one number, two that are left out.
fn office() -> Vec<Row> {
    let day = 24 * 60;
    vec![
        row(1, 4 * day, "7001", "92853348", 20, "NO ANSWER"),
        row(2, 4 * day, "7001", "902122853348", 25, "ANSWERED"),
        row(3, 3 * day + 600, "7002", "904145553348", 30, "NO ANSWER"),
        row(4, 3 * day + 600, "7002", "904145553348", 28, "ANSWERED"),
        row(5, 2 * day + 60, "7003", "92853350", 61, "ANSWERED"),
        row(6, 2 * day, "7003", "7004", 5, "ANSWERED"),
        row(7, 2 * day - 60, "7004", "900121255501", 0, "BUSY"),
        row(8, day, "", "92853351", 9, "ANSWERED"),
        row(9, day - 300, "+584142853", "02122853352", 7, "ANSWERED"),
        row(10, 90, "7005", "92853353", 12, "ANSWERED"),
    ]
}

fn row(
    sequence: u64,
    minutes_ago: i64,
    src: &str,
    dst: &str,
    duration: u64,
    said: &'static str,
) -> Row {
    let instant = now() / 60 * 60 - minutes_ago * 60;
    Row {
        wall: instant - 4 * 3600,
        src: src.to_owned(),
        dst: dst.to_owned(),
        duration,
        disposition: said,
        uniqueid: format!("{instant}.{sequence}"),
        sequence,
        recordingfile: if said == "ANSWERED" {
            format!("out-{dst}-{src}-{sequence}.wav")
        } else {
            String::new()
        },
    }
}

/// The date on the wire two days ago.
fn middle_day() -> String {
    date(-2)
}

/// A date so many days from now.
fn date(days: i64) -> String {
    stamp(now() + days * 86_400, ' ')[..10].to_owned()
}

/// A number that the changed rules drop.
const DROPPED: &str = "92853353";

/// Another area code for local numbers, and one number less.
fn changed_rules(config: &str) -> String {
    let drop =
        format!("[[rules]]\nname = \"gone\"\nmatch = \"_{DROPPED}\"\ndrop = true\n\n[[rules]]");
    config
        .replace("0212${EXTEN:1}", "0412${EXTEN:1}")
        .replacen("[[rules]]", &drop, 1)
}

/// What lies in a program's directory, but its configuration and the CRM's token.
fn files(program: &Program) -> BTreeMap<String, Vec<u8>> {
    std::fs::read_dir(program.dir.path())
        .expect("a directory")
        .map(|entry| {
            let entry = entry.expect("an entry");
            let name = entry.file_name().into_string().expect("UTF-8");
            (name, std::fs::read(entry.path()).expect("a file"))
        })
        .filter(|(name, _)| !matches!(name.as_str(), "cdrelay.toml" | "crm.token"))
        .collect()
}

fn args(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}
