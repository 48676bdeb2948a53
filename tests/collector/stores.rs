//! The same collector over MariaDB and PostgreSQL: events kept, rows written and corrected, and read by `sync`.

use crate::stage::Stage;
use crate::support::{mariadb, postgres};
use crate::{INBOUND, OUTBOUND};

/// Sends both documented calls in reverse, some twice, and syncs what comes of them; `rows` counts those of the store.
async fn collects(url: &str, rows: impl AsyncFn(&str) -> i64) {
    let mut stage = Stage::with_store("settle = \"300ms\"\nclose_after = \"1h\"", url, url);
    stage.start();
    let complete = "SELECT count(*) FROM cdr WHERE (duration = 46 AND billsec = 38 AND dst = '0138888888888') OR (duration = 107 AND billsec = 104 AND did = '800888')";
    let late = INBOUND[2];
    for message in OUTBOUND
        .iter()
        .chain(&INBOUND)
        .rev()
        .filter(|message| **message != late)
    {
        assert_eq!(stage.post("/astercc", "", message).status, 200);
    }
    until(&rows, "SELECT count(*) FROM cdr", 2).await;
    // Killed and started again, it corrects the row that it wrote before.
    stage.kill();
    stage.start();
    for message in INBOUND {
        assert_eq!(stage.post("/astercc", "", message).status, 200);
    }
    until(&rows, complete, 2).await;
    assert_eq!(rows("SELECT count(*) FROM cdr").await, 2);
    assert_eq!(rows("SELECT count(*) FROM collector_events").await, 13);
    let second = stage.program.run(&["collect"]);
    assert_eq!(second.code, 11, "{second:?}");
    // An event with text of every kind is kept as it is.
    let odd = "sessionid=odd&source=AGENT&event=note&text=%00%C3%BC%F0%9F%93%9E'\"\\";
    assert_eq!(stage.post("/astercc", "", odd).status, 200);
    assert_eq!(stage.post("/astercc", "", odd).status, 200);
    assert_eq!(rows("SELECT count(*) FROM collector_events").await, 14);
    assert_eq!(stage.synced("2010-01-01", "2010-01-02").len(), 2);
    let again = stage
        .program
        .sync(&["--since", "2010-01-01", "--until", "2010-01-02"], 0);
    assert_eq!(again["calls"]["unchanged"], 2, "{again}");
    assert_eq!(again["drift"], 0, "{again}");
    assert_eq!(stage.stop().code, 0);
    let ran = stage.program.run(&["collect", "--from", "cdrelay.toml"]);
    assert_eq!(ran.code, 3, "{ran:?}");
}

async fn until(rows: &impl AsyncFn(&str) -> i64, sql: &str, expected: i64) {
    for _ in 0..1200 {
        if rows(sql).await == expected {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("{sql}: {}", rows(sql).await);
}

#[tokio::test]
async fn mariadb_keeps_events_and_rows() {
    let database = mariadb::server().database().await;
    collects(&database.url(), async |sql: &str| {
        database.number(sql).await
    })
    .await;
}

#[tokio::test]
async fn postgresql_keeps_events_and_rows() {
    let database = postgres::server().database().await;
    collects(&database.url(), async |sql: &str| {
        database.number(sql).await
    })
    .await;
}

#[tokio::test]
async fn freepbxs_own_table_is_used_where_it_is_wide_enough() {
    let database = mariadb::server().database().await;
    database.run(crate::support::cdr_table::FREEPBX).await;
    let mut stage = Stage::with_store("settle = \"300ms\"", &database.url(), &database.url());
    let ran = stage.program.run(&["collect", "--from", "crm.token"]);
    assert_eq!(ran.code, 12, "{ran:?}");
    let mend = "its column `cdr.uniqueid` is too narrow for the ids of FreeSWITCH; widen it to varchar(150)";
    assert!(ran.stderr.contains(mend), "{ran:?}");
    let wider = "ALTER TABLE cdr MODIFY uniqueid varchar(150) NOT NULL DEFAULT '', MODIFY linkedid varchar(150) NOT NULL DEFAULT ''";
    database.run(wider).await;
    stage.start();
    // The agent's number is longer than FreePBX's column for it.
    for message in OUTBOUND {
        let message = message.replace("041139735857", "0411397358570411397358571");
        assert_eq!(stage.post("/astercc", "", &message).status, 200);
    }
    let count = async |sql: &str| database.number(sql).await;
    let cut =
        "SELECT count(*) FROM cdr WHERE duration = 46 AND accountcode = '04113973585704113973'";
    until(&count, cut, 1).await;
}
