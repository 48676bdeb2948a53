//! `check --output nagios`: one line for a monitor.

use chrono_tz::Tz;

use crate::program::Ran;
use crate::stage::{Kind, Stage, calls};

/// Nothing but one line on stdout; gives its text and its figures.
#[track_caller]
fn line(ran: &Ran, code: i32) -> (String, String) {
    assert_eq!(ran.code, code, "{ran:?}");
    assert_eq!(ran.stderr, "", "{ran:?}");
    assert_eq!(ran.stdout.matches('\n').count(), 1, "{ran:?}");
    assert_eq!(ran.stdout.matches('|').count(), 1, "{ran:?}");
    let (text, figures) = ran.stdout.trim_end().split_once(" | ").unwrap();
    let shape = regex::Regex::new(r"^[a-z_]+=\d+s?(;\d*){3,4}$").unwrap();
    for figure in figures.split(' ') {
        assert!(shape.is_match(figure), "{figure}");
    }
    (text.to_owned(), figures.to_owned())
}

#[tokio::test]
async fn a_monitor_gets_one_line_and_a_status_of_its_own() {
    let stage = Stage::of(Kind::Sqlite, &calls(300, 5, |_| Tz::America__Caracas)).await;
    stage.program.sync(&[], 0);
    let nagios = || stage.program.run(&["check", "--output", "nagios"]);
    let (text, figures) = line(&nagios(), 0);
    assert_eq!(text, "CDRELAY OK - everything is ready");
    assert!(
        figures.starts_with("failed=0;;0;0 warnings=0;0;;0 calls=300;;;0 pending=0;;;0 unmatched=0;;;0 rejected=0;;;0 last_success_age="),
        "{figures}"
    );
    // A lookback that the longest call is longer than half of.
    stage.configure(|config| {
        format!("{config}\n[select]\nlookback = \"10m\"\nfull_lookback = \"30d\"\n")
    });
    let (text, _) = line(&nagios(), 1);
    assert!(
        text.starts_with(
            "CDRELAY WARNING - 1 warning: lookback: select.lookback is 10m, less than twice"
        ),
        "{text}"
    );
    stage.configure(|config| config.replace("America/Caracas", "UTC"));
    let (text, _) = line(&nagios(), 2);
    assert!(
        text.starts_with(
            "CDRELAY CRITICAL - 1 check failed: clock: your `calldate` is UTC-4, you declared UTC; "
        ),
        "{text}"
    );
    stage.program.configure("[source]\nurl = 7\n");
    let (text, figures) = line(&nagios(), 3);
    assert!(
        text.starts_with("CDRELAY UNKNOWN - 1 check failed: configuration: "),
        "{text}"
    );
    assert_eq!(figures, "failed=1;;0;0 warnings=0;0;;0");
}

#[tokio::test]
async fn hostile_text_neither_ends_the_line_nor_begins_figures() {
    let stage = Stage::of(Kind::Sqlite, &calls(50, 5, |_| Tz::America__Caracas)).await;
    rusqlite::Connection::open(stage.program.path("cdr.db"))
        .unwrap()
        .execute_batch(
            "DROP INDEX cdr_calldate; ALTER TABLE cdr RENAME COLUMN calldate TO \"start | x=1\"",
        )
        .unwrap();
    let ran = stage.program.run(&["check", "--output", "nagios"]);
    let (text, _) = line(&ran, 2);
    assert!(text.contains("start \\u{7c} x=1"), "{text}");
}

#[tokio::test]
async fn other_verbs_refuse_the_form_of_a_monitor() {
    let stage = Stage::of(Kind::Sqlite, &[]).await;
    for verb in [&["sync"][..], &["status"], &["calls"], &["explain", "1"]] {
        let ran = stage.program.run(&[verb, &["--output", "nagios"]].concat());
        assert_eq!(
            (ran.code, ran.stdout.as_str(), ran.stderr.as_str()),
            (
                2,
                "",
                "cdrelay: `--output nagios` is one line for a monitor, which `cdrelay check` alone gives; use text or json here\n"
            ),
            "{verb:?}"
        );
    }
}
