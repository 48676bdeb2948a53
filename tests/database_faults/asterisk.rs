//! The phone system writes into the table while calls are on their way to a CRM that hangs, and is never kept waiting.
//!
//! In MyISAM a reader locks writers out until the last row of its statement is taken; where rows were deleted, not even
//! rows at the end can be added meanwhile ("Concurrent Inserts", MariaDB's documentation). So a statement must be short,
//! drained at once, and small enough to end even where its reader stalls. InnoDB's readers lock nobody out.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, Executor};

use crate::cutting_proxy::Fault;
use crate::scene::{finish, sandbox, signal, until};
use crate::stage::{Database, Kind, Stage, wait};
use crate::support::mariadb;
use crate::unruly::{Reply, Unruly};

/// The promise.
const AT_ONCE: Duration = Duration::from_secs(1);

/// Rows that nobody asks for any more, whose places in the file are free: with the others 50,000.
const DELETED: usize = 33_000;

/// Makes holes in the file, all over it, so that no row can be added beside a reader.
fn make_holes(database: &Database, engine: &str) {
    database.run(&format!(
        "INSERT INTO cdr (calldate, src, dst, duration, disposition, uniqueid, recordingfile) \
         SELECT NOW() - INTERVAL seq SECOND, 'hole', '7001', 1, 'BUSY', seq, REPEAT('x', 50) FROM seq_1_to_{DELETED}; \
         DELETE FROM cdr WHERE src = 'hole'"
    ));
    // Only MyISAM says how much is free.
    if engine != "MyISAM" {
        return;
    }
    let free = database.number(
        "SELECT CAST(DATA_FREE AS SIGNED) FROM information_schema.TABLES WHERE TABLE_NAME = 'cdr' AND TABLE_SCHEMA = DATABASE()",
    );
    assert!(free > 0, "there are no holes");
}

/// None of Asterisk's INSERTs waits, in a state that lasts. The machine may be slow for once, but not each time.
#[track_caller]
fn inserts_at_once(database: &Database, meanwhile: &str) {
    let mut shortest = Duration::MAX;
    for _ in 0..3 {
        shortest = shortest.min(longest_insert(database));
        if shortest < AT_ONCE {
            println!("the longest INSERT took {shortest:?} while {meanwhile}");
            return;
        }
    }
    panic!("the longest INSERT took {shortest:?} while {meanwhile}");
}

/// The longest that Asterisk's INSERT took, out of forty, by a connection of its own.
fn longest_insert(database: &Database) -> Duration {
    let Database::MariaDb(database) = database else {
        panic!("only MySQL's engines lock")
    };
    wait(async {
        let mut asterisk = database.server.connect(&database.name).await;
        let mut longest = Duration::ZERO;
        for number in 0..40 {
            let insert = format!(
                "INSERT INTO cdr (calldate, src, dst, duration, disposition, uniqueid) \
                 VALUES (NOW(), '7001', '7002', 1, 'ANSWERED', 'new.{number}')"
            );
            let since = Instant::now();
            (&mut asterisk)
                .execute(sqlx::raw_sql(AssertSqlSafe(insert)))
                .await
                .unwrap();
            longest = longest.max(since.elapsed());
        }
        longest
    })
}

/// What the server says that a user's connections do: command and state.
fn processes(server: &'static mariadb::MariaDb, user: &str) -> Vec<String> {
    let user = user.to_owned();
    // The CRM's threads have no runtime of their own.
    wait(async move {
        let mut connection = server.connect("mysql").await;
        sqlx::query_scalar(
            "SELECT CONCAT(command, ' ', COALESCE(info, '')) FROM information_schema.processlist WHERE user = ?",
        )
        .bind(user)
        .fetch_all(&mut connection)
        .await
        .unwrap()
    })
}

