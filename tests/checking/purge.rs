//! `purge`: a shorter ledger.

use std::process::{Command, Stdio};

use cdrelay::ledger::LedgerLock;
use chrono_tz::Tz;

use crate::scene::now;
use crate::stage::{Kind, Stage, calls, line_of, shown};

const DAY: i64 = 86_400;

/// Calls of the last 120 days, all delivered, in a ledger that needs the last 61 alone.
async fn delivered(count: i64) -> Stage {
    let stage = Stage::of(Kind::Sqlite, &calls(count, 120, |_| Tz::America__Caracas)).await;
    short(&stage);
    let since = shown(Tz::America__Caracas, now() - 125 * DAY, "%Y-%m-%d");
    stage.program.sync(&["--since", &since], 0);
    stage
}

fn short(stage: &Stage) {
    stage.configure(|config| {
        config.replace(
            "[ledger]",
            "[select]\nfull_lookback = \"30d\"\n\n[ledger]\nretention = \"400d\"",
        )
    });
}

#[tokio::test]
async fn what_is_older_goes_and_its_space_goes_back_to_the_disk() {
    let stage = delivered(6_000).await;
    let size = || {
        std::fs::metadata(stage.program.path("ledger.db"))
            .unwrap()
            .len()
    };
    let before = size();
    let dry = stage
        .program
        .json(&["purge", "--older-than", "61d", "--dry-run"], 0);
    assert_eq!((dry["dry_run"].as_bool(), size()), (Some(true), before));
    let doomed = dry["calls"]["total"].as_u64().unwrap();
    // 120 - 61 - 1 of 120 days.
    assert!((2_890..=2_910).contains(&doomed), "{dry}");
    assert_eq!(dry["calls"]["delivered"], dry["calls"]["total"]);
    let done = stage.program.json(&["purge", "--older-than", "61d"], 0);
    assert_eq!(done["calls"]["total"].as_u64(), Some(doomed));
    assert!(size() < before * 6 / 10, "{before} and {}", size());
    assert_eq!(done["bytes"]["before"].as_u64(), Some(before));
    assert_eq!(done["bytes"]["after"].as_u64(), Some(size()));
    let again = stage.program.run(&["purge", "--older-than", "61d"]);
    assert_eq!(again.code, 0, "{again:?}");
    assert!(
        again.stdout.starts_with("Removed from ")
            && again.stdout.contains(": 0 calls that started before "),
        "{again:?}"
    );
    let checked = stage.program.json(&["check"], 0);
    let (result, text) = line_of(&checked, "ledger");
    assert_eq!(result, "ok");
    assert!(
        text.ends_with(&format!(": sound, {} calls", 6_000 - doomed)),
        "{text}"
    );
    // Nothing that a run looks at was forgotten.
    let requests = stage.crm.stats().requests;
    stage.program.sync(&["--full"], 0);
    assert_eq!(stage.crm.stats().requests, requests);
}

#[tokio::test]
async fn a_span_that_runs_would_notice_is_refused_unless_forced() {
    let stage = delivered(500).await;
    let ran = stage.program.run(&["purge", "--older-than", "60d"]);
    assert_eq!(
        (ran.code, ran.stdout.as_str(), ran.stderr.as_str()),
        (
            2,
            "",
            "cdrelay: --older-than 60d is shorter than select.full_lookback and 31 days (61d): the next full run would send \
             calls again that the ledger has forgotten. A CRM that knows a call by start and numbers keeps it once, if rules \
             and zone are what they were; any other CRM would have it twice. Give a longer span, shorten select.full_lookback \
             first, or add --force if that is what you want\n"
        )
    );
    let done = stage
        .program
        .json(&["purge", "--older-than", "10d", "--force"], 0);
    assert!(done["calls"]["total"].as_u64() > Some(400), "{done}");
    // On a CRM with keys the forgotten calls are asked for again, and none is there twice.
    let report = stage.program.sync(&["--full"], 0);
    assert!(report["calls"]["existing"].as_u64() > Some(50), "{report}");
    assert_eq!(report["calls"]["created"].as_u64(), Some(0), "{report}");
    assert_eq!(stage.crm.calls().len(), 500);
}

