//! Code 5: the source.

use super::scene::{Scene, sandbox, write_bytes};

/// A source that cannot be read: text and JSON say so, nothing is sent, and when it is mended golden is reached.
#[track_caller]
fn unreadable(spoil: impl FnOnce(&Scene), mend: impl FnOnce(&Scene), stdout: &str, stderr: &str) {
    let crm = sandbox();
    let scene = Scene::generated(120, 30);
    scene.point_at(crm.url.as_str());
    spoil(&scene);
    let report = scene.program.sync(&[], 5);
    assert_eq!(report["rows"]["read"], 0, "{report}");
    scene.said(&scene.program.run(&["sync"]), 5, stdout, stderr);
    assert_eq!(crm.stats().requests, 0);
    mend(&scene);
    scene.settles_at(&crm, str::to_owned);
}

#[test]
fn a_missing_file_is_named() {
    unreadable(
        |scene| std::fs::rename(scene.program.path("cdr.db"), scene.program.path("away.db")).unwrap(),
        |scene| std::fs::rename(scene.program.path("away.db"), scene.program.path("cdr.db")).unwrap(),
        "The calls could not all be read: SQLite file DIR/cdr.db cannot be opened: No such file or directory (os error 2); correct `source.url`, or give cdrelay's user the right to read it.

  window    SINCE to UNTIL (America/Caracas), incremental
  rows      0 read
  calls     0
  requests  none
  time      TIME
",
        "cdrelay: SQLite file DIR/cdr.db cannot be opened: No such file or directory (os error 2); correct `source.url`, or give cdrelay's user the right to read it\n",
    );
}

#[test]
fn a_file_that_is_no_database_is_named() {
    unreadable(
        |scene| {
            std::fs::rename(scene.program.path("cdr.db"), scene.program.path("away.db")).unwrap();
            write_bytes(&scene.program.path("cdr.db"), &[b'x'; 4096]);
        },
        |scene| std::fs::rename(scene.program.path("away.db"), scene.program.path("cdr.db")).unwrap(),
        "The calls could not all be read: SQLite file DIR/cdr.db is no SQLite 3 database: file is not a database; the cdr.db of Asterisk's old cdr_sqlite is SQLite 2, which has to be converted first.

  window    SINCE to UNTIL (America/Caracas), incremental
  rows      0 read
  calls     0
  requests  none
  time      TIME
",
        "cdrelay: SQLite file DIR/cdr.db is no SQLite 3 database: file is not a database; the cdr.db of Asterisk's old cdr_sqlite is SQLite 2, which has to be converted first\n",
    );
}

#[test]
fn a_missing_table_is_named() {
    unreadable(
        |scene| scene.source().execute_batch("ALTER TABLE cdr RENAME TO calls").unwrap(),
        |scene| scene.source().execute_batch("ALTER TABLE calls RENAME TO cdr").unwrap(),
        "The calls could not all be read: table `cdr` not found in SQLite file DIR/cdr.db; set `source.table` (it has `calls`).

  window    SINCE to UNTIL (America/Caracas), incremental
  rows      0 read
  calls     0
  requests  none
  time      TIME
",
        "cdrelay: table `cdr` not found in SQLite file DIR/cdr.db; set `source.table` (it has `calls`)\n",
    );
}

#[test]
fn a_missing_column_is_named_with_the_setting() {
    unreadable(
        |scene| scene.source().execute_batch("ALTER TABLE cdr RENAME COLUMN calldate TO begun").unwrap(),
        |scene| scene.source().execute_batch("ALTER TABLE cdr RENAME COLUMN begun TO calldate").unwrap(),
        "The calls could not all be read: column `calldate` not found in `cdr`; set `source.columns.initiated` (the table has `begun`, `src`, `dst`, `duration`, `billsec`, `disposition`, `uniqueid`, `recordingfile`, `sequence`).

  window    SINCE to UNTIL (America/Caracas), incremental
  rows      0 read
  calls     0
  requests  none
  time      TIME
",
        "cdrelay: column `calldate` not found in `cdr`; set `source.columns.initiated` (the table has `begun`, `src`, `dst`, `duration`, `billsec`, `disposition`, `uniqueid`, `recordingfile`, `sequence`)\n",
    );
}

#[test]
fn a_missing_csv_file_is_named() {
    let crm = sandbox();
    let scene = Scene::generated(20, 31);
    scene.point_at_with(crm.url.as_str(), |config| {
        config
            .replace("sqlite://cdr.db", "csv:Master.csv")
            .replace("/{recordingfile}", "")
    });
    scene.said(&scene.program.run(&["sync"]), 5, "The calls could not all be read: `DIR/Master.csv` does not exist; name the file in source.url, and see that Asterisk writes it (`cdr show status` lists csv).

  window    SINCE to UNTIL (America/Caracas), incremental
  rows      0 read
  calls     0
  requests  none
  time      TIME
", "cdrelay: `DIR/Master.csv` does not exist; name the file in source.url, and see that Asterisk writes it (`cdr show status` lists csv)\n");
    assert_eq!(crm.stats().requests, 0);
    scene.settles_at(&crm, str::to_owned);
}

#[test]
fn a_source_that_breaks_after_a_part_was_sent_loses_nothing() {
    let crm = sandbox();
    let scene = Scene::generated(120, 32);
    scene.point_at(crm.url.as_str());
    scene.program.sync(&[], 0);
    scene
        .source()
        .execute_batch("ALTER TABLE cdr RENAME TO calls")
        .unwrap();
    scene.program.sync(&["--full"], 5);
    scene
        .source()
        .execute_batch("ALTER TABLE calls RENAME TO cdr")
        .unwrap();
    let report = scene.settles_at(&crm, str::to_owned);
    assert_eq!(report["calls"]["unchanged"], scene.golden().len());
    assert_eq!(crm.stats().existing, 0);
}