fn while_the_crm_hangs(engine: &str) {
    let database = Database::new(Kind::MariaDb);
    let mut stage = Stage::on(Kind::MariaDb, database, &format!("ENGINE={engine}"));
    if engine != "InnoDB" {
        make_holes(&stage.database, engine);
    }
    let Database::MariaDb(database) = &stage.database else {
        unreachable!()
    };
    let (server, user) = (database.server, format!("reader_{}", database.name));
    stage.database.run(&format!(
        "CREATE USER {user}@'127.0.0.1'; GRANT SELECT ON cdr TO {user}@'127.0.0.1'"
    ));
    stage.log_in_as(&user);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let crm = Unruly::start({
        let (seen, user) = (Arc::clone(&seen), user.clone());
        move |number, _| {
            if number == 0 {
                *seen.lock().unwrap() = processes(server, &user);
            }
            Reply::Silence
        }
    });
    stage.point_at(&crm.url());
    let child = stage.program.spawn(&["sync", "--full", "-q"]);
    until("the first request is there", || {
        !seen.lock().unwrap().is_empty()
    });
    // Its statement may be that of the next slice, never one that is not being drained.
    let during = seen.lock().unwrap().clone();
    assert_eq!(during.len(), 1, "{during:?}");
    // Between two statements it sleeps as well, but not for a while.
    let mut looks = 0;
    until("reading rests", || {
        looks = if processes(server, &user) == ["Sleep "] {
            looks + 1
        } else {
            0
        };
        looks == 20
    });
    inserts_at_once(&stage.database, &format!("the CRM hung, in {engine}"));
    assert_eq!(processes(server, &user), ["Sleep "]);
    signal(&child, "INT");
    std::thread::sleep(Duration::from_millis(50));
    signal(&child, "INT");
    finish(child);
    drop(crm);
    stage
        .database
        .run("DELETE FROM cdr WHERE uniqueid LIKE 'new.%'");
    stage.settles(&sandbox());
}

#[test]
fn inserts_into_a_myisam_table_with_holes_do_not_wait_while_the_crm_hangs() {
    while_the_crm_hangs("MyISAM");
}

#[test]
fn inserts_into_an_aria_and_an_innodb_table_do_not_wait_while_the_crm_hangs() {
    while_the_crm_hangs("Aria");
    while_the_crm_hangs("InnoDB");
}

#[test]
fn inserts_do_not_wait_for_a_reader_that_stalls_in_the_middle_of_a_slice() {
    let stage = Stage::on(Kind::MariaDb, Database::new(Kind::MariaDb), "ENGINE=MyISAM");
    // Long rows, so that the buffers of a connection do not take thousands of them by themselves; before the holes are made,
    // because rows that grow would fill them.
    stage.database.run(
        "ALTER TABLE cdr MODIFY recordingfile TEXT; \
         UPDATE cdr SET recordingfile = REPEAT('x', 3000) WHERE dst = '7001' ORDER BY calldate LIMIT 6000",
    );
    make_holes(&stage.database, "MyISAM");
    let total = stage.measure();
    for part in 1..=4 {
        let crm = sandbox();
        stage.forget();
        stage.point_at(crm.url.as_str());
        let after = total * part / 5;
        stage.proxy.set(Fault::Mute { after });
        let child = stage.program.spawn(&["sync", "--full", "--output", "json"]);
        until("the reader stalls", || stage.proxy.passed() >= after);
        inserts_at_once(
            &stage.database,
            &format!("the reader stalled after {after} of {total} bytes"),
        );
        stage
            .database
            .run("DELETE FROM cdr WHERE uniqueid LIKE 'new.%'");
        stage.proxy.lift();
        let ran = finish(child);
        stage.complete(&ran);
        stage.check(&crm);
    }
}

#[test]
fn without_an_index_inserts_wait_for_one_pass_at_most() {
    let mut stage = Stage::on(Kind::MariaDb, Database::new(Kind::MariaDb), "ENGINE=MyISAM");
    make_holes(&stage.database, "MyISAM");
    stage.database.run("DROP INDEX started ON cdr");
    let crm = Unruly::always(Reply::Silence);
    stage.point_at(&crm.url());
    let child = stage.program.spawn(&["sync", "--full", "-q"]);
    // From the first moment on, so that some of them meet the pass.
    let mut longest = Duration::ZERO;
    while crm.seen().is_empty() {
        longest = longest.max(longest_insert(&stage.database));
    }
    longest = longest.max(longest_insert(&stage.database));
    println!("without an index, over 50,000 rows' places: the longest INSERT took {longest:?}");
    // The CRM is waited for three times as long, the reader's pass takes a fraction of it.
    assert!(longest < Duration::from_secs(10), "{longest:?}");
    signal(&child, "INT");
    std::thread::sleep(Duration::from_millis(50));
    signal(&child, "INT");
    finish(child);
    stage
        .database
        .run("DELETE FROM cdr WHERE uniqueid LIKE 'new.%'");
    stage.log_in_as("root");
    let crm = sandbox();
    let report = stage.settles(&crm);
    assert_eq!(report["exit"]["code"], 0);
    let ran = stage.program.run(&["check"]);
    let database = stage.database.name();
    assert!(
        ran.stdout.contains(&format!(
            "`{database}.cdr` is a MyISAM table: without an index on `calldate`, it is locked against writers, and so \
             against the phone system, while it is read; add the index"
        )),
        "{ran:?}"
    );
}