#[tokio::test]
async fn a_run_under_way_is_not_disturbed_and_a_ledger_that_never_was_is_not_made() {
    let stage = delivered(100).await;
    let lock = LedgerLock::try_acquire(&stage.program.path("ledger.db")).unwrap();
    let ran = stage.program.run(&["purge", "--older-than", "61d"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (11, ""), "{ran:?}");
    stage
        .program
        .json(&["purge", "--older-than", "61d", "--dry-run"], 0);
    drop(lock);
    stage.program.json(&["purge", "--older-than", "61d"], 0);

    let stage = Stage::of(Kind::Sqlite, &[]).await;
    stage.program.json(&["purge"], 0);
    assert!(!stage.program.path("ledger.db").exists());
}

#[tokio::test]
async fn the_latest_hundred_attempts_of_a_call_stay() {
    let stage = delivered(20).await;
    let attempts = |sql: &str| {
        let db = rusqlite::Connection::open(stage.program.path("ledger.db")).unwrap();
        db.execute_batch(sql).unwrap();
        db.query_row("SELECT count(*) FROM attempts", [], |row| {
            row.get::<_, i64>(0)
        })
        .unwrap()
    };
    // As a call has that no run could settle for weeks.
    let had = attempts(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 700) \
         INSERT INTO attempts (call, run, at, outcome, words) \
         SELECT (SELECT max(id) FROM calls), 1, i, 'no_verdict', 'try ' || i FROM n",
    );
    assert_eq!(had, 700);
    let dry = stage.program.json(&["purge", "--dry-run"], 0);
    assert_eq!(dry["attempts"], 600);
    let done = stage.program.json(&["purge"], 0);
    assert_eq!(
        (&done["attempts"], &done["calls"]["total"]),
        (&600.into(), &0.into())
    );
    assert_eq!(attempts(""), 100);
}

/// Runs the program with its ledger on a tmpfs of so many KiB, then copies the ledger back.
const SCRIPT: &str = r#"
mount -t tmpfs -o "size=$1k" none mnt || exit 99
cp ledger.db ledger.db.lock mnt/
SQLITE_TMPDIR=mnt TMPDIR=mnt "$2" --config full.toml purge --older-than 110d >out 2>err
echo $? >code
cp mnt/ledger.db* .
"#;

#[tokio::test]
async fn a_disk_too_full_to_give_space_back_leaves_a_whole_ledger() {
    let stage = delivered(6_000).await;
    let dir = stage.program.dir.path();
    std::fs::create_dir(dir.join("mnt")).unwrap();
    let config = std::fs::read_to_string(dir.join("cdrelay.toml")).unwrap();
    stage.program.write(
        "full.toml",
        &config
            .replace("[ledger]", "[ledger] # small")
            .replace("\"ledger.db\"", "\"mnt/ledger.db\"")
            .replacen("[source]", "job = \"cdrelay\"\n[source]", 1),
    );
    let size = std::fs::metadata(dir.join("ledger.db")).unwrap().len();
    // Room for the removal of one twelfth, and not for all that is left, written anew.
    let room = size / 1024 * 14 / 10;
    let ended = Command::new("unshare")
        .args(["-rm", "sh", "-c", SCRIPT, "sh", &room.to_string()])
        .arg(env!("CARGO_BIN_EXE_cdrelay"))
        .current_dir(dir)
        .stdin(Stdio::null())
        .status();
    if !ended.is_ok_and(|status| status.success()) {
        eprintln!(
            "this machine allows no mount namespace: the small file system is NOT tested here"
        );
        return;
    }
    let read = |name: &str| std::fs::read_to_string(dir.join(name)).unwrap();
    let (code, err) = (read("code"), read("err"));
    assert_eq!(code.trim(), "12", "{err}");
    assert!(
        err.starts_with(
            "cdrelay: what is old was removed, and its space serves new calls, but it could not be given back to the disk, \
             which takes as much room again for a moment, beside the ledger and in the temporary directory: the disk of the \
             ledger `"
        ) && err.contains("/mnt/ledger.db` is full; "),
        "{err}"
    );
    let checked = stage.program.json(&["check"], 0);
    let (result, text) = line_of(&checked, "ledger");
    assert_eq!(result, "ok", "{text}");
    let left: u64 = text
        .rsplit(", ")
        .next()
        .unwrap()
        .split(' ')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert!((5_500..5_600).contains(&left), "{text}");
    // On a disk with room it is given back.
    stage.program.json(&["purge", "--older-than", "110d"], 0);
    assert!(std::fs::metadata(dir.join("ledger.db")).unwrap().len() < size);
}
